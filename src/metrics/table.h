// SPDX-License-Identifier: Apache-2.0
//
// The metrics of mlosd, one row each: what is exposed, under which name, with
// which labels, and where it is counted.  The exposition writes nothing that
// has no row here, and docs/metrics.md is checked against it.
//
// To add a metric: an Id, a row at the same place, and the code that counts.
// A column left out fails the build.  Constant data; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mlos::metrics {

enum class Id : uint8_t {
  kRequests,
  kRequestErrors,
  kUnknownModelRequests,
  kRequestDuration,
  kQueueDuration,
  kRunDuration,
  kRequestsInFlight,
  kInferences,
  kBlamedDeaths,
  kQuarantined,
  kModelProcessor,
  kHttpRequests,
  kHttpConnectionsOpen,
  kHttpConnectionsAccepted,
  kHttpConnectionsRefused,
  kHttpReceived,
  kHttpSent,
  kGrpcConnectionsOpen,
  kGrpcConnectionsAccepted,
  kGrpcConnectionsRefused,
  kGrpcConnectionsEnded,
  kGrpcReceived,
  kGrpcSent,
  kGrpcCalls,
  kIpcConnectionsOpen,
  kIpcConnectionsAccepted,
  kIpcConnectionsRefused,
  kIpcConnectionsEnded,
  kIpcReceived,
  kIpcSent,
  kIpcCalls,
  kPluginState,
  kModelState,
  kLoadDuration,
  kHostState,
  kHostRestarts,
  kHostResident,
  kHostProcessor,
  kHostPageFaults,
  kChannelEntries,
  kChannelEntriesLimit,
  kChannelRequestBytes,
  kChannelRequestCapacity,
  kChannelResponseCapacity,
  kControlOperations,
  kControlDuration,
  kLogDropped,
  kTraceDropped,
  kBuildInfo,
  kProcessCpu,
  kProcessResident,
  kProcessVirtual,
  kProcessOpenFds,
  kProcessMaxFds,
  kProcessStart,
  kCount,
};

enum class Type : uint8_t { kUnset, kCounter, kGauge, kHistogram };
enum class Unit : uint8_t { kUnset, kNone, kSeconds, kBytes };
std::string_view TypeName(Type type);  // "counter", …
std::string_view UnitName(Unit unit);  // "seconds", "bytes", ""

constexpr std::string_view kNoLabels = "-";

struct Row {
  Id id = Id::kCount;
  std::string_view name = {};
  Type type = Type::kUnset;
  Unit unit = Unit::kUnset;
  std::string_view labels = {};   // "model,version", or kNoLabels
  std::string_view help = {};     // one line
  std::string_view counted = {};  // where in the code

  constexpr std::string_view label_list() const {
    return labels == kNoLabels ? std::string_view() : labels;
  }
};

std::span<const Row> Table();
const Row& RowOf(Id id);

}  // namespace mlos::metrics
