// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/server.h"

#include <malloc.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <ctime>
#include <deque>
#include <limits>
#include <vector>

#include "base/clock.h"
#include "frontends/http/api_session.h"
#include "frontends/http/connection.h"
#include "frontends/http/over_h2.h"
#include "net/listener.h"

namespace mlos::http {
namespace {

constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Content-Length: 48\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    "{\"error\":\"too many connections: try again soon\"}";
constexpr std::string_view kPeerFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Content-Length: 81\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    "{\"error\":\"too many connections from your address: close some, or try again soon\"}";

// Answers that may wait in the models' memory for clients that take their time;
// a model has several hundred places.
constexpr size_t kMostHeldAnswers = 64;

// So many connections that went leave memory behind that is worth looking for.
constexpr size_t kCrowd = 256;

void TurnAway(const OwnedFd& client, std::string_view answer) {
  // What has come already is thrown away: closed with it unread, the system
  // would take back the answer.
  constexpr int kMostReads = 16;
  char unread[4096];
  for (int i = 0; i < kMostReads; ++i) {
    if (::recv(client.get(), unread, sizeof(unread), MSG_DONTWAIT) <= 0) break;
  }
  (void)!::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(client.get(), SHUT_WR);
}

}  // namespace

class HttpServer::Impl final : public ConnectionOwner, private Poller {
 public:
  Impl(EventLoop& loop, HttpOptions options)
      : options_(std::move(options)),
        loop_(loop),
        peers_(options_.max_connections_per_address),
        sweep_(std::make_shared<boost::asio::steady_timer>(loop.io())) {
    loop_.AddPoller(this);
  }

  // Before the first Listen.
  void Serve(std::unique_ptr<Service> service) { service_ = std::move(service); }

  ~Impl() override {
    loop_.RemovePoller(this);
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
    leaving_ = true;
    service_->set_leaving();
  }

  void Drain(std::function<void()> done) {
    Leave();
    draining_ = true;
    service_->set_draining();
    drained_ = std::move(done);
    // Close changes the list.
    const std::vector<std::shared_ptr<Connection>> present = connections_;
    for (const auto& connection : present) connection->Drain();
    CheckDrained();
  }

  h2::Acceptor& over_h2() {
    if (over_h2_ == nullptr) over_h2_ = std::make_unique<OverH2>(*service_, options_, counters_);
    return *over_h2_;
  }

  size_t connections() const { return connections_.size(); }
  frontend::RegionTable& no_regions() { return no_regions_; }

  // ConnectionOwner
  metrics::HttpCounters& counters() override { return counters_; }
  const HttpOptions& options() const override { return options_; }
  bool leaving() const override { return leaving_; }
  bool draining() const override { return draining_; }

