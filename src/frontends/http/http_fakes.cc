// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/http_fakes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <future>

#include "base/clock.h"

namespace mlos::http {

FakeControl::FakeControl() {
  answer_ = [](const control::Operation& operation) {
    control::Outcome outcome;
    outcome.body = boost::json::object{};
    if (operation.kind == control::OperationKind::kGetTraceSettings ||
        operation.kind == control::OperationKind::kSetTraceSettings) {
      outcome.body = boost::json::object{{"settings", boost::json::object{}}};
    }
    return outcome;
  };
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stop_ || (open_ && !queue_.empty()); });
      if (stop_) return;
      auto [operation, done] = std::move(queue_.front());
      queue_.erase(queue_.begin());
      const Answer answer = answer_;
      lock.unlock();
      done(answer(operation));
      lock.lock();
    }
  });
}

FakeControl::~FakeControl() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FakeControl::Apply(control::Operation operation, std::function<void(control::Outcome)> done) {
  ++applied;
  const std::lock_guard lock(mutex_);
  queue_.emplace_back(std::move(operation), std::move(done));
  changed_.notify_all();
}

void FakeControl::set_answer(Answer answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

void FakeControl::Open(bool open) {
  const std::lock_guard lock(mutex_);
  open_ = open;
  changed_.notify_all();
}

TestServer::TestServer(HttpOptions options, frontend::RegionPolicy regions, trace::Tracer* tracer)
    : regions_(std::move(regions)) {
  engine_ = std::make_unique<engine::FakeEngine>(loop_);
  server_ = std::make_unique<HttpServer>(loop_, *engine_, control_, std::move(options), &regions_,
                                         tracer);
  address_ = server_->Listen("127.0.0.1:0").value();
  thread_ = std::thread([this] { loop_.Run(); });
}

TestServer::~TestServer() {
  OnLoop([this] { server_.reset(); });
  loop_.Stop();
  thread_.join();
}

void TestServer::OnLoop(std::function<void()> f) {
  std::promise<void> done;
  loop_.Post([&] {
    f();
    done.set_value();
  });
  done.get_future().wait();
}

size_t TestServer::connections() {
  size_t n = 0;
  OnLoop([&] { n = server_->connections(); });
  return n;
}

namespace {

OwnedFd Connect(const std::string& address) {
  if (address.substr(0, 5) == "unix:") {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, address.c_str() + 5, sizeof(to.sun_path) - 1);
    OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) fd.Reset();
    return fd;
  }
  const size_t colon = address.rfind(':');
  const auto port = static_cast<uint16_t>(std::stoi(address.substr(colon + 1)));
  if (address[0] == '[') {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    ::inet_pton(AF_INET6, address.substr(1, colon - 2).c_str(), &to.sin6_addr);
    OwnedFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) fd.Reset();
    return fd;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) fd.Reset();
  return fd;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

TestClient::TestClient(const std::string& address) : fd_(Connect(address)) {
  const timeval limit{10, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool TestClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool TestClient::Fill() {
  char chunk[16384];
  const ssize_t n = ::recv(fd_.get(), chunk, sizeof(chunk), 0);
  if (n <= 0) return false;
  buffer_.append(chunk, static_cast<size_t>(n));
  return true;
}

Reply TestClient::Read(bool head) {
  Reply reply;
  size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return reply;
  }
  const std::string header = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  const int status = std::stoi(header.substr(9, 3));
  for (size_t at = header.find("\r\n") + 2; at < header.size();) {
    const size_t eol = header.find("\r\n", at);
    const size_t colon = header.find(':', at);
    reply.fields[Lower(header.substr(at, colon - at))] = header.substr(colon + 2, eol - colon - 2);
    at = eol + 2;
  }
  const auto length = reply.fields.find("content-length");
  if (!head && length != reply.fields.end()) {
    const size_t bytes = std::stoull(length->second);
    while (buffer_.size() < bytes) {
      if (!Fill()) return reply;
    }
    reply.body = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
  }
  reply.status = status;
  return reply;
}

Reply TestClient::Ask(std::string_view method, std::string_view path, std::string_view body,
                      std::string_view fields) {
  std::string request(method);
  request += ' ';
  request += path;
  request += " HTTP/1.1\r\nHost: test\r\n";
  request += fields;
  if (!body.empty() || method == "POST") {
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  request += "\r\n";
  request += body;
  Send(request);
  return Read(method == "HEAD");
}

std::string TestClient::ReadAll() {
  while (Fill()) {
  }
  return std::exchange(buffer_, {});
}

bool TestClient::AtEnd() {
  if (!buffer_.empty()) return false;
  char c;
  return ::recv(fd_.get(), &c, 1, 0) == 0;
}

void TestClient::ShutdownSend() { ::shutdown(fd_.get(), SHUT_WR); }

bool Eventually(const std::function<bool()>& condition) {
  const uint64_t limit = NowNanos() + 10 * kNanosPerSecond;
  while (!condition()) {
    if (NowNanos() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace mlos::http
