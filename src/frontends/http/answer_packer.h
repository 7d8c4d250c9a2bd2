// SPDX-License-Identifier: Apache-2.0
//
// Compresses an answer: in slices, between which the event loop looks at
// everybody else, and with memory that is accounted for before it is there.
//
// Threads: the event loop's.  Lifetime: its request's; the answer stays as it
// is between Begin and End.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/buffer.h"
#include "compress/content_coding.h"
#include "frontends/http/response.h"

namespace mlos::http {

// Answers that may wait in the models' memory for clients that take their time,
// or while they are compressed; a model has several hundred places.
constexpr size_t kMostHeldAnswers = 64;

class AnswerPacker {
 public:
  enum class Result : uint8_t { kMore, kDone, kNotWorth };

  // As `response.coding` says.  False: there is no memory for it.
  bool Begin(const Response& response);
  // A slice; `reserve` is asked before so many bytes more are taken.  kNotWorth:
  // it does not get smaller, or there is no memory.
  Result Step(const std::function<bool(uint64_t more)>& reserve);
  // After kDone: puts what was made in the place of the body and of what is behind it.
  void Take(Response* response);
  void End();

  // What is kept for the next answer, and what is taken beside it.
  const Buffer& packed() const { return packed_; }
  uint64_t memory() const { return deflater_ != nullptr ? compress::Deflater::kMemory : 0; }
  void Trim(size_t most) { packed_.Trim(most); }

 private:
  bool Pays() const;
  bool Reserve(const std::function<bool(uint64_t)>& reserve);
  bool Slice();

  std::unique_ptr<compress::Deflater> deflater_;
  const Response* response_ = nullptr;
  uint64_t length_ = 0;
  // What of the answer is next, and how much is left.
  size_t piece_ = 0;
  std::string_view rest_;
  uint64_t left_ = 0;
  Buffer packed_;
};

}  // namespace mlos::http
