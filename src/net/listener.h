// SPDX-License-Identifier: Apache-2.0
//
// A listening socket on one address.
//
// Address: parsed from HOST:PORT, [v6]:PORT or unix:PATH.
// Listener: accepts on the event loop's thread and hands over descriptors;
// when the process has no descriptors left it waits a moment instead of
// spinning.  Destroying it stops listening and removes its socket file.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/owned_fd.h"
#include "base/status.h"
#include "net/peer_counts.h"

namespace mlos::net {

struct Address {
  bool is_unix = false;
  std::string host;  // or the path
  uint16_t port = 0;

  // INVALID_ARGUMENT with what is expected.
  static StatusOr<Address> Parse(std::string_view text);
  // OK for Unix sockets and for addresses that only this machine reaches.
  Status CheckLocal() const;
};

// An accepted client.
struct Accepted {
  OwnedFd fd;
  int family = 0;
  Peer peer;
};

class Listener {
 public:
  using OnAccept = std::function<void(Accepted)>;

  static StatusOr<std::unique_ptr<Listener>> Open(boost::asio::io_context& io,
                                                  const Address& address, OnAccept on_accept);
  ~Listener();
  // Hands over, now, those that have connected and were not looked at yet.
  void AcceptWaiting();
  // What was chosen: "127.0.0.1:41001", "[::1]:8080", "unix:/path".
  const std::string& address() const;

 private:
  struct State;
  explicit Listener(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace mlos::net
