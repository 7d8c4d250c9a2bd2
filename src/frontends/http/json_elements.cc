// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/json_elements.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>

#include "frontends/common/infer_plan.h"
#include "frontends/http/json_float.h"
#include "frontends/http/json_string.h"

namespace mlos::http {
namespace {

using tensor::Datatype;

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool EndsElement(char c) { return c == ',' || c == ']' || IsSpace(c); }

// What stands at `p`, for a message.
std::string_view TokenAt(const char* p) {
  constexpr size_t kMost = 40;
  size_t n = 0;
  if (*p == '"') {
    size_t length = 0;
    const char* end = UnescapeString(p, nullptr, &length);
    n = end != nullptr ? static_cast<size_t>(end - p) : 1;
  } else {
    while (n < kMost && !EndsElement(p[n])) ++n;
  }
  return {p, std::min(n, kMost)};
}

Status BadElement(uint64_t index, const char* p, std::string_view expected) {
  return InvalidArgument("element " + std::to_string(index) + " is " + frontend::Quote(TokenAt(p)) +
                         " where " + std::string(expected) + " is expected");
}

// Compares with a word that some byte ends.
bool IsWord(const char* p, std::string_view word, const char** end) {
  if (std::strncmp(p, word.data(), word.size()) != 0) return false;
  *end = p + word.size();
  return true;
}

// Sinks take one element each: Add reads at `p` and returns the byte behind,
// or null with `status` set.

template <typename T>
struct FloatSink {
  std::byte* at;
  Status status = {};

  const char* Add(const char* p, uint64_t index) {
    T value = 0;
    const char* end = nullptr;
    const NumberResult result = ParseFloat(p, &end, &value);
    if (result != NumberResult::kOk || !EndsElement(*end)) {
      // NaN and the infinities, which common serialisers write although JSON
      // lacks them.
      const bool negative = *p == '-';
      const char* word = negative ? p + 1 : p;
      if (IsWord(word, "NaN", &end)) {
        value = std::numeric_limits<T>::quiet_NaN();
      } else if (IsWord(word, "Infinity", &end) || IsWord(word, "Inf", &end)) {
        value = std::numeric_limits<T>::infinity();
      } else {
        end = nullptr;
      }
      if (end == nullptr || !EndsElement(*end)) {
        status = BadElement(
            index, p, result == NumberResult::kOutOfRange ? "a number within range" : "a number");
        return nullptr;
      }
      if (negative) value = -value;
    }
    std::memcpy(at, &value, sizeof(value));
    at += sizeof(value);
    return end;
  }
};

template <typename T>
struct IntegerSink {
  std::byte* at;
  Status status = {};

  const char* Add(const char* p, uint64_t index) {
    const char* digit = p;
    const bool negative = std::is_signed_v<T> && *p == '-';
    if (negative) ++digit;
    // As a magnitude: the least signed number has one more than the greatest.
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<T>::max());
    const uint64_t most = negative ? kMost + 1 : kMost;
    bool valid = digit[0] >= '0' && digit[0] <= '9' &&
                 !(digit[0] == '0' && digit[1] >= '0' && digit[1] <= '9');
    uint64_t magnitude = 0;
    for (; valid && *digit >= '0' && *digit <= '9'; ++digit) {
      valid = !__builtin_mul_overflow(magnitude, uint64_t{10}, &magnitude) &&
              !__builtin_add_overflow(magnitude, static_cast<uint64_t>(*digit - '0'), &magnitude) &&
              magnitude <= most;
    }
    if (!valid || !EndsElement(*digit)) {
      status = BadElement(index, p,
                          "an integer from " + std::to_string(std::numeric_limits<T>::min()) +
                              " to " + std::to_string(std::numeric_limits<T>::max()));
      return nullptr;
    }
    const auto value = static_cast<T>(negative ? 0 - magnitude : magnitude);
    std::memcpy(at, &value, sizeof(value));
    at += sizeof(value);
    return digit;
  }
};

struct BoolSink {
  std::byte* at;
  Status status = {};

  const char* Add(const char* p, uint64_t index) {
    const char* end = nullptr;
    const bool truth = IsWord(p, "true", &end);
    if ((!truth && !IsWord(p, "false", &end)) || !EndsElement(*end)) {
      status = BadElement(index, p, "true or false");
      return nullptr;
    }
    *at++ = truth ? std::byte{1} : std::byte{0};
    return end;
  }
};

constexpr std::string_view kString = "a string of valid Unicode";

// For the memory that MeasureSink has measured over the same text.
struct StringSink {
  std::byte* at;
  std::byte* end;
  Status status = {};

