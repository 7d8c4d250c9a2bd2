// SPDX-License-Identifier: Apache-2.0
//
// A store that lasts as long as it lives: for tests.
#pragma once

#include <map>
#include <utility>

#include "state/state_store.h"

namespace mlos::state {

class MemoryStore : public StateStore {
 public:
  StatusOr<std::vector<Record>> Load() override;
  Status Commit(std::span<const Change> changes) override;

  // The next commits fail with this, until it is OK again.
  void FailWith(Status status) { failure_ = std::move(status); }

 private:
  std::map<std::pair<std::string, std::string>, std::string> records_;
  Status failure_;
};

}  // namespace mlos::state
