// SPDX-License-Identifier: Apache-2.0
#include "onnx_file.h"

#include <cstdint>
#include <cstring>

namespace mlos::test {
namespace {

// The wire form of protocol buffers, as far as the model needs it.
std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string Number(unsigned field, uint64_t value) { return Varint(field << 3) + Varint(value); }
std::string Bytes(unsigned field, const std::string& value) {
  return Varint(field << 3 | 2) + Varint(value.size()) + value;
}

constexpr uint64_t kFp32 = 1;
constexpr uint64_t kInt64 = 7;

// ValueInfoProto: name, and a tensor type with one dimension of one element.
std::string Value(const std::string& name, uint64_t type) {
  const std::string shape = Bytes(1, Number(1, 1));
  return Bytes(1, name) + Bytes(2, Bytes(1, Number(1, type) + Bytes(2, shape)));
}

}  // namespace

std::string PickModel(size_t weights) {
  std::string data(weights * sizeof(float), '\0');
  for (size_t i = 0; i < weights; ++i) {
    const auto value = static_cast<float>(i % 1024);
    std::memcpy(data.data() + i * sizeof value, &value, sizeof value);
  }
  // GraphProto: node 1, name 2, initializer 5, input 11, output 12.
  const std::string node = Bytes(1, "W") + Bytes(1, "I") + Bytes(2, "Y") + Bytes(4, "Gather");
  const std::string tensor = Number(1, weights) + Number(2, kFp32) + Bytes(8, "W") + Bytes(9, data);
  const std::string graph = Bytes(1, node) + Bytes(2, "pick") + Bytes(5, tensor) +
                            Bytes(11, Value("I", kInt64)) + Bytes(12, Value("Y", kFp32));
  // ModelProto: ir_version 1, graph 7, opset_import 8 (version 2).
  return Number(1, 8) + Bytes(7, graph) + Bytes(8, Number(2, 13));
}

}  // namespace mlos::test
