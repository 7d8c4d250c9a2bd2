// SPDX-License-Identifier: Apache-2.0
#include "onnx_scan.h"

#include <charconv>

#include "protobuf_reader.h"

namespace mlos::onnxrt {
namespace {

// Graphs nest through If, Loop and Scan; protobuf itself stops at 100 levels of
// messages, of which a graph takes three.
constexpr int kMaxDepth = 32;

// Field numbers of onnx.proto.
namespace model_field {
enum { kGraph = 7, kTraining = 20, kFunctions = 25 };
}
namespace training_field {
enum { kInitialization = 1, kAlgorithm = 2 };
}
namespace function_field {
enum { kNode = 7, kAttributeProto = 11 };
}
namespace graph_field {
enum { kNode = 1, kInitializer = 5, kInput = 11, kOutput = 12, kSparseInitializer = 15 };
}
namespace node_field {
enum { kAttribute = 5 };
}
namespace attribute_field {
enum { kTensor = 5, kGraph = 6, kTensors = 10, kGraphs = 11, kSparse = 22, kSparses = 23 };
}
namespace sparse_field {
enum { kValues = 1, kIndices = 2 };
}
namespace tensor_field {
enum { kDims = 1, kDataType = 2, kName = 8, kExternalData = 13, kDataLocation = 14 };
}
namespace entry_field {
enum { kKey = 1, kValue = 2 };
}
namespace value_info_field {
enum { kName = 1, kType = 2 };
}
namespace type_field {
enum { kTensorType = 1 };
}
namespace tensor_type_field {
enum { kShape = 2 };
}

constexpr uint64_t kLocationExternal = 1;

// Bits per element by TensorProto.DataType; 0: not stored as plain bytes.
unsigned ElementBits(uint64_t data_type) {
  static constexpr uint8_t kBits[] = {0,  32, 8,  8,   16, 16, 32, 64, 0, 8, 16, 64,
                                      32, 64, 64, 128, 16, 8,  8,  8,  8, 4, 4};
  return data_type < sizeof(kBits) ? kBits[data_type] : 0;
}

// The messages on the way to a tensor.
enum class Kind { kNone, kTraining, kFunction, kGraph, kNode, kAttribute, kSparse, kTensor };

// What field `number` of a message holds; kNone where no tensor can be in it.
Kind ChildKind(Kind parent, uint32_t number) {
  switch (parent) {
    case Kind::kTraining:
      if (number == training_field::kInitialization) return Kind::kGraph;
      if (number == training_field::kAlgorithm) return Kind::kGraph;
      break;
    case Kind::kFunction:
      if (number == function_field::kNode) return Kind::kNode;
      if (number == function_field::kAttributeProto) return Kind::kAttribute;
      break;
    case Kind::kGraph:
      if (number == graph_field::kNode) return Kind::kNode;
      if (number == graph_field::kInitializer) return Kind::kTensor;
      if (number == graph_field::kSparseInitializer) return Kind::kSparse;
      break;
    case Kind::kNode:
      if (number == node_field::kAttribute) return Kind::kAttribute;
      break;
    case Kind::kAttribute:
      if (number == attribute_field::kTensor) return Kind::kTensor;
      if (number == attribute_field::kTensors) return Kind::kTensor;
      if (number == attribute_field::kGraph) return Kind::kGraph;
      if (number == attribute_field::kGraphs) return Kind::kGraph;
      if (number == attribute_field::kSparse) return Kind::kSparse;
      if (number == attribute_field::kSparses) return Kind::kSparse;
      break;
    case Kind::kSparse:
      if (number == sparse_field::kValues) return Kind::kTensor;
      if (number == sparse_field::kIndices) return Kind::kTensor;
      break;
    case Kind::kTensor:
    case Kind::kNone:
      break;
  }
  return Kind::kNone;
}

class Scanner {
 public:
  explicit Scanner(OnnxScan* scan) : scan_(scan) {}

  Error Model(std::string_view bytes);

 private:
  Error Message(Kind kind, std::string_view bytes, int depth);
  Error Tensor(std::string_view bytes, bool initializer);
  Error ExternalEntry(std::string_view bytes, ExternalTensor* tensor, unsigned* seen);
  void ValueInfo(std::string_view bytes);

  static Error Broken() { return Invalid("the file is damaged or cut short"); }

