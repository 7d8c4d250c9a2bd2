// SPDX-License-Identifier: Apache-2.0
//
// SlotRunner: runs the requests of one slot, one after another, and keeps the
// framework's values from one to the next.  Inputs are used where they lie.
// Outputs are written where they will be read, wherever their shape is known
// before the run: declared by the model, or seen at an earlier request with the
// same input shapes.  A request with the same pointers and shapes as the one
// before binds nothing and allocates nothing of ours.
//
// Owned by the model's slot table.  Used by one thread at a time: a slot is not
// shared by two running requests.  The session outlives it.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_SLOT_RUNNER_H_
#define MLOS_PLUGINS_ONNXRUNTIME_SLOT_RUNNER_H_

#include <memory>
#include <vector>

#include "error.h"
#include "session.h"

namespace mlos::onnxrt {

class SlotRunner {
 public:
  static Error Create(Session& session, std::unique_ptr<SlotRunner>* runner);

  SlotRunner(const SlotRunner&) = delete;
  SlotRunner& operator=(const SlotRunner&) = delete;

  // Runs the request up to its outputs, all of which are then allocated and
  // filled; the caller answers it.  An error names the tensor it is about.
  Error Run(const smi_request& request);

 private:
  struct BoundInput {
    bool bound = false;
    const void* data = nullptr;
    uint32_t rank = 0;
    int64_t shape[SMI_MAX_RANK] = {};
  };
  // An output that the current requests ask for.
  struct Output {
    uint32_t index = 0;
    const Shape* shape = nullptr;  // null: not known before the run
    uint64_t byte_size = 0;
    void* bound = nullptr;      // the memory that the library will write to
    bool proven = false;        // it was seen to do so, for this shape
    void* allocated = nullptr;  // this request's memory, from the host
  };

  explicit SlotRunner(Session& session);

  Error BindInputs(const smi_request& request);
  Error BindInput(const smi_tensor& tensor);
  Error CheckInput(const smi_tensor& tensor) const;
  Error SelectOutputs(const smi_request& request);
  void LookUpShapes();
  Error BindOutputs(const smi_request& request);
  Error BindToMemory(Output& output);
  Error LeaveToLibrary(Output& output);
  Error RunBinding();
  Error RunUnbound(const Error& first_error);
  Error CollectOutputs(const smi_request& request);
  Error CollectOutput(const smi_request& request, Output& output, OrtValue* value);
  Error CopyOut(const smi_request& request, Output& output, OrtValue* value, const Shape& shape);
  Error AllocateOutput(const smi_request& request, const Output& output, const Shape& shape,
                       uint64_t byte_size, void** data) const;
  Error ReadShape(const OrtValue* value, Shape* shape) const;
  Error AboutOutput(const Output& output, const Error& error) const;

  Session& session_;
  const OrtApi& api_;
  OrtPtr<OrtRunOptions> run_options_;
  OrtPtr<OrtIoBinding> binding_;
  std::vector<BoundInput> inputs_;
  std::vector<Output> outputs_;
  bool all_outputs_ = false;  // outputs_ are all of the model's
  bool stale_ = true;         // what outputs_ know of shapes is to be looked up again
  Shape input_dims_;          // of all inputs, end to end: the key of what is learned
  std::shared_ptr<const OutputShapes> learned_;
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_SLOT_RUNNER_H_
