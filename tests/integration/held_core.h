// SPDX-License-Identifier: Apache-2.0
//
// A core whose changes can be stopped half-way: its plugin is tests/plugins'
// `held`, in packages of the test's own, and changes go in where front ends put
// them.  For the test's thread.
#pragma once

#include <future>
#include <string>
#include <vector>

#include "control/core_control.h"
#include "test_core.h"

namespace mlos::test {

using control::OperationKind;
using control::Outcome;

class HeldCore {
 public:
  HeldCore();
  ~HeldCore();  // nothing is held any more

  TestCore& core() { return core_; }

  // The package of that version of `held`; made when it is first asked for.
  std::string Package(const std::string& version = "1.0.0");
  // The same again in another place.
  std::string OtherPackage(const std::string& version = "1.0.0");
  // A file with this text, in the test's directory.
  std::string File(const std::string& name, const std::string& text = "a model\n");

  // From now on: create, load, execute, unload, destroy.
  void Hold(const std::string& step, const std::string& version = "1.0.0");
  void Fail(const std::string& step, const std::string& version = "1.0.0");
  void Release(const std::string& version = "1.0.0");  // holds no more
  void GoOn(const std::string& version = "1.0.0");     // neither holds nor fails

  // Changes, as an operation of the table.  Model versions are of "m".
  std::future<Outcome> Plugin(OperationKind kind, const std::string& version = "1.0.0",
                              bool wait = true);
  std::future<Outcome> Model(OperationKind kind, const std::string& version = "1",
                             bool wait = true);
  std::future<Outcome> RegisterPlugin(const std::string& package);
  std::future<Outcome> RegisterModel(uint64_t version = 1, const std::string& config = "{}",
                                     const std::string& path = MLOS_TEST_MODEL);
  std::future<Outcome> Swap(const std::string& to, bool wait = true);
  std::future<Outcome> Infer(const std::string& model = "m");
  std::future<Outcome> Apply(control::Operation operation);

  // Registered, checksums known, loaded.
  void BringPlugin(const std::string& version = "1.0.0");
  void BringModel(uint64_t version = 1);
  void KnowPlugin(const std::string& version = "1.0.0");  // registered, checksums known
  void KnowModel(uint64_t version = 1);

  // "none" where there is none.
  std::string PluginState(const std::string& version = "1.0.0");
  std::string ModelState(const std::string& version = "1");
  std::string ActiveVersion();
  std::string HostState(const std::string& version);
  pid_t HostPid(const std::string& version);  // -1 where there is none
  std::string DesiredOf(const std::string& version = "1");
  bool Wanted(const std::string& version = "1.0.0");
  std::vector<state::Record> Stored();
  // What the catalog holds, as it would be stored.
  std::vector<state::Record> Known();

  // What was asked for before is under way or done.
  void Settle();

 private:
  std::string Copy(const std::string& name, const std::string& version);

  std::string root_;
  TestCore core_;
  control::CoreControl control_;
};

// The outcome; after the deadline one that says so.
Outcome Await(std::future<Outcome>& future);
inline Outcome Await(std::future<Outcome>&& future) { return Await(future); }
bool IsAnswered(const std::future<Outcome>& future);
std::string Text(const Outcome& outcome);

}  // namespace mlos::test
