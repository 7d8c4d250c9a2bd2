// SPDX-License-Identifier: Apache-2.0
//
// Test doubles: a control path that answers from a thread of its own, a server
// on a thread (before engine/fake_engine.h), and a client that speaks raw bytes.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/event_loop.h"
#include "base/owned_fd.h"
#include "control/operation.h"
#include "engine/fake_engine.h"
#include "frontends/http/options.h"
#include "frontends/http/server.h"

namespace mlos::http {

// Remembers operations and answers with what `answer` gives.
class FakeControl : public control::Control {
 public:
  using Answer = std::function<control::Outcome(const control::Operation&)>;
  FakeControl();
  ~FakeControl() override;
  void Apply(control::Operation operation, std::function<void(control::Outcome)> done) override;

  void set_answer(Answer answer);
  // Operations wait until this is called with true.
  void Open(bool open);
  std::atomic<int> applied{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Answer answer_;
  bool open_ = true;
  bool stop_ = false;
  std::vector<std::pair<control::Operation, std::function<void(control::Outcome)>>> queue_;
  std::thread thread_;
};

// A server on its own thread, listening on a free port.
class TestServer {
 public:
  explicit TestServer(HttpOptions options = {}, frontend::RegionPolicy regions = {},
                      trace::Tracer* tracer = nullptr);
  ~TestServer();

  const std::string& address() const { return address_; }
  engine::FakeEngine& engine() { return *engine_; }
  FakeControl& control() { return control_; }
  HttpServer& server() { return *server_; }
  // Runs f on the loop and waits for it.
  void OnLoop(std::function<void()> f);
  size_t connections();

 private:
  FakeControl control_;
  frontend::RegionTable regions_;  // the loop's
  EventLoop loop_;
  std::unique_ptr<engine::FakeEngine> engine_;
  std::unique_ptr<HttpServer> server_;
  std::string address_;
  std::thread thread_;
};

struct Reply {
  int status = 0;                             // 0: the connection ended before an answer
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;
};

// Blocking, with a time limit on everything.
class TestClient {
 public:
  explicit TestClient(const std::string& address);
  bool Send(std::string_view bytes);
  // Answers to HEAD have no body.
  Reply Read(bool head = false);
  Reply Ask(std::string_view method, std::string_view path, std::string_view body = {},
            std::string_view fields = {});
  // What comes until the end of the stream.
  std::string ReadAll();
  bool AtEnd();
  void Close() { fd_.Reset(); }
  void ShutdownSend();
  int fd() const { return fd_.get(); }

 private:
  bool Fill();
  OwnedFd fd_;
  std::string buffer_;
};

// Waits until `condition` holds; false after ten seconds.
bool Eventually(const std::function<bool()>& condition);

}  // namespace mlos::http
