// SPDX-License-Identifier: Apache-2.0
//
// What plugin hosts leave behind for people: how long loading took, and what
// plugins wrote.  Outlives the hosts.
//
// Threads: the control loop; the counters and the rings may be read by any.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/log_ring.h"
#include "metrics/control_counters.h"

namespace mlos::backend {

// The newest output of each plugin version, kept when its host is gone.
class PluginLogs {
 public:
  static constexpr size_t kMaxLines = 1000;
  static constexpr size_t kMaxBytes = 256 << 10;
  static constexpr size_t kMaxVersions = 256;

  // Made when it is first asked for.  Beyond kMaxVersions the one goes that was
  // asked for longest ago.
  std::shared_ptr<LogRing> Of(std::string_view plugin, std::string_view version) {
    const auto it = Locate(plugin, version);
    if (it != rings_.end()) {
      rings_.splice(rings_.begin(), rings_, it);
    } else {
      rings_.push_front({std::string(plugin), std::string(version),
                         std::make_shared<LogRing>(kMaxLines, kMaxBytes)});
      if (rings_.size() > kMaxVersions) rings_.pop_back();
    }
    return rings_.front().ring;
  }
  // Null: it never ran, or that is long ago.
  const LogRing* Find(std::string_view plugin, std::string_view version) {
    const auto it = Locate(plugin, version);
    return it == rings_.end() ? nullptr : it->ring.get();
  }

 private:
  struct Entry {
    std::string plugin;
    std::string version;
    std::shared_ptr<LogRing> ring;
  };
  std::list<Entry>::iterator Locate(std::string_view plugin, std::string_view version) {
    return std::find_if(rings_.begin(), rings_.end(),
                        [&](const Entry& e) { return e.plugin == plugin && e.version == version; });
  }
  std::list<Entry> rings_;  // the one asked for last comes first
};

struct HostWatch {
  metrics::LoadCounters loads;
  PluginLogs logs;
};

}  // namespace mlos::backend
