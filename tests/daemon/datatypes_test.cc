// SPDX-License-Identifier: Apache-2.0
//
// Every datatype over the wire, tensors without elements, and weights that lie
// beside the model.
#include <sys/stat.h>

#include "fixture.h"

namespace mlos::test {
namespace {

struct Case {
  const char* model;
  const char* datatype;
  size_t size;  // of an element
};

class DatatypesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    daemon_ = std::make_unique<Daemon>();
    daemon_->BringPlugin(OnnxPlugin());
  }
  static void TearDownTestSuite() { daemon_.reset(); }

  // Registers plugins/onnxruntime/testdata/NAME.onnx; another test may have.
  static void With(const std::string& name) {
    const Reply reply = daemon_->RegisterModel(name, TestData(name + ".onnx"));
    EXPECT_TRUE(reply.status == 200 || reply.status == 201) << Show(reply);
  }
  static std::unique_ptr<Daemon> daemon_;
};

std::unique_ptr<Daemon> DatatypesTest::daemon_;

TEST_F(DatatypesTest, EachGoesThroughUnchangedAsBinary) {
  const Case cases[] = {{"bool", "BOOL", 1},     {"uint8", "UINT8", 1},   {"uint16", "UINT16", 2},
                        {"uint32", "UINT32", 4}, {"uint64", "UINT64", 8}, {"int8", "INT8", 1},
                        {"int16", "INT16", 2},   {"int32", "INT32", 4},   {"int64", "INT64", 8},
                        {"fp16", "FP16", 2},     {"bf16", "BF16", 2},     {"fp32", "FP32", 4},
                        {"fp64", "FP64", 8}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.datatype);
    const std::string model = std::string("identity_") + c.model;
    With(model);
    for (const size_t count : {size_t{3}, size_t{0}, size_t{1000}}) {
      std::string bytes(count * c.size, '\0');
      for (size_t i = 0; i < bytes.size(); ++i) {
        // Any bits: not a number is passed on like the rest.
        bytes[i] = static_cast<char>(c.datatype == std::string("BOOL") ? i % 2 : i * 37 + 1);
      }
      const BinaryAnswer answer =
          daemon_->InferBinary(model, {{"x", c.datatype, {static_cast<int64_t>(count)}, bytes}});
      ASSERT_EQ("", answer.error);
      const Tensor& y = answer.outputs.at("y");
      EXPECT_EQ(c.datatype, y.datatype);
      EXPECT_EQ(std::vector<int64_t>{static_cast<int64_t>(count)}, y.shape);
      EXPECT_EQ(bytes, y.bytes);
    }
  }
}

TEST_F(DatatypesTest, BytesOfAnyContentGoThrough) {
  With("identity_bytes");
  const std::vector<std::string> elements{"", "a", std::string("\0\xff\n", 3),
                                          std::string(100'000, 'x'), "größe"};
  const std::string bytes = BytesTensor(elements);
  const BinaryAnswer answer = daemon_->InferBinary("identity_bytes", {{"x", "BYTES", {5}, bytes}});
  ASSERT_EQ("", answer.error);
  EXPECT_TRUE(bytes == answer.outputs.at("y").bytes);
  const BinaryAnswer none = daemon_->InferBinary("identity_bytes", {{"x", "BYTES", {0}, ""}});
  ASSERT_EQ("", none.error);
  EXPECT_EQ("", none.outputs.at("y").bytes);
  const Reply text = daemon_->InferJson(
      "identity_bytes",
      R"({"inputs":[{"name":"x","datatype":"BYTES","shape":[2],"data":["a\"b","größe"]}]})");
  EXPECT_EQ(R"(["a\"b","größe"])", At(text, "/outputs/0/data")) << Show(text);
}

TEST_F(DatatypesTest, HalvesHaveNoJsonForm) {
  With("identity_fp16");
  EXPECT_REFUSED(
      400, "FP16",
      daemon_->InferJson("identity_fp16",
                         R"({"inputs":[{"name":"x","datatype":"FP16","shape":[1],"data":[1]}]})"));
}

