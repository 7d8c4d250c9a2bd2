// SPDX-License-Identifier: Apache-2.0
#include "state/state_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "state/sqlite.h"

namespace mlos::state {
namespace {

Status CannotUse(std::string_view path) {
  SqliteError error{SQLITE_CANTOPEN, errno, "the file system refused"};
  return CannotOpen(path, error);
}

}  // namespace

StatusOr<StateFile> StateFile::At(const std::string& path) {
  StateFile file;
  file.given_path_ = path;
  const std::filesystem::path given(path);
  file.name_ = given.filename();
  if (file.name_.empty() || file.name_ == "." || file.name_ == ".." ||
      path.find('\0') != std::string::npos) {
    return InvalidArgument(fmt::format("'{}' does not name a state file", path));
  }
  std::error_code error;
  const std::filesystem::path parent = given.has_parent_path() ? given.parent_path() : ".";
  file.directory_path_ = std::filesystem::canonical(parent, error);
  if (error) {
    errno = error.value();
    return CannotUse(path);
  }
  file.directory_.Reset(open(file.directory_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.directory_) return CannotUse(path);
  return file;
}

StatusOr<std::optional<uint64_t>> StateFile::PlainFileSize(const std::string& name) const {
  struct stat st;
  if (fstatat(directory_.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::optional<uint64_t>();
    return CannotUse(given_path_);
  }
  if (!S_ISREG(st.st_mode)) {
    const std::string shown = given_path_ + name.substr(name_.size());
    return FailedPrecondition(
        fmt::format("{} is {}, not a plain file (links are not followed): move it away", shown,
                    S_ISLNK(st.st_mode)   ? "a symbolic link"
                    : S_ISDIR(st.st_mode) ? "a directory"
                                          : "a device or a pipe"));
  }
  return std::optional<uint64_t>(st.st_size);
}

StatusOr<bool> StateFile::Exists() const {
  MLOS_ASSIGN_OR_RETURN(const std::optional<uint64_t> size, PlainFileSize(name_));
  MLOS_ASSIGN_OR_RETURN(const std::optional<uint64_t> log, LogSize());
  MLOS_ASSIGN_OR_RETURN(const std::optional<uint64_t> journal, PlainFileSize(name_ + "-journal"));
  if (journal.value_or(0) > 0) {
    return FailedPrecondition(fmt::format(
        "{0}-journal is there, which another program left half-done: nothing was changed; open {0} "
        "with that program, or move both away to start empty",
        given_path_));
  }
  if (!size) {
    if (log.value_or(0) == 0) return false;
    return DamagedFile(given_path_, "it is missing, but the log beside it is there");
  }
  if (*size == 0) return DamagedFile(given_path_, "it is empty");
  // A descriptor for the path alone: closing it drops no lock.
  const OwnedFd file(openat(directory_.get(), name_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat st;
  if (!file || fstat(file.get(), &st) != 0) return CannotUse(given_path_);
  if ((st.st_mode & 0777) != 0600) {
    const std::string self = fmt::format("/proc/self/fd/{}", file.get());
    if (chmod(self.c_str(), 0600) != 0) return CannotUse(given_path_);
  }
  if (faccessat(directory_.get(), name_.c_str(), W_OK, AT_EACCESS) != 0) {
    return CannotUse(given_path_);
  }
  return true;
}

Status StateFile::MakeTemporary() const {
  for (const char* suffix : {".new", ".new-wal", ".new-journal"}) {
    if (unlinkat(directory_.get(), (name_ + suffix).c_str(), 0) != 0 && errno != ENOENT) {
      return CannotUse(given_path_);
    }
  }
  const OwnedFd made(openat(directory_.get(), (name_ + ".new").c_str(),
                            O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  return made ? OkStatus() : CannotUse(given_path_);
}

Status StateFile::Publish() const {
  const std::string temporary = name_ + ".new";
  const int dir = directory_.get();
  int moved = renameat2(dir, temporary.c_str(), dir, name_.c_str(), RENAME_NOREPLACE);
  if (moved != 0 && errno == EINVAL) {  // a file system that cannot: a link does not replace either
    moved = linkat(dir, temporary.c_str(), dir, name_.c_str(), 0);
    if (moved == 0) moved = unlinkat(dir, temporary.c_str(), 0);
  }
  if (moved != 0) return CannotUse(given_path_);
  return SyncDirectory();
}

Status StateFile::SyncDirectory() const {
  return fsync(directory_.get()) == 0 ? OkStatus() : CannotUse(given_path_);
}

StatusOr<OwnedFd> StateFile::OpenLog() const {
  OwnedFd log(openat(directory_.get(), (name_ + "-wal").c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!log) return CannotUse(given_path_);
  return log;
}

}  // namespace mlos::state
