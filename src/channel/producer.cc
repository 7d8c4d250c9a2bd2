// SPDX-License-Identifier: Apache-2.0
//
// What the producer knows it keeps in private memory (Shadow); from shared
// memory it takes only whether an entry is done, and the answer's descriptor.
#include "channel/producer.h"

#include <fcntl.h>

#include <cassert>
#include <string>

#include "channel/entry.h"
#include "channel/producer_impl.h"

namespace mlos::channel {

namespace {

constexpr uint32_t kMaxLanes = 65536;

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
  MLOS_ASSIGN_OR_RETURN(OwnedFd event, MakeEventFd());
  MLOS_ASSIGN_OR_RETURN(
      NumberedSegment first, impl.NewSegment("mlos-request", options.request_bytes, Access::kReadWrite,
                                      Access::kReadOnly, options.prefault_bytes));
  impl.arena.AddSegment(first.id, first.memory->size());
  impl.requests.push_back(std::move(first));

  // A fresh segment is all zero: every entry free, no hints, both ends awake.
  impl.header = reinterpret_cast<ControlHeader*>(impl.control->data());
  impl.entries = reinterpret_cast<Entry*>(impl.control->data() + sizeof(ControlHeader));
  impl.sleeper = Sleeper(&impl.header->producer, std::move(event), EventKind::kEventFd);
  impl.words = options.entries / 64;
  impl.shadows.resize(options.entries);
  impl.free_entries.reserve(options.entries);
  for (uint32_t i = options.entries; i > 0; --i) impl.free_entries.push_back(i - 1);
  return producer;
}

StatusOr<SegmentGrant> Producer::AddRequestSegment(uint64_t bytes) {
  const uint64_t size = SegmentClass(bytes);
  MLOS_RETURN_IF_ERROR(impl_->CheckRoom(size));
  MLOS_ASSIGN_OR_RETURN(NumberedSegment added, impl_->NewSegment("mlos-request", size, Access::kReadWrite,
                                                          Access::kReadOnly, 0));
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
  MLOS_ASSIGN_OR_RETURN(NumberedSegment added, impl_->NewSegment("mlos-response", size, Access::kReadOnly,
                                                          Access::kReadWrite, 0));
  MLOS_ASSIGN_OR_RETURN(SegmentGrant grant, GrantOf(added));
  impl_->epochs.back()->responses.push_back(std::move(added));
  return grant;
}

uint64_t Producer::segment_bytes() const { return impl_->total_bytes; }

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
  const bool waits = seen.sequence == shadow.sequence &&
                     (seen.state == EntryState::kSubmitted ||
                      (seen.state == EntryState::kClaimed && seen.epoch <= epoch));
  // A word that means nothing was scribbled.  The request is submitted again,
  // unless it may have run and must not twice: FailPending deals with that.
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
  MLOS_ASSIGN_OR_RETURN(grant.producer_event, Duplicate(impl_->sleeper.event()));
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
    for (const NumberedSegment& segment : epochs[i]->responses) total_bytes -= segment.memory->size();
    epochs.erase(epochs.begin() + static_cast<ptrdiff_t>(i));
  }
}

ResponseEpoch* Producer::Impl::FindEpoch(uint32_t number) {
  for (auto it = epochs.rbegin(); it != epochs.rend(); ++it) {
    if ((*it)->epoch == number) return it->get();
  }
  return nullptr;
}

// ------------------------------------------------------------------ requests

void Producer::SetLaneLimit(uint32_t lane, uint32_t limit) {
  if (Lane* l = impl_->FindLane(lane)) l->limit = limit;
}

Lane* Producer::Impl::FindLane(uint32_t lane) {
  if (lane >= lanes.size()) {
    if (lane >= kMaxLanes) return nullptr;
    lanes.resize(lane + 1, Lane{0, options.entries / 4 * 3});
  }
  return &lanes[lane];
}

// Memory for a request: the entry's own block if it is large enough and not
// absurdly so, or else another; when there is none, what idle entries keep is
// given up.
bool Producer::Impl::FitBlock(Shadow* shadow, uint64_t bytes) {
  constexpr uint64_t kAlwaysFine = 16 << 10;
  const uint64_t kept = shadow->block.length;
  if (kept > 0 && kept >= bytes && (kept <= kAlwaysFine || kept / 8 <= bytes)) return true;
  if (shadow->block.length > 0) {
    arena.Free(shadow->block);
    shadow->block = {};
  }
  auto block = arena.Allocate(bytes);
  if (!block) {
    bool any = false;
    for (Shadow& idle : shadows) {
      if (idle.state != Holder::kNobody || idle.block.length == 0) continue;
      arena.Free(idle.block);
      idle.block = {};
      any = true;
    }
    if (any) block = arena.Allocate(bytes);
    if (!block) return false;
  }
  for (const NumberedSegment& segment : requests) {
    if (segment.id != block->segment) continue;
    shadow->block = *block;
    shadow->memory = segment.memory->Range(block->offset, block->length);
    return true;
  }
  return false;
}

