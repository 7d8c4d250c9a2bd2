// SPDX-License-Identifier: Apache-2.0
//
// channel_bench [--pairs N] [--block MS] [--json FILE]: what a round trip over
// a channel costs beside the barest hand-over of the same kind, in one run.
// Prints a report in Markdown; FILE gets all figures.

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "channel_contestants.h"

namespace mlos::bench {
namespace {

struct Settings {
  int pairs = 30;
  uint64_t block_ns = 40 * kNanosPerMilli;
  std::string json;
};

struct Interval {
  double median = 0, low = 0, high = 0;
};

double Median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(middle), values.end());
  return values[middle];
}

// The median and a bootstrap 95 % interval for it.
Interval Estimate(const std::vector<double>& values) {
  constexpr int kResamples = 2000;
  std::mt19937_64 random(1);
  std::vector<double> medians, sample(values.size());
  medians.reserve(kResamples);
  for (int i = 0; i < kResamples; ++i) {
    for (double& value : sample) value = values[random() % values.size()];
    medians.push_back(Median(sample));
  }
  std::sort(medians.begin(), medians.end());
  return {Median(values), medians[kResamples / 40], medians[kResamples - kResamples / 40]};
}

using Metric = double Block::*;

struct Comparison {
  std::string machine, placement, subject, base;
  const char* metric_name;
  Interval ratio;
  Block subject_median, base_median;
};

Block MedianBlock(const std::vector<Block>& blocks) {
  Block median;
  for (Metric metric :
       {&Block::p50, &Block::p99, &Block::mean, &Block::processor, &Block::overhead}) {
    std::vector<double> values;
    values.reserve(blocks.size());
    for (const Block& block : blocks) values.push_back(block.*metric);
    median.*metric = Median(values);
  }
  return median;
}

class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings) {}

  // Pairs of blocks, ABBA or BAAB as drawn.
  Comparison Compare(Contestant& subject, Contestant& base, Metric metric) {
    std::vector<Block> subjects, bases;
    std::vector<double> ratios;
    for (int i = 0; i < settings_.pairs / 2; ++i) {
      Block s[2], b[2];
      const bool subject_first = random_() % 2 == 0;
      for (int half = 0; half < 2; ++half) {
        const bool first = subject_first == (half == 0);
        if (first) s[half] = subject.Measure(settings_.block_ns);
        b[half] = base.Measure(settings_.block_ns);
        if (!first) s[half] = subject.Measure(settings_.block_ns);
      }
      for (int half = 0; half < 2; ++half) {
        subjects.push_back(s[half]);
        bases.push_back(b[half]);
        ratios.push_back(s[half].*metric / b[half].*metric);
      }
    }
    Comparison comparison;
    comparison.ratio = Estimate(ratios);
    comparison.subject_median = MedianBlock(subjects);
    comparison.base_median = MedianBlock(bases);
    return comparison;
  }

  void AgainstFloor(const char* machine, const Placement& placement, Waiting waiting) {
    auto subject = MakeChannel(waiting, placement);
    auto base = MakeFloor(waiting, placement);
    Comparison result = Compare(*subject, *base, &Block::p50);
    Print(machine, placement, std::string("channel, ") + NameOf(waiting),
          std::string("bare ") + NameOf(waiting), "p50", &result);
  }

  void AgainstItself(const char* machine, const Placement& placement, Waiting waiting) {
    auto subject = MakeChannel(waiting, placement);
    auto base = MakeChannel(waiting, placement);
    Comparison result = Compare(*subject, *base, &Block::p50);
    Print(machine, placement, std::string("channel, ") + NameOf(waiting), "the same", "p50",
          &result);
  }

  // The adaptive policy against each fixed one.
  void Policies(const char* machine, const Placement& placement, bool spin_too) {
    std::vector<Waiting> fixed = {Waiting::kFutex, Waiting::kBounded};
    if (spin_too) fixed.push_back(Waiting::kSpin);
    auto adaptive = MakeChannel(Waiting::kAdaptive, placement);
    for (const Waiting waiting : fixed) {
      auto base = MakeChannel(waiting, placement);
      Comparison result = Compare(*adaptive, *base, &Block::mean);
      Print(machine, placement, "channel, adaptive", std::string("channel, ") + NameOf(waiting),
            "mean", &result);
    }
  }

  void Sizes(const char* machine, const Placement& placement, Waiting waiting) {
    auto large = MakeChannel(waiting, placement, 602'112);
    auto small = MakeChannel(waiting, placement, 64);
    Comparison result = Compare(*large, *small, &Block::overhead);
    Print(machine, placement, std::string("602,112 bytes, ") + NameOf(waiting), "64 bytes",
          "overhead", &result);
  }

  void Json() const {
    std::ofstream out(settings_.json);
    out << "[\n";
    for (size_t i = 0; i < results_.size(); ++i) {
      const Comparison& r = results_[i];
      const auto block = [](const Block& b) {
        char text[200];
        std::snprintf(text, sizeof(text),
                      "{\"p50\":%.0f,\"p99\":%.0f,\"mean\":%.0f,\"processor\":%.0f,"
                      "\"overhead\":%.0f}",
                      b.p50, b.p99, b.mean, b.processor, b.overhead);
        return std::string(text);
      };
      char ratio[100];
      std::snprintf(ratio, sizeof(ratio), "[%.4f,%.4f,%.4f]", r.ratio.median, r.ratio.low,
                    r.ratio.high);
      out << "{\"machine\":\"" << r.machine << "\",\"placement\":\"" << r.placement
          << "\",\"subject\":\"" << r.subject << "\",\"base\":\"" << r.base << "\",\"metric\":\""
          << r.metric_name << "\",\"ratio\":" << ratio
          << ",\"subject_ns\":" << block(r.subject_median)
          << ",\"base_ns\":" << block(r.base_median) << "}"
          << (i + 1 < results_.size() ? ",\n" : "\n");
    }
    out << "]\n";
  }

 private:
  void Print(const char* machine, const Placement& placement, const std::string& subject,
             const std::string& base, const char* metric, Comparison* result) {
    result->machine = machine;
    result->placement = placement.name;
    result->subject = subject;
    result->base = base;
    result->metric_name = metric;
    const Block& s = result->subject_median;
    const Block& b = result->base_median;
    const bool overhead = std::strcmp(metric, "overhead") == 0;
    std::printf(
        "| %s | %s | %s | %s | %.2f / %.2f / %.2f | %.2f / %.2f / %.2f | %.2f / %.2f | "
        "%s %.2f (%.2f–%.2f) |\n",
        machine, placement.name, subject.c_str(), base.c_str(),
        (overhead ? s.overhead : s.p50) / 1e3, s.p99 / 1e3, s.mean / 1e3,
        (overhead ? b.overhead : b.p50) / 1e3, b.p99 / 1e3, b.mean / 1e3, s.processor / 1e3,
        b.processor / 1e3, metric, result->ratio.median, result->ratio.low, result->ratio.high);
    std::fflush(stdout);
    results_.push_back(*result);
  }

  const Settings settings_;
  std::mt19937_64 random_{20250101};
  std::vector<Comparison> results_;
};

