// SPDX-License-Identifier: Apache-2.0
#include "cli/grpc_exchange.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <cstring>
#include <memory>

#include "base/utf8.h"
#include "operations/message_codec.h"

namespace mlos::cli {
namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

namespace {

constexpr uint64_t kMaxAnswerBytes = uint64_t{4} << 30;  // of tensors
constexpr size_t kMaxHeadBytes = 64 << 10;
constexpr size_t kPrefix = 5;  // before each message: whether it is compressed, its length
constexpr int32_t kWindow = 16 << 20;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// %XX as the byte that it is.
std::string Decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
                         HexDigit(text[i + 2]) >= 0;
    if (!escaped) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
    i += 2;
  }
  return IsUtf8(out) ? out : std::string(text);
}

StatusCode CodeOf(std::string_view text) {
  int code = -1;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  if (error != std::errc() || at != text.data() + text.size() || code < 0 || code > 16) {
    return StatusCode::kUnknown;
  }
  return static_cast<StatusCode>(code);
}

class Caller {
 public:
  Caller(Connection& connection, const GrpcCall& call) : connection_(connection), call_(call) {}
  ~Caller() { nghttp2_session_del(session_); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  StatusOr<GrpcReply> Run();

 private:
  static Caller& Of(void* user) { return *static_cast<Caller*>(user); }
  static nghttp2_session* NewSession(Caller* caller);
  void Submit();
  void OnHeader(std::string_view name, std::string_view value);
  void OnData(std::string_view data);
  bool Write();  // false: the daemon takes no more
  bool Read();   // false: nothing more comes
  GrpcReply Finish();
  ssize_t ReadBody(uint8_t* to, size_t room, uint32_t* flags);

  Connection& connection_;
  const GrpcCall& call_;
  nghttp2_session* session_ = nullptr;
  int32_t stream_ = -1;
  std::string body_;  // the message with its prefix
  size_t body_at_ = 0;
  std::array<char, 64 << 10> buffer_;

  bool closed_ = false;  // the stream
  bool enough_ = false;
  bool too_large_ = false;
  bool garbage_ = false;  // what came is no HTTP/2
  std::string failure_;   // of the connection
  size_t head_bytes_ = 0;
  std::string http_status_;
  bool is_grpc_ = false;
  std::string grpc_status_;
  std::string grpc_message_;
  std::string data_;  // of messages that are not whole yet
  GrpcReply reply_;
};

ssize_t Caller::ReadBody(uint8_t* to, size_t room, uint32_t* flags) {
  const size_t count = std::min(room, body_.size() - body_at_);
  std::memcpy(to, body_.data() + body_at_, count);
  body_at_ += count;
  if (body_at_ == body_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(count);
}

void Caller::OnHeader(std::string_view name, std::string_view value) {
  head_bytes_ += name.size() + value.size();
  if (head_bytes_ > kMaxHeadBytes) return;
  if (name == ":status") http_status_ = value;
  if (name == "content-type") is_grpc_ = value.substr(0, 16) == "application/grpc";
  if (name == "grpc-status") grpc_status_ = value;
  if (name == "grpc-message") grpc_message_ = Decode(value);
  if (name == operations::kHintTrailer) reply_.hint = Decode(value);
}

void Caller::OnData(std::string_view data) {
  too_large_ = too_large_ || data_.size() + data.size() > kMaxAnswerBytes;
  enough_ = enough_ || too_large_;
  if (enough_) return;
  data_ += data;
  size_t at = 0;
  while (data_.size() - at >= kPrefix && !enough_) {
    uint64_t size = 0;
    for (size_t i = 1; i < kPrefix; ++i) {
      size = size << 8 | static_cast<uint8_t>(data_[at + i]);
    }
    if (data_.size() - at - kPrefix < size) break;
    reply_.messages.push_back(data_.substr(at + kPrefix, size));
    at += kPrefix + size;
    enough_ = call_.enough && call_.enough(reply_.messages.back());
  }
  data_.erase(0, at);
}

nghttp2_session* Caller::NewSession(Caller* caller) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
         const uint8_t* value, size_t value_size, uint8_t, void* user) {
        if (frame->hd.stream_id == Of(user).stream_) {
          Of(user).OnHeader({reinterpret_cast<const char*>(name), name_size},
                            {reinterpret_cast<const char*>(value), value_size});
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks,
      [](nghttp2_session*, uint8_t, int32_t stream, const uint8_t* data, size_t size, void* user) {
        if (stream == Of(user).stream_) {
          Of(user).OnData({reinterpret_cast<const char*>(data), size});
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, int32_t stream, uint32_t, void* user) {
        if (stream == Of(user).stream_) Of(user).closed_ = true;
        return 0;
      });
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, callbacks, caller);
  nghttp2_session_callbacks_del(callbacks);
  return session;
}

void Caller::Submit() {
  session_ = NewSession(this);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                             {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindow);

  body_.assign(kPrefix, '\0');
  for (size_t i = 1; i < kPrefix; ++i) {
    body_[i] = static_cast<char>(call_.message.size() >> (8 * (kPrefix - 1 - i)));
  }
  body_ += call_.message;
  const std::string bearer = "Bearer " + std::string(call_.token);
  std::vector<nghttp2_nv> fields;
  const auto add = [&](std::string_view name, std::string_view value) {
    fields.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                      value.size(), NGHTTP2_NV_FLAG_NONE});
  };
  add(":method", "POST");
  add(":scheme", "http");
  add(":path", call_.method);
  add(":authority", call_.authority);
  add("te", "trailers");
  add("content-type", "application/grpc");
  add("user-agent", "mlos");
  if (!call_.token.empty()) add("authorization", bearer);
  nghttp2_data_provider body;
  body.source.ptr = this;
  body.read_callback = [](nghttp2_session*, int32_t, uint8_t* to, size_t room, uint32_t* flags,
                          nghttp2_data_source* source, void*) {
    return static_cast<Caller*>(source->ptr)->ReadBody(to, room, flags);
  };
  stream_ = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), &body, nullptr);
}

