// SPDX-License-Identifier: Apache-2.0
//
// Typed contents: elements as numbers of the message, each in the list that its
// datatype has.  They are read where they lie, an InferTensorContents as it
// came.  Functions without state.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/status.h"
#include "tensor/datatype.h"

namespace mlos::grpc {

// Checks that there are `count` elements in the list of `datatype` and nothing
// in others, and says how many bytes they take as a tensor.
Status MeasureContents(std::string_view contents, tensor::Datatype datatype, uint64_t count,
                       uint64_t* bytes);

// Writes them to `to`, which has room for exactly what was measured.
Status WriteContents(std::string_view contents, tensor::Datatype datatype, std::span<std::byte> to);

}  // namespace mlos::grpc
