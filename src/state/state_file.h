// SPDX-License-Identifier: Apache-2.0
//
// A state file's place on disk: which files there are, and how a new one comes
// to be there whole or not at all.
//
// Existing files are looked at without being opened: closing a descriptor of a
// file drops every lock that this process has on it, SQLite's among them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::state {

class StateFile {
 public:
  // Links in the directory's path are followed, once; the file's own name is
  // never followed.
  static StatusOr<StateFile> At(const std::string& path);

  // Whether there is one.  An error, if what is there cannot be one: a link, a
  // directory, an empty file, a log without its file.  Takes from others the
  // permission to read it.
  StatusOr<bool> Exists() const;

  // A new, empty file at temporary_path(), in place of what an interrupted
  // creation left there; and its coming to path(), durable, unless there is one.
  Status MakeTemporary() const;
  Status Publish() const;

  // The directory's entries reach the disk.
  Status SyncDirectory() const;

  // Nothing if it does not exist.
  StatusOr<std::optional<uint64_t>> LogSize() const { return PlainFileSize(name_ + "-wal"); }
  StatusOr<OwnedFd> OpenLog() const;

  // With no link in it, for SQLite.
  std::string path() const { return directory_path_ + "/" + name_; }
  std::string temporary_path() const { return path() + ".new"; }
  // As it was given, for messages.
  const std::string& given_path() const { return given_path_; }

 private:
  StatusOr<std::optional<uint64_t>> PlainFileSize(const std::string& name) const;

  std::string given_path_;
  std::string directory_path_;
  std::string name_;
  OwnedFd directory_;
};

}  // namespace mlos::state
