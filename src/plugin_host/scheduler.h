// SPDX-License-Identifier: Apache-2.0
//
// Takes requests from the channels, keeps one queue per model, and runs them
// on worker threads: earliest deadline first, at most max_concurrency of a
// model at once, nothing that is cancelled or late.
//
// One worker at a time watches the channels.  It runs what it finds itself:
// no hand-off between threads on the way of a request.  Before it starts
// something that takes long it wakes another worker to watch meanwhile.
//
// What ran when an earlier host died of its own doing is suspected, and runs
// with nothing else running, so that a second death tells who does it.  Between
// two such turns the others have as much time as the last one took.  While one
// waits for what runs nothing begins, for a second at most: then the others have
// as much time again, and a suspect that never finds the host quiet is late.
//
// A channel may be an application's own.  Then its requests are for the model
// and by the principal of its terms, whatever it writes into its entries, and
// nothing that it does or leaves undone keeps a worker from the others for long.
//
// Threads: workers of its own; the public functions are for the control
// thread (and NeedResponseSegment for workers).
// Lifetime: models and channels are added and removed while it runs; a model
// that is removed finishes its queue first, a channel that is detached what was
// claimed from it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/owned_fd.h"
#include "channel/waiting.h"
#include "hostlink/messages.h"
#include "plugin_host/channels.h"
#include "plugin_host/execution.h"
#include "plugin_host/plugin.h"
#include "plugin_host/usual_time.h"

namespace mlos::plugin_host {

class Scheduler : public SegmentSource {
 public:
  // `need_segment` asks the core for response memory; any thread.
  using NeedSegment = std::function<void(uint32_t channel, uint64_t bytes)>;
  // A detached channel is gone: all that was claimed from it is answered, its
  // memory is let go.  Any thread, without the lock; perhaps not once it stops.
  // With what was answered on it and nobody has taken.
  using OnDetached = std::function<void(const hostlink::Served& served)>;
  Scheduler(uint32_t workers, NeedSegment need_segment, OnDetached on_detached);
  ~Scheduler() override;  // stops

  Status AddChannel(hostlink::AttachChannel attach);
  // Claims nothing more from it; on_detached follows, perhaps before this
  // returns.  What nobody has claimed stays the producer's, to take back.
  // NOT_FOUND if it is not attached, or detached already.
  Status DetachChannel(uint32_t number);
  Status AddSegment(hostlink::AddSegment segment);
  // The core cannot give more memory to this channel now.
  void RefuseSegment(uint32_t number, const Status& status);

  Status AddModel(uint32_t handle, std::unique_ptr<Model> model);
  // Waits until what is queued and running is answered; NOT_FOUND if unknown.
  Status RemoveModel(uint32_t handle);

  // Starts: with what earlier hosts left unfinished, and with the rest.
  void Serve();
  // Takes nothing more from the channels, finishes what was taken, ends the workers.
  void Stop();

  hostlink::Heartbeat Load() const;
  // What was answered on applications' channels since the last call.
  std::vector<hostlink::Served> TakeServed();
  // Has an idle worker watch the channels if nobody does: a model that is
  // usually short may have surprised the one who watched.  Called now and then
  // while something runs.
  void WatchAgain();

  // SegmentSource
  Status NeedResponseSegment(AttachedChannel& channel, uint64_t bytes) override;

 private:
  struct Queue {
    std::unique_ptr<Model> model;
    std::vector<Job> waiting;  // a heap: earliest deadline on top
    uint32_t running = 0;      // the suspects too
    UsualTime usual;           // of its runs, but for waking the producer
    bool closing = false;
  };
  // A request that cannot be run, and why; answered outside the lock, because
  // that may need memory from the core.
  struct Rejected {
    Job job;
    std::string reason;
  };
  struct Worker {
    std::thread thread;
    // A channel with answers of this worker that its producer was not woken
    // for yet, and since when.  It stays while it owes that.
    AttachedChannel* unrung = nullptr;
    uint64_t unrung_since_ns = 0;
    // What it runs now, for the heartbeat; 0 when idle.
    std::atomic<uint64_t> since_ns{0};
    std::atomic<uint64_t> deadline_ns{0};
  };

