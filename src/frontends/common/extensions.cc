// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/extensions.h"

namespace mlos::frontend {
namespace {

struct Row {
  std::string_view name;
  bool Offered::*only_with = nullptr;  // null: always
};

constexpr Row kRows[] = {
    {"classification"},
    {"model_repository"},
    {"model_repository(unload_dependents)"},
    {"model_configuration"},
    {"system_shared_memory", &Offered::client_regions},
    {"binary_tensor_data"},
    {"parameters"},
    {"statistics"},
    {"trace"},
    {"logging"},
};

}  // namespace

std::vector<std::string_view> Extensions(const Offered& offered) {
  std::vector<std::string_view> names;
  names.reserve(std::size(kRows));
  for (const Row& row : kRows) {
    if (row.only_with == nullptr || offered.*row.only_with) names.push_back(row.name);
  }
  return names;
}

}  // namespace mlos::frontend
