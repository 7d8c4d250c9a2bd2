// SPDX-License-Identifier: Apache-2.0
//
// What models are doing, for `mlos top`: from two looks at their counters, the
// requests of a second and how long they took in between.  One thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "cli/format.h"

namespace mlos::cli {

class UsageView {
 public:
  // `body`: what GET /api/v1/usage answered at that time.  The busiest first.
  // In the first look there are no rates, and times are those since the start.
  std::string Show(const boost::json::value& body, uint64_t now_ns, const Look& look);

 private:
  struct Counts {
    uint64_t requests = 0;
    uint64_t errors = 0;
    uint64_t total_us = 0;
    uint64_t run_us = 0;
  };
  std::map<std::pair<std::string, std::string>, Counts> last_;  // by model and version
  uint64_t last_ns_ = 0;                                        // 0: there was no look yet
};

}  // namespace mlos::cli
