// SPDX-License-Identifier: Apache-2.0
//
// Walks over the fields of one protocol buffer as it arrives, in whatever
// pieces, and takes one length-delimited field of it out: those bytes are
// handed over where they lie, the others are kept.
//
// The message is untrusted; what is kept is checked when it is parsed.
// One per request, reused; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"

namespace mlos::grpc {

class MessageWalker {
 public:
  enum class Found : uint8_t {
    kNeedMore,   // everything is taken
    kField,      // the field that is looked for begins; `size` bytes of it follow
    kFieldData,  // a piece of it
    kFieldEnd,
    kLate,  // another field that is known, behind Seal
    kBad,   // this is no protocol buffer
  };

  // `field` has the highest number of those that are known.
  explicit MessageWalker(uint32_t field) : field_(field) {}

  void Begin();
  // Looks at `data` from `used` on and moves that.  After kField it is
  // to be called again; of a piece (`piece`) the caller says with Took how much
  // it has taken.
  Found Next(std::span<const std::byte> data, size_t* used);
  void Took(size_t bytes) { left_ -= bytes; }
  // What is kept is read and must stay where it is: nothing more is kept, and
  // fields that would have to be are kLate; unknown ones are passed over.
  void Seal() { sealed_ = true; }
  // True where the message may end.
  bool complete() const { return state_ == State::kToken && token_size_ == 0; }

  uint64_t size() const { return left_; }
  std::span<const std::byte> piece() const { return piece_; }
  // What is kept so far, as it came.
  const Buffer& rest() const { return rest_; }
  void Trim(size_t keep) {
    rest_.Clear();
    rest_.Trim(keep);
  }

 private:
  enum class State : uint8_t { kToken, kField, kCopy };
  enum class Token : uint8_t { kPart, kWhole, kBad };

  Token ReadToken();

  const uint32_t field_;
  State state_ = State::kToken;
  uint8_t token_[20];  // a tag, and a varint behind it
  size_t token_size_ = 0;
  uint64_t number_ = 0;  // of the field
  bool is_field_ = false;
  bool sealed_ = false;
  uint64_t left_ = 0;
  std::span<const std::byte> piece_;
  Buffer rest_;
};

}  // namespace mlos::grpc
