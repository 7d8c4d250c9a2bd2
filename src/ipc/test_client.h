// SPDX-License-Identifier: Apache-2.0
//
// A client for tests: speaks frames of the local protocol, or any other bytes.
// One thread.  Gives up after ten seconds without an answer.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/owned_fd.h"
#include "ipc/message.h"

namespace mlos::ipc {

struct Frame {
  FrameHeader header;
  std::string payload;

  Tell type() const { return static_cast<Tell>(header.type); }
};

class Client {
 public:
  explicit Client(const std::string& path, bool greet = true)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, path.c_str(), sizeof(to.sun_path) - 1);
    EXPECT_EQ(0, ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)));
    const timeval limit{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (!greet) return;
    Send(Ask::kHello, 1, Hello{.client = "test"});
    const auto frame = Read();
    EXPECT_TRUE(frame && frame->type() == Tell::kWelcome);
  }

  bool SendBytes(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  static std::string Framed(Ask type, uint64_t call, std::string_view payload) {
    const FrameHeader header{
        .type = static_cast<uint32_t>(type), .call = call, .bytes = payload.size()};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes += payload;
    return bytes;
  }
  bool SendFrame(Ask type, uint64_t call, std::string_view payload) {
    return SendBytes(Framed(type, call, payload));
  }
  template <typename T>
  bool Send(Ask type, uint64_t call, const T& message) {
    Buffer payload;
    Encode(message, &payload);
    return SendFrame(type, call, payload.view());
  }
  // Nothing: the connection has ended.
  std::optional<Frame> Read() {
    Frame frame;
    if (!ReadBytes(&frame.header, sizeof(frame.header))) return std::nullopt;
    frame.payload.resize(frame.header.bytes);
    if (!ReadBytes(frame.payload.data(), frame.payload.size())) return std::nullopt;
    return frame;
  }
  template <typename T>
  std::optional<Frame> Ask1(Ask type, const T& message) {
    Send(type, ++last_, message);
    return Read();
  }
  uint64_t next() { return ++last_; }
  int fd() const { return fd_.get(); }
  void Close() { fd_.Reset(); }

  std::vector<OwnedFd> descriptors;  // that came with what was read

 private:
  bool ReadBytes(void* to, size_t bytes) {
    auto* at = static_cast<char*>(to);
    while (bytes > 0) {
      iovec piece{at, bytes};
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
      msghdr message{};
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      const ssize_t n = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
      if (n <= 0) return false;
      if (const cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr && c->cmsg_type == SCM_RIGHTS) {
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(c), sizeof(descriptor));
        descriptors.emplace_back(descriptor);
      }
      at += n;
      bytes -= static_cast<size_t>(n);
    }
    return true;
  }

  OwnedFd fd_;
  uint64_t last_ = 100;
};

// "CODE: text (hint)".
inline std::string FailureOf(const std::optional<Frame>& frame) {
  if (!frame) return "the connection has ended";
  if (frame->type() != Tell::kFailure) return "no failure";
  Failure failure;
  EXPECT_TRUE(Decode(frame->payload, &failure).ok());
  std::string text = CodeName(failure.code) + ": " + std::string(failure.text);
  if (!failure.hint.empty()) text += " (" + std::string(failure.hint) + ")";
  return text;
}

inline WireTensor Input(std::string_view name, tensor::Datatype datatype,
                        std::vector<int64_t> shape, uint64_t bytes) {
  WireTensor tensor;
  tensor.name = name;
  tensor.datatype = static_cast<uint32_t>(datatype);
  tensor.rank = static_cast<uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), tensor.dims);
  tensor.bytes = bytes;
  return tensor;
}

// The input "in" of the models id_*.
inline std::string InferOf(std::string_view model, tensor::Datatype datatype, int64_t count,
                           std::string_view data) {
  AskInfer ask;
  ask.model = model;
  ask.inputs = {Input("in", datatype, {count}, data.size())};
  Buffer head;
  EXPECT_TRUE(EncodeHead(ask, &head));
  return std::string(head.view()) + std::string(data);
}

// The data of the only output.
inline std::string DataOf(const std::optional<Frame>& frame) {
  if (!frame || frame->type() != Tell::kOutputs) return FailureOf(frame);
  InferAnswer answer;
  EXPECT_TRUE(Decode(frame->payload, &answer).ok());
  if (answer.outputs.size() != 1) return "not one output";
  return frame->payload.substr(answer.outputs[0].at, answer.outputs[0].bytes);
}

}  // namespace mlos::ipc
