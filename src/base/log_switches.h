// SPDX-License-Identifier: Apache-2.0
//
// The log's levels one by one, and how its lines tell the time: a finer grip
// than SetLogLevel, which sets all of them at once.  Any thread.
#pragma once

#include <cstdint>

namespace mlos {

struct LogSwitches {
  bool info = true;
  bool warning = true;
  bool error = true;
  uint32_t verbose = 0;  // from 1 on: debug as well
  bool utc = false;  // lines of text say the time as 2023-11-14T22:13:20.123Z, not as local time
};

LogSwitches CurrentLogSwitches();
void SetLogSwitches(const LogSwitches& switches);

}  // namespace mlos
