// SPDX-License-Identifier: Apache-2.0
#include "protobuf_reader.h"

#include <limits>

namespace mlos::onnxrt {

bool TakeVarint(std::string_view* bytes, uint64_t* value) {
  uint64_t result = 0;
  for (unsigned i = 0; i < 10 && i < bytes->size(); ++i) {
    const auto byte = static_cast<unsigned char>((*bytes)[i]);
    if (i == 9 && byte > 1) return false;
    result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes->remove_prefix(i + 1);
      *value = result;
      return true;
    }
  }
  return false;
}

bool ProtobufReader::Next(ProtobufField* field) {
  if (broken_ || rest_.empty()) return false;
  const char* start = rest_.data();
  uint64_t tag = 0;
  if (!TakeVarint(&rest_, &tag) || tag > std::numeric_limits<uint32_t>::max()) return Break();
  field->number = static_cast<uint32_t>(tag >> 3);
  if (field->number == 0) return Break();
  field->type = static_cast<WireType>(tag & 7);

  uint64_t size = 0;
  switch (field->type) {
    case WireType::kVarint:
      if (!TakeVarint(&rest_, &field->varint)) return Break();
      break;
    case WireType::kFixed64:
      size = 8;
      break;
    case WireType::kFixed32:
      size = 4;
      break;
    case WireType::kBytes:
      if (!TakeVarint(&rest_, &size)) return Break();
      break;
    default:
      return Break();
  }
  if (size > rest_.size()) return Break();
  field->bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  field->whole = std::string_view(start, static_cast<size_t>(rest_.data() - start));
  return true;
}

}  // namespace mlos::onnxrt
