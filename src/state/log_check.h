// SPDX-License-Identifier: Apache-2.0
//
// Whether a write-ahead log lost commits that had been acknowledged.
//
// SQLite takes the log up to the first frame whose checksum is wrong, because
// that is how a commit looks that power took in mid-write.  A flipped bit looks
// the same, and everything behind it would be gone without a word.  But a
// commit is only begun when the one before is on the disk: where sound commits
// follow a broken one, the broken one had been acknowledged.  What cannot be
// told from a torn write is damage in the very last commit.
//
// Reads the file's bytes as they are documented in SQLite's file format; the
// file belongs to the caller, who holds the lock.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace mlos::state {

struct LogReport {
  bool header_sound = false;
  int64_t frames = 0;         // those that SQLite takes
  bool lost_commits = false;  // sound commits lie behind what SQLite takes
};

StatusOr<LogReport> CheckLog(int log_fd);

}  // namespace mlos::state
