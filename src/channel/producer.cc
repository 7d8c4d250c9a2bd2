// SPDX-License-Identifier: Apache-2.0
//
// What the producer knows it keeps in private memory (Shadow); from shared
// memory it takes only whether an entry is done, and the answer's descriptor.
#include "channel/producer.h"

#include <cassert>
#include <utility>

#include "channel/entry.h"
#include "channel/producer_impl.h"

namespace mlos::channel {

namespace {

constexpr uint32_t kMaxLanes = 65536;

}  // namespace

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

bool Producer::Full(uint32_t lane) const {
  const Lane* const l = impl_->FindLane(lane);
  return l == nullptr || l->held >= l->limit || impl_->free_entries.empty();
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
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const Shadow& shadow = shadows[entry];
  Entry& shared = entries[entry];
  shared.model.store(shadow.submission.model, kRelaxed);
  shared.principal.store(shadow.submission.principal, kRelaxed);
  shared.deadline_ns.store(shadow.submission.deadline_ns, kRelaxed);
  shared.flags.store(shadow.submission.flags | (shadow.suspect ? kSuspect : 0), kRelaxed);
  shared.request_segment.store(shadow.block.segment, kRelaxed);
  shared.request_offset.store(shadow.block.offset, kRelaxed);
  shared.request_length.store(shadow.block.length, kRelaxed);
  shared.cancel.store(shadow.cancelled ? 1 : 0, kRelaxed);
}

void Producer::Submit(const RequestSlot& slot, const Submission& submission) {
  Shadow& shadow = impl_->shadows[slot.entry];
  assert(shadow.state == Holder::kWriter);
  if (impl_->next_sequence == 0) impl_->next_sequence = 1;  // 0: never submitted
  shadow.sequence = impl_->next_sequence++;
  shadow.submission = submission;
  shadow.cancelled = shadow.suspect = false;
  shadow.strikes = shadow.outside = 0;
  shadow.state = Holder::kConsumer;
  ++impl_->pending;
  ++impl_->in_flight;
  impl_->WriteDescriptor(slot.entry);
  impl_->entries[slot.entry].attempts.store(0, std::memory_order_relaxed);
  impl_->entries[slot.entry].started_ns.store(0, std::memory_order_relaxed);
  PublishSubmission(impl_->entries[slot.entry].word, impl_->header->submitted[slot.entry / 64],
                    Bit(slot.entry), shadow.sequence);
  Ring(impl_->header->consumer, impl_->consumer_bell.get(), EventKind::kSocket);
}

bool Producer::Cancel(uint32_t entry) {
  if (!TakeBack(entry)) return false;
  impl_->FreeEntry(entry);
  return true;
}

bool Producer::TakeBack(uint32_t entry) {
  Shadow& shadow = impl_->shadows[entry];
  if (shadow.state != Holder::kConsumer) return false;
  if (TryRetract(impl_->entries[entry].word, shadow.sequence)) {
    --impl_->pending;
    --impl_->in_flight;
    shadow.state = Holder::kWriter;
    impl_->Pin(&shadow, nullptr);
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
  constexpr auto kRelaxed = std::memory_order_relaxed;
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
  completion->response = {shared.response_segment.load(kRelaxed), 0,
                          shared.response_offset.load(kRelaxed),
                          shared.response_length.load(kRelaxed)};
  completion->times = {shared.claimed_ns.load(kRelaxed), shared.started_ns.load(kRelaxed),
                       shared.finished_ns.load(kRelaxed)};
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
  assert(impl_->shadows[entry].state == Holder::kReader);
  if (impl_->shadows[entry].state != Holder::kReader) return;
  Reuse(entry);
  impl_->FreeEntry(entry);
}

void Producer::Reuse(uint32_t entry) {
  Shadow& shadow = impl_->shadows[entry];
  assert(shadow.state == Holder::kReader);
  // Tells the consumer that its memory is free.  If the word is something
  // else, the consumer has spoiled it; the entry is ours all the same.
  TryRelease(impl_->entries[entry].word, shadow.sequence, shadow.answered_by);
  --impl_->in_flight;
  shadow.state = Holder::kWriter;
  impl_->Pin(&shadow, nullptr);
}

// Takes the entry from a consumer that is gone.
Completion Producer::Impl::GiveUp(uint32_t entry) {
  Shadow& shadow = shadows[entry];
  entries[entry].word.store(FreeWord(shadow.sequence), std::memory_order_release);
  shadow.state = Holder::kReader;
  --pending;
  Pin(&shadow, nullptr);
  Completion completion;
  completion.entry = entry;
  completion.user_data = shadow.submission.user_data;
  completion.lost = true;
  return completion;
}

size_t Producer::FailPending(const std::function<void(const Completion&)>& done) {
  size_t failed = 0;
  for (uint32_t entry = 0; entry < impl_->options.entries; ++entry) {
    const Shadow& shadow = impl_->shadows[entry];
    if (shadow.state != Holder::kConsumer) continue;
    if (RecoverAnswer(impl_->entries[entry].word, impl_->header->completed[entry / 64], Bit(entry),
                      shadow.sequence)) {
      continue;
    }
    ++failed;
    done(impl_->GiveUp(entry));
  }
  return failed;
}

// Whether the death is laid to this entry, which its consumer had claimed.  Who
// ran beside others is only suspected.  When it began is the consumer's word:
// a false one blames another request of the same plugin.
bool Producer::Impl::Blame(uint32_t entry, const Ending& ending) {
  Shadow& shadow = shadows[entry];
  if (entries[entry].started_ns.load(std::memory_order_relaxed) == 0) return false;
  if (ending.how == Death::kHung) {
    const bool late = shadow.submission.deadline_ns < ending.late_before_ns;
    shadow.suspect |= late;
    return late;
  }
  if (ending.how == Death::kFromOutside) {
    if (shadow.outside < kMostOutside) ++shadow.outside;
    if (shadow.outside < kMostOutside) return false;
  }
  return std::exchange(shadow.suspect, true);
}

size_t Producer::Judge(const Ending& ending, const std::function<void(uint32_t)>& strike,
                       const std::function<void(const Completion&)>& done) {
  size_t failed = 0;
  for (uint32_t entry = 0; entry < impl_->options.entries; ++entry) {
    Shadow& shadow = impl_->shadows[entry];
    if (shadow.state != Holder::kConsumer) continue;
    std::atomic<uint64_t>& word = impl_->entries[entry].word;
    if (RecoverAnswer(word, impl_->header->completed[entry / 64], Bit(entry), shadow.sequence)) {
      continue;
    }
    if (word.load(std::memory_order_acquire) == SubmittedWord(shadow.sequence)) continue;
    if (impl_->Blame(entry, ending)) {
      ++shadow.strikes;
      strike(entry);
    }
    const bool struck = shadow.strikes >= kMostStrikes;
    if (!struck && (shadow.submission.flags & kReplayNever) == 0) continue;
    Completion completion = impl_->GiveUp(entry);
    completion.struck = struck;
    ++failed;
    done(completion);
  }
  return failed;
}

const Submission& Producer::SubmissionOf(uint32_t entry) const {
  return impl_->shadows[entry].submission;
}

RequestSlot Producer::RequestOf(uint32_t entry) const {
  const Shadow& shadow = impl_->shadows[entry];
  return {entry, shadow.block, shadow.memory};
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
