// SPDX-License-Identifier: Apache-2.0
//
// What a model takes and gives, as the daemon said when it was opened.  A value.
#pragma once

#include <string>

#include "ipc/message.h"
#include "tensor/model_info.h"

namespace mlos::client {

struct Description {
  std::string name;
  std::string version;
  std::string platform;
  uint32_t max_batch_size = 0;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;

  // INTERNAL: no model can be so.
  static StatusOr<Description> From(const ipc::ModelDescription& told);
  // Whether requests that were laid out for `other` mean the same here.
  bool TakesTheSame(const Description& other) const;
};

}  // namespace mlos::client
