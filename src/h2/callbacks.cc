// SPDX-License-Identifier: Apache-2.0
#include "h2/callbacks.h"

#include <algorithm>
#include <exception>

#include "base/clock.h"
#include "h2/session.h"

namespace mlos::h2 {
namespace {

// A head that is so many times larger than allowed is not read to its end.
constexpr uint64_t kHopelessHead = 8;

}  // namespace

// Has access to Session and Stream, on whose behalf it is called.
struct Callbacks {
  static Session& Of(void* user) { return *static_cast<Session*>(user); }
  static Stream* Find(nghttp2_session* session, int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }
  // The library is in C: what is thrown ends here, and with it the connection.
  template <typename F>
  static int Guarded(const F& f) {
    try {
      return f();
    } catch (const std::exception&) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  // Clients reset what is answered as well, when they have more to send than
  // anybody wants.
  static bool IsUnanswered(const Stream* stream) { return stream != nullptr && !stream->end_sent_; }

  // Every frame's first nine bytes.
  static int OnFrameBegins(nghttp2_session* session, const nghttp2_frame_hd* hd, void* user) {
    return Guarded([&] { return TakeFrameHead(session, hd, Of(user)); });
  }

  static int TakeFrameHead(nghttp2_session* session, const nghttp2_frame_hd* hd, Session& s) {
    s.greeted_ = true;
    if (s.over()) return 0;
    switch (hd->type) {
      case NGHTTP2_DATA:
        return 0;  // when its padding is known
      case NGHTTP2_HEADERS:
        s.guard_.NoteWork();
        return 0;
      case NGHTTP2_CONTINUATION:
        if (hd->length > 0) return 0;
        break;
      case NGHTTP2_RST_STREAM:
        if (IsUnanswered(Find(session, hd->stream_id))) {
          s.CountReset();
          return 0;
        }
        break;
      case NGHTTP2_PRIORITY:
        // Which the library, that makes nothing of it, lets pass.
        if (hd->stream_id == 0) {
          s.EndWith(End::kProtocol, NGHTTP2_PROTOCOL_ERROR, "priority_of_stream_0");
          return 0;
        }
        break;
      case NGHTTP2_PING:
        if ((hd->flags & NGHTTP2_FLAG_ACK) == 0 && !s.guard_.AdmitPing(s.heard_ns_)) {
          s.EndWith(End::kPings, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
          return 0;
        }
        break;
      default:
        break;
    }
    if (!s.guard_.AdmitIdleFrame(s.heard_ns_)) {
      s.EndWith(End::kIdleFrames, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_idle_frames");
    }
    return 0;
  }

  static int OnHeadBegins(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Session& s = Of(user);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;  // trailers
    if (s.over()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return Guarded([&] {
      Stream* stream = s.NewStream(frame->hd.stream_id);
      nghttp2_session_set_stream_user_data(session, stream->id_, stream);
      return 0;
    });
  }

  static int OnField(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                     size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                     void* user) {
    Session& s = Of(user);
    Stream* stream = Find(session, frame->hd.stream_id);
    if (stream == nullptr || stream->has_head_ || s.over()) return 0;  // trailers say nothing to us
    return Guarded([&] {
      const uint32_t limit = s.limits_.max_header_bytes;
      stream->TakeField({reinterpret_cast<const char*>(name), name_size},
                        {reinterpret_cast<const char*>(value), value_size}, limit);
      if (stream->head_bytes_ > kHopelessHead * limit) {
        s.EndWith(End::kHeaders, NGHTTP2_ENHANCE_YOUR_CALM, "headers_too_large");
      }
      return 0;
    });
  }

  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    return Guarded([&] { return TakeFrame(session, frame, Of(user)); });
  }

  static int TakeFrame(nghttp2_session* session, const nghttp2_frame* frame, Session& s) {
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
      s.asked_ns_ = 0;
      const bool last = std::ranges::equal(frame->ping.opaque_data, Session::kDrainText);
      if (s.drain_ns_ != 0 && last) s.SayGoodbye();
      return 0;
    }
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (FrameTracker::IsHollow(frame->hd.type, frame->hd.flags, frame->hd.length)) {
      ++s.hollow_told_;
    }
    if (s.over()) return 0;
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_DATA) {
      if (frame->hd.length > frame->data.padlen) {
        s.guard_.NoteWork();
      } else if (!end && !s.guard_.AdmitIdleFrame(s.heard_ns_)) {
        s.EndWith(End::kIdleFrames, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_idle_frames");
        return 0;
      }
    }
    Stream* stream = Find(session, frame->hd.stream_id);
    if (stream == nullptr || stream->closed_) return 0;
    if (end) stream->ended_by_peer_ = true;
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->has_head_) {
      stream->MakeHead();
      stream->handler_ = s.acceptor_.OnRequest(*stream);
    }
    if (end && stream->handler_ != nullptr) stream->handler_->OnEnd();
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size,
                    void* user) {
    Session& s = Of(user);
    Stream* stream = Find(session, id);
    if (stream == nullptr || stream->closed_ || stream->handler_ == nullptr || s.over()) {
      nghttp2_session_consume(session, id, size);
      return 0;
    }
    return Guarded([&] {
      stream->unconsumed_ += size;
      stream->handler_->OnData({reinterpret_cast<const std::byte*>(data), size});
      return 0;
    });
  }

  // A client may make us reset its streams by sending what is no HTTP/2.
  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    return Guarded([&] { return NoteFrameSent(session, frame, Of(user)); });
  }

