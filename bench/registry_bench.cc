// SPDX-License-Identifier: Apache-2.0
//
// What the registries cost: a durable registration over HTTP beside the least
// that any of them pays (500 bytes written and waited for with fdatasync), and
// what a thousand registered models cost against one: memory, listing, routing,
// start.  Contestants take turns in an order drawn anew, so that a slow moment
// hits all.  Prints a page.
//
//   registry_bench [DIRECTORY] > bench/reports/registry.md    on whose disk
#include <fcntl.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/owned_fd.h"
#include "registry_daemon.h"

namespace {

using mlos::NowNanos;
using mlos::bench::Median;
using mlos::bench::Micros;
using mlos::bench::Mlosd;
using mlos::bench::PinProcess;
using mlos::bench::Quantile;
using mlos::bench::Require;
using mlos::test::HttpClient;
using mlos::test::Reply;

constexpr int kWarmUp = 20;
constexpr int kRounds = 600;
constexpr int kModels = 1000;
constexpr int kPairs = 60;
constexpr int kBlock = 200;  // requests
constexpr char kInfer[] = R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})";

std::string PluginBody() { return std::string(R"({"path":")") + MLOS_BENCH_PLUGIN + "\"}"; }
std::string ModelBody(const std::string& name) {
  return R"({"name":")" + name + R"(","path":")" + MLOS_BENCH_MODEL + R"(","plugin":"echo"})";
}
constexpr char kPluginTarget[] = "/api/v1/plugins/echo/versions/1.0.0";
std::string ModelTarget(const std::string& name) {
  return "/api/v1/models/" + name + "/versions/1";
}

// ------------------------------------------------------------- registration

struct Contestant {
  std::string name;
  double limit_ms;  // 0: none
  double budget_ms;
  std::function<void()> run;
  std::function<void()> undo;
  std::vector<double> micros;
};

void Race(std::vector<Contestant>* contestants, int rounds) {
  std::mt19937 random(1);
  std::vector<size_t> order(contestants->size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (int round = -kWarmUp; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const size_t i : order) {
      Contestant& c = (*contestants)[i];
      const double took = Micros(c.run);
      if (c.undo) c.undo();
      if (round >= 0) c.micros.push_back(took);
    }
  }
}

void PrintVerdict(double allowed_ms, double micros) {
  if (allowed_ms == 0) {
    std::printf(" |");
  } else {
    std::printf(" %.1f: %s |", allowed_ms, micros <= allowed_ms * 1e3 ? "met" : "missed");
  }
}

