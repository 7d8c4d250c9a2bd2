// SPDX-License-Identifier: Apache-2.0
//
// One check in a process of its own: whatever the plugin does there, the tool
// gets a verdict.
//
// A check returns a CheckResult: OK with a note (may be empty) is a pass,
// Skip(reason) a skip, any other error a failure.
// Threads: the parent is single-threaded, as fork demands.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mlos {

using CheckResult = StatusOr<std::string>;

inline Status Fail(std::string_view reason) { return Internal(reason); }
inline Status Skip(std::string_view reason) { return Unimplemented(reason); }

enum class Verdict { kPass, kFail, kSkip };

struct ChildReport {
  Verdict verdict = Verdict::kFail;
  std::string reason;
  uint64_t output_bytes = 0;  // what it wrote to standard output and error
  std::string output_tail;    // the last of it
};

// What the child is doing, readable by the parent after the child's death.
class Phase {
 public:
  explicit Phase(char* text) : text_(text) {}
  void Set(std::string_view text);

 private:
  char* text_;
};

// Forks, runs `check`, waits at most `timeout_ms`, kills what is left.  Ends
// by signal, by exit and by time are failures that name the phase.
ChildReport RunInChild(const std::function<CheckResult(Phase&)>& check, int timeout_ms);

// The same without a process of its own, for a debugger: what ends the check
// ends the tool.
ChildReport RunHere(const std::function<CheckResult(Phase&)>& check);

}  // namespace mlos
