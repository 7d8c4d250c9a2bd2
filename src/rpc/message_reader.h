// SPDX-License-Identifier: Apache-2.0
//
// From the bytes of a stream to its messages: five bytes before each say how
// long it is and whether it is compressed.  A message is handed over in the
// pieces in which it arrives; a compressed one as it is decompressed: in slices,
// between which an event loop can look at everybody else, and never more of it
// than a message may have.
//
// Threads: one.  Lifetime: the call's; the sink outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/status.h"
#include "compress/content_coding.h"
#include "rpc/options.h"

namespace mlos::rpc {

using compress::Coding;

// Who takes messages.
class MessageSink {
 public:
  virtual ~MessageSink() = default;
  // A message begins.  Its size, unless it is compressed.
  virtual void OnMessage(std::optional<uint64_t> size) = 0;
  // Takes what it can and returns how much that was; the rest is offered again
  // with the next MessageReader::Take.
  virtual size_t OnData(std::span<const std::byte> data) = 0;
  virtual void OnMessageEnd() = 0;
};

class MessageReader {
 public:
  MessageReader();
  ~MessageReader();
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  // A new stream.
  void Begin(MessageSink* sink, Coding encoding, const Options& options);
  // Hands over what the sink takes; returns how much of `data` is done with.
  // Less than all, or with holds(): the sink waits or, with paused(), this is
  // enough work for one turn.  An error is the call's.
  StatusOr<size_t> Take(std::span<const std::byte> data);
  // The sink wants no more: Take returns.
  void Stop() { stopped_ = true; }

  // Between messages: gives back what decompressing takes.
  void DropUnpacker();

  bool in_message() const { return in_message_ || have_ > 0; }
  // There are decompressed bytes that the sink has not taken, or may be.
  bool holds() const;
  bool paused() const { return paused_; }

 private:
  static constexpr size_t kPrefix = 5;
  struct Unpacker;

  StatusOr<bool> TakePrefix(std::span<const std::byte> data, size_t* used);
  bool TakePlain(std::span<const std::byte> data, size_t* used);
  StatusOr<bool> TakeCompressed(std::span<const std::byte> data, size_t* used);
  Status CheckSize() const;
  void EndMessage();

  MessageSink* sink_ = nullptr;
  Coding encoding_ = Coding::kIdentity;
  uint64_t max_bytes_ = 0;
  uint64_t max_ratio_ = 1;
  bool stopped_ = false;
  bool paused_ = false;
  uint64_t budget_ = 0;  // what may be decompressed in this turn
  uint8_t prefix_[kPrefix];
  size_t have_ = 0;  // of the prefix
  bool in_message_ = false;
  bool compressed_ = false;
  uint64_t length_ = 0;  // of the message, as it is on the wire
  uint64_t left_ = 0;    // of that
  uint64_t total_ = 0;   // decompressed
  std::unique_ptr<Unpacker> unpacker_;
};

}  // namespace mlos::rpc
