// SPDX-License-Identifier: Apache-2.0
//
// The main job from a client's side: register, load, infer, and every answer
// that the steps give on the way.
#include <filesystem>

#include "fixture.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kOnX =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1,2]}]})";

TEST(FlowTest, DigitsAreReadInJsonAndInBinary) {
  const Digits digits = HeldOutDigits();
  Daemon daemon;
  const Reply registered = daemon.RegisterPlugin(OnnxPlugin());
  ASSERT_EQ(201, registered.status) << Show(registered);
  EXPECT_EQ("registered", At(registered, "/state"));
  EXPECT_EQ(R"(["onnx"])", At(registered, "/formats"));
  const Reply loaded = daemon.PluginAction("onnxruntime", "load");
  ASSERT_EQ(200, loaded.status) << Show(loaded);
  EXPECT_EQ("ready", At(loaded, "/state"));
  EXPECT_EQ("true", At(loaded, "/active"));
  const Reply model = daemon.RegisterModel("digits", SourcePath("examples/digits/model.onnx"));
  ASSERT_EQ(201, model.status) << Show(model);
  EXPECT_EQ("onnxruntime", At(model, "/plugin"));
  EXPECT_EQ("1", At(model, "/version"));

  // The first request loads the model: all images in one.
  const auto count = static_cast<int64_t>(digits.count());
  const BinaryAnswer all =
      daemon.InferBinary("digits", {{"image", "FP32", {count, 64}, digits.pixels}});
  ASSERT_EQ("", all.error);
  const auto labels = ValuesOf<int64_t>(all.outputs.at("label").bytes);
  const auto rows = ValuesOf<float>(all.outputs.at("probabilities").bytes);
  ASSERT_EQ(digits.count(), labels.size());
  ASSERT_EQ(digits.count() * 10, rows.size());
  size_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += labels[i] == digits.labels[i];
  EXPECT_GE(static_cast<double>(right) / static_cast<double>(count), 0.97);

  // The same one by one, as JSON.
  for (size_t i = 0; i < digits.count(); ++i) {
    const auto image = ValuesOf<float>(digits.image(i));
    const boost::json::array data(image.begin(), image.end());
    const Reply reply = daemon.InferJson(
        "digits", R"({"id":"no )" + std::to_string(i) +
                      R"(","inputs":[{"name":"image","datatype":"FP32","shape":[1,64],"data":)" +
                      boost::json::serialize(data) + "}]}");
    ASSERT_EQ(200, reply.status) << Show(reply);
    EXPECT_EQ("no " + std::to_string(i), At(reply, "/id"));
    ASSERT_EQ("[" + std::to_string(labels[i]) + "]", At(reply, "/outputs/0/data"));
    const auto body = ParseJson(reply.body);
    for (size_t k = 0; k < 10; ++k) {
      const auto given = body.at_pointer("/outputs/1/data").at(k).to_number<double>();
      ASSERT_NEAR(rows[i * 10 + k], given, 1e-5);
    }
  }
}

TEST(FlowTest, MetadataLoadsAModelAndDescribesIt) {
  Daemon daemon;
  daemon.BringPlugin(OnnxPlugin());
  ASSERT_EQ(201, daemon.RegisterModel("digits", SourcePath("examples/digits/model.onnx")).status);
  EXPECT_STATUS(400, daemon.Get("/v2/models/digits/ready"));
  const Reply metadata = daemon.Get("/v2/models/digits");
  ASSERT_EQ(200, metadata.status) << Show(metadata);
  EXPECT_EQ(R"([{"name":"image","datatype":"FP32","shape":[-1,64]}])", At(metadata, "/inputs"));
  EXPECT_EQ(R"({"name":"label","datatype":"INT64","shape":[-1]})", At(metadata, "/outputs/0"));
  EXPECT_EQ("onnxruntime_onnx", At(metadata, "/platform"));
  EXPECT_STATUS(200, daemon.Get("/v2/models/digits/ready"));
  EXPECT_EQ("ready", At(daemon.Get("/api/v1/models/digits/versions/1"), "/state"));
}

TEST(FlowTest, HealthAndStatusSayWhatIs) {
  Daemon daemon;
  EXPECT_STATUS(200, daemon.Get("/v2/health/live"));
  EXPECT_STATUS(200, daemon.Get("/v2/health/ready"));
  EXPECT_STATUS(200, daemon.Get("/v2"));
  EXPECT_STATUS(200, daemon.Get("/v2/"));
  const Reply status = daemon.Get("/api/v1/status");
  EXPECT_EQ(std::to_string(daemon.pid()), At(status, "/pid"));
  EXPECT_EQ("true", At(status, "/ready"));
  EXPECT_EQ("off", At(status, "/auth"));
  EXPECT_EQ("none", At(status, "/sandbox_tier"));
  for (const char* member : {"/version", "/uptime_s"}) EXPECT_NE("", At(status, member)) << member;
}