  const char* Add(const char* p, uint64_t index) {
    size_t length = 0;
    const char* behind = *p == '"' ? UnescapeString(p, nullptr, &length) : nullptr;
    if (behind == nullptr) {
      status = BadElement(index, p, kString);
      return nullptr;
    }
    if (static_cast<size_t>(end - at) < sizeof(uint32_t) + length) {
      status = Internal("BYTES do not fit the memory that was measured for them");
      return nullptr;
    }
    const auto prefix = static_cast<uint32_t>(length);
    std::memcpy(at, &prefix, sizeof(prefix));
    at += sizeof(prefix);
    UnescapeString(p, reinterpret_cast<char*>(at), &length);
    at += length;
    return behind;
  }
};

struct MeasureSink {
  uint64_t bytes = 0;
  Status status = {};

  const char* Add(const char* p, uint64_t index) {
    size_t length = 0;
    const char* behind = *p == '"' ? UnescapeString(p, nullptr, &length) : nullptr;
    if (behind == nullptr) {
      status = BadElement(index, p, kString);
      return nullptr;
    }
    bytes += sizeof(uint32_t) + length;
    return behind;
  }
};

Status NotJson(uint64_t index) {
  return InvalidArgument("\"data\" is not valid JSON at element " + std::to_string(index));
}

const char* SkipSpace(const char* p) {
  while (IsSpace(*p)) ++p;
  return p;
}

// Walks the array and gives each scalar to the sink.  The text ends with the
// bracket that closes it, which stops every scan below.
template <typename Sink>
Status Walk(std::string_view text, uint64_t count, uint32_t max_depth, Sink& sink) {
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return NotJson(0);
  const char* const last = &text.back();
  const char* p = text.data();
  uint64_t done = 0;
  uint32_t depth = 0;
  for (;;) {
    // Here begins a value.
    p = SkipSpace(p);
    bool closes = false;
    if (*p == '[') {
      if (++depth > max_depth) {
        return InvalidArgument("\"data\" is nested deeper than " + std::to_string(max_depth) +
                               " levels");
      }
      p = SkipSpace(p + 1);
      closes = *p == ']';
      if (!closes) continue;
    } else {
      if (*p == ',' || *p == ']') return NotJson(done);
      if (done == count) {
        return InvalidArgument("has more elements than the " + std::to_string(count) +
                               " that its shape takes");
      }
      p = sink.Add(p, done);
      if (p == nullptr) return sink.status;
      ++done;
      p = SkipSpace(p);
      closes = *p == ']';
    }
    // Here a value has ended, and perhaps the arrays that it was the last of.
    while (closes) {
      --depth;
      if (depth == 0) {
        if (p != last) return NotJson(done);
        if (done == count) return OkStatus();
        return InvalidArgument("has " + std::to_string(done) + " elements but its shape takes " +
                               std::to_string(count));
      }
      if (p == last) return NotJson(done);
      p = SkipSpace(p + 1);
      closes = *p == ']';
    }
    if (*p != ',') return NotJson(done);
    ++p;
  }
}

struct Array {
  std::string_view text;
  uint64_t count;
  uint32_t max_depth;
};

template <typename Sink>
Status Run(const Array& array, Sink sink) {
  return Walk(array.text, array.count, array.max_depth, sink);
}

}  // namespace

Status ParseElements(std::string_view text, Datatype datatype, uint64_t count,
                     std::span<std::byte> out, uint32_t max_depth) {
  const Array array{text, count, max_depth};
  std::byte* const at = out.data();
  if (datatype != Datatype::kBytes &&
      out.size() / std::max(tensor::ElementSize(datatype), 1u) < count) {
    return Internal("the elements do not fit the memory that was planned for them");
  }
  switch (datatype) {
    case Datatype::kFp32:
      return Run(array, FloatSink<float>{at});
    case Datatype::kFp64:
      return Run(array, FloatSink<double>{at});
    case Datatype::kInt8:
      return Run(array, IntegerSink<int8_t>{at});
    case Datatype::kInt16:
      return Run(array, IntegerSink<int16_t>{at});
    case Datatype::kInt32:
      return Run(array, IntegerSink<int32_t>{at});
    case Datatype::kInt64:
      return Run(array, IntegerSink<int64_t>{at});
    case Datatype::kUint8:
      return Run(array, IntegerSink<uint8_t>{at});
    case Datatype::kUint16:
      return Run(array, IntegerSink<uint16_t>{at});
    case Datatype::kUint32:
      return Run(array, IntegerSink<uint32_t>{at});
    case Datatype::kUint64:
      return Run(array, IntegerSink<uint64_t>{at});
    case Datatype::kBool:
      return Run(array, BoolSink{at});
    case Datatype::kBytes:
      return Run(array, StringSink{at, at + out.size()});
    case Datatype::kFp16:
    case Datatype::kBf16:
    case Datatype::kInvalid:
      break;
  }
  return InvalidArgument(std::string(tensor::DatatypeName(datatype)) +
                         " has no JSON form: send it as binary data");
}

Status MeasureStrings(std::string_view text, uint64_t count, uint64_t* bytes, uint32_t max_depth) {
  MeasureSink sink;
  MLOS_RETURN_IF_ERROR(Walk(text, count, max_depth, sink));
  *bytes = sink.bytes;
  return OkStatus();
}

}  // namespace mlos::http
