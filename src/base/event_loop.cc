// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>

namespace mlos {
namespace {

// Events handled before the pollers get their turn: a peer that makes events
// without end must not keep the loop to itself.
constexpr int kEventsPerTurn = 128;

}  // namespace

EventLoop::EventLoop(Spin spin) : spin_(std::move(spin)) {
  has_work_ = [this] {
    for (const Poller* p : pollers_) {
      if (p->HasWork()) return true;
    }
    return false;
  };
}

void EventLoop::AddPoller(Poller* poller) { pollers_.push_back(poller); }

void EventLoop::RemovePoller(Poller* poller) { std::erase(pollers_, poller); }

bool EventLoop::SleepPrepared() {
  bool quiet = true;
  for (Poller* p : pollers_) quiet &= p->PrepareSleep();
  return quiet;
}

void EventLoop::FinishSleeps() {
  for (Poller* p : pollers_) p->FinishSleep();
}

void EventLoop::Run() {
  const auto guard = boost::asio::make_work_guard(io_);
  while (!stop_.load(std::memory_order_acquire)) {
    int events = 0;
    while (events < kEventsPerTurn && io_.poll_one() > 0) ++events;
    size_t work = 0;
    // By index: Work may add or remove pollers.
    for (size_t i = 0; i < pollers_.size(); ++i) work += pollers_[i]->Work();
    // The descriptors were asked last of all and had nothing: unless there was
    // work since, or more events are waiting, it is time to wait.
    if (work > 0 || events == kEventsPerTurn) continue;
    // Stop's own event may have been among those handled.
    if (stop_.load(std::memory_order_acquire)) break;
    const bool expecting = std::any_of(pollers_.begin(), pollers_.end(),
                                       [](const Poller* p) { return p->Expecting(); });
    if (expecting && spin_ && spin_(has_work_)) continue;
    if (SleepPrepared()) io_.run_one();
    FinishSleeps();
  }
}

void EventLoop::Stop() {
  stop_.store(true, std::memory_order_release);
  boost::asio::post(io_, [] {});
}

}  // namespace mlos
