// SPDX-License-Identifier: Apache-2.0
//
// The protocol's extensions beside inference, with a real daemon and plugin:
// statistics from the host's times, loading by name, the log, traces.
#include <csignal>
#include <sstream>

#include "fixture.h"

namespace mlos::test {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kOnX =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1,2]}]})";

// "m" in three versions, which scale by their number.
void BringVersions(Daemon& daemon) {
  daemon.BringPlugin(TemplatePlugin());
  for (const char* version : {"1", "2", "3"}) {
    const std::string path = daemon.dir() / (std::string(version) + ".affine");
    WriteWhole(path, std::string("scale ") + version + "\noffset 0\n");
    const Reply reply = daemon.RegisterModel("m", path, std::string(R"(,"version":)") + version);
    ASSERT_EQ(201, reply.status) << Show(reply);
  }
}

// "1 READY", "2 UNAVAILABLE unloaded", …
std::vector<std::string> Index(Daemon& daemon, const std::string& body = {}) {
  std::vector<std::string> out;
  const Reply reply = daemon.Post("/v2/repository/index", body);
  EXPECT_EQ(200, reply.status) << Show(reply);
  const json::value index = ParseJson(reply.body);
  for (const json::value& entry : index.as_array()) {
    std::string line = At(entry, "/version") + " " + At(entry, "/state");
    if (entry.as_object().contains("reason")) line += " " + At(entry, "/reason");
    out.push_back(line);
  }
  return out;
}

// ---------------------------------------------------------------- statistics

TEST(V2StatisticsTest, CountsAndTimesAreThoseOfTheHost) {
  Daemon daemon;
  daemon.BringDigits();
  const std::string image = HeldOutDigits().image(0);
  for (int i = 0; i < 5; ++i) {
    const BinaryAnswer answer = daemon.InferBinary("digits", {{"image", "FP32", {1, 64}, image}});
    ASSERT_EQ("", answer.error);
  }
  const json::value stats = ParseJson(daemon.Get("/v2/models/digits/stats").body);
  const json::value& model = stats.at("model_stats").at(0);
  EXPECT_EQ("digits", At(model, "/name"));
  EXPECT_EQ("1", At(model, "/version"));
  EXPECT_EQ("5", At(model, "/inference_count"));
  EXPECT_EQ("5", At(model, "/execution_count"));
  for (const std::string member :
       {"success", "queue", "compute_input", "compute_infer", "compute_output"}) {
    EXPECT_EQ("5", At(model, "/inference_stats/" + member + "/count")) << member;
  }
  const auto ns = [&](const std::string& member) {
    return std::stoull(At(model, "/inference_stats/" + member + "/ns"));
  };
  EXPECT_GT(ns("queue"), 0u);
  EXPECT_GT(ns("compute_infer"), 0u);
  EXPECT_GT(ns("success"), ns("queue") + ns("compute_infer"));
  EXPECT_EQ("1", At(model, "/batch_stats/0/batch_size"));
  EXPECT_EQ(model, ParseJson(daemon.Get("/v2/models/stats").body).at("model_stats").at(0));
  EXPECT_STATUS(200, daemon.ModelAction("digits", "unload"));
  EXPECT_REFUSED(400, "digits", daemon.Get("/v2/models/digits/stats"));
  EXPECT_EQ("[]", At(daemon.Get("/v2/models/stats"), "/model_stats"));
}

// -------------------------------------------------------------- configuration

TEST(V2ConfigTest, IsThereForAModelThatCameWithoutOne) {
  Daemon daemon;
  daemon.BringDigits();
  const Reply reply = daemon.Get("/v2/models/digits/config");
  ASSERT_EQ(200, reply.status) << Show(reply);
  EXPECT_EQ("digits", At(reply, "/name"));
  EXPECT_EQ("onnxruntime", At(reply, "/backend"));
  EXPECT_EQ("onnxruntime_onnx", At(reply, "/platform"));
  EXPECT_EQ("image", At(reply, "/input/0/name"));
  EXPECT_EQ("TYPE_FP32", At(reply, "/input/0/data_type"));
  EXPECT_EQ("false", At(reply, "/input/0/optional"));
  // Every tensor of the configuration is one of the metadata.
  const json::value metadata = ParseJson(daemon.Get("/v2/models/digits").body);
  const json::value config = ParseJson(reply.body);
  for (const char* side : {"input", "output"}) {
    const auto& tensors = config.at(side).as_array();
    ASSERT_EQ(metadata.at(std::string(side) + "s").as_array().size(), tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      EXPECT_EQ(metadata.at(std::string(side) + "s").at(i).at("name"), tensors[i].at("name"));
    }
  }
  EXPECT_EQ(reply.body, daemon.Get("/v2/models/digits/versions/1/config").body);
  EXPECT_REFUSED(404, "nobody", daemon.Get("/v2/models/nobody/config"));
}

// ---------------------------------------------------------------- repository

