// SPDX-License-Identifier: Apache-2.0
#include "cli/target.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>

#include "base/name.h"
#include "base/owned_fd.h"

namespace mlos::cli {
namespace {

struct Scheme {
  std::string_view text;
  bool grpc;
  std::string_view port;  // where none is given; empty: a path follows
};
constexpr Scheme kSchemes[] = {{"http://", false, "80"},
                               {"unix://", false, ""},
                               {"grpc://", true, "8081"},
                               {"grpc+unix://", true, ""}};
constexpr size_t kLongestSocketPath = 107;  // of sockaddr_un

bool IsPort(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port > 0 && port <= 65535;
}

Status Bad(std::string_view text, std::string_view why) {
  return InvalidArgument(
      "MLOS_HOST " + Quoted(text) + " " + std::string(why) +
      "; write http://HOST:PORT, unix:///PATH, grpc://HOST:PORT or grpc+unix:///PATH");
}

StatusOr<Target> ParseHostAndPort(std::string_view text, const Scheme& scheme) {
  std::string_view authority = text.substr(scheme.text.size());
  if (!authority.empty() && authority.back() == '/') authority.remove_suffix(1);
  if (authority.find_first_of("/?#@ ") != std::string_view::npos) {
    return Bad(text, "has more than a host and a port");
  }
  Target target;
  target.text = std::string(text);
  target.grpc = scheme.grpc;
  target.port = scheme.port;
  std::string_view rest;
  if (!authority.empty() && authority[0] == '[') {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return Bad(text, "has a '[' without ']'");
    target.host = authority.substr(1, end - 1);
    rest = authority.substr(end + 1);
  } else {
    const size_t colon = authority.find(':');
    target.host = authority.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
  }
  if (target.host.empty()) return Bad(text, "names no host");
  if (rest.empty()) return target;
  if (rest[0] != ':' || !IsPort(rest.substr(1))) return Bad(text, "has a port that is none");
  target.port = rest.substr(1);
  return target;
}

// Where mlosd makes its socket when nothing else is said.
std::string LocalSocket() {
  if (geteuid() == 0) return "/run/mlos/mlos.sock";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
  if (runtime == nullptr || *runtime != '/') return {};
  return std::string(runtime) + "/mlos/mlos.sock";
}

// A socket that a killed daemon left behind is none that answers.
bool IsInUse(const std::string& path) {
  struct stat info {};
  sockaddr_un address{};
  if (stat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return false;
  if (path.size() > kLongestSocketPath) return false;
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno != ECONNREFUSED;
}

}  // namespace

std::string Target::Authority() const {
  if (!unix_path.empty()) return "localhost";
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + port;
}

StatusOr<Target> ParseTarget(std::string_view text) {
  const Scheme* const scheme = std::find_if(
      std::begin(kSchemes), std::end(kSchemes),
      [text](const Scheme& each) { return text.substr(0, each.text.size()) == each.text; });
  if (scheme == std::end(kSchemes)) return Bad(text, "is no address that mlos knows");
  if (!scheme->port.empty()) return ParseHostAndPort(text, *scheme);
  Target target;
  target.grpc = scheme->grpc;
  target.text = std::string(text);
  target.unix_path = text.substr(scheme->text.size());
  if (target.unix_path.empty() || target.unix_path[0] != '/') {
    return Bad(text, "has a path that is not absolute");
  }
  if (target.unix_path.size() > kLongestSocketPath) {
    return Bad(text, "has a longer path than a socket can have");
  }
  return target;
}

StatusOr<Target> FindTarget() {
  const char* host = std::getenv("MLOS_HOST");  // NOLINT(concurrency-mt-unsafe)
  if (host != nullptr && *host != '\0') return ParseTarget(host);
  const std::string path = LocalSocket();
  if (!path.empty() && IsInUse(path)) {
    return ParseTarget("unix://" + path);
  }
  return ParseTarget("http://127.0.0.1:8080");
}

}  // namespace mlos::cli
