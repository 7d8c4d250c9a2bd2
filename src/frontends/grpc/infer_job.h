// SPDX-License-Identifier: Apache-2.0
//
// One inference of gRPC, from the first byte of its message to its answer: what
// of it is gRPC's own.  Raw contents go from the pieces in which they arrive
// straight into the channel; what stands before them is kept, and contents of
// which the size is not known when they begin (BYTES behind other inputs).
//
//   Begin -> Take ... End -> JobOwner::OnAnswer -> Release
//   or Release at any time
//
// Threads: the event loop's.  Lifetime: the call's; reused.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "frontends/common/call_steps.h"
#include "frontends/common/element_checker.h"
#include "frontends/grpc/infer_contents.h"
#include "frontends/grpc/infer_context.h"
#include "frontends/grpc/infer_request.h"
#include "frontends/grpc/message_walker.h"
#include "tensor/message.h"

namespace mlos::grpc {

class InferJob;

class JobOwner {
 public:
  virtual ~JobOwner() = default;
  // A job that took less than it was offered wants more.
  virtual void OnReady(InferJob& job) = 0;
  // `error()` says how it went.  More of the message may still come.
  virtual void OnAnswer(InferJob& job) = 0;
  // A job wants InferJob::TakeTurn, when the event loop has looked at everybody else.
  virtual void Later(InferJob& job) = 0;
  // Stands for the connection that the request comes over.
  virtual const void* connection() const = 0;
  // Accounts for memory; false: there is too much of it in use.
  virtual bool Reserve(uint64_t bytes) = 0;
  virtual void Unreserve(uint64_t bytes) = 0;
};

class InferJob final : private frontend::CallSteps {
 public:
  // Who asks, and when it began; views stay until Release.
  struct Arrival {
    uint64_t began_ns = 0;
    uint64_t deadline_ns = 0;  // the client's; 0: none
    uint64_t free_bytes = 0;   // may be kept without being counted
    std::string_view request_id;
    std::string_view traceparent;
  };

  explicit InferJob(InferContext& context) : CallSteps(context.calls), context_(context) {}

  void Begin(JobOwner& owner, const Arrival& arrival);
  // The message is said to have so many bytes; 0: nobody knows.
  void Expect(uint64_t bytes) { expected_bytes_ = bytes; }
  // A piece of the message; returns how much is taken.
  size_t Take(std::span<const std::byte> data);
  // That was the message.
  void End();
  // Goes on with what Later was asked for.
  void TakeTurn();
  bool wants_turn() const { return stage_ == Stage::kWork; }
  // The answer is encoded into memory of its own: the model's is given back.
  void LetGo();
  // Nobody wants it, or its answer is out.
  void Release();

  bool answered() const { return stage_ == Stage::kAnswered; }
  const Status& error() const { return error_; }
  std::string_view id() const { return request_.id; }
  uint64_t began_ns() const { return arrival_.began_ns; }

  // ---- the answer, where error() is OK, until LetGo
  std::string_view model_name() const { return request_.model; }
  using CallSteps::answer;
  using CallSteps::model;

 private:
  enum class Stage : uint8_t {
    kIdle,
    kHead,     // nothing but what the walker keeps
    kEngine,   // waits for the model, for memory, or for the answer
    kCollect,  // raw contents are kept until their sizes are known
    kFill,     // raw contents go where they belong
    kWork,     // all is here, and is read in slices
    kAnswered,
  };

  // infer_job.cc: what arrives
  void Start();
  void Fail(const Status& fault);
  void FinishInput();
  void GoOn();
  Status BeginRaw();
  Status TakeRaw(std::span<const std::byte> piece);
  Status EndRaw();
  bool Account();
  uint64_t Kept() const;
  void Shrink();
  Status CheckRawCount() const;

  // infer_steps.cc: from what was asked for to the model's tensors, and back
  StatusOr<Turn> Plan(const engine::ModelRoute& route, tensor::RequestPlan* plan) override;
  StatusOr<Turn> Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) override;
  void OnLater() override;
  Status Encode(const Status& status, bool never) override;
  void Deliver() override;
  Status FindRaw();
  Status AddTensors();
  bool GoesStraight();
  Status EndPlan();
  StatusOr<bool> Measure(uint64_t* budget);
  Status Open(const InferInput& input);
  StatusOr<bool> FillSome(uint64_t* budget);
  StatusOr<bool> FillOne(const InferInput& input, uint64_t* budget);
  void Work();
  std::span<std::byte> MemoryOf(const InferInput& input) const;
  void CloseFill();
  std::string About(const InferInput& input) const;

  InferContext& context_;
  JobOwner* owner_ = nullptr;  // from Begin on
  Stage stage_ = Stage::kIdle;
  Status error_;
  Arrival arrival_;
  uint64_t reserved_ = 0;
  uint64_t expected_bytes_ = 0;
  uint64_t fill_bytes_ = 0;
  bool ended_ = false;    // the message is whole
  bool waiting_ = false;  // the owner was told that it takes nothing now
  bool raw_ = false;      // there are raw contents
  bool direct_ = false;   // which go into the channel as they arrive
  bool raw_open_ = false;
  bool filling_ = false;  // counted among those that hold memory meanwhile
  bool planned_ = false;

  MessageWalker walker_{7};
  InferRequest request_;
  tensor::RequestPlan* plan_ = nullptr;  // from Plan on
  std::span<std::byte> block_;           // from Fill on

  std::vector<uint32_t> raw_inputs_;  // which raw contents are of which input
  uint32_t raw_count_ = 0;            // begun
  uint64_t raw_bytes_ = 0;            // of the one that is open, so far
  std::vector<uint64_t> raw_sizes_;
  frontend::ElementChecker checker_;  // of it
  Buffer kept_;

  // Of what is measured or filled in slices: the input, and how far.
  size_t work_input_ = 0;
  size_t work_at_ = 0;  // of kept_; of what is typed, whether it has begun
  ContentsReader contents_;
};

}  // namespace mlos::grpc
