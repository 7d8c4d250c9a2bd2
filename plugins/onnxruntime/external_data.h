// SPDX-License-Identifier: Apache-2.0
//
// ExternalData: weights that lie in other files of the artefact.  They are
// opened through the host and reach ONNX Runtime in memory; a reference to
// anything else is refused, by name, before the library sees the model.
//
// Lives on the stack of a load: the library copies what it needs while it makes
// the session.  The scan, and the bytes it points into, outlive it.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_EXTERNAL_DATA_H_
#define MLOS_PLUGINS_ONNXRUNTIME_EXTERNAL_DATA_H_

#include <map>
#include <string>
#include <vector>

#include "error.h"
#include "onnx_scan.h"
#include "ort_runtime.h"

namespace mlos::onnxrt {

class ExternalData {
 public:
  // Opens every file that `scan` refers to and checks that it is long enough.
  Error Open(const smi_host_api& host, const smi_artefact* artefact, const OnnxScan& scan);

  // Hands large initializers over as they lie.
  Error AddTo(const OrtRuntime& ort, OrtSessionOptions* options) const;

  // The library takes external data only for initializers of the main graph,
  // and only after it has inferred shapes.  Everything else is written into the
  // model: returns `model`, or `storage` where something had to be.
  std::string_view Inline(std::string_view model, std::string* storage) const;

 private:
  // By the text in the model, which is what the library looks up.
  std::map<std::string, smi_blob, std::less<>> files_;
  std::vector<const ExternalTensor*> inlined_;
  std::vector<const ExternalTensor*> handed_over_;
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_EXTERNAL_DATA_H_
