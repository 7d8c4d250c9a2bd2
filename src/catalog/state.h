// SPDX-License-Identifier: Apache-2.0
//
// The states of plugin versions and model versions, and the one table of what
// each change does in each of them.  docs/changes.md is written from it.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos::catalog {

enum class State { kRegistered, kLoading, kReady, kDraining, kUnloaded, kFailed };
constexpr size_t kStates = 6;
std::string_view StateName(State state);  // "registered", …

enum class Change {
  kRegisterSame,   // what is registered already
  kRegisterOther,  // other content under a name and version that are taken
  kLoad,
  kUnload,
  kRemove,
  kSwapTo,  // plugins: become the active version
  kInfer,   // models: a request that names it
};

enum class Verdict {
  kDo,       // it is done
  kAlready,  // nothing to do: success
  kJoin,     // it is being done: success or failure with that
  kRefuse,   // an error, and nothing changes
};

struct Answer {
  Verdict verdict = Verdict::kDo;
  StatusCode code = StatusCode::kOk;  // of a refusal
  std::string_view text;              // "is being unloaded: try again when it is", or what is done
};

struct ChangeRow {
  Change change;
  std::string_view name;  // "load"
  std::array<Answer, kStates> answers;
};

std::span<const ChangeRow> PluginChanges();
std::span<const ChangeRow> ModelChanges();

Answer PluginAnswer(Change change, State state);
Answer ModelAnswer(Change change, State state);

// OK unless it is a refusal; `label` is what the text begins with.
Status Refusal(const Answer& answer, const std::string& label);

// It has, or is about to get, a place in a plugin host.
bool IsLoaded(State state);

// Both tables as text: the middle of docs/changes.md.
std::string DescribeChanges();

}  // namespace mlos::catalog
