// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/answer_packer.h"

#include <algorithm>

namespace mlos::http {
namespace {

// Work between two looks at the others: a third of a millisecond or so.
constexpr uint64_t kSlice = 16 << 10;
// So much of an answer tells whether the rest is worth it.
constexpr uint64_t kJudgedBytes = 128 << 10;

}  // namespace

bool AnswerPacker::Begin(const Response& response) {
  response_ = &response;
  deflater_ = std::make_unique<compress::Deflater>(response.coding);
  packed_.Clear();
  piece_ = 0;
  rest_ = response.body.view();
  left_ = length_ = response.content_length();
  return deflater_->ready();
}

AnswerPacker::Result AnswerPacker::Step(const std::function<bool(uint64_t)>& reserve) {
  for (const uint64_t begun_with = left_; begun_with - left_ < kSlice;) {
    while (rest_.empty() && left_ > 0) {
      const auto& blob = response_->blobs[piece_++];
      rest_ = {reinterpret_cast<const char*>(blob.data()), blob.size()};
    }
    if (!Pays() || !Reserve(reserve)) return Result::kNotWorth;
    if (Slice()) return Result::kDone;
  }
  return Result::kMore;
}

// Compressed it has to be smaller.  Numbers at random are not, which shows soon.
bool AnswerPacker::Pays() const {
  const uint64_t taken = length_ - left_;
  if (taken >= kJudgedBytes && packed_.size() > taken / 20 * 19) return false;
  return packed_.size() < length_;
}

bool AnswerPacker::Reserve(const std::function<bool(uint64_t)>& reserve) {
  if (packed_.capacity() - packed_.size() < kSlice / 4) {
    const uint64_t capacity = std::min(length_, std::max<uint64_t>(kSlice, 2 * packed_.capacity()));
    const uint64_t more = capacity - std::min<uint64_t>(capacity, packed_.capacity());
    if (reserve(more)) packed_.Reserve(capacity);
  }
  return packed_.size() < packed_.capacity();
}

// True when the last byte is written.
bool AnswerPacker::Slice() {
  const uint64_t room = packed_.capacity() - packed_.size();
  std::string_view input = rest_.substr(0, kSlice);
  const uint64_t given = input.size();
  size_t written = 0;
  const bool done = deflater_->Step(&input, given == left_, packed_.Tail(room), room, &written);
  packed_.Advance(written);
  rest_.remove_prefix(given - input.size());
  left_ -= given - input.size();
  return done;
}

void AnswerPacker::Take(Response* response) {
  response->body.Swap(packed_);
  response->blobs.clear();
}

void AnswerPacker::End() {
  deflater_.reset();
  packed_.Clear();
  rest_ = {};
}

}  // namespace mlos::http
