// SPDX-License-Identifier: Apache-2.0
//
// What the plugin adds to ONNX Runtime: a request through SMI against the bare
// library running the same model with everything bound beforehand, which is the
// floor.  Contestants take turns in short blocks within one process and one
// run; the figure is the median of the ratios of neighbouring blocks.  The
// floor against itself says how fine the measurement is.
//
//   ort_plugin_bench [PAIRS]      default 60
#include <mlos/smi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "bare_classifier.h"
#include "testing/fake_host.h"

namespace {

using mlos::bench::BareSide;
using mlos::bench::Die;
using mlos::bench::kInputBytes;
using mlos::bench::kInputShape;
using mlos::bench::kOutputBytes;
using mlos::onnxrt::testing::AlignedBytes;
using mlos::onnxrt::testing::Artefact;
using mlos::onnxrt::testing::LoadedModel;
using mlos::onnxrt::testing::MakeAligned;
using mlos::onnxrt::testing::Plugin;

constexpr auto kBlock = std::chrono::milliseconds(20);
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
