// SPDX-License-Identifier: Apache-2.0
//
// For channel_model_test: every interleaving of two producers, a host that may
// die at any step, its successors and the supervisor between them, with the
// real protocol code (entry.h, doorbell.h) run one atomic access at a time.
//
// How one access at a time works: an operation is a plain function over atomics.
// It is run again from its start for every step; the accesses that it has made
// before get their recorded results, the next one is really made, and what the
// function would do after that is discarded (it sees zeros, and its further
// accesses do nothing).  So an actor's progress is the list of results so far,
// a state is plain bytes, and a death is forgetting them.
//
// The model is sequentially consistent; that the memory orders suffice for that
// is argued in entry.h and doorbell.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "channel/layout.h"

namespace mlos::channel::model {

constexpr int kChannels = 2;
constexpr int kEntries = 2;      // per channel, at most
constexpr int kSubmissions = 3;  // per channel, at most
constexpr int kSlots = kChannels * kEntries;
constexpr int kHosts = 2;  // alive at a time: in a hand-over

// What is done wrong on purpose, to see that it is noticed.
enum class Mutation {
  kNone,
  kClaimByStore,          // claiming is a plain store
  kRetractByStore,        // taking back is a plain store
  kReplayWithoutReaping,  // the successor starts while the old host still works
  kNoScan,                // the successor follows hints only
  kNoRecovery,            // the producer does not look for unannounced answers
  kHintBeforeWord,        // the producer raises the hint before it submits
  kLookBeforeHint,        // the consumer reads the word before it takes the hint down
  kSleepWithoutLooking,   // sleepers look first and store their flag then
  kNoWakeAfterHint,       // wakers look at the flag before they raise the hint
};

struct Config {
  int entries = 1;  // of each channel
  int submissions[kChannels] = {1, 1};
  bool cancels[kChannels] = {};  // the producer may try to take back
  int deaths = 0;
  int hand_overs = 0;
  Mutation mutation = Mutation::kNone;
};

struct Result {
  uint64_t states = 0;
  uint64_t ends = 0;               // states in which nothing is left to do
  std::string failure;             // empty: every invariant holds everywhere
  std::vector<std::string> trace;  // the steps that lead to the failure
};

Result Explore(const Config& config);

// -------------------------------------------------------------------- state

enum class OpKind : uint8_t {
  kNone,
  // producer
  kSubmit,
  kCancel,
  kPoll,
  kRelease,
  kCarryOver,
  kSleep,
  kFutexWait,
  // host
  kAttach,
  kScan,
  kReplay,
  kClaim,
  kComplete,
  kHostSleep,
  kHostWait,
  // both
  kWakeUp,  // the system call that wakes `arg`
  kFinishSleep,
};

constexpr int kMostAccesses = 8;

struct Op {
  OpKind kind;
  uint8_t arg;
  uint8_t count;
  uint8_t results[kMostAccesses];
};

inline Op Start(OpKind kind, int arg = 0) { return {kind, static_cast<uint8_t>(arg), 0, {}}; }

enum class Fate : uint8_t { kUnsent, kWaiting, kAnswered, kTakenBack };
enum class Holder : uint8_t { kNobody, kConsumer, kReader };

struct ProducerState {
  Op op;
  Holder holder[kEntries];
  uint8_t sequence[kEntries];  // 1 + index of the submission
  uint8_t epoch[kEntries];     // of the answer
  uint8_t cancelled;           // bits of entries: tried already
  uint8_t next;                // submissions begun
  uint8_t asleep;
  uint8_t told;  // a new epoch to begin
};

enum class Life : uint8_t { kNone, kAlive, kDead };

struct HostState {
  Op op;
  Life life;
  uint8_t epoch;
  uint8_t attached;  // channels and then slots looked at
  uint8_t draining;  // claims nothing more
  uint8_t asleep;
  uint8_t replay_epoch[kSlots];
  uint8_t replay_sequence[kSlots];
  uint8_t working[kSlots];  // sequence
};

struct State {
  uint8_t memory[kChannels * (kEntries + 4)];  // interned values
  uint8_t event[kChannels];                    // left for the host
  Fate fate[kChannels][kSubmissions];
  uint8_t finished[kChannels][kSubmissions];  // times that an answer was published
  ProducerState producers[kChannels];
  HostState hosts[kHosts];
  uint8_t deaths_left;
  uint8_t hand_overs_left;
  uint8_t epoch;     // of the newest host
  uint8_t starting;  // the newest epoch's host is yet to start
};
static_assert(std::is_trivially_copyable_v<State>);

// Memory cells of channel c.
constexpr int kCellsPerChannel = kEntries + 4;
constexpr int WordCell(int c, int e) { return c * kCellsPerChannel + e; }
constexpr int SubmittedCell(int c) { return c * kCellsPerChannel + kEntries; }
constexpr int CompletedCell(int c) { return c * kCellsPerChannel + kEntries + 1; }
constexpr int ConsumerFlag(int c) { return c * kCellsPerChannel + kEntries + 2; }
constexpr int ProducerFlag(int c) { return c * kCellsPerChannel + kEntries + 3; }

// The few distinct values that occur, as bytes.
class Values {
 public:
  Values() { Intern(0); }
  uint8_t Intern(uint64_t value);
  uint64_t operator[](uint8_t index) const { return values_[index]; }

