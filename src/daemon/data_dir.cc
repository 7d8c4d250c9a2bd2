// SPDX-License-Identifier: Apache-2.0
#include "daemon/data_dir.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace mlos::daemon {

StatusOr<OwnedFd> HoldDataDir(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(fmt::format("the data directory {} cannot be made", path));
  }
  OwnedFd lock(open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return ErrnoStatus(fmt::format("the data directory {} cannot be used", path));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return AlreadyExists(fmt::format(
        "another mlosd uses the data directory {}: stop it, or choose another with --data-dir",
        path));
  }
  return lock;
}

Status WriteFileWhole(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  OwnedFd file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return ErrnoStatus(fmt::format("{} cannot be written", path));
  while (!content.empty()) {
    const ssize_t n = write(file.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(fmt::format("{} cannot be written", path));
    content.remove_prefix(static_cast<size_t>(n));
  }
  file.Reset();
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return ErrnoStatus(fmt::format("{} cannot be written", path));
  }
  return OkStatus();
}

}  // namespace mlos::daemon
