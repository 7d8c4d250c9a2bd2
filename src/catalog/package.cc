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
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    if (!fs::is_directory(status) && !fs::is_regular_file(status)) {
      return InvalidArgument(fmt::format(
          "the package's {} is a link or no plain file: it cannot be installed", Quoted(name)));
    }
    if (fs::is_directory(status)) continue;
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

Status CopyFiles(const std::map<std::string, fs::path>& files, const fs::path& to,
                 const Stop& stop) {
  std::set<fs::path> directories{to};
  for (const auto& [name, path] : files) {
    std::error_code error;
    const fs::path target = to / name;
    fs::create_directories(target.parent_path(), error);
    for (fs::path d = target.parent_path(); d != to; d = d.parent_path()) directories.insert(d);
    if (stop) return Cancelled("the daemon is being stopped");
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
StatusOr<std::string> ContentSum(const std::map<std::string, fs::path>& files, const Stop& stop) {
  std::string list;
  for (const auto& [name, path] : files) {
    const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return ErrnoStatus("the package cannot be read");
    MLOS_ASSIGN_OR_RETURN(const std::string sum, Sha256Of(fd.get(), stop));
    list.append(sum).append(" ").append(name).append("\n");
  }
  const OwnedFd fd(memfd_create("package", MFD_CLOEXEC));
  if (!fd || write(fd.get(), list.data(), list.size()) != static_cast<ssize_t>(list.size())) {
    return FileError({errno, std::generic_category()}, "the package cannot be installed");
  }
  return Sha256Of(fd.get(), stop);
}

// Fills `scratch` and gives it the name of what is in it; returns its path.
StatusOr<std::string> MoveCopy(const std::map<std::string, fs::path>& files,
                               const fs::path& scratch, const fs::path& root, const Stop& stop) {
  MLOS_RETURN_IF_ERROR(CopyFiles(files, scratch, stop));
  // Of the copy: the original may be written to meanwhile.
  MLOS_ASSIGN_OR_RETURN(const auto copies, ListPackage(scratch));
  MLOS_ASSIGN_OR_RETURN(const std::string sum, ContentSum(copies, stop));
  const fs::path target = root / sum;
  std::error_code error;
  if (fs::exists(target, error)) return target.string();
  fs::rename(scratch, target, error);
  if (error) return FileError(error, "the package cannot be installed");
  MLOS_RETURN_IF_ERROR(Sync(root, O_RDONLY | O_DIRECTORY));
  MLOS_RETURN_IF_ERROR(Sync(root.parent_path(), O_RDONLY | O_DIRECTORY));
  return target.string();
}

}  // namespace

StatusOr<std::string> InstallPackage(const std::string& source, const std::string& root,
                                     const Stop& stop) {
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
  std::string scratch = (fs::path(root) / ".new-XXXXXX").string();
  if (mkdtemp(scratch.data()) == nullptr) {
    return FileError({errno, std::generic_category()}, "the package cannot be installed");
  }
  StatusOr<std::string> target = MoveCopy(files, scratch, root, stop);
  fs::remove_all(scratch, error);  // where it was not moved
  return target;
}

void SweepPackages(const std::string& root, const std::set<std::string>& used) {
  std::error_code error;
  std::vector<fs::path> unused;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    if (used.count(it->path().filename().string()) == 0) unused.push_back(it->path());
  }
  for (const fs::path& path : unused) fs::remove_all(path, error);
}

}  // namespace mlos::catalog
