// SPDX-License-Identifier: Apache-2.0
//
// What a plugin host costs: the round trip engine -> channel -> host -> ONNX
// Runtime plugin -> back, from the front loop's own thread, against the bare
// library running the same model in this process.  Both take turns in short
// blocks of one run.
//
//   host_bench [PAIRS]      default 60
//
// Run it under `taskset -c N` for the placement in which all share one core.
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "bare_classifier.h"
#include "base/clock.h"
#include "test_core.h"

namespace mlos::bench {
namespace {

constexpr uint64_t kBlockNanos = 50 * kNanosPerMilli;

// Sends the same request again and again until the block is over.
class RepeatingCall : public engine::Call {
 public:
  RepeatingCall(engine::Engine& engine, const void* input) : engine_(engine), input_(input) {
    tensor::TensorDesc desc;
    desc.datatype = static_cast<uint32_t>(tensor::Datatype::kFp32);
    desc.rank = 2;
    std::copy(std::begin(kInputShape), std::end(kInputShape), desc.dims);
    desc.bytes = kInputBytes;
    plan_.inputs.push_back(desc);
  }

  // Mean nanoseconds of a round trip.
  std::future<double> Start() {
    done_ = {};
    count_ = 0;
    start_ns_ = NowNanos();
    Send();
    return done_.get_future();
  }

  void OnProgress() override {
    if (!status.ok()) Die(status.ToString().c_str());
    engine_.Finish(*this);
    ++count_;
    const uint64_t spent = NowNanos() - start_ns_;
    if (spent > kBlockNanos) {
      done_.set_value(static_cast<double>(spent) / static_cast<double>(count_));
    } else {
      Send();
    }
  }

 private:
  void Send() {
    deadline_ns = NowNanos() + 10 * kNanosPerSecond;
    if (!engine_.Resolve(*this, "classifier", "") || !status.ok()) Die("the model is not ready");
    if (!engine_.Allocate(*this, &plan_) || !status.ok()) Die("no request memory");
    std::memcpy(slot.memory.data() + plan_.inputs[0].offset, input_, kInputBytes);
    engine_.Submit(*this);
  }

  engine::Engine& engine_;
  const void* input_;
  tensor::RequestPlan plan_;
  std::promise<double> done_;
  uint64_t count_ = 0;
  uint64_t start_ns_ = 0;
};

double BareBlock(BareSide& bare) {
  const uint64_t start = NowNanos();
  uint64_t count = 0;
  uint64_t spent = 0;
  while ((spent = NowNanos() - start) < kBlockNanos) {
    for (int i = 0; i < 100; ++i) bare.RunBound();
    count += 100;
  }
  return static_cast<double>(spent) / static_cast<double>(count);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

int Main(int pairs) {
  test::TestCore core(1);
  catalog::ModelSpec spec;
  spec.name = "classifier";
  spec.path = std::string(MLOS_TESTDATA) + "/classifier.onnx";
  const std::string package = MLOS_PLUGIN_PACKAGE;  // …/NAME/VERSION
  if (!core.RegisterPlugin(package).ok() ||
      !core.LoadPlugin("onnxruntime", package.substr(package.rfind('/') + 1)).ok() ||
      !core.OnControl([&] { return core.catalog().RegisterModel(spec).status(); }).ok() ||
      !core.LoadModel("classifier").ok()) {
    Die("the plugin or the model cannot be loaded");
  }
  alignas(64) float input[64];
  for (int i = 0; i < 64; ++i) input[i] = 0.01f * static_cast<float>(i);
  std::ifstream file(spec.path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  BareSide bare(package + "/libonnxruntime.so.1", content, input);
  RepeatingCall call(core.engine(), input);

  std::vector<double> floors;
  std::vector<double> trips;
  std::vector<double> extras;
  for (int i = 0; i < pairs + 2; ++i) {
    const double floor = BareBlock(bare);
    const double trip = core.OnFront([&] { return call.Start(); }).get();
    if (i < 2) continue;  // warms up
    floors.push_back(floor / 1000);
    trips.push_back(trip / 1000);
    extras.push_back((trip - floor) / 1000);
  }
  std::printf("classifier 1x64 -> 1x10 through a plugin host, %d pairs of 50 ms\n", pairs);
  std::printf("library in process, bound   %7.2f us\n", Quantile(floors, 0.5));
  std::printf("round trip through the host %7.2f us (%.2f..%.2f)\n", Quantile(trips, 0.5),
              Quantile(trips, 0.05), Quantile(trips, 0.95));
  std::printf("added                       %7.2f us (%.2f..%.2f)\n", Quantile(extras, 0.5),
              Quantile(extras, 0.05), Quantile(extras, 0.95));
  return 0;
}

}  // namespace
}  // namespace mlos::bench

int main(int argc, char** argv) {
  return mlos::bench::Main(argc > 1 ? std::max(std::atoi(argv[1]), 1) : 60);
}
