// SPDX-License-Identifier: Apache-2.0
#include "daemon/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/log.h"

namespace mlos::daemon {
namespace {

// A plugin host takes about ten and one for each segment of its channel.  A
// loaded model takes one for each of its files, however many there may be.
constexpr uint64_t kForOthers = 512;
constexpr uint64_t kShareForOthers = 4;  // of the limit, where that is more
constexpr uint64_t kShareForPeers = 4;   // and never less than this for connections
constexpr uint64_t kShareForChannels = 16;

}  // namespace

uint64_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return before;
  return limit.rlim_cur;
}

uint64_t ChannelsThatFit(uint64_t wanted, uint64_t descriptors) {
  return std::min(wanted, descriptors / kShareForChannels);
}

Connections ConnectionsThatFit(Connections wanted, uint64_t descriptors, uint64_t regions) {
  const uint64_t others = std::max(kForOthers, descriptors / kShareForOthers) + regions;
  const uint64_t left =
      std::max(descriptors - std::min(others, descriptors), descriptors / kShareForPeers);
  const uint64_t all = uint64_t{wanted.http} + wanted.grpc + wanted.ipc;
  if (all <= left) return wanted;
  const auto share = [&](uint32_t of) {
    return of == 0 ? 0 : static_cast<uint32_t>(std::max<uint64_t>(left * of / all, 1));
  };
  const Connections fit{share(wanted.http), share(wanted.grpc), share(wanted.ipc)};
  Log(LogLevel::kWarning,
      "the system allows {} open files, so that there will be at most {} HTTP, {} gRPC and {} "
      "local "
      "connections, not {}, {} and {}: raise that limit (LimitNOFILE= of the service, ulimit -n), "
      "or lower --http-max-connections, --grpc-max-connections and --ipc-max-connections{}",
      descriptors, fit.http, fit.grpc, fit.ipc, wanted.http, wanted.grpc, wanted.ipc,
      regions == 0 ? "" : " or --client-shm-regions");
  return fit;
}

}  // namespace mlos::daemon
