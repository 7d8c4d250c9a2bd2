// SPDX-License-Identifier: Apache-2.0
//
// ScanOnnx: looks through the bytes of a model before ONNX Runtime sees them,
// for what must be known ahead: that they are a model at all, and every tensor
// whose data lies outside it.  ONNX Runtime would follow such a reference to
// any path, or, by a marker of its own, to any address; after the scan only
// names of the artefact's own files are left.
//
// Pure; the result's views point into the scanned bytes.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_ONNX_SCAN_H_
#define MLOS_PLUGINS_ONNXRUNTIME_ONNX_SCAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace mlos::onnxrt {

struct ExternalTensor {
  std::string_view message;  // the TensorProto
  bool initializer = false;  // of the main graph, not in a node, function or subgraph
  std::string_view name;
  std::string_view location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;  // where given
  std::optional<uint64_t> needed;  // from datatype and dims, where known
};

struct OnnxScan {
  std::vector<ExternalTensor> external;
  // Inputs and outputs of the graph whose type carries no shape at all, which
  // ONNX Runtime reports like scalars.
  std::vector<std::string_view> shapeless;
};

// `what` names the file in messages.
Error ScanOnnx(std::string_view bytes, std::string_view what, OnnxScan* scan);

// True for a relative, '/'-separated name without empty, "." or ".." parts
// after a leading "./" was taken off; `name` then is without it.
bool NormaliseLocation(std::string_view location, std::string* name);

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_ONNX_SCAN_H_
