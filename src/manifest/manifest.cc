// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "base/name.h"
#include "base/near_miss.h"
#include "base/owned_fd.h"
#include "base/yaml_tree.h"

namespace mlos {
namespace {

constexpr size_t kMaxFormats = 64;
constexpr size_t kMaxNeeds = 32;
constexpr size_t kMaxReasonLength = 500;

using Kind = YamlNode::Kind;

Status At(const YamlNode& node, std::string_view text) {
  return InvalidArgument(fmt::format("{} line {}: {}", kManifestFile, node.line, text));
}

std::string Listed(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

Status UnknownKey(const YamlNode& value, std::string_view key, std::string_view where,
                  const std::vector<std::string_view>& known) {
  return At(value, fmt::format("unknown key {}{}{}; the keys are {}", Quoted(key), where,
                               DidYouMean(key, known), Listed(known)));
}

Status ExpectKind(const YamlNode& node, std::string_view key, Kind kind, std::string_view example) {
  if (node.kind == kind) return OkStatus();
  return At(node, fmt::format("'{}' is {}, not {}; write {}", key, KindName(node.kind),
                              KindName(kind), example));
}

// Text that is shown to people: not empty, no control characters.
Status ExpectText(const YamlNode& node, std::string_view key, std::string_view example) {
  MLOS_RETURN_IF_ERROR(ExpectKind(node, key, Kind::kScalar, example));
  if (node.scalar.empty()) return At(node, fmt::format("'{}' is empty; write {}", key, example));
  for (const char c : node.scalar) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return At(node, fmt::format("'{}' contains a control character; remove it", key));
    }
  }
  return OkStatus();
}

Status ReadName(const YamlNode& node, Manifest* manifest) {
  MLOS_RETURN_IF_ERROR(ExpectText(node, "name", "name: my-framework"));
  const Status valid = ValidateName("name", node.scalar);
  if (!valid.ok()) return At(node, Message(valid));
  manifest->name = node.scalar;
  return OkStatus();
}

Status ReadVersion(const YamlNode& node, Manifest* manifest) {
  MLOS_RETURN_IF_ERROR(ExpectText(node, "version", "version: 1.0.0"));
  StatusOr<SemanticVersion> version = ParseSemanticVersion(node.scalar);
  if (!version.ok()) return At(node, Message(version.status()));
  manifest->semantic_version = std::move(*version);
  manifest->version = node.scalar;
  return OkStatus();
}

Status ReadLibrary(const YamlNode& node, Manifest* manifest) {
  MLOS_RETURN_IF_ERROR(ExpectText(node, "library", "library: libmy-framework.so"));
  if (!IsValidName(node.scalar)) {
    return At(node, fmt::format("library {} is not a plain file name; put the library beside "
                                "plugin.yaml and write its name, without a directory",
                                Quoted(node.scalar)));
  }
  manifest->library = node.scalar;
  return OkStatus();
}

Status ReadFormats(const YamlNode& node, Manifest* manifest) {
  constexpr std::string_view kExample = "formats: [onnx]";
  MLOS_RETURN_IF_ERROR(ExpectKind(node, "formats", Kind::kSequence, kExample));
  if (node.items.empty()) return At(node, fmt::format("'formats' is empty; write {}", kExample));
  if (node.items.size() > kMaxFormats) {
    return At(node, fmt::format("'formats' lists {} formats, at most {} are allowed",
                                node.items.size(), kMaxFormats));
  }
  for (const YamlNode& item : node.items) {
    MLOS_RETURN_IF_ERROR(ExpectText(item, "formats", kExample));
    const Status valid = ValidateName("format", item.scalar);
    if (!valid.ok()) return At(item, Message(valid));
    auto& formats = manifest->formats;
    if (std::find(formats.begin(), formats.end(), item.scalar) != formats.end()) {
      return At(item, fmt::format("format {} is listed twice; remove one", Quoted(item.scalar)));
    }
    formats.push_back(item.scalar);
  }
  return OkStatus();
}

// What may stand under `limits`.
struct LimitRow {
  std::string_view key;
  std::optional<uint64_t> ManifestLimits::*field;
  uint64_t least;
  uint64_t most;
};
constexpr LimitRow kLimits[] = {
    // Less than a mebibyte holds no process; the upper end is a petabyte.
    {"memory_bytes", &ManifestLimits::memory_bytes, 1ull << 20, 1ull << 50},
    {"threads", &ManifestLimits::threads, 1, 65536},
};

Status ReadLimits(const YamlNode& node, Manifest* manifest) {
  MLOS_RETURN_IF_ERROR(
      ExpectKind(node, "limits", Kind::kMapping, "limits: {memory_bytes: 1073741824}"));
  for (const auto& [key, line, column, value] : node.members) {
    const LimitRow* row = nullptr;
    std::vector<std::string_view> known;
    for (const LimitRow& candidate : kLimits) {
      known.push_back(candidate.key);
      if (candidate.key == key) row = &candidate;
    }
    if (row == nullptr) return UnknownKey(value, key, " in 'limits'", known);
    const std::string range = fmt::format("a whole number from {} to {}", row->least, row->most);
    MLOS_RETURN_IF_ERROR(ExpectText(value, key, range));
    uint64_t number = 0;
    const char* end = value.scalar.data() + value.scalar.size();
    const auto [stop, error] = std::from_chars(value.scalar.data(), end, number);
    if (error != std::errc() || stop != end || number < row->least || number > row->most) {
      return At(value, fmt::format("limit '{}' is {}; write {}", key, Quoted(value.scalar), range));
    }
    manifest->limits.*row->field = number;
  }
  return OkStatus();
}

Status ReadNeed(const YamlNode& node, Manifest* manifest) {
  constexpr std::string_view kExample = "- {need: NAME, reason: why the plugin needs it}";
  MLOS_RETURN_IF_ERROR(ExpectKind(node, "sandbox", Kind::kMapping, kExample));
  SandboxNeed need;
  for (const auto& [key, line, column, value] : node.members) {
    if (key != "need" && key != "reason") {
      return UnknownKey(value, key, " in 'sandbox'", {"need", "reason"});
    }
    MLOS_RETURN_IF_ERROR(ExpectText(value, key, kExample));
    (key == "need" ? need.need : need.reason) = value.scalar;
  }
  if (need.need.empty()) {
    return At(node, fmt::format("an entry of 'sandbox' has no 'need'; write {}", kExample));
  }
  const Status valid = ValidateName("sandbox need", need.need);
  if (!valid.ok()) return At(node, Message(valid));
  if (need.reason.empty()) {
    return At(node, fmt::format("sandbox need {} has no 'reason'; say in a sentence what breaks "
                                "without it",
                                Quoted(need.need)));
  }
  if (need.reason.size() > kMaxReasonLength) {
    return At(node, fmt::format("the reason of sandbox need {} has {} characters, at most {} are "
                                "allowed",
                                Quoted(need.need), need.reason.size(), kMaxReasonLength));
  }
  for (const SandboxNeed& other : manifest->sandbox) {
    if (other.need == need.need) {
      return At(node,
                fmt::format("sandbox need {} is listed twice; remove one", Quoted(need.need)));
    }
  }
  manifest->sandbox.push_back(std::move(need));
  return OkStatus();
}

Status ReadSandbox(const YamlNode& node, Manifest* manifest) {
  MLOS_RETURN_IF_ERROR(ExpectKind(node, "sandbox", Kind::kSequence,
                                  "a list, or leave it out when nothing is needed"));
  if (node.items.size() > kMaxNeeds) {
    return At(node, fmt::format("'sandbox' lists {} needs, at most {} are allowed",
                                node.items.size(), kMaxNeeds));
  }
  for (const YamlNode& item : node.items) MLOS_RETURN_IF_ERROR(ReadNeed(item, manifest));
  return OkStatus();
}

// The keys of a manifest.
struct KeyRow {
  std::string_view key;
  Status (*read)(const YamlNode& node, Manifest* manifest);
  std::string_view required;  // example for the message; empty: may be left out
};
constexpr KeyRow kKeys[] = {
    {"name", ReadName, "name: my-framework"},
    {"version", ReadVersion, "version: 1.0.0"},
    {"library", ReadLibrary, "library: libmy-framework.so"},
    {"formats", ReadFormats, "formats: [my-format]"},
    {"limits", ReadLimits, ""},
    {"sandbox", ReadSandbox, ""},
};

Status CheckLibrary(int directory, const Manifest& manifest) {
  struct stat info;
  if (::fstatat(directory, manifest.library.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return InvalidArgument(fmt::format(
        "{} names the library {}, which is not in the package; build it or correct 'library'",
        kManifestFile, Quoted(manifest.library)));
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument(fmt::format(
        "{} names the library {}, which is not a plain file; put the library itself into the "
        "package, not a link",
        kManifestFile, Quoted(manifest.library)));
  }
  return OkStatus();
}

StatusOr<std::string> ReadBounded(int directory) {
  // Not blocking: a FIFO of that name must not stop the reader.
  const OwnedFd file(::openat(directory, std::string(kManifestFile).c_str(),
                              O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) {
      return NotFound("");  // ReadManifest says where
    }
    if (errno == ELOOP) {
      return InvalidArgument(
          fmt::format("{} is a symbolic link; put the file itself there", kManifestFile));
    }
    return ErrnoStatus(fmt::format("cannot open {}", kManifestFile));
  }
  struct stat info;
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return InvalidArgument(fmt::format("{} is not a plain file", kManifestFile));
  }
  std::string text(kMaxManifestBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(fmt::format("cannot read {}", kManifestFile));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  text.resize(size);
  return text;
}

// The directory that holds the packages of all versions is easily given instead of one of them.
std::string PackageBelow(const std::string& directory) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (std::filesystem::exists(it->path() / kManifestFile, error)) return it->path().string();
  }
  return {};
}

