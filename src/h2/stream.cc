// SPDX-License-Identifier: Apache-2.0
#include "h2/stream.h"

#include <nghttp2/nghttp2.h>

#include <utility>

#include "base/clock.h"
#include "h2/session.h"

namespace mlos::h2 {
namespace {

// What a stream keeps for the next one.
constexpr size_t kKeptText = 4 << 10;
constexpr size_t kKeptFields = 64;
constexpr size_t kKeptPieces = 256;
// Of a head that is too large it is still known what it is the head of.
constexpr size_t kMostContentType = 64;
// RFC 9113, 6.5.2: what a field counts beyond its bytes.
constexpr size_t kFieldOverhead = 32;

}  // namespace

void Stream::Clear() {
  text_.Clear();
  text_.Trim(kKeptText);
  if (field_at_.capacity() > kKeptFields) {
    field_at_ = {};
    fields_ = {};
  }
  field_at_.clear();
  fields_.clear();
  if (pieces_.capacity() > kKeptPieces) pieces_ = {};
  pieces_.clear();
  handler_ = nullptr;
  head_ = {};
  head_bytes_ = unconsumed_ = queued_ = write_ns_ = progress_ns_ = written_ = 0;
  piece_ = 0;
  in_flight_ = 0;
  has_head_ = ended_by_peer_ = answered_ = finished_ = end_sent_ = closed_ = deferred_ = false;
  in_told_list_ = waits_for_turn_ = reset_by_us_ = has_late_type_ = false;
  told_written_ = true;
  trailers_ = {};
}

void Stream::TakeField(std::string_view name, std::string_view value, uint32_t limit) {
  head_bytes_ += name.size() + value.size() + kFieldOverhead;
  if (head_bytes_ > limit) {
    head_.too_large = true;
    if (name != "content-type" || value.size() > kMostContentType || has_late_type_) return;
    has_late_type_ = true;
  }
  const auto offset = static_cast<uint32_t>(text_.size());
  const auto name_size = static_cast<uint32_t>(name.size());
  field_at_.push_back({.name = offset,
                       .name_size = name_size,
                       .value = offset + name_size,
                       .value_size = static_cast<uint32_t>(value.size())});
  text_.Append(name);
  text_.Append(value);
}

void Stream::MakeHead() {
  const char* text = text_.data();
  fields_.reserve(field_at_.size());
  for (const FieldAt& at : field_at_) {
    const Field field = {{text + at.name, at.name_size}, {text + at.value, at.value_size}};
    if (field.name.front() != ':') {
      fields_.push_back(field);
    } else if (field.name == ":method") {
      head_.method = field.value;
    } else if (field.name == ":path") {
      head_.path = field.value;
    } else if (field.name == ":scheme") {
      head_.scheme = field.value;
    } else if (field.name == ":authority") {
      head_.authority = field.value;
    }
  }
  head_.fields = fields_;
  has_head_ = true;
}

void Stream::Continue() {
  if (closed_ || answered_) return;
  session_.SubmitContinue(*this);
  session_.Changed();
}

void Stream::Respond(int status, std::span<const Field> fields, bool end) {
  if (closed_ || answered_) return;
  answered_ = true;
  finished_ = end;
  char digits[3] = {static_cast<char>('0' + status / 100),
                    static_cast<char>('0' + status / 10 % 10),
                    static_cast<char>('0' + status % 10)};
  session_.SubmitHead(*this, {digits, sizeof digits}, fields, end);
  session_.Changed();
}

void Stream::Write(std::span<const iovec> pieces) {
  if (closed_ || finished_) return;
  pieces_.clear();
  piece_ = 0;
  for (const iovec& piece : pieces) {
    if (piece.iov_len == 0) continue;
    pieces_.push_back(piece);
    queued_ += piece.iov_len;
  }
  told_written_ = false;
  write_ns_ = progress_ns_ = NowNanos();
  written_ = 0;
  sent_before_ = session_.body_bytes_;
  if (queued_ == 0) session_.NoteWritten(*this);
  session_.Resume(*this);
}

void Stream::Finish(std::span<const Field> trailers) {
  if (closed_ || finished_) return;
  finished_ = true;
  trailers_ = trailers;
  session_.Resume(*this);
}

void Stream::DropCopy() {
  if (copy_bytes_ == 0) return;
  if (std::exchange(copying_, false)) std::erase(session_.copying_, this);
  session_.owner_.Release(std::exchange(copy_bytes_, 0));
  copy_.Clear();
  copy_.Trim(0);
}

void Stream::Consume(size_t bytes) {
  if (closed_ || bytes == 0) return;
  unconsumed_ -= bytes;
  nghttp2_session_consume(session_.session_, id_, bytes);
  session_.Changed();
}

void Stream::Later() {
  if (closed_ || std::exchange(waits_for_turn_, true)) return;
  session_.later_.push_back(this);
  session_.owner_.WantTurn();
}

void Stream::Blame() { session_.CountReset(); }

void Stream::Reset(uint32_t error_code) {
  if (closed_ || std::exchange(reset_by_us_, true)) return;
  nghttp2_submit_rst_stream(session_.session_, NGHTTP2_FLAG_NONE, id_, error_code);
  session_.Changed();
}

}  // namespace mlos::h2
