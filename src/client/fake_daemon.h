// SPDX-License-Identifier: Apache-2.0
//
// What tests of the client talk to: a daemon that opens channels to one model of FP32
// in and out, and the plugin host behind it, whose every step the test takes.
//
// Threads: the test's own serves the channel (Step); a thread of the fake answers the
// socket.  Lifetime: the test's.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "channel/consumer.h"
#include "hostlink/lane_messages.h"
#include "hostlink/link.h"
#include "ipc/message.h"
#include "tensor/message.h"

namespace mlos::client {

class FakeDaemon {
 public:
  FakeDaemon() {
    char name[] = "/tmp/client_test_XXXXXX";
    directory_ = ::mkdtemp(name);
    Listen();
  }
  ~FakeDaemon() {
    Stop();
    std::filesystem::remove_all(directory_);
  }
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  std::string address() const { return "unix://" + path(); }
  std::string path() const { return directory_ + "/mlos.sock"; }

  // ---- what it does
  // Greets with these bytes, and hangs up; nothing: as it should.
  void GreetWith(std::optional<std::string> bytes) {
    const std::lock_guard lock(mutex_);
    greeting_ = std::move(bytes);
  }
  std::atomic<bool> without_descriptor{false};
  std::atomic<int> spare_descriptor{-1};     // one that comes with a channel and belongs to nothing
  std::atomic<int64_t> inputs_size{2};       // the only dimension of the model's input
  std::atomic<int> refusals{0};              // so many opens are UNAVAILABLE
  std::atomic<bool> optional_second{false};  // a second input that may be left out

  std::atomic<int> opened{0};

  // ---- the core's end of the newest link
  // Its next consumer: asks for a grant and attaches.
  bool BeginEpoch(const channel::Ending& ending = {}) {
    hostlink::Frame frame = hostlink::EncodeBeginEpoch(ending);
    frame.id = ++last_id_;
    if (!Send(std::move(frame))) return false;
    const std::optional<hostlink::Frame> answer = Receive(hostlink::kGrant);
    if (!answer) return false;
    auto grant = hostlink::DecodeGrant(std::move(const_cast<hostlink::Frame&>(*answer)));
    if (!grant.ok()) return false;
    auto attached = channel::Consumer::Attach(*std::move(grant), channel::EventKind::kSocket);
    if (!attached.ok()) return false;
    consumer_ = *std::move(attached);
    return true;
  }
  void LoseConsumer() { consumer_.reset(); }
  channel::Consumer& consumer() { return *consumer_; }
  bool Send(hostlink::Frame frame) {
    const std::lock_guard lock(mutex_);
    return link_ != nullptr && link_->Send(std::move(frame)).ok();
  }
  void EndLink(const Status& why, bool reopen) {
    Send(hostlink::EncodeEnded({why, reopen}));
    DropLink();
  }
  void DropLink() {
    const std::lock_guard lock(mutex_);
    link_.reset();
    frames_.clear();
  }
  // The next frame of this type; what else comes is dropped.
  std::optional<hostlink::Frame> Receive(uint32_t type) {
    const uint64_t limit = NowNanos() + 10 * kNanosPerSecond;
    while (NowNanos() < limit) {
      const std::lock_guard lock(mutex_);
      if (link_ == nullptr) continue;
      if (frames_.empty() && !link_->Receive(&frames_).ok() && frames_.empty()) return {};
      if (frames_.empty()) continue;
      hostlink::Frame frame = std::move(frames_.front());
      frames_.erase(frames_.begin());
      if (frame.type == type) return frame;
    }
    return {};
  }
  bool WaitOpened(int times) const {
    const uint64_t limit = NowNanos() + 10 * kNanosPerSecond;
    while (opened < times && NowNanos() < limit) std::this_thread::yield();
    return opened >= times;
  }

  // ---- the plugin host
  std::optional<channel::Claim> Claim() {
    channel::Claim claim;
    const uint64_t limit = NowNanos() + 10 * kNanosPerSecond;
    while (NowNanos() < limit) {
      if (consumer_->NextReplay(&claim) || consumer_->Next(&claim)) return claim;
      std::this_thread::yield();
    }
    return {};
  }
  struct Answer {
    StatusCode code = StatusCode::kOk;
    std::string text;
    std::function<void(tensor::TensorDesc&)> spoil;  // what is said of the output
    bool garbage = false;
  };
  // Each element of the first input plus one.
  bool Reply(const channel::Claim& claim) { return Reply(claim, Answer()); }
  bool Reply(const channel::Claim& claim, const Answer& answer) {
    const auto request = consumer_->RequestMemory(claim.request);
    tensor::RequestView view;
    if (!request.ok() || !tensor::ReadRequest(*request, &view).ok()) return false;
    std::vector<tensor::TensorDesc> outputs;
    if (answer.code == StatusCode::kOk) {
      tensor::TensorDesc desc = view.inputs[0];
      const auto input = consumer_->RequestMemory({desc.segment, 0, desc.offset, desc.bytes});
      const auto output = consumer_->AllocateResponse(claim.entry, 1, desc.bytes);
      if (!input.ok() || !output.ok()) return false;
      for (uint64_t at = 0; at < desc.bytes; at += sizeof(float)) {
        float value = 0;
        std::memcpy(&value, input->data() + at, sizeof(value));
        value += 1;
        std::memcpy(output->memory.data() + at, &value, sizeof(value));
      }
      desc.index = 0;
      desc.segment = output->block.segment;
      desc.offset = output->block.offset;
      if (answer.spoil) answer.spoil(desc);
      outputs.push_back(desc);
    }
    return Complete(claim, answer, outputs);
  }