TEST(V2RepositoryTest, LoadsAndUnloadsEveryVersionOfAModel) {
  Daemon daemon;
  BringVersions(daemon);
  EXPECT_THAT(Index(daemon, R"({"ready":true})"), testing::IsEmpty());
  const Reply loaded = daemon.Post("/v2/repository/models/m/load");
  EXPECT_EQ(200, loaded.status) << Show(loaded);
  EXPECT_EQ("", loaded.body);
  EXPECT_THAT(Index(daemon), testing::ElementsAre("1 READY", "2 READY", "3 READY"));
  EXPECT_STATUS(200, daemon.Post("/v2/repository/models/m/load"));
  EXPECT_EQ("3", At(daemon.InferJson("m", kOnX), "/model_version"));
  const Reply unloaded = daemon.Post("/v2/repository/models/m/unload",
                                     R"({"parameters":{"unload_dependents":false}})");
  EXPECT_EQ(200, unloaded.status) << Show(unloaded);
  EXPECT_EQ("", unloaded.body);
  EXPECT_THAT(Index(daemon),
              testing::ElementsAre("1 UNAVAILABLE unloaded", "2 UNAVAILABLE unloaded",
                                   "3 UNAVAILABLE unloaded"));
  EXPECT_REFUSED(503, "unloaded", daemon.InferJson("m", kOnX));
  EXPECT_STATUS(200, daemon.Get("/v2/health/ready"));
  EXPECT_STATUS(200, daemon.Post("/v2/repository/models/m/unload"));
  EXPECT_STATUS(200, daemon.Post("/v2/repository/models/m/load"));
  EXPECT_STATUS(200, daemon.InferJson("m", kOnX));
}

TEST(V2RepositoryTest, OnlyWhatThePolicyAdmitsIsLoaded) {
  Daemon daemon;
  BringVersions(daemon);
  const auto policy = [&](const std::string& text) {
    return daemon.Post("/api/v1/models/m/policy", R"({"version_policy":)" + text + "}");
  };
  ASSERT_EQ(200, policy(R"({"latest":{"num_versions":2}})").status);
  EXPECT_STATUS(200, daemon.Post("/v2/repository/models/m/load"));
  EXPECT_THAT(Index(daemon, R"({"ready":true})"), testing::ElementsAre("2 READY", "3 READY"));
  EXPECT_STATUS(200, daemon.Post("/v2/repository/models/m/unload"));
  ASSERT_EQ(200, policy(R"({"specific":{"versions":[1]}})").status);
  EXPECT_STATUS(200, daemon.Post("/v2/repository/models/m/load"));
  EXPECT_THAT(Index(daemon, R"({"ready":true})"), testing::ElementsAre("1 READY"));
}

TEST(V2RepositoryTest, WhatCannotBeLoadedIsSaid) {
  Daemon daemon;
  EXPECT_REFUSED(404, "nobody", daemon.Post("/v2/repository/models/nobody/load"));
  EXPECT_REFUSED(404, "nobody", daemon.Post("/v2/repository/models/nobody/unload"));
  BringVersions(daemon);
  WriteWhole(daemon.dir() / "2.affine", "scale what\n");
  EXPECT_REFUSED(400, "2.affine", daemon.Post("/v2/repository/models/m/load"));
  const auto index = Index(daemon);
  ASSERT_EQ(3u, index.size());
  EXPECT_EQ("1 READY", index[0]) << "the others serve";
  EXPECT_THAT(index[1], HasSubstr("2 UNAVAILABLE"));
  EXPECT_THAT(index[1], HasSubstr("changed"));
  EXPECT_EQ("3 READY", index[2]);
}

// -------------------------------------------------------------------- logging

TEST(V2LoggingTest, TheLogObeys) {
  Daemon daemon;
  EXPECT_EQ("true", At(daemon.Get("/v2/logging"), "/log_info"));
  EXPECT_EQ("0", At(daemon.Get("/v2/logging"), "/log_verbose_level"));
  daemon.Post("/v2/models/quiet/infer", "{}", {{"X-Request-Id", "before"}});
  const Reply changed = daemon.Post(
      "/v2/logging", R"({"log_verbose_level":1,"log_info":false,"log_format":"ISO8601"})");
  EXPECT_EQ(200, changed.status) << Show(changed);
  EXPECT_EQ("false", At(changed, "/log_info"));
  EXPECT_EQ("1", At(changed, "/log_verbose_level"));
  EXPECT_EQ("ISO8601", At(changed, "/log_format"));
  daemon.Post("/v2/models/quiet/infer", "{}", {{"X-Request-Id", "during"}});
  // An event of level info, which is off: it is not in the log.
  daemon.BringPlugin(TemplatePlugin());
  EXPECT_EQ("debug", At(daemon.Get("/api/v1/log"), "/level"));
  EXPECT_REFUSED(400, "odd", daemon.Post("/v2/logging", R"({"log_format":"odd"})"));
  EXPECT_STATUS(200, daemon.Post("/v2/logging", R"({"log_verbose_level":0,"log_info":true})"));
  daemon.Post("/v2/models/quiet/infer", "{}", {{"X-Request-Id", "after"}});
  std::istringstream log(daemon.process().log());
  bool during = false;
  for (std::string line; std::getline(log, line);) {
    if (line.find("request_id=during") == std::string::npos) continue;
    during = true;
    EXPECT_THAT(line, testing::ContainsRegex("^[0-9-]*T[0-9:.]*Z debug ")) << "UTC";
  }
  EXPECT_TRUE(during);
  EXPECT_THAT(daemon.process().log(), Not(HasSubstr("request_id=before")));
  EXPECT_THAT(daemon.process().log(), Not(HasSubstr("request_id=after")));
  EXPECT_THAT(daemon.process().log(), Not(HasSubstr("info plugin template")));
}

