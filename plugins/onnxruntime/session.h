// SPDX-License-Identifier: Apache-2.0
//
// Session: one model in ONNX Runtime, with what all requests on it share.
// Owned by the model; made on the control thread; afterwards any number of
// execute threads may use it at once.  The runtime and the host's table outlive
// it, and so do the artefact's mapped files.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_SESSION_H_
#define MLOS_PLUGINS_ONNXRUNTIME_SESSION_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "error.h"
#include "learned_shapes.h"
#include "model_tensors.h"
#include "ort_runtime.h"
#include "settings.h"

namespace mlos::onnxrt {

class Session {
 public:
  static Error Load(const OrtRuntime& ort, const smi_host_api& host, const smi_load_params& params,
                    const Settings& settings, std::unique_ptr<Session>* session);

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const OrtRuntime& ort() const { return *ort_; }
  const smi_host_api& host() const { return *host_; }
  OrtSession* get() const { return session_.get(); }
  const std::string& name() const { return name_; }
  ModelTensors& tensors() { return tensors_; }
  const ModelTensors& tensors() const { return tensors_; }
  LearnedShapes& learned() { return *learned_; }

  // Whether an output may be bound to memory that was sized before the run.
  // Once forbidden it stays so.
  bool MayBind(size_t output) const { return may_bind_[output].load(std::memory_order_relaxed); }
  void ForbidBinding(size_t output);

  // Runs the model once on zeros (unknown dimensions as 1) and says the shapes
  // that came out.  Fails where such made-up data does not suit the model.
  Error TrialRun(std::vector<Shape>* output_shapes) const;

 private:
  Session(const OrtRuntime& ort, const smi_host_api& host, std::string name)
      : ort_(&ort), host_(&host), name_(std::move(name)) {}

  Error Create(const smi_load_params& params, const Settings& settings);
  // Finds the rank of outputs that the model says nothing about.
  Error LearnRanks();

  const OrtRuntime* ort_;
  const smi_host_api* host_;
  const std::string name_;
  OrtPtr<OrtSession> session_{nullptr, nullptr};
  ModelTensors tensors_;
  std::unique_ptr<LearnedShapes> learned_;
  std::unique_ptr<std::atomic<bool>[]> may_bind_;
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_SESSION_H_
