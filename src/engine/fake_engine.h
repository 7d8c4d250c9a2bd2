// SPDX-License-Identifier: Apache-2.0
//
// For tests: an engine whose models give back what they got.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "engine/engine.h"

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
  bool Resolve(Call& call, std::string_view model, std::string_view version) override;
  bool Allocate(Call& call, tensor::RequestPlan* plan) override;
  bool Submit(Call& call) override;
  void Finish(Call& call) override;
  Status Admits(std::string_view model, std::string_view version) const override;

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
