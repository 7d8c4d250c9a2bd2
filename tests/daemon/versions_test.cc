// SPDX-License-Identifier: Apache-2.0
//
// Several versions of a model, several versions of a plugin, several plugins.
#include <filesystem>

#include "fixture.h"
#include "traffic.h"

namespace mlos::test {
namespace {

constexpr const char* kOnX =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1,2]}]})";

TEST(ModelVersionsTest, TheHighestReadyOneIsTheDefault) {
  Daemon daemon;
  daemon.BringPlugin(TemplatePlugin());
  for (const char* version : {"1", "2", "10"}) {
    const std::string path = daemon.dir() / (std::string(version) + ".affine");
    WriteWhole(path, std::string("scale ") + version + "\noffset 0\n");
    const Reply reply = daemon.RegisterModel("m", path, std::string(R"(,"version":)") + version);
    ASSERT_EQ(201, reply.status) << Show(reply);
  }
  ASSERT_EQ(200, daemon.ModelAction("m", "load", "1").status);
  ASSERT_EQ(200, daemon.ModelAction("m", "load", "2").status);
  const auto answered_by = [&](const std::string& target, const std::vector<double>& data) {
    const Reply reply = daemon.Post("/v2/models/m" + target + "/infer", kOnX);
    EXPECT_EQ(200, reply.status) << Show(reply);
    EXPECT_EQ(data, Numbers(reply, "/outputs/0/data"));
    return At(reply, "/model_version");
  };
  EXPECT_EQ("2", answered_by("", {2, 4}));
  EXPECT_EQ("1", answered_by("/versions/1", {1, 2}));
  EXPECT_EQ("10", answered_by("/versions/10", {10, 20}));  // on demand
  EXPECT_EQ("10", answered_by("", {10, 20}));
  EXPECT_EQ(R"(["1","2","10"])", At(daemon.Get("/v2/models/m"), "/versions"));
  EXPECT_EQ(R"(["2"])", At(daemon.Get("/v2/models/m/versions/2"), "/versions"));
  ASSERT_EQ(200, daemon.ModelAction("m", "unload", "10").status);
  EXPECT_EQ("2", answered_by("", {2, 4}));
  EXPECT_REFUSED(503, "unloaded", daemon.Post("/v2/models/m/versions/10/infer", kOnX));
  EXPECT_REFUSED(404, "3", daemon.Post("/v2/models/m/versions/3/infer", kOnX));
  EXPECT_EQ("1", At(daemon.Get("/api/v1/models/m"), "/models/0/version"));
  EXPECT_EQ("10", At(daemon.Get("/api/v1/models/m"), "/models/2/version"));
  ASSERT_EQ(200, daemon.ModelAction("m", "unload", "2").status);
  ASSERT_EQ(200, daemon.Delete("/api/v1/models/m/versions/2").status);
  EXPECT_EQ("1", answered_by("", {1, 2}));
}

TEST(ModelVersionsTest, ALabelStandsForAVersion) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  ASSERT_EQ(201, daemon
                     .RegisterModel("m-echo", SourcePath("tests/plugins/model.test"),
                                    R"(,"plugin":"echo","version":2)")
                     .status);
  const auto label = [&](const std::string& body) {
    return daemon.Post("/api/v1/models/m-echo/labels", body);
  };
  ASSERT_EQ(200, label(R"({"label":"stable","version":1})").status);
  const std::string infer = "/v2/models/m-echo/versions/stable/infer";
  EXPECT_EQ("1", At(daemon.Post(infer, kOnX), "/model_version"));
  ASSERT_EQ(200, label(R"({"label":"stable","version":"2"})").status);
  EXPECT_EQ("2", At(daemon.Post(infer, kOnX), "/model_version"));
  EXPECT_STATUS(200, daemon.Get("/v2/models/m-echo/versions/stable/ready"));
  ASSERT_EQ(200, label(R"({"label":"stable"})").status);
  EXPECT_REFUSED(404, "stable", daemon.Post(infer, kOnX));
}

TEST(ModelVersionsTest, APolicyThatIsLiftedLetsTheOthersServeAgain) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  ASSERT_EQ(201, daemon
                     .RegisterModel("m-echo", SourcePath("tests/plugins/model.test"),
                                    R"(,"plugin":"echo","version":2)")
                     .status);
  ASSERT_EQ(200, daemon.ModelAction("m-echo", "load", "2").status);
  const auto policy = [&](const std::string& text) {
    return daemon.Post("/api/v1/models/m-echo/policy", R"({"version_policy":)" + text + "}");
  };
  ASSERT_EQ(200, policy(R"({"latest":{"num_versions":1}})").status);
  const std::string infer = "/v2/models/m-echo/versions/1/infer";
  ASSERT_TRUE(WaitUntil(
      [&] { return At(daemon.Get("/api/v1/models/m-echo/versions/1"), "/state") == "unloaded"; }));
  EXPECT_REFUSED(503, "version policy", daemon.Post(infer, kOnX));
  ASSERT_EQ(200, policy(R"({"all":{}})").status);
  EXPECT_EQ("1", At(daemon.Post(infer, kOnX), "/model_version"));
  EXPECT_EQ("", At(daemon.Get("/api/v1/models/m-echo/versions/1"), "/reason"));
}

