// SPDX-License-Identifier: Apache-2.0
//
// The manifest of a plugin package: plugin.yaml beside the plugin's library.
//
// Purpose: everything the core needs to know about a plugin without mapping
// it.  A package comes from anywhere, so the file is untrusted: bounded in
// size, depth and count, without aliases, tags or unknown keys, read beneath
// the directory's descriptor without following links.
// Ownership: a Manifest is a value.  Threads: pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "manifest/semantic_version.h"

namespace mlos {

constexpr std::string_view kManifestFile = "plugin.yaml";
constexpr size_t kMaxManifestBytes = 64 * 1024;

// Limits that apply unless the operator sets others; absent: not limited here.
struct ManifestLimits {
  std::optional<uint64_t> memory_bytes;  // memory of the plugin's process
  std::optional<uint64_t> threads;       // threads of the plugin's process
};

// Something that the sandbox denies by default and the plugin cannot do
// without, with the sentence that an operator reads before granting it.
struct SandboxNeed {
  std::string need;
  std::string reason;
};

struct Manifest {
  std::string name;                  // a valid name (base/name.h)
  std::string version;               // as written; equals semantic_version.ToString()
  SemanticVersion semantic_version;  // the same, for ordering
  std::string library;               // plain file name in the package's directory
  std::vector<std::string> formats;  // valid names, at least one, each once
  ManifestLimits limits;
  std::vector<SandboxNeed> sandbox;  // each need once
  std::string text;                  // all of the file
};

// Reads DIRECTORY/plugin.yaml and checks that the library it names is a plain
// file in the directory.  The library is not opened.  NOT_FOUND: no such
// directory or no manifest in it.  INVALID_ARGUMENT: anything wrong in it; the
// text names the line and what to write instead.
StatusOr<Manifest> ReadManifest(const std::string& directory);

// The same for the text of a manifest; looks at no file.
StatusOr<Manifest> ParseManifest(std::string_view text);

}  // namespace mlos
