// SPDX-License-Identifier: Apache-2.0
//
// Requests through the built plugin: datatypes, shapes, where outputs are
// written, and what is said when something is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "testing/fake_host.h"

namespace mlos::onnxrt::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExecuteTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { plugin_ = new Plugin(MLOS_PLUGIN_LIBRARY); }
  static void TearDownTestSuite() { delete plugin_; }
  void SetUp() override { ASSERT_TRUE(plugin_->ok()) << plugin_->error(); }

  // The artefact lives as long as the model.
  struct Served {
    explicit Served(const std::string& name, const std::string& config = "{}")
        : artefact(Artefact::FromDirectory(MLOS_TESTDATA, name)),
          model(*plugin_, artefact, config) {}
    Artefact artefact;
    LoadedModel model;
  };

  static Plugin* plugin_;
};
Plugin* ExecuteTest::plugin_ = nullptr;

struct TypeCase {
  const char* name;
  smi_datatype datatype;
  size_t size;
};

class DatatypeTest : public ExecuteTest, public ::testing::WithParamInterface<TypeCase> {};

TEST_P(DatatypeTest, GoesThroughUnchanged) {
  const TypeCase& type = GetParam();
  const Served served(std::string("identity_") + type.name + ".onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  EXPECT_EQ(served.model.info().inputs[0].datatype, type.datatype);
  std::string bytes(5 * type.size, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = type.datatype == SMI_BOOL ? static_cast<char>(i % 2) : static_cast<char>(i * 37);
  }
  FakeRequest request;
  request.AddInput(0, type.datatype, {5}, bytes.data(), bytes.size());
  // Once with the shape unknown, and twice with the output bound.
  for (int run = 0; run < 3; ++run) {
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    const FakeOutput& out = request.output(0);
    EXPECT_EQ(out.datatype, type.datatype);
    EXPECT_THAT(out.shape, ElementsAre(5));
    EXPECT_EQ(std::string(static_cast<const char*>(out.data), out.byte_size), bytes);
    EXPECT_EQ(request.answers(), 1);
    EXPECT_EQ(request.allocations(), 1);
  }
}

INSTANTIATE_TEST_SUITE_P(
    AllTypes, DatatypeTest,
    ::testing::Values(TypeCase{"fp32", SMI_FP32, 4}, TypeCase{"fp64", SMI_FP64, 8},
                      TypeCase{"fp16", SMI_FP16, 2}, TypeCase{"bf16", SMI_BF16, 2},
                      TypeCase{"int8", SMI_INT8, 1}, TypeCase{"int16", SMI_INT16, 2},
                      TypeCase{"int32", SMI_INT32, 4}, TypeCase{"int64", SMI_INT64, 8},
                      TypeCase{"uint8", SMI_UINT8, 1}, TypeCase{"uint16", SMI_UINT16, 2},
                      TypeCase{"uint32", SMI_UINT32, 4}, TypeCase{"uint64", SMI_UINT64, 8},
                      TypeCase{"bool", SMI_BOOL, 1}),
    [](const auto& test) { return test.param.name; });

TEST_F(ExecuteTest, BytesGoThroughUnchanged) {
  const Served served("identity_bytes.onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  const std::vector<std::string> first = {"one", "", std::string("a\0b", 3),
                                          std::string(9000, 'x')};
  const std::vector<std::string> second = {"", "", "", ""};
  for (const auto& values : {first, second, first, {}}) {
    FakeRequest request;
    const std::string encoded = EncodeBytes(values);
    request.AddInput(0, SMI_BYTES, {static_cast<int64_t>(values.size())}, encoded.data(),
                     encoded.size());
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_EQ(DecodeBytes(request.output(0)), values);
  }
}

TEST_F(ExecuteTest, BytesInSamePlaceAreReadAgain) {
  const Served served("identity_bytes.onnx");
  FakeRequest request;
  const std::string encoded = EncodeBytes({"left", "right"});
  request.AddInput(0, SMI_BYTES, {2}, encoded.data(), encoded.size());
  ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
  request.input_data(0)[4] = 'L';
  ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
  EXPECT_THAT(DecodeBytes(request.output(0)), ElementsAre("Left", "right"));
}

TEST_F(ExecuteTest, BrokenBytesAreRefused) {
  const Served served("identity_bytes.onnx");
  const std::string encoded = EncodeBytes({"one", "two"});
  for (size_t size = 0; size < encoded.size(); ++size) {
    FakeRequest request;
    request.AddInput(0, SMI_BYTES, {2}, encoded.data(), size);
    EXPECT_EQ(request.Run(served.model), SMI_INVALID_ARGUMENT) << size;
    EXPECT_THAT(request.error(), HasSubstr("'x'"));
  }
  FakeRequest longer;
  longer.AddInput(0, SMI_BYTES, {1}, encoded.data(), encoded.size());
  EXPECT_EQ(longer.Run(served.model), SMI_INVALID_ARGUMENT);
}

TEST_F(ExecuteTest, Scalar) {
  const Served served("scalar.onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  EXPECT_EQ(served.model.info().inputs[0].rank, 0u);
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {}, {41});
  for (int run = 0; run < 2; ++run) {
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_THAT(request.output(0).shape, IsEmpty());
    EXPECT_THAT(request.values<float>(0), ElementsAre(42));
  }
}

TEST_F(ExecuteTest, NoElements) {
  const Served served("anonymous.onnx");
  FakeRequest request;
  request.AddInput(0, SMI_FP32, {0, 2}, nullptr, 0);
  for (int run = 0; run < 3; ++run) {
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_THAT(request.output(0).shape, ElementsAre(0, 2));
    EXPECT_EQ(request.output(0).byte_size, 0u);
  }
}

TEST_F(ExecuteTest, ShapesMayChangeFromRequestToRequest) {
  const Served served("anonymous.onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  FakeRequest request;
  for (int round = 0; round < 3; ++round) {
    for (int64_t n : {1, 3, 2, 100, 3}) {
      std::vector<float> x(static_cast<size_t>(n) * 2);
      std::iota(x.begin(), x.end(), static_cast<float>(round));
      request.ClearInputs();
      request.AddInput(0, SMI_FP32, {n, 2}, x);
      ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
      std::vector<float> expected = x;
      expected.insert(expected.end(), x.begin(), x.end());
      EXPECT_THAT(request.output(0).shape, ElementsAre(2 * n, 2));
      EXPECT_EQ(request.values<float>(0), expected);
      EXPECT_EQ(request.allocations(), 1);
    }
  }
}

TEST_F(ExecuteTest, NewDataInSamePlaceIsSeen) {
  const Served served("fixed.onnx");
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {2, 3}, {1, 2, 3, 4, 5, 6});
  ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
  EXPECT_THAT(request.values<float>(0), ElementsAre(2, 4, 6, 8, 10, 12));
  reinterpret_cast<float*>(request.input_data(0))[0] = 100;
  ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
  EXPECT_THAT(request.values<float>(0), ElementsAre(200, 4, 6, 8, 10, 12));
}

TEST_F(ExecuteTest, OutputMemoryMayMove) {
  const Served served("fixed.onnx");
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {2, 3}, {1, 2, 3, 4, 5, 6});
  for (int run = 0; run < 4; ++run) {
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_THAT(request.values<float>(0), ElementsAre(2, 4, 6, 8, 10, 12));
    request.ForgetOutputMemory();
  }
}

