// SPDX-License-Identifier: Apache-2.0
#include "rpc/message_reader.h"

#include <fmt/core.h>

#include <algorithm>

namespace mlos::rpc {
namespace {

Status Unreadable(const Status& why) {
  if (why.code() != StatusCode::kInvalidArgument) return why;
  return Internal(fmt::format("a message is not in its grpc-encoding {}", Message(why)));
}

}  // namespace

// Decompressed in one turn: about a millisecond.
constexpr uint64_t kSlice = 256 << 10;
// A message that comes to no more than this may have any ratio: it is no attack.
constexpr uint64_t kFreeBytes = 1 << 20;

// Decompresses, and keeps the output that is not taken yet.
struct MessageReader::Unpacker {
  static constexpr size_t kOutBytes = 16 << 10;

  explicit Unpacker(Coding coding) : inflater(coding) {}

  compress::Inflater inflater;
  std::byte out[kOutBytes];
  size_t begin = 0;
  size_t end = 0;
  bool over = false;
};

MessageReader::MessageReader() = default;
MessageReader::~MessageReader() = default;

void MessageReader::Begin(MessageSink* sink, Coding encoding, const Options& options) {
  sink_ = sink;
  encoding_ = encoding;
  max_bytes_ = options.max_message_bytes;
  max_ratio_ = options.max_ratio;
  stopped_ = paused_ = in_message_ = false;
  have_ = 0;
  unpacker_.reset();
}

void MessageReader::DropUnpacker() { unpacker_.reset(); }

bool MessageReader::holds() const {
  return in_message_ && compressed_ && (paused_ || unpacker_->begin < unpacker_->end);
}

StatusOr<size_t> MessageReader::Take(std::span<const std::byte> data) {
  size_t used = 0;
  bool more = true;
  paused_ = false;
  budget_ = kSlice;
  while (more && !stopped_) {
    if (!in_message_) {
      MLOS_ASSIGN_OR_RETURN(more, TakePrefix(data, &used));
    } else if (compressed_) {
      MLOS_ASSIGN_OR_RETURN(more, TakeCompressed(data, &used));
    } else {
      more = TakePlain(data, &used);
    }
  }
  return stopped_ ? data.size() : used;
}

// Each of these goes on to the next state (true), or has to wait (false).

StatusOr<bool> MessageReader::TakePrefix(std::span<const std::byte> data, size_t* used) {
  while (have_ < kPrefix) {
    if (*used == data.size()) return false;
    prefix_[have_++] = static_cast<uint8_t>(data[(*used)++]);
  }
  const uint32_t length = static_cast<uint32_t>(prefix_[1]) << 24 |
                          static_cast<uint32_t>(prefix_[2]) << 16 |
                          static_cast<uint32_t>(prefix_[3]) << 8 | prefix_[4];
  if (prefix_[0] > 1) {
    return Internal(
        fmt::format("a message begins with 0x{:02x}, which is neither 0 nor 1: this is "
                    "not the framing of gRPC",
                    prefix_[0]));
  }
  compressed_ = prefix_[0] == 1;
  if (compressed_ && encoding_ == Coding::kIdentity) {
    return Internal("a message is compressed, but grpc-encoding does not say how");
  }
  if (length > max_bytes_) {
    return ResourceExhausted(
        fmt::format("a message has {} bytes, more than the {} that are allowed: send smaller ones",
                    length, max_bytes_));
  }
  if (length == 0) compressed_ = false;  // nothing is nothing in either form
  if (compressed_) {
    if (unpacker_ == nullptr) unpacker_ = std::make_unique<Unpacker>(encoding_);
    unpacker_->inflater.Restart();
    unpacker_->begin = unpacker_->end = 0;
    unpacker_->over = false;
  }
  length_ = left_ = length;
  total_ = 0;
  have_ = 0;
  in_message_ = true;
  sink_->OnMessage(compressed_ ? std::nullopt : std::optional<uint64_t>(length));
  return true;
}

bool MessageReader::TakePlain(std::span<const std::byte> data, size_t* used) {
  const size_t there = std::min<uint64_t>(left_, data.size() - *used);
  if (there > 0) {
    const size_t taken = sink_->OnData(data.subspan(*used, there));
    *used += taken;
    left_ -= taken;
    if (taken < there) return false;
  }
  if (left_ > 0 || stopped_) return false;
  EndMessage();
  return true;
}

StatusOr<bool> MessageReader::TakeCompressed(std::span<const std::byte> data, size_t* used) {
  Unpacker& u = *unpacker_;
  if (u.begin < u.end) {
    u.begin += sink_->OnData({u.out + u.begin, u.end - u.begin});
    return u.begin == u.end;
  }
  if (u.over) {
    EndMessage();
    return true;
  }
  if (budget_ == 0) {
    paused_ = true;
    return false;
  }
  const size_t there = std::min<uint64_t>(left_, data.size() - *used);
  if (there == 0 && left_ > 0) return false;
  u.inflater.Give({reinterpret_cast<const char*>(data.data()) + *used, there}, there == left_);
  size_t written = 0;
  const auto step = u.inflater.Step(reinterpret_cast<char*>(u.out), Unpacker::kOutBytes, &written);
  if (!step.ok()) return Unreadable(step.status());
  const size_t taken = there - u.inflater.rest().size();
  *used += taken;
  left_ -= taken;
  u.begin = 0;
  u.end = written;
  u.over = *step == compress::Inflater::Result::kDone;
  total_ += written;
  budget_ -= std::min<uint64_t>(budget_, written + taken);
  MLOS_RETURN_IF_ERROR(CheckSize());
  return true;
}

Status MessageReader::CheckSize() const {
  if (total_ > max_bytes_) {
    return ResourceExhausted(
        fmt::format("a message has more than the {} bytes that are allowed when it is "
                    "decompressed: send smaller ones",
                    max_bytes_));
  }
  if (total_ > kFreeBytes && total_ / max_ratio_ > length_) {
    return ResourceExhausted(fmt::format(
        "a message, decompressed, is more than {} times its size: send it as it is", max_ratio_));
  }
  return OkStatus();
}

void MessageReader::EndMessage() {
  in_message_ = false;
  sink_->OnMessageEnd();
}

}  // namespace mlos::rpc
