// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/message_walker.h"

#include <algorithm>

namespace mlos::grpc {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

constexpr size_t kMostVarint = 10;

// Reads one varint from `data` at *at.  1: done, 0: more is needed, -1: bad.
int ReadVarint(std::span<const uint8_t> data, size_t* at, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < kMostVarint; ++i) {
    if (*at + i >= data.size()) return 0;
    const uint8_t byte = data[*at + i];
    *value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    *at += i + 1;
    return 1;
  }
  return -1;
}

}  // namespace

void MessageWalker::Begin() {
  state_ = State::kToken;
  token_size_ = 0;
  left_ = 0;
  sealed_ = false;
  rest_.Clear();
}

// What token_ holds: a tag with, as far as it goes, the number behind it.
MessageWalker::Token MessageWalker::ReadToken() {
  const auto verdict = [](int read) { return read < 0 ? Token::kBad : Token::kPart; };
  const std::span<const uint8_t> have(token_, token_size_);
  size_t at = 0;
  uint64_t tag = 0;
  if (const int read = ReadVarint(have, &at, &tag); read <= 0) return verdict(read);
  if (tag >> 3 == 0 || tag > UINT32_MAX) return Token::kBad;
  const auto type = static_cast<uint32_t>(tag & 7);
  number_ = tag >> 3;
  uint64_t number = 0;
  is_field_ = false;
  switch (type) {
    case kVarint:
      if (const int read = ReadVarint(have, &at, &number); read <= 0) return verdict(read);
      left_ = 0;
      return Token::kWhole;
    case kFixed64:
      left_ = 8;
      return Token::kWhole;
    case kFixed32:
      left_ = 4;
      return Token::kWhole;
    case kLengthDelimited:
      if (const int read = ReadVarint(have, &at, &number); read <= 0) return verdict(read);
      left_ = number;
      is_field_ = number_ == field_;
      return number > UINT32_MAX ? Token::kBad : Token::kWhole;
    default:
      return Token::kBad;  // groups: nothing that we know has them
  }
}

MessageWalker::Found MessageWalker::Next(std::span<const std::byte> data, size_t* used) {
  for (;;) {
    switch (state_) {
      case State::kToken: {
        if (*used == data.size()) return Found::kNeedMore;
        if (token_size_ == sizeof token_) return Found::kBad;
        token_[token_size_++] = static_cast<uint8_t>(data[(*used)++]);
        const Token token = ReadToken();
        if (token == Token::kBad) return Found::kBad;
        if (token == Token::kPart) continue;
        if (is_field_) {
          token_size_ = 0;
          state_ = State::kField;
          return Found::kField;
        }
        if (!sealed_) {
          rest_.Append({reinterpret_cast<const char*>(token_), token_size_});
        } else if (number_ <= field_) {
          return Found::kLate;
        }
        token_size_ = 0;
        state_ = State::kCopy;
        continue;
      }
      case State::kField: {
        if (left_ == 0) {
          state_ = State::kToken;
          return Found::kFieldEnd;
        }
        piece_ = data.subspan(*used, std::min<uint64_t>(left_, data.size() - *used));
        return piece_.empty() ? Found::kNeedMore : Found::kFieldData;
      }
      case State::kCopy: {
        const size_t take = std::min<uint64_t>(left_, data.size() - *used);
        if (!sealed_) rest_.Append({reinterpret_cast<const char*>(data.data()) + *used, take});
        *used += take;
        left_ -= take;
        if (left_ > 0) return Found::kNeedMore;
        state_ = State::kToken;
        continue;
      }
    }
  }
}

}  // namespace mlos::grpc
