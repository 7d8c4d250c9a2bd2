// SPDX-License-Identifier: Apache-2.0
//
// Test doubles: an engine whose models give back what they got, a control path
// that answers from a thread of its own, a server on a thread, and a client
// that speaks raw bytes.
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
#include "engine/engine.h"
#include "frontends/http/options.h"
#include "frontends/http/server.h"

namespace mlos::engine {

// Answers on the loop it is used from.  Models by name:
//   id_<datatype>  one input "in" [-1], one output "out" [-1], given back
//   pair           a INT32 [-1], b FP32 [-1,2], optional c BYTES [-1]; given back
//   batch          in FP32 [-1,2], at most 4 at once; given back
//   word           in BYTES [1]; given back
//   scores         in FP32 [-1,5], at most 8 at once; given back; classes 0, 1 and 3 have labels
//   loose          in FP32 [-1,-1]; given back
//   later          as id_FP32, answered from the loop's queue
//   hang           as id_FP32, never answered
//   fail_<CODE>    as id_FP32, answered with that code
//   ondemand       registered, loaded by the first Resolve, from the queue
//   unloaded       UNAVAILABLE
class FakeEngine : public Engine {
 public:
  explicit FakeEngine(EventLoop& loop);

  std::shared_ptr<const RoutingTable> routes() const override { return table_; }
  metrics::ModelBook* book() override { return &book_; }
  Status Admits(std::string_view model, std::string_view version) const override;
  bool Resolve(Call& call, std::string_view model, std::string_view version) override;
  bool Allocate(Call& call, tensor::RequestPlan* plan) override;
  bool Submit(Call& call) override;
  void Finish(Call& call) override;

  void SetReady(bool ready);

  // Read by tests while the loop runs.
  std::atomic<bool> full{false};  // admits nothing
  std::atomic<int> running{0};    // between Resolve and Finish
  std::atomic<int> submitted{0};
  std::atomic<int> resolved{0};
  std::atomic<uint64_t> last_deadline_ns{0};
  std::string last_parameters() const;

  uint64_t max_request_bytes = uint64_t{1} << 32;
  bool allocate_later = false;

 private:
  struct Memory {
    uint64_t serial = 0;
    std::unique_ptr<std::byte[]> block;
    uint64_t bytes = 0;
    tensor::RequestView view;
    std::vector<uint32_t> wanted;
  };
  void Answer(Call& call);
  // Runs f(call) from the loop's queue, unless Finish comes first.
  void Later(Call& call, std::function<void()> f);

  EventLoop& loop_;
  std::shared_ptr<const RoutingTable> table_;
  metrics::ModelBook book_;
  std::map<Call*, Memory> memory_;
  uint64_t serial_ = 0;
  mutable std::mutex mutex_;
  std::string last_parameters_;
};

}  // namespace mlos::engine

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
