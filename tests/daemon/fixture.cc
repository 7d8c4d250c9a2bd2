// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace mlos::test {
namespace json = boost::json;

std::string SourcePath(const std::string& path) {
  return std::string(MLOS_SOURCE_DIR) + "/" + path;
}
std::string TestData(const std::string& name) {
  return SourcePath("plugins/onnxruntime/testdata/" + name);
}
std::string TestPlugin(const std::string& name) {
  return std::string(MLOS_TEST_PLUGIN_PACKAGES) + "/" + name + "/1.0.0";
}
std::string TemplatePlugin() { return std::string(MLOS_PLUGIN_PACKAGES) + "/template/1.0.0"; }

std::string OnnxPlugin() {
  std::string path = std::string(MLOS_PLUGIN_PACKAGES) + "/onnxruntime/1.0.0";
  if (!std::filesystem::exists(path + "/plugin.yaml")) {
    ADD_FAILURE() << "this build has no ONNX Runtime plugin, which this test needs: run "
                     "scripts/fetch-onnxruntime, then configure and build again";
  }
  return path;
}

Digits HeldOutDigits() {
  Digits digits{ReadWhole(SourcePath("examples/digits/heldout.f32")),
                ReadWhole(SourcePath("examples/digits/heldout.labels"))};
  EXPECT_GE(digits.count(), 400u);
  EXPECT_EQ(digits.pixels.size(), digits.count() * 256);
  return digits;
}

int Daemon::InFlight(const std::string& model) {
  const std::string page(HttpClient(metrics_address_).Send("GET", "/metrics").body);
  const size_t line = page.find("mlos_requests_in_flight{model=\"" + model + "\"");
  const size_t value = line == std::string::npos ? line : page.find("} ", line);
  return value == std::string::npos ? 0 : std::atoi(page.c_str() + value + 2);
}

std::string Show(const Reply& reply) {
  return "answered " + std::to_string(reply.status) + ": " + reply.body.substr(0, 1000);
}

Daemon::Daemon(const std::vector<std::string>& args) : data_dir_(dir_ / "data") {
  const std::string addresses = dir_ / "addresses.json";
  std::vector<std::string> all{"--auth",     "off",     "--http-address",    "127.0.0.1:0",
                               "--data-dir", data_dir_, "--print-addresses", addresses};
  if (std::find(args.begin(), args.end(), "--metrics-address") == args.end()) {
    all.insert(all.end(), {"--metrics-address", "127.0.0.1:0"});
  }
  all.insert(all.end(), args.begin(), args.end());
  process_ = std::make_unique<DaemonProcess>(all, dir_ / "log");
  WaitUntil([&] { return std::filesystem::exists(addresses) || !process_->Running(); });
  const json::value in_use = ParseJson(ReadWhole(addresses));
  EXPECT_EQ(At(in_use, "/pid"), std::to_string(pid())) << process_->log();
  address_ = At(in_use, "/http");
  grpc_address_ = At(in_use, "/grpc");
  metrics_address_ = At(in_use, "/metrics");
  client_ = std::make_unique<HttpClient>(address_);
}

Daemon::~Daemon() {
  if (testing::Test::HasFailure()) {
    std::fprintf(stderr, "the daemon's log:\n%s\n", process_->log().c_str());
  }
  if (forgotten_) return;
  EXPECT_TRUE(process_->Running()) << "the daemon has ended by itself";
  process_->Signal(SIGTERM);
  const auto status = process_->WaitExit();
  EXPECT_EQ(0, status.value_or(-1)) << process_->log();
}

Reply Daemon::RegisterPlugin(const std::string& path) {
  return Post("/api/v1/plugins", json::serialize(json::object{{"path", path}}));
}

Reply Daemon::PluginAction(const std::string& name, const std::string& action,
                           const std::string& version) {
  return Post("/api/v1/plugins/" + name + "/versions/" + version + "/" + action);
}

Reply Daemon::RegisterModel(const std::string& name, const std::string& path,
                            const std::string& more) {
  return Post("/api/v1/models", R"({"name":)" + json::serialize(json::string(name)) +
                                    R"(,"path":)" + json::serialize(json::string(path)) + more +
                                    "}");
}

