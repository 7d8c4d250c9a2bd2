// SPDX-License-Identifier: Apache-2.0
#include "state/sqlite_store.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "state/log_check.h"

namespace mlos::state {
namespace {

constexpr int64_t kFrameBytes = 4096 + 24;

int64_t LogBytes(const SqliteOptions& options) {
  return 2 * kFrameBytes * options.checkpoint_frames;
}

// A new file is written under another name first: under its own it is whole
// from its first moment on, and an empty one there is a damaged one.
Status CreateFile(const StateFile& file, const SqliteOptions& options) {
  MLOS_RETURN_IF_ERROR(file.MakeTemporary());
  {
    Connection connection;
    int code = connection.Open(file.temporary_path(), options.vfs);
    if (code == SQLITE_OK) code = connection.UseLog(LogBytes(options));
    if (code == SQLITE_OK) code = Migrate(connection, options.migrations);
    if (code == SQLITE_OK) code = connection.Checkpoint();
    if (code != SQLITE_OK) return CannotOpen(file.given_path(), connection.Error(code));
    connection.KeepLogOnClose(false);  // all of it is in the file, and on the disk
  }
  return file.Publish();
}

}  // namespace

StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                         const SqliteOptions& options) {
  MLOS_ASSIGN_OR_RETURN(StateFile file, StateFile::At(path));
  MLOS_ASSIGN_OR_RETURN(const bool exists, file.Exists());
  if (!exists) MLOS_RETURN_IF_ERROR(CreateFile(file, options));
  MLOS_RETURN_IF_ERROR(file.SyncDirectory());
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(file), options));
  MLOS_RETURN_IF_ERROR(store->Connect());
  return store;
}

Status SqliteStore::Connect() {
  const std::string& path = file_.given_path();
  MLOS_ASSIGN_OR_RETURN(const std::optional<uint64_t> log, file_.LogSize());
  int code = connection_.Open(file_.path(), options_.vfs);
  if (code != SQLITE_OK) return CannotOpen(path, connection_.Error(code));
  MLOS_RETURN_IF_ERROR(CheckIdentity(connection_, path, options_.migrations));
  MLOS_RETURN_IF_ERROR(CheckContent(log.value_or(0) > 0));
  if (connection_.read_only()) return DamagedFile(path, "its header forbids to write to it");
  code = connection_.UseLog(LogBytes(options_));
  if (code == SQLITE_OK) code = Migrate(connection_, options_.migrations);
  if (code == SQLITE_OK) code = ReadSeal(connection_, &seal_, &in_use_);
  if (code != SQLITE_OK) return CannotOpen(path, connection_.Error(code));
  // What a crash left in the log may be known to memory only, if the disk failed
  // to take it: moving it writes it anew.  A full disk leaves it where it is.
  code = connection_.Checkpoint();
  if (code != SQLITE_OK && TroubleOf(connection_.Error(code)) != Trouble::kFull) {
    return CannotOpen(path, connection_.Error(code));
  }
  MLOS_RETURN_IF_ERROR(PrepareStatements());
  connection_.KeepLogOnClose(false);
  open_ = true;
  return OkStatus();
}

Status SqliteStore::CheckContent(bool log_was_there) {
  const std::string& path = file_.given_path();
  LogReport log;
  if (log_was_there) {
    MLOS_ASSIGN_OR_RETURN(const OwnedFd fd, file_.OpenLog());
    MLOS_ASSIGN_OR_RETURN(log, CheckLog(fd.get()));
  }
  if (log.lost_commits) {
    return DamagedFile(
        path, fmt::format("in the log beside it, frame {} is broken and sound changes follow",
                          log.frames + 1));
  }
  std::string verdict;
  int code = connection_.Read("PRAGMA integrity_check(1)", &verdict);
  if (code != SQLITE_OK) return CannotOpen(path, connection_.Error(code));
  if (verdict != "ok") {
    std::replace(verdict.begin(), verdict.end(), '\n', ' ');
    return DamagedFile(path, verdict);
  }
  ContentSeal kept;
  ContentSeal found;
  std::vector<Record> records;
  bool in_use = false;
  code = ReadSeal(connection_, &kept, &in_use);
  if (code == SQLITE_OK) code = ReadRecords(connection_, &records, &found);
  if (code != SQLITE_OK) return CannotOpen(path, connection_.Error(code));
  if (kept != found) {
    return DamagedFile(path, fmt::format("it holds {} records, and not those {} that were written",
                                         found.records(), kept.records()));
  }
  if (in_use && !log.header_sound) {
    return DamagedFile(path, log_was_there
                                 ? "the log beside it is not readable"
                                 : "it was copied or left while in use, and the log that was "
                                   "beside it, whose name ends in -wal, is missing");
  }
  return OkStatus();
}

