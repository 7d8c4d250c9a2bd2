// SPDX-License-Identifier: Apache-2.0
//
// The logging extension: the log's settings by the protocol's names, for any
// protocol.  Reading is done at once; a change goes through the control path.
//
// Pure functions but for ReadLogSettings; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "control/operation.h"

namespace mlos::frontend {

using SettingValue = std::variant<bool, uint64_t, std::string>;
struct LogSetting {
  std::string_view name;
  SettingValue value;
};

// All of them, in the protocol's order.
std::vector<LogSetting> ReadLogSettings();

// Adds a change to `operation`, which is to be applied when all are added.
// INVALID_ARGUMENT: no such setting, or no value of it.  UNIMPLEMENTED: it
// cannot be set over the network.
control::Operation BeginLogChange();
Status AddLogChange(std::string_view name, const SettingValue& value,
                    control::Operation* operation);
inline bool IsEmpty(const control::Operation& change) { return change.body.empty(); }

}  // namespace mlos::frontend
