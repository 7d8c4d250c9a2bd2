// SPDX-License-Identifier: Apache-2.0
//
// The parameters of an inference request, each an entry of a map on the wire:
// those that the protocol reserves are acted on, custom ones are passed on to
// the model.  Functions without state.
#pragma once

#include "base/protobuf_reader.h"
#include "base/status.h"
#include "frontends/grpc/infer_request.h"

namespace mlos::grpc {

// Of the request: timeout, sequence_id, …; custom ones are added to
// request->parameters, whose closing brace is for the caller.
Status ReadRequestParameter(const WireField& entry, InferRequest* request);
// Of an input: where it is in a client's shared memory.  Others are ignored.
Status ReadInputParameter(const WireField& entry, frontend::RegionPlace* place);
// Of an output: classification, or where it is to go.  Others are ignored.
// `*classified`: whether the first has been read.
Status ReadOutputParameter(const WireField& entry, frontend::AskedOutput* output, bool* classified);

}  // namespace mlos::grpc
