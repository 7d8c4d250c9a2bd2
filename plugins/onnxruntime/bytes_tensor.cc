// SPDX-License-Identifier: Apache-2.0
#include "bytes_tensor.h"

#include <cstring>
#include <limits>

#include "tensor_types.h"

namespace mlos::onnxrt {

Error DecodeBytes(const OrtRuntime& ort, const smi_tensor& tensor, OrtPtr<OrtValue>* value) {
  const OrtApi& api = ort.api();
  uint64_t count = 0;
  // Every element takes at least its length, which bounds what is allocated.
  if (!ElementCount(tensor.shape, tensor.rank, &count) || count > tensor.byte_size / 4) {
    return Invalid("holds fewer elements than its shape says");
  }
  OrtValue* made = nullptr;
  Error error = ort.ToError(api.CreateTensorAsOrtValue(
      ort.allocator(), tensor.shape, tensor.rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &made));
  if (!error.ok()) return error;
  value->reset(made);

  const auto* at = static_cast<const char*>(tensor.data);
  uint64_t left = tensor.byte_size;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (left < sizeof(length)) return Invalid("ends within element " + std::to_string(i));
    std::memcpy(&length, at, sizeof(length));
    at += sizeof(length);
    left -= sizeof(length);
    if (length > left) return Invalid("ends within element " + std::to_string(i));
    char* to = nullptr;
    error = ort.ToError(api.GetResizedStringTensorElementBuffer(made, i, length, &to));
    if (!error.ok()) return error;
    if (length > 0) std::memcpy(to, at, length);
    at += length;
    left -= length;
  }
  return left == 0 ? Error() : Invalid("goes on after its last element");
}

Error EncodedBytes::From(const OrtRuntime& ort, const OrtValue* value, size_t count,
                         EncodedBytes* out) {
  size_t length = 0;
  Error error = ort.ToError(ort.api().GetStringTensorDataLength(value, &length));
  if (!error.ok()) return error;
  out->text_.resize(length);
  out->offsets_.resize(count);
  if (count == 0) return {};
  // The library insists on a buffer even where all strings are empty.
  char none = 0;
  error = ort.ToError(ort.api().GetStringTensorContent(
      value, length == 0 ? &none : out->text_.data(), length, out->offsets_.data(), count));
  if (!error.ok()) return error;
  for (size_t i = 0; i < count; ++i) {
    const size_t end = i + 1 < count ? out->offsets_[i + 1] : length;
    if (end - out->offsets_[i] > std::numeric_limits<uint32_t>::max()) {
      return Error(SMI_RESOURCE_EXHAUSTED, "element " + std::to_string(i) + " is above 4 GiB");
    }
  }
  return {};
}

void EncodedBytes::WriteTo(void* to) const {
  auto* at = static_cast<char*>(to);
  for (size_t i = 0; i < offsets_.size(); ++i) {
    const size_t end = i + 1 < offsets_.size() ? offsets_[i + 1] : text_.size();
    const auto length = static_cast<uint32_t>(end - offsets_[i]);
    std::memcpy(at, &length, sizeof(length));
    at += sizeof(length);
    if (length > 0) std::memcpy(at, text_.data() + offsets_[i], length);
    at += length;
  }
}

}  // namespace mlos::onnxrt
