// SPDX-License-Identifier: Apache-2.0
#include "external_data.h"

#include <algorithm>
#include <functional>

#include "protobuf_reader.h"

namespace mlos::onnxrt {
namespace {

// Initializers up to this size may be shapes, which are needed early.
constexpr uint64_t kSmall = 1024;

// Protobuf's limit for a message.
constexpr uint64_t kMaxModel = uint64_t{1} << 31;

// Field numbers of TensorProto that say where the data is.
enum { kRawData = 9, kExternalData = 13, kDataLocation = 14 };

Error OpenFile(const smi_host_api& host, const smi_artefact* artefact, const ExternalTensor& tensor,
               smi_blob* blob) {
  const std::string who =
      "tensor " + Quote(tensor.name) + " keeps its data in " + Quote(tensor.location);
  std::string name;
  if (!NormaliseLocation(tensor.location, &name)) {
    return Invalid(who + ", which is not a name inside the model's directory");
  }
  char text[256] = "";
  smi_error reason = {sizeof(smi_error), sizeof(text), text};
  *blob = {};
  blob->struct_size = sizeof(smi_blob);
  const smi_code code = host.open_artefact(artefact, name.c_str(), blob, &reason);
  if (code == SMI_OK) return {};
  if (code == SMI_NOT_FOUND) {
    return Invalid(who +
                   ", which is not among the model's files; put it beside the model and "
                   "register the directory that holds both");
  }
  return Error(code, who + ", which could not be opened: " + Tidy(text));
}

// What the tensor takes of a file of this size.
uint64_t LengthOf(const ExternalTensor& tensor, uint64_t file_size) {
  if (tensor.length) return *tensor.length;
  if (tensor.needed) return *tensor.needed;
  return file_size - std::min(tensor.offset, file_size);
}

Error CheckRange(const ExternalTensor& tensor, uint64_t file_size) {
  if (tensor.length && tensor.needed && *tensor.length != *tensor.needed) {
    return Invalid("tensor " + Quote(tensor.name) + " takes " + std::to_string(*tensor.needed) +
                   " bytes, but its external data is said to have " +
                   std::to_string(*tensor.length));
  }
  const uint64_t length = LengthOf(tensor, file_size);
  if (tensor.offset <= file_size && length <= file_size - tensor.offset) return {};
  return Invalid("tensor " + Quote(tensor.name) + " needs " + std::to_string(length) +
                 " bytes from offset " + std::to_string(tensor.offset) + " of " +
                 Quote(tensor.location) + ", which has only " + std::to_string(file_size) +
                 " bytes");
}

void PutVarint(uint64_t value, std::string* to) {
  for (; value >= 0x80; value >>= 7) to->push_back(static_cast<char>(value | 0x80));
  to->push_back(static_cast<char>(value));
}

void PutBytesHeader(uint32_t number, uint64_t size, std::string* to) {
  PutVarint(uint64_t{number} << 3 | 2, to);
  PutVarint(size, to);
}

// Writes a model anew with some of its tensors replaced.  The scan has walked
// the same bytes, so they are sound.
class Rewriter {
 public:
  struct Replacement {
    std::string_view message;  // the TensorProto as it lies in the model
    std::string_view data;
  };

  // Sorted by where the messages lie.
  explicit Rewriter(std::vector<Replacement> replacements)
      : replacements_(std::move(replacements)) {}

  std::string Message(std::string_view bytes) const {
    std::string out;
    ProtobufReader reader(bytes);
    ProtobufField field;
    while (reader.Next(&field)) {
      const Replacement* inside =
          field.type == WireType::kBytes ? FirstWithin(field.bytes) : nullptr;
      if (inside == nullptr) {
        out += field.whole;
        continue;
      }
      const bool itself = inside->message.data() == field.bytes.data() &&
                          inside->message.size() == field.bytes.size();
      const std::string content = itself ? Tensor(*inside) : Message(field.bytes);
      PutBytesHeader(field.number, content.size(), &out);
      out += content;
    }
    return out;
  }

 private:
  static std::string Tensor(const Replacement& replacement) {
    std::string out;
    ProtobufReader reader(replacement.message);
    ProtobufField field;
    while (reader.Next(&field)) {
      if (field.number != kRawData && field.number != kExternalData &&
          field.number != kDataLocation) {
        out += field.whole;
      }
    }
    PutBytesHeader(kRawData, replacement.data.size(), &out);
    out += replacement.data;
    return out;
  }

  const Replacement* FirstWithin(std::string_view range) const {
    const auto found = std::lower_bound(
        replacements_.begin(), replacements_.end(), range.data(),
        [](const Replacement& a, const char* at) { return a.message.data() < at; });
    if (found == replacements_.end()) return nullptr;
    const bool within =
        found->message.data() + found->message.size() <= range.data() + range.size();
    return within ? &*found : nullptr;
  }

  const std::vector<Replacement> replacements_;
};

}  // namespace

Error ExternalData::Open(const smi_host_api& host, const smi_artefact* artefact,
                         const OnnxScan& scan) {
  uint64_t inlined_bytes = 0;
  for (const ExternalTensor& tensor : scan.external) {
    const auto [file, added] = files_.try_emplace(std::string(tensor.location));
    if (added) {
      if (Error error = OpenFile(host, artefact, tensor, &file->second); !error.ok()) return error;
    }
    const uint64_t file_size = file->second.size;
    if (Error error = CheckRange(tensor, file_size); !error.ok()) return error;
    const uint64_t length = LengthOf(tensor, file_size);
    const bool handed_over = tensor.initializer && length > kSmall;
    (handed_over ? handed_over_ : inlined_).push_back(&tensor);
    // Below 2^64: lengths are below those of files.
    if (!handed_over) inlined_bytes += std::min(length, kMaxModel);
    if (inlined_bytes >= kMaxModel) {
      return Invalid("tensors with external data inside of nodes or subgraphs take 2 GiB or more");
    }
  }
  return {};
}

Error ExternalData::AddTo(const OrtRuntime& ort, OrtSessionOptions* options) const {
  std::vector<const char*> names;
  std::vector<char*> buffers;
  std::vector<size_t> sizes;
  for (const auto& file : files_) {
    const bool used =
        std::any_of(handed_over_.begin(), handed_over_.end(),
                    [&](const auto* tensor) { return tensor->location == file.first; });
    if (!used) continue;
    names.push_back(file.first.c_str());
    // The library's interface asks for it writable and only reads.
    buffers.push_back(const_cast<char*>(static_cast<const char*>(file.second.data)));
    sizes.push_back(file.second.size);
  }
  if (names.empty()) return {};
  return ort.ToError(ort.api().AddExternalInitializersFromFilesInMemory(
      options, names.data(), buffers.data(), sizes.data(), names.size()));
}

std::string_view ExternalData::Inline(std::string_view model, std::string* storage) const {
  if (inlined_.empty()) return model;
  std::vector<Rewriter::Replacement> replacements;
  for (const ExternalTensor* tensor : inlined_) {
    const smi_blob& blob = files_.find(tensor->location)->second;
    const std::string_view file(static_cast<const char*>(blob.data), blob.size);
    replacements.push_back(
        {tensor->message, file.substr(tensor->offset, LengthOf(*tensor, blob.size))});
  }
  std::sort(replacements.begin(), replacements.end(), [](const auto& a, const auto& b) {
    return std::less<>()(a.message.data(), b.message.data());
  });
  *storage = Rewriter(std::move(replacements)).Message(model);
  return *storage;
}

}  // namespace mlos::onnxrt
