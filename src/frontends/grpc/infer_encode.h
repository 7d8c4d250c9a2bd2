// SPDX-License-Identifier: Apache-2.0
//
// An inference's answer as a message: large tensors' bytes stay where the
// channel has them, small answers are copied together.  One per call, reused;
// what it gives is good until it is used again and, unless it owns it all, the
// job's outputs are given back.
#pragma once

#include <sys/uio.h>

#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "frontends/grpc/infer_job.h"

namespace mlos::grpc {

class InferEncoder {
 public:
  // ModelInferResponse.
  std::span<const iovec> Response(const InferJob& job);
  // ModelStreamInferResponse, with the answer or the error.
  std::span<const iovec> StreamResponse(const InferJob& job);
  // The last one has none of the job's memory in it.
  bool owns() const { return owns_; }

  void Trim();

 private:
  // A run of text_, then bytes of somebody else.
  struct Piece {
    size_t text_end;
    std::span<const std::byte> data;
  };

  void AppendResponse(const InferJob& job, bool in_stream);
  uint64_t Bytes() const;
  std::span<const iovec> Gather(std::string_view before);

  Buffer text_;
  Buffer before_;
  Buffer scratch_;
  Buffer whole_;
  bool owns_ = true;
  std::vector<Piece> pieces_;
  std::vector<iovec> gathered_;
};

}  // namespace mlos::grpc
