// SPDX-License-Identifier: Apache-2.0
#include "engine/quarantine.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string_view>

#include "tensor/message.h"

namespace mlos::engine {
namespace {

uint64_t Mix(uint64_t hash, std::string_view bytes) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;  // spreads what is nearly equal
  return (hash ^ std::hash<std::string_view>()(bytes)) * kOdd;
}

template <typename T>
uint64_t Mix(uint64_t hash, std::span<const T> values) {
  return Mix(hash,
             std::string_view(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
}

uint64_t InputBytes(const channel::RequestSlot& request) {
  tensor::RequestView view;
  if (!tensor::ReadRequest(request.memory, &view).ok()) return 0;
  uint64_t bytes = 0;
  for (const tensor::TensorDesc& desc : view.inputs) bytes += desc.bytes;
  return bytes;
}

// Of what the model is given, not of where in the channel it lies.
uint64_t HashContents(const channel::RequestSlot& request) {
  tensor::RequestView view;
  if (!tensor::ReadRequest(request.memory, &view).ok()) return 0;  // we wrote it: it is one
  uint64_t hash = 0;
  for (const tensor::TensorDesc& desc : view.inputs) {
    const uint32_t kind[] = {desc.index, desc.datatype};
    hash = Mix(hash, std::span<const uint32_t>(kind));
    hash = Mix(hash, desc.shape());
    const uint64_t begin = desc.offset - request.block.offset;
    if (desc.segment != request.block.segment || begin > request.memory.size()) continue;
    hash = Mix(hash, std::span<const std::byte>(request.memory.subspan(
                         begin, std::min<uint64_t>(desc.bytes, request.memory.size() - begin))));
  }
  return view.has_parameters ? Mix(hash, std::span<const char>(view.parameter_text)) : hash;
}

}  // namespace

void Quarantine::Forget(uint64_t now_ns) {
  while (!known_.empty() && now_ns > known_.front().last_ns + refuse_ns_) known_.pop_front();
  if (known_.size() > kMost) known_.pop_front();
}

bool Quarantine::Strike(const channel::RequestSlot& request, uint64_t model, uint32_t principal,
                        uint64_t now_ns) {
  Known struck{model, principal, InputBytes(request), HashContents(request), 0, now_ns};
  const auto it = std::find_if(known_.begin(), known_.end(), [&](const Known& k) {
    return k.model == model && k.principal == principal && k.contents == struck.contents;
  });
  if (it != known_.end()) {
    if (now_ns <= it->last_ns + refuse_ns_) struck.strikes = it->strikes;
    known_.erase(it);
  }
  ++struck.strikes;
  known_.push_back(struck);
  Forget(now_ns);
  return struck.strikes == channel::kMostStrikes;
}

bool Quarantine::Holds(const channel::RequestSlot& request, uint64_t model, uint32_t principal,
                       uint64_t now_ns) {
  Forget(now_ns);
  if (known_.empty()) return false;
  const uint64_t bytes = InputBytes(request);
  const auto of_them = [&](const Known& k) {
    return k.model == model && k.principal == principal && k.bytes == bytes &&
           k.strikes >= channel::kMostStrikes;
  };
  if (std::none_of(known_.begin(), known_.end(), of_them)) return false;
  const uint64_t contents = HashContents(request);
  return std::any_of(known_.begin(), known_.end(),
                     [&](const Known& k) { return of_them(k) && k.contents == contents; });
}

}  // namespace mlos::engine
