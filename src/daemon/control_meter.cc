// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_meter.h"

#include <utility>

#include "base/clock.h"
#include "operations/operations.h"

namespace mlos::daemon {
namespace {

std::vector<std::string_view> Names() {
  std::vector<std::string_view> names;
  for (const auto& row : operations::Operations()) names.push_back(row.name);
  return names;
}

}  // namespace

ControlMeter::ControlMeter(control::Control& control) : control_(control), counters_(Names()) {}

void ControlMeter::Apply(control::Operation operation, std::function<void(control::Outcome)> done) {
  const std::string_view name = operations::Row(operation.kind).name;
  const uint64_t began = NowNanos();
  control_.Apply(std::move(operation),
                 [this, name, began, done = std::move(done)](control::Outcome outcome) {
                   counters_.Count(name, outcome.status.code(), NowNanos() - began);
                   done(std::move(outcome));
                 });
}

}  // namespace mlos::daemon