  OnnxScan* scan_;
};

Error Scanner::Model(std::string_view bytes) {
  ProtobufReader reader(bytes);
  ProtobufField field;
  bool has_graph = false;
  while (reader.Next(&field)) {
    Error error;
    if (field.IsBytes(model_field::kGraph)) {
      has_graph = true;
      error = Message(Kind::kGraph, field.bytes, 0);
      ProtobufReader graph(field.bytes);
      ProtobufField entry;
      while (error.ok() && graph.Next(&entry)) {
        if (entry.IsBytes(graph_field::kInput) || entry.IsBytes(graph_field::kOutput)) {
          ValueInfo(entry.bytes);
        }
      }
    } else if (field.IsBytes(model_field::kTraining)) {
      error = Message(Kind::kTraining, field.bytes, 1);
    } else if (field.IsBytes(model_field::kFunctions)) {
      error = Message(Kind::kFunction, field.bytes, 1);
    }
    if (!error.ok()) return error;
  }
  if (!has_graph) return Invalid("it is not an ONNX model: it holds no graph");
  return reader.broken() ? Broken() : Error();
}

// One level of the walk; the recursion is bounded by kMaxDepth.
Error Scanner::Message(Kind kind, std::string_view bytes, int depth) {
  if (depth > 3 * kMaxDepth) return Invalid("its graphs are nested too deeply");
  ProtobufReader reader(bytes);
  ProtobufField field;
  while (reader.Next(&field)) {
    if (field.type != WireType::kBytes) continue;
    const Kind child = ChildKind(kind, field.number);
    if (child == Kind::kNone) continue;
    Error error = child == Kind::kTensor ? Tensor(field.bytes, kind == Kind::kGraph && depth == 0)
                                         : Message(child, field.bytes, depth + 1);
    if (!error.ok()) return error;
  }
  return reader.broken() ? Broken() : Error();
}

// Bits that a tensor of these dims holds; false when that overflows.
bool NeededBits(const std::vector<uint64_t>& dims, unsigned element_bits, uint64_t* bits) {
  *bits = element_bits;
  for (uint64_t dim : dims) {
    if (__builtin_mul_overflow(*bits, dim, bits)) return false;
  }
  return true;
}

Error Scanner::Tensor(std::string_view bytes, bool initializer) {
  ProtobufReader reader(bytes);
  ProtobufField field;
  ExternalTensor tensor;
  tensor.message = bytes;
  tensor.initializer = initializer;
  std::vector<uint64_t> dims;
  uint64_t data_type = 0;
  unsigned seen = 0;
  bool external = false;
  while (reader.Next(&field)) {
    if (field.IsVarint(tensor_field::kDims)) {
      dims.push_back(field.varint);
    } else if (field.IsBytes(tensor_field::kDims)) {
      uint64_t dim = 0;
      while (!field.bytes.empty()) {
        if (!TakeVarint(&field.bytes, &dim)) return Broken();
        dims.push_back(dim);
      }
    } else if (field.IsVarint(tensor_field::kDataType)) {
      data_type = field.varint;
    } else if (field.IsBytes(tensor_field::kName)) {
      tensor.name = field.bytes;
    } else if (field.IsBytes(tensor_field::kExternalData)) {
      external = true;
      if (Error error = ExternalEntry(field.bytes, &tensor, &seen); !error.ok()) return error;
    } else if (field.IsVarint(tensor_field::kDataLocation)) {
      external |= field.varint == kLocationExternal;
    }
  }
  if (reader.broken()) return Broken();
  if (!external) return {};
  if (tensor.location.empty()) {
    return Invalid("tensor " + Quote(tensor.name) + " has external data without a location");
  }
  if (const unsigned element_bits = ElementBits(data_type); element_bits != 0) {
    uint64_t bits = 0;
    if (!NeededBits(dims, element_bits, &bits)) {
      return Invalid("tensor " + Quote(tensor.name) + " has impossible dimensions");
    }
    tensor.needed = bits / 8 + (bits % 8 != 0);
  }
  scan_->external.push_back(tensor);
  return {};
}

Error Scanner::ExternalEntry(std::string_view bytes, ExternalTensor* tensor, unsigned* seen) {
  ProtobufReader reader(bytes);
  ProtobufField field;
  std::string_view key, value;
  while (reader.Next(&field)) {
    if (field.IsBytes(entry_field::kKey)) key = field.bytes;
    if (field.IsBytes(entry_field::kValue)) value = field.bytes;
  }
  if (reader.broken()) return Broken();

  const unsigned bit = key == "location" ? 1 : key == "offset" ? 2 : key == "length" ? 4 : 0;
  if (bit == 0) return {};
  // Said twice, decoders differ in which one they believe.
  if ((*seen & bit) != 0) {
    return Invalid("a tensor says its external data's " + std::string(key) + " twice");
  }
  *seen |= bit;
  if (bit == 1) {
    tensor->location = value;
    return {};
  }
  uint64_t number = 0;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (code != std::errc() || end != value.data() + value.size()) {
    return Invalid("a tensor's external data has " + Quote(value) + " as " + std::string(key) +
                   ", which is no number");
  }
  if (bit == 2) tensor->offset = number;
  if (bit == 4) tensor->length = number;
  return {};
}

void Scanner::ValueInfo(std::string_view bytes) {
  ProtobufReader reader(bytes);
  ProtobufField field;
  std::string_view name;
  bool has_shape = false;
  while (reader.Next(&field)) {
    if (field.IsBytes(value_info_field::kName)) name = field.bytes;
    if (!field.IsBytes(value_info_field::kType)) continue;
    ProtobufReader type(field.bytes);
    ProtobufField type_field;
    while (type.Next(&type_field)) {
      if (!type_field.IsBytes(type_field::kTensorType)) continue;
      ProtobufReader tensor(type_field.bytes);
      ProtobufField part;
      while (tensor.Next(&part)) has_shape |= part.IsBytes(tensor_type_field::kShape);
    }
  }
  if (!has_shape) scan_->shapeless.push_back(name);
}

}  // namespace

Error ScanOnnx(std::string_view bytes, std::string_view what, OnnxScan* scan) {
  const std::string prefix = std::string(what) + ": ";
  if (bytes.empty()) return Invalid(prefix + "the file is empty");
  if (bytes.size() >= 8 && bytes.substr(4, 4) == "ORTM") {
    return Invalid(prefix + "this is ORT format; give the model in ONNX format");
  }
  return Scanner(scan).Model(bytes).Prefixed(prefix);
}

bool NormaliseLocation(std::string_view location, std::string* name) {
  while (location.substr(0, 2) == "./") location.remove_prefix(2);
  if (location.empty() || location.find('\0') != std::string_view::npos) return false;
  for (size_t at = 0; at <= location.size();) {
    const size_t slash = std::min(location.find('/', at), location.size());
    const std::string_view part = location.substr(at, slash - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = slash + 1;
  }
  *name = location;
  return true;
}

}  // namespace mlos::onnxrt
