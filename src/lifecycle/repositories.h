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
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "lifecycle/background.h"
#include "lifecycle/manager.h"
#include "repository/given_store.h"
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
  std::string given_dir;          // where files are kept that a load brings along; absolute
};

std::string_view RepositoryModeName(RepositoryOptions::Mode mode);

class Repositories {
 public:
  using Done = std::function<void(Status)>;

  Repositories(EventLoop& control, catalog::Catalog& catalog, Manager& manager,
               RepositoryOptions options);
  ~Repositories();

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
  // The same for a load: a model of which a version has failed may be loaded in
  // every mode.
  Status MayLoad(std::string_view name) const;
  // Reads the model anew and loads the versions that its policy admits, those
  // that have changed beside what serves.  `known` comes, unless it is null, when
  // it has been read and is in the catalog as it is now; `done` when all serve,
  // or, where `only` is given, that version, as far as the policy admits it.
  void Load(const std::string& name, std::optional<uint64_t> only,
            const std::function<void()>& known, const Done& done);
  void Load(const std::string& name, const Done& done) { Load(name, {}, nullptr, done); }
  // The same with a configuration, and perhaps files, in place of what the
  // repository has, until it is loaded another time.  Where they do not serve,
  // what served before does.  UNAVAILABLE but in kExplicit, FAILED_PRECONDITION
  // for a model that is registered, INVALID_ARGUMENT for what makes no sense.
  void LoadGiven(const std::string& name, const std::shared_ptr<const repository::Given>& given,
                 const Done& done);
  void Unload(const std::string& name, const Done& done);
  // One version, as Manager::UnloadModel does, of a model whose changes are made here.
  void UnloadVersion(const std::string& name, const std::string& version, const Done& done);

 private:
  using Found = repository::FoundModel;
  struct Change;  // of one model: what is to be waited for
  using ChangePtr = std::shared_ptr<Change>;
  struct Scanned;
  struct Before;  // of a model that is loaded with what was given: what it was
  // Content that is being loaded beside what serves, and who waits for it.
  struct Reload {
    std::string fingerprint;
    bool given = false;  // with the load, and no repository's
    std::vector<ChangePtr> waiting;
  };
  // When what failed for no fault of its own is tried again.
  struct Retry {
    uint32_t failures = 0;
    uint32_t scans_left = 0;
  };

  std::vector<repository::Claim> Claims() const;
  void Scan();
  void OnScanned(Scanned scanned);
  void Step();
  void EndScan();
  void Apply(const Found& found, bool chosen, const ChangePtr& change);
  bool NoteUnread(const Found& found);
  void ApplyVersion(const Found& found, const repository::FoundVersion& version, bool wanted,
                    const ChangePtr& change);
  void Replace(catalog::ModelVersion& record, catalog::ModelVersion anew, bool wanted,
               const ChangePtr& change);
  void LoadBeside(catalog::ModelVersion& record, catalog::ModelVersion anew,
                  const ChangePtr& change);
  void Reloaded(uint64_t id, const Status& status);
  void LoadWhenGone(catalog::ModelVersion& record, const ChangePtr& change);
  void Begin(catalog::ModelVersion& record, const ChangePtr& change);
  bool IsDue(uint64_t id);
  void NoteEnd(uint64_t id, const Status& status);
  // Leaving versions that serve stay where others are wanted and none serves.
  void DropLeaving(const std::string& name);
  void Drop(catalog::ModelVersion& record);
  bool Clashes(const Found& found);
  void Choose(const std::string& name);
  Status MayGive(const std::string& name) const;
  Status IsFree(const std::string& name) const;
  void EndChange(const std::string& name, const Change& ended);
  void ApplyGiven(const Found& found, const Done& done);
  std::shared_ptr<const Before> Remember(const std::string& name) const;
  void GoBack(const std::string& name, const Before& before);
  void NoteAbsent();
  bool NeedsGivenFiles(const std::string& name) const;
  void LetGoOfGiven(const std::string& name);
  bool IsChosen(const std::string& name) const;

  EventLoop& control_;
  catalog::Catalog& catalog_;
  Manager& manager_;
  const RepositoryOptions options_;
  std::deque<Found> todo_;                     // of the scan that is being applied
  std::set<std::string> seen_;                 // by it
  std::set<std::string> chosen_;               // kExplicit: what is to be loaded
  std::map<std::string, size_t> under_way_;    // changes that have not ended, by model
  std::set<std::string> giving_;               // models of which one is a load with what is given
  std::map<uint64_t, Reload> reloading_;       // by registration
  std::map<uint64_t, Retry> retries_;          // the same
  std::set<std::string> complaints_;           // said already
  std::map<std::string, std::string> broken_;  // repositories that could not be read, and why
  bool first_ = true;
  bool stopped_ = false;
  bool failed_ = false;  // the scan that is being applied is not whole
  struct Remover;        // of files that came with loads
  const std::shared_ptr<Remover> remover_;
  const repository::GivenStore given_;
  boost::asio::steady_timer timer_;
  Background background_;
};

}  // namespace mlos::lifecycle
