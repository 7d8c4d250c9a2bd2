// SPDX-License-Identifier: Apache-2.0
#include "repository/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/name.h"

namespace mlos::repository {
namespace {

StatusOr<OwnedFd> Open(int beneath, const std::string& name, int flags) {
  if (name.empty() || name.size() > 4096 || name.find('\0') != std::string::npos) {
    return InvalidArgument(fmt::format("{} is no file name", Quoted(name)));
  }
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  OwnedFd fd(static_cast<int>(syscall(SYS_openat2, beneath, name.c_str(), &how, sizeof how)));
  if (fd) return fd;
  const int error = errno;
  // A link where a directory is asked for is told from other files.
  struct stat st;
  const bool link =
      fstatat(beneath, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
  if (error == ELOOP || link) {
    return InvalidArgument(
        fmt::format("{} is, or lies behind, a symbolic link, which is not followed", Quoted(name)));
  }
  if (error == EXDEV) {
    return InvalidArgument(fmt::format("{} leaves the model's directory", Quoted(name)));
  }
  return ErrnoStatus(fmt::format("{} cannot be opened", Quoted(name)), error);
}

}  // namespace

StatusOr<OwnedFd> OpenDirectory(int beneath, const std::string& name) {
  return Open(beneath, name, O_DIRECTORY);
}

StatusOr<OwnedFd> OpenFile(int beneath, const std::string& name) {
  MLOS_ASSIGN_OR_RETURN(OwnedFd fd, Open(beneath, name, 0));
  struct stat st;
  struct stat directory;
  if (fstat(fd.get(), &st) != 0 || fstat(beneath, &directory) != 0 || !S_ISREG(st.st_mode)) {
    return InvalidArgument(fmt::format("{} is not a plain file", Quoted(name)));
  }
  if (st.st_nlink > 1 && st.st_uid != directory.st_uid) {
    return InvalidArgument(
        fmt::format("{} is a hard link to a file of another owner than its directory has: copy the "
                    "file instead",
                    Quoted(name)));
  }
  return fd;
}

StatusOr<std::string> ReadFile(int beneath, const std::string& name, size_t limit) {
  MLOS_ASSIGN_OR_RETURN(const OwnedFd fd, OpenFile(beneath, name));
  std::string out;
  char block[64 << 10];
  for (;;) {
    const ssize_t n = read(fd.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(fmt::format("{} cannot be read", Quoted(name)));
    if (n == 0) return out;
    out.append(block, static_cast<size_t>(n));
    if (out.size() > limit) {
      return InvalidArgument(fmt::format("{} has more than {} bytes", Quoted(name), limit));
    }
  }
}

StatusOr<std::vector<std::string>> ListNames(int directory, size_t limit) {
  // A description of its own: the position in a directory belongs to it.
  OwnedFd own(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return ErrnoStatus("the directory cannot be listed");
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(own.get()), closedir);
  if (dir == nullptr) return ErrnoStatus("the directory cannot be listed");
  (void)own.Release();  // the stream's now
  std::vector<std::string> out;
  for (;;) {
    errno = 0;  // by it readdir says what ended the list
    // The stream is this call's own.  NOLINTNEXTLINE(concurrency-mt-unsafe)
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr && errno != 0) return ErrnoStatus("the directory cannot be listed");
    if (entry == nullptr) break;
    if (entry->d_name[0] == '.') continue;
    out.emplace_back(entry->d_name);
    if (out.size() > limit) {
      return ResourceExhausted(fmt::format("the directory has more than {} entries", limit));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace mlos::repository
