// SPDX-License-Identifier: Apache-2.0
//
// http_load: a closed-loop HTTP/1.1 client that measures, and checks every byte that it is sent.
//
// Keeps N connections open and has one request outstanding on each; one thread, one epoll. The
// request is sent as it lies in a file, so nothing is formatted while measuring. It waits, asleep,
// for commands on standard input and answers each with one line of JSON on standard output, so
// that a driver can interleave short blocks against several servers without connecting again:
//
//   run WARM_MS MEASURE_MS    send for WARM_MS, then measure for MEASURE_MS, then let all finish
//
// Every request that begins in the measured time is counted, however late its answer comes: a
// stall at the end of a block is not lost. A wrong status, length or byte ends the program.

#include <getopt.h>
#include <sys/epoll.h>
#include <time.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/owned_fd.h"
#include "base/status.h"
#include "http_connection.h"
#include "latency_histogram.h"

namespace mlos::bench {
namespace {

// A server that does not answer for this long ends the measurement instead of hanging it.
constexpr int kSilenceLimitMs = 10'000;

struct Options {
  std::string address;
  int connections = 1;
  Exchange exchange;
};

uint64_t ProcessNanos() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * kNanosPerSecond + static_cast<uint64_t>(t.tv_nsec);
}

// All connections, and the loop that drives them. One thread.
class Load {
 public:
  explicit Load(const Options& options) : options_(options) {}

  Status Connect() {
    epoll_.Reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_) return ErrnoStatus("epoll_create1");
    for (int i = 0; i < options_.connections; ++i) {
      MLOS_ASSIGN_OR_RETURN(auto connection, Connection::Open(options_.address, options_.exchange));
      connections_.push_back(std::move(connection));
      MLOS_RETURN_IF_ERROR(Watch(*connections_.back(), EPOLL_CTL_ADD, EPOLLIN));
    }
    return OkStatus();
  }

  // Sends for `warm` + `measure` nanoseconds and prints what was measured.
  Status Run(uint64_t warm, uint64_t measure) {
    histogram_.Clear();
    total_ = 0;
    measure_from_ = NowNanos() + warm;
    measure_until_ = measure_from_ + measure;
    last_end_ = measure_from_;
    const uint64_t processor = ProcessNanos();
    active_ = 0;
    for (auto& connection : connections_) {
      ++active_;
      MLOS_RETURN_IF_ERROR(BeginRequest(*connection));
    }
    while (active_ > 0) MLOS_RETURN_IF_ERROR(Turn());
    Print(ProcessNanos() - processor);
    return OkStatus();
  }

 private:
  Status Watch(Connection& connection, int operation, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &connection;
    if (::epoll_ctl(epoll_.get(), operation, connection.fd(), &event) != 0) {
      return ErrnoStatus("epoll_ctl");
    }
    return OkStatus();
  }

  Status BeginRequest(Connection& connection) {
    MLOS_RETURN_IF_ERROR(connection.Begin());
    if (connection.unsent()) return Watch(connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    return OkStatus();
  }

  Status Turn() {
    epoll_event events[64];
    const int n = ::epoll_wait(epoll_.get(), events, 64, kSilenceLimitMs);
    if (n == 0) return DeadlineExceeded("the server has been silent for too long");
    if (n < 0) return errno == EINTR ? OkStatus() : ErrnoStatus("epoll_wait");
    for (int i = 0; i < n; ++i) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      if (events[i].events & EPOLLOUT) {
        MLOS_RETURN_IF_ERROR(connection.Send());
        if (!connection.unsent()) {
          MLOS_RETURN_IF_ERROR(Watch(connection, EPOLL_CTL_MOD, EPOLLIN));
        }
      }
      if (events[i].events & ~EPOLLOUT) MLOS_RETURN_IF_ERROR(connection.Receive());
      if (connection.complete()) MLOS_RETURN_IF_ERROR(Finish(connection));
    }
    return OkStatus();
  }

