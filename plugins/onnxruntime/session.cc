// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <cstddef>

#include "external_data.h"
#include "onnx_scan.h"

namespace mlos::onnxrt {
namespace {

// The most that a trial run may take for its inputs.
constexpr uint64_t kMaxTrialBytes = uint64_t{64} << 20;

// Options are set in a row; the first that fails ends it.
class OptionSetter {
 public:
  OptionSetter(const OrtRuntime& ort, OrtSessionOptions* options) : ort_(ort), options_(options) {}

  template <typename Fn, typename... Args>
  OptionSetter& Set(Fn fn, Args... args) {
    if (error_.ok()) error_ = ort_.ToError(fn(options_, args...));
    return *this;
  }
  Error Take() { return std::move(error_); }

 private:
  const OrtRuntime& ort_;
  OrtSessionOptions* options_;
  Error error_;
};

Error Configure(const OrtRuntime& ort, const Settings& settings, uint32_t granted,
                const std::string& name, OrtSessionOptions* options) {
  const OrtApi& api = ort.api();
  const uint32_t intra = settings.intra_op_threads != 0 ? settings.intra_op_threads : granted;
  // Threads that wait for work must sleep: the processor belongs to the others.
  const char* spin = settings.allow_spinning ? "1" : "0";
  OptionSetter set(ort, options);
  set.Set(api.SetSessionLogId, name.c_str())
      .Set(api.SetIntraOpNumThreads, static_cast<int>(intra))
      .Set(api.SetInterOpNumThreads, static_cast<int>(settings.inter_op_threads))
      .Set(api.SetSessionExecutionMode, settings.parallel_execution ? ORT_PARALLEL : ORT_SEQUENTIAL)
      .Set(api.SetSessionGraphOptimizationLevel, settings.optimization)
      .Set(settings.cpu_mem_arena ? api.EnableCpuMemArena : api.DisableCpuMemArena)
      .Set(settings.mem_pattern ? api.EnableMemPattern : api.DisableMemPattern)
      .Set(api.AddSessionConfigEntry, "session.intra_op.allow_spinning", spin)
      .Set(api.AddSessionConfigEntry, "session.inter_op.allow_spinning", spin)
      .Set(api.AddSessionConfigEntry, "session.load_model_format", "ONNX");
  return set.Take();
}

}  // namespace

Error Session::Load(const OrtRuntime& ort, const smi_host_api& host, const smi_load_params& params,
                    const Settings& settings, std::unique_ptr<Session>* session) {
  std::unique_ptr<Session> made(new Session(ort, host, params.name));
  if (Error error = made->Create(params, settings); !error.ok()) return error;
  *session = std::move(made);
  return {};
}

Error Session::Create(const smi_load_params& params, const Settings& settings) {
  char text[256] = "";
  smi_error reason = {sizeof(smi_error), sizeof(text), text};
  smi_blob blob = {};
  blob.struct_size = sizeof(blob);
  const smi_code code = host_->open_artefact(params.artefact, nullptr, &blob, &reason);
  if (code != SMI_OK) return Error(code, "the model's file could not be opened: " + Tidy(text));

  OnnxScan scan;
  const std::string_view file(static_cast<const char*>(blob.data), blob.size);
  Error error = ScanOnnx(file, "the model's file", &scan);
  if (!error.ok()) return error;

  const OrtApi& api = ort_->api();
  OrtSessionOptions* raw_options = nullptr;
  error = ort_->ToError(api.CreateSessionOptions(&raw_options));
  if (!error.ok()) return error;
  const OrtPtr<OrtSessionOptions> options(raw_options, api.ReleaseSessionOptions);
  error = Configure(*ort_, settings, params.threads, name_, raw_options);
  ExternalData external;
  if (error.ok()) error = external.Open(*host_, params.artefact, scan);
  if (error.ok()) error = external.AddTo(*ort_, raw_options);
  if (!error.ok()) return error;

  std::string storage;
  const std::string_view bytes = external.Inline(file, &storage);
  OrtSession* raw_session = nullptr;
  error = ort_->ToError(api.CreateSessionFromArray(ort_->env(), bytes.data(), bytes.size(),
                                                   raw_options, &raw_session));
  if (!error.ok()) {
    // Whatever the library calls it, the cause is what is in the file.
    const smi_code shown = error.code() == SMI_INTERNAL ? SMI_INVALID_ARGUMENT : error.code();
    return Error(shown, "ONNX Runtime refused it: " + error.text());
  }
  session_ = OrtPtr<OrtSession>(raw_session, api.ReleaseSession);

  error = tensors_.Read(*ort_, raw_session, scan);
  if (error.ok()) error = LearnRanks();
  if (error.ok()) error = tensors_.CheckBatchable(settings.max_batch_size);
  if (!error.ok()) return error;

  const std::vector<TensorInfo>& outputs = tensors_.outputs();
  learned_ = std::make_unique<LearnedShapes>(outputs.size());
  may_bind_ = std::make_unique<std::atomic<bool>[]>(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) may_bind_[i] = outputs[i].datatype != SMI_BYTES;
  return {};
}

void Session::ForbidBinding(size_t output) {
  if (!may_bind_[output].exchange(false)) return;
  const std::string text = "model " + Quote(name_) + ": output " +
                           Quote(tensors_.outputs()[output].name) +
                           " cannot be written in place and is copied from now on";
  host_->log(host_->context, SMI_LOG_INFO, text.c_str());
}

Error Session::LearnRanks() {
  const TensorInfo* unknown = nullptr;
  for (const TensorInfo& output : tensors_.outputs()) {
    if (!output.rank_known) unknown = &output;
  }
  if (unknown == nullptr) return {};
  std::vector<Shape> shapes;
  if (Error error = TrialRun(&shapes); !error.ok()) {
    return Invalid("output " + Quote(unknown->name) +
                   " declares no shape and a trial run did not show one (" + error.text() +
                   "); export the model with one (unknown sizes are fine)");
  }
  for (size_t i = 0; i < shapes.size(); ++i) {
    TensorInfo& output = tensors_.mutable_outputs()[i];
    if (output.rank_known) continue;
    output.rank_known = true;
    output.SetShape(Shape(shapes[i].size(), -1));
  }
  return {};
}

Error Session::TrialRun(std::vector<Shape>* output_shapes) const {
  const OrtApi& api = ort_->api();
  std::vector<std::vector<std::max_align_t>> memory;
  std::vector<OrtPtr<OrtValue>> values;
  std::vector<const char*> input_names, output_names;
  std::vector<const OrtValue*> inputs;
  uint64_t total = 0;
  for (const TensorInfo& input : tensors_.inputs()) {
    Shape shape = input.shape;
    for (int64_t& dim : shape) dim = dim < 0 ? 1 : dim;
    uint64_t bytes = 0;
    if (!ByteSize(input.datatype, shape.data(), shape.size(), &bytes) ||
        __builtin_add_overflow(total, bytes, &total) || total > kMaxTrialBytes) {
      return Error(SMI_RESOURCE_EXHAUSTED, "the inputs are too large to be made up");
    }
    OrtValue* value = nullptr;
    Error error;
    if (input.datatype == SMI_BYTES) {
      error = ort_->ToError(api.CreateTensorAsOrtValue(ort_->allocator(), shape.data(),
                                                       shape.size(), input.ort_type, &value));
    } else {
      memory.emplace_back(bytes / sizeof(std::max_align_t) + 1);
      error = ort_->ToError(
          api.CreateTensorWithDataAsOrtValue(ort_->cpu_memory(), memory.back().data(), bytes,
                                             shape.data(), shape.size(), input.ort_type, &value));
    }
    if (!error.ok()) return error;
    values.emplace_back(value, api.ReleaseValue);
    inputs.push_back(value);
    input_names.push_back(input.name.c_str());
  }
  for (const TensorInfo& output : tensors_.outputs()) output_names.push_back(output.name.c_str());

  std::vector<OrtValue*> outputs(output_names.size(), nullptr);
  Error error =
      ort_->ToError(api.Run(get(), nullptr, input_names.data(), inputs.data(), inputs.size(),
                            output_names.data(), output_names.size(), outputs.data()));
  for (OrtValue* output : outputs) {
    if (output != nullptr) values.emplace_back(output, api.ReleaseValue);
  }
  output_shapes->clear();
  for (size_t i = 0; i < outputs.size() && error.ok(); ++i) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    error = ort_->ToError(api.GetTensorTypeAndShape(outputs[i], &info));
    if (!error.ok()) break;
    const OrtPtr<OrtTensorTypeAndShapeInfo> owned(info, api.ReleaseTensorTypeAndShapeInfo);
    size_t rank = 0;
    error = ort_->ToError(api.GetDimensionsCount(info, &rank));
    Shape shape(rank);
    if (error.ok()) error = ort_->ToError(api.GetDimensions(info, shape.data(), rank));
    output_shapes->push_back(std::move(shape));
  }
  return error;
}

}  // namespace mlos::onnxrt
