// SPDX-License-Identifier: Apache-2.0
//
// What must last: desired state, as records of JSON text under a kind and a
// key ("model", "digits/1").  The store knows nothing of what they mean.
//
// Threads and ownership: one owner, the control loop; calls block until the
// disk has it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace mlos::state {

struct Record {
  std::string kind;
  std::string key;
  std::string value;
  friend bool operator==(const Record&, const Record&) = default;
};

// Writes the record of (kind, key), or removes it when there is no value.
struct Change {
  std::string kind;
  std::string key;
  std::optional<std::string> value;
};

class StateStore {
 public:
  virtual ~StateStore() = default;

  // Everything that is kept, by kind and key in the order of their bytes.
  virtual StatusOr<std::vector<Record>> Load() = 0;

  // All changes or none, and durable once OK is returned: they survive the end
  // of the process and of the machine's power.  On any error nothing changed
  // for the next Load in this process:
  //   INVALID_ARGUMENT    a record is larger than the store can keep
  //   RESOURCE_EXHAUSTED  the disk is full, or memory; later calls may succeed
  //   UNAVAILABLE         the disk refuses to write; when a write was lost on
  //                       its way to the disk, so do all later calls, until
  //                       the store is opened anew (this change may then be
  //                       there after all, whole)
  virtual Status Commit(std::span<const Change> changes) = 0;
};

}  // namespace mlos::state
