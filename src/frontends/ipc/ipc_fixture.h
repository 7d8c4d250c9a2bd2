// SPDX-License-Identifier: Apache-2.0
//
// What tests of the local front end share: a server on a thread, before an
// engine and a control path that are made up.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "engine/fake_engine.h"
#include "frontends/ipc/server.h"
#include "ipc/test_client.h"

namespace mlos::ipc {

// Remembers operations; answers at once, or when `held` are let go.
class FakeControl final : public control::Control {
 public:
  void Apply(control::Operation operation, std::function<void(control::Outcome)> done) override {
    const std::lock_guard lock(mutex_);
    operations_.push_back(operation);
    if (hold) {
      held_.emplace_back([this, operation, done = std::move(done)] { Answer(operation, done); });
    } else {
      Answer(operation, done);
    }
  }
  static control::Outcome Plain() {
    control::Outcome outcome;
    outcome.body = boost::json::object{{"state", "ready"}};
    return outcome;
  }
  void LetGo() {
    const std::lock_guard lock(mutex_);
    for (const auto& let_go : held_) let_go();
    held_.clear();
  }
  std::vector<control::Operation> operations() {
    const std::lock_guard lock(mutex_);
    return operations_;
  }

  std::function<control::Outcome(const control::Operation&)> answer;
  std::atomic<bool> hold{false};

 private:
  void Answer(const control::Operation& operation,
              const std::function<void(control::Outcome)>& done) const {
    done(answer ? answer(operation) : Plain());
  }

  std::mutex mutex_;
  std::vector<control::Operation> operations_;
  std::vector<std::function<void()>> held_;
};

// Opens pairs of sockets; or refuses, or holds what is asked.
class FakeOpener final : public engine::ChannelOpener {
 public:
  void OpenChannel(Wish wish, Opened opened) override {
    ++asked;
    const std::lock_guard lock(mutex_);
    wishes_.push_back({wish.route->name, wish.route->version, wish.principal, wish.in_place});
    if (!answers_.empty()) {
      const Status answer = answers_.front();
      answers_.erase(answers_.begin());
      return opened(answer);
    }
    int ends[2];
    ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    links_.emplace_back(ends[0]);
    if (!hold) return opened(OwnedFd(ends[1]));
    held_.emplace_back([opened = std::move(opened), end = std::make_shared<OwnedFd>(ends[1])] {
      opened(std::move(*end));
    });
  }
  struct Wanted {
    std::string model;
    std::string version;
    uint32_t principal;
    bool in_place;
  };
  std::vector<Wanted> wishes() {
    const std::lock_guard lock(mutex_);
    return wishes_;
  }
  // The core's ends of the links.
  int link(size_t i) {
    const std::lock_guard lock(mutex_);
    return links_.at(i).get();
  }
  void AnswerFirst(std::vector<Status> answers) {
    const std::lock_guard lock(mutex_);
    answers_ = std::move(answers);
  }
  void LetGo() {
    const std::lock_guard lock(mutex_);
    for (const auto& let_go : std::exchange(held_, {})) let_go();
  }

  std::atomic<int> asked{0};
  std::atomic<bool> hold{false};

 private:
  std::mutex mutex_;
  std::vector<Wanted> wishes_;
  std::vector<Status> answers_;
  std::vector<OwnedFd> links_;
  std::vector<std::function<void()>> held_;
};

// Waits until `condition` holds; false after ten seconds.
inline bool Eventually(const std::function<bool()>& condition) {
  const uint64_t limit = NowNanos() + 10 * kNanosPerSecond;
  while (!condition()) {
    if (NowNanos() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

class IpcTest : public testing::Test {
 protected:
  explicit IpcTest(IpcOptions options = {}) {
    char name[] = "/tmp/ipc_test_XXXXXX";
    directory_ = ::mkdtemp(name);
    engine_ = std::make_unique<engine::FakeEngine>(loop_);
    options.server_version = "1.2.3";
    server_ = std::make_unique<IpcServer>(
        Parts{.loop = loop_, .engine = *engine_, .control = control_, .channels = &opener_},
        std::move(options));
    path_ = server_->Listen(directory_ + "/sub/mlos.sock").value();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~IpcTest() override {
    OnLoop([this] { server_.reset(); });
    EXPECT_EQ(0, engine_->running);
    loop_.Stop();
    thread_.join();
    std::filesystem::remove_all(directory_);
  }
  void OnLoop(std::function<void()> f) {
    std::promise<void> done;
    loop_.Post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  size_t Connections() {
    size_t n = 0;
    OnLoop([&] { n = server_->connections(); });
    return n;
  }
  uint64_t Buffered() {
    uint64_t n = 0;
    OnLoop([&] { n = server_->buffered_bytes(); });
    return n;
  }
  const metrics::IpcCounters& counters() const { return server_->counters(); }
  uint64_t Answers(metrics::IpcKind kind, StatusCode code) const {
    return counters().answers[static_cast<size_t>(kind)][static_cast<size_t>(code)].value();
  }
  uint64_t Ended(metrics::IpcEnd why) const {
    return counters().ended[static_cast<size_t>(why)].value();
  }

  std::string directory_;
  FakeControl control_;
  FakeOpener opener_;
  EventLoop loop_;
  std::unique_ptr<engine::FakeEngine> engine_;
  std::unique_ptr<IpcServer> server_;
  std::string path_;
  std::thread thread_;
};

}  // namespace mlos::ipc