Status SqliteStore::PrepareStatements() {
  const std::pair<const char*, Statement*> all[] = {
      {"BEGIN IMMEDIATE", &begin_},
      {"COMMIT", &commit_},
      {"ROLLBACK", &rollback_},
      {"SELECT value FROM record WHERE kind = ? AND key = ?", &select_},
      {"INSERT INTO record VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
       &upsert_},
      {"DELETE FROM record WHERE kind = ? AND key = ?", &remove_},
      {"UPDATE seal SET records = ?, digest = ?, in_use = ?", &write_seal_},
  };
  for (const auto& [sql, statement] : all) {
    const int code = connection_.Prepare(sql, statement);
    if (code != SQLITE_OK) return CannotOpen(file_.given_path(), connection_.Error(code));
  }
  return OkStatus();
}

SqliteStore::~SqliteStore() {
  if (!open_ || !in_use_ || !closed_.ok()) return;
  // From here on the file is complete without a log.  If this fails it merely
  // goes on saying that it is not.
  int code = begin_.Run();
  if (code == SQLITE_OK) code = WriteSeal(seal_, false);
  if (code == SQLITE_OK) code = commit_.Run();
  if (code != SQLITE_OK) connection_.KeepLogOnClose(true);
}

StatusOr<std::vector<Record>> SqliteStore::Load() {
  std::vector<Record> records;
  ContentSeal found;
  const int code = ReadRecords(connection_, &records, &found);
  if (code != SQLITE_OK) return CannotOpen(file_.given_path(), connection_.Error(code));
  if (found != seal_) {
    return DamagedFile(file_.given_path(), "its records are not those that were written");
  }
  return records;
}

Status SqliteStore::Commit(std::span<const Change> changes) {
  if (!closed_.ok()) return closed_;
  if (changes.empty()) return OkStatus();
  for (const Change& change : changes) {
    const size_t bytes =
        change.kind.size() + change.key.size() + (change.value ? change.value->size() : 0);
    if (bytes > kMaxRecordBytes) {
      return InvalidArgument(fmt::format(
          "the record is too large to be kept: {} bytes, {} are possible", bytes, kMaxRecordBytes));
    }
  }
  ContentSeal seal = seal_;
  const int code = Write(changes, &seal);
  if (code != SQLITE_OK) return Undo(code);
  seal_ = seal;
  in_use_ = true;
  MoveLogIfLong();
  return OkStatus();
}

int SqliteStore::Write(std::span<const Change> changes, ContentSeal* seal) {
  int code = begin_.Run();
  for (const Change& change : changes) {
    if (code != SQLITE_OK) return code;
    code = Apply(change, seal);
  }
  if (code == SQLITE_OK) code = WriteSeal(*seal, true);
  return code == SQLITE_OK ? commit_.Run() : code;
}

int SqliteStore::Apply(const Change& change, ContentSeal* seal) {
  select_.Bind(1, change.kind);
  select_.Bind(2, change.key);
  int code = select_.Step();
  if (code == SQLITE_ROW) seal->Remove(change.kind, change.key, select_.Text(0));
  select_.Reset();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return code;
  Statement& write = change.value ? upsert_ : remove_;
  write.Bind(1, change.kind);
  write.Bind(2, change.key);
  if (change.value) {
    write.Bind(3, *change.value);
    seal->Add(change.kind, change.key, *change.value);
  }
  return write.Run();
}

int SqliteStore::WriteSeal(const ContentSeal& seal, bool in_use) {
  write_seal_.Bind(1, seal.records());
  write_seal_.Bind(2, seal.digest());
  write_seal_.Bind(3, int64_t{in_use});
  return write_seal_.Run();
}

// Back to what was before.
Status SqliteStore::Undo(int code) {
  const SqliteError error = connection_.Error(code);
  if (connection_.in_transaction()) rollback_.Run();
  const Trouble trouble = TroubleOf(error);
  if (trouble == Trouble::kLostWrite || trouble == Trouble::kDamaged ||
      connection_.in_transaction()) {
    CloseForWriting(error);
  }
  return CannotWrite(error);
}

// What is in the log is on the disk already: no fault in here undoes a commit.
void SqliteStore::MoveLogIfLong() {
  if (connection_.log_frames() < move_log_at_) return;
  const int code = connection_.Checkpoint();
  if (code == SQLITE_OK) {
    move_log_at_ = options_.checkpoint_frames;
    return;
  }
  const SqliteError error = connection_.Error(code);
  const Trouble trouble = TroubleOf(error);
  if (trouble == Trouble::kFull || trouble == Trouble::kMemory) {
    move_log_at_ = connection_.log_frames() + options_.checkpoint_frames / 8;
  } else {
    CloseForWriting(error);
  }
}

// For good: the kernel forgets a write that failed, so that a second try to sync
// would succeed and prove nothing.
void SqliteStore::CloseForWriting(const SqliteError& why) {
  connection_.KeepLogOnClose(true);
  closed_ = CannotWrite({SQLITE_IOERR_FSYNC, 0, ""});
  if (TroubleOf(why) == Trouble::kDamaged) closed_ = CannotWrite(why);
}

}  // namespace mlos::state
