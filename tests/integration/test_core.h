// SPDX-License-Identifier: Apache-2.0
//
// A whole core without front ends, for tests that need real plugin hosts: both
// loops, the catalog, the lifecycle, the engine.  Blocking calls for the test's
// thread.
#pragma once

#include <signal.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "catalog/catalog.h"
#include "engine/channel_engine.h"
#include "lifecycle/manager.h"
#include "state/memory_store.h"

namespace mlos::test {

struct Input {
  uint32_t index = 0;
  tensor::Datatype datatype = tensor::Datatype::kFp32;
  std::vector<int64_t> shape;
  std::string bytes;
};

struct Answer {
  Status status;
  std::vector<tensor::TensorDesc> descs;
  std::vector<std::string> data;
  channel::Times times;
  int progress_calls = 0;  // after Submit: must be 1
};

// A tensor from values.
template <typename T>
Input MakeInput(tensor::Datatype datatype, const std::vector<T>& values) {
  Input in;
  in.datatype = datatype;
  in.shape = {static_cast<int64_t>(values.size())};
  in.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return in;
}

// True as soon as `condition` is; false after the deadline.
template <typename Condition>
bool WaitUntil(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// SIGKILL for one process.  False, and no signal, for what is not the number of one: a host on its
// way up has -1, which means every process there is to the kernel.
inline bool KillOne(pid_t pid) { return pid > 1 && kill(pid, SIGKILL) == 0; }

class TestCore {
 public:
  explicit TestCore(uint32_t workers = 2, channel::Options channel_options = {});
  ~TestCore();

  // tests/plugins' packages by name; other paths as they are.
  Status RegisterPlugin(const std::string& name_or_path);
  Status LoadPlugin(const std::string& name, const std::string& version = "1.0.0");
  Status UnloadPlugin(const std::string& name, const std::string& version = "1.0.0");
  // A model of a test plugin: any text file serves.
  Status RegisterModel(const std::string& name, const std::string& plugin,
                       const std::string& config = "{}", uint64_t version = 1);
  Status LoadModel(const std::string& name, const std::string& version = "1");
  Status UnloadModel(const std::string& name, const std::string& version = "1");
  // How often the engine asked for a model to be loaded.
  int loads_asked() const { return loads_asked_; }
  // Plugin, its model "m-NAME", both loaded.
  Status Bring(const std::string& plugin, const std::string& config = "{}");

  std::future<Answer> Start(const std::string& model, std::vector<Input> inputs,
                            uint64_t timeout_ms = 20'000, std::vector<uint32_t> outputs = {});
  Answer Infer(const std::string& model, std::vector<Input> inputs, uint64_t timeout_ms = 20'000,
               std::vector<uint32_t> outputs = {});

  pid_t HostPid(const std::string& plugin);
  uint32_t Restarts(const std::string& plugin);
  std::string ModelState(const std::string& name);

  // Runs `f` on a loop and waits for it.
  template <typename F>
  auto OnControl(F f) {
    return On(control_, std::move(f));
  }
  template <typename F>
  auto OnFront(F f) {
    return On(front_, std::move(f));
  }

  EventLoop& front() { return front_; }
  EventLoop& control() { return control_; }
  engine::ChannelEngine& engine() { return *engine_; }
  lifecycle::Manager& manager() { return manager_; }
  catalog::Catalog& catalog() { return catalog_; }
  state::MemoryStore& store() { return store_; }

 private:
  template <typename F>
  auto On(EventLoop& loop, F f) {
    auto task = std::make_shared<std::packaged_task<decltype(f())()>>(std::move(f));
    auto result = task->get_future();
    loop.Post([task] { (*task)(); });
    return result.get();
  }
  using Action = void (lifecycle::Manager::*)(std::string_view, std::string_view,
                                              lifecycle::Manager::Done);
  Status Change(Action action, const std::string& name, const std::string& version);

  std::atomic<int> loads_asked_{0};
  EventLoop front_;
  EventLoop control_;
  state::MemoryStore store_;
  catalog::Catalog catalog_{store_};
  lifecycle::Manager manager_;
  std::unique_ptr<engine::ChannelEngine> engine_;
  std::thread control_thread_;
  std::thread front_thread_;
};

}  // namespace mlos::test
