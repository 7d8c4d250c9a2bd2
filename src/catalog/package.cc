// SPDX-License-Identifier: Apache-2.0
#include "catalog/package.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <vector>

#include "base/name.h"
#include "base/owned_fd.h"
#include "catalog/artefact.h"
#include "manifest/manifest.h"

namespace mlos::catalog {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMaxPackageBytes = uint64_t{8} << 30;
constexpr size_t kMaxPackageFiles = 10'000;

Status FileError(const std::error_code& error, std::string_view what) {
  return Unavailable(fmt::format("{}: {}", what, error.message()));
}

// Every file of the package by its name in it.  Links and special files are
// refused: a copy would not be what the original is.
StatusOr<std::map<std::string, fs::path>> ListPackage(const std::string& source) {
  std::map<std::string, fs::path> files;
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(source, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().lexically_relative(source).string();
    if (it->is_symlink() || (!it->is_directory() && !it->is_regular_file())) {
      return InvalidArgument(fmt::format(
          "the package's {} is a link or no plain file: it cannot be installed", Quoted(name)));
    }
    if (it->is_directory()) continue;
    files.emplace(name, it->path());
    bytes += it->file_size(error);
    if (files.size() > kMaxPackageFiles || bytes > kMaxPackageBytes) {
      return InvalidArgument(
          fmt::format("the package is larger than {} files or {} bytes: it cannot be installed",
                      kMaxPackageFiles, kMaxPackageBytes));
    }
  }
  if (error) return FileError(error, "the package cannot be read");
  return files;
}

Status Sync(const fs::path& path, int flags) {
  const OwnedFd fd(open(path.c_str(), flags | O_CLOEXEC));
  if (fd && fsync(fd.get()) == 0) return OkStatus();
  return FileError({errno, std::generic_category()}, "the package cannot be installed");
}

Status CopyFiles(const std::map<std::string, fs::path>& files, const fs::path& to) {
  std::set<fs::path> directories{to};
  for (const auto& [name, path] : files) {
    std::error_code error;
    const fs::path target = to / name;
    fs::create_directories(target.parent_path(), error);
    for (fs::path d = target.parent_path(); d != to; d = d.parent_path()) directories.insert(d);
    fs::copy_file(path, target, error);
    if (error) return FileError(error, "the package cannot be installed");
    MLOS_RETURN_IF_ERROR(Sync(target, O_RDONLY));
  }
  for (const fs::path& directory : directories) {
    MLOS_RETURN_IF_ERROR(Sync(directory, O_RDONLY | O_DIRECTORY));
  }
  return OkStatus();
}

// One checksum of all names and contents.
StatusOr<std::string> ContentSum(const std::map<std::string, fs::path>& files) {
  std::string list;
  for (const auto& [name, path] : files) {
    const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return ErrnoStatus("the package cannot be read");
    MLOS_ASSIGN_OR_RETURN(const std::string sum, Sha256Of(fd.get()));
    list.append(sum).append(" ").append(name).append("\n");
  }
  const OwnedFd fd(memfd_create("package", MFD_CLOEXEC));
  if (!fd || write(fd.get(), list.data(), list.size()) != static_cast<ssize_t>(list.size())) {
    return FileError({errno, std::generic_category()}, "the package cannot be installed");
  }
  return Sha256Of(fd.get());
}

}  // namespace

StatusOr<std::string> InstallPackage(const std::string& source, const std::string& root) {
  if (source.empty() || source[0] != '/') {
    return InvalidArgument(
        fmt::format("\"path\" must be the absolute path of a plugin package (a directory), not {}",
                    Quoted(source)));
  }
  MLOS_RETURN_IF_ERROR(ReadManifest(source).status());
  std::error_code error;
  fs::create_directories(root, error);
  if (error) return FileError(error, "the package cannot be installed");
  MLOS_ASSIGN_OR_RETURN(const auto files, ListPackage(source));
  MLOS_ASSIGN_OR_RETURN(const std::string sum, ContentSum(files));
  const fs::path target = fs::path(root) / sum;
  if (fs::exists(target, error)) return target.string();
  std::string scratch = (fs::path(root) / ".new-XXXXXX").string();
  if (mkdtemp(scratch.data()) == nullptr) {
    return FileError({errno, std::generic_category()}, "the package cannot be installed");
  }
  Status status = CopyFiles(files, scratch);
  if (status.ok()) {
    fs::rename(scratch, target, error);
    if (error) status = FileError(error, "the package cannot be installed");
  }
  if (status.ok()) status = Sync(root, O_RDONLY | O_DIRECTORY);
  if (!status.ok()) {
    fs::remove_all(scratch, error);
    return status;
  }
  return target.string();
}

void SweepPackages(const std::string& root, const std::set<std::string>& used) {
  std::error_code error;
  std::vector<fs::path> unused;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    if (used.count(it->path().string()) == 0) unused.push_back(it->path());
  }
  for (const fs::path& path : unused) fs::remove_all(path, error);
}

}  // namespace mlos::catalog
