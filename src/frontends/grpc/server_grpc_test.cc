// SPDX-License-Identifier: Apache-2.0
//
// The server on a real socket, its loop turned by hand.
#include "frontends/grpc/server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <string>

#include "base/owned_fd.h"
#include "frontends/grpc/grpc_fixture.h"

namespace mlos::grpc {
namespace {

using testing::HasSubstr;
using testing::Not;

OwnedFd Connect(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(0, ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to));
  return fd;
}

// A call, and that it was the only one.
std::string MetadataCall() {
  return std::string(rpc::Wire::kHello) + rpc::Wire::Frame(NGHTTP2_SETTINGS, 0, 0, "") +
         rpc::Wire::Request(std::string(kService) + "ServerMetadata", "") +
         rpc::Wire::Frame(NGHTTP2_GOAWAY, 0, 0, std::string(8, '\0'));
}

class GrpcServerTest : public testing::Test {
 protected:
  // Until it is so, or far too long.
  template <typename F>
  bool TurnUntil(F done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done() && std::chrono::steady_clock::now() < end) {
      loop_.io().restart();
      loop_.io().poll();
    }
    return done();
  }
  // What the server says until it closes.
  std::string Hear(const OwnedFd& fd) {
    std::string got;
    TurnUntil([&] {
      char buffer[4096];
      const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) got.append(buffer, static_cast<size_t>(n));
      return n == 0;
    });
    return got;
  }

  EventLoop loop_;
  engine::FakeEngine engine_{loop_};
  FakeControl control_;
  frontend::RegionTable regions_{{}};
  GrpcServer server_{{loop_, engine_, control_, regions_}, {}};
  const std::string address_ = server_.Listen("127.0.0.1:0").value();
};

TEST_F(GrpcServerTest, TakesTheCallsThatWereSentBeforeItDrains) {
  const OwnedFd fd = Connect(address_);  // and is not accepted yet
  const std::string call = MetadataCall();
  ASSERT_EQ(static_cast<ssize_t>(call.size()), ::send(fd.get(), call.data(), call.size(), 0));
  bool drained = false;
  server_.Drain([&] { drained = true; });
  EXPECT_THAT(Hear(fd), HasSubstr("statistics"));
  EXPECT_TRUE(TurnUntil([&] { return drained; }));
}

TEST_F(GrpcServerTest, RefusesTheCallsThatComeWhileItDrains) {
  bool drained = false;
  server_.Drain([&] { drained = true; });
  EXPECT_TRUE(TurnUntil([&] { return drained; }));
  const OwnedFd fd = Connect(address_);
  const std::string call = MetadataCall();
  ASSERT_EQ(static_cast<ssize_t>(call.size()), ::send(fd.get(), call.data(), call.size(), 0));
  EXPECT_THAT(Hear(fd), AllOf(Not(testing::IsEmpty()), Not(HasSubstr("statistics"))));
}

}  // namespace
}  // namespace mlos::grpc