 private:
  std::vector<uint64_t> values_;
  std::map<uint64_t, uint8_t> indices_;
};

// Runs one step of an operation.
class Stepper {
 public:
  Stepper(Values* values, State* state, Op* op) : values_(values), state_(state), op_(op) {}

  template <typename Change>
  uint64_t Access(int cell, Change&& change) {
    if (position_ < op_->count) return (*values_)[op_->results[position_++]];
    if (stepped_) {
      complete_ = false;
      return 0;
    }
    stepped_ = true;
    uint64_t value = (*values_)[state_->memory[cell]];
    const uint64_t before = value;
    change(value);
    state_->memory[cell] = values_->Intern(value);
    if (op_->count == kMostAccesses) std::abort();
    op_->results[op_->count++] = values_->Intern(before);
    ++position_;
    return before;
  }
  // The operation has come to its end with this step.
  bool complete() const { return complete_; }

 private:
  Values* values_;
  State* state_;
  Op* op_;
  int position_ = 0;
  bool stepped_ = false;
  bool complete_ = true;
};

// What the protocol code takes for a std::atomic.
class Cell {
 public:
  Cell(Stepper* stepper, int cell) : stepper_(stepper), cell_(cell) {}
  uint64_t load(std::memory_order) const {
    return stepper_->Access(cell_, [](uint64_t&) {});
  }
  void store(uint64_t value, std::memory_order) {
    stepper_->Access(cell_, [&](uint64_t& v) { v = value; });
  }
  uint64_t exchange(uint64_t value, std::memory_order) {
    return stepper_->Access(cell_, [&](uint64_t& v) { v = value; });
  }
  uint64_t fetch_or(uint64_t bits, std::memory_order) {
    return stepper_->Access(cell_, [&](uint64_t& v) { v |= bits; });
  }
  uint64_t fetch_and(uint64_t bits, std::memory_order) {
    return stepper_->Access(cell_, [&](uint64_t& v) { v &= bits; });
  }
  bool compare_exchange_strong(uint64_t& expected, uint64_t desired, std::memory_order,
                               std::memory_order) {
    const uint64_t before = stepper_->Access(cell_, [&](uint64_t& v) {
      if (v == expected) v = desired;
    });
    const bool done = before == expected;
    expected = before;
    return done;
  }

 private:
  Stepper* stepper_;
  int cell_;
};

// The actors.  Step makes one access of an operation in progress and, when that
// ends it, what follows in the actor's private memory; Starts lists the
// operations that the actor may begin.  A broken invariant goes to *failure.
class Actors {
 public:
  explicit Actors(const Config& config) : config_(config) {}

  State Initial();
  void ProducerStarts(const State& state, int c, std::vector<Op>* starts);
  void StepProducer(State* state, int c, std::string* failure);
  void HostStarts(const State& state, int h, std::vector<Op>* starts);
  void StepHost(State* state, int h, std::string* failure);
  // What happens from outside: deaths, reaping, hand-overs, starts.
  struct Event {
    const char* name;
    State next;
  };
  void OutsideEvents(const State& state, std::vector<Event>* events);
  bool IsEnd(const State& state) const;
  uint64_t Peek(const State& state, int cell) const { return values_[state.memory[cell]]; }

 private:
  void Submit(State* state, int c, Stepper* stepper);
  void Cancel(State* state, int c, Stepper* stepper, std::string* failure);
  void Poll(State* state, int c, Stepper* stepper, std::string* failure);
  void CarryOver(State* state, int c, Stepper* stepper);
  void ProducerSleep(State* state, int c, Stepper* stepper);
  void Attach(State* state, int h, Stepper* stepper);
  void Claim(State* state, int h, Stepper* stepper, std::string* failure);
  void Complete(State* state, int h, Stepper* stepper, std::string* failure);
  void HostSleep(State* state, int h, Stepper* stepper);
  void TakeWork(State* state, int h, int slot, uint32_t sequence, std::string* failure);
  static State& Happens(const char* name, const State& state, std::vector<Event>* events);
  static void Dies(const State& state, int h, std::vector<Event>* events);
  static void IsReaped(const State& state, int h, std::vector<Event>* events);
  static void HandsOver(const State& state, int h, std::vector<Event>* events);
  static void HappensToHost(const State& state, int h, std::vector<Event>* events);
  bool Mutated(Mutation m) const { return config_.mutation == m; }

  const Config config_;
  Values values_;
};

}  // namespace mlos::channel::model