TEST_F(DatatypesTest, JsonKeepsTheExtremesOfIntegers) {
  With("identity_int64");
  With("identity_uint64");
  const Reply low = daemon_->InferJson("identity_int64",
                                       R"({"inputs":[{"name":"x","datatype":"INT64","shape":[2],)"
                                       R"("data":[-9223372036854775808,9223372036854775807]}]})");
  EXPECT_THAT(low.body, testing::HasSubstr("[-9223372036854775808,9223372036854775807]"));
  const Reply high = daemon_->InferJson("identity_uint64",
                                        R"({"inputs":[{"name":"x","datatype":"UINT64","shape":[1],)"
                                        R"("data":[18446744073709551615]}]})");
  EXPECT_THAT(high.body, testing::HasSubstr("[18446744073709551615]"));
}

TEST_F(DatatypesTest, OnlyTheOutputsThatWereAskedForCome) {
  With("two_outputs");
  const Reply reply = daemon_->InferJson(
      "two_outputs", R"({"inputs":[{"name":"b","datatype":"FP32","shape":[1],"data":[2]},)"
                     R"({"name":"a","datatype":"FP32","shape":[1],"data":[5]}],)"
                     R"("outputs":[{"name":"difference"}]})");
  EXPECT_EQ("difference", At(reply, "/outputs/0/name")) << Show(reply);
  EXPECT_EQ(std::vector<double>{3}, Numbers(reply, "/outputs/0/data"));
  EXPECT_EQ("", At(reply, "/outputs/1"));
}

TEST_F(DatatypesTest, ARawBodyIsTheOnlyInput) {
  const std::string bytes = BytesOf(std::vector<float>{1, 2, 3});
  With("identity_fp32");
  const BinaryAnswer answer = ReadBinary(daemon_->Post("/v2/models/identity_fp32/infer", bytes,
                                                       {{"Inference-Header-Content-Length", "0"}}));
  ASSERT_EQ("", answer.error);
  EXPECT_EQ(bytes, answer.outputs.at("y").bytes);
}

// A directory with a model and the weights that it keeps in a file of its own.
std::string WithWeights(const TempDir& dir, const std::string& model, const std::string& weights) {
  const std::string path = dir / model;
  mkdir(path.c_str(), 0700);
  WriteWhole(path + "/model.onnx", ReadWhole(TestData(model + ".onnx")));
  WriteWhole(path + "/" + weights, ReadWhole(TestData(weights)));
  return path;
}

TEST_F(DatatypesTest, WeightsBesideTheModelComeWithItsDirectory) {
  for (const auto& [model, weights, width] :
       {std::tuple{"external", "weights.bin", 4}, std::tuple{"external_large", "large.bin", 256}}) {
    SCOPED_TRACE(model);
    const std::string path = WithWeights(daemon_->dir(), model, weights);
    ASSERT_EQ(201, daemon_->RegisterModel(model, path).status);
    const BinaryAnswer answer = daemon_->InferBinary(
        model, {{"x", "FP32", {1, 4}, BytesOf(std::vector<float>{0, 1, 0, 0})}});
    ASSERT_EQ("", answer.error);
    const auto y = ValuesOf<float>(answer.outputs.at("y").bytes);
    ASSERT_EQ(static_cast<size_t>(width), y.size());
    for (size_t i = 0; i < y.size(); ++i) {
      EXPECT_EQ(static_cast<float>(static_cast<size_t>(width) + i), y[i]);  // the second row
    }
  }
}

TEST_F(DatatypesTest, WeightsThatWereNotRegisteredAreNamed) {
  ASSERT_EQ(201, daemon_->RegisterModel("alone", TestData("external.onnx")).status);
  const Reply reply = daemon_->ModelAction("alone", "load");
  EXPECT_EQ(503, reply.status) << Show(reply);
  EXPECT_THAT(ErrorText(reply), testing::AllOf(testing::HasSubstr("'weights.bin'"),
                                               testing::HasSubstr("register the directory")));
}

}  // namespace
}  // namespace mlos::test
