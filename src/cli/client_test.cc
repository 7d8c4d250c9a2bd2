// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/owned_fd.h"
#include "cli/request.h"

namespace mlos::cli {
namespace {

using testing::HasSubstr;

// Takes one connection, reads one request's head, says `answer` and closes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer, const std::string& scheme = "http")
      : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(0, bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address));
    EXPECT_EQ(0, listen(listener_.get(), 1));
    socklen_t size = sizeof address;
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    target_ = *ParseTarget(scheme + "://127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
    thread_ = std::thread([this, answer = std::move(answer)] {
      const OwnedFd peer(accept(listener_.get(), nullptr, nullptr));
      char buffer[4096];
      while (request_.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = read(peer.get(), buffer, sizeof buffer);
        if (count <= 0) return;
        request_.append(buffer, static_cast<size_t>(count));
      }
      send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    });
  }
  ~OneAnswer() {
    if (thread_.joinable()) thread_.join();
  }

  StatusOr<Answer> Ask(const Request& request, const std::string& token = "") {
    auto answer = NewClient(target_, token)->Send(request);
    thread_.join();
    return answer;
  }
  const std::string& request() const { return request_; }

 private:
  OwnedFd listener_;
  Target target_;
  std::string request_;
  std::thread thread_;
};

TEST(ClientTest, SendsWhatItIsTold) {
  OneAnswer server("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
  const auto answer = server.Ask({"POST", "/p?q=1", "", -1}, "mlos_token");
  ASSERT_TRUE(answer.ok()) << Message(answer.status());
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->body, "{}");
  EXPECT_THAT(server.request(), testing::StartsWith("POST /p?q=1 HTTP/1.1\r\n"));
  EXPECT_THAT(server.request(), HasSubstr("Authorization: Bearer mlos_token\r\n"));
  EXPECT_THAT(server.request(), HasSubstr("Content-Length: 0\r\n"));
}

TEST(ClientTest, SaysHowLongTheJsonOfABinaryBodyIs) {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(server.Ask({"POST", "/", "{}1234", 2}).ok());
  EXPECT_THAT(server.request(), HasSubstr("Inference-Header-Content-Length: 2\r\n"));
  EXPECT_THAT(server.request(), HasSubstr("Content-Length: 6\r\n"));
}

TEST(ClientTest, WhatIsNoAnswerIsUnavailable) {
  for (const std::string& said :
       {std::string(), std::string("HTTP/1.1 200 OK\r\nContent-Le"), std::string("garbage\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n"}) {
    OneAnswer server(said);
    const auto answer = server.Ask({"GET", "/", "", -1});
    EXPECT_FALSE(answer.ok()) << said.substr(0, 60);
    EXPECT_EQ(answer.status().code(), StatusCode::kUnavailable);
    EXPECT_FALSE(Message(answer.status()).empty());
  }
}

// A call of gRPC begins with an empty line in its first bytes as well.
TEST(ClientTest, WhatSpeaksNoGrpcIsUnavailable) {
  for (const std::string& said :
       {std::string(), std::string("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        std::string("garbage"), std::string("\0\0\0\x04\0\0\0\0\0", 9)}) {
    OneAnswer server(said, "grpc");
    const auto answer = server.Ask(RequestFor(operations::OperationKind::kGetStatus));
    EXPECT_FALSE(answer.ok());
    EXPECT_EQ(answer.status().code(), StatusCode::kUnavailable);
    EXPECT_FALSE(Message(answer.status()).empty());
  }
}

}  // namespace
}  // namespace mlos::cli
