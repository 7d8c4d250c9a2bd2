// SPDX-License-Identifier: Apache-2.0
#include "smi_check/artefact.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/name.h"

namespace mlos {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = 4ull << 30;
constexpr size_t kMaxFiles = 4096;

Status ReadInto(const fs::path& path, std::string name, uint64_t* total, Artefact* artefact) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (error) return InvalidArgument(fmt::format("cannot read {}", Quoted(path.string(), 400)));
  *total += size;
  if (*total > kMaxBytes || artefact->files.size() >= kMaxFiles) {
    return ResourceExhausted(
        fmt::format("the model is larger than {} bytes in {} files", kMaxBytes, kMaxFiles));
  }
  ArtefactFile file{std::move(name), std::string(size, '\0')};
  std::ifstream in(path, std::ios::binary);
  if (!in.read(file.bytes.data(), static_cast<std::streamsize>(size))) {
    return InvalidArgument(fmt::format("cannot read {}", Quoted(path.string(), 400)));
  }
  artefact->files.push_back(std::move(file));
  return OkStatus();
}

StatusOr<Artefact> ReadDirectory(const fs::path& root, const std::vector<std::string>& formats) {
  Artefact artefact;
  uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
       at.increment(error)) {
    if (!at->is_regular_file(error)) continue;
    const std::string name = at->path().lexically_relative(root).generic_string();
    MLOS_RETURN_IF_ERROR(ReadInto(at->path(), name, &total, &artefact));
  }
  if (error) return InvalidArgument(fmt::format("cannot list {}", Quoted(root.string(), 400)));
  std::sort(artefact.files.begin(), artefact.files.end(),
            [](const ArtefactFile& a, const ArtefactFile& b) { return a.name < b.name; });
  if (artefact.files.size() == 1) return artefact;
  for (const std::string& format : formats) {
    for (size_t i = 0; i < artefact.files.size(); ++i) {
      if (artefact.files[i].name != "model." + format) continue;
      artefact.main = i;
      return artefact;
    }
  }
  return InvalidArgument(
      fmt::format("{} has no main file: give the model's file, or a directory with one file or "
                  "with model.{}",
                  Quoted(root.string(), 400), formats.empty() ? "FORMAT" : formats[0]));
}

}  // namespace

Artefact ArtefactOf(std::string name, std::string bytes) {
  Artefact artefact;
  artefact.files.push_back({std::move(name), std::move(bytes)});
  return artefact;
}

Artefact WithMain(const Artefact& artefact, std::string bytes) {
  Artefact copy = artefact;
  copy.files[copy.main].bytes = std::move(bytes);
  return copy;
}

StatusOr<Artefact> ReadArtefact(const std::string& path, const std::vector<std::string>& formats) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) return ReadDirectory(path, formats);
  if (!fs::is_regular_file(status)) {
    return NotFound(fmt::format("no model at {}; give its file or directory", Quoted(path, 400)));
  }
  Artefact artefact;
  uint64_t total = 0;
  MLOS_RETURN_IF_ERROR(ReadInto(path, fs::path(path).filename().string(), &total, &artefact));
  return artefact;
}

}  // namespace mlos
