// SPDX-License-Identifier: Apache-2.0
#include "slot_runner.h"

#include <algorithm>
#include <cstring>

#include "bytes_tensor.h"

namespace mlos::onnxrt {
namespace {

// Stands in for the memory of tensors without elements.
alignas(64) char kNoElements[64];

// Element `i` of an array that is strided by its own struct_size.
const smi_tensor& TensorAt(const smi_request& request, uint32_t i) {
  const auto* base = reinterpret_cast<const char*>(request.inputs);
  return *reinterpret_cast<const smi_tensor*>(base + size_t{i} * request.inputs->struct_size);
}

bool IsBoolean(const void* data, uint64_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  unsigned char all = 0;
  for (uint64_t i = 0; i < size; ++i) all |= bytes[i];
  return all <= 1;
}

}  // namespace

SlotRunner::SlotRunner(Session& session)
    : session_(session),
      api_(session.ort().api()),
      run_options_(nullptr, api_.ReleaseRunOptions),
      binding_(nullptr, api_.ReleaseIoBinding),
      inputs_(session.tensors().inputs().size()) {}

Error SlotRunner::Create(Session& session, std::unique_ptr<SlotRunner>* runner) {
  std::unique_ptr<SlotRunner> made(new SlotRunner(session));
  const OrtRuntime& ort = session.ort();
  OrtRunOptions* options = nullptr;
  Error error = ort.ToError(ort.api().CreateRunOptions(&options));
  if (!error.ok()) return error;
  made->run_options_.reset(options);
  OrtIoBinding* binding = nullptr;
  error = ort.ToError(ort.api().CreateIoBinding(session.get(), &binding));
  if (!error.ok()) return error;
  made->binding_.reset(binding);
  *runner = std::move(made);
  return {};
}

Error SlotRunner::Run(const smi_request& request) {
  if (Error error = BindInputs(request); !error.ok()) return error;
  if (!all_outputs_ || request.output_count != 0) {
    if (Error error = SelectOutputs(request); !error.ok()) return error;
  }
  if (stale_) LookUpShapes();
  if (Error error = BindOutputs(request); !error.ok()) return error;
  Error error = RunBinding();
  if (!error.ok()) error = RunUnbound(error);
  if (!error.ok()) return error;
  return CollectOutputs(request);
}

// ------------------------------------------------------------------- inputs

Error SlotRunner::BindInputs(const smi_request& request) {
  const std::vector<TensorInfo>& declared = session_.tensors().inputs();
  for (uint32_t i = 0; i < request.input_count; ++i) {
    const smi_tensor& tensor = TensorAt(request, i);
    if (tensor.index != i || i >= declared.size()) break;
    if (Error error = BindInput(tensor); !error.ok()) {
      // What was bound half is not to be trusted by the next request.
      inputs_[i].bound = false;
      return error.Prefixed("input " + Quote(declared[i].name) + " ");
    }
  }
  if (request.input_count == declared.size() &&
      (declared.empty() ||
       TensorAt(request, request.input_count - 1).index + 1 == request.input_count)) {
    return {};
  }
  for (uint32_t i = 0; i < declared.size(); ++i) {
    if (i < request.input_count && TensorAt(request, i).index == i) continue;
    return Invalid("input " + Quote(declared[i].name) + " is missing: the model takes " +
                   std::to_string(declared.size()) + " inputs and " +
                   std::to_string(request.input_count) + " were given");
  }
  return Invalid("the model takes " + std::to_string(declared.size()) + " inputs and " +
                 std::to_string(request.input_count) + " were given");
}

Error SlotRunner::BindInput(const smi_tensor& tensor) {
  BoundInput& input = inputs_[tensor.index];
  const TensorInfo& declared = session_.tensors().inputs()[tensor.index];
  const bool same_shape = input.bound && input.rank == tensor.rank &&
                          std::equal(input.shape, input.shape + input.rank, tensor.shape);
  if (!same_shape || input.data != tensor.data || tensor.datatype != declared.datatype) {
    if (Error error = CheckInput(tensor); !error.ok()) return error;
  }
  if (tensor.datatype == SMI_BOOL && !IsBoolean(tensor.data, tensor.byte_size)) {
    return Invalid("is BOOL and holds a byte that is neither 0 nor 1");
  }
  stale_ |= !same_shape;
  // Strings are taken over each time: the memory is ours only for the request.
  if (same_shape && input.data == tensor.data && tensor.datatype != SMI_BYTES) return {};

  OrtPtr<OrtValue> value(nullptr, api_.ReleaseValue);
  if (tensor.datatype == SMI_BYTES) {
    if (Error error = DecodeBytes(session_.ort(), tensor, &value); !error.ok()) return error;
  } else {
    // The library takes writable memory for every tensor and only reads inputs.
    void* data = tensor.byte_size == 0 ? kNoElements : const_cast<void*>(tensor.data);
    OrtValue* made = nullptr;
    Error error = session_.ort().ToError(
        api_.CreateTensorWithDataAsOrtValue(session_.ort().cpu_memory(), data, tensor.byte_size,
                                            tensor.shape, tensor.rank, declared.ort_type, &made));
    if (!error.ok()) return error.Prefixed("cannot be used: ");
    value.reset(made);
  }
  Error error =
      session_.ort().ToError(api_.BindInput(binding_.get(), declared.name.c_str(), value.get()));
  if (!error.ok()) return error.Prefixed("cannot be used: ");
  input.bound = true;
  input.data = tensor.data;
  input.rank = tensor.rank;
  std::copy_n(tensor.shape, tensor.rank, input.shape);
  return {};
}

// The host has checked all of this; it is checked again here where a mistake
// would make the library read beyond the request, and only when something
// changed.
Error SlotRunner::CheckInput(const smi_tensor& tensor) const {
  const TensorInfo& declared = session_.tensors().inputs()[tensor.index];
  if (tensor.datatype != declared.datatype) {
    return Invalid(std::string("has datatype ") + DatatypeName(tensor.datatype) + ", expected " +
                   DatatypeName(declared.datatype));
  }
  if (tensor.rank > SMI_MAX_RANK || !ShapeFits(declared.shape, tensor.shape, tensor.rank)) {
    return Invalid("has shape " +
                   ShapeText(tensor.shape, std::min<size_t>(tensor.rank, SMI_MAX_RANK)) +
                   ", expected " + ShapeText(declared.shape));
  }
  uint64_t bytes = 0;
  if (tensor.datatype == SMI_BYTES) return {};
  if (!ByteSize(tensor.datatype, tensor.shape, tensor.rank, &bytes) || bytes != tensor.byte_size) {
    return Invalid("has " + std::to_string(tensor.byte_size) + " bytes, which is not what shape " +
                   ShapeText(tensor.shape, tensor.rank) + " takes");
  }
  return {};
}

// ------------------------------------------------------------------ outputs

// Makes outputs_ those of the request, unless they are already.
Error SlotRunner::SelectOutputs(const smi_request& request) {
  const size_t total = session_.tensors().outputs().size();
  const size_t count = request.output_count == 0 ? total : request.output_count;
  bool same = count == outputs_.size();
  for (size_t i = 0; i < count && same; ++i) {
    same = outputs_[i].index == (request.output_count == 0 ? i : request.outputs[i]);
  }
  if (same) return {};
  outputs_.clear();
  all_outputs_ = false;
  stale_ = true;
  api_.ClearBoundOutputs(binding_.get());
  for (size_t i = 0; i < count; ++i) {
    Output output;
    output.index = request.output_count == 0 ? static_cast<uint32_t>(i) : request.outputs[i];
    if (output.index >= total) {
      outputs_.clear();
      return Invalid("output " + std::to_string(output.index) +
                     " is asked for, but the model has " + std::to_string(total));
    }
    outputs_.push_back(output);
  }
  all_outputs_ = count == total;
  return {};
}

// Finds what is known of the outputs for the inputs that are bound now.
void SlotRunner::LookUpShapes() {
  const std::vector<TensorInfo>& declared = session_.tensors().outputs();
  input_dims_.clear();
  for (const BoundInput& input : inputs_) {
    input_dims_.insert(input_dims_.end(), input.shape, input.shape + input.rank);
  }
  learned_ = session_.learned().Find(input_dims_);
  stale_ = false;
  for (Output& output : outputs_) {
    const TensorInfo& info = declared[output.index];
    const Shape* shape = nullptr;
    if (info.fixed) {
      shape = &info.shape;
    } else if (learned_ != nullptr && (*learned_)[output.index].has_value()) {
      shape = &*(*learned_)[output.index];
    }
    // Fixed shapes stay bound; others are another value now.
    if (shape != output.shape || !info.fixed) {
      output.bound = nullptr;
      output.proven = false;
    }
    output.shape = shape;
    if (shape != nullptr &&
        !ByteSize(info.datatype, shape->data(), shape->size(), &output.byte_size)) {
      output.shape = nullptr;
    }
  }
}

Error SlotRunner::BindOutputs(const smi_request& request) {
  for (Output& output : outputs_) {
    output.allocated = nullptr;
    Error error;
    if (output.shape == nullptr || !session_.MayBind(output.index)) {
      error = LeaveToLibrary(output);
    } else {
      error = AllocateOutput(request, output, *output.shape, output.byte_size, &output.allocated);
      if (error.ok() && output.allocated != output.bound) error = BindToMemory(output);
    }
    if (!error.ok()) return AboutOutput(output, error);
  }
  return {};
}

Error SlotRunner::BindToMemory(Output& output) {
  const TensorInfo& info = session_.tensors().outputs()[output.index];
  OrtValue* value = nullptr;
  void* data = output.byte_size == 0 ? kNoElements : output.allocated;
  Error error = session_.ort().ToError(api_.CreateTensorWithDataAsOrtValue(
      session_.ort().cpu_memory(), data, output.byte_size, output.shape->data(),
      output.shape->size(), info.ort_type, &value));
  if (!error.ok()) return error;
  const OrtPtr<OrtValue> owned(value, api_.ReleaseValue);
  output.bound = nullptr;
  error = session_.ort().ToError(api_.BindOutput(binding_.get(), info.name.c_str(), value));
  if (error.ok()) output.bound = output.allocated;
  return error;
}

// Needed before every run: the value of the run before would count as bound.
Error SlotRunner::LeaveToLibrary(Output& output) {
  output.bound = nullptr;
  output.proven = false;
  const TensorInfo& info = session_.tensors().outputs()[output.index];
  return session_.ort().ToError(
      api_.BindOutputToDevice(binding_.get(), info.name.c_str(), session_.ort().cpu_memory()));
}

// --------------------------------------------------------------------- runs

Error SlotRunner::RunBinding() {
  return session_.ort().ToError(
      api_.RunWithBinding(session_.get(), run_options_.get(), binding_.get()));
}

// A run fails when an output comes out in another shape than the memory that
// was bound for it.  So it is done once more with nothing bound; if that works,
// CollectOutputs finds out which output it was.
Error SlotRunner::RunUnbound(const Error& first_error) {
  bool any_bound = false;
  for (Output& output : outputs_) {
    any_bound |= output.bound != nullptr;
    if (Error error = LeaveToLibrary(output); !error.ok()) return AboutOutput(output, error);
  }
  return any_bound ? RunBinding() : first_error;
}

Error SlotRunner::CollectOutputs(const smi_request& request) {
  const bool done = std::all_of(outputs_.begin(), outputs_.end(), [](const Output& output) {
    return output.bound != nullptr && output.proven;
  });
  if (done) return {};

  OrtAllocator* allocator = session_.ort().allocator();
  OrtValue** values = nullptr;
  size_t count = 0;
  Error error =
      session_.ort().ToError(api_.GetBoundOutputValues(binding_.get(), allocator, &values, &count));
  if (!error.ok()) return error;
  std::vector<OrtPtr<OrtValue>> owned;
  for (size_t i = 0; i < count; ++i) owned.emplace_back(values[i], api_.ReleaseValue);
  if (values != nullptr) (void)session_.ort().ToError(api_.AllocatorFree(allocator, values));
  if (count != outputs_.size()) return Error(SMI_INTERNAL, "the run left outputs out");
  for (size_t i = 0; i < count; ++i) {
    error = CollectOutput(request, outputs_[i], owned[i].get());
    if (!error.ok()) return AboutOutput(outputs_[i], error);
  }
  return {};
}

Error SlotRunner::CollectOutput(const smi_request& request, Output& output, OrtValue* value) {
  const TensorInfo& info = session_.tensors().outputs()[output.index];
  if (output.bound != nullptr) {
    if (output.proven) return {};
    void* data = nullptr;
    Error error = session_.ort().ToError(api_.GetTensorMutableData(value, &data));
    if (!error.ok()) return error;
    output.proven = data == output.bound || output.byte_size == 0;
    if (output.proven) return {};
    // The library has put its result elsewhere: it shares it with something.
    session_.ForbidBinding(output.index);
  }
  Shape shape;
  Error error = ReadShape(value, &shape);
  if (!error.ok()) return error;
  if (!ShapeFits(info.shape, shape.data(), shape.size())) {
    return Error(SMI_INTERNAL, "came out with shape " + ShapeText(shape) +
                                   ", but the model declares " + ShapeText(info.shape));
  }
  error = CopyOut(request, output, value, shape);
  if (!error.ok() || !session_.MayBind(output.index) || info.fixed) return error;
  if (output.shape != nullptr) return {};
  session_.learned().Learn(input_dims_, output.index, std::move(shape));
  stale_ = true;
  return {};
}

// Copies a result into the request's memory.  Where memory of another size was
// handed out for it already, it asks for new memory, which replaces the first.
Error SlotRunner::CopyOut(const smi_request& request, Output& output, OrtValue* value,
                          const Shape& shape) {
  const TensorInfo& info = session_.tensors().outputs()[output.index];
  uint64_t bytes = 0;
  if (info.datatype == SMI_BYTES) {
    uint64_t count = 0;
    if (!ElementCount(shape.data(), shape.size(), &count)) {
      return Error(SMI_INTERNAL, "is too large");
    }
    EncodedBytes encoded;
    Error error = EncodedBytes::From(session_.ort(), value, count, &encoded);
    void* to = nullptr;
    if (error.ok()) error = AllocateOutput(request, output, shape, encoded.byte_size(), &to);
    if (error.ok()) encoded.WriteTo(to);
    return error;
  }
  if (!ByteSize(info.datatype, shape.data(), shape.size(), &bytes)) {
    return Error(SMI_INTERNAL, "is too large");
  }
  void* to = output.allocated;
  if (to == nullptr || output.shape == nullptr || *output.shape != shape) {
    const bool again = to != nullptr;
    if (again) session_.ForbidBinding(output.index);
    Error error = AllocateOutput(request, output, shape, bytes, &to);
    if (!error.ok() && again) {
      return Error(SMI_UNAVAILABLE, "has a size that depends on its data; send the request again");
    }
    if (!error.ok()) return error;
  }
  if (bytes == 0) return {};
  void* from = nullptr;
  Error error = session_.ort().ToError(api_.GetTensorMutableData(value, &from));
  if (error.ok()) std::memcpy(to, from, bytes);
  return error;
}

Error SlotRunner::AllocateOutput(const smi_request& request, const Output& output,
                                 const Shape& shape, uint64_t byte_size, void** data) const {
  char text[256] = "";
  smi_error reason = {sizeof(smi_error), sizeof(text), text};
  const TensorInfo& info = session_.tensors().outputs()[output.index];
  const smi_code code = session_.host().allocate_output(&request, output.index, info.datatype,
                                                        static_cast<uint32_t>(shape.size()),
                                                        shape.data(), byte_size, data, &reason);
  if (code == SMI_OK) return {};
  return Error(code, "of shape " + ShapeText(shape) + " could not be allocated: " + text);
}

Error SlotRunner::ReadShape(const OrtValue* value, Shape* shape) const {
  const OrtRuntime& ort = session_.ort();
  OrtTensorTypeAndShapeInfo* info = nullptr;
  Error error = ort.ToError(api_.GetTensorTypeAndShape(value, &info));
  if (!error.ok()) return error;
  const OrtPtr<OrtTensorTypeAndShapeInfo> owned(info, api_.ReleaseTensorTypeAndShapeInfo);
  size_t rank = 0;
  error = ort.ToError(api_.GetDimensionsCount(info, &rank));
  if (!error.ok()) return error;
  shape->resize(rank);
  return ort.ToError(api_.GetDimensions(info, shape->data(), rank));
}

Error SlotRunner::AboutOutput(const Output& output, const Error& error) const {
  return error.Prefixed("output " + Quote(session_.tensors().outputs()[output.index].name) + " ");
}

}  // namespace mlos::onnxrt
