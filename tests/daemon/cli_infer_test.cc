// SPDX-License-Identifier: Apache-2.0
//
// mlos infer against the ONNX Runtime plugin: files, arrays, outputs.
#include "fixture.h"
#include "mlos_process.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;

// An array of FP32 as NumPy saves it.
std::string Npy(const std::string& shape, const std::string& data) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
  header += std::string(118 - header.size() - 1, ' ') + "\n";
  return std::string("\x93NUMPY\1\0\x76\0", 10) + header + data;
}

class CliInferTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    daemon_.BringDigits();
    const bool grpc = std::string_view(GetParam()) == "grpc";
    options_.environment["MLOS_HOST"] =
        grpc ? "grpc://" + daemon_.grpc_address() : "http://" + daemon_.address();
  }
  std::string Metadata(const char* pointer) {
    return At(daemon_.Get("/v2/models/digits"), pointer);
  }

  const TempDir dir_;
  Daemon daemon_;
  MlosOptions options_;
};

INSTANTIATE_TEST_SUITE_P(Over, CliInferTest, testing::Values("http", "grpc"),
                         [](const auto& over) { return std::string(over.param); });

TEST_P(CliInferTest, AWholeRequest) {
  const std::string path = SourcePath("examples/digits/request.json");
  const Reply reply = daemon_.InferJson("digits", ReadWhole(path));
  ASSERT_EQ(200, reply.status) << Show(reply);
  EXPECT_EQ(RunMlos({"infer", "digits", "--json", path, "-o", "json"}, options_).out, reply.body);
  options_.input = ReadWhole(path);
  EXPECT_EQ(
      RunMlos({"infer", "digits", "--version", "1", "--json", "-", "-o", "json"}, options_).out,
      daemon_.Post("/v2/models/digits/versions/1/infer", options_.input).body);
  const MlosRun text = RunMlos({"infer", "digits", "--json", path}, options_);
  EXPECT_EQ(text.exit, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("digits 1\n"));
  EXPECT_THAT(text.out, HasSubstr(At(reply, "/outputs/0/name")));
}

TEST_P(CliInferTest, AnArrayThatNumPySaved) {
  const Digits digits = HeldOutDigits();
  WriteWhole(dir_ / "x.npy", Npy("(3, 64)", digits.pixels.substr(0, std::size_t{3} * 256)));
  const std::string input = Metadata("/inputs/0/name") + "=@" + (dir_ / "x.npy");
  const MlosRun run = RunMlos({"infer", "digits", "--input", input, "-o", "json"}, options_);
  ASSERT_EQ(run.exit, 0) << run.err;
  const BinaryAnswer same =
      daemon_.InferBinary("digits", {{Metadata("/inputs/0/name"),
                                      "FP32",
                                      {3, 64},
                                      digits.pixels.substr(0, std::size_t{3} * 256)}});
  EXPECT_EQ(same.error, "");
  EXPECT_EQ(At(ParseJson(run.out), "/outputs/0/shape/0"), "3");
  const MlosRun text = RunMlos({"infer", "digits", "--input", input}, options_);
  EXPECT_THAT(text.out, HasSubstr("[["));
}

TEST_P(CliInferTest, WhatCannotBeSentIsSaid) {
  WriteWhole(dir_ / "bad.npy", "not an array");
  const std::string name = Metadata("/inputs/0/name");
  const auto fails = [&](int exit, const std::string& input) {
    const MlosRun run = RunMlos({"infer", "digits", "--input", input}, options_);
    EXPECT_EQ(exit, run.exit) << input << run.err;
    EXPECT_EQ("", run.out);
    return run.err;
  };
  EXPECT_THAT(fails(2, name + "=@" + (dir_ / "bad.npy")), HasSubstr("no .npy file"));
  EXPECT_THAT(fails(2, name + "=@/no/such/file"), HasSubstr("No such file"));
  EXPECT_THAT(fails(1, "nothing=1"), HasSubstr("the model has no input 'nothing'"));
  EXPECT_THAT(fails(1, name + "=[1,2,3]"), HasSubstr(name));
}

}  // namespace
}  // namespace mlos::test
