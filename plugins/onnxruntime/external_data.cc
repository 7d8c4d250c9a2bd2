// SPDX-License-Identifier: Apache-2.0
#include "external_data.h"

#include <algorithm>
#include <map>
#include <string>

namespace mlos::onnxrt {
namespace {

Error OpenFile(const smi_host_api& host, const smi_artefact* artefact,
               const ExternalTensor& tensor, smi_blob* blob) {
  const std::string who = "tensor " + Quote(tensor.name) + " keeps its data in " +
                          Quote(tensor.location);
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
    return Invalid(who + ", which is not among the model's files; put it beside the model");
  }
  return Error(code, who + ", which could not be opened: " + Tidy(text));
}

Error CheckRange(const ExternalTensor& tensor, uint64_t file_size) {
  const uint64_t length = std::max(tensor.length.value_or(0), tensor.needed.value_or(0));
  if (tensor.length && tensor.needed && *tensor.length != *tensor.needed) {
    return Invalid("tensor " + Quote(tensor.name) + " takes " + std::to_string(*tensor.needed) +
                   " bytes, but its external data is said to have " +
                   std::to_string(*tensor.length));
  }
  if (tensor.offset <= file_size && length <= file_size - tensor.offset) return {};
  return Invalid("tensor " + Quote(tensor.name) + " needs " + std::to_string(length) +
                 " bytes from offset " + std::to_string(tensor.offset) + " of " +
                 Quote(tensor.location) + ", which has only " + std::to_string(file_size) +
                 " bytes");
}

}  // namespace

Error AddExternalData(const OrtRuntime& ort, const smi_host_api& host,
                      const smi_artefact* artefact, const OnnxScan& scan,
                      OrtSessionOptions* options) {
  // By the text in the model, which is what the library looks up.
  std::map<std::string, smi_blob> files;
  for (const ExternalTensor& tensor : scan.external) {
    const auto [file, added] = files.try_emplace(std::string(tensor.location));
    if (added) {
      if (Error error = OpenFile(host, artefact, tensor, &file->second); !error.ok()) return error;
    }
    if (Error error = CheckRange(tensor, file->second.size); !error.ok()) return error;
  }
  if (files.empty()) return {};

  std::vector<const char*> names;
  std::vector<char*> buffers;
  std::vector<size_t> sizes;
  for (const auto& [name, blob] : files) {
    names.push_back(name.c_str());
    // The library's interface asks for it writable and only reads.
    buffers.push_back(const_cast<char*>(static_cast<const char*>(blob.data)));
    sizes.push_back(blob.size);
  }
  return ort.ToError(ort.api().AddExternalInitializersFromFilesInMemory(
      options, names.data(), buffers.data(), sizes.data(), names.size()));
}

}  // namespace mlos::onnxrt
