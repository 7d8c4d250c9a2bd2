// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/message_walker.h"

#include <algorithm>
#include <string_view>

#include "base/protobuf_reader.h"

namespace mlos::grpc {
namespace {

// From the front of `*have`, which may end in it.
enum class Read : uint8_t { kDone, kPart, kBad };
Read ReadNumber(std::string_view* have, uint64_t* value) {
  if (ReadVarint(have, value)) return Read::kDone;
  return have->size() < kMostVarint ? Read::kPart : Read::kBad;
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
  const auto verdict = [](Read read) { return read == Read::kBad ? Token::kBad : Token::kPart; };
  std::string_view have(reinterpret_cast<const char*>(token_), token_size_);
  uint64_t tag = 0;
  if (const Read read = ReadNumber(&have, &tag); read != Read::kDone) return verdict(read);
  if (tag >> 3 == 0 || tag > UINT32_MAX) return Token::kBad;
  number_ = tag >> 3;
  uint64_t number = 0;
  is_field_ = false;
  switch (static_cast<WireType>(tag & 7)) {
    case WireType::kVarint:
      if (const Read read = ReadNumber(&have, &number); read != Read::kDone) return verdict(read);
      left_ = 0;
      return Token::kWhole;
    case WireType::kFixed64:
      left_ = 8;
      return Token::kWhole;
    case WireType::kFixed32:
      left_ = 4;
      return Token::kWhole;
    case WireType::kBytes:
      if (const Read read = ReadNumber(&have, &number); read != Read::kDone) return verdict(read);
      left_ = number;
      is_field_ = number_ == field_;
      return number > UINT32_MAX ? Token::kBad : Token::kWhole;
  }
  return Token::kBad;  // groups: nothing that we know has them
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
