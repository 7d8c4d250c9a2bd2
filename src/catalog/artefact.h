// SPDX-License-Identifier: Apache-2.0
//
// A model's files on disk: found when it is registered, opened when it is
// loaded.  Paths come from outside: nothing is followed out of the artefact's
// own directory, and no symbolic link at all.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::catalog {

// What a file was when it was registered.  Where size and time differ but a
// checksum is known, equal content is the same file: copies and touches count
// as no change.
struct FileIdentity {
  uint64_t bytes = 0;
  int64_t modified_ns = 0;
  std::string sha256;  // hexadecimal; empty: not known yet

  bool SameStat(const FileIdentity& other) const {
    return bytes == other.bytes && modified_ns == other.modified_ns;
  }
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

FileIdentity IdentityOf(const struct stat& st);
// Of an open file: its checksum, read from its beginning to its end; the
// position of the descriptor stays where it is.  CANCELLED once `stop` is set.
using Stop = std::atomic<bool>;
StatusOr<std::string> Sha256Of(int fd, const Stop& stop);

constexpr size_t kMaxArtefactFiles = 200;
constexpr int kMaxArtefactDepth = 8;

struct Artefact {
  // Where not empty, `directory` lies beneath it, and is reached from it through no link.
  // For this run.
  std::string root;
  // What has to be kept as long as its files may be opened; null: nothing.  For this run.
  std::shared_ptr<const void> keeps;
  std::string directory;                 // absolute
  std::vector<std::string> files;        // relative to it, sorted
  std::vector<FileIdentity> identities;  // of each of them
  std::string main_file;                 // one of them
  std::string format;                    // the main file's extension: "onnx"
};

// Looks at `path`, an absolute path of a file or a directory.  A file stands
// for itself alone.  In a directory the main file is `wanted` if that is not
// empty, else "model.FORMAT" for a format of `formats`, else the only file
// whose extension is one.
StatusOr<Artefact> FindArtefact(const std::string& path, const std::vector<std::string>& formats,
                                std::string_view wanted);

// The same for an open directory whose content nobody vouches for: a link, or
// what else is no plain file, is an error and not passed over.  `directory` of
// the result is for the caller to fill in.
StatusOr<Artefact> FindArtefactIn(int directory, const std::vector<std::string>& formats,
                                  std::string_view wanted);

// Opens every file for reading, in the order of `files`.  A file that is not
// the one that was registered by its size and time goes into `changed`, by its
// place in `files`: whether it is the same is for its checksum to say.
StatusOr<std::vector<OwnedFd>> OpenArtefact(const Artefact& artefact, std::vector<size_t>* changed);

}  // namespace mlos::catalog
