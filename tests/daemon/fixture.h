// SPDX-License-Identifier: Apache-2.0
//
// A running daemon with its own data directory on a free port, and short ways
// to say what the tests say to it.  One thread; other threads make HttpClients
// of their own from address().
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon_process.h"
#include "http_client.h"
#include "wire.h"

namespace mlos::test {

std::string SourcePath(const std::string& path);  // below the repository
std::string TestData(const std::string& name);    // of the ONNX Runtime plugin
std::string TestPlugin(const std::string& name);  // a package of tests/plugins
std::string TemplatePlugin();
// The package of the ONNX Runtime plugin.  Where the build made none this fails
// the test and says how to get it.
std::string OnnxPlugin();

// The held-out digits: 64 FP32 each, and what they show.
struct Digits {
  std::string pixels;
  std::string labels;
  size_t count() const { return labels.size(); }
  std::string image(size_t i) const { return pixels.substr(i * 256, 256); }
};
Digits HeldOutDigits();

class Daemon {
 public:
  // `args` go behind those that every test needs.
  explicit Daemon(const std::vector<std::string>& args = {});
  ~Daemon();  // as SIGTERM does, and expects success

  DaemonProcess& process() { return *process_; }
  pid_t pid() const { return process_->pid(); }
  const std::string& address() const { return address_; }
  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& metrics_address() const { return metrics_address_; }
  const std::string& data_dir() const { return data_dir_; }
  const TempDir& dir() const { return dir_; }
  // The test ends the daemon in its own way.
  void Forget() { forgotten_ = true; }

  Reply Get(std::string_view target) { return client_->Send("GET", target); }
  Reply Post(std::string_view target, std::string_view body = {},
             const HttpClient::Headers& headers = {}) {
    return client_->Send("POST", target, body, headers);
  }
  Reply Delete(std::string_view target) { return client_->Send("DELETE", target); }

  Reply RegisterPlugin(const std::string& path);
  Reply PluginAction(const std::string& name, const std::string& action,
                     const std::string& version = "1.0.0");
  // `more`: further members of the body, with a comma before them.
  Reply RegisterModel(const std::string& name, const std::string& path,
                      const std::string& more = "");
  Reply ModelAction(const std::string& name, const std::string& action,
                    const std::string& version = "1");
  Reply InferJson(const std::string& model, const std::string& body);
  BinaryAnswer InferBinary(const std::string& model, const std::vector<Tensor>& inputs);

  // Registered and loaded; the test fails when that does.
  void BringPlugin(const std::string& path);
  // A test plugin with its model "m-NAME", loaded.
  void BringTestModel(const std::string& plugin, const std::string& more = "");
  void BringDigits();

  // From GET /api/v1/hosts.
  struct Host {
    pid_t pid = 0;  // 0: no process, for the moment
    int64_t restarts = 0;
    std::string state;
  };
  std::map<std::string, Host> Hosts();  // by plugin and version: "echo 1.0.0"
  Host HostOf(const std::string& plugin, const std::string& version = "1.0.0");
  // Requests of a model that the daemon has begun with, by its metrics.
  int InFlight(const std::string& model);

 private:
  const TempDir dir_;
  std::string data_dir_;
  std::string address_;
  std::string grpc_address_;
  std::string metrics_address_;
  std::unique_ptr<DaemonProcess> process_;
  std::unique_ptr<HttpClient> client_;
  bool forgotten_ = false;
};

// What a failing test shows of an answer.
std::string Show(const Reply& reply);

#define EXPECT_STATUS(want, reply)                                        \
  do {                                                                    \
    const ::mlos::test::Reply got_reply = (reply);                        \
    EXPECT_EQ((want), got_reply.status) << ::mlos::test::Show(got_reply); \
  } while (false)

// The status, and an error text that contains `text`.
#define EXPECT_REFUSED(want, text, reply)                                        \
  do {                                                                           \
    const ::mlos::test::Reply got_reply = (reply);                               \
    EXPECT_EQ((want), got_reply.status) << ::mlos::test::Show(got_reply);        \
    EXPECT_THAT(::mlos::test::ErrorText(got_reply), ::testing::HasSubstr(text)); \
  } while (false)

// One daemon for all tests of a suite, which none of them may harm: after each
// test it is still the same process, another model still serves, and no plugin
// host has died.
class UnharmedTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  static Daemon& daemon() { return *daemon_; }
  // Hosts of this plugin may come, die and go in this test.
  void MayDie(const std::string& plugin) { mortal_.push_back(plugin); }

 private:
  static std::unique_ptr<Daemon> daemon_;
  pid_t pid_ = 0;
  std::vector<std::string> mortal_;
  std::map<std::string, Daemon::Host> hosts_;
};

}  // namespace mlos::test
