// SPDX-License-Identifier: Apache-2.0
//
// One operation of the control path on behalf of a front end's request: the
// answer comes on the front end's loop, and not at all once it is forgotten.
//
// Threads: the loop's.  Lifetime: may end at any time; loop and control path
// outlive it.  One operation at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/event_loop.h"
#include "control/operation.h"

namespace mlos::frontend {

class ControlCall {
 public:
  using Done = std::function<void(const control::Outcome&)>;

  ControlCall(EventLoop& loop, control::Control& control) : loop_(loop), control_(control) {}
  ControlCall(const ControlCall&) = delete;
  ControlCall& operator=(const ControlCall&) = delete;

  // `done` comes later, on the loop; before it, where it is not null, `begun` once
  // the operation goes on (control::Operation::begun).
  void Apply(control::Operation operation, Done done, Done begun = nullptr) {
    Begin(std::move(operation), nullptr, WithoutText(std::move(done)),
          WithoutText(std::move(begun)));
  }
  // The same, with the outcome's body as text and not as a value: that of a thousand
  // models is put into words, and taken apart, where no requests wait.  `write` is for
  // successes, and runs on the control loop, perhaps when this is gone.
  using Write = std::function<std::string(const control::Outcome&)>;
  using TextDone = std::function<void(const control::Outcome&, const std::string& text)>;
  void ApplyForText(control::Operation operation, Write write, TextDone done,
                    TextDone begun = nullptr) {
    Begin(std::move(operation), std::move(write), std::move(done), std::move(begun));
  }
  // Nobody waits any more; the operation itself goes on, unless it only reads.
  void Forget() { waiting_.reset(); }

 private:
  struct Waiting {
    TextDone done;
    TextDone begun;
  };
  // Takes an outcome from the control loop to whoever waits here.
  struct Carrier {
    EventLoop& loop;
    std::weak_ptr<Waiting> to;
    Write write;

    void Take(control::Outcome outcome, TextDone Waiting::*member) const {
      if (to.expired()) return;
      std::string text;
      if (write != nullptr) {
        if (outcome.status.ok()) text = write(outcome);
        outcome.body = nullptr;
      }
      loop.Post([to = to, member, outcome = std::move(outcome), text = std::move(text)] {
        // Kept while it runs: it may forget, or begin the next one.
        if (const auto alive = to.lock(); alive != nullptr) ((*alive).*member)(outcome, text);
      });
    }
  };

  static TextDone WithoutText(Done then) {
    if (then == nullptr) return nullptr;
    return [then = std::move(then)](const control::Outcome& outcome, const std::string&) {
      then(outcome);
    };
  }

  void Begin(control::Operation operation, Write write, TextDone done, TextDone begun) {
    waiting_ = std::make_shared<Waiting>(Waiting{std::move(done), std::move(begun)});
    const auto carrier =
        std::make_shared<const Carrier>(Carrier{loop_, waiting_, std::move(write)});
    operation.waiting = waiting_;
    if (waiting_->begun != nullptr) {
      operation.begun = [carrier](const control::Outcome& outcome) {
        carrier->Take(outcome, &Waiting::begun);
      };
    }
    control_.Apply(std::move(operation), [carrier](control::Outcome outcome) {
      carrier->Take(std::move(outcome), &Waiting::done);
    });
  }

  EventLoop& loop_;
  control::Control& control_;
  std::shared_ptr<Waiting> waiting_;
};

}  // namespace mlos::frontend
