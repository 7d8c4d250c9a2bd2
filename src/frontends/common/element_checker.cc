// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/element_checker.h"

#include <algorithm>
#include <string>

namespace mlos::frontend {
namespace {

using tensor::Datatype;

tensor::BytesChecker StringsOf(const tensor::TensorDesc& desc) {
  uint64_t count = 0;
  tensor::ElementCount(desc.shape(), &count);
  return tensor::BytesChecker(count, desc.bytes);
}

Status CheckBools(std::span<const std::byte> bools, uint64_t first) {
  auto all = std::byte{0};
  for (const std::byte b : bools) all |= b;
  if (all <= std::byte{1}) return OkStatus();
  const auto bad = std::find_if(bools.begin(), bools.end(),
                                [](std::byte element) { return element > std::byte{1}; });
  return InvalidArgument("element " +
                         std::to_string(first + static_cast<uint64_t>(bad - bools.begin())) +
                         " of a BOOL is neither 0 nor 1");
}

}  // namespace

ElementChecker::ElementChecker(const tensor::TensorDesc& desc)
    : datatype_(static_cast<Datatype>(desc.datatype)) {
  if (datatype_ == Datatype::kBytes) strings_ = StringsOf(desc);
}

Status ElementChecker::Take(std::span<const std::byte> piece) {
  if (datatype_ == Datatype::kBytes) return strings_.Take(piece);
  if (datatype_ != Datatype::kBool) return OkStatus();
  Status status = CheckBools(piece, at_);
  at_ += piece.size();
  return status;
}

Status ElementChecker::End() const {
  return datatype_ == Datatype::kBytes ? strings_.End() : OkStatus();
}

Status CheckElements(const tensor::TensorDesc& desc, std::span<const std::byte> elements) {
  ElementChecker checker(desc);
  MLOS_RETURN_IF_ERROR(checker.Take(elements));
  return checker.End();
}

}  // namespace mlos::frontend
