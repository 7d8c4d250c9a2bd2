// SPDX-License-Identifier: Apache-2.0
//
// Where the files are that loads bring along: below a directory of the daemon's,
// each model's in one of its own that looks like a repository with that model
// alone, for as long as somebody holds it; nothing of them outlives the daemon.
//
// Threads: any.  What is held may go after the store, and after what removes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "repository/given.h"
#include "repository/scan.h"

namespace mlos::repository {

// Of all models together, those included that are on their way.
constexpr uint64_t kMaxGivenBytes = uint64_t{1} << 30;

class GivenStore {
 public:
  // Where files that nobody holds any more are to be removed: by letting go of
  // them, before what is written after this call.  Null: at once, by whoever
  // held them last.  Called by that thread, and throws nothing.
  using LetGo = std::function<void(std::shared_ptr<const void> files)>;

  // Below `root`, which is made when it is needed.
  explicit GivenStore(std::string root, LetGo let_go = nullptr, uint64_t limit = kMaxGivenBytes)
      : root_(std::move(root)), let_go_(std::move(let_go)), limit_(limit) {}
  GivenStore(const GivenStore&) = delete;
  GivenStore& operator=(const GivenStore&) = delete;

  // Removes what an earlier run left.  Before anything is kept.
  void Sweep() const;

  // Counts for as long as it is held.
  using Room = std::shared_ptr<const void>;
  // UNAVAILABLE: all models together would have more than the limit.
  StatusOr<Room> Reserve(const Given& given) const;

  // Writes the files; the directory above the model's.
  StatusOr<std::shared_ptr<const std::string>> Write(const std::string& model,
                                                     const std::vector<GivenFile>& files,
                                                     Room room) const;

 private:
  const std::string root_;
  const LetGo let_go_;
  const uint64_t limit_;
  const std::shared_ptr<std::atomic<uint64_t>> used_ = std::make_shared<std::atomic<uint64_t>>(0);
};

// The model `name` as it is with what was given.  NOT_FOUND where its files are
// to be a repository's and none of `directories` has it; INVALID_ARGUMENT where
// what was given can be seen not to serve.
StatusOr<FoundModel> FindGiven(const std::string& name, const Given& given,
                               const std::vector<std::string>& directories,
                               const std::vector<Claim>& claims, const GivenStore& store,
                               GivenStore::Room room);

}  // namespace mlos::repository
