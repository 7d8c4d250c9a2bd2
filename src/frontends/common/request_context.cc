// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/request_context.h"

#include <sys/random.h>

#include <array>
#include <cstring>

#include "base/clock.h"

namespace mlos::frontend {
namespace {

constexpr char kHex[] = "0123456789abcdef";

void WriteHex(uint64_t value, char* to) {
  for (int i = 15; i >= 0; --i) {
    to[i] = kHex[value & 15];
    value >>= 4;
  }
}

constexpr std::array<bool, 256> MakeIdCharacters() {
  std::array<bool, 256> allowed{};
  for (int c = '0'; c <= '9'; ++c) allowed[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) allowed[c] = allowed[c - 'a' + 'A'] = true;
  for (const char c : {'.', '_', ':', '/', '+', '=', '@', '~', '-'}) {
    allowed[static_cast<unsigned char>(c)] = true;
  }
  return allowed;
}
constexpr std::array<bool, 256> kIdCharacters = MakeIdCharacters();

// Lower case only, as the standard has it.
bool IsHex(std::string_view text) {
  for (const char c : text) {
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return false;
  }
  return true;
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

uint8_t Value(char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); }

bool IsTraceState(std::string_view text) {
  if (text.size() > RequestContext::kMaxTraceState) return false;
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

}  // namespace

IdSource::IdSource() : state_(NowNanos()) {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) == sizeof seed) state_ ^= seed;
}

// A counter, scrambled by a bijection (splitmix64): no number comes twice.
uint64_t IdSource::Next() {
  for (;;) {
    uint64_t x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    x ^= x >> 31;
    if (x != 0) return x;
  }
}

bool IsRequestId(std::string_view text) {
  if (text.empty() || text.size() > 128) return false;
  for (const char c : text) {
    if (!kIdCharacters[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

bool ParseTraceParent(std::string_view text, std::string_view* trace_id, uint8_t* flags) {
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace = text.substr(3, 32);
  const std::string_view parent = text.substr(36, 16);
  if (!IsHex(version) || !IsHex(trace) || !IsHex(parent) || !IsHex(text.substr(53, 2))) {
    return false;
  }
  if (version == "ff" || IsZero(trace) || IsZero(parent)) return false;
  if (text.size() > 55 && (version == "00" || text[55] != '-')) return false;
  *trace_id = trace;
  *flags = static_cast<uint8_t>(Value(text[53]) * 16 + Value(text[54]));
  return true;
}

void RequestContext::Begin(std::string_view request_id, std::string_view traceparent,
                           std::string_view tracestate, IdSource& ids, uint64_t began_ns) {
  began_ns_ = began_ns;
  if (IsRequestId(request_id)) {
    std::memcpy(request_id_, request_id.data(), request_id.size());
    request_id_length_ = request_id.size();
  } else {
    WriteHex(ids.Next(), request_id_);
    request_id_length_ = 16;
  }
  tracestate_.clear();
  std::string_view trace_id;
  uint8_t flags = 0;
  traced_ = !traceparent.empty() && ParseTraceParent(traceparent, &trace_id, &flags);
  if (!traced_) return;
  // We speak version 00; of the flags it knows only "sampled".
  std::memcpy(traceparent_, "00-", 3);
  std::memcpy(traceparent_ + 3, trace_id.data(), 32);
  traceparent_[35] = '-';
  WriteHex(ids.Next(), traceparent_ + 36);
  std::memcpy(traceparent_ + 52, (flags & 1) != 0 ? "-01" : "-00", 3);
  if (IsTraceState(tracestate)) tracestate_ = tracestate;
}

}  // namespace mlos::frontend
