// SPDX-License-Identifier: Apache-2.0
//
// The results as people and programs read them.  Values; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "manifest/manifest.h"
#include "smi_check/child.h"

namespace mlos {

// The reason of a check that was skipped because no model was given.
constexpr std::string_view kNeedsModel = "needs --model";

struct Result {
  std::string id;
  std::string shows;
  ChildReport report;
};

struct Results {
  Manifest manifest;  // empty where it could not be read
  std::vector<Result> checks;

  size_t Count(Verdict verdict) const;
};

std::string ToTable(const Results& results);
std::string ToJson(const Results& results);

}  // namespace mlos
