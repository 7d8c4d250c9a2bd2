// SPDX-License-Identifier: Apache-2.0
//
// Any text is a configuration or a list of faults, each with its place; what
// is accepted is accepted again, with the same values, when it is printed.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "options/document.h"
#include "options/read.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mlos::options::Reading;
  if (size > mlos::options::kMaxConfigBytes) return 0;
  Reading first;
  mlos::options::ReadConfigText("f", {reinterpret_cast<const char*>(data), size}, &first);
  for (const auto& fault : first.faults) {
    if (fault.source.compare(0, 2, "f:") != 0 || fault.text.empty()) std::abort();
  }
  if (!first.faults.empty()) return 0;
  Reading second;
  mlos::options::ReadConfigText("f", mlos::options::ConfigFileText(first.settings), &second);
  if (!second.faults.empty()) std::abort();
  for (const auto& row : mlos::options::Table()) {
    if (!(first.settings.at(row.id).value == second.settings.at(row.id).value)) std::abort();
  }
  return 0;
}