Status NoManifest(const std::string& directory) {
  const std::string below = PackageBelow(directory);
  if (!below.empty()) {
    return NotFound(fmt::format("no {} in {}; did you mean the package {}?", kManifestFile,
                                Quoted(directory, 400), Quoted(below, 400)));
  }
  return NotFound(
      fmt::format("no {} in {}: a plugin package is a directory with that file and a library",
                  kManifestFile, Quoted(directory, 400)));
}

}  // namespace

StatusOr<Manifest> ParseManifest(std::string_view text) {
  if (text.size() > kMaxManifestBytes) {
    return InvalidArgument(fmt::format("{} is larger than {} bytes; a manifest is a few lines",
                                       kManifestFile, kMaxManifestBytes));
  }
  YamlNode root;
  if (const auto fault = ParseYaml(text, &root)) {
    return InvalidArgument(fmt::format("{} line {}: {}", kManifestFile, fault->line, fault->text));
  }
  if (root.kind != Kind::kMapping) {
    return At(root, fmt::format("the file is {}, not a mapping; begin with 'name: my-framework'",
                                KindName(root.kind)));
  }
  Manifest manifest;
  manifest.text = text;
  std::vector<std::string_view> known, missing;
  for (const KeyRow& row : kKeys) known.push_back(row.key);
  for (const auto& [key, line, column, value] : root.members) {
    const auto row = std::find_if(std::begin(kKeys), std::end(kKeys),
                                  [&k = key](const KeyRow& r) { return r.key == k; });
    if (row == std::end(kKeys)) return UnknownKey(value, key, "", known);
    MLOS_RETURN_IF_ERROR(row->read(value, &manifest));
  }
  for (const KeyRow& row : kKeys) {
    if (row.required.empty()) continue;
    const bool found = std::any_of(root.members.begin(), root.members.end(),
                                   [&row](const auto& member) { return member.key == row.key; });
    if (!found) {
      return At(root,
                fmt::format("key '{}' is missing; add a line such as '{}'", row.key, row.required));
    }
  }
  return manifest;
}

StatusOr<Manifest> ReadManifest(const std::string& directory) {
  const OwnedFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOTDIR) {
      return InvalidArgument(fmt::format(
          "{} is not a directory; give the directory of a plugin package", Quoted(directory, 400)));
    }
    return ErrnoStatus(fmt::format("cannot open the plugin package {}", Quoted(directory, 400)));
  }
  const StatusOr<std::string> text = ReadBounded(fd.get());
  if (!text.ok()) {
    return text.status().code() == StatusCode::kNotFound ? NoManifest(directory) : text.status();
  }
  MLOS_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(*text));
  MLOS_RETURN_IF_ERROR(CheckLibrary(fd.get(), manifest));
  return manifest;
}

}  // namespace mlos
