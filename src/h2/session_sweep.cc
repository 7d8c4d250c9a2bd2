// SPDX-License-Identifier: Apache-2.0
//
// What time does to a session: who is late or slow, and what becomes of the
// memory that a slow client does not take.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "h2/session.h"

namespace mlos::h2 {
namespace {

// How long a client that does not answer our PING may hold up a drain.
constexpr uint64_t kGoodbyeNs = kNanosPerSecond;
// So much of slow clients' answers is copied in one turn.
constexpr size_t kCopyBytes = 1 << 20;

}  // namespace

void Session::Sweep(uint64_t now_ns) {
  if (over()) return;
  SweepConnection(now_ns);
  SweepStreams(now_ns);
}

void Session::SweepConnection(uint64_t now_ns) {
  const auto since = [&](uint64_t from_ns, uint64_t allowed_ns) {
    return from_ns != 0 && now_ns > from_ns + allowed_ns;
  };
  if (!segments_.empty() && now_ns > batch_ns_ + Allowed(batch_bytes_)) {
    // It does not read: there is no way to tell it anything.
    end_ = End::kSlow;
    return ReleaseAll();
  }
  if (since(greeted_ ? 0 : began_ns_, limits_.header_timeout_ns) ||
      since(block_since_ns_, limits_.header_timeout_ns)) {
    return EndWith(End::kSlow, NGHTTP2_NO_ERROR, "header_timeout");
  }
  if (since(drain_ns_, kGoodbyeNs)) SayGoodbye();
  if (open_streams_ == 0) {
    if (since(idle_since_ns_, limits_.idle_timeout_ns)) {
      EndWith(End::kIdle, NGHTTP2_NO_ERROR, "idle");
    }
  } else if (asked_ns_ != 0) {
    if (since(asked_ns_, limits_.keepalive_timeout_ns)) {
      EndWith(End::kSlow, NGHTTP2_NO_ERROR, "keepalive_timeout");
    }
  } else if (since(heard_ns_, limits_.keepalive_time_ns)) {
    asked_ns_ = now_ns;
    nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kAskText);
    Changed();
  }
}

void Session::SweepStreams(uint64_t now_ns) {
  for (size_t i = 0; i < streams_.size(); ++i) {
    Stream& stream = *streams_[i];
    if (stream.handler_ == nullptr) continue;
    if (stream.writing() && now_ns > stream.write_ns_ + limits_.hold_ns) Detach(stream);
    if (stream.closed_) continue;
    if (stream.writing() && IsSlow(stream, now_ns)) {
      stream.Reset(NGHTTP2_CANCEL);
    } else {
      stream.handler_->OnSweep(now_ns);
    }
  }
}

// For sending so many bytes.
uint64_t Session::Allowed(uint64_t bytes) const {
  const double seconds =
      static_cast<double>(bytes) / static_cast<double>(limits_.min_bytes_per_second);
  return limits_.transfer_timeout_ns + static_cast<uint64_t>(seconds * kNanosPerSecond);
}

bool Session::IsSlow(const Stream& stream, uint64_t now_ns) const {
  if (now_ns > stream.progress_ns_ + limits_.transfer_timeout_ns) return true;
  // It shares the connection with the others, of which there are so many at most.
  const uint64_t all = body_bytes_ - stream.sent_before_;
  return now_ns > stream.write_ns_ + Allowed(std::min(all, stream.written_ * limits_.max_streams));
}

// What is not sent is copied, so that whoever answered gets his memory back:
// in turns, from the end to the front, which goes on being sent meanwhile.
void Session::Detach(Stream& stream) {
  if (stream.copy_bytes_ != 0) return;
  uint64_t bytes = stream.queued_;
  for (size_t i = segment_; i < segments_.size(); ++i) {
    if (segments_[i].stream == &stream) bytes += segments_[i].bytes;
  }
  if (bytes == 0) return;
  if (!owner_.Reserve(bytes)) return stream.Reset(NGHTTP2_ENHANCE_YOUR_CALM);
  stream.copy_bytes_ = bytes;
  stream.copy_.Resize(bytes);
  // All that is copied is one piece, the last.
  if (stream.queued_ > 0) stream.pieces_.push_back({stream.copy_.data() + bytes, 0});
  stream.copying_ = true;
  copying_.push_back(&stream);
  owner_.WantTurn();
}

void Session::CopySome() {
  if (copying_.empty()) return;
  Stream& stream = *copying_.front();
  if (!stream.closed_ && stream.queued_ > 0 && !CopyPieces(stream)) return owner_.WantTurn();
  CopySegments(stream);
  stream.copying_ = false;
  copying_.erase(copying_.begin());  // the first
  if (!copying_.empty()) owner_.WantTurn();
  stream.handler_->OnReleased();
}

// True: all that is queued is copied.
bool Session::CopyPieces(Stream& stream) {
  std::vector<iovec>& pieces = stream.pieces_;
  for (size_t budget = kCopyBytes; stream.piece_ + 1 < pieces.size();) {
    if (budget == 0) return false;
    iovec& from = pieces[pieces.size() - 2];
    iovec& copy = pieces.back();
    const size_t some = std::min(budget, from.iov_len);
    from.iov_len -= some;
    copy.iov_base = static_cast<char*>(copy.iov_base) - some;
    std::memcpy(copy.iov_base, static_cast<char*>(from.iov_base) + from.iov_len, some);
    copy.iov_len += some;
    budget -= some;
    if (from.iov_len == 0) pieces.erase(pieces.end() - 2);
  }
  return true;
}

// What is with the connection, which is no more than a batch.
void Session::CopySegments(Stream& stream) {
  const char* begin = stream.copy_.data();
  const char* end = begin + stream.copy_.size();
  size_t at = 0;
  for (size_t i = segment_; i < segments_.size(); ++i) {
    Segment& s = segments_[i];
    if (s.stream != &stream || (s.data >= begin && s.data < end)) continue;
    std::memcpy(stream.copy_.data() + at, s.data, s.bytes);
    s.data = begin + at;
    at += s.bytes;
  }
}

}  // namespace mlos::h2
