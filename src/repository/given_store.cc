// SPDX-License-Identifier: Apache-2.0
#include "repository/given_store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/base64.h"
#include "base/name.h"
#include "modelconfig/json.h"

namespace mlos::repository {
namespace fs = std::filesystem;
namespace {

// Its entry in a directory and the rest that a file, or a directory, costs beside its bytes.
constexpr uint64_t kPerEntry = 4096;

uint64_t CostOf(const Given& given) {
  uint64_t bytes = given.config.size();
  for (const GivenFile& file : given.files) {
    // Each directory above it may be its own.
    const auto above = std::count(file.path.begin(), file.path.end(), '/');
    const uint64_t content = file.base64 ? file.content.size() / 4 * 3 : file.content.size();
    bytes += content + (static_cast<uint64_t>(above) + 1) * kPerEntry;
  }
  return bytes;
}

Status CannotKeep(int error) {
  return Unavailable(Message(ErrnoStatus("the files that were given cannot be kept", error)));
}

Status WriteFile(const std::string& path, std::string_view content) {
  const OwnedFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return CannotKeep(errno);
  while (!content.empty()) {
    const ssize_t n = write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return CannotKeep(errno);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return OkStatus();
}

// On the disk for as long as it lives.
struct Files {
  explicit Files(std::string path) : directory(std::move(path)) {}
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  ~Files() {
    std::error_code ignored;
    fs::remove_all(directory, ignored);
  }
  const std::string directory;
};

// Held by those who use the files.
struct Kept {
  Kept(std::shared_ptr<const Files> its_files, GivenStore::Room its_room, GivenStore::LetGo how)
      : files(std::move(its_files)), room(std::move(its_room)), let_go(std::move(how)) {}
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() {
    if (let_go) let_go(std::move(files));
  }
  std::shared_ptr<const Files> files;
  const GivenStore::Room room;
  const GivenStore::LetGo let_go;
};

StatusOr<std::string> ContentOf(const GivenFile& file) {
  StatusOr<std::string> content = DecodeBase64(file.content);
  if (content.ok()) return content;
  return Annotate(content.status(),
                  fmt::format("the given file {} is not base64", Quoted(file.path, 200)));
}

// The versions that are to serve can be seen to be fine.
Status CheckFound(const FoundModel& found) {
  if (found.unread) return Unavailable(found.fault);
  const auto refuse = [&](const std::string& fault) {
    return InvalidArgument(
        fmt::format("model {} cannot be loaded with what was given: {}", found.name, fault));
  };
  if (!found.fault.empty()) return refuse(found.fault);
  const std::vector<uint64_t> wanted = found.Wanted();
  if (wanted.empty()) return refuse("its version policy admits none of its versions");
  for (const FoundVersion& version : found.versions) {
    if (version.fault.empty()) continue;
    if (std::find(wanted.begin(), wanted.end(), version.number) == wanted.end()) continue;
    return refuse(fmt::format("version {}: {}", version.number, version.fault));
  }
  return OkStatus();
}

}  // namespace

void GivenStore::Sweep() const {
  std::error_code error;
  fs::remove_all(root_, error);  // what is left is in nobody's way
}

StatusOr<GivenStore::Room> GivenStore::Reserve(const Given& given) const {
  const uint64_t cost = CostOf(given);
  if (used_->fetch_add(cost) + cost > limit_) {
    *used_ -= cost;
    return Unavailable(
        fmt::format("the files that loads have brought along would have more than {} bytes in "
                    "all: unload models that were loaded with files of their own",
                    limit_));
  }
  return Room(nullptr, [used = used_, cost](const void*) { *used -= cost; });
}

StatusOr<std::shared_ptr<const std::string>> GivenStore::Write(const std::string& model,
                                                               const std::vector<GivenFile>& files,
                                                               Room room) const {
  MLOS_RETURN_IF_ERROR(ValidateName("model name", model));
  std::error_code error;
  fs::create_directories(root_, error);
  std::string directory = root_ + "/XXXXXX";
  if (error) return CannotKeep(error.value());
  if (mkdtemp(directory.data()) == nullptr) return CannotKeep(errno);
  const auto kept = std::make_shared<const Kept>(std::make_shared<const Files>(directory),
                                                 std::move(room), let_go_);
  for (const GivenFile& file : files) {
    const std::string path = fmt::format("{}/{}/{}", directory, model, file.path);
    fs::create_directories(fs::path(path).parent_path(), error);
    if (error == std::errc::not_a_directory || error == std::errc::file_exists ||
        (!error && fs::exists(path, error))) {
      return InvalidArgument(fmt::format(
          "the given file {}: another one has its name, or that of a directory above it",
          Quoted(file.path, 200)));
    }
    if (error) return CannotKeep(error.value());
    if (!file.base64) {
      MLOS_RETURN_IF_ERROR(WriteFile(path, file.content));
      continue;
    }
    MLOS_ASSIGN_OR_RETURN(const std::string content, ContentOf(file));
    MLOS_RETURN_IF_ERROR(WriteFile(path, content));
  }
  return std::shared_ptr<const std::string>(kept, &kept->files->directory);
}

StatusOr<FoundModel> FindGiven(const std::string& name, const Given& given,
                               const std::vector<std::string>& directories,
                               const std::vector<Claim>& claims, const GivenStore& store,
                               GivenStore::Room room) {
  MLOS_RETURN_IF_ERROR(CheckGiven(given));
  const StatusOr<inference::ModelConfig> config = modelconfig::ParseJson(given.config);
  if (!config.ok()) return Annotate(config.status(), "\"config\"");
  if (given.files.empty()) {
    StatusOr<FoundModel> found = FindModel(directories, name, claims, &*config);
    if (found.status().code() == StatusCode::kNotFound) {
      return NotFound(
          fmt::format("no model repository has a model {}: give its files as well, as "
                      "\"file:VERSION/NAME\"",
                      Quoted(name)));
    }
    if (found.ok()) MLOS_RETURN_IF_ERROR(CheckFound(*found));
    return found;
  }
  MLOS_ASSIGN_OR_RETURN(const auto kept, store.Write(name, given.files, std::move(room)));
  MLOS_ASSIGN_OR_RETURN(FoundModel found, ScanModel(*kept, name, claims, &*config));
  MLOS_RETURN_IF_ERROR(CheckFound(found));
  for (FoundVersion& version : found.versions) version.artefact.keeps = kept;
  return found;
}

}  // namespace mlos::repository
