// SPDX-License-Identifier: Apache-2.0
//
// One answer for several changes that were begun together.  Control loop.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "base/status.h"

namespace mlos::lifecycle {

enum class Tell {
  kAtTheEnd,       // when the last has ended: the first failure, or else success
  kFailureAtOnce,  // a failure when it is known, though others go on
};

// What each of `count` changes, at least one, is to call when it ends; `done` is called once.
inline std::function<void(const Status&)> Gather(size_t count, Tell tell,
                                                 std::function<void(Status)> done) {
  struct State {
    size_t left;
    Tell tell;
    Status status;
    std::function<void(Status)> done;
  };
  const auto state = std::make_shared<State>(State{count, tell, OkStatus(), std::move(done)});
  return [state](const Status& status) {
    --state->left;
    if (state->status.ok()) state->status = status;
    if (state->done == nullptr) return;
    if (state->left > 0 && (state->tell == Tell::kAtTheEnd || state->status.ok())) return;
    std::exchange(state->done, nullptr)(state->status);
  };
}

}  // namespace mlos::lifecycle
