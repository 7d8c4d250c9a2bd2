// SPDX-License-Identifier: Apache-2.0
//
// ONNX models of any size, written as they are needed.
#pragma once

#include <cstddef>
#include <string>

namespace mlos::test {

// A model that picks element I (INT64 [1]) of its weights as Y (FP32 [1]):
// weight i is i mod 1024.  The weights take 4 bytes each, in the file itself.
std::string PickModel(size_t weights);

}  // namespace mlos::test
