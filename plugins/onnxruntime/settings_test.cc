// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlos::onnxrt {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Settings Parsed(std::string_view config) {
  Settings settings;
  const Error error = ParseSettings(config, &settings);
  EXPECT_TRUE(error.ok()) << error.text();
  return settings;
}

std::string Refused(std::string_view config) {
  Settings settings;
  const Error error = ParseSettings(config, &settings);
  EXPECT_EQ(error.code(), SMI_INVALID_ARGUMENT) << config;
  return error.text();
}

std::string Parameter(std::string_view name, std::string_view value) {
  return "{\"parameters\":{\"" + std::string(name) + "\":{\"string_value\":\"" +
         std::string(value) + "\"}}}";
}

TEST(SettingsTest, Defaults) {
  const Settings settings = Parsed("{}");
  EXPECT_EQ(settings.max_batch_size, 0u);
  EXPECT_EQ(settings.intra_op_threads, 0u);
  EXPECT_EQ(settings.inter_op_threads, 1u);
  EXPECT_FALSE(settings.allow_spinning);
  EXPECT_EQ(settings.optimization, ORT_ENABLE_ALL);
  EXPECT_TRUE(settings.cpu_mem_arena);
  EXPECT_TRUE(settings.mem_pattern);
  EXPECT_FALSE(settings.stateful);
}

TEST(SettingsTest, EveryParameter) {
  EXPECT_EQ(Parsed(Parameter("intra_op_thread_count", "4")).intra_op_threads, 4u);
  EXPECT_EQ(Parsed(Parameter("inter_op_thread_count", "3")).inter_op_threads, 3u);
  EXPECT_TRUE(Parsed(Parameter("execution_mode", "1")).parallel_execution);
  EXPECT_EQ(Parsed(Parameter("graph_optimization_level", "basic")).optimization, ORT_ENABLE_BASIC);
  EXPECT_FALSE(Parsed(Parameter("enable_cpu_mem_arena", "0")).cpu_mem_arena);
  EXPECT_FALSE(Parsed(Parameter("enable_mem_arena", "false")).cpu_mem_arena);
  EXPECT_FALSE(Parsed(Parameter("enable_mem_pattern", "0")).mem_pattern);
  EXPECT_TRUE(Parsed(Parameter("allow_spinning", "1")).allow_spinning);
  EXPECT_TRUE(Parsed(Parameter("stateful", "true")).stateful);
}

TEST(SettingsTest, PlainValuesAreTakenToo) {
  const Settings settings =
      Parsed(R"({"parameters": {"intra_op_thread_count": 4, "stateful": true}})");
  EXPECT_EQ(settings.intra_op_threads, 4u);
  EXPECT_TRUE(settings.stateful);
}

TEST(SettingsTest, MembersOfModelConfig) {
  const Settings settings = Parsed(
      R"({"name": "m", "max_batch_size": "16", "optimization": {"graph": {"level": -1}},
          "instance_group": [{"count": 2, "kind": "KIND_CPU"}, {"count": 3}, {}]})");
  EXPECT_EQ(settings.max_batch_size, 16u);
  EXPECT_EQ(settings.optimization, ORT_ENABLE_BASIC);
  EXPECT_EQ(settings.instances, 6u);
}

TEST(SettingsTest, GraphLevels) {
  const auto level = [](const char* number) {
    return Parsed(std::string(R"({"optimization":{"graph":{"level":)") + number + "}}}")
        .optimization;
  };
  EXPECT_EQ(level("0"), ORT_ENABLE_ALL);
  EXPECT_EQ(level("1"), ORT_ENABLE_EXTENDED);
  EXPECT_EQ(level("2"), ORT_DISABLE_ALL);
}

TEST(SettingsTest, UnknownParametersAreKeptAside) {
  EXPECT_THAT(Parsed(Parameter("colour", "blue")).unknown, ElementsAre("colour"));
}

TEST(SettingsTest, BadValuesAreNamed) {
  for (const char* value : {"", "two", "-1", "257", "1.5", "99999999999999999999", "0x2"}) {
    EXPECT_THAT(Refused(Parameter("intra_op_thread_count", value)),
                AllOf(HasSubstr("'intra_op_thread_count'"), HasSubstr("'" + std::string(value)),
                      HasSubstr("256")));
  }
  EXPECT_THAT(Refused(Parameter("stateful", "yes")), HasSubstr("0, 1, true or false"));
  EXPECT_THAT(Refused(Parameter("graph_optimization_level", "most")), HasSubstr("extended"));
  EXPECT_THAT(Refused(R"({"optimization":{"graph":{"level":7}}})"), HasSubstr("'7'"));
  EXPECT_THAT(Refused(R"({"instance_group":[{"kind":"KIND_GPU"}]})"), HasSubstr("'KIND_GPU'"));
  EXPECT_THAT(Refused(R"({"max_batch_size":-1})"), HasSubstr("'max_batch_size' is '-1'"));
}

TEST(SettingsTest, BadFormIsNamed) {
  EXPECT_THAT(Refused("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refused("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(Refused(R"({"parameters":[]})"), HasSubstr("'parameters'"));
  EXPECT_THAT(Refused(R"({"parameters":{"stateful":{}}})"), HasSubstr("string_value"));
  EXPECT_THAT(Refused(R"({"instance_group":{}})"), HasSubstr("'instance_group'"));
  EXPECT_THAT(Refused(R"({"optimization":{"graph":1}})"), HasSubstr("'optimization.graph'"));
  EXPECT_THAT(Refused(std::string(2000, '[')), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace mlos::onnxrt
