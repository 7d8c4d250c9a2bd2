// SPDX-License-Identifier: Apache-2.0
#include "h2/server.h"

#include <utility>

#include "h2/connection.h"
#include "net/connection_set.h"

namespace mlos::h2 {

static_assert(static_cast<size_t>(End::kSlow) + 1 == metrics::kH2EndCount);

class Server::Impl final : public ConnectionOwner, private net::ConnectionSetOwner {
 public:
  Impl(EventLoop& loop, Acceptor& acceptor, const Limits& limits)
      : limits_(limits),
        acceptor_(acceptor),
        connections_(loop, *this,
                     {.connections = limits_.max_connections,
                      .connections_per_peer = limits_.max_connections_per_address,
                      .sweep_ns = limits_.sweep_ns}) {}

  ~Impl() override { connections_.End(); }

  net::ConnectionSet& connections() { return connections_; }

  void Leave() {
    const auto present = connections_.members();  // it may end
    for (const auto& member : present) static_cast<Connection&>(*member).Leave();
  }

  uint64_t buffered_bytes() const { return buffered_; }
  const metrics::H2Counters& counters() const { return counters_; }

  // ConnectionOwner
  const Limits& limits() const override { return limits_; }
  Acceptor& acceptor() override { return acceptor_; }
  bool ReserveBuffer(const Connection& connection, uint64_t bytes) override {
    if (bytes > limits_.max_buffered_bytes - buffered_) return false;
    const uint64_t most = limits_.max_buffered_bytes_per_address;
    if (!connections_.peers().Take(connection.peer(), bytes, most)) return false;
    buffered_ += bytes;
    return true;
  }
  void ReleaseBuffer(const Connection& connection, uint64_t bytes) override {
    connections_.peers().GiveBack(connection.peer(), bytes);
    buffered_ -= bytes;
  }
  void CountReceived(uint64_t bytes) override { counters_.received_bytes.Add(bytes); }
  void CountSent(uint64_t bytes) override { counters_.sent_bytes.Add(bytes); }

  void OnClosed(Connection& connection, End why) override {
    connections_.Remove(connection);
    counters_.open.Set(connections_.size());
    counters_.ended[static_cast<size_t>(why)].Add();
  }

 private:
  // ConnectionSetOwner
  std::shared_ptr<net::Member> NewMember(Socket socket) override {
    return std::make_shared<Connection>(std::move(socket), *this);
  }
  void OnAccepted() override {
    counters_.accepted.Add();
    counters_.open.Set(connections_.size());
  }
  void OnRefused(const OwnedFd&, Refusal) override { counters_.refused.Add(); }
  void OnSwept(uint64_t, bool) override {}

  const Limits limits_;
  Acceptor& acceptor_;
  uint64_t buffered_ = 0;
  metrics::H2Counters counters_;
  net::ConnectionSet connections_;
};

Server::Server(EventLoop& loop, Acceptor& acceptor, Limits limits)
    : impl_(std::make_unique<Impl>(loop, acceptor, limits)) {}

Server::~Server() = default;

StatusOr<std::string> Server::Listen(std::string_view address) {
  return impl_->connections().Listen(address);
}

void Server::Leave() { impl_->Leave(); }

void Server::Drain(std::function<void()> begin, std::function<void()> done) {
  impl_->connections().DrainAfterReading(std::move(begin), std::move(done));
}

size_t Server::connections() const { return impl_->connections().size(); }

uint64_t Server::buffered_bytes() const { return impl_->buffered_bytes(); }

const metrics::H2Counters& Server::counters() const { return impl_->counters(); }

}  // namespace mlos::h2