  static int NoteFrameSent(nghttp2_session* session, const nghttp2_frame* frame, Session& s) {
    Stream* stream = Find(session, frame->hd.stream_id);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        s.guard_.NoteSent();
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 || stream == nullptr) return 0;
        stream->end_sent_ = true;
        // What it still sends is not wanted any more.
        if (!stream->ended_by_peer_) stream->Reset(NGHTTP2_NO_ERROR);
        return 0;
      case NGHTTP2_RST_STREAM:
        if (stream != nullptr && stream->reset_by_us_) return 0;
        s.CountReset();
        return 0;
      case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR) s.failed_ = true;
        return 0;
      default:
        return 0;
    }
  }

  // A head or trailers that the library does not send, as they are too large,
  // leave their stream as it is: nobody would ever end it.
  static int OnFrameNotSent(nghttp2_session* session, const nghttp2_frame* frame, int, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    return Guarded([&] {
      Stream* stream = Find(session, frame->hd.stream_id);
      if (stream != nullptr) stream->Reset(NGHTTP2_INTERNAL_ERROR);
      return 0;
    });
  }

  static int OnStreamClosed(nghttp2_session* session, int32_t id, uint32_t, void* user) {
    Session& s = Of(user);
    Stream* stream = Find(session, id);
    if (stream == nullptr || stream->closed_) return 0;
    return Guarded([&] {
      nghttp2_session_set_stream_user_data(session, id, nullptr);
      if (stream->unconsumed_ > 0) nghttp2_session_consume_connection(session, stream->unconsumed_);
      s.CloseStream(*stream);
      return 0;
    });
  }

  static ssize_t Read(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                      nghttp2_data_source* source, void* user) {
    auto& stream = *static_cast<Stream*>(source->ptr);
    if (stream.closed_) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (stream.queued_ == 0 && !stream.finished_) {
      stream.deferred_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    const uint64_t take = std::min<uint64_t>(length, stream.queued_);
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (take == stream.queued_ && stream.finished_) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!stream.trailers_.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (Guarded([&] {
              Of(user).SubmitTrailers(stream);
              return 0;
            }) != 0) {
          return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
      }
    }
    return static_cast<ssize_t>(take);
  }

  static int SendData(nghttp2_session*, nghttp2_frame* frame, const uint8_t* frame_head,
                      size_t length, nghttp2_data_source* source, void* user) {
    Session& s = Of(user);
    auto& stream = *static_cast<Stream*>(source->ptr);
    if (s.out_bytes_ >= Session::kBatch) return NGHTTP2_ERR_WOULDBLOCK;
    if (stream.closed_ || frame->data.padlen > 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return Guarded([&] {
      s.AppendCopy(frame_head, kFrameHead);
      s.TakeBody(stream, length);
      return 0;
    });
  }

  // As large as client and windows allow.
  static ssize_t FrameLength(nghttp2_session*, uint8_t, int32_t, int32_t session_window,
                             int32_t stream_window, uint32_t max_frame, void*) {
    return std::min<int64_t>({session_window, stream_window, max_frame, kMostInFrame});
  }

  static constexpr size_t kFrameHead = 9;
  // The library keeps a buffer of this size for as long as it lives.
  static constexpr int64_t kMostInFrame = 64 << 10;
};

nghttp2_session_callbacks* NewCallbacks() {
  nghttp2_session_callbacks* c = nullptr;
  if (nghttp2_session_callbacks_new(&c) != 0) return nullptr;
  nghttp2_session_callbacks_set_on_begin_frame_callback(c, Callbacks::OnFrameBegins);
  nghttp2_session_callbacks_set_on_begin_headers_callback(c, Callbacks::OnHeadBegins);
  nghttp2_session_callbacks_set_on_header_callback(c, Callbacks::OnField);
  nghttp2_session_callbacks_set_on_frame_recv_callback(c, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, Callbacks::OnData);
  nghttp2_session_callbacks_set_on_frame_send_callback(c, Callbacks::OnFrameSent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(c, Callbacks::OnFrameNotSent);
  nghttp2_session_callbacks_set_on_stream_close_callback(c, Callbacks::OnStreamClosed);
  nghttp2_session_callbacks_set_send_data_callback(c, Callbacks::SendData);
  nghttp2_session_callbacks_set_data_source_read_length_callback(c, Callbacks::FrameLength);
  return c;
}

nghttp2_data_provider BodyOf(Stream& stream) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &stream;
  provider.read_callback = Callbacks::Read;
  return provider;
}

}  // namespace mlos::h2
