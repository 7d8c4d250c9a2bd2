// SPDX-License-Identifier: Apache-2.0
#include "client/client.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>

namespace mlos::client {
namespace {

constexpr std::string_view kUnix = "unix://";

}  // namespace

StatusOr<std::string> SocketPath(std::string_view address) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): who changes the environment takes care
  const char* const host = std::getenv("MLOS_HOST");
  if (address.empty() && host != nullptr && std::string_view(host).starts_with(kUnix)) {
    address = host;
  }
  if (!address.empty()) {
    if (!address.starts_with(kUnix) || address.size() == kUnix.size()) {
      return InvalidArgument(fmt::format(
          "\"{}\" is no address of a local socket: give unix:///path/to/mlos.sock", address));
    }
    return std::string(address.substr(kUnix.size()));
  }
  if (::geteuid() == 0) return std::string("/run/mlos/mlos.sock");
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime != '/') {
    return InvalidArgument(
        "where is the daemon's socket?  XDG_RUNTIME_DIR is not set: give the address that mlosd "
        "prints as \"ipc\", here or in MLOS_HOST");
  }
  return std::string(runtime) + "/mlos/mlos.sock";
}

Status Client::Connect(uint64_t deadline_ns) {
  if (socket_ != nullptr && !socket_->broken()) return OkStatus();
  MLOS_ASSIGN_OR_RETURN(socket_, Socket::Connect(path_, token_, name_, deadline_ns));
  return OkStatus();
}

Status Client::Ask(ipc::Ask type, std::string_view payload, ipc::Tell expected,
                   uint64_t deadline_ns, Socket::Reply* reply) {
  MLOS_RETURN_IF_ERROR(Connect(deadline_ns));
  return socket_->Ask(type, payload, expected, deadline_ns, reply);
}

}  // namespace mlos::client