BeginResult Producer::Begin(uint32_t lane, uint64_t bytes, RequestSlot* slot) {
  Lane* const l = impl_->FindLane(lane);
  if (l == nullptr || l->held >= l->limit) return BeginResult::kNoCredit;
  if (impl_->free_entries.empty()) return BeginResult::kNoEntry;
  // The entry used last is the one whose memory is warm.
  const uint32_t entry = impl_->free_entries.back();
  Shadow& shadow = impl_->shadows[entry];
  if (!impl_->FitBlock(&shadow, bytes)) return BeginResult::kNoSpace;
  impl_->free_entries.pop_back();
  shadow.state = Holder::kWriter;
  shadow.lane = lane;
  ++l->held;
  slot->entry = entry;
  slot->block = shadow.block;
  slot->memory = shadow.memory;
  return BeginResult::kOk;
}

void Producer::Impl::FreeEntry(uint32_t entry) {
  Shadow& shadow = shadows[entry];
  --lanes[shadow.lane].held;
  shadow.state = Holder::kNobody;
  free_entries.push_back(entry);
  Pin(&shadow, nullptr);
}

void Producer::Abandon(const RequestSlot& slot) {
  assert(impl_->shadows[slot.entry].state == Holder::kWriter);
  impl_->FreeEntry(slot.entry);
}

void Producer::Impl::WriteDescriptor(uint32_t entry) {
  constexpr auto relaxed = std::memory_order_relaxed;
  const Shadow& shadow = shadows[entry];
  Entry& shared = entries[entry];
  shared.model.store(shadow.submission.model, relaxed);
  shared.principal.store(shadow.submission.principal, relaxed);
  shared.deadline_ns.store(shadow.submission.deadline_ns, relaxed);
  shared.flags.store(shadow.submission.flags, relaxed);
  shared.request_segment.store(shadow.block.segment, relaxed);
  shared.request_offset.store(shadow.block.offset, relaxed);
  shared.request_length.store(shadow.block.length, relaxed);
  shared.cancel.store(shadow.cancelled ? 1 : 0, relaxed);
}

void Producer::Submit(const RequestSlot& slot, const Submission& submission) {
  Shadow& shadow = impl_->shadows[slot.entry];
  assert(shadow.state == Holder::kWriter);
  if (impl_->next_sequence == 0) impl_->next_sequence = 1;  // 0: never submitted
  shadow.sequence = impl_->next_sequence++;
  shadow.submission = submission;
  shadow.cancelled = false;
  shadow.state = Holder::kConsumer;
  ++impl_->pending;
  ++impl_->in_flight;
  impl_->WriteDescriptor(slot.entry);
  impl_->entries[slot.entry].attempts.store(0, std::memory_order_relaxed);
  PublishSubmission(impl_->entries[slot.entry].word, impl_->header->submitted[slot.entry / 64],
                    Bit(slot.entry), shadow.sequence);
  Ring(impl_->header->consumer, impl_->consumer_bell.get(), EventKind::kSocket);
}

bool Producer::Cancel(uint32_t entry) {
  Shadow& shadow = impl_->shadows[entry];
  if (shadow.state != Holder::kConsumer) return false;
  if (TryRetract(impl_->entries[entry].word, shadow.sequence)) {
    --impl_->pending;
    --impl_->in_flight;
    impl_->FreeEntry(entry);
    return true;
  }
  shadow.cancelled = true;
  impl_->entries[entry].cancel.store(1, std::memory_order_relaxed);
  // The way out for an answer that a faulty consumer did not announce.
  RecoverAnswer(impl_->entries[entry].word, impl_->header->completed[entry / 64], Bit(entry),
                shadow.sequence);
  return false;
}

// ------------------------------------------------------------------- answers

bool Producer::Impl::Collect(uint32_t entry, Completion* completion) {
  constexpr auto relaxed = std::memory_order_relaxed;
  Shadow& shadow = shadows[entry];
  Entry& shared = entries[entry];
  uint32_t answered_by = 0;
  if (shadow.state != Holder::kConsumer ||
      !IsAnswered(shared.word, shadow.sequence, &answered_by)) {
    return false;
  }
  shadow.state = Holder::kReader;
  shadow.answered_by = answered_by;
  --pending;
  Pin(&shadow, FindEpoch(answered_by));
  completion->entry = entry;
  completion->user_data = shadow.submission.user_data;
  completion->response = {shared.response_segment.load(relaxed), 0,
                          shared.response_offset.load(relaxed),
                          shared.response_length.load(relaxed)};
  completion->times = {shared.claimed_ns.load(relaxed), shared.started_ns.load(relaxed),
                       shared.finished_ns.load(relaxed)};
  completion->lost = false;
  return true;
}

