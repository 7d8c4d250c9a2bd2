// SPDX-License-Identifier: Apache-2.0
//
// For tests: SQLite's way to its files, with a disk that fails on demand.
//
// Counts what changes files (open, write, truncate, sync, delete) and lets the
// n-th of these fail.  Syncs are not passed on, which makes it fast; instead it
// remembers what was written since the last one of each file and takes it back
// when a sync fails, as a kernel does, or when the power goes.
// Registered under its name while it lives.  One thread.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace mlos::state {

struct Fault {
  int at = 0;             // the n-th operation from now on; 0: none
  int error = 0;          // errno
  bool for_good = false;  // and all that follow
};

class FaultVfs {
 public:
  FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  ~FaultVfs();

  const char* name() const { return vfs_.zName; }
  void Arm(const Fault& fault);
  bool fired() const { return fault_.at > 0 && operations_ >= fault_.at; }
  int syncs() const { return syncs_; }

  // What no sync confirmed is lost: all of it, or any part.  No file is open.
  void LosePower(std::mt19937* random);

 private:
  struct File;
  // What a range held before.
  struct Undo {
    int64_t offset;
    std::vector<char> before;  // shorter than `length` where the file ended
    int64_t length;
    int64_t file_size;
  };

  static FaultVfs& Of(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }
  static int OpenFile(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out);
  static int DeleteFile(sqlite3_vfs* vfs, const char* name, int sync_directory);
  static int LastError(sqlite3_vfs* vfs, int size, char* text);
  static int Close(sqlite3_file* file);
  static int Read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset);
  static int Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset);
  static int Truncate(sqlite3_file* file, sqlite3_int64 size);
  static int Sync(sqlite3_file* file, int flags);
  static int FileSize(sqlite3_file* file, sqlite3_int64* size);
  static int Lock(sqlite3_file* file, int level);
  static int Unlock(sqlite3_file* file, int level);
  static int CheckReservedLock(sqlite3_file* file, int* out);
  static int Control(sqlite3_file* file, int operation, void* argument);
  static int SectorSize(sqlite3_file* file);
  static int Characteristics(sqlite3_file* file);

  // True if the operation that comes now is to fail.
  bool Fails();
  void Remember(File* file, int64_t offset, int64_t length);
  void TakeBack(File* file);

  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  sqlite3_io_methods methods_;
  Fault fault_;
  int operations_ = 0;
  int syncs_ = 0;
  bool failed_last_ = false;
  std::map<std::string, std::vector<Undo>> unsynced_;
};

}  // namespace mlos::state