TEST(FlowTest, RegisteringTwiceIsTheSameAndOtherContentIsAConflict) {
  Daemon daemon;
  const std::string model = SourcePath("plugins/template/model.affine");
  EXPECT_STATUS(201, daemon.RegisterPlugin(TemplatePlugin()));
  EXPECT_STATUS(200, daemon.RegisterPlugin(TemplatePlugin()));
  EXPECT_STATUS(200, daemon.RegisterPlugin(TemplatePlugin() + "/"));  // as a shell completes it
  EXPECT_STATUS(201, daemon.RegisterModel("m", model));
  EXPECT_STATUS(200, daemon.RegisterModel("m", model));
  EXPECT_STATUS(200, daemon.RegisterModel("m", model, R"(,"version":1)"));
  EXPECT_STATUS(200, daemon.RegisterModel("m", model, R"(,"version":"1","plugin":"template")"));
  EXPECT_REFUSED(409, "model m version 1",
                 daemon.RegisterModel("m", model, R"(,"config":{"max_batch_size":2})"));
  const std::string other = daemon.dir() / "other.affine";
  WriteWhole(other, "scale 1\noffset 0\n");
  EXPECT_REFUSED(409, "model m version 1", daemon.RegisterModel("m", other));
  EXPECT_EQ("ALREADY_EXISTS", At(daemon.RegisterModel("m", other), "/error/code"));

  const std::string copy = daemon.dir() / "package";
  std::filesystem::copy(TemplatePlugin(), copy);
  EXPECT_REFUSED(409, "plugin template 1.0.0", daemon.RegisterPlugin(copy));
}

TEST(FlowTest, LoadAndUnloadMayBeRepeated) {
  Daemon daemon;
  ASSERT_EQ(201, daemon.RegisterPlugin(TemplatePlugin()).status);
  ASSERT_EQ(201, daemon.RegisterModel("m", SourcePath("plugins/template/model.affine")).status);
  EXPECT_REFUSED(409, "template", daemon.ModelAction("m", "load"));  // no plugin is loaded
  EXPECT_REFUSED(503, "template", daemon.InferJson("m", kOnX));
  for (int i = 0; i < 2; ++i) EXPECT_STATUS(200, daemon.PluginAction("template", "load"));
  for (int i = 0; i < 2; ++i) EXPECT_STATUS(200, daemon.ModelAction("m", "load"));
  EXPECT_STATUS(200, daemon.InferJson("m", kOnX));
  EXPECT_REFUSED(409, "unload", daemon.PluginAction("template", "unload"));  // a model runs on it
  for (int i = 0; i < 2; ++i) EXPECT_STATUS(200, daemon.ModelAction("m", "unload"));
  EXPECT_REFUSED(503, "unloaded", daemon.InferJson("m", kOnX));
  EXPECT_REFUSED(503, "unloaded", daemon.Get("/v2/models/m"));
  EXPECT_STATUS(200, daemon.Get("/v2/health/ready"));  // what was unloaded is not missed
  for (int i = 0; i < 2; ++i) EXPECT_STATUS(200, daemon.PluginAction("template", "unload"));
  EXPECT_EQ(0u, daemon.Hosts().size());
  EXPECT_STATUS(200, daemon.PluginAction("template", "load"));
  EXPECT_REFUSED(503, "unloaded", daemon.InferJson("m", kOnX));
  EXPECT_STATUS(200, daemon.ModelAction("m", "load"));
  EXPECT_STATUS(200, daemon.InferJson("m", kOnX));
}

