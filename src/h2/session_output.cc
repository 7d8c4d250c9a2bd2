// SPDX-License-Identifier: Apache-2.0
//
// What a session sends: heads and trailers by the library's means, bodies from
// where they lie.
#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "h2/busy.h"
#include "h2/callbacks.h"
#include "h2/session.h"

namespace mlos::h2 {
namespace {

// Pieces below this are copied: an entry in a list of pieces costs as much.
constexpr size_t kCopyBelow = 2 << 10;
constexpr size_t kKeptOutput = 64 << 10;

nghttp2_nv Pair(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

void Session::Changed() {
  if (!busy_) owner_.WantWrite();
}

std::span<const nghttp2_nv> Session::FieldsOf(std::string_view status,
                                              std::span<const Field> fields) {
  names_.clear();
  names_.reserve(fields.size() + 1);
  if (!status.empty()) names_.push_back(Pair(":status", status));
  for (const Field& field : fields) names_.push_back(Pair(field.name, field.value));
  return names_;
}

void Session::SubmitHead(Stream& stream, std::string_view status, std::span<const Field> fields,
                         bool end) {
  const auto head = FieldsOf(status, fields);
  const nghttp2_data_provider body = BodyOf(stream);
  if (nghttp2_submit_response(session_, stream.id_, head.data(), head.size(),
                              end ? nullptr : &body) != 0) {
    stream.Reset(NGHTTP2_INTERNAL_ERROR);
  }
}

void Session::SubmitContinue(Stream& stream) {
  const auto head = FieldsOf("100", {});
  if (nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, head.data(),
                             head.size(), nullptr) != 0) {
    stream.Reset(NGHTTP2_INTERNAL_ERROR);
  }
}

void Session::SubmitTrailers(Stream& stream) {
  const auto trailers = FieldsOf({}, stream.trailers_);
  if (nghttp2_submit_trailer(session_, stream.id_, trailers.data(), trailers.size()) != 0) {
    stream.Reset(NGHTTP2_INTERNAL_ERROR);
  }
}

void Session::Resume(Stream& stream) {
  if (std::exchange(stream.deferred_, false)) nghttp2_session_resume_data(session_, stream.id_);
  Changed();
}

void Session::AppendCopy(const void* data, size_t bytes) {
  const size_t offset = copied_.size();
  copied_.Append({static_cast<const char*>(data), bytes});
  out_bytes_ += bytes;
  if (!segments_.empty() && segments_.back().data == nullptr &&
      segments_.back().offset + segments_.back().bytes == offset) {
    segments_.back().bytes += bytes;
  } else {
    segments_.push_back({nullptr, offset, bytes, nullptr});
  }
}

// The next `bytes` of a stream's body.
void Session::TakeBody(Stream& stream, size_t bytes) {
  stream.queued_ -= bytes;
  stream.written_ += bytes;
  body_bytes_ += bytes;
  while (bytes > 0) {
    iovec& piece = stream.pieces_[stream.piece_];
    const size_t take = std::min(bytes, piece.iov_len);
    if (take < kCopyBelow) {
      AppendCopy(piece.iov_base, take);
    } else {
      segments_.push_back({static_cast<const char*>(piece.iov_base), 0, take, &stream});
      out_bytes_ += take;
      ++stream.in_flight_;
    }
    piece.iov_base = static_cast<char*>(piece.iov_base) + take;
    piece.iov_len -= take;
    bytes -= take;
    if (piece.iov_len == 0) ++stream.piece_;
  }
  stream.progress_ns_ = progress_ns_;
  if (!stream.writing()) NoteWritten(stream);
}

void Session::Fill() {
  while (out_bytes_ < kBatch) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) {
      failed_ = true;
      if (!over()) end_ = End::kProtocol;
      AbortAll();
    }
    if (size <= 0) return;
    AppendCopy(data, static_cast<size_t>(size));
  }
}

size_t Session::Gather(iovec* out, size_t most) {
  const Busy busy(busy_);
  if (segments_.empty() && session_ != nullptr) {
    progress_ns_ = turn_ns_ = NowNanos();
    Fill();
    Tell();
    // Who was told may have had more to say.
    if (segments_.empty()) Fill();
    if (segments_.empty()) {
      CheckEnd();
    } else if (!AccountOwn()) {
      EndWith(End::kMemory, NGHTTP2_ENHANCE_YOUR_CALM, "too_much_memory");
    }
    batch_ns_ = progress_ns_;
    batch_bytes_ = 0;
  }
  size_t count = 0;
  for (size_t i = segment_; i < segments_.size() && count < most; ++i, ++count) {
    const Segment& s = segments_[i];
    const char* data = s.data != nullptr ? s.data : copied_.data() + s.offset;
    out[count] = {const_cast<char*>(data), s.bytes};
  }
  return count;
}

void Session::Advance(size_t bytes) {
  const Busy busy(busy_);
  out_bytes_ -= bytes;
  batch_bytes_ += bytes;
  progress_ns_ = turn_ns_ = NowNanos();
  while (bytes > 0) {
    Segment& s = segments_[segment_];
    const size_t take = std::min(bytes, s.bytes);
    bytes -= take;
    s.bytes -= take;
    if (s.bytes > 0) {
      if (s.data != nullptr) s.data += take;
      s.offset += take;
      break;
    }
    ++segment_;
    if (s.stream == nullptr) continue;
    --s.stream->in_flight_;
    s.stream->progress_ns_ = progress_ns_;
    if (!s.stream->writing()) NoteWritten(*s.stream);
  }
  if (segment_ == segments_.size()) {
    segments_.clear();
    segment_ = 0;
    copied_.Clear();
    copied_.Trim(kKeptOutput);
    AccountOwn();
  }
  Tell();
}

}  // namespace mlos::h2
