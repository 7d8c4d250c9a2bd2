// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/configure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace mlos::lifecycle {
namespace {

using testing::HasSubstr;

ModelInfo Info() {
  ModelInfo info;
  info.inputs = {{"x", tensor::Datatype::kFp32, {-1, 2}, false}};
  info.outputs = {{"plain", tensor::Datatype::kFp32, {-1, 1}, false},
                  {"named", tensor::Datatype::kFp32, {-1, 3}, false}};
  info.max_batch_size = 4;
  info.platform = "p_format";
  return info;
}

catalog::ModelVersion Model(const char* config) {
  catalog::ModelVersion model;
  model.name = "m";
  model.plugin = "p";
  model.config = boost::json::parse(config).as_object();
  return model;
}

TEST(ConfigureTest, ARouteCarriesAllOfTheConfiguration) {
  const auto settings = Configure(Model(R"({"dynamic_batching":{}})"), Info());
  ASSERT_TRUE(settings.ok()) << settings.status();
  const auto config = boost::json::parse((*settings)->config).as_object();
  EXPECT_EQ("m", config.at("name").as_string());
  EXPECT_EQ("p", config.at("backend").as_string());
  EXPECT_EQ(4, config.at("max_batch_size").as_int64());
  EXPECT_EQ("x", config.at("input").as_array().at(0).at("name").as_string());
  EXPECT_TRUE(config.contains("dynamic_batching"));
  EXPECT_TRUE((*settings)->labels.empty());
}

TEST(ConfigureTest, LabelsStandInTheOrderOfTheOutputs) {
  catalog::ModelVersion model = Model("{}");
  using Labels = std::map<std::string, std::vector<std::string>>;
  model.labels = std::make_shared<const Labels>(Labels{{"named", {"a", "b", "c"}}});
  const auto settings = Configure(model, Info());
  ASSERT_TRUE(settings.ok()) << settings.status();
  ASSERT_EQ(2u, (*settings)->labels.size());
  EXPECT_TRUE((*settings)->labels[0].empty());
  EXPECT_EQ((std::vector<std::string>{"a", "b", "c"}), (*settings)->labels[1]);
}

TEST(ConfigureTest, WhatIsWrongIsSaidBeforeOrAfterTheLoad) {
  EXPECT_THAT(Message(ExamineConfig(Model(R"({"sequence_batching":{}})"))),
              HasSubstr("sequence_batching"));
  EXPECT_THAT(Message(ExamineConfig(Model(R"({"no_such_field":1})"))), HasSubstr("no_such_field"));
  EXPECT_THAT(Message(ExamineConfig(Model(R"({"name":"other"})"))), HasSubstr("'other'"));
  EXPECT_TRUE(ExamineConfig(Model(R"({"name":"m","dynamic_batching":{}})")).ok());
  EXPECT_THAT(Message(Configure(Model(R"({"max_batch_size":8})"), Info()).status()),
              HasSubstr("max_batch_size is 8"));
  EXPECT_EQ(StatusCode::kInvalidArgument,
            CheckGivenConfig(boost::json::parse(R"({"max_batch_size":"x"})").as_object()).code());
}

}  // namespace
}  // namespace mlos::lifecycle
