// SPDX-License-Identifier: Apache-2.0
//
// What the plugin adds to ONNX Runtime: a request through SMI against the bare
// library running the same model with everything bound beforehand, which is the
// floor.  Contestants take turns in short blocks within one process and one
// run; the figure is the median of the ratios of neighbouring blocks.  The
// floor against itself says how fine the measurement is.
//
//   ort_plugin_bench [PAIRS]      default 60
#include <dlfcn.h>
#include <mlos/smi.h>
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "testing/fake_host.h"

namespace {

using mlos::onnxrt::testing::AlignedBytes;
using mlos::onnxrt::testing::Artefact;
using mlos::onnxrt::testing::LoadedModel;
using mlos::onnxrt::testing::MakeAligned;
using mlos::onnxrt::testing::Plugin;

constexpr auto kBlock = std::chrono::milliseconds(20);
constexpr size_t kInputBytes = 64 * sizeof(float);
constexpr size_t kOutputBytes = 10 * sizeof(float);
constexpr int64_t kInputShape[] = {1, 64};
constexpr int64_t kOutputShape[] = {1, 10};

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "ort_plugin_bench: %s\n", what);
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): there is one thread
}

// ------------------------------------------------------- the cheapest of hosts

struct Request {
  AlignedBytes outputs[2] = {MakeAligned(kOutputBytes), MakeAligned(kOutputBytes)};
  size_t next = 0;
  bool moving = false;  // gives another piece of memory each time
  bool failed = false;
};

Request& Of(const smi_request* request) { return *static_cast<Request*>(request->host_data); }

smi_code Allocate(const smi_request* request, uint32_t, smi_datatype, uint32_t, const int64_t*,
                  uint64_t byte_size, void** data, smi_error*) {
  Request& self = Of(request);
  if (byte_size != kOutputBytes) return SMI_INTERNAL;
  if (self.moving) self.next ^= 1;
  *data = self.outputs[self.next].get();
  return SMI_OK;
}

smi_code Respond(const smi_request*, smi_error*) { return SMI_OK; }
void Fail(const smi_request* request, smi_code, const char*) { Of(request).failed = true; }
bool IsCancelled(const smi_request*) { return false; }

class PluginSide {
 public:
  PluginSide(const LoadedModel& model, const void* input, bool moving) : model_(model) {
    state_.moving = moving;
    tensor_ = {sizeof(tensor_), 0, SMI_FP32, 2, kInputShape, input, kInputBytes};
    request_.struct_size = sizeof(request_);
    request_.slot = moving ? 1 : 0;
    request_.input_count = 1;
    request_.inputs = &tensor_;
    request_.deadline_ns = UINT64_MAX;
    request_.host_data = &state_;
  }
  void Run() {
    const smi_request* request = &request_;
    model_.plugin().api().execute(model_.get(), &request, 1, nullptr);
    if (state_.failed) Die("a request failed");
  }
  const void* output() const { return state_.outputs[state_.next].get(); }

 private:
  const LoadedModel& model_;
  Request state_;
  smi_tensor tensor_ = {};
  smi_request request_ = {};
};

// ------------------------------------------------------------ the bare library

class BareSide {
 public:
  BareSide(const std::string& library, const std::string& model, void* input) {
    void* handle = dlopen(library.c_str(), RTLD_NOW);
    const auto base =
        handle == nullptr
            ? nullptr
            : reinterpret_cast<const OrtApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"));
    if (base == nullptr) Die("ONNX Runtime cannot be loaded");
    api_ = base()->GetApi(ORT_API_VERSION);
    OrtEnv* env = nullptr;
    Check(api_->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "bench", &env));
    OrtSessionOptions* options = nullptr;
    Check(api_->CreateSessionOptions(&options));
    Check(api_->SetIntraOpNumThreads(options, 1));
    Check(api_->CreateSessionFromArray(env, model.data(), model.size(), options, &session_));
    OrtMemoryInfo* memory = nullptr;
    Check(api_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
    OrtValue *x = nullptr, *y = nullptr;
    Check(api_->CreateTensorWithDataAsOrtValue(memory, input, kInputBytes, kInputShape, 2,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &x));
    Check(api_->CreateTensorWithDataAsOrtValue(memory, output_.get(), kOutputBytes, kOutputShape, 2,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &y));
    input_ = x;
    Check(api_->CreateRunOptions(&run_options_));
    Check(api_->CreateIoBinding(session_, &binding_));
    Check(api_->BindInput(binding_, "x", x));
    Check(api_->BindOutput(binding_, "p", y));
  }
  void RunBound() { Check(api_->RunWithBinding(session_, run_options_, binding_)); }
  void RunPlain() {
    const char* const inputs[] = {"x"};
    const char* const outputs[] = {"p"};
    OrtValue* result = nullptr;
    Check(api_->Run(session_, run_options_, inputs, &input_, 1, outputs, 1, &result));
    api_->ReleaseValue(result);
  }
  const void* output() const { return output_.get(); }

