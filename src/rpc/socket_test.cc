// SPDX-License-Identifier: Apache-2.0
//
// The server on real sockets, and clients that speak raw bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "base/clock.h"
#include "base/owned_fd.h"
#include "h2/server.h"
#include "rpc/fakes.h"

namespace mlos::rpc {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// Blocking, with a time limit on everything.
class Client {
 public:
  explicit Client(const std::string& address, int receive_bytes = 0) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd_ = OwnedFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{20, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (receive_bytes > 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    }
    EXPECT_EQ(0, ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to));
  }
  static std::unique_ptr<Client> Greeted(const std::string& address) {
    auto client = std::make_unique<Client>(address);
    client->Send(std::string(Wire::kHello) + Wire::Frame(NGHTTP2_SETTINGS, 0, 0, ""));
    return client;
  }
  // False when the server is gone.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // Something; false at the end, however it comes.
  bool Read(std::string* out) {
    char buffer[4096];
    const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n > 0) out->append(buffer, static_cast<size_t>(n));
    return n > 0;
  }
  // Until the server closes; whether it has.
  bool ReadAll(std::string* out) {
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n == 0) return true;
      if (n < 0) return errno == ECONNRESET;
      out->append(buffer, static_cast<size_t>(n));
    }
  }

 private:
  OwnedFd fd_;
};

// Fails in a way that it should not.
class ThrowingMethod final : public Method {
 public:
  enum class Where : uint8_t { kBegin, kMessage, kSent, kCancel };

  Handler* Begin(Call& call) override {
    if (where == Where::kBegin) throw std::runtime_error("begin");
    ++begun;
    return new Throwing(*this, call);
  }

  Where where = Where::kBegin;  // these are the loop's
  int begun = 0;
  int done = 0;

 private:
  class Throwing final : public Handler {
   public:
    Throwing(ThrowingMethod& method, Call& call) : method_(method), call_(call) {}
    void OnMessage(std::optional<uint64_t>) override { Throw(Where::kMessage); }
    size_t OnData(std::span<const std::byte> data) override { return data.size(); }
    void OnMessageEnd() override {
      if (method_.where == Where::kSent) call_.Send({});
    }
    void OnSent() override { Throw(Where::kSent); }
    void OnCancel() override { Throw(Where::kCancel); }
    void OnDone() override {
      ++method_.done;
      delete this;
    }

   private:
    void Throw(Where where) const {
      if (method_.where == where) throw std::runtime_error("here");
    }
    ThrowingMethod& method_;
    Call& call_;
  };
};

