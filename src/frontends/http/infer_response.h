// SPDX-License-Identifier: Apache-2.0
//
// The answer of an inference as HTTP: JSON, and binary outputs behind it where
// they were asked for.  Functions without state.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/status.h"
#include "frontends/common/call_answer.h"
#include "frontends/http/infer_request.h"
#include "frontends/http/response.h"
#include "tensor/model_info.h"

namespace mlos::http {

// Binary outputs up to this size are copied behind the JSON, so that the
// channel's memory is free before the answer is sent.
constexpr uint64_t kCopiedBlobBytes = 16 << 10;

// Writes the answer into `response`.  Its blobs point to larger outputs where
// they lie; without blobs nothing of `answer` is needed any more.
// INVALID_ARGUMENT: an output has no JSON form but was not asked for as binary.
// The response is then to be replaced by the error.
Status EncodeInferResponse(std::string_view model, std::string_view version, const ModelInfo& info,
                           const InferRequest& request,
                           std::span<const frontend::AnswerTensor> answer, uint64_t max_json_bytes,
                           Response* response);

}  // namespace mlos::http
