// SPDX-License-Identifier: Apache-2.0
#include "state/fault_vfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/owned_fd.h"

namespace mlos::state {

struct FaultVfs::File : sqlite3_file {
  FaultVfs* owner;
  std::string* path;
  // The real file lies behind this.
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

namespace {
constexpr int kSector = 512;  // what a disk writes whole or not at all
}  // namespace

FaultVfs::FaultVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_), methods_{} {
  vfs_.zName = "fault";
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  vfs_.xOpen = OpenFile;
  vfs_.xDelete = DeleteFile;
  vfs_.xGetLastError = LastError;
  methods_.iVersion = 1;  // no shared memory: the store needs none
  methods_.xClose = Close;
  methods_.xRead = Read;
  methods_.xWrite = Write;
  methods_.xTruncate = Truncate;
  methods_.xSync = Sync;
  methods_.xFileSize = FileSize;
  methods_.xLock = Lock;
  methods_.xUnlock = Unlock;
  methods_.xCheckReservedLock = CheckReservedLock;
  methods_.xFileControl = Control;
  methods_.xSectorSize = SectorSize;
  methods_.xDeviceCharacteristics = Characteristics;
  sqlite3_vfs_register(&vfs_, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }

void FaultVfs::Arm(const Fault& fault) {
  fault_ = fault;
  operations_ = 0;
  failed_last_ = false;
}

bool FaultVfs::Fails() {
  ++operations_;
  failed_last_ =
      fault_.at > 0 && (operations_ == fault_.at || (fault_.for_good && operations_ > fault_.at));
  return failed_last_;
}

void FaultVfs::Remember(File* file, int64_t offset, int64_t length) {
  Undo undo{offset, {}, length, 0};
  sqlite3_int64 size = 0;
  file->real()->pMethods->xFileSize(file->real(), &size);
  undo.file_size = size;
  const int64_t known = std::clamp<int64_t>(size - offset, 0, length);
  undo.before.resize(static_cast<size_t>(known));
  if (known > 0) {
    file->real()->pMethods->xRead(file->real(), undo.before.data(), static_cast<int>(known),
                                  offset);
  }
  unsynced_[*file->path].push_back(std::move(undo));
}

void FaultVfs::TakeBack(File* file) {
  std::vector<Undo>& undos = unsynced_[*file->path];
  for (; !undos.empty(); undos.pop_back()) {
    const Undo& undo = undos.back();
    file->real()->pMethods->xWrite(file->real(), undo.before.data(),
                                   static_cast<int>(undo.before.size()), undo.offset);
    file->real()->pMethods->xTruncate(file->real(), undo.file_size);
  }
}

void FaultVfs::LosePower(std::mt19937* random) {
  const bool all = (*random)() % 3 == 0;
  for (auto& [path, undos] : unsynced_) {
    const OwnedFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) continue;  // renamed; it was synced before
    for (; !undos.empty(); undos.pop_back()) {
      Undo& undo = undos.back();
      if (!all && (*random)() % 2 == 0) continue;
      // The new length may have come to the disk without what was to be there.
      if (!all) undo.before.resize(static_cast<size_t>(undo.length));
      [[maybe_unused]] const ssize_t n =
          pwrite(fd.get(), undo.before.data(), undo.before.size(), undo.offset);
      if (all) [[maybe_unused]]
        const int r = ftruncate(fd.get(), undo.file_size);
    }
  }
  unsynced_.clear();
}

int FaultVfs::OpenFile(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags,
                       int* out) {
  FaultVfs& self = Of(vfs);
  auto* f = static_cast<File*>(file);
  f->pMethods = nullptr;
  if (self.Fails()) return SQLITE_CANTOPEN;
  f->owner = &self;
  const int code = self.real_->xOpen(self.real_, name, f->real(), flags, out);
  if (code != SQLITE_OK) return code;
  f->path = new std::string(name == nullptr ? "" : name);
  f->pMethods = &self.methods_;
  return SQLITE_OK;
}

int FaultVfs::DeleteFile(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  FaultVfs& self = Of(vfs);
  if (self.Fails()) return SQLITE_IOERR_DELETE;
  self.unsynced_.erase(name);
  return self.real_->xDelete(self.real_, name, sync_directory);
}

int FaultVfs::LastError(sqlite3_vfs* vfs, int size, char* text) {
  FaultVfs& self = Of(vfs);
  return self.failed_last_ ? self.fault_.error : self.real_->xGetLastError(self.real_, size, text);
}

int FaultVfs::Close(sqlite3_file* file) {
  auto* f = static_cast<File*>(file);
  delete f->path;
  return f->real()->pMethods->xClose(f->real());
}

int FaultVfs::Read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xRead(real, to, size, offset);
}

int FaultVfs::Write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  auto* f = static_cast<File*>(file);
  FaultVfs& self = *f->owner;
  const bool fails = self.Fails();
  const int part = fails ? size / 2 / kSector * kSector : size;
  if (part > 0) {
    self.Remember(f, offset, part);
    const int code = f->real()->pMethods->xWrite(f->real(), from, part, offset);
    if (code != SQLITE_OK) return code;
  }
  if (!fails) return SQLITE_OK;
  return self.fault_.error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

int FaultVfs::Truncate(sqlite3_file* file, sqlite3_int64 size) {
  auto* f = static_cast<File*>(file);
  if (f->owner->Fails()) return SQLITE_IOERR_TRUNCATE;
  sqlite3_int64 old = 0;
  f->real()->pMethods->xFileSize(f->real(), &old);
  if (old > size) f->owner->Remember(f, size, old - size);
  return f->real()->pMethods->xTruncate(f->real(), size);
}

int FaultVfs::Sync(sqlite3_file* file, int /*flags*/) {
  auto* f = static_cast<File*>(file);
  FaultVfs& self = *f->owner;
  if (self.Fails()) {
    self.TakeBack(f);
    return SQLITE_IOERR_FSYNC;
  }
  ++self.syncs_;
  self.unsynced_.erase(*f->path);
  return SQLITE_OK;
}

int FaultVfs::FileSize(sqlite3_file* file, sqlite3_int64* size) {
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xFileSize(real, size);
}

int FaultVfs::Lock(sqlite3_file* file, int level) {
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xLock(real, level);
}

int FaultVfs::Unlock(sqlite3_file* file, int level) {
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xUnlock(real, level);
}

int FaultVfs::CheckReservedLock(sqlite3_file* file, int* out) {
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xCheckReservedLock(real, out);
}

int FaultVfs::Control(sqlite3_file* file, int operation, void* argument) {
  const FaultVfs& self = *static_cast<File*>(file)->owner;
  if (operation == SQLITE_FCNTL_LAST_ERRNO && self.fault_.at > 0) {
    *static_cast<int*>(argument) = self.fault_.error;
    return SQLITE_OK;
  }
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xFileControl(real, operation, argument);
}

int FaultVfs::SectorSize(sqlite3_file* file) {
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xSectorSize(real);
}

int FaultVfs::Characteristics(sqlite3_file* file) {
  sqlite3_file* real = static_cast<File*>(file)->real();
  return real->pMethods->xDeviceCharacteristics(real);
}

}  // namespace mlos::state
