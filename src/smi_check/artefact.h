// SPDX-License-Identifier: Apache-2.0
//
// A model's files as smi-check hands them to `load`: from disk, or made up.
// Ownership: values; the bytes are copied into guarded memory at each opening.
// Threads: none of its own.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"

namespace mlos {

struct ArtefactFile {
  std::string name;  // relative, '/'-separated
  std::string bytes;
};

struct Artefact {
  std::vector<ArtefactFile> files;
  size_t main = 0;  // index of the main file

  const std::string& main_bytes() const { return files[main].bytes; }
};

// One file of that name and content.
Artefact ArtefactOf(std::string name, std::string bytes);

// The same files with another content of the main one.
Artefact WithMain(const Artefact& artefact, std::string bytes);

// PATH is a file, or a directory whose main file is its only one or the one
// called model.FORMAT for one of `formats`.  At most 4 GiB in 4096 files.
StatusOr<Artefact> ReadArtefact(const std::string& path, const std::vector<std::string>& formats);

}  // namespace mlos
