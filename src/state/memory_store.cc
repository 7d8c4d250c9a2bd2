// SPDX-License-Identifier: Apache-2.0
#include "state/memory_store.h"

namespace mlos::state {

StatusOr<std::vector<Record>> MemoryStore::Load() {
  std::vector<Record> out;
  for (const auto& [key, value] : records_) out.push_back({key.first, key.second, value});
  return out;
}

Status MemoryStore::Commit(std::span<const Change> changes) {
  if (!failure_.ok()) return failure_;
  for (const Change& change : changes) {
    if (change.value) {
      records_[{change.kind, change.key}] = *change.value;
    } else {
      records_.erase({change.kind, change.key});
    }
  }
  return OkStatus();
}

}  // namespace mlos::state