  Status Finish(Connection& connection) {
    const uint64_t now = NowNanos();
    MLOS_RETURN_IF_ERROR(connection.Verify());
    ++total_;
    if (connection.begun() >= measure_from_) {
      histogram_.Record(now - connection.begun());
      last_end_ = now;
    }
    if (now < measure_until_) return BeginRequest(connection);
    --active_;
    return OkStatus();
  }

  void Print(uint64_t processor) const {
    const double seconds =
        static_cast<double>(last_end_ - measure_from_) / static_cast<double>(kNanosPerSecond);
    const auto count = static_cast<double>(histogram_.count());
    std::printf("{\"requests\":%" PRIu64 ",\"requests_total\":%" PRIu64
                ",\"rate\":%.1f,\"p50_ns\":%" PRIu64 ",\"p90_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64
                ",\"p999_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64
                ",\"mean_ns\":%.0f,\"client_cpu_ns\":%" PRIu64 "}\n",
                histogram_.count(), total_, seconds > 0 ? count / seconds : 0,
                histogram_.Quantile(0.5), histogram_.Quantile(0.9), histogram_.Quantile(0.99),
                histogram_.Quantile(0.999), histogram_.max(), histogram_.mean(), processor);
    std::fflush(stdout);
  }

  const Options& options_;
  OwnedFd epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  LatencyHistogram histogram_;
  uint64_t total_ = 0;
  uint64_t measure_from_ = 0;
  uint64_t measure_until_ = 0;
  uint64_t last_end_ = 0;
  int active_ = 0;
};

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file) return NotFound("cannot read " + path);
  return std::move(content).str();
}

StatusOr<Options> ParseOptions(int argc, char** argv) {
  static const option kOptions[] = {{"address", required_argument, nullptr, 'a'},
                                    {"request", required_argument, nullptr, 'r'},
                                    {"expect", required_argument, nullptr, 'e'},
                                    {"status", required_argument, nullptr, 's'},
                                    {"connections", required_argument, nullptr, 'c'},
                                    {nullptr, 0, nullptr, 0}};
  Options options;
  std::string request_path, body_path;
  for (int o; (o = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (o) {
      case 'a':
        options.address = optarg;
        break;
      case 'r':
        request_path = optarg;
        break;
      case 'e':
        body_path = optarg;
        break;
      case 's':
        options.exchange.expected_status = std::atoi(optarg);
        break;
      case 'c':
        options.connections = std::atoi(optarg);
        break;
      default:
        return InvalidArgument("unknown option");
    }
  }
  if (options.address.empty() || request_path.empty() || body_path.empty() ||
      options.connections < 1 || options.connections > 10'000) {
    return InvalidArgument(
        "usage: http_load --address IPV4:PORT|unix:PATH --request FILE --expect BODY_FILE\n"
        "                 [--status 200] [--connections 1]\n"
        "then on standard input: run WARM_MS MEASURE_MS");
  }
  MLOS_ASSIGN_OR_RETURN(options.exchange.request, ReadFile(request_path));
  MLOS_ASSIGN_OR_RETURN(options.exchange.expected_body, ReadFile(body_path));
  return options;
}

Status Main(int argc, char** argv) {
  MLOS_ASSIGN_OR_RETURN(const Options options, ParseOptions(argc, argv));
  Load load(options);
  MLOS_RETURN_IF_ERROR(load.Connect());
  for (std::string line; std::getline(std::cin, line);) {
    unsigned warm_ms = 0, measure_ms = 0;
    if (std::sscanf(line.c_str(), "run %u %u", &warm_ms, &measure_ms) != 2 || measure_ms == 0) {
      return InvalidArgument("command '" + line + "' is not 'run WARM_MS MEASURE_MS'");
    }
    MLOS_RETURN_IF_ERROR(load.Run(warm_ms * kNanosPerMilli, measure_ms * kNanosPerMilli));
  }
  return OkStatus();
}

}  // namespace
}  // namespace mlos::bench

int main(int argc, char** argv) {
  const mlos::Status status = mlos::bench::Main(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "http_load: %s\n", std::string(mlos::Message(status)).c_str());
  return 1;
}
