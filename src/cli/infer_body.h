// SPDX-License-Identifier: Apache-2.0
//
// From --input to the body of an inference request.  Pure but for the files
// that are named; one thread.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "base/status.h"

namespace mlos::cli {

// A JSON part and binary tensors behind it; all JSON where `json_size` is -1.
struct InferBody {
  std::string text;
  long json_size = -1;
};

// `inputs`: "T=JSON" or "T=@FILE.npy" each.  `metadata`: what GET
// /v2/models/M answered; names, datatypes and shapes are its.
// FAILED_PRECONDITION, naming the input, when it is not what the model takes;
// INVALID_ARGUMENT when it is wrong by itself.
StatusOr<InferBody> BuildInferBody(const std::vector<std::string>& inputs,
                                   const boost::json::value& metadata);

// The whole file, or standard input for "-".
StatusOr<std::string> ReadFile(const std::string& path);

// IEEE half and bfloat16, rounded to nearest even.
uint16_t HalfOf(float value);
uint16_t BrainOf(float value);

}  // namespace mlos::cli