TEST_F(ExecuteTest, SizeThatDependsOnDataIsFoundOut) {
  const Served served("nonzero.onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  const auto nonzero = [&](const std::vector<int64_t>& x) {
    FakeRequest request;
    request.AddInput(0, SMI_INT64, {4}, x);
    EXPECT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_EQ(request.answers(), 1);
    return request.values<int64_t>(0);
  };
  EXPECT_THAT(nonzero({0, 1, 0, 1}), ElementsAre(1, 3));
  EXPECT_THAT(nonzero({1, 0, 0, 1}), ElementsAre(0, 3));
  EXPECT_THAT(nonzero({0, 0, 5, 0}), ElementsAre(2));
  EXPECT_THAT(nonzero({0, 0, 0, 0}), IsEmpty());
  EXPECT_THAT(nonzero({1, 1, 1, 1}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(plugin_->log(), Contains(HasSubstr("copied from now on")));
}

// A host may hand out memory once only; then that one request is to be sent
// again, and no later one.
TEST_F(ExecuteTest, SizeThatDependsOnDataWithAStrictHost) {
  const Served served("nonzero.onnx");
  FakeRequest request;
  request.RefuseSecond(true);
  request.AddInput<int64_t>(0, SMI_INT64, {2}, {0, 1});
  ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
  reinterpret_cast<int64_t*>(request.input_data(0))[0] = 1;
  EXPECT_EQ(request.Run(served.model), SMI_UNAVAILABLE);
  EXPECT_THAT(request.error(), AllOf(HasSubstr("'y'"), HasSubstr("send the request again")));
  EXPECT_EQ(request.Run(served.model), SMI_OK) << request.error();
  EXPECT_THAT(request.values<int64_t>(0), ElementsAre(0, 1));
}

TEST_F(ExecuteTest, BranchesMayDifferInShape) {
  const Served served("branches.onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  const auto run = [&](char condition) {
    FakeRequest request;
    request.AddInput<char>(0, SMI_BOOL, {}, {condition});
    request.AddInput<float>(1, SMI_FP32, {2}, {1, 2});
    EXPECT_EQ(request.Run(served.model), SMI_OK) << request.error();
    return request.values<float>(0);
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(run(1), ElementsAre(1, 2, 1, 2));
    EXPECT_THAT(run(0), ElementsAre(1, 2));
    EXPECT_THAT(run(0), ElementsAre(1, 2));
  }
}

TEST_F(ExecuteTest, OutputsThatTheGraphAlsoHasElsewhere) {
  const Served served("shared.onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {3}, {1, 2, 3});
  for (int run = 0; run < 4; ++run) {
    reinterpret_cast<float*>(request.input_data(0))[0] = static_cast<float>(run);
    if (run == 2) request.ForgetOutputMemory();
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_THAT(request.values<float>(0), ElementsAre(2 * run, 4, 6));
    EXPECT_THAT(request.values<float>(1), ElementsAre(run, 2, 3));
    EXPECT_THAT(request.values<float>(2), ElementsAre(7, 8));
  }
}

TEST_F(ExecuteTest, OnlyTheOutputsAskedFor) {
  const Served served("two_outputs.onnx");
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {2}, {5, 6});
  request.AddInput<float>(1, SMI_FP32, {2}, {1, 2});
  for (const std::vector<uint32_t>& asked : {std::vector<uint32_t>{1}, {0}, {}, {0, 1}, {1}, {1}}) {
    request.AskFor(asked);
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    const bool all = asked.empty();
    const bool sum = all || asked[0] == 0;
    const bool difference = all || asked.back() == 1;
    EXPECT_EQ(request.has_output(0), sum);
    EXPECT_EQ(request.has_output(1), difference);
    if (sum) {
      EXPECT_THAT(request.values<float>(0), ElementsAre(6, 8));
    }
    if (difference) {
      EXPECT_THAT(request.values<float>(1), ElementsAre(4, 4));
    }
  }
  request.AskFor({2});
  EXPECT_EQ(request.Run(served.model), SMI_INVALID_ARGUMENT);
  request.AskFor({});
  EXPECT_EQ(request.Run(served.model), SMI_OK) << request.error();
}

TEST_F(ExecuteTest, SeveralRequestsAtOnce) {
  const Served served("classifier.onnx", R"({"max_batch_size": 4})");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  std::vector<std::unique_ptr<FakeRequest>> owned;
  std::vector<const smi_request*> requests;
  for (uint32_t slot : {0u, 7u, 300u, 65535u}) {
    owned.push_back(std::make_unique<FakeRequest>(slot));
    owned.back()->AddInput(0, SMI_FP32, {1, 64}, std::vector<float>(64, 0.5f));
    requests.push_back(owned.back()->Prepare());
  }
  owned[1]->set_cancelled(true);
  ASSERT_EQ(plugin_->api().execute(served.model.get(), requests.data(), 4, nullptr), SMI_OK);
  for (const auto& request : owned) EXPECT_EQ(request->answers(), 1);
  EXPECT_EQ(owned[0]->values<float>(0), owned[3]->values<float>(0));
  EXPECT_FALSE(owned[1]->has_output(0));
}

TEST_F(ExecuteTest, ConcurrentRequests) {
  const Served served("anonymous.onnx");
  std::vector<std::thread> threads;
  for (uint32_t slot = 0; slot < 4; ++slot) {
    threads.emplace_back([&served, slot] {
      FakeRequest request(slot * 256);
      for (int64_t i = 0; i < 200; ++i) {
        const int64_t n = 1 + (i + slot) % 5;
        const std::vector<float> x(static_cast<size_t>(2 * n), static_cast<float>(slot));
        request.ClearInputs();
        request.AddInput(0, SMI_FP32, {n, 2}, x);
        ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
        ASSERT_THAT(request.output(0).shape, ElementsAre(2 * n, 2));
        ASSERT_THAT(request.values<float>(0), Each(static_cast<float>(slot)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ExecuteTest, CancelledRequestIsNotRun) {
  const Served served("fixed.onnx");
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {2, 3}, {1, 2, 3, 4, 5, 6});
  request.set_cancelled(true);
  EXPECT_EQ(request.Run(served.model), SMI_CANCELLED);
  EXPECT_EQ(request.allocations(), 0);
}

TEST_F(ExecuteTest, WrongInputsAreNamed) {
  const Served served("two_outputs.onnx");
  FakeRequest one, other, wrong;
  one.AddInput<float>(0, SMI_FP32, {2}, {5, 6});
  EXPECT_EQ(one.Run(served.model), SMI_INVALID_ARGUMENT);
  EXPECT_THAT(one.error(), AllOf(HasSubstr("'m'"), HasSubstr("'b' is missing")));
  other.AddInput<float>(1, SMI_FP32, {2}, {5, 6});
  EXPECT_EQ(other.Run(served.model), SMI_INVALID_ARGUMENT);
  EXPECT_THAT(other.error(), HasSubstr("'a' is missing"));
  wrong.AddInput<int32_t>(0, SMI_INT32, {2}, {5, 6});
  wrong.AddInput<float>(1, SMI_FP32, {2}, {5, 6});
  EXPECT_EQ(wrong.Run(served.model), SMI_INVALID_ARGUMENT);
  EXPECT_THAT(wrong.error(),
              AllOf(HasSubstr("'a' has datatype INT32"), HasSubstr("expected FP32")));
}

TEST_F(ExecuteTest, WrongShapesAreNamed) {
  const Served served("fixed.onnx");
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(request.Run(served.model), SMI_INVALID_ARGUMENT);
  EXPECT_THAT(request.error(),
              AllOf(HasSubstr("'x' has shape [3,2]"), HasSubstr("expected [2,3]")));
  request.ClearInputs();
  request.AddInput<float>(0, SMI_FP32, {2, 3}, {1, 2, 3});
  EXPECT_EQ(request.Run(served.model), SMI_INVALID_ARGUMENT);
  EXPECT_THAT(request.error(), HasSubstr("12 bytes"));
  request.ClearInputs();
  request.AddInput<float>(0, SMI_FP32, {2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(request.Run(served.model), SMI_OK) << request.error();
}

TEST_F(ExecuteTest, BooleansAreZeroOrOne) {
  const Served served("identity_bool.onnx");
  FakeRequest request;
  request.AddInput<char>(0, SMI_BOOL, {2}, {1, 2});
  EXPECT_EQ(request.Run(served.model), SMI_INVALID_ARGUMENT);
  EXPECT_THAT(request.error(), HasSubstr("neither 0 nor 1"));
}

TEST_F(ExecuteTest, FailureWithinTheModelIsTold) {
  const Served served("gather.onnx");
  FakeRequest request;
  request.AddInput<int64_t>(0, SMI_INT64, {2}, {0, 3});
  for (int round = 0; round < 3; ++round) {
    reinterpret_cast<int64_t*>(request.input_data(0))[1] = 3;
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_THAT(request.values<float>(0), ElementsAre(0, 3));
    reinterpret_cast<int64_t*>(request.input_data(0))[1] = 99;
    EXPECT_EQ(request.Run(served.model), SMI_INVALID_ARGUMENT);
    EXPECT_THAT(request.error(), AllOf(HasSubstr("'m'"), HasSubstr("Gather")));
    EXPECT_THAT(request.error(), ::testing::Not(HasSubstr(".cc:")));
    EXPECT_EQ(request.answers(), 1);
  }
}

TEST_F(ExecuteTest, ModelThatLiesAboutItsOutput) {
  const Served served("lying.onnx");
  ASSERT_TRUE(served.model.ok()) << served.model.error();
  FakeRequest request;
  request.AddInput<int64_t>(0, SMI_INT64, {3}, {1, 0, 1});
  ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
  EXPECT_THAT(request.values<int64_t>(0), ElementsAre(0, 2));
  reinterpret_cast<int64_t*>(request.input_data(0))[1] = 1;
  EXPECT_EQ(request.Run(served.model), SMI_INTERNAL);
  EXPECT_THAT(request.error(), AllOf(HasSubstr("'y'"), HasSubstr("[1,3]"), HasSubstr("[1,2]")));
}

TEST_F(ExecuteTest, NoMemoryForOutput) {
  for (const char* name : {"identity_fp32.onnx", "identity_bytes.onnx"}) {
    const Served served(name);
    FakeRequest request;
    const std::string content(4, '\0');
    request.AddInput(0, served.model.info().inputs[0].datatype, {1}, content.data(), 4);
    for (bool refuse : {true, false, true, false}) {
      request.RefuseMemory(refuse);
      EXPECT_EQ(request.Run(served.model), refuse ? SMI_RESOURCE_EXHAUSTED : SMI_OK) << name;
      EXPECT_EQ(request.answers(), 1);
      EXPECT_THAT(request.error(), HasSubstr(refuse ? "'y'" : ""));
    }
  }
}

// An input that is refused must not leave the slot with half a picture.
TEST_F(ExecuteTest, SlotRecoversFromRefusedRequest) {
  const Served served("two_outputs.onnx");
  FakeRequest request;
  const auto set = [&](int64_t n, smi_datatype second) {
    request.ClearInputs();
    request.AddInput(0, SMI_FP32, {n}, std::vector<float>(static_cast<size_t>(n), 3));
    request.AddInput(1, second, {n}, std::vector<float>(static_cast<size_t>(n), 1));
  };
  for (int64_t n : {2, 5, 2, 5}) {
    set(n, SMI_FP32);
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    set(7 - n, SMI_INT32);
    ASSERT_EQ(request.Run(served.model), SMI_INVALID_ARGUMENT);
    set(7 - n, SMI_FP32);
    ASSERT_EQ(request.Run(served.model), SMI_OK) << request.error();
    EXPECT_EQ(request.values<float>(0), std::vector<float>(static_cast<size_t>(7 - n), 4));
  }
}

}  // namespace
}  // namespace mlos::onnxrt::testing