  void WorkerLoop(Worker& self);
  void TakeFromChannels() MLOS_REQUIRES(mutex_);
  void Enqueue(Job& job) MLOS_REQUIRES(mutex_);
  void Push(Queue& queue, const Job& job) MLOS_REQUIRES(mutex_);
  bool SuspectTurn() const MLOS_REQUIRES(mutex_);
  bool WaitsInVain() MLOS_REQUIRES(mutex_);
  Queue* PickSuspect(Job* job) MLOS_REQUIRES(mutex_);
  bool HasSuspect(uint32_t model) const MLOS_REQUIRES(mutex_);
  bool AnswerRejected(Execution& execution) MLOS_REQUIRES(mutex_);
  Queue* PickLocked(Job* job) MLOS_REQUIRES(mutex_);
  void RunPicked(Worker& self, Execution& execution, Queue& queue, const Job& job)
      MLOS_REQUIRES(mutex_);
  bool MayDeferRing(const Worker& self, const Queue& queue, const Job& job, uint64_t now) const
      MLOS_REQUIRES(mutex_);
  static bool UsuallyWithin(const Queue& queue, uint64_t nanos);
  void RingDeferred(Worker& self) MLOS_REQUIRES(mutex_);
  void SettleDebts(Worker& self, const Job& job, bool deferred, uint64_t now) MLOS_REQUIRES(mutex_);
  bool LetGoOfDetached() MLOS_REQUIRES(mutex_);
  Status MayAddSegment(AttachedChannel& channel) MLOS_REQUIRES(mutex_);
  void SegmentCame(AttachedChannel& channel, const Status& status) MLOS_REQUIRES(mutex_);
  void WatchChannels(channel::Spinner& spinner) MLOS_REQUIRES(mutex_);
  bool ParkOn(const ChannelList& channels);
  void Kick();

  const NeedSegment need_segment_;
  const OnDetached on_detached_;
  OwnedFd epoll_;
  OwnedFd kick_;  // wakes the watcher for everything that is not a request

  mutable Mutex mutex_;
  CondVar work_;     // idle workers wait here
  CondVar changed_;  // a job ended, or a segment came
  ChannelTable channels_ MLOS_GUARDED_BY(mutex_);
  std::unordered_map<uint32_t, std::unique_ptr<Queue>> models_ MLOS_GUARDED_BY(mutex_);
  std::vector<Queue*> busy_ MLOS_GUARDED_BY(mutex_);  // queues with something waiting
  std::vector<Rejected> rejected_ MLOS_GUARDED_BY(mutex_);
  uint32_t waiting_ MLOS_GUARDED_BY(mutex_) = 0;
  uint32_t running_ MLOS_GUARDED_BY(mutex_) = 0;
  uint32_t idle_ MLOS_GUARDED_BY(mutex_) = 0;
  bool watching_ MLOS_GUARDED_BY(mutex_) = false;
  bool serving_ MLOS_GUARDED_BY(mutex_) = false;
  std::deque<Job> suspects_ MLOS_GUARDED_BY(mutex_);       // the oldest first
  bool alone_ MLOS_GUARDED_BY(mutex_) = false;             // one of them runs
  uint64_t suspect_turn_ns_ MLOS_GUARDED_BY(mutex_) = 0;   // not before, while others wait
  uint64_t suspect_since_ns_ MLOS_GUARDED_BY(mutex_) = 0;  // waits for what runs; 0: does not
  bool stopping_ MLOS_GUARDED_BY(mutex_) = false;
  std::atomic<bool> kicked_{false};
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace mlos::plugin_host
