// SPDX-License-Identifier: Apache-2.0
#include "state/sqlite.h"

#include <fmt/core.h>

#include <cerrno>

namespace mlos::state {
namespace {

// bind_text with a null pointer would bind NULL.
const char* TextOrEmpty(std::string_view text) { return text.data() == nullptr ? "" : text.data(); }

std::string Describe(const SqliteError& error) {
  std::string out = error.text;
  if (error.system_error != 0) {
    out = Message(ErrnoStatus(out, error.system_error));
  }
  return fmt::format("{}, code {}", out, error.code);
}

}  // namespace

Trouble TroubleOf(const SqliteError& error) {
  if (error.code == SQLITE_IOERR_FSYNC || error.code == SQLITE_IOERR_DIR_FSYNC) {
    return Trouble::kLostWrite;
  }
  if (error.system_error == ENOSPC || error.system_error == EDQUOT) return Trouble::kFull;
  if (error.code == SQLITE_IOERR_NOMEM) return Trouble::kMemory;
  if (error.code == SQLITE_IOERR_SHORT_READ) return Trouble::kDamaged;
  switch (error.code & 0xff) {
    case SQLITE_FULL:
      return Trouble::kFull;
    case SQLITE_NOMEM:
      return Trouble::kMemory;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:       // a table or column that should be there is not
    case SQLITE_CONSTRAINT:  // nor do our statements break one
    case SQLITE_MISMATCH:
      return Trouble::kDamaged;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Trouble::kHeld;
    default:
      return Trouble::kDisk;
  }
}

Status DamagedFile(std::string_view path, std::string_view why) {
  return FailedPrecondition(fmt::format(
      "the state file {} is damaged ({}): nothing was changed in it; restore a copy, or move it "
      "and the files beside it that begin with its name away to start empty",
      path, why));
}

Status CannotOpen(std::string_view path, const SqliteError& error) {
  switch (TroubleOf(error)) {
    case Trouble::kFull:
      return ResourceExhausted(
          fmt::format("the disk of the state file {} is full: free space on it", path));
    case Trouble::kMemory:
      return ResourceExhausted(fmt::format("no memory is left to open the state file {}", path));
    case Trouble::kHeld:
      return AlreadyExists(fmt::format(
          "the state file {} is in use by another process: stop it, or choose another file", path));
    case Trouble::kDamaged:
      if (error.code == SQLITE_NOTADB) {
        return DamagedFile(path, "it does not begin as an SQLite database does");
      }
      return DamagedFile(path, Describe(error));
    case Trouble::kLostWrite:
    case Trouble::kDisk:
      break;
  }
  return Unavailable(
      fmt::format("the state file {} cannot be read and written ({}): check the disk and the "
                  "permissions of the file and its directory",
                  path, Describe(error)));
}

Status CannotWrite(const SqliteError& error) {
  switch (TroubleOf(error)) {
    case Trouble::kFull:
      return ResourceExhausted(
          "the change was not made because the disk that keeps the state is full: free space in "
          "the data directory and try again");
    case Trouble::kMemory:
      return ResourceExhausted("the change was not made because no memory is left: try again");
    case Trouble::kLostWrite:
      return Unavailable(
          "the change was not made because the disk that keeps the state failed to take a write: "
          "no change is accepted until the disk was checked and the daemon started anew");
    case Trouble::kDamaged:
      return Unavailable(
          fmt::format("the change was not made because the kept state is damaged ({}): no change "
                      "is accepted; restore a copy of the state and start the daemon anew",
                      Describe(error)));
    case Trouble::kHeld:
    case Trouble::kDisk:
      break;
  }
  return Unavailable(
      fmt::format("the change was not made because the disk that keeps the state refused it ({}): "
                  "check the disk and try again",
                  Describe(error)));
}

void Statement::Bind(int index, std::string_view text) {
  sqlite3_bind_text64(handle_.get(), index, TextOrEmpty(text), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

void Statement::Bind(int index, int64_t number) {
  sqlite3_bind_int64(handle_.get(), index, number);
}

void Statement::Reset() {
  sqlite3_reset(handle_.get());
  sqlite3_clear_bindings(handle_.get());
}

int Statement::Run() {
  const int code = Step();
  Reset();
  return code == SQLITE_DONE ? SQLITE_OK : code;
}

std::string_view Statement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(handle_.get(), column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

Connection::~Connection() { sqlite3_close(handle_); }

int Connection::Open(const std::string& file, const char* vfs) {
  constexpr int kFlags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  int code = sqlite3_open_v2(file.c_str(), &handle_, kFlags, vfs);
  if (code != SQLITE_OK) return code;
  KeepLogOnClose(true);
  // A file is data: nothing in it runs, whoever wrote it.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_wal_hook(
      handle_,
      [](void* frames, sqlite3*, const char*, int count) {
        *static_cast<int*>(frames) = count;
        return SQLITE_OK;
      },
      &log_frames_);
  // The lock comes before the first read and stays: the log's index is then in
  // our memory, no second connection can be, and the faults of this release's
  // log that several connections bring about cannot happen.
  code =
      Run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
          "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-1024");
  int64_t pages = 0;
  return code == SQLITE_OK ? Read("PRAGMA schema_version", &pages) : code;
}

int Connection::UseLog(int64_t log_bytes) {
  std::string mode;
  const int code = Read("PRAGMA journal_mode=WAL", &mode);
  if (code != SQLITE_OK) return code;
  if (mode != "wal") return SQLITE_IOERR;
  return Run(
      fmt::format("PRAGMA synchronous=FULL; PRAGMA journal_size_limit={}", log_bytes).c_str());
}

void Connection::KeepLogOnClose(bool keep) {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, nullptr);
}

int Connection::Run(const char* sql) {
  return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
}

int Connection::Prepare(const char* sql, Statement* statement) {
  sqlite3_stmt* handle = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  statement->handle_.reset(handle);
  return code;
}

int Connection::Read(const char* sql, int64_t* number) {
  Statement statement;
  int code = Prepare(sql, &statement);
  if (code != SQLITE_OK) return code;
  code = statement.Step();
  if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_ERROR : code;
  *number = statement.Number(0);
  return SQLITE_OK;
}

int Connection::Read(const char* sql, std::string* text) {
  Statement statement;
  int code = Prepare(sql, &statement);
  if (code != SQLITE_OK) return code;
  code = statement.Step();
  if (code != SQLITE_ROW) return code == SQLITE_DONE ? SQLITE_ERROR : code;
  *text = statement.Text(0);
  return SQLITE_OK;
}

int Connection::Checkpoint() {
  return sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

SqliteError Connection::Error(int code) const {
  SqliteError out{code, 0, sqlite3_errstr(code)};
  if (handle_ == nullptr) return out;
  const int primary = code & 0xff;
  // Only these set it; after others it is what an older error left.
  if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) {
    out.system_error = sqlite3_system_errno(handle_);
    if (out.system_error == 0) out.system_error = LogErrno();
  }
  // The connection's own text says more ("no such table: record"), if it is of this error.
  if (sqlite3_extended_errcode(handle_) == code) out.text = sqlite3_errmsg(handle_);
  return out;
}

// SQLite forgets the errno of a commit, but the file that met it does not.
int Connection::LogErrno() const {
  sqlite3_file* log = nullptr;
  int error = 0;
  if (sqlite3_file_control(handle_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK ||
      log == nullptr || log->pMethods == nullptr ||
      log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error) != SQLITE_OK) {
    return 0;
  }
  return error;
}

}  // namespace mlos::state