TEST(PluginVersionsTest, ACopyWithAnotherVersionIsLoadedBesideTheFirst) {
  Daemon daemon;
  daemon.BringDigits();
  const std::string copy = CopyAsVersion(OnnxPlugin(), daemon.dir() / "copy", "1.1.0");
  daemon.BringPlugin(copy);
  const auto hosts = daemon.Hosts();
  ASSERT_EQ(2u, hosts.size());
  EXPECT_NE(hosts.at("onnxruntime 1.0.0").pid, hosts.at("onnxruntime 1.1.0").pid);
  const Reply versions = daemon.Get("/api/v1/plugins/onnxruntime");
  EXPECT_EQ("1.0.0", At(versions, "/plugins/0/version"));
  EXPECT_EQ("true", At(versions, "/plugins/0/active"));  // the first that was loaded
  EXPECT_EQ("1", At(versions, "/plugins/0/models"));
  EXPECT_EQ("1.1.0", At(versions, "/plugins/1/version"));
  EXPECT_EQ("false", At(versions, "/plugins/1/active"));

  // Without the first the second is the active one, and runs the model.
  ASSERT_EQ(200, daemon.ModelAction("digits", "unload").status);
  ASSERT_EQ(200, daemon.PluginAction("onnxruntime", "unload").status);
  const Reply model = daemon.ModelAction("digits", "load");
  EXPECT_EQ("1.1.0", At(model, "/plugin_version")) << Show(model);
  const Digits digits = HeldOutDigits();
  const BinaryAnswer answer =
      daemon.InferBinary("digits", {{"image", "FP32", {1, 64}, digits.image(0)}});
  ASSERT_EQ("", answer.error);
  EXPECT_EQ(digits.labels[0], ValuesOf<int64_t>(answer.outputs.at("label").bytes)[0]);
}

TEST(PluginsTest, TwoPluginsServeAtOnce) {
  Daemon daemon;
  daemon.BringDigits();
  daemon.BringPlugin(TemplatePlugin());
  ASSERT_EQ(201,
            daemon.RegisterModel("affine", SourcePath("plugins/template/model.affine")).status);
  const Digits digits = HeldOutDigits();
  for (size_t i = 0; i < 50; ++i) {
    const Reply affine = daemon.InferJson("affine", kOnX);
    ASSERT_EQ((std::vector<double>{3, 5}), Numbers(affine, "/outputs/0/data")) << Show(affine);
    const BinaryAnswer answer =
        daemon.InferBinary("digits", {{"image", "FP32", {1, 64}, digits.image(i)}});
    ASSERT_EQ("", answer.error);
  }
  EXPECT_EQ("onnxruntime", At(daemon.Get("/api/v1/models/digits/versions/1"), "/plugin"));
  EXPECT_EQ("template", At(daemon.Get("/api/v1/models/affine/versions/1"), "/plugin"));
}

TEST(PluginsTest, AFormatThatTwoPluginsClaimNeedsAName) {
  Daemon daemon;
  ASSERT_EQ(201, daemon.RegisterPlugin(TestPlugin("echo")).status);
  ASSERT_EQ(201, daemon.RegisterPlugin(TestPlugin("slow")).status);
  const std::string model = SourcePath("tests/plugins/model.test");
  EXPECT_REFUSED(400, "echo and slow", daemon.RegisterModel("m", model));
  EXPECT_STATUS(201, daemon.RegisterModel("m", model, R"(,"plugin":"slow")"));
}

TEST(PluginsTest, ADirectoryOfPackagesIsRegisteredAtStart) {
  const std::string packages = std::filesystem::path(TemplatePlugin()).parent_path().parent_path();
  Daemon daemon({"--plugin-dir", packages});
  EXPECT_EQ("registered", At(daemon.Get("/api/v1/plugins/template/versions/1.0.0"), "/state"));
  EXPECT_STATUS(200, daemon.Get("/api/v1/plugins/onnxruntime/versions/1.0.0"));
  EXPECT_EQ(0u, daemon.Hosts().size());
}

}  // namespace
}  // namespace mlos::test
