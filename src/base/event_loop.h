// SPDX-License-Identifier: Apache-2.0
//
// One thread, one loop: sockets and timers through Boost.Asio, and beside them
// pollers, which are looked at between events and may be spun on for a moment
// before the loop sleeps.  That is how answers arrive from channels without a
// hand-off between threads.
//
// Run() is called by the thread that owns the loop; Post() by any thread;
// everything else by the owning thread (or before Run).
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <vector>

namespace mlos {

// Something that may have work without a descriptor becoming readable.
class Poller {
 public:
  virtual ~Poller() = default;
  // Does what there is to do; returns how much.  Must not block.
  virtual size_t Work() = 0;
  // Cheap look whether Work would find something.
  virtual bool HasWork() const = 0;
  // True while work is expected soon: worth looking before sleeping.
  virtual bool Expecting() const = 0;
  // The loop is about to sleep.  False: do not, there is work.  After true
  // the poller makes a descriptor of its own readable to wake the loop.
  virtual bool PrepareSleep() = 0;
  virtual void FinishSleep() = 0;
};

class EventLoop {
 public:
  // `spin` looks until its argument returns true or it is time to sleep (a
  // channel::Spinner); may be empty.
  using Spin = std::function<bool(const std::function<bool()>&)>;
  explicit EventLoop(Spin spin = {});

  boost::asio::io_context& io() { return io_; }
  void AddPoller(Poller* poller);  // borrowed
  void RemovePoller(Poller* poller);

  void Run();
  void Stop();  // any thread
  template <typename F>
  void Post(F&& f);  // any thread: runs f on the loop

 private:
  bool SleepPrepared();
  void FinishSleeps();

  boost::asio::io_context io_{1};
  Spin spin_;
  std::function<bool()> has_work_;
  std::vector<Poller*> pollers_;
  std::atomic<bool> stop_{false};
};

}  // namespace mlos

#include <boost/asio/post.hpp>

namespace mlos {
template <typename F>
void EventLoop::Post(F&& f) {
  boost::asio::post(io_, std::forward<F>(f));
}
}  // namespace mlos
