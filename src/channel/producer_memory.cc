// SPDX-License-Identifier: Apache-2.0
//
// The producer's segments and epochs: what is made, granted, carried over from
// one consumer to the next, and given back.
#include <fcntl.h>

#include <string>

#include "channel/entry.h"
#include "channel/producer.h"
#include "channel/producer_impl.h"

namespace mlos::channel {

namespace {

StatusOr<OwnedFd> Duplicate(int fd) {
  OwnedFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return ErrnoStatus("cannot duplicate a descriptor");
  return copy;
}

StatusOr<SegmentGrant> GrantOf(const NumberedSegment& segment) {
  SegmentGrant grant;
  grant.id = segment.id;
  grant.bytes = segment.memory->size();
  MLOS_ASSIGN_OR_RETURN(grant.fd, Duplicate(segment.memory->fd()));
  return grant;
}

}  // namespace

Producer::Producer() : impl_(std::make_unique<Impl>()) {}
Producer::~Producer() = default;

// ------------------------------------------------------------------ segments

StatusOr<NumberedSegment> Producer::Impl::NewSegment(const char* name, uint64_t bytes, Access mine,
                                                     Access others, uint64_t prefault) {
  if (next_segment_id == 0) return ResourceExhausted("the channel has used up its segment numbers");
  MLOS_ASSIGN_OR_RETURN(auto memory, Segment::Create(name, bytes, mine, others, prefault));
  total_bytes += memory->size();
  return NumberedSegment{next_segment_id++, std::move(memory)};
}

Status Producer::Impl::CheckRoom(uint64_t bytes) const {
  if (bytes <= options.max_bytes && total_bytes <= options.max_bytes - bytes) return OkStatus();
  return ResourceExhausted("the channel's segments have " + std::to_string(total_bytes) +
                           " bytes; " + std::to_string(bytes) + " more would pass its limit of " +
                           std::to_string(options.max_bytes));
}

StatusOr<std::unique_ptr<Producer>> Producer::Create(const Options& options) {
  if (options.entries == 0 || options.entries > kMaxEntries || options.entries % 64 != 0) {
    return InvalidArgument("a channel of " + std::to_string(options.entries) +
                           " entries is not possible: give a multiple of 64 up to " +
                           std::to_string(kMaxEntries));
  }
  std::unique_ptr<Producer> producer(new Producer());
  Impl& impl = *producer->impl_;
  impl.options = options;
  impl.next_sequence = options.first_sequence;
  const uint64_t control_bytes = ControlBytes(options.entries);
  MLOS_ASSIGN_OR_RETURN(impl.control,
                        Segment::Create("mlos-control", control_bytes, Access::kReadWrite,
                                        Access::kReadWrite, control_bytes));
  impl.total_bytes += impl.control->size();
  OwnedFd event;
  if (options.rung_by == EventKind::kEventFd) {
    MLOS_ASSIGN_OR_RETURN(event, MakeEventFd());
  } else {
    MLOS_ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair());
    event = std::move(sockets.sleeper);
    impl.producer_bell = std::move(sockets.waker);
  }
  MLOS_ASSIGN_OR_RETURN(NumberedSegment first,
                        impl.NewSegment("mlos-request", options.request_bytes, Access::kReadWrite,
                                        Access::kReadOnly, options.prefault_bytes));
  impl.arena.AddSegment(first.id, first.memory->size());
  impl.requests.push_back(std::move(first));

  // A fresh segment is all zero: every entry free, no hints, both ends awake.
  impl.header = reinterpret_cast<ControlHeader*>(impl.control->data());
  impl.entries = reinterpret_cast<Entry*>(impl.control->data() + sizeof(ControlHeader));
  impl.sleeper = Sleeper(&impl.header->producer, std::move(event), options.rung_by);
  impl.words = options.entries / 64;
  impl.shadows.resize(options.entries);
  impl.free_entries.reserve(options.entries);
  for (uint32_t i = options.entries; i > 0; --i) impl.free_entries.push_back(i - 1);
  return producer;
}