  void Stop() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
    DropLink();
    ::unlink(path().c_str());
  }
  void Listen() {
    stopping_ = false;
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path().c_str(), sizeof(to.sun_path) - 1);
    ASSERT_EQ(0, ::bind(listener_, reinterpret_cast<sockaddr*>(&to), sizeof(to)));
    ASSERT_EQ(0, ::listen(listener_, 8));
    thread_ = std::thread([this] { Serve(); });
  }

 private:
  bool Complete(const channel::Claim& claim, const Answer& answer,
                const std::vector<tensor::TensorDesc>& outputs) {
    const uint64_t bytes = tensor::ResponseBlockBytes(static_cast<uint32_t>(outputs.size()),
                                                      static_cast<uint32_t>(answer.text.size()));
    auto head = consumer_->AllocateResponse(claim.entry, 0, bytes);
    if (!head.ok()) return false;
    tensor::WriteResponse(answer.code, outputs, answer.text, head->memory.first(bytes));
    if (answer.garbage) std::memset(head->memory.data(), 0x5a, bytes);
    channel::BlockRef block = head->block;
    block.length = bytes;
    if (!consumer_->Complete(claim, block, {claim.claimed_ns, claim.claimed_ns, NowNanos()})) {
      return false;
    }
    consumer_->RingProducer();
    return true;
  }

  // One client after the other; each until it hangs up.
  void Serve() {
    while (!stopping_) {
      const OwnedFd peer(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      const timeval limit{0, 50'000};
      ::setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
      while (!stopping_ && AnswerOne(peer.get())) {
      }
    }
  }
  bool ReadAll(int peer, void* to, size_t bytes) const {
    for (auto* at = static_cast<char*>(to); bytes > 0;) {
      const ssize_t n = ::recv(peer, at, bytes, 0);
      if (n < 0 && errno == EAGAIN && !stopping_) continue;
      if (n <= 0) return false;
      at += n;
      bytes -= static_cast<size_t>(n);
    }
    return true;
  }
  bool AnswerOne(int peer) {
    ipc::FrameHeader header;
    if (!ReadAll(peer, &header, sizeof(header))) return false;
    std::string payload(header.bytes, '\0');
    if (!ReadAll(peer, payload.data(), payload.size())) return false;
    Buffer out;
    if (header.type == static_cast<uint32_t>(ipc::Ask::kHello)) {
      const std::lock_guard lock(mutex_);
      if (greeting_) {
        ::send(peer, greeting_->data(), greeting_->size(), MSG_NOSIGNAL);
        return false;
      }
      Encode(ipc::Welcome{.max_calls = 8, .max_message = 1 << 20}, &out);
      return Tell(peer, header.call, ipc::Tell::kWelcome, out.view(), -1);
    }
    if (header.type != static_cast<uint32_t>(ipc::Ask::kOpen) || refusals > 0) {
      if (refusals > 0) --refusals;
      Encode(ipc::Failure{StatusCode::kUnavailable, "not here", "wait"}, &out);
      return Tell(peer, header.call, ipc::Tell::kFailure, out.view(), -1);
    }
    return Open(peer, header.call);
  }
  bool Open(int peer, uint64_t call) {
    ipc::ModelDescription model;
    model.name = "m";
    model.version = "1";
    ipc::DescribedTensor tensor;
    tensor.name = "x";
    tensor.datatype = static_cast<uint32_t>(tensor::Datatype::kFp32);
    tensor.rank = 1;
    tensor.dims[0] = inputs_size;
    model.inputs = {tensor};
    model.outputs = {tensor};
    model.outputs[0].name = "y";
    if (optional_second) {
      model.inputs.push_back(tensor);
      model.inputs[1].name = "mask";
      model.inputs[1].optional = true;
    }
    Buffer out;
    Encode(model, &out);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
    const OwnedFd theirs(ends[1]);
    {
      const std::lock_guard lock(mutex_);
      link_ = std::make_unique<hostlink::Link>(OwnedFd(ends[0]));
      frames_.clear();
    }
    const bool told = Tell(peer, call, ipc::Tell::kChannel, out.view(),
                           without_descriptor ? -1 : theirs.get(), spare_descriptor);
    ++opened;
    return told;
  }
  static bool Tell(int peer, uint64_t call, ipc::Tell type, std::string_view payload, int fd,
                   int spare = -1) {
    const ipc::FrameHeader header{.type = static_cast<uint32_t>(type),
                                  .descriptors = fd >= 0 ? 1u : 0u,
                                  .call = call,
                                  .bytes = payload.size()};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes += payload;
    iovec piece{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    const int fds[] = {fd, spare};
    const size_t fd_bytes = spare >= 0 ? sizeof(fds) : sizeof(fd);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {};
    if (fd >= 0) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(fd_bytes);
      cmsghdr* const c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(fd_bytes);
      std::memcpy(CMSG_DATA(c), fds, fd_bytes);
    }
    return ::sendmsg(peer, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

  std::string directory_;
  int listener_ = -1;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::optional<std::string> greeting_;
  std::unique_ptr<hostlink::Link> link_;
  std::vector<hostlink::Frame> frames_;
  std::unique_ptr<channel::Consumer> consumer_;
  uint64_t last_id_ = 0;
};

}  // namespace mlos::client
