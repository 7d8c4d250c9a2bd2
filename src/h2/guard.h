// SPDX-License-Identifier: Apache-2.0
//
// Tells a client that attacks from one that is merely busy: counts what costs
// us work and brings nobody anything.
//
//   Resets      streams that end before they are answered because of the peer:
//               it resets them (rapid reset), or makes us reset them by an
//               error of its own (MadeYouReset)
//   Idle frames PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, resets of
//               what is answered, and frames of unknown types; requests and
//               data pay for some of them
//   Pings       more often than is any use, while we have nothing to say
//
// Each Admit says whether the peer may go on.  Values; one thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"
#include "h2/limits.h"

namespace mlos::h2 {

// So many at once, and so many per second.
class Allowance {
 public:
  Allowance(uint32_t burst, uint32_t rate) : burst_(burst), rate_(rate), left_(burst) {}

  bool Take(uint64_t now_ns) {
    const double seconds = static_cast<double>(now_ns - since_ns_) / kNanosPerSecond;
    if (since_ns_ != 0) Give(seconds * rate_);
    since_ns_ = now_ns;
    left_ -= 1;
    return left_ >= 0;
  }
  void Give(double some) { left_ = std::min(burst_, left_ + some); }

 private:
  double burst_;
  double rate_;
  double left_;
  uint64_t since_ns_ = 0;
};

class Guard {
 public:
  explicit Guard(const Limits& limits)
      : limits_(limits),
        resets_(limits.reset_burst, limits.reset_rate),
        idle_(limits.idle_frame_burst, limits.idle_frame_rate) {}

  bool AdmitReset(uint64_t now_ns) { return resets_.Take(now_ns); }
  bool AdmitIdleFrame(uint64_t now_ns) { return idle_.Take(now_ns); }

  bool AdmitPing(uint64_t now_ns) {
    const bool early = last_ping_ns_ != 0 && now_ns < last_ping_ns_ + limits_.min_ping_interval_ns;
    last_ping_ns_ = now_ns;
    if (!early) return true;
    return ++strikes_ <= limits_.max_ping_strikes;
  }

  // A request or data, in either direction.
  void NoteWork() { idle_.Give(kFramesPerWork); }
  // Data or headers go out: a ping measures their way and is no strike.
  void NoteSent() {
    last_ping_ns_ = 0;
    strikes_ = 0;
    NoteWork();
  }

 private:
  // A frame of data is answered with up to two window updates and a ping.
  static constexpr double kFramesPerWork = 4;

  const Limits& limits_;
  Allowance resets_;
  Allowance idle_;
  uint64_t last_ping_ns_ = 0;
  uint32_t strikes_ = 0;
};

}  // namespace mlos::h2
