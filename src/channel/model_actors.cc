// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "channel/doorbell.h"
#include "channel/entry.h"
#include "channel/model_explorer.h"

namespace mlos::channel::model {

namespace {

constexpr uint64_t kAwake = static_cast<uint64_t>(Sleep::kAwake);
constexpr uint64_t kFutex = static_cast<uint64_t>(Sleep::kFutex);

constexpr int Slot(int c, int e) { return c * kEntries + e; }

// From the claim until the answer is published; telling of it takes longer.
bool IsAtWork(const HostState& host, int slot) {
  const bool published =
      host.op.kind == OpKind::kComplete && host.op.arg == slot && host.op.count > 0;
  return host.life == Life::kAlive && host.working[slot] != 0 && !published;
}

// Publishing and waking, in the wrong order when that is the mutation.
template <typename Publish>
Sleep PublishAndTake(bool flag_first, Cell& flag, Publish&& publish, bool* published) {
  Sleep sleeper = Sleep::kAwake;
  if (flag_first) sleeper = TakeSleeper(flag);
  *published = publish();
  if (!flag_first && *published) sleeper = TakeSleeper(flag);
  return sleeper;
}

template <typename HasWork>
bool Announce(bool look_first, Cell& flag, Sleep how, HasWork&& has_work) {
  bool rung = false;
  if (!look_first) return AnnounceSleep(flag, how, has_work, &rung);
  if (has_work()) return false;
  flag.store(static_cast<uint64_t>(how), std::memory_order_seq_cst);
  return true;
}

}  // namespace

uint8_t Values::Intern(uint64_t value) {
  const auto [it, fresh] = indices_.emplace(value, static_cast<uint8_t>(values_.size()));
  if (fresh) {
    if (values_.size() == 256) std::abort();
    values_.push_back(value);
  }
  return it->second;
}

State Actors::Initial() {
  State state;
  std::memset(&state, 0, sizeof(state));
  state.deaths_left = static_cast<uint8_t>(config_.deaths);
  state.hand_overs_left = static_cast<uint8_t>(config_.hand_overs);
  state.epoch = 1;
  state.hosts[0].life = Life::kAlive;
  state.hosts[0].epoch = 1;
  // It has attached to empty channels; its successors attach to full ones.
  state.hosts[0].attached = kChannels + kSlots;
  return state;
}

// ------------------------------------------------------------------ producer

void Actors::ProducerStarts(const State& state, int c, std::vector<Op>* starts) {
  const ProducerState& p = state.producers[c];
  bool idle_entry = false, pending = false, reading = false;
  for (int e = 0; e < config_.entries; ++e) {
    idle_entry |= p.holder[e] == Holder::kNobody;
    pending |= p.holder[e] == Holder::kConsumer;
    reading |= p.holder[e] == Holder::kReader;
  }
  if (p.asleep) return;
  // Control messages come through the same loop as everything else.
  if (p.told) starts->push_back(Start(OpKind::kCarryOver));
  if (p.next < config_.submissions[c] && idle_entry) {
    for (int e = 0; e < config_.entries; ++e) {
      if (p.holder[e] != Holder::kNobody) continue;
      starts->push_back(Start(OpKind::kSubmit, e));
      break;  // as the stack of free entries: one of them
    }
  }
  for (int e = 0; e < config_.entries; ++e) {
    if (p.holder[e] == Holder::kReader) starts->push_back(Start(OpKind::kRelease, e));
    if (config_.cancels[c] && p.holder[e] == Holder::kConsumer && (p.cancelled >> e & 1) == 0) {
      starts->push_back(Start(OpKind::kCancel, e));
    }
  }
  if (!pending) return;
  if (Peek(state, CompletedCell(c)) != 0) {
    starts->push_back(Start(OpKind::kPoll));
  } else if (!reading && (p.next == config_.submissions[c] || !idle_entry)) {
    starts->push_back(Start(OpKind::kSleep));
  }
}

void Actors::Submit(State* state, int c, Stepper* stepper) {
  ProducerState& p = state->producers[c];
  const int e = p.op.arg;
  Cell word(stepper, WordCell(c, e)), hints(stepper, SubmittedCell(c)),
      flag(stepper, ConsumerFlag(c));
  const uint8_t sequence = static_cast<uint8_t>(p.next + 1);
  // Before the first access is seen by others: the producer's own knowledge.
  state->fate[c][p.next] = Fate::kWaiting;
  bool published = false;
  const Sleep sleeper = PublishAndTake(
      Mutated(Mutation::kNoWakeAfterHint), flag,
      [&] {
        if (Mutated(Mutation::kHintBeforeWord)) {
          RaiseHint(hints, Bit(static_cast<uint32_t>(e)));
          channel::Submit(word, sequence);
        } else {
          PublishSubmission(word, hints, Bit(static_cast<uint32_t>(e)), sequence);
        }
        return true;
      },
      &published);
  if (!stepper->complete()) return;
  p.holder[e] = Holder::kConsumer;
  p.sequence[e] = sequence;
  p.cancelled &= static_cast<uint8_t>(~(1u << e));
  ++p.next;
  p.op = sleeper == Sleep::kAwake ? Op{} : Start(OpKind::kWakeUp);
}

void Actors::Cancel(State* state, int c, Stepper* stepper, std::string* failure) {
  ProducerState& p = state->producers[c];
  const int e = p.op.arg;
  Cell word(stepper, WordCell(c, e)), hints(stepper, CompletedCell(c));
  const uint8_t sequence = p.sequence[e];
  bool taken = false;
  if (Mutated(Mutation::kRetractByStore)) {
    taken = word.load(std::memory_order_acquire) == SubmittedWord(sequence);
    if (taken) word.store(FreeWord(sequence), std::memory_order_release);
  } else {
    taken = TryRetract(word, sequence);
  }
  if (!taken) RecoverAnswer(word, hints, Bit(static_cast<uint32_t>(e)), sequence);
  if (!stepper->complete()) return;
  p.cancelled |= static_cast<uint8_t>(1u << e);
  p.op = {};
  if (!taken) return;
  Fate& fate = state->fate[c][sequence - 1];
  if (fate != Fate::kWaiting) *failure = "taken back, but answered before";
  for (const HostState& host : state->hosts) {
    if (IsAtWork(host, Slot(c, e))) {
      *failure = "taken back, but a host works on it";
    }
  }
  fate = Fate::kTakenBack;
  p.holder[e] = Holder::kNobody;
}

void Actors::Poll(State* state, int c, Stepper* stepper, std::string* failure) {
  ProducerState& p = state->producers[c];
  Cell hints(stepper, CompletedCell(c));
  uint8_t answered = 0;
  uint8_t epochs[kEntries] = {};
  FollowHints(hints, [&](uint32_t bit) {
    if (p.holder[bit] != Holder::kConsumer) return;
    Cell word(stepper, WordCell(c, static_cast<int>(bit)));
    uint32_t epoch = 0;
    if (!IsAnswered(word, p.sequence[bit], &epoch)) return;
    answered |= static_cast<uint8_t>(1u << bit);
    epochs[bit] = static_cast<uint8_t>(epoch);
  });
  if (!stepper->complete()) return;
  p.op = {};
  for (int e = 0; e < config_.entries; ++e) {
    if ((answered >> e & 1) == 0) continue;
    Fate& fate = state->fate[c][p.sequence[e] - 1];
    if (fate != Fate::kWaiting) *failure = "answered twice, or after it was taken back";
    if (state->finished[c][p.sequence[e] - 1] != 1) *failure = "answered, but not finished once";
    fate = Fate::kAnswered;
    p.holder[e] = Holder::kReader;
    p.epoch[e] = epochs[e];
  }
}

void Actors::CarryOver(State* state, int c, Stepper* stepper) {
  ProducerState& p = state->producers[c];
  Cell hints(stepper, CompletedCell(c));
  for (int e = 0; e < config_.entries && !Mutated(Mutation::kNoRecovery); ++e) {
    if (p.holder[e] != Holder::kConsumer) continue;
    Cell word(stepper, WordCell(c, e));
    RecoverAnswer(word, hints, Bit(static_cast<uint32_t>(e)), p.sequence[e]);
  }
  if (!stepper->complete()) return;
  p.op = {};
  p.told = 0;
}

void Actors::ProducerSleep(State* state, int c, Stepper* stepper) {
  ProducerState& p = state->producers[c];
  Cell hints(stepper, CompletedCell(c)), flag(stepper, ProducerFlag(c));
  const bool sleep = Announce(Mutated(Mutation::kSleepWithoutLooking), flag, Sleep::kFutex, [&] {
    return HasTrueHint(hints, [&](uint32_t bit) {
      Cell word(stepper, WordCell(c, static_cast<int>(bit)));
      uint32_t epoch = 0;
      return p.holder[bit] == Holder::kConsumer && IsAnswered(word, p.sequence[bit], &epoch);
    });
  });
  if (!stepper->complete()) return;
  p.op = sleep ? Start(OpKind::kFutexWait) : Op{};
}

void Actors::StepProducer(State* state, int c, std::string* failure) {
  ProducerState& p = state->producers[c];
  Stepper stepper(&values_, state, &p.op);
  switch (p.op.kind) {
    case OpKind::kSubmit:
      return Submit(state, c, &stepper);
    case OpKind::kCancel:
      return Cancel(state, c, &stepper, failure);
    case OpKind::kPoll:
      return Poll(state, c, &stepper, failure);
    case OpKind::kCarryOver:
      return CarryOver(state, c, &stepper);
    case OpKind::kSleep:
      return ProducerSleep(state, c, &stepper);
    case OpKind::kRelease: {
      Cell word(&stepper, WordCell(c, p.op.arg));
      TryRelease(word, p.sequence[p.op.arg], p.epoch[p.op.arg]);
      p.holder[p.op.arg] = Holder::kNobody;
      p.op = {};
      return;
    }
    case OpKind::kFutexWait:  // the kernel compares and sleeps in one step
      // and a message for the loop would end the sleep at once.
      p.asleep = !p.told && Peek(*state, ProducerFlag(c)) == kFutex;
      p.op = p.asleep ? Op{} : Start(OpKind::kFinishSleep);
      return;
    case OpKind::kFinishSleep: {
      Cell flag(&stepper, ProducerFlag(c));
      TakeSleeper(flag);
      if (stepper.complete()) p.op = {};
      return;
    }
    case OpKind::kWakeUp:
      state->event[c] = 1;
      p.op = {};
      return;
    default:
      std::abort();
  }
}

// ---------------------------------------------------------------------- host

void Actors::HostStarts(const State& state, int h, std::vector<Op>* starts) {
  const HostState& host = state.hosts[h];
  if (host.life != Life::kAlive || host.asleep) return;
  if (host.attached < kChannels) return starts->push_back(Start(OpKind::kAttach, host.attached));
  if (host.attached < kChannels + kSlots) {
    return starts->push_back(Start(OpKind::kScan, host.attached - kChannels));
  }
  bool working = false, replaying = false, hinted = false;
  for (int slot = 0; slot < kSlots; ++slot) {
    working |= host.working[slot] != 0;
    replaying |= host.replay_sequence[slot] != 0;
  }
  for (int slot = 0; slot < kSlots; ++slot) {
    const int c = slot / kEntries, e = slot % kEntries;
    if (host.working[slot] != 0) {
      starts->push_back(Start(OpKind::kComplete, slot));
    } else if (host.replay_sequence[slot] != 0) {
      starts->push_back(Start(OpKind::kReplay, slot));
    } else if (!replaying && !host.draining && (Peek(state, SubmittedCell(c)) >> e & 1) != 0) {
      starts->push_back(Start(OpKind::kClaim, slot));
      hinted = true;
    }
  }
  if (!working && !replaying && !hinted && !host.draining) {
    starts->push_back(Start(OpKind::kHostSleep));
  }
}

// A claim has succeeded: nobody else may be at it, and it must be wanted.
void Actors::TakeWork(State* state, int h, int slot, uint32_t sequence, std::string* failure) {
  const int c = slot / kEntries;
  for (const HostState& host : state->hosts) {
    if (IsAtWork(host, slot)) *failure = "claimed twice at the same time";
  }
  if (sequence == 0 || sequence > kSubmissions) {
    *failure = "claimed what nobody has submitted";
    return;
  }
  if (state->fate[c][sequence - 1] != Fate::kWaiting) *failure = "claimed what nobody waits for";
  state->hosts[h].working[slot] = static_cast<uint8_t>(sequence);
}

void Actors::Attach(State* state, int h, Stepper* stepper) {
  HostState& host = state->hosts[h];
  if (host.op.kind == OpKind::kAttach) {
    Cell flag(stepper, ConsumerFlag(host.op.arg));
    flag.store(kAwake, std::memory_order_seq_cst);
    ++host.attached;
    host.op = {};
    return;
  }
  const int slot = host.op.arg, c = slot / kEntries, e = slot % kEntries;
  bool claimed = false;
  EntryWord seen;
  if (!Mutated(Mutation::kNoScan)) {
    Cell word(stepper, WordCell(c, e)), hints(stepper, SubmittedCell(c));
    claimed = ScanEntry(word, hints, Bit(static_cast<uint32_t>(e)), host.epoch, &seen);
  }
  if (!stepper->complete()) return;
  // While the predecessor lives, what it has claimed is its own.
  const HostState& other = state->hosts[1 - h];
  const bool alone = other.life == Life::kNone || Mutated(Mutation::kReplayWithoutReaping);
  if (claimed && alone) {
    host.replay_epoch[slot] = static_cast<uint8_t>(seen.epoch);
    host.replay_sequence[slot] = static_cast<uint8_t>(seen.sequence);
  }
  do {
    ++host.attached;
  } while (host.attached < kChannels + kSlots &&
           (host.attached - kChannels) % kEntries >= config_.entries);
  host.op = {};
}

void Actors::Claim(State* state, int h, Stepper* stepper, std::string* failure) {
  HostState& host = state->hosts[h];
  const int slot = host.op.arg, c = slot / kEntries, e = slot % kEntries;
  Cell word(stepper, WordCell(c, e)), hints(stepper, SubmittedCell(c));
  const uint64_t bit = Bit(static_cast<uint32_t>(e));
  uint32_t sequence = 0;
  bool claimed = false;
  if (host.op.kind == OpKind::kReplay) {
    sequence = host.replay_sequence[slot];
    claimed = TryReclaim(word, sequence, host.replay_epoch[slot], host.epoch);
  } else if (Mutated(Mutation::kClaimByStore) || Mutated(Mutation::kLookBeforeHint)) {
    const bool store = Mutated(Mutation::kClaimByStore);
    if (store) TakeHints(hints, bit);
    const EntryWord seen = EntryWord::Unpack(word.load(std::memory_order_acquire));
    if (!store) TakeHints(hints, bit);
    sequence = seen.sequence;
    claimed = seen.state == EntryState::kSubmitted;
    if (claimed && store) {
      word.store(ClaimedWord(sequence, host.epoch), std::memory_order_release);
    } else if (claimed) {
      claimed = TryClaim(word, sequence, host.epoch);
    }
  } else {
    claimed = ClaimHinted(word, hints, bit, host.epoch, &sequence);
  }
  if (!stepper->complete()) return;
  host.op = {};
  host.replay_sequence[slot] = host.replay_epoch[slot] = 0;
  if (claimed) TakeWork(state, h, slot, sequence, failure);
}

void Actors::Complete(State* state, int h, Stepper* stepper, std::string* failure) {
  HostState& host = state->hosts[h];
  const int slot = host.op.arg, c = slot / kEntries, e = slot % kEntries;
  const uint32_t sequence = host.working[slot];
  Cell word(stepper, WordCell(c, e)), hints(stepper, CompletedCell(c)),
      flag(stepper, ProducerFlag(c));
  const uint64_t was = Peek(*state, WordCell(c, e));
  bool published = false;
  const Sleep sleeper = PublishAndTake(
      Mutated(Mutation::kNoWakeAfterHint), flag,
      [&] {
        return PublishAnswer(word, hints, Bit(static_cast<uint32_t>(e)), sequence, host.epoch);
      },
      &published);
  const uint64_t is = Peek(*state, WordCell(c, e));
  if (is != was && is == DoneWord(sequence, host.epoch)) {
    if (++state->finished[c][sequence - 1] > 1) *failure = "answered by two hosts";
  }
  if (!stepper->complete()) return;
  host.working[slot] = 0;
  host.op = sleeper == Sleep::kAwake ? Op{} : Start(OpKind::kWakeUp, c);
  if (!published) *failure = "a host that was alive lost what it had claimed";
}

void Actors::HostSleep(State* state, int h, Stepper* stepper) {
  HostState& host = state->hosts[h];
  bool quiet = true;
  for (int c = 0; c < kChannels; ++c) {
    Cell hints(stepper, SubmittedCell(c)), flag(stepper, ConsumerFlag(c));
    quiet &= Announce(Mutated(Mutation::kSleepWithoutLooking), flag, Sleep::kEventFd,
                      [&] { return hints.load(std::memory_order_seq_cst) != 0; });
  }
  if (!stepper->complete()) return;
  host.op = Start(quiet ? OpKind::kHostWait : OpKind::kFinishSleep);
}

void Actors::StepHost(State* state, int h, std::string* failure) {
  HostState& host = state->hosts[h];
  Stepper stepper(&values_, state, &host.op);
  switch (host.op.kind) {
    case OpKind::kAttach:
    case OpKind::kScan:
      return Attach(state, h, &stepper);
    case OpKind::kReplay:
    case OpKind::kClaim:
      return Claim(state, h, &stepper, failure);
    case OpKind::kComplete:
      return Complete(state, h, &stepper, failure);
    case OpKind::kHostSleep:
      return HostSleep(state, h, &stepper);
    case OpKind::kHostWait:
      host.asleep = 1;
      host.op = {};
      return;
    case OpKind::kFinishSleep: {
      for (int c = 0; c < kChannels; ++c) {
        Cell flag(&stepper, ConsumerFlag(c));
        TakeSleeper(flag);
      }
      if (!stepper.complete()) return;
      state->event[0] = state->event[1] = 0;
      host.op = {};
      return;
    }
    case OpKind::kWakeUp: {
      ProducerState& sleeper = state->producers[host.op.arg];
      if (sleeper.asleep) {
        sleeper.asleep = 0;
        sleeper.op = Start(OpKind::kFinishSleep);
      }
      host.op = {};
      return;
    }
    default:
      std::abort();
  }
}

}  // namespace mlos::channel::model
