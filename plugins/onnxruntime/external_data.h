// SPDX-License-Identifier: Apache-2.0
//
// External data: weights that lie in other files of the artefact.  They are
// opened through the host and handed to ONNX Runtime in memory; a reference to
// anything else is refused, by name, before the library sees the model.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_EXTERNAL_DATA_H_
#define MLOS_PLUGINS_ONNXRUNTIME_EXTERNAL_DATA_H_

#include "error.h"
#include "onnx_scan.h"
#include "ort_runtime.h"

namespace mlos::onnxrt {

// Opens what `scan` refers to and adds it to `options`.  The files stay mapped
// until the model is unloaded; the library copies what it needs.
Error AddExternalData(const OrtRuntime& ort, const smi_host_api& host,
                      const smi_artefact* artefact, const OnnxScan& scan,
                      OrtSessionOptions* options);

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_EXTERNAL_DATA_H_
