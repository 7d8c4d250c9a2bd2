// SPDX-License-Identifier: Apache-2.0
//
// A request of an open model: laid out once in an entry of the channel, submitted any
// number of times, and its answer, which lies in the channel until the next time.
//
// One thread.  The model outlives it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/model.h"
#include "tensor/message.h"

namespace mlos::client {

class Call {
 public:
  explicit Call(Model& model) : model_(model) {}
  ~Call() { LetGo(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // An input as it is asked for, and where it is to be written.
  struct Input {
    uint32_t index = 0;
    std::span<const int64_t> dims;
    uint64_t bytes = 0;  // of BYTES; answered for the others
    void* data = nullptr;
  };
  Status Prepare(std::span<Input> inputs, std::span<const uint32_t> outputs,
                 std::string_view parameters, uint64_t deadline_ns);

  Status Submit(uint64_t deadline_ns);
  Status Wait();
  bool Done();
  void Cancel();
  bool Idle();
  // Submitted, and Wait has not said yet what came of it.
  bool pending() const { return pending_; }
  // Submitted, and not answered yet.
  bool waiting() const { return state_ == State::kRunning; }
  // Whether Wait has something to say by now; looks only at what was collected.
  bool Ripe(uint64_t now_ns) const { return pending_ && (outcome_ || now_ns >= deadline_ns_); }
  uint64_t deadline_ns() const { return deadline_ns_; }

  struct Output {
    tensor::TensorDesc desc;
    std::span<const std::byte> data;
  };
  // Of a call that succeeded; null: there is no such.
  const Output* output(uint32_t index) const;

  void OnCompletion(const channel::Completion& completion);

 private:
  enum class State : uint8_t {
    kBlank,    // not prepared
    kReady,    // its memory may be written
    kRunning,  // submitted, and waited for
    kLeft,     // submitted, and nobody waits for the answer
    kDone,     // answered; the answer is held
  };

  Status CheckInputs(std::span<Input> inputs) const;
  Status Plan(std::span<Input> inputs, std::span<const uint32_t> outputs,
              std::string_view parameters, uint64_t* bytes);
  void LetGo();
  void Leave();
  Status ReadAnswer(const channel::Completion& completion);
  Status ReadOutputs();
  Status CheckOutput(const tensor::TensorDesc& desc, uint32_t index);

  Model& model_;
  State state_ = State::kBlank;
  bool pending_ = false;
  channel::RequestSlot slot_;
  uint64_t deadline_ns_ = 0;
  tensor::RequestPlan plan_;
  std::vector<uint32_t> wanted_;  // empty: all
  tensor::ResponseView view_;
  std::vector<Output> outputs_;
  std::optional<Status> outcome_;
};

}  // namespace mlos::client
