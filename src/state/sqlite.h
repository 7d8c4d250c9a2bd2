// SPDX-License-Identifier: Apache-2.0
//
// SQLite as this room uses it: a connection, a prepared statement and what its
// errors mean to us.  Calls return SQLite's extended result codes.
//
// Threads and ownership: a connection and its statements belong to one thread
// at a time; the statements go before the connection.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos::state {

// An error, taken before the next call overwrites it.
struct SqliteError {
  int code = SQLITE_OK;
  int system_error = 0;  // the errno beneath it, or 0
  std::string text;
};

enum class Trouble {
  kFull,       // no space, or no quota, is left
  kMemory,     // no memory is left
  kLostWrite,  // what was written may not have reached the disk (fsync failed)
  kDamaged,    // the file is not what was written
  kHeld,       // another connection has it
  kDisk,       // anything else that keeps the disk from doing its work
};
Trouble TroubleOf(const SqliteError& error);

// Why a state file cannot be opened, for whoever starts the daemon: names the
// file and what to do.
Status CannotOpen(std::string_view path, const SqliteError& error);
Status DamagedFile(std::string_view path, std::string_view why);

// Why a change was not kept, for whoever asked for it: names no file.
Status CannotWrite(const SqliteError& error);

class Statement {
 public:
  // The text must stay until Reset().
  void Bind(int index, std::string_view text);
  void Bind(int index, int64_t number);
  int Step() { return sqlite3_step(handle_.get()); }
  // Ready to be bound and run again.
  void Reset();
  // Runs to its end and resets; a statement without rows.
  int Run();

  // Of the current row; text lasts until the next Step() or Reset().
  std::string_view Text(int column) const;
  int64_t Number(int column) const { return sqlite3_column_int64(handle_.get(), column); }

 private:
  friend class Connection;
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Opens an existing file for this connection alone and reads its first page:
  // SQLITE_BUSY when another connection has it.  Until KeepLogOnClose(false),
  // closing leaves the file and its log as they are.  `vfs` may be null.
  int Open(const std::string& file, const char* vfs);

  // From now on durable at each commit, through the write-ahead log; a log that
  // grew beyond `log_bytes` is cut back.  Writes to a file that is not so yet.
  int UseLog(int64_t log_bytes);

  void KeepLogOnClose(bool keep);

  int Run(const char* sql);
  int Prepare(const char* sql, Statement* statement);
  // The first column of the first row.
  int Read(const char* sql, int64_t* number);
  int Read(const char* sql, std::string* text);

  // Moves what the log holds into the file, as far as it goes.
  int Checkpoint();
  // Frames in the log after the last commit of this connection.
  int log_frames() const { return log_frames_; }

  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  bool read_only() const { return sqlite3_db_readonly(handle_, "main") != 0; }
  SqliteError Error(int code) const;

 private:
  int LogErrno() const;

  sqlite3* handle_ = nullptr;
  int log_frames_ = 0;
};

}  // namespace mlos::state
