// SPDX-License-Identifier: Apache-2.0
//
// The scheduler's side towards channels: which there are, claiming, watching,
// memory for answers.
#include <fmt/core.h>
#include <sys/epoll.h>

#include <chrono>
#include <utility>

#include "base/clock.h"
#include "plugin_host/scheduler.h"

namespace mlos::plugin_host {
namespace {

// How long a worker waits for an application to give memory for its answer.
constexpr uint64_t kMemoryPatienceNanos = kNanosPerSecond / 2;
// Segments that an application may add to a channel: each is a descriptor and a
// mapping of the host, which all that it serves share.
constexpr uint32_t kMostAdded = 128;
// Of one wake-up; what is left is found by the next.
constexpr int kEventsAtOnce = 16;

Status GivenTooLate() {
  return ResourceExhausted(
      "there is no memory for the answer: the application has not given any in time");
}

}  // namespace

Status Scheduler::AddChannel(hostlink::AttachChannel attach) {
  MLOS_RETURN_IF_ERROR(CheckAttach(attach));
  auto added = std::make_shared<AttachedChannel>();
  added->number = attach.channel;
  added->entries = attach.grant.entries;
  added->terms = attach.terms;
  MLOS_ASSIGN_OR_RETURN(added->consumer,
                        channel::Consumer::Attach(std::move(attach.grant),
                                                  attach.terms ? channel::EventKind::kSocket
                                                               : channel::EventKind::kEventFd));
  const int fd = added->consumer->event_fd();
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // edges: the counter need not be read
  {
    MutexLock lock(mutex_);
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return ErrnoStatus("the descriptor that a channel's consumer sleeps on");
    }
    Status status = channels_.Add(added);
    if (!status.ok()) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
      return status;
    }
  }
  Kick();
  return OkStatus();
}

Status Scheduler::DetachChannel(uint32_t number) {
  {
    MutexLock lock(mutex_);
    MLOS_ASSIGN_OR_RETURN(const AttachedChannel* const channel, channels_.Detach(number));
    // Closing would not do: the producer has the same open file.
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, channel->consumer->event_fd(), nullptr);
    while (LetGoOfDetached()) {
    }
  }
  Kick();  // whoever watches has the list that it was on
  return OkStatus();
}

// False if none is finished.  Gives up the lock meanwhile.
bool Scheduler::LetGoOfDetached() {
  std::shared_ptr<AttachedChannel> channel = channels_.TakeFinished();
  if (channel == nullptr) return false;
  hostlink::Served served = channel->served;
  served.channel = channel->number;
  mutex_.Unlock();
  channel.reset();
  on_detached_(served);
  mutex_.Lock();
  return true;
}

std::vector<hostlink::Served> Scheduler::TakeServed() {
  std::vector<hostlink::Served> all;
  MutexLock lock(mutex_);
  for (const auto& channel : *channels_.list()) {
    if (!channel->terms || !channel->served.any()) continue;
    all.push_back(std::exchange(channel->served, {}));
    all.back().channel = channel->number;
  }
  return all;
}

Status Scheduler::AddSegment(hostlink::AddSegment segment) {
  MutexLock lock(mutex_);
  AttachedChannel* const channel = channels_.Find(segment.channel);
  if (channel == nullptr) return NotFound("no such channel");
  if (!segment.response) {
    MLOS_RETURN_IF_ERROR(MayAddSegment(*channel));
    return channel->consumer->AddRequestSegment(std::move(segment.segment));
  }
  Status status = MayAddSegment(*channel);
  if (status.ok()) status = channel->consumer->AddResponseSegment(std::move(segment.segment));
  SegmentCame(*channel, status);
  return status;
}

void Scheduler::RefuseSegment(uint32_t number, const Status& status) {
  MutexLock lock(mutex_);
  if (AttachedChannel* const channel = channels_.Find(number)) SegmentCame(*channel, status);
}

