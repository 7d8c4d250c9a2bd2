// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/call_steps.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace mlos::frontend {
namespace {

// Tensors of one request whose memory is kept for the next: calls are many,
// and what the largest request once took would stay with each.
constexpr size_t kKeptTensors = 64;

uint64_t DeadlineOf(const CallStart& start, const CallContext& context) {
  uint64_t allowed_ns = context.default_deadline_ns;
  if (start.timeout_us > 0) {
    allowed_ns =
        std::min(start.timeout_us, context.max_deadline_ns / kNanosPerMicro) * kNanosPerMicro;
  } else if (start.client_deadline_ns != 0) {
    allowed_ns = context.max_deadline_ns;
  }
  const uint64_t deadline = start.arrived_ns + allowed_ns;
  return start.client_deadline_ns != 0 ? std::min(deadline, start.client_deadline_ns) : deadline;
}

}  // namespace

Status Admit(const CallContext& context, std::string_view model, std::string_view version) {
  Status room = context.engine.Admits(model, version);
  if (room.ok()) return room;
  const auto route = context.engine.routes()->Find(model, version);
  metrics::ModelBook* const book = context.engine.book();
  if (route == nullptr || book == nullptr) return room;
  const uint64_t now = NowNanos();
  book->Of(route->id, route->name, route->version)
      ->Count({.protocol = context.protocol,
               .code = room.code(),
               .arrived_ns = now,
               .answered_ns = now});
  return room;
}

void CallSteps::Begin(const CallStart& start) {
  start_ = start;
  counters = nullptr;
  submitted_ns = 0;
  times = {};
  plan_.Clear();
  asked_ = {};
  waits_ = keep_ = false;
  request_id = start.request_id;
  deadline_ns = DeadlineOf(start, context_);
  if (!start.fault.ok()) {
    // That there is no such model is worth more than what is wrong with its
    // request; but no model is loaded for that.
    const auto known = context_.engine.routes()->Find(start.model, start.version);
    if (known != nullptr) {
      if (metrics::ModelBook* book = context_.engine.book()) {
        counters = book->Of(known->id, known->name, known->version);
      }
    }
    if (known != nullptr || start.model.empty()) return Answer(start.fault);
  }
  held_ = true;
  Run(Step::kResolve, false);
}

// Each step is done at once or goes on in OnProgress or Continue.
void CallSteps::Run(Step step, bool done) {
  for (;;) {
    step_ = step;
    switch (step) {
      case Step::kIdle:
        return;
      case Step::kResolve:
        if (!done && !context_.engine.Resolve(*this, start_.model, start_.version)) return;
        if (!status.ok() || !start_.fault.ok()) return Answer(status.ok() ? start_.fault : status);
        BeginTrace();
        step = Step::kPlan;
        break;
      case Step::kPlan:
        if (!done && !Own(Plan(*route, &plan_))) return;
        step = Step::kAllocate;
        break;
      case Step::kAllocate:
        if (!done && !context_.engine.Allocate(*this, &plan_)) return;
        if (!status.ok()) return Answer(status);
        step = Step::kFill;
        break;
      case Step::kFill:
        if (!done && !Own(Fill(plan_, slot.memory))) return;
        trace_.Inputs(*route->info, plan_, slot.memory);
        step = Step::kSubmit;
        break;
      case Step::kSubmit:
        if (!done && !context_.engine.Submit(*this)) return;
        return Answer(status);
    }
    done = false;
  }
}

// What became of the front end's own step: true if it is done.  Otherwise all
// of the request may have happened since.
bool CallSteps::Own(const StatusOr<Turn>& turn) {
  if (!turn.ok()) {
    Answer(turn.status());
    return false;
  }
  waits_ = *turn == Turn::kLater;
  if (!waits_) return true;
  OnLater();
  return false;
}

void CallSteps::Continue(const Status& result) {
  if (!std::exchange(waits_, false)) return;
  if (!result.ok()) return Answer(result);
  if (!std::exchange(start_.whole, true)) {
    start_.arrived_ns = NowNanos();
    trace_.Whole(start_.arrived_ns);
  }
  Run(step_, true);
}

void CallSteps::BeginTrace() {
  trace_.Begin(context_.tracer, context_.names, *route,
               {.request_id = start_.client_id.empty() ? start_.request_id : start_.client_id,
                .traceparent = start_.traceparent,
                .began_ns = start_.began_ns});
  if (start_.whole) trace_.Whole(start_.arrived_ns);
}

void CallSteps::Answer(const Status& result) {
  const bool never = step_ == Step::kAllocate && result.code() == StatusCode::kResourceExhausted;
  step_ = Step::kIdle;
  const Status made = result.ok()
                          ? answer_.Make(start_.model, *route, asked_, outputs, context_.classifier)
                          : result;
  Count(Encode(made, never).code());
  trace_.Answered(*this);
  if (!keep_) GiveBack();
  Deliver();
}

void CallSteps::GiveBack() {
  if (std::exchange(held_, false)) context_.engine.Finish(*this);
  keep_ = false;
  asked_ = {};
  answer_.Clear();
  if (plan_.inputs.capacity() + plan_.outputs.capacity() > kKeptTensors) plan_ = {};
}

void CallSteps::End() {
  if (step_ != Step::kIdle) Count(StatusCode::kCancelled);
  step_ = Step::kIdle;
  waits_ = false;
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
    if (metrics::ModelBook* book = context_.engine.book()) {
      book->CountUnknown(context_.protocol, code);
    }
    return;
  }
  counters->Count({.protocol = context_.protocol,
                   .code = code,
                   .arrived_ns = start_.arrived_ns,
                   .submitted_ns = submitted_ns,
                   .started_ns = times.started_ns,
                   .finished_ns = times.finished_ns,
                   .answered_ns = NowNanos(),
                   .batch = BatchSize()});
}

}  // namespace mlos::frontend
