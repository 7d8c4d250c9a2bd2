// SPDX-License-Identifier: Apache-2.0
#include "rpc/fakes.h"

#include <zlib.h>

#include <algorithm>

namespace mlos::rpc {

// ----------------------------------------------------------------- the answer

std::string Answer::header(const std::string& name) const {
  for (const auto& head : heads) {
    if (const auto found = head.find(name); found != head.end()) return found->second;
  }
  return {};
}
std::string Answer::status() const { return header("grpc-status"); }
std::string Answer::message() const { return header("grpc-message"); }

std::vector<std::string> Answer::messages(std::string* flags) const {
  std::vector<std::string> out;
  for (size_t at = 0; at + 5 <= data.size();) {
    const auto* p = reinterpret_cast<const uint8_t*>(data.data() + at);
    const size_t size = static_cast<size_t>(p[1]) << 24 | static_cast<size_t>(p[2]) << 16 |
                        static_cast<size_t>(p[3]) << 8 | p[4];
    if (flags != nullptr) flags->push_back(static_cast<char>('0' + p[0]));
    out.push_back(data.substr(at + 5, size));
    at += 5 + size;
  }
  return out;
}

std::string Framed(std::string_view message, bool compressed) {
  std::string out(5, '\0');
  out[0] = compressed ? 1 : 0;
  for (int i = 0; i < 4; ++i) out[4 - i] = static_cast<char>(message.size() >> (8 * i));
  out += message;
  return out;
}

std::string Zip(std::string_view data, Coding encoding) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + (encoding == Coding::kGzip ? 16 : 0), 8,
               Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, data.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = static_cast<uInt>(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string Unzip(std::string_view data, Coding encoding) {
  z_stream z{};
  inflateInit2(&z, MAX_WBITS + (encoding == Coding::kGzip ? 16 : 0));
  std::string out(16 << 20, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = static_cast<uInt>(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  inflate(&z, Z_FINISH);
  out.resize(z.total_out);
  inflateEnd(&z);
  return out;
}

// ------------------------------------------------------------------- the wire

struct WireCallbacks {
  static Wire& Of(void* user) { return *static_cast<Wire*>(user); }

  static int OnHead(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Of(user).answers_[frame->hd.stream_id].heads.emplace_back();
    return 0;
  }
  static int OnField(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                     size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                     void* user) {
    Of(user).answers_[frame->hd.stream_id].heads.back().emplace(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Wire& w = Of(user);
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      Answer& answer = w.answers_[frame->hd.stream_id];
      answer.end_on_head = answer.heads.size() == 1;
    }
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      ++w.goaways;
      w.goaway_code = frame->goaway.error_code;
      w.goaway_last = frame->goaway.last_stream_id;
      w.goaway_text.assign(reinterpret_cast<const char*>(frame->goaway.opaque_data),
                           frame->goaway.opaque_data_len);
    }
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                    void* user) {
    Of(user).answers_[id].data.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int OnClosed(nghttp2_session*, int32_t id, uint32_t code, void* user) {
    Answer& answer = Of(user).answers_[id];
    answer.closed = true;
    answer.error_code = code;
    return 0;
  }
  static ssize_t Read(nghttp2_session*, int32_t, uint8_t* buffer, size_t length, uint32_t* flags,
                      nghttp2_data_source* source, void*) {
    auto& body = *static_cast<Wire::Body*>(source->ptr);
    if (body.parts.empty()) {
      if (!body.end) return NGHTTP2_ERR_DEFERRED;
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      return 0;
    }
    std::string& part = body.parts.front();
    const size_t take = std::min(length, part.size() - body.at);
    std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(body.at), take, buffer);
    body.at += take;
    if (body.at == part.size()) {
      body.parts.pop_front();
      body.at = 0;
    }
    if (body.parts.empty() && body.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(take);
  }
};

Wire::Wire(h2::Acceptor& acceptor, const h2::Limits& limits, uint32_t client_window,
           bool auto_window)
    : limits_(limits) {
  session_ = std::make_unique<h2::Session>(owner_, acceptor, limits_);
  nghttp2_session_callbacks* c = nullptr;
  nghttp2_session_callbacks_new(&c);
  nghttp2_session_callbacks_set_on_begin_headers_callback(c, WireCallbacks::OnHead);
  nghttp2_session_callbacks_set_on_header_callback(c, WireCallbacks::OnField);
  nghttp2_session_callbacks_set_on_frame_recv_callback(c, WireCallbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, WireCallbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(c, WireCallbacks::OnClosed);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, auto_window ? 0 : 1);
  nghttp2_option_set_peer_max_concurrent_streams(option, 1 << 20);
  nghttp2_session_client_new2(&client_, c, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(c);
  const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, client_window}};
  nghttp2_submit_settings(client_, NGHTTP2_FLAG_NONE, settings, 1);
  if (client_window > 65535) {
    nghttp2_session_set_local_window_size(client_, NGHTTP2_FLAG_NONE, 0,
                                          static_cast<int32_t>(client_window));
  }
}

Wire::~Wire() { nghttp2_session_del(client_); }

void Wire::PumpUp() {
  for (;;) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(client_, &data);
    if (size <= 0) return;
    session_->Feed({reinterpret_cast<const std::byte*>(data), static_cast<size_t>(size)});
  }
}

size_t Wire::PumpDown() {
  size_t moved = 0;
  for (;;) {
    iovec pieces[16];
    const size_t count = session_->Gather(pieces, std::size(pieces));
    if (count == 0) return moved;
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      nghttp2_session_mem_recv(client_, static_cast<const uint8_t*>(pieces[i].iov_base),
                               pieces[i].iov_len);
      bytes += pieces[i].iov_len;
    }
    session_->Advance(bytes);
    moved += bytes;
  }
}

void Wire::Pump(bool turns) {
  do {
    PumpUp();
    while (turns && std::exchange(owner_.turn, false)) session_->Turn();
  } while (PumpDown() > 0);
}

int32_t Wire::Open(std::string_view path, const Fields& more, bool end) {
  Fields fields = {{":method", "POST"},
                   {":scheme", "http"},
                   {":path", std::string(path)},
                   {":authority", "test"},
                   {"content-type", "application/grpc"},
                   {"te", "trailers"}};
  for (const auto& field : more) {
    const auto same = std::find_if(fields.begin(), fields.end(),
                                   [&](const auto& f) { return f.first == field.first; });
    if (same == fields.end()) {
      fields.push_back(field);
    } else {
      same->second = field.second;
    }
  }
  std::vector<nghttp2_nv> nv;
  nv.reserve(fields.size());
  for (auto& [name, value] : fields) {
    nv.push_back({reinterpret_cast<uint8_t*>(name.data()), reinterpret_cast<uint8_t*>(value.data()),
                  name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  const int32_t id = static_cast<int32_t>(nghttp2_session_get_next_stream_id(client_));
  nghttp2_data_provider body{};
  body.source.ptr = &bodies_[id];
  body.read_callback = WireCallbacks::Read;
  nghttp2_submit_request(client_, nullptr, nv.data(), nv.size(), end ? nullptr : &body, nullptr);
  return id;
}

void Wire::Send(int32_t id, std::string data, bool end) {
  Body& body = bodies_[id];
  if (!data.empty()) body.parts.push_back(std::move(data));
  body.end = end;
  nghttp2_session_resume_data(client_, id);
}

Answer& Wire::Ask(std::string_view path, std::string_view message, const Fields& more, bool turns) {
  const int32_t id = Open(path, more);
  Send(id, Framed(message), true);
  Pump(turns);
  return answers_[id];
}

void Wire::Reset(int32_t id, uint32_t code) {
  nghttp2_submit_rst_stream(client_, NGHTTP2_FLAG_NONE, id, code);
}

void Wire::Raw(std::string_view bytes) {
  session_->Feed({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
}

std::string Wire::Request(std::string_view path, std::string_view message) {
  // Not for a table, with a name that is in the fixed one.
  const auto field = [](std::string_view index, std::string_view value) {
    std::string out(index);
    out += static_cast<char>(value.size());
    out += value;
    return out;
  };
  std::string head = "\x83\x86";
  head += field("\x04", path);
  head += field("\x01", "test");
  head += field("\x0f\x10", "application/grpc");
  return Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head) +
         Frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, Framed(message));
}

std::string Wire::Frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
  std::string out;
  for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(id >> shift);
  out += payload;
  return out;
}

// ---------------------------------------------------------------- the service

class EchoMethod::Echo final : public Handler {
 public:
  Echo(EchoMethod& method, Call& call) : method_(method), call_(call) {}

  void OnMessage(std::optional<uint64_t> size) override {
    text_.clear();
    if (size) text_.reserve(*size);
  }
  size_t OnData(std::span<const std::byte> data) override {
    if (method_.take_nothing) return 0;
    const size_t take = std::min(data.size(), method_.budget);
    method_.budget -= take;
    text_.append(reinterpret_cast<const char*>(data.data()), take);
    return take;
  }
  void OnMessageEnd() override {
    for (int i = 0; i < method_.repeat; ++i) queue_.push_back(text_);
    Next();
  }
  void OnHalfClose() override {
    ++method_.seen.half_closed;
    half_closed_ = true;
    Next();
  }
  void OnSent() override {
    queue_.pop_front();
    sending_ = false;
    Next();
  }
  void OnReleased() override {
    ++method_.seen.released;
    if (!queue_.empty()) queue_.front().assign(queue_.front().size(), '!');
  }
  void OnCancel() override { ++method_.seen.cancelled; }
  void OnDone() override {
    ++method_.seen.done;
    std::erase(method_.seen.calls, &call_);
    delete this;
  }

 private:
  void Next() {
    if (sending_ || call_.finished()) return;
    if (queue_.empty()) {
      if (half_closed_) call_.Finish(OkStatus());
      return;
    }
    sending_ = true;
    std::string& first = queue_.front();
    // In pieces, of which some are empty, to see that they come as one.
    const size_t half = first.size() / 2;
    const iovec none = {nullptr, 0};
    const iovec pieces[] = {
        none, {first.data(), half}, none, none, {first.data() + half, first.size() - half}, none};
    call_.Send(pieces);
    if (!method_.streams_ && queue_.size() == 1) call_.Finish(OkStatus());
  }

  EchoMethod& method_;
  Call& call_;
  std::string text_;
  std::deque<std::string> queue_;
  bool sending_ = false;
  bool half_closed_ = false;
};

Handler* EchoMethod::Begin(Call& call) {
  ++seen.begun;
  seen.deadline_ns = call.deadline_ns();
  seen.text = call.Metadata("seen");
  DecodeBinary(call.Metadata("seen-bin"), &seen.binary);
  seen.calls.push_back(&call);
  if (!header.empty()) call.AddHeader("x-header", header);
  return new Echo(*this, call);
}

}  // namespace mlos::rpc