Status Scheduler::MayAddSegment(AttachedChannel& channel) {
  if (!channel.terms || channel.added++ < kMostAdded) return OkStatus();
  return ResourceExhausted(
      fmt::format("an application adds at most {} segments to a channel", kMostAdded));
}

void Scheduler::SegmentCame(AttachedChannel& channel, const Status& status) {
  channel.refusal = status;
  channel.deaf = false;
  ++channel.segments;
  changed_.NotifyAll();
}

// The core always answers, with a segment or a refusal, and when it is gone this
// process ends.  An application is waited for once and not for long; from then on its
// answers fail where memory is short, until it has done something about it.
Status Scheduler::NeedResponseSegment(AttachedChannel& channel, uint64_t bytes) {
  MutexLock lock(mutex_);
  if (channel.deaf) return GivenTooLate();
  const uint64_t before = channel.segments;
  const uint64_t until = NowNanos() + kMemoryPatienceNanos;
  need_segment_(channel.number, bytes);
  while (channel.segments == before && !stopping_) {
    const uint64_t now = NowNanos();
    if (!channel.terms) {
      changed_.Wait(mutex_);
    } else if (!channel.deaf && now < until) {
      changed_.WaitFor(mutex_, std::chrono::nanoseconds(until - now));
    } else {
      channel.deaf = true;
      return GivenTooLate();
    }
  }
  return channel.segments == before ? Unavailable("the plugin host is stopping") : channel.refusal;
}

// What a dead predecessor left comes first.
void Scheduler::TakeFromChannels() {
  Job job;
  for (const auto& c : *channels_.list()) {
    job.consumer = c->consumer.get();
    job.channel = c.get();
    while (job.consumer->NextReplay(&job.claim)) Enqueue(job);
    // An entry that is answered meanwhile may be submitted again at once: without an
    // end to it one producer could keep this thread here.
    for (uint32_t left = c->entries; left > 0 && job.consumer->Next(&job.claim); --left) {
      // Of what no host has claimed before nothing is suspected.  An application
      // that says so would have its requests run alone.
      if (c->terms) job.claim.flags &= ~channel::kSuspect;
      Enqueue(job);
    }
  }
}

void Scheduler::RingDeferred(Worker& self) {
  if (self.unrung == nullptr) return;
  self.unrung->consumer->RingProducer();
  --std::exchange(self.unrung, nullptr)->owed;
}

// The job is answered.  Its producer was woken, or is to be later.
void Scheduler::SettleDebts(Worker& self, const Job& job, bool deferred, uint64_t now) {
  if (deferred && self.unrung == nullptr) {
    self.unrung = job.channel;  // takes over what the job owed
    self.unrung_since_ns = now;
    return;
  }
  // This answer's ring was for those before it too.
  if (!deferred && self.unrung != nullptr) --std::exchange(self.unrung, nullptr)->owed;
  --job.channel->owed;
}

// Called with the lock held, gives it up while looking.
void Scheduler::WatchChannels(channel::Spinner& spinner) {
  const std::shared_ptr<const ChannelList> channels = channels_.list();
  kicked_.store(false, std::memory_order_relaxed);
  mutex_.Unlock();
  const bool found = spinner.Spin([&] {
    if (kicked_.load(std::memory_order_relaxed)) return true;
    for (const auto& c : *channels) {
      if (c->consumer->HasSubmissions()) return true;
    }
    return false;
  });
  if (!found) ParkOn(*channels);
  mutex_.Lock();  // before the list goes: ChannelTable counts on it
}

bool Scheduler::ParkOn(const ChannelList& channels) {
  bool quiet = !kicked_.load(std::memory_order_acquire);
  for (const auto& c : channels) quiet &= c->consumer->PrepareSleep(channel::Sleep::kEventFd);
  if (quiet) {
    epoll_event events[kEventsAtOnce];
    epoll_wait(epoll_.get(), events, kEventsAtOnce, -1);
  }
  for (const auto& c : channels) c->consumer->FinishSleep();
  return quiet;
}

}  // namespace mlos::plugin_host
