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

// What each of `count` changes, at least one, is to call when it ends; `done` is called once,
// and held until what was made here is: what it holds is so until the last change has ended.
inline std::function<void(const Status&)> Gather(size_t count, Tell tell,
                                                 std::function<void(Status)> done) {
  struct State {
    size_t left;
    Tell tell;
    Status status;
    std::function<void(Status)> done;
    bool told;
  };
  const auto state =
      std::make_shared<State>(State{count, tell, OkStatus(), std::move(done), false});
  return [state](const Status& status) {
    --state->left;
    if (state->status.ok()) state->status = status;
    if (state->told) return;
    if (state->left > 0 && (state->tell == Tell::kAtTheEnd || state->status.ok())) return;
    state->told = true;
    state->done(state->status);
  };
}

}  // namespace mlos::lifecycle
