// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/scheduler.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace mlos::plugin_host {
namespace {

// That a request of an application may say it takes.
constexpr uint64_t kLongestApplicationNanos = 3600 * kNanosPerSecond;

// A model that usually answers within this is run without waking another
// worker to watch: the wake-up would cost more than the wait.
constexpr uint64_t kShortRunNanos = 50'000;
// Answers that follow each other this closely wake the producer once: a wake-up
// for each would have the two ends change places on a shared processor.
constexpr uint64_t kRingDelayNanos = 20'000;
// How long nothing begins while a suspect waits for what runs.
constexpr uint64_t kSuspectPatienceNanos = kNanosPerSecond;
constexpr size_t kQueueReserve = 1024;

bool Later(const Job& a, const Job& b) {
  if (a.claim.deadline_ns != b.claim.deadline_ns) {
    return a.claim.deadline_ns > b.claim.deadline_ns;
  }
  return a.claim.sequence > b.claim.sequence;
}

}  // namespace

Scheduler::Scheduler(uint32_t workers, NeedSegment need_segment, OnDetached on_detached)
    : need_segment_(std::move(need_segment)),
      on_detached_(std::move(on_detached)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      kick_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, kick_.get(), &event);
  for (uint32_t i = 0; i < std::max(1u, workers); ++i) {
    workers_.push_back(std::make_unique<Worker>());
  }
}

Scheduler::~Scheduler() { Stop(); }

Status Scheduler::AddModel(uint32_t handle, std::unique_ptr<Model> model) {
  auto queue = std::make_unique<Queue>();
  queue->model = std::move(model);
  queue->waiting.reserve(kQueueReserve);
  MutexLock lock(mutex_);
  if (!models_.emplace(handle, std::move(queue)).second) {
    return AlreadyExists(fmt::format("model handle {} is in use", handle));
  }
  busy_.reserve(models_.size());
  return OkStatus();
}

Status Scheduler::RemoveModel(uint32_t handle) {
  std::unique_ptr<Queue> queue;
  {
    MutexLock lock(mutex_);
    const auto it = models_.find(handle);
    if (it == models_.end()) return NotFound("no such model in this host");
    Queue& q = *it->second;
    // What was submitted before is still answered: what earlier hosts left and
    // what nobody has claimed yet.
    if (serving_ && !stopping_) TakeFromChannels();
    work_.NotifyOne();
    q.closing = true;
    while (q.running > 0 ||
           ((!q.waiting.empty() || HasSuspect(handle)) && serving_ && !stopping_)) {
      changed_.Wait(mutex_);
    }
    queue = std::move(it->second);
    std::erase(busy_, queue.get());
    // Only when it stops is anything left here, for the next host to answer.
    for (const Job& job : queue->waiting) --job.channel->owed;
    std::erase_if(suspects_, [&](const Job& job) {
      if (job.claim.model != handle) return false;
      --job.channel->owed;
      return true;
    });
    models_.erase(it);
  }
  return OkStatus();  // the model unloads here, outside the lock
}

void Scheduler::Serve() {
  MutexLock lock(mutex_);  // to the end: Stop comes from another thread
  if (serving_ || stopping_) return;
  serving_ = true;
  for (auto& worker : workers_) {
    worker->thread = std::thread([this, w = worker.get()] { WorkerLoop(*w); });
  }
}

