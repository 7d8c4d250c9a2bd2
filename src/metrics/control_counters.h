// SPDX-License-Identifier: Apache-2.0
//
// What the control loop counts: operations, and how long loading took.
// Threads: the control loop writes, any thread reads.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "metrics/instruments.h"

namespace mlos::metrics {

class ControlCounters {
 public:
  struct Operation {
    explicit Operation(std::string_view n) : name(n) {}
    const std::string name;
    Counter codes[17];
    Histogram duration;
  };

  // The names of all operations: what may ever be counted.
  explicit ControlCounters(const std::vector<std::string_view>& names) {
    for (const std::string_view name : names) {
      operations_.push_back(std::make_unique<Operation>(name));
    }
  }

  void Count(std::string_view name, StatusCode code, uint64_t took_ns) {
    const auto it = std::find_if(operations_.begin(), operations_.end(),
                                 [&](const auto& o) { return o->name == name; });
    if (it == operations_.end()) return;
    (*it)->codes[std::min<size_t>(static_cast<size_t>(code), 16)].Add();
    (*it)->duration.Record(took_ns);
  }

  const std::vector<std::unique_ptr<Operation>>& operations() const { return operations_; }

 private:
  std::vector<std::unique_ptr<Operation>> operations_;
};

// Loads of plugins (starts of their hosts) and of models.
struct LoadCounters {
  Histogram plugin_ok;
  Histogram plugin_failed;
  Histogram model_ok;
  Histogram model_failed;
  Counter log_lines_dropped;  // of the output of plugins
};

}  // namespace mlos::metrics
