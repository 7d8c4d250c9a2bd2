// SPDX-License-Identifier: Apache-2.0
//
// The two sides that channel_bench measures: a caller in this process and an
// answerer in a child, either over a channel or over the barest means that
// could do the same (two cache lines, a futex, an eventfd).
//
// A contestant is started for one placement, is stopped (SIGSTOP) while it is
// not measured, and is killed when it goes.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "channel/producer.h"
#include "channel/waiting.h"

namespace mlos::bench {

enum class Waiting {
  kSpin,          // look without end
  kFutex,         // sleep at once in a futex
  kEvent,         // sleep at once in epoll
  kBounded,       // look for one wake-up, always, then sleep in a futex
  kAdaptive,      // as channel::Spinner says, then a futex
  kAdaptiveEvent  // as channel::Spinner says, then epoll
};
const char* NameOf(Waiting waiting);

// Processors of the caller and the answerer; -1: as the kernel likes.
struct Placement {
  const char* name;
  int caller;
  int answerer;
};

// What one block of round trips cost, in nanoseconds per round trip.
struct Block {
  double p50 = 0;
  double p99 = 0;
  double mean = 0;
  double processor = 0;  // of both processes
  double overhead = 0;   // median of what was not the answerer's own work
  uint64_t rounds = 0;
};

class Contestant {
 public:
  virtual ~Contestant() { Kill(); }
  // Runs round trips for `nanos` and some before that which do not count.
  Block Measure(uint64_t nanos);

 protected:
  explicit Contestant(const Placement& placement);
  // In the child, until it is killed.
  virtual void Answer() = 0;
  // One round trip; the answerer's own work in nanoseconds goes to *work.
  virtual void Call(uint64_t* work) = 0;
  // Forks the child; it stands still until it is measured.
  void Start();

  const Placement placement_;

 private:
  void Kill();
  uint64_t ProcessorNanos() const;

  pid_t child_ = -1;
};

// The floors: nothing but the hand-over itself.
std::unique_ptr<Contestant> MakeFloor(Waiting waiting, const Placement& placement);

// A request and an answer over a channel.  The answerer reads the request's
// `bytes` where they lie when there are more than 64.
std::unique_ptr<Contestant> MakeChannel(Waiting waiting, const Placement& placement,
                                        uint64_t bytes = 64);

// A process that computes without end on a processor, at ordinary priority.
class Hog {
 public:
  explicit Hog(int processor);
  ~Hog();
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

 private:
  pid_t child_;
};

}  // namespace mlos::bench
