// SPDX-License-Identifier: Apache-2.0
//
// What the configuration of a registered model does when the model is loaded.
#include "fixture.h"

namespace mlos::test {
namespace {

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// The digits model with a configuration; what its load answers.
Reply LoadWith(Daemon& daemon, const std::string& name, const std::string& config) {
  const Reply registered = daemon.RegisterModel(name, SourcePath("examples/digits/model.onnx"),
                                                R"(,"config":)" + config);
  EXPECT_EQ(201, registered.status) << Show(registered);
  return daemon.ModelAction(name, "load");
}

TEST(ModelConfigTest, WhatIsIgnoredIsWarnedOfOnceForEachLoad) {
  Daemon daemon;
  daemon.BringPlugin(OnnxPlugin());
  const std::string config = R"({"dynamic_batching":{"max_queue_delay_microseconds":100},)"
                             R"("instance_group":[{"count":1,"gpus":[0]},{"count":1,"gpus":[1]}]})";
  EXPECT_STATUS(200, LoadWith(daemon, "m", config));
  const std::string log = daemon.process().log();
  EXPECT_EQ(1u, CountOf(log, "dynamic_batching is ignored"));
  EXPECT_EQ(1u, CountOf(log, "instance_group.gpus is ignored"));
  ASSERT_EQ(200, daemon.ModelAction("m", "unload").status);
  ASSERT_EQ(200, daemon.ModelAction("m", "load").status);
  EXPECT_EQ(2u, CountOf(daemon.process().log(), "dynamic_batching is ignored"));
}

TEST(ModelConfigTest, WhatContradictsTheModelFailsTheLoad) {
  Daemon daemon;
  daemon.BringPlugin(OnnxPlugin());
  EXPECT_REFUSED(503, "input 'picture' is none of the model's",
                 LoadWith(daemon, "a", R"({"input":[{"name":"picture"}]})"));
  EXPECT_REFUSED(503, "TYPE_INT8",
                 LoadWith(daemon, "b", R"({"input":[{"name":"image","data_type":"TYPE_INT8"}]})"));
  EXPECT_REFUSED(503, "[63]", LoadWith(daemon, "c", R"({"input":[{"name":"image","dims":[63]}]})"));
  EXPECT_REFUSED(503, "'tensorrt'", LoadWith(daemon, "d", R"({"backend":"tensorrt"})"));
  EXPECT_REFUSED(503, "name 'other'", LoadWith(daemon, "e", R"({"name":"other"})"));
  EXPECT_EQ("failed", At(daemon.Get("/api/v1/models/b/versions/1"), "/state"));
  // The host has none of them: another one loads, and serves.
  EXPECT_STATUS(200, LoadWith(daemon, "good", R"({"input":[{"name":"image"}]})"));
  EXPECT_EQ("1", At(daemon.Get("/api/v1/plugins/onnxruntime"), "/plugins/0/models"));
}

}  // namespace
}  // namespace mlos::test
