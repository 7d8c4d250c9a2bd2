// SPDX-License-Identifier: Apache-2.0
//
// Who a request is, for people who follow it through several programs: its id
// (taken from the client or made) and its place in a trace (W3C Trace
// Context, continued with a span of our own).  Both are words of a client:
// taken in one form only, bounded, and otherwise left.
//
// One per connection, reused; no allocation once it has seen a tracestate.
// One thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mlos::frontend {

// Makes numbers that nobody else makes, without asking the system each time.
class IdSource {
 public:
  IdSource();  // asks the system once
  explicit IdSource(uint64_t seed) : state_(seed) {}
  uint64_t Next();  // never 0

 private:
  uint64_t state_;
};

// 1 to 128 of letters, digits and ._:/+=@~-
bool IsRequestId(std::string_view text);

// "00-<trace id>-<parent id>-<flags>", in lower case; a later version may have
// more behind it.  False for anything else, and for ids of zeros.
bool ParseTraceParent(std::string_view text, std::string_view* trace_id, uint8_t* flags);

class RequestContext {
 public:
  static constexpr size_t kMaxTraceState = 512;

  // What the client sent; empty: nothing, or not usable, as when it came twice.
  // `began_ns`: when, where somebody wants to know.
  void Begin(std::string_view request_id, std::string_view traceparent, std::string_view tracestate,
             IdSource& ids, uint64_t began_ns = 0);

  std::string_view request_id() const { return {request_id_, request_id_length_}; }
  // To answer with: the client's trace, our span.  Empty: no trace.
  std::string_view traceparent() const { return {traceparent_, traced_ ? sizeof traceparent_ : 0}; }
  std::string_view trace_id() const { return traced_ ? traceparent().substr(3, 32) : ""; }
  std::string_view span_id() const { return traced_ ? traceparent().substr(36, 16) : ""; }
  // As it came, or empty where it was longer than kMaxTraceState.
  std::string_view tracestate() const { return tracestate_; }
  uint64_t began_ns() const { return began_ns_; }  // 0: not known

 private:
  char request_id_[128];
  size_t request_id_length_ = 0;
  char traceparent_[55];
  bool traced_ = false;
  std::string tracestate_;
  uint64_t began_ns_ = 0;
};

}  // namespace mlos::frontend
