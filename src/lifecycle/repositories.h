// SPDX-License-Identifier: Apache-2.0
//
// Makes catalog and hosts follow the model repositories: once at the start, or
// again and again, or as far as it is asked to.  What is in a repository is
// wanted because it is there: nothing of it is kept in the state store.
//
// Threads: the control loop; repositories are read on a thread of its own.
// Lifetime: ends before the manager.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "lifecycle/background.h"
#include "lifecycle/manager.h"
#include "repository/scan.h"

namespace mlos::lifecycle {

struct RepositoryOptions {
  enum class Mode {
    kNone,      // what is there at the start
    kPoll,      // what is there, read again and again
    kExplicit,  // what somebody asks for
  };
  std::vector<std::string> directories;
  Mode mode = Mode::kNone;
  std::chrono::milliseconds poll{15'000};
  std::vector<std::string> load;  // kExplicit: at the start; "*" is all
};

class Repositories {
 public:
  using Done = std::function<void(Status)>;

  Repositories(EventLoop& control, catalog::Catalog& catalog, Manager& manager,
               RepositoryOptions options);

  // Begins to read; the daemon is not ready before all has been read and what
  // is wanted is loaded.  FAILED_PRECONDITION where a directory cannot be opened.
  Status Start();

  // The daemon is being stopped: what changes from now on is not looked at.
  void Stop();

  // Whether changes of the model are made here: it comes from a repository, or
  // nobody has registered it and it may have come into one meanwhile.
  bool Minds(std::string_view name) const;
  // OK, or UNAVAILABLE: the control mode leaves it to the repositories alone.
  Status MayChange(std::string_view name) const;
  // Reads the model anew and loads the versions that its policy admits, those
  // that have changed beside what serves; `done` comes when they serve.
  void Load(const std::string& name, const Done& done);
  void Unload(const std::string& name, const Done& done);

 private:
  using Found = repository::FoundModel;
  struct Change;  // of one model: what is to be waited for
  using ChangePtr = std::shared_ptr<Change>;

  std::vector<repository::Claim> Claims() const;
  void Scan();
  void OnScanned(std::vector<Found> models);
  void Step();
  void EndScan();
  void Apply(const Found& found, bool chosen, Done done);
  void ApplyVersion(const Found& found, const repository::FoundVersion& version, bool wanted,
                    const ChangePtr& change);
  void Replace(catalog::ModelVersion& record, catalog::ModelVersion anew, bool wanted,
               const ChangePtr& change);
  void Begin(catalog::ModelVersion& record, const ChangePtr& change);
  void DropMissing(const std::string& name, const std::set<uint64_t>& found);
  void Drop(catalog::ModelVersion& record);
  bool Clashes(const std::string& name);
  bool IsChosen(const std::string& name) const;

  EventLoop& control_;
  catalog::Catalog& catalog_;
  Manager& manager_;
  const RepositoryOptions options_;
  std::deque<Found> todo_;                     // of the scan that is being applied
  std::set<std::string> seen_;                 // by it
  std::set<std::string> chosen_;               // kExplicit: what is to be loaded
  std::set<std::string> clashing_;             // said already
  std::set<std::string> complaints_;           // said already
  std::map<std::string, std::string> broken_;  // repositories that could not be read, and why
  bool first_ = true;
  bool stopped_ = false;
  bool failed_ = false;  // the scan that is being applied is not whole
  boost::asio::steady_timer timer_;
  Background background_;
};

}  // namespace mlos::lifecycle
