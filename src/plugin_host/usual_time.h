// SPDX-License-Identifier: Apache-2.0
//
// How long a model usually runs: a moving average that single outliers cannot
// carry away.  A run during which somebody else had the processor may take a
// thousand times as long as the model does; an ordinary mean would call a model
// of five microseconds slow for the next thirty runs.
// Not synchronised.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mlos::plugin_host {

class UsualTime {
 public:
  bool known() const { return usual_ns_ != 0; }
  uint64_t nanos() const { return usual_ns_; }

  // The first run counts whole.  Later ones count an eighth, and none for more
  // than twice what is usual: slow runs must come in a row to be believed.
  void Add(uint64_t took_ns) {
    took_ns = std::max<uint64_t>(took_ns, 1);
    if (!known()) {
      usual_ns_ = took_ns;
      return;
    }
    const uint64_t counted = std::min(took_ns, 2 * usual_ns_ + kRoom);
    usual_ns_ = (usual_ns_ * 7 + counted + 7) / 8;
  }

 private:
  // So that a model of almost no time can become slower at all.
  static constexpr uint64_t kRoom = 1'000;
  uint64_t usual_ns_ = 0;
};

}  // namespace mlos::plugin_host
