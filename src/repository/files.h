// SPDX-License-Identifier: Apache-2.0
//
// Opening and reading beneath a directory whose content is not trusted: never
// through a link, never out of it, never more than was asked for.  Any thread.
#pragma once

#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::repository {

// INVALID_ARGUMENT or NOT_FOUND, naming `name`.
StatusOr<OwnedFd> OpenDirectory(int beneath, const std::string& name);
// A plain file; with further hard links only where the owner of `beneath` owns it:
// of another's file whoever made the link here may not read the content.
StatusOr<OwnedFd> OpenFile(int beneath, const std::string& name);
// The whole of it, if that is at most `limit` bytes.
StatusOr<std::string> ReadFile(int beneath, const std::string& name, size_t limit);

// Names of what is in it, sorted, without hidden ones.  RESOURCE_EXHAUSTED when there are more.
StatusOr<std::vector<std::string>> ListNames(int directory, size_t limit);

}  // namespace mlos::repository
