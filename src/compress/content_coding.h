// SPDX-License-Identifier: Apache-2.0
//
// Content codings, gzip and deflate (which on the wire is zlib's format), both
// ways and in slices: a call does a bounded amount of work, so that an event
// loop can look at everybody else in between.
//
// What comes in is a stranger's: broken, cut off and trailing bytes are
// errors, and how much comes out is the caller's to bound, who gives the room.
//
// Inflater and Deflater are one per message and one thread's.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace mlos::compress {

enum class Coding : uint8_t { kIdentity, kGzip, kDeflate, kUnknown };

std::string_view CodingName(Coding coding);  // "gzip"; "identity" for what is none

// Of a Content-Encoding: kUnknown also for two codings on top of each other.
Coding ParseCoding(std::string_view text);

// How an answer may be encoded, from Accept-Encoding.  Who names no coding
// gets none; where the client's weights leave a choice, gzip.
Coding ChooseCoding(std::string_view accept_encoding);

class Inflater {
 public:
  // What an Inflater takes beside itself, about.
  static constexpr size_t kMemory = 48 << 10;
  // Input that one Step reads at most.
  static constexpr size_t kSliceBytes = 256 << 10;

  enum class Result : uint8_t { kMore, kDone };

  // `input` is all of the message and stays until the end.
  Inflater(Coding coding, std::string_view input);
  // The message comes in pieces, by Give.
  explicit Inflater(Coding coding);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Another message in the same coding; cheaper than another Inflater.
  void Restart();
  // Goes on with this, instead of what was left; `last`: nothing follows it.
  // Stays until the next.
  void Give(std::string_view input, bool last);
  // What of the input is not read yet.
  std::string_view rest() const { return rest_; }

  // Writes up to `room` (> 0) bytes to `to`.  kMore: call again, with more
  // input where there was room for output and nothing is left.
  // INVALID_ARGUMENT: the input is no such stream, or not all of one, or more
  // than one (gzip may have several members, which follow each other); the
  // text begins with the coding's name, for a sentence of the caller's.
  // RESOURCE_EXHAUSTED: no memory.
  StatusOr<Result> Step(char* to, size_t room, size_t* written);

 private:
  Status Broken(std::string_view what) const;

  z_stream stream_{};
  const Coding coding_;
  std::string_view rest_;
  bool last_ = false;   // nothing follows rest_
  bool ready_ = false;  // the library has its memory
  bool ended_ = false;  // the stream has come to its end, or a member has
};

class Deflater {
 public:
  static constexpr size_t kMemory = 264 << 10;

  explicit Deflater(Coding coding);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // False: there was no memory for it.
  bool ready() const { return ready_; }

  // Takes from the front of `*input` and writes up to `room` bytes to `to`.
  // With `last` there is nothing behind the input: true when all is written.
  // Without: always false, and the input is used up when there was room.
  bool Step(std::string_view* input, bool last, char* to, size_t room, size_t* written);

 private:
  z_stream stream_{};
  bool ready_ = false;
};

}  // namespace mlos::compress
