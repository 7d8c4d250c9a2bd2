// SPDX-License-Identifier: Apache-2.0
//
// What a call through libmlos costs: program -> shared memory -> plugin host -> ONNX
// Runtime plugin -> back, of a real mlosd, against the bare library running the same
// model in this process.  Both take turns in short blocks of one run, in each
// placement of the program and the plugin host.
//
//   client_bench [PAIRS]      default 40
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "bare_classifier.h"
#include "base/clock.h"
#include "daemon_process.h"
#include "mlos/client.h"

namespace mlos::bench {
namespace {

constexpr uint64_t kBlockNanos = 50 * kNanosPerMilli;

char text[1024];
mlos_error error{sizeof(mlos_error), sizeof(text), text};

void Check(mlos_code code) {
  if (code != MLOS_OK) Die(text);
}

double Quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void Control(mlos_client* client, const char* operation, const char* name, const char* version,
             const std::string& body) {
  const char* json = nullptr;
  Check(mlos_control(client, operation, name, version, body.c_str(), true, 0, &json, &error));
}

// A daemon with the classifier, and a call of it that is ready to run.
struct Ready {
  Ready() {
    const std::string directory = std::filesystem::temp_directory_path() / "mlos-client-bench";
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    const std::string socket = directory + "/mlos.sock";
    process = std::make_unique<test::DaemonProcess>(
        std::vector<std::string>{"--auth", "off", "--http-address", "127.0.0.1:0", "--grpc-address",
                                 "off", "--metrics-address", "off", "--ipc-socket", socket,
                                 "--data-dir", directory + "/data"},
        directory + "/log");
    const std::string address = "unix://" + socket;
    if (!test::WaitUntil(
            [&] { return mlos_connect(address.c_str(), nullptr, &client, &error) == MLOS_OK; })) {
      Die(text);
    }
    const std::string package = MLOS_PLUGIN_PACKAGE;  // …/NAME/VERSION
    const std::string version = package.substr(package.rfind('/') + 1);
    Control(client, "plugin.register", nullptr, nullptr, R"({"path":")" + package + R"("})");
    Control(client, "plugin.load", "onnxruntime", version.c_str(), "");
    Control(client, "model.register", nullptr, nullptr,
            R"({"name":"classifier","path":")" MLOS_TESTDATA R"(/classifier.onnx"})");
    Control(client, "model.load", "classifier", "1", "");
    mlos_model* model = nullptr;
    Check(mlos_model_open(client, "classifier", nullptr, 0, &model, &error));
    Check(mlos_call_create(model, &call, &error));
    mlos_tensor input{};
    input.struct_size = sizeof(input);
    input.rank = 2;
    std::copy(std::begin(kInputShape), std::end(kInputShape), input.dims);
    mlos_request request{};
    request.struct_size = sizeof(request);
    request.input_count = 1;
    request.inputs = &input;
    Check(mlos_call_prepare(call, &request, 0, &error));
    data = static_cast<float*>(input.data);
    for (int i = 0; i < 64; ++i) data[i] = 0.01f * static_cast<float>(i);
  }
  ~Ready() { mlos_disconnect(client); }
  Ready(const Ready&) = delete;
  Ready& operator=(const Ready&) = delete;

  std::unique_ptr<test::DaemonProcess> process;
  mlos_client* client = nullptr;
  mlos_call* call = nullptr;
  float* data = nullptr;
};

// Mean nanoseconds of one `run` over a block; each is noted in `all`.
template <typename Run>
double Block(Run&& run, std::vector<double>* all) {
  const uint64_t start = NowNanos();
  uint64_t last = start;
  uint64_t count = 0;
  while (last - start < kBlockNanos) {
    run();
    ++count;
    const uint64_t now = NowNanos();
    if (all != nullptr) all->push_back(static_cast<double>(now - last) / 1000);
    last = now;
  }
  return static_cast<double>(last - start) / static_cast<double>(count);
}

void Pin(pid_t pid, int first, int last) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu = first; cpu <= last; ++cpu) CPU_SET(cpu, &set);
  std::error_code gone;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
    sched_setaffinity(std::atoi(task.path().filename().c_str()), sizeof(set), &set);
  }
}

// Processor time of a process and all below it, in nanoseconds.
uint64_t ProcessorNanos(pid_t pid) {
  uint64_t sum = 0;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream stat(task.path() / "schedstat");
    uint64_t spent = 0;
    stat >> spent;
    sum += spent;
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) sum += ProcessorNanos(child);
  }
  return sum;
}

std::vector<pid_t> Below(pid_t pid) {
  std::vector<pid_t> all;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) {
      all.push_back(child);
      for (const pid_t below : Below(child)) all.push_back(below);
    }
  }
  return all;
}

void Compare(const char* placement, Ready& ready, BareSide& bare, int pairs) {
  std::vector<double> floors;
  std::vector<double> added;
  std::vector<double> trips;
  uint64_t served = 0;
  const auto floor_run = [&] { bare.RunBound(); };
  const auto trip_run = [&] { Check(mlos_call_run(ready.call, 0, &error)); };
  for (int i = -2; i < pairs; ++i) {
    const double floor = Block(floor_run, nullptr);
    const uint64_t before = ProcessorNanos(ready.process->pid());
    const double trip = Block(trip_run, i < 0 ? nullptr : &trips);
    if (i < 0) continue;  // warms up
    served += ProcessorNanos(ready.process->pid()) - before;
    floors.push_back(floor / 1000);
    added.push_back((trip - floor) / 1000);
  }
  std::printf(
      "%-22s library %5.2f us; libmlos p50 %6.2f p99 %6.2f us; added %6.2f (%.2f to %.2f); "
      "server's processor time %.2f us\n",
      placement, Quantile(floors, 0.5), Quantile(trips, 0.5), Quantile(trips, 0.99),
      Quantile(added, 0.5), Quantile(added, 0.05), Quantile(added, 0.95),
      static_cast<double>(served) / 1000 / static_cast<double>(trips.size()));
}

int Main(int pairs) {
  Ready ready;
  std::ifstream file(MLOS_TESTDATA "/classifier.onnx", std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  alignas(64) float input[64];
  std::copy_n(ready.data, 64, input);
  BareSide bare(MLOS_PLUGIN_PACKAGE "/libonnxruntime.so.1", content, input);
  bare.RunBound();
  Check(mlos_call_run(ready.call, 0, &error));
  mlos_tensor output{};
  output.struct_size = sizeof(output);
  Check(mlos_call_output(ready.call, 0, &output));
  if (output.bytes != kOutputBytes || std::memcmp(output.data, bare.output(), kOutputBytes) != 0) {
    Die("the answers are not the same");
  }
  const std::vector<pid_t> hosts = Below(ready.process->pid());
  const auto place = [&](int program, int host) {
    Pin(getpid(), program, program);
    for (const pid_t pid : hosts) Pin(pid, host, host);
  };
  std::printf("classifier 1x64 -> 1x10, %d pairs of 50 ms\n", pairs);
  Compare("unpinned", ready, bare, pairs);
  place(0, 0);
  Compare("one core", ready, bare, pairs);
  place(0, 1);
  Compare("a core each", ready, bare, pairs);
  return 0;
}

}  // namespace
}  // namespace mlos::bench

int main(int argc, char** argv) {
  return mlos::bench::Main(argc > 1 ? std::max(std::atoi(argv[1]), 1) : 40);
}
