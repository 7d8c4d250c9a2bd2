// SPDX-License-Identifier: Apache-2.0
//
// What is said of a model beside what its plugin describes (model_info.h): how
// it was configured, and what its classes are called.  Immutable once made;
// any thread.
#pragma once

#include <string>
#include <vector>

namespace mlos {

struct ModelSettings {
  std::string config = "{}";  // JSON text of a ModelConfig, as registered or read
  // By output of the model's description, then by class; for the protocol's
  // classification extension.  Empty, or an empty list: no labels.
  std::vector<std::vector<std::string>> labels;
};

}  // namespace mlos
