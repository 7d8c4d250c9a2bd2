// SPDX-License-Identifier: Apache-2.0
#include "tensor/bytes_checker.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace mlos::tensor {

Status BytesChecker::Take(std::span<const std::byte> piece) {
  while (!piece.empty()) {
    size_t used = 0;
    if (left_ > 0) {
      used = static_cast<size_t>(std::min<uint64_t>(left_, piece.size()));
      left_ -= used;
      if (left_ == 0) ++element_;
    } else {
      if (element_ == count_) {
        return InvalidArgument(std::to_string(total_ - at_) + " bytes are left over after " +
                               std::to_string(count_) + " elements");
      }
      used = std::min(sizeof length_ - have_, piece.size());
      std::memcpy(length_ + have_, piece.data(), used);
      have_ += used;
    }
    at_ += used;
    piece = piece.subspan(used);
    if (have_ < sizeof length_) continue;
    have_ = 0;
    uint32_t length = 0;
    std::memcpy(&length, length_, sizeof length);
    MLOS_RETURN_IF_ERROR(BeginElement(length));
  }
  return OkStatus();
}

Status BytesChecker::BeginElement(uint32_t length) {
  if (length > total_ - at_) {
    return InvalidArgument("element " + std::to_string(element_) + " of " + std::to_string(count_) +
                           ": its length is " + std::to_string(length) + " bytes but only " +
                           std::to_string(total_ - at_) + " are left");
  }
  left_ = length;
  if (length == 0) ++element_;
  return OkStatus();
}

Status BytesChecker::End() const {
  if (element_ == count_) return OkStatus();
  return InvalidArgument("element " + std::to_string(element_) + " of " + std::to_string(count_) +
                         ": the data end inside its 4-byte length");
}

}  // namespace mlos::tensor
