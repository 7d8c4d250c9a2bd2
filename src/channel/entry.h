// SPDX-License-Identifier: Apache-2.0
//
// The protocol of one entry: the transitions of its word, and the order in
// which word and hint bits are touched.  Stateless; both ends and the model
// test run exactly this code, which is why the atomics are a template
// parameter: the model test passes atomics that stop before every access.
//
// The Try* functions make one atomic access each.  The others are the only
// sequences of accesses that the ends use; each says what a crash between its
// steps leaves behind.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "channel/layout.h"

namespace mlos::channel {

// The hint bit of an entry in hint word entry / 64.
constexpr uint64_t Bit(uint32_t entry) { return uint64_t{1} << (entry % 64); }

constexpr uint64_t SubmittedWord(uint32_t sequence) {
  return EntryWord{EntryState::kSubmitted, 0, sequence}.Pack();
}
constexpr uint64_t ClaimedWord(uint32_t sequence, uint32_t epoch) {
  return EntryWord{EntryState::kClaimed, epoch, sequence}.Pack();
}
constexpr uint64_t DoneWord(uint32_t sequence, uint32_t epoch) {
  return EntryWord{EntryState::kDone, epoch, sequence}.Pack();
}
constexpr uint64_t FreeWord(uint32_t sequence) {
  return EntryWord{EntryState::kFree, 0, sequence}.Pack();
}

// ------------------------------------------------------------- single steps

template <typename Atomic>
bool CompareAndSwap(Atomic& word, uint64_t from, uint64_t to) {
  return word.compare_exchange_strong(from, to, std::memory_order_acq_rel,
                                      std::memory_order_acquire);
}

// Producer: free -> submitted.  A store: only the producer changes a free
// entry, and it does not care what a hostile consumer has written there.
template <typename Atomic>
void Submit(Atomic& word, uint32_t sequence) {
  word.store(SubmittedWord(sequence), std::memory_order_release);
}
// Producer: submitted -> free, if nobody has claimed it.
template <typename Atomic>
bool TryRetract(Atomic& word, uint32_t sequence) {
  return CompareAndSwap(word, SubmittedWord(sequence), FreeWord(sequence));
}
// Producer: done -> free, when the answer's memory may be used again.
template <typename Atomic>
bool TryRelease(Atomic& word, uint32_t sequence, uint32_t epoch) {
  return CompareAndSwap(word, DoneWord(sequence, epoch), FreeWord(sequence));
}
// Consumer: submitted -> claimed(epoch).
template <typename Atomic>
bool TryClaim(Atomic& word, uint32_t sequence, uint32_t epoch) {
  return CompareAndSwap(word, SubmittedWord(sequence), ClaimedWord(sequence, epoch));
}
// Consumer: claimed(old) -> claimed(epoch), after the old consumer's death.
template <typename Atomic>
bool TryReclaim(Atomic& word, uint32_t sequence, uint32_t old_epoch, uint32_t epoch) {
  return CompareAndSwap(word, ClaimedWord(sequence, old_epoch), ClaimedWord(sequence, epoch));
}
// Consumer: claimed(epoch) -> done(epoch).
template <typename Atomic>
bool TryComplete(Atomic& word, uint32_t sequence, uint32_t epoch) {
  return CompareAndSwap(word, ClaimedWord(sequence, epoch), DoneWord(sequence, epoch));
}

// Hints.  seq_cst, because the next thing that the caller looks at is whether
// the other end sleeps (doorbell.h).
template <typename Atomic>
void RaiseHint(Atomic& hints, uint64_t bits) {
  hints.fetch_or(bits, std::memory_order_seq_cst);
}
template <typename Atomic>
uint64_t TakeHints(Atomic& hints, uint64_t bits) {
  return hints.fetch_and(~bits, std::memory_order_seq_cst) & bits;
}

// ---------------------------------------------------------------- sequences

// Producer: makes a filled entry visible.  The word first: whoever sees the
// bit sees the submission.
template <typename Atomic>
void PublishSubmission(Atomic& word, Atomic& hints, uint64_t bit, uint32_t sequence) {
  Submit(word, sequence);
  RaiseHint(hints, bit);
}

// Consumer: follows a hint.  The bit is taken down before the word is read:
// if the entry is submitted once more after that, its bit is up again, so
// giving up on a lost race loses nothing.  A crash after the first step leaves
// a submitted entry without a bit: the successor's scan finds it.
template <typename Atomic>
bool ClaimHinted(Atomic& word, Atomic& hints, uint64_t bit, uint32_t epoch, uint32_t* sequence) {
  if (TakeHints(hints, bit) == 0) return false;
  const EntryWord seen = EntryWord::Unpack(word.load(std::memory_order_acquire));
  if (seen.state != EntryState::kSubmitted) return false;
  *sequence = seen.sequence;
  return TryClaim(word, seen.sequence, epoch);
}

// Consumer: publishes an answer.  A crash between the steps leaves a finished
// entry without a bit: the producer looks at all its entries when it begins
// the next epoch.
template <typename Atomic>
bool PublishAnswer(Atomic& word, Atomic& hints, uint64_t bit, uint32_t sequence, uint32_t epoch) {
  if (!TryComplete(word, sequence, epoch)) return false;
  RaiseHint(hints, bit);
  return true;
}

// Producer: whether the entry holds the answer to `sequence`, and from whom.
template <typename Atomic>
bool IsAnswered(const Atomic& word, uint32_t sequence, uint32_t* epoch) {
  const EntryWord seen = EntryWord::Unpack(word.load(std::memory_order_acquire));
  if (seen.state != EntryState::kDone || seen.sequence != sequence) return false;
  *epoch = seen.epoch;
  return true;
}

// Producer: follows all hints of a word, each once.  Down before the look: an
// answer that comes later raises its bit again.
template <typename Atomic, typename Look>
void FollowHints(Atomic& hints, Look&& look) {
  if (hints.load(std::memory_order_relaxed) == 0) return;
  for (uint64_t bits = TakeHints(hints, ~uint64_t{0}); bits != 0; bits &= bits - 1) {
    look(static_cast<uint32_t>(std::countr_zero(bits)));
  }
}

// Producer, about to sleep: whether an answer is there, and not only a bit that
// says so: a consumer that raises bits without end must not keep it awake.
// False bits are taken down; with the first true one the rest is put back.
template <typename Atomic, typename IsTrue>
bool HasTrueHint(Atomic& hints, IsTrue&& is_true) {
  if (hints.load(std::memory_order_seq_cst) == 0) return false;
  for (uint64_t bits = TakeHints(hints, ~uint64_t{0}); bits != 0; bits &= bits - 1) {
    if (!is_true(static_cast<uint32_t>(std::countr_zero(bits)))) continue;
    RaiseHint(hints, bits);
    return true;
  }
  return false;
}

// A new consumer looks at every entry once.  What is submitted gets its hint
// (the predecessor may have taken it down); the result is true for what a
// predecessor has claimed and not finished.
template <typename Atomic>
bool ScanEntry(const Atomic& word, Atomic& hints, uint64_t bit, uint32_t epoch,
               EntryWord* claimed) {
  const EntryWord seen = EntryWord::Unpack(word.load(std::memory_order_acquire));
  if (seen.state == EntryState::kSubmitted) RaiseHint(hints, bit);
  if (seen.state != EntryState::kClaimed || seen.epoch >= epoch) return false;
  *claimed = seen;
  return true;
}

// The producer looks at every entry that waits for an answer when the consumer
// changes: raises the hint of an answer whose author died before it could.
template <typename Atomic>
bool RecoverAnswer(const Atomic& word, Atomic& hints, uint64_t bit, uint32_t sequence) {
  uint32_t epoch = 0;
  if (!IsAnswered(word, sequence, &epoch)) return false;
  RaiseHint(hints, bit);
  return true;
}

}  // namespace mlos::channel
