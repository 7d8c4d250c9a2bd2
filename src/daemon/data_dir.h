// SPDX-License-Identifier: Apache-2.0
//
// The daemon's own directory: made when missing, for its user alone, and held
// by one daemon at a time.
#pragma once

#include <string>
#include <string_view>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::daemon {

// Keeps the lock as long as it lives.  ALREADY_EXISTS: another daemon has it.
StatusOr<OwnedFd> HoldDataDir(const std::string& path);

// Writes a file whole: readers see the old content or the new, never a part.
Status WriteFileWhole(const std::string& path, std::string_view content);

}  // namespace mlos::daemon
