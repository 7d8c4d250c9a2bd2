// SPDX-License-Identifier: Apache-2.0
//
// One operation of the control path on behalf of a front end's request: the
// answer comes on the front end's loop, and not at all once it is forgotten.
//
// Threads: the loop's.  Lifetime: may end at any time; loop and control path
// outlive it.  One operation at a time.
#pragma once

#include <boost/json/serialize.hpp>
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

  // `done` comes later, on the loop.
  void Apply(control::Operation operation, Done done) {
    Begin(
        std::move(operation),
        [done = std::move(done)](const control::Outcome& outcome, const std::string&) {
          done(outcome);
        },
        false);
  }
  // The same, with the outcome's body as JSON text and not as a value: that of a
  // thousand models is put into words, and taken apart, where no requests wait.
  using TextDone = std::function<void(const control::Outcome&, const std::string& text)>;
  void ApplyForText(control::Operation operation, TextDone done) {
    Begin(std::move(operation), std::move(done), true);
  }
  // Nobody waits any more; the operation itself goes on, unless it only reads.
  void Forget() { waiting_.reset(); }

 private:
  void Begin(control::Operation operation, TextDone done, bool as_text) {
    waiting_ = std::make_shared<TextDone>(std::move(done));
    operation.waiting = waiting_;
    control_.Apply(std::move(operation),
                   [&loop = loop_, waiting = std::weak_ptr<TextDone>(waiting_),
                    as_text](control::Outcome outcome) {
                     if (waiting.expired()) return;
                     std::string text;
                     if (as_text) {
                       if (outcome.status.ok()) text = boost::json::serialize(outcome.body);
                       outcome.body = nullptr;
                     }
                     loop.Post([waiting, outcome = std::move(outcome), text = std::move(text)] {
                       // Kept while it runs: it may forget, or begin the next one.
                       if (const auto alive = waiting.lock(); alive != nullptr)
                         (*alive)(outcome, text);
                     });
                   });
  }

  EventLoop& loop_;
  control::Control& control_;
  std::shared_ptr<TextDone> waiting_;
};

}  // namespace mlos::frontend
