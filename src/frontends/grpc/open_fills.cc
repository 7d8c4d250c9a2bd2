// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/open_fills.h"

#include <algorithm>

namespace mlos::grpc {

std::vector<OpenFills::Held>::iterator OpenFills::Find(const void* connection) {
  return std::find_if(held_.begin(), held_.end(),
                      [&](const Held& held) { return held.connection == connection; });
}

bool OpenFills::Take(const void* connection, uint64_t bytes) {
  const auto found = Find(connection);
  const Held mine = found == held_.end() ? Held{connection, 0, 0} : *found;
  const uint32_t others = all_.count - mine.count;
  const uint64_t others_bytes = all_.bytes - mine.bytes;
  if (mine.count >= (kMost - others) / 2 || bytes > kMostBytes ||
      mine.bytes + bytes > (kMostBytes - others_bytes) / 2) {
    return false;
  }
  Held& held = found == held_.end() ? held_.emplace_back(mine) : *found;
  ++held.count;
  held.bytes += bytes;
  ++all_.count;
  all_.bytes += bytes;
  return true;
}

void OpenFills::Give(const void* connection, uint64_t bytes) {
  const auto found = Find(connection);
  --found->count;
  found->bytes -= bytes;
  --all_.count;
  all_.bytes -= bytes;
  if (found->count > 0) return;
  *found = held_.back();
  held_.pop_back();
}

}  // namespace mlos::grpc
