// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/server.h"

#include <ctime>
#include <deque>
#include <limits>

#include "frontends/http/api_session.h"
#include "frontends/http/connection.h"
#include "frontends/http/over_h2.h"
#include "net/connection_set.h"

namespace mlos::http {
namespace {

constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Content-Length: 48\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    "{\"error\":\"too many connections: try again soon\"}";
constexpr std::string_view kPeerFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Content-Length: 81\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    "{\"error\":\"too many connections from your address: close some, or try "
    "again soon\"}";

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

class HttpServer::Impl final : public ConnectionOwner,
                               private net::ConnectionSetOwner,
                               private Poller {
 public:
  Impl(EventLoop& loop, HttpOptions options)
      : options_(std::move(options)),
        loop_(loop),
        connections_(loop, *this,
                     {.connections = options_.max_connections,
                      .connections_per_peer = options_.max_connections_per_address,
                      .sweep_ns = options_.sweep_ns}) {
    loop_.AddPoller(this);
  }

  // Before the first Listen.
  void Serve(std::unique_ptr<Service> service) { service_ = std::move(service); }

  ~Impl() override {
    loop_.RemovePoller(this);
    connections_.End();
  }

  net::ConnectionSet& connections() { return connections_; }

  void Leave() {
    leaving_ = true;
    service_->set_leaving();
  }

  void Drain(std::function<void()> done) {
    Leave();
    connections_.DrainAfterReading([this] { service_->set_draining(); }, std::move(done));
  }

  h2::Acceptor& over_h2() {
    if (over_h2_ == nullptr) over_h2_ = std::make_unique<OverH2>(*service_, options_, counters_);
    return *over_h2_;
  }

  frontend::RegionTable& no_regions() { return no_regions_; }

  // ConnectionOwner
  metrics::HttpCounters& counters() override { return counters_; }
  const HttpOptions& options() const override { return options_; }
  bool leaving() const override { return leaving_; }
  bool draining() const override { return connections_.draining(); }

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
      for (const auto& member : connections_.members()) {
        static_cast<Connection&>(*member).TrimIdle();
      }
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

  void MakeLate(Connection& connection) override { connections_.MakeLate(connection); }
  void OnClosed(Connection& connection) override {
    connections_.Remove(connection);
    counters_.open.Set(connections_.size());
  }

 private:
  // Poller.  One slice of one connection's work in each turn of the loop:
  // however many there are, the others wait for no more than that.
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

  // ConnectionSetOwner
  std::shared_ptr<net::Member> NewMember(Socket socket) override {
    auto connection = std::make_shared<Connection>(std::move(socket), *this);
    connection->set_session(service_->NewSession(*connection));
    return connection;
  }
  void OnAccepted() override {
    counters_.accepted.Add();
    counters_.open.Set(connections_.size());
  }
  void OnRefused(const OwnedFd& client, Refusal why) override {
    counters_.refused.Add();
    if (client) TurnAway(client, why == Refusal::kFull ? kFull : kPeerFull);
  }
  void OnSwept(uint64_t now_ns, bool last) override {
    service_->Rest(last ? std::numeric_limits<uint64_t>::max() : now_ns);
  }

  const HttpOptions options_;
  EventLoop& loop_;
  bool leaving_ = false;
  uint64_t buffered_ = 0;
  size_t held_answers_ = 0;
  time_t date_of_ = 0;
  char date_[64] = "";
  size_t date_length_ = 0;
  metrics::HttpCounters counters_;
  frontend::RegionTable no_regions_{{}};
  std::unique_ptr<Service> service_;
  std::unique_ptr<OverH2> over_h2_;
  net::ConnectionSet connections_;
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
  return impl_->connections().Listen(address);
}

void HttpServer::Leave() { impl_->Leave(); }

void HttpServer::Drain(std::function<void()> done) { impl_->Drain(std::move(done)); }

h2::Acceptor& HttpServer::over_h2() { return impl_->over_h2(); }

size_t HttpServer::connections() const { return impl_->connections().size(); }

const metrics::HttpCounters& HttpServer::counters() const { return impl_->counters(); }

Status CheckLocalAddress(std::string_view address) {
  MLOS_ASSIGN_OR_RETURN(const net::Address parsed, net::Address::Parse(address));
  return parsed.CheckLocal();
}

}  // namespace mlos::http