class SocketTest : public testing::Test {
 protected:
  SocketTest() {
    dispatcher_.Add("/t.T/Unary", unary_);
    dispatcher_.Add("/t.T/Throw", throwing_);
    Serve(60 * kNanosPerSecond);
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~SocketTest() override {
    OnLoop([this] { server_.reset(); });
    loop_.Stop();
    thread_.join();
  }
  void Serve(uint64_t header_timeout_ns) {
    h2::Limits limits;
    limits.linger_ns = 100 * kNanosPerMilli;
    limits.sweep_ns = 20 * kNanosPerMilli;
    limits.header_timeout_ns = header_timeout_ns;
    limits.max_connections = 8;
    server_ = std::make_unique<h2::Server>(loop_, dispatcher_, limits);
    address_ = server_->Listen("127.0.0.1:0").value();
  }
  void OnLoop(const std::function<void()>& f) {
    std::promise<void> done;
    loop_.Post([&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Whether there are so many connections in the end.
  bool Await(size_t connections) {
    const uint64_t limit = NowNanos() + 20 * kNanosPerSecond;
    for (size_t open = connections + 1; open != connections;) {
      if (NowNanos() > limit) return false;
      OnLoop([&] { open = server_->connections(); });
    }
    return true;
  }
  void AwaitAccepted(uint64_t clients) {
    const uint64_t limit = NowNanos() + 20 * kNanosPerSecond;
    while (server_->counters().accepted.value() < clients && NowNanos() < limit) OnLoop([] {});
  }
  // A client that is told to go has a moment before its connection is closed.
  void ExpectEnded(h2::End why) {
    const uint64_t limit = NowNanos() + 20 * kNanosPerSecond;
    const auto& ended = server_->counters().ended[static_cast<size_t>(why)];
    while (ended.value() == 0 && NowNanos() < limit) OnLoop([] {});
    EXPECT_EQ(1u, ended.value());
  }

  EchoMethod unary_{false};
  ThrowingMethod throwing_;
  Dispatcher dispatcher_{Options{}};
  EventLoop loop_;
  std::unique_ptr<h2::Server> server_;
  std::string address_;
  std::thread thread_;
};

TEST_F(SocketTest, TellsAClientOfHttp1WhereItIs) {
  Client client(address_);
  ASSERT_TRUE(client.Send("GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"));
  std::string got;
  EXPECT_TRUE(client.ReadAll(&got));
  EXPECT_THAT(got, StartsWith("HTTP/1.1 505 "));
  const size_t body = got.find("\r\n\r\n") + 4;
  EXPECT_THAT(got, HasSubstr("Content-Length: " + std::to_string(got.size() - body) + "\r\n"));
}

TEST_F(SocketTest, SaysWhyItEndsAConnection) {
  const auto client = Client::Greeted(address_);
  std::string pings;
  for (int i = 0; i < 10; ++i) pings += Wire::Frame(NGHTTP2_PING, 0, 0, "12345678");
  ASSERT_TRUE(client->Send(pings));
  std::string got;
  EXPECT_TRUE(client->ReadAll(&got));
  EXPECT_THAT(got, EndsWith("too_many_pings"));
  ExpectEnded(h2::End::kPings);
}

TEST_F(SocketTest, EndsAClientThatFloodsAndDoesNotRead) {
  const auto client = Client::Greeted(address_);
  std::string frames;
  for (int i = 0; i < 1000; ++i) frames += Wire::Frame(NGHTTP2_SETTINGS, 0, 0, "");
  const uint64_t limit = NowNanos() + 20 * kNanosPerSecond;
  while (client->Send(frames)) ASSERT_LT(NowNanos(), limit);
  ASSERT_TRUE(Await(0));
  ExpectEnded(h2::End::kIdleFrames);
}

TEST_F(SocketTest, EndsAClientThatSaysNothing) {
  OnLoop([this] { Serve(200 * kNanosPerMilli); });
  Client silent(address_);
  std::string got;
  EXPECT_TRUE(silent.ReadAll(&got));
  ExpectEnded(h2::End::kSlow);
}

TEST_F(SocketTest, TakesOnlySoManyConnections) {
  std::vector<std::unique_ptr<Client>> clients;
  clients.reserve(8);
  for (int i = 0; i < 8; ++i) clients.push_back(Client::Greeted(address_));
  ASSERT_TRUE(Await(8));
  Client more(address_);
  std::string got;
  EXPECT_TRUE(more.ReadAll(&got));
  EXPECT_EQ("", got);
  EXPECT_EQ(1u, server_->counters().refused.value());
}

// The server has nothing more to say long before the client has all of it, and
// what the client says meanwhile must not cost it the rest.
TEST_F(SocketTest, ClosesNoConnectionBeforeTheClientHasEverything) {
  unary_.repeat = 300;
  const std::string message(16'000, 'm');
  const std::string update = Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {"\0\0\0\1", 4});
  Client client(address_, /*receive_bytes=*/16 << 10);
  ASSERT_TRUE(client.Send(std::string(Wire::kHello) +
                          Wire::Frame(NGHTTP2_SETTINGS, 0, 0, {"\0\4\x10\0\0\0", 6}) +
                          Wire::Frame(NGHTTP2_WINDOW_UPDATE, 0, 0, {"\x10\0\0\0", 4}) +
                          Wire::Request("/t.T/Unary", message) +
                          Wire::Frame(NGHTTP2_GOAWAY, 0, 0, std::string(8, '\0'))));
  std::string got;
  bool more = true;
  while (more) {
    more = client.Read(&got);
    client.Send(update);
  }
  EXPECT_GE(got.size(), 300 * (message.size() + 5));
  EXPECT_THAT(got.substr(got.size() - std::min<size_t>(got.size(), 100)), HasSubstr("\x01\x30"));
  ExpectEnded(h2::End::kPeer);
}

// A mistake of who serves a call is that connection's end, and nobody else's.
TEST_F(SocketTest, OutlivesWhatIsThrown) {
  using Where = ThrowingMethod::Where;
  uint64_t clients = 0;
  for (const Where where : {Where::kBegin, Where::kMessage, Where::kSent, Where::kCancel}) {
    OnLoop([&] { throwing_.where = where; });
    auto client = Client::Greeted(address_);
    ASSERT_TRUE(client->Send(Wire::Request("/t.T/Throw", "x")));
    if (where == Where::kCancel) {
      client.reset();
    } else {
      std::string got;
      EXPECT_TRUE(client->ReadAll(&got));
    }
    AwaitAccepted(++clients);
    ASSERT_TRUE(Await(0)) << static_cast<int>(where);
  }
  OnLoop([&] {
    EXPECT_EQ(3, throwing_.begun);
    EXPECT_EQ(3, throwing_.done);
  });
  const auto client = Client::Greeted(address_);
  ASSERT_TRUE(client->Send(Wire::Request("/t.T/Unary", "still here") +
                           Wire::Frame(NGHTTP2_GOAWAY, 0, 0, std::string(8, '\0'))));
  std::string got;
  EXPECT_TRUE(client->ReadAll(&got));
  EXPECT_THAT(got, HasSubstr("still here"));
}

TEST_F(SocketTest, DrainsAndIsDone) {
  const auto client = Client::Greeted(address_);
  ASSERT_TRUE(Await(1));
  std::promise<void> drained;
  OnLoop([&] { server_->Drain([] {}, [&] { drained.set_value(); }); });
  // The client never answers the PING that it is asked with.
  EXPECT_EQ(std::future_status::ready, drained.get_future().wait_for(std::chrono::seconds(20)));
  std::string got;
  EXPECT_TRUE(client->ReadAll(&got));
}

}  // namespace
}  // namespace mlos::rpc
