// SPDX-License-Identifier: Apache-2.0
//
// Knows where in its frames a client is, so that nobody may begin a head or
// trailers and never end them, or send data that is none: the library says
// nothing of those that it ignores, nor of what is in the middle of its way.
//
// Values; one thread.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace mlos::h2 {

class FrameTracker {
 public:
  // What has come next.
  void Take(std::span<const std::byte> data) {
    while (!data.empty()) {
      if (left_ > 0) {
        const size_t some = std::min<size_t>(left_, data.size());
        left_ -= static_cast<uint32_t>(some);
        data = data.subspan(some);
        if (left_ == 0) End();
        continue;
      }
      head_[have_++] = static_cast<uint8_t>(data.front());
      data = data.subspan(1);
      if (have_ == kFrameHead) Begin();
    }
  }
  // A field block has begun and not ended.
  bool in_block() const { return open_ || (in_block_frame_ && left_ > 0); }
  // How many have begun.
  uint64_t blocks() const { return blocks_; }
  // Frames of data that hold none, or so little that it may be padding alone.
  uint64_t hollow() const { return hollow_; }
  static bool IsHollow(uint8_t type, uint8_t flags, size_t bytes) {
    if (type != NGHTTP2_DATA) return false;
    return bytes == 0 || (bytes <= kMostPadding && (flags & NGHTTP2_FLAG_PADDED) != 0);
  }

 private:
  static constexpr uint32_t kMagic = NGHTTP2_CLIENT_MAGIC_LEN;
  static constexpr size_t kFrameHead = 9;
  static constexpr size_t kMostPadding = 256;  // with its length

  void Begin() {
    have_ = 0;
    left_ = uint32_t{head_[0]} << 16 | uint32_t{head_[1]} << 8 | head_[2];
    const uint8_t type = head_[3];
    const bool begins = type == NGHTTP2_HEADERS || type == NGHTTP2_PUSH_PROMISE;
    in_block_frame_ = begins || type == NGHTTP2_CONTINUATION;
    open_ = in_block_frame_ && (head_[4] & NGHTTP2_FLAG_END_HEADERS) == 0;
    blocks_ += begins ? 1 : 0;
    hollow_frame_ = IsHollow(type, head_[4], left_);
    if (left_ == 0) End();
  }
  void End() {
    if (std::exchange(hollow_frame_, false)) ++hollow_;
  }

  uint32_t left_ = kMagic;  // of the frame, or of what comes before the first
  uint8_t head_[kFrameHead] = {};
  size_t have_ = 0;  // of the next one's head
  bool in_block_frame_ = false;
  bool open_ = false;
  uint64_t blocks_ = 0;
  bool hollow_frame_ = false;
  uint64_t hollow_ = 0;
};

}  // namespace mlos::h2
