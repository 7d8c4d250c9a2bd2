// SPDX-License-Identifier: Apache-2.0
//
// The list of checks: what smi-check knows of the contract, one row each.
// Threads: each runs in a process of its own (child.h).
#pragma once

#include <string_view>
#include <vector>

#include "smi_check/child.h"
#include "smi_check/session.h"

namespace mlos {

struct Check {
  std::string_view id;     // stable; for --only and for scripts
  std::string_view shows;  // what a pass means
  std::string_view after;  // the check without which this one is pointless, or ""
  bool needs_model;
  CheckResult (*run)(const Subject& subject, Phase& phase);
};

// In the order in which they are run; `after` points upward.
const std::vector<Check>& AllChecks();

// By topic, each in a file of its own.
CheckResult CheckLibrary(const Subject& subject, Phase& phase);
CheckResult CheckTable(const Subject& subject, Phase& phase);
CheckResult CheckVersion(const Subject& subject, Phase& phase);
CheckResult CheckName(const Subject& subject, Phase& phase);
CheckResult CheckFunctions(const Subject& subject, Phase& phase);
CheckResult CheckCreate(const Subject& subject, Phase& phase);
CheckResult CheckCreateErrors(const Subject& subject, Phase& phase);
CheckResult CheckTruncatedHost(const Subject& subject, Phase& phase);
CheckResult CheckExtensions(const Subject& subject, Phase& phase);

CheckResult CheckLoadEmpty(const Subject& subject, Phase& phase);
CheckResult CheckLoadRandom(const Subject& subject, Phase& phase);
CheckResult CheckLoadMissing(const Subject& subject, Phase& phase);
CheckResult CheckLoadErrors(const Subject& subject, Phase& phase);
CheckResult CheckLoadTruncated(const Subject& subject, Phase& phase);
CheckResult CheckLoadDamaged(const Subject& subject, Phase& phase);
CheckResult CheckLoad(const Subject& subject, Phase& phase);
CheckResult CheckOddConfig(const Subject& subject, Phase& phase);
CheckResult CheckDescribe(const Subject& subject, Phase& phase);
CheckResult CheckReload(const Subject& subject, Phase& phase);
CheckResult CheckTwoModels(const Subject& subject, Phase& phase);
CheckResult CheckWarmUp(const Subject& subject, Phase& phase);

CheckResult CheckExecute(const Subject& subject, Phase& phase);
CheckResult CheckNewerHost(const Subject& subject, Phase& phase);
CheckResult CheckSubset(const Subject& subject, Phase& phase);
CheckResult CheckOptional(const Subject& subject, Phase& phase);
CheckResult CheckSlots(const Subject& subject, Phase& phase);
CheckResult CheckRepeat(const Subject& subject, Phase& phase);
CheckResult CheckBatch(const Subject& subject, Phase& phase);
CheckResult CheckConcurrency(const Subject& subject, Phase& phase);
CheckResult CheckNoMemory(const Subject& subject, Phase& phase);
CheckResult CheckCancelled(const Subject& subject, Phase& phase);

}  // namespace mlos
