// SPDX-License-Identifier: Apache-2.0
//
// The settings of tracing, and changes of them as the protocol carries them:
// names with texts.  Values; pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace mlos::trace {

// What is noted of a request: bits.
constexpr uint8_t kTimestamps = 1;
constexpr uint8_t kTensors = 2;

struct Settings {
  uint8_t level = 0;           // 0: off
  uint32_t rate = 1000;        // one request in so many
  int64_t count = -1;          // so many more; -1: without end
  uint32_t log_frequency = 0;  // records in a file; 0: all in one, complete when the daemon ends
};

// What a model has instead of what all have.
struct Overrides {
  std::optional<uint8_t> level;
  std::optional<uint32_t> rate;
  std::optional<int64_t> count;
  std::optional<uint32_t> log_frequency;

  bool empty() const { return !level && !rate && !count && !log_frequency; }
  Settings Over(const Settings& all) const;
};

// Settings by name; no texts at all: back to what it would be without.
using Change = std::map<std::string, std::vector<std::string>, std::less<>>;

// Makes the change in `overrides`.  INVALID_ARGUMENT: no such setting, or no
// value of it.  UNIMPLEMENTED: it cannot be set over the network.  Nothing is
// changed then.
Status Apply(const Change& change, Overrides* overrides);

// All settings by name, as they are shown.
using Shown = std::vector<std::pair<std::string_view, std::vector<std::string>>>;
Shown Show(const Settings& settings, const std::string& file);

}  // namespace mlos::trace