TEST(FlowTest, WithoutWaitingTheAnswerIs202AndTheStateFollows) {
  Daemon daemon;
  ASSERT_EQ(201, daemon.RegisterPlugin(OnnxPlugin()).status);
  const Reply loading = daemon.PluginAction("onnxruntime", "load?wait=false");
  EXPECT_EQ(202, loading.status) << Show(loading);
  EXPECT_EQ("loading", At(loading, "/state"));
  EXPECT_TRUE(WaitUntil([&] {
    return At(daemon.Get("/api/v1/plugins/onnxruntime/versions/1.0.0"), "/state") == "ready";
  }));
  ASSERT_EQ(201, daemon.RegisterModel("digits", SourcePath("examples/digits/model.onnx")).status);
  EXPECT_STATUS(202, daemon.ModelAction("digits", "load?wait=false"));
  EXPECT_TRUE(WaitUntil(
      [&] { return At(daemon.Get("/api/v1/models/digits/versions/1"), "/state") == "ready"; }));
  EXPECT_STATUS(202, daemon.ModelAction("digits", "unload?wait=false"));
  EXPECT_TRUE(WaitUntil(
      [&] { return At(daemon.Get("/api/v1/models/digits/versions/1"), "/state") == "unloaded"; }));
  // What is wrong at once is said at once.
  EXPECT_STATUS(404, daemon.ModelAction("nobody", "load?wait=false"));
  EXPECT_STATUS(202, daemon.PluginAction("onnxruntime", "unload?wait=false"));
  EXPECT_REFUSED(409, "onnxruntime", daemon.ModelAction("digits", "load?wait=false"));
  EXPECT_TRUE(WaitUntil([&] { return daemon.Hosts().empty(); }));
}

TEST(FlowTest, RemovingNeedsUnloadingFirst) {
  Daemon daemon;
  daemon.BringPlugin(TemplatePlugin());
  ASSERT_EQ(201, daemon.RegisterModel("m", SourcePath("plugins/template/model.affine")).status);
  ASSERT_EQ(200, daemon.ModelAction("m", "load").status);
  EXPECT_REFUSED(409, "unload it first", daemon.Delete("/api/v1/models/m/versions/1"));
  EXPECT_REFUSED(409, "unload it first", daemon.Delete("/api/v1/plugins/template/versions/1.0.0"));
  EXPECT_STATUS(200, daemon.InferJson("m", kOnX));
  ASSERT_EQ(200, daemon.ModelAction("m", "unload").status);
  EXPECT_STATUS(200, daemon.Delete("/api/v1/models/m/versions/1"));
  EXPECT_REFUSED(404, "m", daemon.Delete("/api/v1/models/m/versions/1"));
  EXPECT_REFUSED(404, "m", daemon.InferJson("m", kOnX));
  EXPECT_EQ("[]", At(daemon.Get("/api/v1/models"), "/models"));
  ASSERT_EQ(200, daemon.PluginAction("template", "unload").status);
  EXPECT_STATUS(200, daemon.Delete("/api/v1/plugins/template/versions/1.0.0"));
  EXPECT_STATUS(404, daemon.Get("/api/v1/plugins/template"));
  EXPECT_EQ("[]", At(daemon.Get("/api/v1/plugins"), "/plugins"));
  EXPECT_STATUS(201, daemon.RegisterPlugin(TemplatePlugin()));
}

TEST(FlowTest, HostsAreListedAndHoldThePluginsCodeWhichTheDaemonDoesNot) {
  Daemon daemon;
  daemon.BringPlugin(TemplatePlugin());
  daemon.BringDigits();
  EXPECT_STATUS(201, daemon.RegisterModel("m", SourcePath("plugins/template/model.affine")));
  EXPECT_STATUS(200, daemon.InferJson("m", kOnX));
  const Reply reply = daemon.Get("/api/v1/hosts");
  ASSERT_EQ(200, reply.status);
  const auto hosts = daemon.Hosts();
  ASSERT_EQ(2u, hosts.size()) << reply.body;
  for (const auto& [name, host] : hosts) {
    EXPECT_EQ("ready", host.state) << name;
    EXPECT_EQ(0, host.restarts) << name;
    EXPECT_NE(daemon.pid(), host.pid) << name;
  }
  EXPECT_GT(ParseJson(reply.body).at_pointer("/hosts/0/rss_bytes").to_number<int64_t>(), 1 << 20);
  const std::string core = Maps(daemon.pid());
  EXPECT_THAT(core, HasSubstr("mlosd"));
  for (const char* library : {"libtemplate", "onnxruntime"}) {
    EXPECT_THAT(core, Not(HasSubstr(library)));
  }
  const std::string onnx = Maps(hosts.at("onnxruntime 1.0.0").pid);
  EXPECT_THAT(onnx, HasSubstr("libonnxruntime"));
  EXPECT_THAT(onnx, Not(HasSubstr("libtemplate")));
  EXPECT_THAT(Maps(hosts.at("template 1.0.0").pid), HasSubstr("libtemplate"));
}

TEST(FlowTest, AUnixSocketServesAsWell) {
  const TempDir dir;
  const std::string socket = "unix:" + (dir / "http.sock");
  Daemon daemon({"--http-address", socket});
  HttpClient client(socket);
  EXPECT_STATUS(200, client.Send("GET", "/v2/health/live"));
  EXPECT_STATUS(200, daemon.Get("/v2/health/live"));
}

}  // namespace
}  // namespace mlos::test
