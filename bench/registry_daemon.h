// SPDX-License-Identifier: Apache-2.0
//
// The daemon that registry_bench measures, and what it measures with.  One
// thread.
#pragma once

#include <sched.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "daemon_process.h"
#include "http_client.h"

namespace mlos::bench {

inline void Require(bool done, const std::string& what) {
  if (done) return;
  std::fprintf(stderr, "registry_bench: %s\n", what.c_str());
  std::exit(1);
}

inline double Quantile(std::vector<double> values, double at) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(at * static_cast<double>(values.size() - 1))];
}
inline double Median(const std::vector<double>& values) { return Quantile(values, 0.5); }

inline double Micros(const std::function<void()>& run) {
  const uint64_t begin = NowNanos();
  run();
  return static_cast<double>(NowNanos() - begin) / 1e3;
}

inline void PinProcess(pid_t pid, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    sched_setaffinity(std::atoi(task.path().filename().c_str()), sizeof set, &set);
  }
}

// A daemon on a data directory of its own that outlives it.
class Mlosd {
 public:
  explicit Mlosd(std::string directory) : directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_);
    StartMillis();
  }
  double StartMillis() {
    std::filesystem::remove(addresses());
    const uint64_t begin = NowNanos();
    process_ = std::make_unique<test::DaemonProcess>(
        std::vector<std::string>{"--auth", "off", "--grpc-address", "off", "--metrics-address",
                                 "off", "--http-address", "127.0.0.1:0", "--http-address",
                                 "unix:" + directory_ + "/socket", "--data-dir",
                                 directory_ + "/data", "--print-addresses", addresses()},
        directory_ + "/log");
    local = std::make_unique<test::HttpClient>("unix:" + directory_ + "/socket");
    const bool ready = test::WaitUntil([&] {
      return std::filesystem::exists(addresses()) &&
             local->Send("GET", "/v2/health/ready").status == 200;
    });
    Require(ready, "mlosd does not start:\n" + process_->log());
    const double took = static_cast<double>(NowNanos() - begin) / 1e6;
    const std::string text = test::ReadWhole(addresses());
    const size_t at = text.find("127.0.0.1:");
    tcp = std::make_unique<test::HttpClient>(text.substr(at, text.find('"', at) - at));
    return took;
  }
  void Kill() {
    process_->Signal(SIGKILL);
    process_->WaitExit();
  }
  // The daemon and its hosts, every thread: where they run decides what a
  // request costs, and is not what is compared.
  void PinTo(int cpu) {
    PinProcess(process_->pid(), cpu);
    const std::string hosts = Must("GET", "/api/v1/hosts").body;
    constexpr std::string_view kPid = "\"pid\":";
    for (size_t at = hosts.find(kPid); at != std::string::npos; at = hosts.find(kPid, at + 1)) {
      PinProcess(std::atoi(hosts.c_str() + at + kPid.size()), cpu);
    }
  }
  double RssMiB() const { return static_cast<double>(test::RssBytes(process_->pid())) / (1 << 20); }
  test::Reply Must(std::string_view method, const std::string& target,
                   const std::string& body = {}) {
    test::Reply reply = local->Send(method, target, body);
    Require(reply.status / 100 == 2, target + ": " + reply.body);
    return reply;
  }

  std::unique_ptr<test::HttpClient> tcp;
  std::unique_ptr<test::HttpClient> local;

 private:
  std::string addresses() const { return directory_ + "/addresses"; }
  const std::string directory_;
  std::unique_ptr<test::DaemonProcess> process_;
};

}  // namespace mlos::bench
