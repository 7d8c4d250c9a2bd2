// SPDX-License-Identifier: Apache-2.0
#include "grpc_floor.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace mlos::bench {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr uint32_t kStreams = 1024;
constexpr int32_t kWindow = 16 << 20;

nghttp2_nv Field(const char* name, const char* value) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name)),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value)), std::strlen(name),
          std::strlen(value), NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

struct Stream {
  std::string message;
  size_t sent = 0;
};

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, OnBegin);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const std::array<nghttp2_settings_entry, 2> settings = {
        {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kStreams},
         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow}}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindow);
  }
  ~Connection() {
    nghttp2_session_del(session_);
    ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Serve() {
    std::vector<uint8_t> in(kReadBytes);
    while (Flush()) {
      const ssize_t got = ::read(fd_, in.data(), in.size());
      if (got <= 0) return;
      if (nghttp2_session_mem_recv(session_, in.data(), static_cast<size_t>(got)) < 0) return;
    }
  }

 private:
  static Connection& Of(void* user) { return *static_cast<Connection*>(user); }

  bool Flush() {
    out_.clear();
    const uint8_t* piece = nullptr;
    ssize_t length = 0;
    while ((length = nghttp2_session_mem_send(session_, &piece)) > 0) {
      out_.insert(out_.end(), piece, piece + length);
    }
    size_t done = 0;
    while (length == 0 && done < out_.size()) {
      const ssize_t wrote = ::write(fd_, out_.data() + done, out_.size() - done);
      if (wrote <= 0) return false;
      done += static_cast<size_t>(wrote);
    }
    return length == 0;
  }

  static int OnBegin(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Of(user).streams_[frame->hd.stream_id];
    return 0;
  }

  static int OnData(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t length,
                    void* user) {
    Of(user).streams_[id].message.append(reinterpret_cast<const char*>(data), length);
    return 0;
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
      return 0;
    }
    const std::array<nghttp2_nv, 2> head = {Field(":status", "200"),
                                            Field("content-type", "application/grpc")};
    nghttp2_data_provider body{};
    body.read_callback = Read;
    return nghttp2_submit_response(session, frame->hd.stream_id, head.data(), head.size(), &body);
  }

  static ssize_t Read(nghttp2_session* session, int32_t id, uint8_t* to, size_t most,
                      uint32_t* flags, nghttp2_data_source*, void* user) {
    Stream& stream = Of(user).streams_[id];
    const size_t length = std::min(most, stream.message.size() - stream.sent);
    std::memcpy(to, stream.message.data() + stream.sent, length);
    stream.sent += length;
    if (stream.sent == stream.message.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const nghttp2_nv ok = Field("grpc-status", "0");
      nghttp2_submit_trailer(session, id, &ok, 1);
    }
    return static_cast<ssize_t>(length);
  }

  static int OnClose(nghttp2_session*, int32_t id, uint32_t, void* user) {
    Of(user).streams_.erase(id);
    return 0;
  }

  const int fd_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, Stream> streams_;
  std::vector<uint8_t> out_;
};

}  // namespace

int ServeFloor() {
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (::bind(listening, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listening, SOMAXCONN) != 0 ||
      ::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return 1;
  }
  std::printf("127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  for (;;) {
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return 1;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    Connection(fd).Serve();
  }
}

}  // namespace mlos::bench
