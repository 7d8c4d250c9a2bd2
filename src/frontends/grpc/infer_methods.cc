// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/infer_methods.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/clock.h"
#include "frontends/common/request_context.h"
#include "frontends/grpc/call_log.h"
#include "frontends/grpc/infer_encode.h"
#include "frontends/grpc/infer_job.h"

namespace mlos::grpc {
namespace {

// Requests of one stream that are under way or wait to be answered; further
// ones wait in the client.
constexpr size_t kMostInStream = 32;
// What the jobs of one call may keep without being counted.
constexpr uint64_t kFreeBytes = 64 << 10;
// What the log and the daemon's other protocols call a request's id.
constexpr std::string_view kRequestId = "x-request-id";

InferJob::Arrival ArrivalOf(const rpc::Call& call, uint64_t began_ns, uint64_t free_bytes) {
  const std::string_view id = call.Metadata(kRequestId);
  return {.began_ns = began_ns,
          .deadline_ns = call.deadline_ns(),
          .free_bytes = free_bytes,
          .request_id = frontend::IsRequestId(id) ? id : std::string_view(),
          .traceparent = call.Metadata("traceparent")};
}

}  // namespace

// ------------------------------------------------------------------ ModelInfer

class ModelInferMethod::Handler final : public rpc::Handler, public JobOwner {
 public:
  explicit Handler(ModelInferMethod& method) : method_(method), job_(method.context_) {}

  void Start(rpc::Call& call) {
    call_ = &call;
    job_.Begin(*this, ArrivalOf(call, call.arrived_ns(), kFreeBytes));
  }

  void OnMessage(std::optional<uint64_t> size) override { job_.Expect(size.value_or(0)); }
  size_t OnData(std::span<const std::byte> data) override { return job_.Take(data); }
  void OnMessageEnd() override { job_.End(); }
  void OnTurn() override { job_.TakeTurn(); }
  void OnReleased() override { job_.LetGo(); }
  void OnCancel() override { job_.Release(); }
  void OnDone() override {
    job_.Release();
    encoder_.Trim();
    method_.pool_.Give(this);
  }

 private:
  void OnReady(InferJob&) override { call_->Resume(); }
  void Later(InferJob&) override { call_->Later(); }
  const void* connection() const override { return call_->connection(); }
  bool Reserve(uint64_t bytes) override { return call_->Reserve(bytes); }
  void Unreserve(uint64_t bytes) override { call_->Unreserve(bytes); }
  void OnAnswer(InferJob& job) override {
    if (job.error().ok()) {
      const std::span<const iovec> answer = encoder_.Response(job);
      if (encoder_.owns()) job.LetGo();
      call_->Send(answer);
    }
    call_->Finish(job.error());
  }

  ModelInferMethod& method_;
  rpc::Call* call_ = nullptr;
  InferJob job_;
  InferEncoder encoder_;
};

ModelInferMethod::ModelInferMethod(InferContext& context) : context_(context) {}
ModelInferMethod::~ModelInferMethod() = default;

rpc::Handler* ModelInferMethod::Begin(rpc::Call& call) {
  Handler* handler = pool_.Take(*this);
  handler->Start(call);
  return handler;
}

// ------------------------------------------------------------ ModelStreamInfer

// Requests run at the same time; they are answered in their order.
class ModelStreamInferMethod::Handler final : public rpc::Handler, public JobOwner {
 public:
  Handler(ModelStreamInferMethod& method, rpc::Call& call)
      : method_(method),
        context_(method.context_),
        call_(call),
        strict_(call.Metadata("triton_grpc_error") == "true") {}