StatusOr<SegmentGrant> Producer::AddRequestSegment(uint64_t bytes) {
  const uint64_t size = SegmentClass(bytes);
  MLOS_RETURN_IF_ERROR(impl_->CheckRoom(size));
  MLOS_ASSIGN_OR_RETURN(
      NumberedSegment added,
      impl_->NewSegment("mlos-request", size, Access::kReadWrite, Access::kReadOnly, 0));
  MLOS_ASSIGN_OR_RETURN(SegmentGrant grant, GrantOf(added));
  impl_->requests.push_back(std::move(added));
  return grant;
}

void Producer::ActivateRequestSegment(uint32_t id) {
  for (const NumberedSegment& segment : impl_->requests) {
    if (segment.id == id) impl_->arena.AddSegment(id, segment.memory->size());
  }
}

StatusOr<SegmentGrant> Producer::AddResponseSegment(uint64_t bytes) {
  if (impl_->epochs.empty()) return FailedPrecondition("the channel has no consumer yet");
  const uint64_t size = SegmentClass(bytes);
  MLOS_RETURN_IF_ERROR(impl_->CheckRoom(size));
  MLOS_ASSIGN_OR_RETURN(
      NumberedSegment added,
      impl_->NewSegment("mlos-response", size, Access::kReadOnly, Access::kReadWrite, 0));
  MLOS_ASSIGN_OR_RETURN(SegmentGrant grant, GrantOf(added));
  impl_->epochs.back()->responses.push_back(std::move(added));
  return grant;
}

uint64_t Producer::segment_bytes() const { return impl_->total_bytes; }

Usage Producer::usage() const {
  Usage usage;
  usage.entries = static_cast<uint32_t>(impl_->shadows.size());
  usage.entries_used = usage.entries - static_cast<uint32_t>(impl_->free_entries.size());
  usage.request_bytes = impl_->arena.total_bytes();
  usage.request_used_bytes = usage.request_bytes - impl_->arena.free_bytes();
  for (const auto& epoch : impl_->epochs) {
    for (const NumberedSegment& segment : epoch->responses) {
      usage.response_bytes += segment.memory->size();
    }
  }
  return usage;
}

// -------------------------------------------------------------------- epochs

Status Producer::BeginEpoch() {
  if (impl_->epoch == kMaxEpoch) {
    return ResourceExhausted("the channel has had too many consumers: make a new one");
  }
  // Nothing that the last consumer did to its descriptors reaches the next one.
  MLOS_ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair());
  MLOS_ASSIGN_OR_RETURN(
      NumberedSegment first,
      impl_->NewSegment("mlos-response", impl_->options.response_bytes, Access::kReadOnly,
                        Access::kReadWrite, impl_->options.prefault_bytes));
  impl_->consumer_event = std::move(sockets.sleeper);
  impl_->consumer_bell = std::move(sockets.waker);
  fcntl(impl_->sleeper.event(), F_SETFL, O_NONBLOCK);
  auto next = std::make_unique<ResponseEpoch>();
  next->epoch = impl_->epoch + 1;
  next->responses.push_back(std::move(first));
  for (uint32_t i = 0; i < impl_->options.entries; ++i) impl_->CarryOver(i);
  impl_->epochs.push_back(std::move(next));
  ++impl_->epoch;
  impl_->header->magic = kChannelMagic;
  impl_->header->layout_version = kLayoutVersion;
  impl_->header->entries = impl_->options.entries;
  impl_->header->epoch.store(impl_->epoch, std::memory_order_relaxed);
  impl_->DropUnusedEpochs();
  return OkStatus();
}

// An entry while the consumer changes.  What the old one may have scribbled is
// set right, so that its successor runs what was asked for and nothing else.
void Producer::Impl::CarryOver(uint32_t entry) {
  Shadow& shadow = shadows[entry];
  std::atomic<uint64_t>& word = entries[entry].word;
  if (shadow.state == Holder::kReader) {
    word.store(DoneWord(shadow.sequence, shadow.answered_by), std::memory_order_relaxed);
  } else if (shadow.state != Holder::kConsumer) {
    word.store(FreeWord(shadow.sequence), std::memory_order_relaxed);
  } else {
    CarryOverWaiting(entry);
  }
}