std::vector<int> UsableProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) processors.push_back(i);
  }
  return processors;
}

void Describe() {
  utsname system{};
  uname(&system);
  std::ifstream load("/proc/loadavg");
  std::string average;
  std::getline(load, average);
  const channel::WaitCosts costs = channel::Calibrate();
  std::printf("%s %s, %u processors, load %s; calibrated wake-up %.1f µs\n\n", system.sysname,
              system.release, costs.processors, average.c_str(),
              static_cast<double>(costs.wake_ns) / 1e3);
  std::printf(
      "Times in µs: p50 (or overhead) / p99 / mean of a round trip; processor time of both\n"
      "processes per round trip; the ratio of the named metric with its 95 %% interval.\n\n"
      "| machine | placement | subject | base | subject µs | base µs | processor µs | ratio |\n"
      "|---|---|---|---|---|---|---|---|\n");
}

void RunAll(Bench& bench, const std::vector<int>& processors) {
  const Placement apart{"two cores", processors.front(), processors.back()};
  const Placement same{"one core", processors.front(), processors.front()};
  const Placement free{"unpinned", -1, -1};
  const bool two = processors.size() > 1;
  for (const char* machine : {"idle", "busy"}) {
    std::vector<std::unique_ptr<Hog>> hogs;
    if (std::strcmp(machine, "busy") == 0) {
      for (const int processor : processors) hogs.push_back(std::make_unique<Hog>(processor));
    }
    if (two) {
      bench.AgainstItself(machine, apart, Waiting::kSpin);
      bench.AgainstFloor(machine, apart, Waiting::kSpin);
      bench.Sizes(machine, apart, Waiting::kSpin);
      bench.AgainstFloor(machine, apart, Waiting::kFutex);
      bench.AgainstFloor(machine, apart, Waiting::kEvent);
    }
    bench.AgainstFloor(machine, same, Waiting::kFutex);
    bench.AgainstFloor(machine, same, Waiting::kEvent);
    bench.Sizes(machine, same, Waiting::kFutex);
    bench.Policies(machine, same, false);
    if (two) {
      bench.Policies(machine, apart, true);
      bench.Policies(machine, free, true);
    }
  }
}

bool Parse(int argc, char** argv, Settings* settings) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    if (std::strcmp(argv[i], "--pairs") == 0) {
      settings->pairs = std::max(4, std::atoi(argv[i + 1]));
    } else if (std::strcmp(argv[i], "--block") == 0) {
      const int millis = std::max(1, std::atoi(argv[i + 1]));
      settings->block_ns = static_cast<uint64_t>(millis) * kNanosPerMilli;
    } else if (std::strcmp(argv[i], "--json") == 0) {
      settings->json = argv[i + 1];
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

static int Main(int argc, char** argv) {
  Settings settings;
  if (!Parse(argc, argv, &settings)) {
    std::fprintf(stderr, "usage: channel_bench [--pairs N] [--block MS] [--json FILE]\n");
    return 2;
  }
  Bench bench(settings);
  Describe();
  RunAll(bench, UsableProcessors());
  if (!settings.json.empty()) bench.Json();
  return 0;
}

}  // namespace mlos::bench

int main(int argc, char** argv) { return mlos::bench::Main(argc, argv); }
