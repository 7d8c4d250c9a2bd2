// SPDX-License-Identifier: Apache-2.0
//
// The extensions of the protocol that this server has, under the names that
// clients look for.  Clients act on them: a name stands here once all that it
// promises is there, and on every protocol.
// Functions without state; any thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace mlos::frontend {

// What depends on how the daemon was started.
struct Offered {
  bool client_regions = false;  // --allow-client-shm
};

// In the order in which they are told.
std::vector<std::string_view> Extensions(const Offered& offered);

}  // namespace mlos::frontend
