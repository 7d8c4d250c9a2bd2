// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "test_plugin.h"

namespace {

smi_code Execute(smi_model*, const smi_request* const*, uint32_t, smi_error*) {
  throw std::runtime_error("thrown across the line");
}

}  // namespace

TEST_PLUGIN(api.execute = Execute)