// ---------------------------------------------------------------------- trace

TEST(V2TraceTest, OneRequestInTwoIsWritten) {
  std::string file;
  json::array written;
  {
    Daemon daemon;
    file = daemon.data_dir() + "/trace.json";
    BringVersions(daemon);
    EXPECT_EQ(R"(["OFF"])", At(daemon.Get("/v2/trace/setting"), "/trace_level"));
    EXPECT_EQ(file, At(daemon.Get("/v2/trace/setting"), "/trace_file"));
    const Reply set = daemon.Post(
        "/v2/trace/setting",
        R"({"trace_level":["TIMESTAMPS","TENSORS"],"trace_rate":"2","trace_count":"2"})");
    EXPECT_EQ(200, set.status) << Show(set);
    EXPECT_EQ(R"(["TIMESTAMPS","TENSORS"])", At(set, "/trace_level"));
    EXPECT_REFUSED(501, "--trace-file",
                   daemon.Post("/v2/trace/setting", R"({"trace_file":"/tmp/x"})"));
    EXPECT_REFUSED(400, "'trace_rates'",
                   daemon.Post("/v2/trace/setting", R"({"trace_rates":"2"})"));
    EXPECT_REFUSED(404, "nobody", daemon.Get("/v2/models/nobody/trace/setting"));
    // Another rate for this model alone, and back.
    EXPECT_EQ(
        "7", At(daemon.Post("/v2/models/m/trace/setting", R"({"trace_rate":"7"})"), "/trace_rate"));
    EXPECT_EQ("2", At(daemon.Post("/v2/models/m/trace/setting", R"({"trace_rate":null})"),
                      "/trace_rate"));
    for (int i = 0; i < 8; ++i) EXPECT_STATUS(200, daemon.InferJson("m", kOnX));
    EXPECT_EQ("0", At(daemon.Get("/v2/trace/setting"), "/trace_count"));
    daemon.process().Signal(SIGTERM);
    EXPECT_EQ(0, daemon.process().WaitExit().value_or(-1));
    daemon.Forget();
    written = ParseJson(ReadWhole(file)).as_array();
  }
  std::vector<json::value> inputs;
  size_t heads = 0;
  for (const json::value& object : written) {
    heads += object.as_object().contains("model_name") ? 1 : 0;
    if (At(object, "/activity") == "TENSOR_QUEUE_INPUT") inputs.push_back(object);
    if (!object.as_object().contains("timestamps")) continue;
    const auto at = [&](const std::string& name) {
      for (const json::value& stamp : object.at("timestamps").as_array()) {
        if (At(stamp, "/name") == name) return stamp.at("ns").to_number<uint64_t>();
      }
      return uint64_t{0};
    };
    EXPECT_LT(at("HTTP_RECV_END"), at("QUEUE_START"));
    EXPECT_LE(at("QUEUE_START"), at("COMPUTE_START"));
    EXPECT_LT(at("COMPUTE_START"), at("COMPUTE_END"));
    EXPECT_LE(at("COMPUTE_END"), at("REQUEST_END"));
    EXPECT_LE(at("HTTP_SEND_START"), at("HTTP_SEND_END"));
  }
  EXPECT_EQ(2u, heads);
  ASSERT_EQ(2u, inputs.size());
  EXPECT_EQ("X", At(inputs[0], "/tensor/name"));
  EXPECT_EQ("1,2", At(inputs[0], "/tensor/data"));
}

// ------------------------------------------------------------------- generate

TEST(V2GenerateTest, InputsAndOutputsAreMembers) {
  Daemon daemon;
  BringVersions(daemon);
  const Reply reply = daemon.Post("/v2/models/m/versions/2/generate", R"({"X":[1,2.5]})");
  EXPECT_EQ(200, reply.status) << Show(reply);
  EXPECT_EQ("2", At(reply, "/model_version"));
  EXPECT_THAT(reply.body, HasSubstr("[2.0,5.0]"));
  const Reply stream = daemon.Post("/v2/models/m/generate_stream", R"({"X":[1,2.5]})");
  EXPECT_EQ(200, stream.status);
  EXPECT_THAT(stream.body, testing::StartsWith(R"(data: {"model_name":"m")"));
  EXPECT_REFUSED(404, "nobody", daemon.Post("/v2/models/nobody/generate", R"({"X":[1]})"));
}

}  // namespace
}  // namespace mlos::test
