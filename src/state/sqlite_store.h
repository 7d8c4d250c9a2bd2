// SPDX-License-Identifier: Apache-2.0
//
// State in one SQLite file: the store that mlosd uses.
//
// One connection has the file for as long as the store lives; no second one,
// here or in another process, can open it.  A commit is in the write-ahead log
// beside the file (its name and "-wal") and on the disk before it returns; now
// and then one also moves the log into the file, which keeps the log short.
// Both files belong together until the store goes, which leaves the file alone.
//
// What is not sound is refused and left as it is: Open() checks the structure of
// the file, the log, and that the records are those that were committed.
//
// Threads and ownership: one owner; calls from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "state/content_seal.h"
#include "state/schema.h"
#include "state/sqlite.h"
#include "state/state_file.h"
#include "state/state_store.h"

namespace mlos::state {

constexpr size_t kMaxRecordBytes = 16 * 1024 * 1024;

// The defaults are for mlosd; others are for tests.
struct SqliteOptions {
  const char* vfs = nullptr;  // how SQLite reaches files; null: as the system does
  std::span<const Migration> migrations = Migrations();
  int checkpoint_frames = 1000;  // the log's length (4 kB each) at which it is moved into the file
};

class SqliteStore final : public StateStore {
 public:
  // The store at `path`, made if there is none (its directory must exist).
  //   ALREADY_EXISTS       another process or store has it
  //   FAILED_PRECONDITION  what is there is damaged, of another application or
  //                        of a newer release; it was left as it is
  //   RESOURCE_EXHAUSTED   the disk is full
  //   UNAVAILABLE          the disk or the permissions do not let us
  static StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                     const SqliteOptions& options = {});
  ~SqliteStore() override;

  StatusOr<std::vector<Record>> Load() override;
  Status Commit(std::span<const Change> changes) override;

 private:
  SqliteStore(StateFile file, const SqliteOptions& options)
      : file_(std::move(file)), options_(options) {}

  Status Connect();
  Status CheckContent(bool log_was_there);
  Status PrepareStatements();

  int Write(std::span<const Change> changes, ContentSeal* seal);
  int Apply(const Change& change, ContentSeal* seal);
  int WriteSeal(const ContentSeal& seal, bool in_use);
  Status Undo(int code);
  void MoveLogIfLong();
  void CloseForWriting(const SqliteError& why);

  const StateFile file_;
  const SqliteOptions options_;
  Connection connection_;
  Statement begin_, commit_, rollback_, select_, upsert_, remove_, write_seal_;

  ContentSeal seal_;     // over what is committed
  bool open_ = false;    // the file was found sound; until then it is not touched
  bool in_use_ = false;  // the file says that it is not complete without its log
  // The first commit moves the log in any case: then the file itself says so.
  int move_log_at_ = 0;
  Status closed_;  // why no further commit is taken
};

}  // namespace mlos::state
