// SPDX-License-Identifier: Apache-2.0
//
// Hostile request and response blocks.  What Read* accepts must keep its
// promises: sizes agree with shapes, indices ascend, texts end.
#include <cstdlib>
#include <cstring>

#include "tensor/message.h"

namespace {

using mlos::tensor::Datatype;

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckDesc(const mlos::tensor::TensorDesc& desc) {
  const auto datatype = static_cast<Datatype>(desc.datatype);
  Require(mlos::tensor::IsKnown(datatype));
  Require(desc.rank <= mlos::tensor::kMaxRank);
  uint64_t count = 0;
  Require(mlos::tensor::ElementCount(desc.shape(), &count));
  if (datatype == Datatype::kBytes) {
    Require(count * 4 <= desc.bytes);
  } else {
    Require(count * mlos::tensor::ElementSize(datatype) == desc.bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> block(reinterpret_cast<const std::byte*>(data), size);
  static mlos::tensor::RequestView request;
  if (mlos::tensor::ReadRequest(block, &request).ok()) {
    for (const auto& input : request.inputs) CheckDesc(input);
    for (size_t i = 1; i < request.inputs.size(); ++i) {
      Require(request.inputs[i - 1].index < request.inputs[i].index);
    }
    if (request.has_parameters) {
      Require(std::strlen(request.parameter_text.data()) + 1 == request.parameter_text.size());
    }
  }
  static mlos::tensor::ResponseView response;
  if (mlos::tensor::ReadResponse(block, &response).ok()) {
    for (const auto& output : response.outputs) CheckDesc(output);
    Require(response.text.size() <= mlos::tensor::kMaxTextBytes);
  }
  if (size > 2) {
    const uint64_t count = data[0] | (data[1] << 8);
    (void)mlos::tensor::CheckBytesTensor(block.subspan(2), count);
  }
  return 0;
}
