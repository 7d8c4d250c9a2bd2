// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/call_steps.h"

#include <utility>

#include "base/clock.h"

namespace mlos::frontend {

void CallSteps::Begin(const Start& start) {
  start_ = start;
  counters = nullptr;
  submitted_ns = 0;
  times = {};
  plan_.Clear();
  deadline_ns = start.arrived_ns + start.allowed_ns;
  request_id = start.request_id;
  held_ = true;
  Run(Step::kResolve, false);
}

// Each step is done at once or goes on in OnProgress.
void CallSteps::Run(Step step, bool done) {
  for (;;) {
    step_ = step;
    switch (step) {
      case Step::kIdle:
        return;
      case Step::kResolve: {
        if (!done && !engine_.Resolve(*this, start_.model, start_.version)) return;
        const Status planned = status.ok() ? Planned() : status;
        if (!planned.ok()) return Answer(planned);
        step = Step::kAllocate;
        break;
      }
      case Step::kAllocate: {
        if (!done && !engine_.Allocate(*this, &plan_)) return;
        const Status filled = status.ok() ? Filled() : status;
        if (!filled.ok()) return Answer(filled);
        step = Step::kSubmit;
        break;
      }
      case Step::kSubmit:
        if (!done && !engine_.Submit(*this)) return;
        return Answer(status);
    }
    done = false;
  }
}

Status CallSteps::Planned() {
  RequestTrace::Arrival arrival = start_.arrival;
  arrival.whole_ns = start_.arrived_ns;
  trace_.Begin(start_.tracer, names_, *route, arrival);
  return Plan(*route, &plan_);
}

Status CallSteps::Filled() {
  MLOS_RETURN_IF_ERROR(Fill(plan_, slot.memory));
  trace_.Inputs(*route->info, plan_, slot.memory);
  return OkStatus();
}

void CallSteps::Answer(const Status& result) {
  const bool never = step_ == Step::kAllocate && result.code() == StatusCode::kResourceExhausted;
  step_ = Step::kIdle;
  Count(Encode(result, never).code());
  trace_.Answered(*this);
  GiveBack();
  Deliver();
}

void CallSteps::GiveBack() {
  if (std::exchange(held_, false)) engine_.Finish(*this);
}

void CallSteps::End() {
  if (step_ != Step::kIdle) Count(StatusCode::kCancelled);
  step_ = Step::kIdle;
  GiveBack();
  trace_.End();
}

// Elements of the batch that the request carries.
uint64_t CallSteps::BatchSize() const {
  if (route == nullptr || route->info->max_batch_size == 0 || plan_.inputs.empty()) return 1;
  const auto shape = plan_.inputs.front().shape();
  return shape.empty() || shape.front() < 0 ? 1 : static_cast<uint64_t>(shape.front());
}

void CallSteps::Count(StatusCode code) {
  if (counters == nullptr) {
    if (metrics::ModelBook* book = engine_.book()) book->CountUnknown(protocol_, code);
    return;
  }
  counters->Count({.protocol = protocol_,
                   .code = code,
                   .arrived_ns = start_.arrived_ns,
                   .submitted_ns = submitted_ns,
                   .started_ns = times.started_ns,
                   .finished_ns = times.finished_ns,
                   .answered_ns = NowNanos(),
                   .batch = BatchSize()});
}

}  // namespace mlos::frontend