void Scheduler::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  work_.NotifyAll();
  changed_.NotifyAll();
  Kick();
  for (auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

void Scheduler::Kick() {
  kicked_.store(true, std::memory_order_release);
  eventfd_write(kick_.get(), 1);
}

hostlink::Heartbeat Scheduler::Load() const {
  hostlink::Heartbeat h;
  const uint64_t now = NowNanos();
  for (const auto& worker : workers_) {
    const uint64_t since = worker->since_ns.load(std::memory_order_relaxed);
    const uint64_t deadline = worker->deadline_ns.load(std::memory_order_relaxed);
    if (since == 0) continue;
    ++h.running;
    if (now > since) h.oldest_ms = std::max(h.oldest_ms, (now - since) / kNanosPerMilli);
    if (now > deadline) h.overdue_ms = std::max(h.overdue_ms, (now - deadline) / kNanosPerMilli);
  }
  MutexLock lock(mutex_);
  h.queued = waiting_ + static_cast<uint32_t>(suspects_.size());
  return h;
}

void Scheduler::WatchAgain() {
  MutexLock lock(mutex_);
  if (idle_ > 0 && !watching_) work_.NotifyOne();
  // What waits for a suspect's turn may wait no longer.
  if (waiting_ > 0 && !suspects_.empty()) Kick();
}

// ------------------------------------------------------------------- workers

void Scheduler::WorkerLoop(Worker& self) {
  channel::Spinner spinner(channel::Calibrate());
  Execution execution(*this);
  mutex_.Lock();
  for (;;) {
    while (channels_.any_detached() && LetGoOfDetached()) {
    }
    if (!stopping_) TakeFromChannels();
    if (AnswerRejected(execution)) continue;
    Job job;
    if (Queue* queue = PickLocked(&job)) {
      RunPicked(self, execution, *queue, job);
      continue;
    }
    RingDeferred(self);
    if (channels_.any_detached() && LetGoOfDetached()) continue;
    if (stopping_) break;
    if (watching_) {
      ++idle_;
      work_.Wait(mutex_);
      --idle_;
    } else {
      watching_ = true;
      WatchChannels(spinner);
      watching_ = false;
    }
  }
  mutex_.Unlock();
}

void Scheduler::Enqueue(Job& job) {
  ++job.channel->owed;
  if (job.channel->terms) {
    job.claim.model = job.channel->terms->model;
    job.claim.principal = job.channel->terms->principal;
    // Without an end it could never be found to hang.
    job.claim.deadline_ns =
        std::min(job.claim.deadline_ns, job.claim.claimed_ns + kLongestApplicationNanos);
  }
  const auto it = models_.find(job.claim.model);
  if (it == models_.end() || it->second->closing) {
    rejected_.push_back({job, "the model is not loaded"});
  } else if (job.channel->terms && job.claim.attempts > 1 &&
             !it->second->model->info().replay_safe) {
    // An application does not know that of its model, as the core does.
    rejected_.push_back({job,
                         "the plugin host died while running this request, and its model is "
                         "not one whose requests may be run twice"});
  } else if ((job.claim.flags & channel::kSuspect) != 0) {
    suspects_.push_back(job);
  } else {
    Push(*it->second, job);
  }
}

void Scheduler::Push(Queue& queue, const Job& job) {
  if (queue.waiting.empty()) busy_.push_back(&queue);
  queue.waiting.push_back(job);
  std::push_heap(queue.waiting.begin(), queue.waiting.end(), Later);
  ++waiting_;
}

bool Scheduler::HasSuspect(uint32_t model) const {
  return std::any_of(suspects_.begin(), suspects_.end(),
                     [&](const Job& job) { return job.claim.model == model; });
}

bool Scheduler::SuspectTurn() const {
  return !suspects_.empty() && (waiting_ == 0 || NowNanos() >= suspect_turn_ns_);
}

// What runs takes too long to be waited for: the others go on for a while.
bool Scheduler::WaitsInVain() {
  if (running_ == 0) return false;
  const uint64_t now = NowNanos();
  if (suspect_since_ns_ == 0) suspect_since_ns_ = now;
  if (now - suspect_since_ns_ < kSuspectPatienceNanos) return false;
  suspect_turn_ns_ = now + (now - std::exchange(suspect_since_ns_, 0));
  return true;
}

// Its turn has come: what runs ends first, and nothing begins meanwhile.
Scheduler::Queue* Scheduler::PickSuspect(Job* job) {
  if (running_ > 0) return nullptr;
  suspect_since_ns_ = 0;
  *job = suspects_.front();
  suspects_.pop_front();
  alone_ = true;
  // Its model is there: RemoveModel waits for it.
  return models_.at(job->claim.model).get();
}

bool Scheduler::AnswerRejected(Execution& execution) {
  if (rejected_.empty()) return false;
  const Rejected rejected = std::move(rejected_.back());
  rejected_.pop_back();
  mutex_.Unlock();
  execution.Fail(rejected.job, StatusCode::kUnavailable, rejected.reason);
  mutex_.Lock();
  rejected.job.channel->served.Count(execution.code());
  --rejected.job.channel->owed;
  return true;
}

Scheduler::Queue* Scheduler::PickLocked(Job* job) {
  if (alone_) return nullptr;
  if (SuspectTurn() && !WaitsInVain()) return PickSuspect(job);
  Queue* best = nullptr;
  for (Queue* q : busy_) {
    if (q->running >= q->model->info().max_concurrency) continue;
    if (best == nullptr || Later(best->waiting.front(), q->waiting.front())) best = q;
  }
  if (best == nullptr) return nullptr;
  std::pop_heap(best->waiting.begin(), best->waiting.end(), Later);
  *job = best->waiting.back();
  best->waiting.pop_back();
  if (best->waiting.empty()) std::erase(busy_, best);
  --waiting_;
  return best;
}

// Only while something else to run is at hand, and only for models that are
// done in no time.
bool Scheduler::MayDeferRing(const Worker& self, const Queue& queue, const Job& job,
                             uint64_t now) const {
  if (waiting_ == 0 || !UsuallyWithin(queue, kRingDelayNanos)) return false;
  if (self.unrung == nullptr) return true;
  return self.unrung == job.channel && now - self.unrung_since_ns < kRingDelayNanos;
}

bool Scheduler::UsuallyWithin(const Queue& queue, uint64_t nanos) {
  return queue.usual.known() && queue.usual.nanos() <= nanos;
}

void Scheduler::RunPicked(Worker& self, Execution& execution, Queue& queue, const Job& job) {
  const uint64_t start = NowNanos();
  ++queue.running;
  ++running_;
  const bool takes_long = !UsuallyWithin(queue, kShortRunNanos);
  // Somebody must watch the channels meanwhile, or run what else is ready.
  if (takes_long && idle_ > 0 && !(alone_ && watching_)) work_.NotifyOne();
  const bool defer = MayDeferRing(self, queue, job, start);
  // This answer's own ring will serve for those before it, unless it is long in
  // coming.
  const bool soon = UsuallyWithin(queue, kRingDelayNanos);
  if (!defer && (!soon || self.unrung != job.channel)) RingDeferred(self);
  self.deadline_ns.store(job.claim.deadline_ns, std::memory_order_relaxed);
  self.since_ns.store(start, std::memory_order_relaxed);
  mutex_.Unlock();

  bool ran = false;
  if (job.consumer->IsCancelled(job.claim.entry)) {
    execution.Fail(job, StatusCode::kCancelled, "the request was cancelled");
  } else if (start > job.claim.deadline_ns) {
    execution.Fail(
        job, StatusCode::kDeadlineExceeded,
        fmt::format("{}: the deadline passed while the request waited", queue.model->label()));
  } else {
    execution.Run(job, *queue.model, !defer);
    ran = true;
  }

  const uint64_t end = NowNanos();
  self.since_ns.store(0, std::memory_order_relaxed);
  mutex_.Lock();
  --queue.running;
  --running_;
  if (job.channel->terms) {
    hostlink::Served& served = job.channel->served;
    served.Count(execution.code());
    if (ran) {
      ++served.executions;
      served.queue_ns += start - std::min(start, job.claim.claimed_ns);
      served.run_ns += end - start;
      if (execution.code() == StatusCode::kOk) served.inferences += execution.batch();
    }
  }
  SettleDebts(self, job, defer, end);
  if (std::exchange(alone_, false)) {
    suspect_turn_ns_ = end + (end - start);
    work_.NotifyAll();
  }
  if (ran) queue.usual.Add(end - start - execution.publish_ns());
  if (queue.closing) changed_.NotifyAll();
}

}  // namespace mlos::plugin_host