Reply Daemon::ModelAction(const std::string& name, const std::string& action,
                          const std::string& version) {
  return Post("/api/v1/models/" + name + "/versions/" + version + "/" + action);
}

Reply Daemon::InferJson(const std::string& model, const std::string& body) {
  return Post("/v2/models/" + model + "/infer", body);
}

BinaryAnswer Daemon::InferBinary(const std::string& model, const std::vector<Tensor>& inputs) {
  const BinaryRequest request = MakeBinary(inputs);
  return ReadBinary(Post("/v2/models/" + model + "/infer", request.body, request.headers()));
}

void Daemon::BringPlugin(const std::string& path) {
  const Reply registered = RegisterPlugin(path);
  ASSERT_EQ(201, registered.status) << Show(registered);
  const Reply loaded = PluginAction(At(registered, "/name"), "load", At(registered, "/version"));
  ASSERT_EQ(200, loaded.status) << Show(loaded);
}

void Daemon::BringTestModel(const std::string& plugin, const std::string& more) {
  BringPlugin(TestPlugin(plugin));
  const Reply registered = RegisterModel("m-" + plugin, SourcePath("tests/plugins/model.test"),
                                         R"(,"plugin":")" + plugin + "\"" + more);
  ASSERT_EQ(201, registered.status) << Show(registered);
  const Reply loaded = ModelAction("m-" + plugin, "load");
  ASSERT_EQ(200, loaded.status) << Show(loaded);
}

void Daemon::BringDigits() {
  BringPlugin(OnnxPlugin());
  EXPECT_STATUS(201, RegisterModel("digits", SourcePath("examples/digits/model.onnx")));
  EXPECT_STATUS(200, ModelAction("digits", "load"));
}

std::map<std::string, Daemon::Host> Daemon::Hosts() {
  std::map<std::string, Host> out;
  const json::value body = ParseJson(Get("/api/v1/hosts").body);
  for (const json::value& host : body.at("hosts").as_array()) {
    EXPECT_TRUE(host.at("pid").is_null() || host.at("pid").to_number<int64_t>() > 1)
        << boost::json::serialize(host);
    out[At(host, "/plugin") + " " + At(host, "/version")] = {
        host.at("pid").is_null() ? 0 : host.at("pid").to_number<pid_t>(),
        host.at("restarts").to_number<int64_t>(), At(host, "/state")};
  }
  return out;
}

Daemon::Host Daemon::HostOf(const std::string& plugin, const std::string& version) {
  return Hosts()[plugin + " " + version];
}

// --------------------------------------------------------------- UnharmedTest

std::unique_ptr<Daemon> UnharmedTest::daemon_;

void UnharmedTest::SetUpTestSuite() {
  daemon_ = std::make_unique<Daemon>();
  daemon_->BringPlugin(TemplatePlugin());
  daemon_->BringDigits();
  EXPECT_STATUS(201,
                daemon_->RegisterModel("bystander", SourcePath("plugins/template/model.affine")));
}

void UnharmedTest::TearDownTestSuite() { daemon_.reset(); }

void UnharmedTest::SetUp() {
  pid_ = daemon().pid();
  hosts_ = daemon().Hosts();
}

void UnharmedTest::TearDown() {
  ASSERT_TRUE(daemon().process().Running()) << daemon().process().log();
  EXPECT_EQ(At(daemon().Get("/api/v1/status"), "/pid"), std::to_string(pid_));
  const Reply bystander = daemon().InferJson(
      "bystander", R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1,2]}]})");
  EXPECT_EQ((std::vector<double>{3, 5}), Numbers(bystander, "/outputs/0/data")) << Show(bystander);
  for (const auto& [name, host] : daemon().Hosts()) {
    const std::string plugin = name.substr(0, name.find(' '));
    if (std::find(mortal_.begin(), mortal_.end(), plugin) != mortal_.end()) continue;
    EXPECT_EQ(0, host.restarts) << name;
    if (hosts_.count(name) == 0) continue;  // came in this test
    EXPECT_EQ(hosts_[name].pid, host.pid) << name;
  }
}

}  // namespace mlos::test
