// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as any message.  What is taken for one is written again, and must
// then read the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "ipc/message.h"

namespace mlos::ipc {
namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
void TryPlain(std::string_view payload, bool may_grow = false) {
  T message;
  if (!Decode(payload, &message).ok()) return;
  Buffer again;
  Encode(message, &again);
  T second;
  Require(Decode(again.view(), &second).ok());
  Require(may_grow || again.size() == payload.size());
}

template <typename T>
void TryTensors(std::string_view payload, std::vector<WireTensor> T::*tensors) {
  T message;
  if (!Decode(payload, &message).ok()) return;
  uint64_t at = 0;
  uint64_t sum = 0;
  for (const WireTensor& tensor : message.*tensors) {
    Require(tensor.rank <= tensor::kMaxRank && tensor.at >= at);
    at = tensor.at + tensor.bytes;
    Require(at <= payload.size());
    for (uint64_t i = tensor.at; i < at; ++i) sum += static_cast<unsigned char>(payload[i]);
  }
  static volatile uint64_t sink;
  sink = sum;
  Buffer head;
  Require(EncodeHead(message, &head));
  Require(payload.substr(0, head.size()) == head.view());
}

}  // namespace
}  // namespace mlos::ipc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlos::ipc;  // NOLINT: a program of its own
  if (size == 0) return 0;
  // A copy that ends where it ends, for the sanitizer to see.
  const std::string payload(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 10) {
    case 0:
      return TryPlain<Hello>(payload, true), 0;
    case 1:
      return TryPlain<Welcome>(payload, true), 0;
    case 2:
      return TryPlain<Failure>(payload), 0;
    case 3:
      return TryPlain<ServerState>(payload, true), 0;
    case 4:
      return TryPlain<AskModel>(payload), 0;
    case 5:
      return TryPlain<ModelDescription>(payload), 0;
    case 6:
      return TryPlain<AskControl>(payload), 0;
    case 7:
      return TryPlain<ControlOutcome>(payload), 0;
    case 8:
      return TryTensors(payload, &AskInfer::inputs), 0;
    default:
      return TryTensors(payload, &InferAnswer::outputs), 0;
  }
}