 private:
  static void Check(OrtStatus* status) {
    if (status != nullptr) Die("ONNX Runtime failed");
  }

  // All of it lives until the process ends.
  const OrtApi* api_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtRunOptions* run_options_ = nullptr;
  OrtIoBinding* binding_ = nullptr;
  const OrtValue* input_ = nullptr;
  AlignedBytes output_ = MakeAligned(kOutputBytes);
};

// ----------------------------------------------------------------- measurement

// Mean nanoseconds of one run within one block.
double Block(const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  auto now = start;
  uint64_t runs = 0;
  while (now - start < kBlock) {
    for (int i = 0; i < 100; ++i) run();
    runs += 100;
    now = Clock::now();
  }
  return std::chrono::duration<double, std::nano>(now - start).count() / static_cast<double>(runs);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void Compare(const char* name, const std::function<void()>& floor, const std::function<void()>& run,
             int pairs) {
  std::vector<double> floors, runs, ratios, extras;
  Block(run);
  for (int i = 0; i < pairs; ++i) {
    const bool floor_first = i % 2 == 0;
    double a = 0, b = 0;
    if (floor_first) a = Block(floor);
    b = Block(run);
    if (!floor_first) a = Block(floor);
    floors.push_back(a);
    runs.push_back(b);
    ratios.push_back(b / a);
    extras.push_back(b - a);
  }
  std::printf("%-44s %8.0f ns  floor %6.0f ns  ratio %5.3f (%5.3f..%5.3f)  added %5.0f ns\n", name,
              Quantile(runs, 0.5), Quantile(floors, 0.5), Quantile(ratios, 0.5),
              Quantile(ratios, 0.05), Quantile(ratios, 0.95), Quantile(extras, 0.5));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::max(std::atoi(argv[1]), 1) : 60;
  const std::string library = MLOS_PLUGIN_LIBRARY;
  const std::string file = std::string(MLOS_TESTDATA) + "/classifier.onnx";

  smi_host_api requests = {};
  requests.allocate_output = Allocate;
  requests.respond = Respond;
  requests.fail = Fail;
  requests.is_cancelled = IsCancelled;
  const Plugin plugin(library, &requests);  // first: it switches telemetry off
  if (!plugin.ok()) Die(plugin.error().c_str());
  const Artefact artefact = Artefact::FromDirectory(MLOS_TESTDATA, "classifier.onnx");
  const LoadedModel model(plugin, artefact);
  if (!model.ok()) Die(model.error().c_str());

  const AlignedBytes input = MakeAligned(kInputBytes);
  for (int i = 0; i < 64; ++i) reinterpret_cast<float*>(input.get())[i] = 0.01f * i;
  const std::string content = mlos::onnxrt::testing::ReadFile(file);
  BareSide bare(library.substr(0, library.rfind('/')) + "/libonnxruntime.so.1", content,
                input.get());
  PluginSide same(model, input.get(), false), moving(model, input.get(), true);

  bare.RunBound();
  same.Run();
  same.Run();
  if (!std::equal(static_cast<const char*>(bare.output()),
                  static_cast<const char*>(bare.output()) + kOutputBytes,
                  static_cast<const char*>(same.output()))) {
    Die("the plugin's output differs from the library's");
  }

  const auto floor = [&] { bare.RunBound(); };
  std::printf("classifier 1x64 -> 1x10, one thread, %d pairs of 20 ms\n", pairs);
  Compare("library, everything bound, against itself", floor, floor, pairs);
  Compare(
      "library, plain run", floor, [&] { bare.RunPlain(); }, pairs);
  Compare(
      "plugin, same memory", floor, [&] { same.Run(); }, pairs);
  Compare(
      "plugin, output memory moves each time", floor, [&] { moving.Run(); }, pairs);
  return 0;
}