void PrintRace(const std::vector<Contestant>& contestants) {
  std::printf(
      "| | p50 µs | p99 µs | p50 to fdatasync | p99 to fdatasync | p50 budget, "
      "ms | p99 limit, ms |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  const auto& floor = contestants[0].micros;
  for (const Contestant& c : contestants) {
    const double p99 = Quantile(c.micros, 0.99);
    std::vector<double> ratios(c.micros.size());
    std::transform(c.micros.begin(), c.micros.end(), floor.begin(), ratios.begin(),
                   std::divides<>());
    std::printf("| %s | %.0f | %.0f | %.2f | %.2f |", c.name.c_str(), Median(c.micros), p99,
                Median(ratios), p99 / Quantile(floor, 0.99));
    PrintVerdict(c.budget_ms, Median(c.micros));
    PrintVerdict(c.limit_ms, p99);
    std::printf("\n");
  }
  std::printf("\n");
}

void Registration(const std::string& directory) {
  Mlosd mlosd(directory + "/register");
  const mlos::OwnedFd file(
      open((directory + "/floor").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const std::string bytes(500, 'x');
  int number = 0;
  const auto must = [](HttpClient& client, const char* target, const std::string& body) {
    const Reply reply = client.Send("POST", target, body);
    Require(reply.status == 201, reply.body);
  };
  const auto plugin = [&](HttpClient& c) { must(c, "/api/v1/plugins", PluginBody()); };
  const auto model = [&](HttpClient& c) {
    must(c, "/api/v1/models", ModelBody("m" + std::to_string(++number)));
  };
  const auto drop_model = [&] { mlosd.Must("DELETE", ModelTarget("m" + std::to_string(number))); };
  const auto drop_plugin = [&] { mlosd.Must("DELETE", kPluginTarget); };
  std::vector<Contestant> plugins{
      {"append 500 bytes, fdatasync",
       0,
       0,
       [&] {
         Require(write(file.get(), bytes.data(), bytes.size()) == 500 && fdatasync(file.get()) == 0,
                 "cannot write");
       },
       {},
       {}},
      {"health, TCP", 0, 0, [&] { mlosd.tcp->Send("GET", "/v2/health/live"); }, {}, {}},
      {"health, Unix socket", 0, 0, [&] { mlosd.local->Send("GET", "/v2/health/live"); }, {}, {}},
      {"register a plugin, TCP", 5, 0, [&] { plugin(*mlosd.tcp); }, drop_plugin, {}},
      {"register a plugin, Unix socket", 5, 0.5, [&] { plugin(*mlosd.local); }, drop_plugin, {}},
  };
  Race(&plugins, kRounds);
  mlosd.Must("POST", "/api/v1/plugins", PluginBody());
  std::vector<Contestant> models{
      plugins[0],
      {"register a model, TCP", 10, 0, [&] { model(*mlosd.tcp); }, drop_model, {}},
      {"register a model, Unix socket", 10, 1, [&] { model(*mlosd.local); }, drop_model, {}},
  };
  models[0].micros.clear();
  Race(&models, kRounds);
  std::printf("## A durable registration\n\n%d of each, in turns.\n\n", kRounds);
  PrintRace(plugins);
  PrintRace(models);
}

// ----------------------------------------------------------- a thousand models

std::vector<double> Repeat(int times, const std::function<double()>& run) {
  std::vector<double> out;
  for (int i = 0; i < times; ++i) out.push_back(run());
  return out;
}

std::vector<double> List(Mlosd* mlosd, size_t* bytes) {
  return Repeat(51, [&] {
    return Micros([&] { *bytes = mlosd->Must("GET", "/api/v1/models").body.size(); });
  });
}

double Block(Mlosd* mlosd) {
  return Median(Repeat(kBlock, [&] {
    return Micros([&] {
      Require(mlosd->tcp->Send("POST", "/v2/models/m0/infer", kInfer).status == 200, "no answer");
    });
  }));
}

struct Interval {
  double middle, low, high;
};
Interval Bootstrap(const std::vector<double>& values) {
  std::mt19937 random(1);
  std::vector<double> medians;
  for (int i = 0; i < 2000; ++i) {
    std::vector<double> drawn(values.size());
    for (double& d : drawn) d = values[random() % values.size()];
    medians.push_back(Median(drawn));
  }
  return {Median(values), Quantile(medians, 0.025), Quantile(medians, 0.975)};
}

// ABBA or BAAB: the medians of the blocks' ratios.
Interval Compare(Mlosd* a, Mlosd* b, std::vector<double>* first, std::vector<double>* second) {
  std::mt19937 random(1);
  std::vector<double> ratios;
  for (int i = 0; i < kPairs; ++i) {
    const bool swap = (i % 2 == 0 ? random() : random()) % 2 != 0;
    const double one = Block(swap ? b : a);
    const double two = Block(swap ? a : b);
    first->push_back(swap ? two : one);
    second->push_back(swap ? one : two);
    ratios.push_back(first->back() / second->back());
  }
  return Bootstrap(ratios);
}

std::vector<double> Starts(Mlosd* mlosd) {
  return Repeat(11, [&] {
    mlosd->Kill();
    return mlosd->StartMillis();
  });
}

void Thousand(const std::string& directory) {
  Mlosd one(directory + "/one");
  Mlosd many(directory + "/many");
  Mlosd again(directory + "/again");
  for (Mlosd* mlosd : {&one, &many, &again}) {
    mlosd->Must("POST", "/api/v1/plugins", PluginBody());
    mlosd->Must("POST", std::string(kPluginTarget) + "/load");
    mlosd->Must("POST", "/api/v1/models", ModelBody("m0"));
    mlosd->Must("POST", ModelTarget("m0") + "/load");
  }
  const double rss_before = many.RssMiB();
  std::vector<double> registered;
  for (int i = 1; i < kModels; ++i) {
    registered.push_back(
        Micros([&] { many.Must("POST", "/api/v1/models", ModelBody("m" + std::to_string(i))); }));
  }
  const double total_ms = std::accumulate(registered.begin(), registered.end(), 0.0) / 1e3;
  const std::vector<double> first(registered.begin(), registered.begin() + 100);
  const std::vector<double> last(registered.end() - 100, registered.end());
  // Until all checksums are there, or they would disturb what follows.
  Require(mlos::test::WaitUntil([&] {
            return many.Must("GET", "/api/v1/models").body.find("\"sha256\":null") ==
                   std::string::npos;
          }),
          "checksums are missing");
  const double rss_after = many.RssMiB();
  size_t bytes_one = 0;
  size_t bytes_many = 0;
  const double list_one = Median(List(&one, &bytes_one));
  const std::vector<double> list_many = List(&many, &bytes_many);
  std::vector<double> a, b, c, d;
  cpu_set_t everywhere;
  sched_getaffinity(0, sizeof everywhere, &everywhere);
  PinProcess(getpid(), 0);
  for (Mlosd* mlosd : {&one, &many, &again}) mlosd->PinTo(0);
  const Interval routing = Compare(&many, &one, &a, &b);
  const Interval itself = Compare(&again, &one, &c, &d);
  sched_setaffinity(0, sizeof everywhere, &everywhere);
  const double start_one = Median(Starts(&one));
  const std::vector<double> start_many = Starts(&many);
  const double rss_start = many.RssMiB();

  std::vector<double> loads;
  for (int i = 1; i < kModels; ++i) {
    loads.push_back(
        Micros([&] { many.Must("POST", ModelTarget("m" + std::to_string(i)) + "/load"); }));
  }
  const std::vector<double> start_loaded = Starts(&many);
  std::printf("## A thousand models\n\n");
  std::printf(
      "Models of the test plugin `echo`, each of one small file, registered over the Unix "
      "socket.\n\n| what | with 1 | with 1,000 | |\n|---|---|---|---|\n");
  std::printf("| registering 999 more, ms in all | | %.0f | %.0f µs each |\n", total_ms,
              total_ms * 1e3 / (kModels - 1));
  std::printf(
      "| one registration, the first hundred and the last, p50 µs | %.0f | %.0f | ratio "
      "%.2f |\n",
      Median(first), Median(last), Median(last) / Median(first));
  std::printf("| mlosd resident, MiB | %.1f | %.1f | %.1f kB a model |\n", rss_before, rss_after,
              (rss_after - rss_before) * 1024 / (kModels - 1));
  std::printf("| the same after a start, MiB | | %.1f | |\n", rss_start);
  std::printf("| listing all, p50 µs | %.0f | %.0f | p99 %.0f µs, %zu bytes |\n", list_one,
              Median(list_many), Quantile(list_many, 0.99), bytes_many);
  std::printf(
      "| inference of a small model over TCP, all on one core, p50 µs | %.1f | %.1f | ratio %.3f "
      "(%.3f–%.3f) |\n",
      Median(b), Median(a), routing.middle, routing.low, routing.high);
  std::printf("| two daemons with 1 each (the resolution) | %.1f | | ratio %.3f (%.3f–%.3f) |\n",
              Median(d), itself.middle, itself.low, itself.high);
  std::printf("| killed, started, ready, ms; 1 of them loaded | %.1f | %.1f | longest %.1f |\n",
              start_one, Median(start_many), Quantile(start_many, 1));
  std::printf("| one load, p50 µs | | %.0f | last hundred %.0f |\n",
              Median({loads.begin(), loads.begin() + 100}),
              Median({loads.end() - 100, loads.end()}));
  std::printf("| killed, started, ready, ms; all loaded | | %.1f | longest %.1f |\n",
              Median(start_loaded), Quantile(start_loaded, 1));
}

void Machine() {
  std::string line, model = "unknown";
  std::ifstream cpus("/proc/cpuinfo");
  while (std::getline(cpus, line)) {
    if (line.rfind("model name", 0) == 0) model = line.substr(line.find(':') + 2);
  }
  utsname name{};
  uname(&name);
  double load = 0;
  getloadavg(&load, 1);
  std::printf(
      "# Registries: what a change and a thousand models cost\n\n"
      "Made by `registry_bench`; every figure is of one run, in which contestants took "
      "turns.\n`bench/README.md` says how it measures.\n\n"
      "- processor: %s, %u cores\n- kernel: %s\n- load average at start: %.2f\n\n",
      model.c_str(), std::thread::hardware_concurrency(), name.release, load);
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory =
      std::filesystem::absolute(argc > 1 ? argv[1] : ".").string() + "/registry-bench-XXXXXX";
  Require(mkdtemp(directory.data()) != nullptr, "cannot make a directory");
  Machine();
  Registration(directory);
  Thousand(directory);
  std::filesystem::remove_all(directory);
  return 0;
}