bool Caller::Write() {
  while (true) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size <= 0) return size == 0;
    bool done = false;
    ErrorCode error;
    asio::async_write(connection_.socket(), asio::buffer(bytes, static_cast<size_t>(size)),
                      [&](ErrorCode e, size_t) {
                        error = e;
                        done = true;
                      });
    connection_.Wait(&done);
    if (error) {
      failure_ = error.message();
      return false;
    }
  }
}

bool Caller::Read() {
  bool done = false;
  ErrorCode error;
  size_t count = 0;
  connection_.socket().async_read_some(asio::buffer(buffer_), [&](ErrorCode e, size_t n) {
    error = e;
    count = n;
    done = true;
  });
  connection_.Wait(&done);
  if (error) {
    failure_ = error == asio::error::eof ? "" : error.message();
    return false;
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(buffer_.data());
  garbage_ = nghttp2_session_mem_recv(session_, bytes, count) < 0;
  return !garbage_;
}

GrpcReply Caller::Finish() {
  const StatusCode code = CodeOf(grpc_status_);
  if (code != StatusCode::kOk) reply_.status = MakeStatus(code, grpc_message_);
  return std::move(reply_);
}

StatusOr<GrpcReply> Caller::Run() {
  Submit();
  // A daemon that refuses a large request early has answered nevertheless.
  bool writes = true;
  while (!closed_ && !enough_) {
    writes = writes && Write();
    if (closed_ || enough_ || !Read()) break;
  }
  if (enough_) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_, NGHTTP2_CANCEL);
    Write();
    if (too_large_) return Unavailable("the answer is larger than mlos takes");
    return std::move(reply_);
  }
  if (!grpc_status_.empty()) return Finish();
  if (garbage_) return Unavailable("what listens there does not speak gRPC");
  if (!http_status_.empty() && !is_grpc_) {
    return Unavailable("what listens there does not speak gRPC: HTTP status " + http_status_);
  }
  return Unavailable(failure_.empty() ? "the connection was closed before an answer came"
                                      : failure_);
}

}  // namespace

StatusOr<GrpcReply> Exchange(Connection& connection, const GrpcCall& call) {
  return std::make_unique<Caller>(connection, call)->Run();
}

}  // namespace mlos::cli