size_t Producer::Poll(const std::function<void(const Completion&)>& done) {
  size_t collected = 0;
  for (uint32_t w = 0; w < impl_->words && impl_->pending > 0; ++w) {
    // Every bit once per call, so that a consumer that raises bits without end
    // cannot keep us here.
    FollowHints(impl_->header->completed[w], [&](uint32_t bit) {
      Completion completion;
      if (!impl_->Collect(w * 64 + bit, &completion)) return;
      ++collected;
      done(completion);
    });
  }
  return collected;
}

bool Producer::HasCompletions() const {
  if (impl_->pending == 0) return false;
  for (uint32_t w = 0; w < impl_->words; ++w) {
    if (impl_->header->completed[w].load(std::memory_order_relaxed) != 0) return true;
  }
  return false;
}

StatusOr<std::span<const std::byte>> Producer::ResponseMemory(uint32_t entry,
                                                              const BlockRef& block) const {
  if (entry < impl_->shadows.size()) {
    const Shadow& shadow = impl_->shadows[entry];
    if (shadow.state == Holder::kReader && shadow.pin != nullptr) {
      for (const NumberedSegment& segment : shadow.pin->responses) {
        if (segment.id != block.segment) continue;
        const std::span<std::byte> bytes = segment.memory->Range(block.offset, block.length);
        if (bytes.data() != nullptr) return bytes;
      }
    }
  }
  return InvalidArgument("the plugin host answered with memory that it was not given");
}

void Producer::Release(uint32_t entry) {
  Shadow& shadow = impl_->shadows[entry];
  assert(shadow.state == Holder::kReader);
  if (shadow.state != Holder::kReader) return;
  // Tells the consumer that its memory is free.  If the word is something
  // else, the consumer has spoiled it; the entry is ours all the same.
  TryRelease(impl_->entries[entry].word, shadow.sequence, shadow.answered_by);
  --impl_->in_flight;
  impl_->FreeEntry(entry);
}

size_t Producer::FailPending(bool replay_never_only,
                             const std::function<void(const Completion&)>& done) {
  size_t failed = 0;
  for (uint32_t entry = 0; entry < impl_->options.entries; ++entry) {
    Shadow& shadow = impl_->shadows[entry];
    if (shadow.state != Holder::kConsumer) continue;
    std::atomic<uint64_t>& word = impl_->entries[entry].word;
    if (RecoverAnswer(word, impl_->header->completed[entry / 64], Bit(entry), shadow.sequence)) {
      continue;
    }
    if (replay_never_only) {
      if ((shadow.submission.flags & kReplayNever) == 0) continue;
      if (word.load(std::memory_order_acquire) == SubmittedWord(shadow.sequence)) continue;
    }
    word.store(FreeWord(shadow.sequence), std::memory_order_release);
    shadow.state = Holder::kReader;
    --impl_->pending;
    impl_->Pin(&shadow, nullptr);
    ++failed;
    Completion completion;
    completion.entry = entry;
    completion.user_data = shadow.submission.user_data;
    completion.lost = true;
    done(completion);
  }
  return failed;
}

uint32_t Producer::in_flight() const { return impl_->in_flight; }

void Producer::ForEachPending(const std::function<void(uint32_t, uint64_t, uint64_t)>& f) const {
  for (uint32_t entry = 0; entry < impl_->options.entries; ++entry) {
    const Shadow& shadow = impl_->shadows[entry];
    if (shadow.state != Holder::kConsumer) continue;
    f(entry, shadow.submission.user_data, shadow.submission.deadline_ns);
  }
}

// ------------------------------------------------------------------- waiting

bool Producer::Impl::HasAnswers() {
  if (pending == 0) return false;
  for (uint32_t w = 0; w < words; ++w) {
    const bool found = HasTrueHint(header->completed[w], [&](uint32_t bit) {
      const Shadow& shadow = shadows[w * 64 + bit];
      uint32_t answered_by = 0;
      return shadow.state == Holder::kConsumer &&
             IsAnswered(entries[w * 64 + bit].word, shadow.sequence, &answered_by);
    });
    if (found) return true;
  }
  return false;
}

bool Producer::PrepareSleep(Sleep how) {
  return impl_->sleeper.Prepare(how, [this] { return impl_->HasAnswers(); });
}

void Producer::FutexSleep(uint64_t deadline_ns) { impl_->sleeper.Futex(deadline_ns); }
void Producer::FinishSleep() { impl_->sleeper.Finish(); }
void Producer::OnEventReadable() { impl_->sleeper.OnReadable(); }
int Producer::event_fd() const { return impl_->sleeper.event(); }

}  // namespace mlos::channel
