// SPDX-License-Identifier: Apache-2.0
#include "h2/server.h"

#include <malloc.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "h2/connection.h"
#include "net/listener.h"
#include "net/peer_counts.h"

namespace mlos::h2 {

namespace {

// So many connections that went leave memory behind that is worth looking for.
constexpr size_t kCrowd = 256;

}  // namespace

static_assert(static_cast<size_t>(End::kSlow) + 1 == metrics::kH2EndCount);

class Server::Impl final : public ConnectionOwner {
 public:
  Impl(EventLoop& loop, Acceptor& acceptor, const Limits& limits)
      : limits_(limits),
        loop_(loop),
        acceptor_(acceptor),
        peers_(limits_.max_connections_per_address),
        sweep_(std::make_shared<boost::asio::steady_timer>(loop.io())) {}

  ~Impl() override {
    sweep_->cancel();
    alive_.reset();
    drained_ = nullptr;
    listeners_.clear();
    while (!connections_.empty()) connections_.back()->Close();
  }

  StatusOr<std::string> Listen(std::string_view text) {
    MLOS_ASSIGN_OR_RETURN(const net::Address address, net::Address::Parse(text));
    MLOS_ASSIGN_OR_RETURN(auto listener,
                          net::Listener::Open(loop_.io(), address, [this](net::Accepted client) {
                            Accept(std::move(client));
                          }));
    std::string chosen = listener->address();
    listeners_.push_back(std::move(listener));
    return chosen;
  }

  void Leave() {
    for (const auto& connection : Present()) connection->Leave();
  }

  void Drain(std::function<void()> done) {
    draining_ = true;
    drained_ = std::move(done);
    for (const auto& connection : Present()) connection->Drain();
    CheckDrained();
  }

  size_t connections() const { return connections_.size(); }
  uint64_t buffered_bytes() const { return buffered_; }
  const metrics::H2Counters& counters() const { return counters_; }

  // ConnectionOwner
  const Limits& limits() const override { return limits_; }
  Acceptor& acceptor() override { return acceptor_; }
  bool ReserveBuffer(uint64_t bytes) override {
    if (bytes > limits_.max_buffered_bytes - buffered_) return false;
    buffered_ += bytes;
    return true;
  }
  void ReleaseBuffer(uint64_t bytes) override { buffered_ -= bytes; }
  void CountReceived(uint64_t bytes) override { counters_.received_bytes.Add(bytes); }
  void CountSent(uint64_t bytes) override { counters_.sent_bytes.Add(bytes); }

  void OnClosed(Connection& connection, End why) override {
    const size_t index = connection.owner_index;
    std::shared_ptr<Connection> gone = std::move(connections_[index]);
    if (index + 1 != connections_.size()) {
      connections_[index] = std::move(connections_.back());
      connections_[index]->owner_index = index;
    }
    connections_.pop_back();
    peers_.Leave(connection.peer);
    if (!connection.late()) --early_connections_;
    counters_.open.Set(connections_.size());
    counters_.ended[static_cast<size_t>(why)].Add();
    // Somebody further up the stack may still be inside it.
    loop_.Post([gone = std::move(gone)] {});
    // The heap keeps what lies below something that is in use still.
    if (connections_.empty() && std::exchange(crowd_, 0) >= kCrowd) {
      loop_.Post([] { ::malloc_trim(0); });
    }
    CheckDrained();
  }

 private:
  // Closing changes the list.
  std::vector<std::shared_ptr<Connection>> Present() const { return connections_; }

  void Accept(net::Accepted client) {
    if (connections_.size() >= limits_.max_connections || !peers_.Enter(client.peer)) {
      counters_.refused.Add();
      return;
    }
    Socket socket(loop_.io().get_executor());
    boost::system::error_code error;
    socket.assign(boost::asio::generic::stream_protocol(client.family, 0), client.fd.get(), error);
    if (error) return peers_.Leave(client.peer);
    client.fd.Release();
    std::shared_ptr<Connection> connection;
    try {
      connection = std::make_shared<Connection>(std::move(socket), *this, draining_);
      connection->owner_index = connections_.size();
      connection->peer = client.peer;
      connections_.push_back(connection);
    } catch (const std::exception&) {  // no memory
      counters_.refused.Add();
      return peers_.Leave(client.peer);
    }
    crowd_ = std::max(crowd_, connections_.size());
    if (!connection->late()) ++early_connections_;
    counters_.accepted.Add();
    counters_.open.Set(connections_.size());
    if (connections_.size() == 1) StartSweeping();
    connection->Start();
  }

  // While there are connections; an idle server does not wake up.
  void StartSweeping() {
    if (std::exchange(sweeping_, true)) return;
    sweep_->expires_after(std::chrono::nanoseconds(limits_.sweep_ns));
    sweep_->async_wait([this, alive = std::weak_ptr<int>(alive_),
                        timer = sweep_](const boost::system::error_code&) {
      if (alive.expired()) return;
      sweeping_ = false;
      Sweep();
      if (!connections_.empty()) StartSweeping();
    });
  }

  void Sweep() {
    const uint64_t now = NowNanos();
    // From the back: closing one moves the last into its place.
    for (size_t i = connections_.size(); i-- > 0;) {
      if (i < connections_.size()) connections_[i]->Sweep(now);
    }
  }

  void CheckDrained() {
    if (!draining_ || early_connections_ > 0 || !drained_) return;
    loop_.Post([done = std::exchange(drained_, nullptr), alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) done();
    });
  }

  const Limits limits_;
  EventLoop& loop_;
  Acceptor& acceptor_;
  net::PeerCounts peers_;
  std::shared_ptr<boost::asio::steady_timer> sweep_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  bool sweeping_ = false;
  bool draining_ = false;
  size_t crowd_ = 0;              // the most connections since there were none
  size_t early_connections_ = 0;  // accepted before the server drained
  std::function<void()> drained_;
  uint64_t buffered_ = 0;
  metrics::H2Counters counters_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<std::shared_ptr<Connection>> connections_;
};

Server::Server(EventLoop& loop, Acceptor& acceptor, Limits limits)
    : impl_(std::make_unique<Impl>(loop, acceptor, limits)) {}

Server::~Server() = default;

StatusOr<std::string> Server::Listen(std::string_view address) { return impl_->Listen(address); }

void Server::Leave() { impl_->Leave(); }

void Server::Drain(std::function<void()> done) { impl_->Drain(std::move(done)); }

size_t Server::connections() const { return impl_->connections(); }

uint64_t Server::buffered_bytes() const { return impl_->buffered_bytes(); }

const metrics::H2Counters& Server::counters() const { return impl_->counters(); }

}  // namespace mlos::h2