void Producer::Impl::CarryOverWaiting(uint32_t entry) {
  Shadow& shadow = shadows[entry];
  std::atomic<uint64_t>& word = entries[entry].word;
  const EntryWord seen = EntryWord::Unpack(word.load(std::memory_order_acquire));
  // The old consumer's answer may stand there, or, if it is alive and handing
  // over, still come: its memory stays until this entry is released.
  ResponseEpoch* author = epochs.empty() ? nullptr : epochs.back().get();
  if (ResponseEpoch* named = FindEpoch(seen.epoch)) author = named;
  Pin(&shadow, author);
  if (RecoverAnswer(word, header->completed[entry / 64], Bit(entry), shadow.sequence)) return;
  WriteDescriptor(entry);
  entries[entry].started_ns.store(0, std::memory_order_relaxed);  // not by the next one
  const bool waits = seen.sequence == shadow.sequence &&
                     (seen.state == EntryState::kSubmitted ||
                      (seen.state == EntryState::kClaimed && seen.epoch <= epoch));
  // A word that means nothing was scribbled.  The request is submitted again,
  // unless it may have run and must not twice: Judge deals with that.
  if (waits || (shadow.submission.flags & kReplayNever) != 0) return;
  PublishSubmission(word, header->submitted[entry / 64], Bit(entry), shadow.sequence);
}

uint32_t Producer::epoch() const { return impl_->epoch; }

StatusOr<ConsumerGrant> Producer::Grant() const {
  if (impl_->epochs.empty()) return FailedPrecondition("begin an epoch before granting it");
  ConsumerGrant grant;
  grant.entries = impl_->options.entries;
  grant.epoch = impl_->epoch;
  MLOS_ASSIGN_OR_RETURN(grant.control, Duplicate(impl_->control->fd()));
  MLOS_ASSIGN_OR_RETURN(grant.consumer_event, Duplicate(impl_->consumer_event.get()));
  MLOS_ASSIGN_OR_RETURN(
      grant.producer_event,
      Duplicate(impl_->producer_bell ? impl_->producer_bell.get() : impl_->sleeper.event()));
  for (const NumberedSegment& segment : impl_->requests) {
    MLOS_ASSIGN_OR_RETURN(SegmentGrant one, GrantOf(segment));
    grant.requests.push_back(std::move(one));
  }
  for (const NumberedSegment& segment : impl_->epochs.back()->responses) {
    MLOS_ASSIGN_OR_RETURN(SegmentGrant one, GrantOf(segment));
    grant.responses.push_back(std::move(one));
  }
  return grant;
}

void Producer::Impl::Pin(Shadow* shadow, ResponseEpoch* target) {
  if (shadow->pin == target) return;
  ResponseEpoch* const before = shadow->pin;
  shadow->pin = target;
  if (target != nullptr) ++target->pins;
  if (before != nullptr && --before->pins == 0 && epochs.size() > 1) DropUnusedEpochs();
}

// The present epoch is the last, and stays.
void Producer::Impl::DropUnusedEpochs() {
  for (size_t i = 0; i + 1 < epochs.size();) {
    if (epochs[i]->pins > 0) {
      ++i;
      continue;
    }
    for (const NumberedSegment& segment : epochs[i]->responses)
      total_bytes -= segment.memory->size();
    epochs.erase(epochs.begin() + static_cast<ptrdiff_t>(i));
  }
}

ResponseEpoch* Producer::Impl::FindEpoch(uint32_t number) {
  for (auto it = epochs.rbegin(); it != epochs.rend(); ++it) {
    if ((*it)->epoch == number) return it->get();
  }
  return nullptr;
}

}  // namespace mlos::channel
