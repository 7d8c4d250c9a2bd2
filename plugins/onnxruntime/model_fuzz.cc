// SPDX-License-Identifier: Apache-2.0
//
// Hostile model files, before ONNX Runtime sees them: the scan, the opening of
// external data and the rewriting of the model.  What the scan accepts must be
// sound: every reference names a file that the host gave, within its size, and
// a rewritten model scans again with nothing external in it but large
// initializers.  The first byte chooses between a model and a configuration.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "external_data.h"
#include "onnx_scan.h"
#include "settings.h"

namespace {

using mlos::onnxrt::ExternalData;
using mlos::onnxrt::ExternalTensor;
using mlos::onnxrt::OnnxScan;

const char kFile[5000] = {};

smi_code OpenFile(const smi_artefact*, const char* name, smi_blob* blob, smi_error*) {
  const std::string path = "/" + std::string(name) + "/";
  if (path.find("/../") != path.npos || path.find("//") != path.npos) std::abort();
  if (std::strcmp(name, "a") != 0) return SMI_NOT_FOUND;
  blob->data = kFile;
  blob->size = sizeof(kFile);
  return SMI_OK;
}

void FuzzModel(std::string_view bytes) {
  OnnxScan scan;
  if (!ScanOnnx(bytes, "f", &scan).ok()) return;
  smi_host_api host = {};
  host.open_artefact = OpenFile;
  ExternalData external;
  if (!external.Open(host, nullptr, scan).ok()) return;
  std::string storage;
  const std::string_view model = external.Inline(bytes, &storage);
  OnnxScan again;
  if (!ScanOnnx(model, "f", &again).ok()) std::abort();
  for (const ExternalTensor& tensor : again.external) {
    if (!tensor.initializer) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 4 == 0) {
    mlos::onnxrt::Settings settings;
    (void)ParseSettings(rest, &settings);
  } else {
    FuzzModel(rest);
  }
  return 0;
}
