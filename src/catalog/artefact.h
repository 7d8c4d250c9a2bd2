// SPDX-License-Identifier: Apache-2.0
//
// A model's files on disk: found when it is registered, opened when it is
// loaded.  Paths come from outside: nothing is followed out of the artefact's
// own directory, and no symbolic link at all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::catalog {

constexpr size_t kMaxArtefactFiles = 200;
constexpr int kMaxArtefactDepth = 8;

struct Artefact {
  std::string directory;           // absolute
  std::vector<std::string> files;  // relative to it, sorted
  std::string main_file;           // one of them
  std::string format;              // the main file's extension: "onnx"
};

// Looks at `path`, an absolute path of a file or a directory.  A file stands
// for itself alone.  In a directory the main file is `wanted` if that is not
// empty, else "model.FORMAT" for a format of `formats`, else the only file
// whose extension is one.
StatusOr<Artefact> FindArtefact(const std::string& path, const std::vector<std::string>& formats,
                                std::string_view wanted);

// Opens every file for reading, in the order of `files`.
StatusOr<std::vector<OwnedFd>> OpenArtefact(const Artefact& artefact);

}  // namespace mlos::catalog