  std::string_view date_field() override {
    const time_t now = ::time(nullptr);
    if (now != date_of_) {
      date_of_ = now;
      tm parts{};
      ::gmtime_r(&now, &parts);
      date_length_ =
          std::strftime(date_, sizeof(date_), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    }
    return {date_, date_length_};
  }

  bool ReserveBuffer(uint64_t bytes) override {
    if (bytes > options_.max_buffered_bytes - buffered_) {
      for (const auto& connection : connections_) connection->TrimIdle();
      if (bytes > options_.max_buffered_bytes - buffered_) return false;
    }
    buffered_ += bytes;
    return true;
  }
  void Later(Connection& connection) override { later_.push_back(connection.shared_from_this()); }
  void ReleaseBuffer(uint64_t bytes) override { buffered_ -= bytes; }

  bool HoldAnswer() override {
    if (held_answers_ == kMostHeldAnswers) return false;
    ++held_answers_;
    return true;
  }
  void ReleaseAnswer() override { --held_answers_; }

  void OnClosed(Connection& connection) override {
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
    // Somebody further up the stack may still be inside it.
    loop_.Post([gone = std::move(gone)] {});
    CheckDrained();
  }

 private:
  // Poller.  One slice of one connection's work in each turn of the loop: however
  // many there are, the others wait for no more than that.
  size_t Work() override {
    if (later_.empty()) return 0;
    const std::shared_ptr<Connection> next = std::move(later_.front());
    later_.pop_front();
    next->Resume();
    return 1;
  }
  bool HasWork() const override { return !later_.empty(); }
  bool Expecting() const override { return !later_.empty(); }
  bool PrepareSleep() override { return later_.empty(); }
  void FinishSleep() override {}

  void Accept(net::Accepted client) {
    if (connections_.size() >= options_.max_connections) {
      counters_.refused.Add();
      return TurnAway(client.fd, kFull);
    }
    if (!peers_.Enter(client.peer)) {
      counters_.refused.Add();
      return TurnAway(client.fd, kPeerFull);
    }
    Socket socket(loop_.io().get_executor());
    boost::system::error_code error;
    socket.assign(boost::asio::generic::stream_protocol(client.family, 0), client.fd.get(), error);
    if (error) return peers_.Leave(client.peer);
    client.fd.Release();
    auto connection = std::make_shared<Connection>(std::move(socket), *this);
    connection->set_session(service_->NewSession(*connection));
    connection->owner_index = connections_.size();
    connection->peer = client.peer;
    connections_.push_back(connection);
    if (!connection->late()) ++early_connections_;
    counters_.accepted.Add();
    counters_.open.Set(connections_.size());
    most_open_ = std::max(most_open_, connections_.size());
    if (connections_.size() == 1) StartSweeping();
    connection->Start();
  }

  // While there are connections; an idle server does not wake up.
  void StartSweeping() {
    if (sweeping_) return;
    sweeping_ = true;
    sweep_->expires_after(std::chrono::nanoseconds(options_.sweep_ns));
    sweep_->async_wait([this, alive = std::weak_ptr<int>(alive_),
                        timer = sweep_](const boost::system::error_code&) {
      if (alive.expired()) return;
      sweeping_ = false;
      Sweep();
      if (!connections_.empty()) return StartSweeping();
      service_->Rest(std::numeric_limits<uint64_t>::max());
    });
  }

  void Sweep() {
    const uint64_t now = NowNanos();
    // From the back: closing one moves the last into its place.
    for (size_t i = connections_.size(); i-- > 0;) {
      if (i < connections_.size()) connections_[i]->Sweep(now);
    }
    service_->Rest(now);
    GiveBackHeap();
  }

  // What a crowd had lies between what stays, and the allocator by itself gives back only what
  // lies at the end of its memory.  Takes milliseconds, and a crowd that has gone: before it has
  // stopped going, the last of it would be missed.
  void GiveBackHeap() {
    const size_t open = connections_.size();
    const bool fewer = open < std::exchange(swept_open_, open);
    if (most_open_ < open + kCrowd || (fewer && open > 0)) return;
    most_open_ = open;
    loop_.Post([] { ::malloc_trim(0); });  // after those that this sweep has closed are freed
  }

  void CheckDrained() {
    if (!draining_ || early_connections_ > 0 || !drained_) return;
    loop_.Post([done = std::exchange(drained_, nullptr), alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) done();
    });
  }

  const HttpOptions options_;
  EventLoop& loop_;
  net::PeerCounts peers_;
  std::shared_ptr<boost::asio::steady_timer> sweep_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  bool sweeping_ = false;
  bool leaving_ = false;
  bool draining_ = false;
  size_t most_open_ = 0;          // connections at once, since memory was last given back
  size_t swept_open_ = 0;         // connections at the sweep before
  size_t early_connections_ = 0;  // accepted before the server drained
  std::function<void()> drained_;
  uint64_t buffered_ = 0;
  size_t held_answers_ = 0;
  time_t date_of_ = 0;
  char date_[64] = "";
  size_t date_length_ = 0;
  metrics::HttpCounters counters_;
  frontend::RegionTable no_regions_{{}};
  std::unique_ptr<Service> service_;
  std::unique_ptr<OverH2> over_h2_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::deque<std::shared_ptr<Connection>> later_;  // work under way, the next one first
};

HttpServer::HttpServer(EventLoop& loop, engine::Engine& engine, control::Control& control,
                       HttpOptions options, frontend::RegionTable* regions, trace::Tracer* tracer)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {
  impl_->Serve(std::make_unique<Api>(loop, engine, control, impl_->options(), impl_->counters(),
                                     regions != nullptr ? *regions : impl_->no_regions(), tracer));
}

HttpServer::HttpServer(EventLoop& loop, std::unique_ptr<Service> service, HttpOptions options)
    : impl_(std::make_unique<Impl>(loop, std::move(options))) {
  impl_->Serve(std::move(service));
}

HttpServer::~HttpServer() = default;

StatusOr<std::string> HttpServer::Listen(std::string_view address) {
  return impl_->Listen(address);
}

void HttpServer::Leave() { impl_->Leave(); }

void HttpServer::Drain(std::function<void()> done) { impl_->Drain(std::move(done)); }

h2::Acceptor& HttpServer::over_h2() { return impl_->over_h2(); }

size_t HttpServer::connections() const { return impl_->connections(); }

const metrics::HttpCounters& HttpServer::counters() const { return impl_->counters(); }

Status CheckLocalAddress(std::string_view address) {
  MLOS_ASSIGN_OR_RETURN(const net::Address parsed, net::Address::Parse(address));
  return parsed.CheckLocal();
}

}  // namespace mlos::http
