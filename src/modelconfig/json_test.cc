// SPDX-License-Identifier: Apache-2.0
#include "modelconfig/json.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "modelconfig/text.h"

namespace mlos::modelconfig {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

inference::ModelConfig Text(std::string_view text) {
  const auto config = ParseText(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : inference::ModelConfig();
}

std::string Given(std::string_view text) {
  return json::serialize(ToJson(Text(text), Form::kGiven));
}

TEST(ModelConfigJsonTest, WritesWhatIsSet) {
  EXPECT_EQ("{}", Given(""));
  EXPECT_EQ(
      R"({"name":"m","max_batch_size":4,"input":[{"name":"x","data_type":"TYPE_INT64","dims":[-1,3]}],)"
      R"("parameters":{"a":{"string_value":"1"},"b":{"string_value":""}}})",
      Given(R"(name: "m" max_batch_size: 4 input { name: "x" data_type: TYPE_INT64 dims: [-1, 3] }
               parameters { key: "b" value { string_value: "" } }
               parameters { key: "a" value { string_value: "1" } })"));
}

TEST(ModelConfigJsonTest, Writes64BitsAsNumbers) {
  EXPECT_EQ(R"({"dynamic_batching":{"max_queue_delay_microseconds":18446744073709551615,)"
            R"("priority_queue_policy":{"2":{"timeout_action":"DELAY"}}}})",
            Given(R"(dynamic_batching { max_queue_delay_microseconds: 18446744073709551615
               priority_queue_policy { key: 2 value { timeout_action: DELAY } } })"));
}

// What clients look for must be there; messages that are not set must not.
TEST(ModelConfigJsonTest, TheFullFormHasEveryPlainField) {
  const json::object full =
      ToJson(Text(R"(input { name: "x" } version_policy { all {} })"), Form::kFull);
  EXPECT_EQ(json::value(""), full.at("platform"));
  EXPECT_EQ(json::value(0), full.at("max_batch_size"));
  EXPECT_EQ(json::array(), full.at("output").as_array());
  EXPECT_EQ(json::object(), full.at("parameters").as_object());
  const json::object& input = full.at("input").as_array().at(0).as_object();
  EXPECT_EQ(json::value("TYPE_INVALID"), input.at("data_type"));
  EXPECT_EQ(json::value("FORMAT_NONE"), input.at("format"));
  EXPECT_EQ(json::value(false), input.at("is_shape_tensor"));
  EXPECT_EQ(json::value(false), input.at("optional"));
  EXPECT_EQ(json::array(), input.at("dims").as_array());
  EXPECT_FALSE(input.contains("reshape"));
  EXPECT_EQ(R"({"all":{}})", json::serialize(full.at("version_policy")));
  for (const char* absent : {"dynamic_batching", "sequence_batching", "optimization",
                             "model_transaction_policy", "response_cache"}) {
    EXPECT_FALSE(full.contains(absent)) << absent;
  }
}

TEST(ModelConfigJsonTest, BothFormsAreReadAsTheSame) {
  const inference::ModelConfig config = Text(R"(
    name: "m" backend: "b" max_batch_size: 3
    input { name: "x" data_type: TYPE_STRING dims: [1] reshape { shape: [] } }
    output { name: "y" data_type: TYPE_BF16 dims: [-1] label_filename: "l" }
    version_policy { latest { num_versions: 2 } }
    sequence_batching { direct { minimum_slot_utilization: 0.1 }
      control_input { control { fp32_false_true: [0.25, inf] } } }
    model_warmup { name: "w" inputs { key: "x" value { dims: 1 zero_data: false } } }
    model_metrics { metric_control { histogram_options { buckets: [0.1, 1e300] } } })");
  for (const Form form : {Form::kGiven, Form::kFull}) {
    const auto again = FromJson(ToJson(config, form));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(config, *again))
        << again->DebugString();
  }
}

TEST(ModelConfigJsonTest, ReadsTheOtherSpellings) {
  const auto read = ParseJson(R"({
    "maxBatchSize": "8", "input": [{"name": "x", "dataType": 11, "dims": ["-1", 3.0]}],
    "parameters": {"threads": 2, "mode": "fast", "spin": false},
    "dynamic_batching": null, "optimization": {"graph": {"level": "-1"}}})");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(8, read->max_batch_size());
  EXPECT_EQ(inference::TYPE_FP32, read->input(0).data_type());
  EXPECT_EQ(-1, read->input(0).dims(0));
  EXPECT_EQ("2", read->parameters().at("threads").string_value());
  EXPECT_EQ("fast", read->parameters().at("mode").string_value());
  EXPECT_EQ("false", read->parameters().at("spin").string_value());
  EXPECT_FALSE(read->has_dynamic_batching());
  EXPECT_EQ(-1, read->optimization().graph().level());
}

TEST(ModelConfigJsonTest, SaysWhatIsWrongAndWhere) {
  const auto refused = [](std::string_view text) {
    const auto read = ParseJson(text);
    EXPECT_FALSE(read.ok()) << text;
    return std::string(Message(read.status()));
  };
  EXPECT_THAT(refused("[]"), HasSubstr("an object"));
  EXPECT_THAT(refused("{"), HasSubstr("JSON"));
  EXPECT_THAT(refused(R"({"max_batch_sise":1})"), HasSubstr("did you mean 'max_batch_size'"));
  EXPECT_THAT(refused(R"({"input":{}})"), HasSubstr("input must be an array"));
  EXPECT_THAT(refused(R"({"input":[{"dims":[1,"a"]}]})"), HasSubstr("input[0].dims[1] must be"));
  EXPECT_THAT(refused(R"({"input":[{"dims":[1.5]}]})"), HasSubstr("input[0].dims[0]"));
  EXPECT_THAT(refused(R"({"max_batch_size":2147483648})"), HasSubstr("2147483647"));
  EXPECT_THAT(refused(R"({"max_batch_size":{}})"), HasSubstr("max_batch_size"));
  EXPECT_THAT(refused(R"({"input":[{"data_type":"FP32"}]})"), HasSubstr("TYPE_FP32"));
  EXPECT_THAT(refused(R"({"input":[{"optional":"true"}]})"), HasSubstr("true or false"));
  EXPECT_THAT(refused(R"({"name":7})"), HasSubstr("name must be a text"));
  EXPECT_THAT(refused(R"({"parameters":{"a":[]}})"), HasSubstr("parameters['a']"));
  EXPECT_THAT(refused(R"({"version_policy":{"all":{},"latest":{}}})"), HasSubstr("policy_choice"));
  EXPECT_THAT(refused(R"({"dynamic_batching":{"priority_queue_policy":{"x":{}}}})"),
              HasSubstr("its key"));
}

TEST(ModelConfigJson, AFieldIsGivenOnce) {
  const auto twice = ParseJson(R"({"max_batch_size":1,"maxBatchSize":2})");
  EXPECT_EQ(StatusCode::kInvalidArgument, twice.status().code());
  EXPECT_THAT(Message(twice.status()), testing::HasSubstr("maxBatchSize"));
  EXPECT_TRUE(ParseJson(R"({"max_batch_size":1,"maxBatchSize":null})").ok());
}

}  // namespace
}  // namespace mlos::modelconfig
