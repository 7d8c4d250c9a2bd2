// SPDX-License-Identifier: Apache-2.0
//
// The part of a connection that decompresses bodies and compresses answers:
// in slices, between which the event loop looks at everybody else, and with
// memory that is accounted for before it is there.
#include <algorithm>
#include <string>
#include <utility>

#include "frontends/http/connection.h"

namespace mlos::http {
namespace {

using compress::Coding;
using compress::Inflater;

// Work between two looks at the others: a third of a millisecond or so.
constexpr uint64_t kPlainSlice = 64 << 10;
// A body that comes to no more than this may have any ratio: it is no attack,
// and an empty image is small.
constexpr uint64_t kFreeBytes = 1 << 20;
constexpr uint64_t kFirstPlainBytes = 16 << 10;

}  // namespace

// ------------------------------------------------------------------- bodies

bool Connection::BeginUnpacking(std::string_view packed) {
  EnterPhase(Phase::kUnpacking, 0);
  plain_.Clear();
  packed_bytes_ = packed.size();
  inflater_ = std::make_unique<Inflater>(coding_, packed);
  return true;
}

bool Connection::StepUnpack() {
  // A byte more than is allowed tells that there is more.
  const uint64_t room = std::min(kPlainSlice, body_limit_ + 1 - plain_.size());
  if (!ReservePlain(room)) {
    inflater_.reset();
    return Refuse(503, "too many large requests at once: try again");
  }
  size_t written = 0;
  const auto result = inflater_->Step(plain_.Tail(room), room, &written);
  plain_.Advance(written);
  if (!result.ok()) {
    inflater_.reset();
    const std::string why(Message(result.status()));
    if (result.status().code() != StatusCode::kInvalidArgument) return Refuse(503, why);
    return Refuse(400, "the body is not in the Content-Encoding " + why);
  }
  if (plain_.size() > body_limit_) {
    inflater_.reset();
    return Refuse(413, "the body, decompressed, is larger than the " + std::to_string(body_limit_) +
                           " bytes that are allowed");
  }
  const uint64_t ratio = owner_->options().max_ratio;
  if (plain_.size() > kFreeBytes && plain_.size() / ratio > packed_bytes_) {
    inflater_.reset();
    return Refuse(413, "the body, decompressed, is more than " + std::to_string(ratio) +
                           " times its size: send it as it is");
  }
  if (*result == Inflater::Result::kMore) {
    owner_->Later(*this);
    return false;
  }
  inflater_.reset();
  return DispatchBody(plain_.data(), plain_.size());
}

// Room for so much more and the padding, accounted for.  Grows by doubling, so
// that what is there is never more than twice what was sent for it.
bool Connection::ReservePlain(uint64_t room) {
  const uint64_t need = plain_.size() + room + kBodyPadding;
  if (need <= plain_.capacity()) return true;
  const uint64_t most = body_limit_ + 1 + kBodyPadding;
  const uint64_t capacity =
      std::min(most, std::max({need, 2 * uint64_t{plain_.capacity()}, kFirstPlainBytes}));
  if (!Account(KeptBytes() + capacity - plain_.capacity())) return false;
  plain_.Reserve(capacity);
  return Account(KeptBytes());
}

// ------------------------------------------------------------------ answers

// False: the answer goes as it is.
bool Connection::BeginPacking() {
  const uint64_t length = response_.content_length();
  const uint64_t from = owner_->options().compress_from_bytes;
  if (response_.coding == Coding::kIdentity) return false;
  if (from == 0 || length < from || omit_body_) {
    response_.coding = Coding::kIdentity;
    return false;
  }
  // Meanwhile the outputs stay in the model's memory, as those do that wait for
  // their clients: there are only so many places.
  if (!response_.blobs.empty() && !held_) held_ = owner_->HoldAnswer();
  if (!response_.blobs.empty() && !held_) {
    response_.coding = Coding::kIdentity;
    return false;
  }
  if (!packer_.Begin(response_) || !Account(KeptBytes())) {
    EndPacking(false);
    return false;
  }
  EnterPhase(Phase::kPacking, 0);
  return true;
}

bool Connection::StepPack() {
  const auto result = packer_.Step([this](uint64_t more) { return Account(KeptBytes() + more); });
  if (result == AnswerPacker::Result::kMore) {
    owner_->Later(*this);
    return false;
  }
  EndPacking(result == AnswerPacker::Result::kDone);
  WriteResponse();
  return true;
}

void Connection::EndPacking(bool use) {
  if (use) {
    packer_.Take(&response_);
    if (std::exchange(held_, false)) owner_->ReleaseAnswer();
  } else {
    response_.coding = Coding::kIdentity;
  }
  packer_.End();
  Account(KeptBytes());
}

}  // namespace mlos::http
