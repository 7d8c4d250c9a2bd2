// SPDX-License-Identifier: Apache-2.0
//
// The control path with a clock beside it: counts every operation and how long
// its answer took, whichever protocol it came over.
//
// Threads: as control::Control; the counters may be read by any.
// Lifetime: outlives the calls that it passed on.
#pragma once

#include "control/operation.h"
#include "metrics/control_counters.h"

namespace mlos::daemon {

class ControlMeter final : public control::Control {
 public:
  explicit ControlMeter(control::Control& control);  // borrowed

  void Apply(control::Operation operation, std::function<void(control::Outcome)> done) override;
  const metrics::ControlCounters& counters() const { return counters_; }

 private:
  control::Control& control_;
  metrics::ControlCounters counters_;
};

}  // namespace mlos::daemon