  void OnMessage(std::optional<uint64_t> size) override {
    begun_ = false;
    size_ = size.value_or(0);
  }
  size_t OnData(std::span<const std::byte> data) override {
    // A server that goes takes no further request; the stream ends with the last that it has.
    if ((context_.draining && !begun_) || !BeginJob()) {
      waiting_ = true;
      return 0;
    }
    return jobs_.back()->Take(data);
  }
  void OnMessageEnd() override {
    // A message without a byte cannot be held back, and is no request.
    if (!BeginJob()) {
      return End(ResourceExhausted("too many requests of one stream are under way"));
    }
    receiving_ = false;
    jobs_.back()->End();
    Next();  // it may have failed before
  }
  void OnHalfClose() override {
    half_closed_ = true;
    Next();
  }
  void OnReleased() override {
    if (sending_) jobs_.front()->LetGo();
  }
  void OnSent() override {
    sending_ = false;
    Retire();
    Next();
    if (std::exchange(waiting_, false)) call_.Resume();
  }
  void OnTurn() override {
    // The first is who the others wait for.
    const auto wants = [](const InferJob* job) { return job->wants_turn(); };
    const auto first = std::find_if(jobs_.begin(), jobs_.end(), wants);
    if (first == jobs_.end()) return;
    (*first)->TakeTurn();
    if (std::any_of(jobs_.begin(), jobs_.end(), wants)) call_.Later();
  }
  void OnSweep(uint64_t) override {
    if (context_.draining && jobs_.empty() && !cancelled_) Leave();
  }
  void OnCancel() override {
    cancelled_ = true;
    // Those whose answer is being sent stay until OnDone.
    for (size_t i = sending_ ? 1 : 0; i < jobs_.size(); ++i) jobs_[i]->Release();
  }
  void OnDone() override {
    while (!jobs_.empty()) Retire();
    delete this;
  }

 private:
  // The job of the message that arrives; false: there are too many.
  bool BeginJob() {
    if (begun_) return true;
    if (jobs_.size() >= kMostInStream) return false;
    begun_ = receiving_ = true;
    jobs_.push_back(method_.jobs_.Take(context_));
    jobs_.back()->Begin(*this, ArrivalOf(call_, NowNanos(), kFreeBytes / kMostInStream));
    jobs_.back()->Expect(size_);
    return true;
  }

  // The first, whose answer is sent.
  void Retire() {
    jobs_.front()->Release();
    method_.jobs_.Give(jobs_.front());
    jobs_.pop_front();
  }

  void Leave() { call_.Finish(Unavailable("the server is shutting down: try another")); }

  void End(const Status& error) {
    cancelled_ = true;
    // The one whose answer is being sent stays until OnDone.
    for (size_t i = sending_ ? 1 : 0; i < jobs_.size(); ++i) jobs_[i]->Release();
    call_.Finish(error);
  }

  void Next() {
    if (sending_ || cancelled_ || call_.finished()) return;
    if (jobs_.empty()) {
      if (half_closed_) {
        call_.Finish(OkStatus());
      } else if (context_.draining) {
        Leave();
      }
      return;
    }
    InferJob& first = *jobs_.front();
    // One that has failed early is answered when all of it is here.
    if (!first.answered() || (receiving_ && jobs_.size() == 1)) return;
    if (strict_ && !first.error().ok()) {
      const Status error = first.error();
      return End(error);
    }
    if (!first.error().ok() && context_.log != nullptr) {
      context_.log->OnRequestAnswered(call_, first.began_ns(), first.error());
    }
    sending_ = true;
    const std::span<const iovec> answer = encoder_.StreamResponse(first);
    if (encoder_.owns()) first.LetGo();
    call_.Send(answer);
  }

  void OnReady(InferJob&) override { call_.Resume(); }
  void Later(InferJob&) override { call_.Later(); }
  const void* connection() const override { return call_.connection(); }
  bool Reserve(uint64_t bytes) override { return call_.Reserve(bytes); }
  void Unreserve(uint64_t bytes) override { call_.Unreserve(bytes); }
  void OnAnswer(InferJob&) override { Next(); }

  ModelStreamInferMethod& method_;
  InferContext& context_;
  rpc::Call& call_;
  const bool strict_;
  std::deque<InferJob*> jobs_;  // in the order of the requests; owned, of the method's pool
  InferEncoder encoder_;
  uint64_t size_ = 0;       // of the message that arrives; 0: not known
  bool begun_ = false;      // the last of jobs_ is the message's that arrives
  bool receiving_ = false;  // and it is not whole
  bool waiting_ = false;    // for a place in jobs_
  bool sending_ = false;    // the first's answer
  bool half_closed_ = false;
  bool cancelled_ = false;
};

ModelStreamInferMethod::ModelStreamInferMethod(InferContext& context) : context_(context) {}
ModelStreamInferMethod::~ModelStreamInferMethod() = default;

rpc::Handler* ModelStreamInferMethod::Begin(rpc::Call& call) { return new Handler(*this, call); }

}  // namespace mlos::grpc
