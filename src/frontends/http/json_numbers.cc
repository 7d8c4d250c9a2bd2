// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/json_numbers.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "frontends/common/infer_plan.h"
#include "frontends/http/options.h"

namespace mlos::http {
namespace {

using simdjson::error_code;
using simdjson::ondemand::value;
using tensor::Datatype;

// The text of a scalar, for messages and for words that JSON does not have.
std::string_view TokenOf(value v) {
  std::string_view token = v.raw_json_token();
  while (!token.empty() && static_cast<unsigned char>(token.back()) <= ' ') token.remove_suffix(1);
  return token;
}

Status BadElement(uint64_t index, value v, std::string_view expected) {
  return InvalidArgument("element " + std::to_string(index) + " is " +
                         frontend::Quote(TokenOf(v).substr(0, 40)) + " where " +
                         std::string(expected) + " is expected");
}

// NaN and the infinities, which common serialisers write although JSON lacks
// them.
bool ParseSpecial(std::string_view token, double* number) {
  const bool negative = !token.empty() && token[0] == '-';
  if (negative) token.remove_prefix(1);
  if (token == "NaN") {
    *number = std::numeric_limits<double>::quiet_NaN();
  } else if (token == "Infinity" || token == "Inf") {
    *number = std::numeric_limits<double>::infinity();
  } else {
    return false;
  }
  if (negative) *number = -*number;
  return true;
}

// Sinks: take one scalar each.  Add returns false with `status` set.

template <typename T>
struct FloatSink {
  std::byte* at;
  Status status;

  bool Add(value v, uint64_t index) {
    double number = 0;
    if (v.get_double().get(number) != simdjson::SUCCESS) {
      if (!ParseSpecial(TokenOf(v), &number)) {
        status = BadElement(index, v, "a number");
        return false;
      }
    }
    const auto element = static_cast<T>(number);
    if (std::isinf(element) && !std::isinf(number)) {
      status = BadElement(index, v, "a number within the range of FP32");
      return false;
    }
    std::memcpy(at, &element, sizeof(element));
    at += sizeof(element);
    return true;
  }
};

template <typename T>
struct IntegerSink {
  std::byte* at;
  Status status;

  bool Add(value v, uint64_t index) {
    using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    Wide number = 0;
    error_code error;
    if constexpr (std::is_signed_v<T>) {
      error = v.get_int64().get(number);
    } else {
      error = v.get_uint64().get(number);
    }
    if (error != simdjson::SUCCESS || number < std::numeric_limits<T>::min() ||
        number > std::numeric_limits<T>::max()) {
      status = BadElement(index, v,
                          "an integer from " + std::to_string(std::numeric_limits<T>::min()) +
                              " to " + std::to_string(std::numeric_limits<T>::max()));
      return false;
    }
    const auto element = static_cast<T>(number);
    std::memcpy(at, &element, sizeof(element));
    at += sizeof(element);
    return true;
  }
};

struct BoolSink {
  std::byte* at;
  Status status;

  bool Add(value v, uint64_t index) {
    bool truth = false;
    if (v.get_bool().get(truth) != simdjson::SUCCESS) {
      status = BadElement(index, v, "true or false");
      return false;
    }
    *at++ = truth ? std::byte{1} : std::byte{0};
    return true;
  }
};

bool GetString(value v, uint64_t index, std::string_view* text, Status* status) {
  if (v.get_string().get(*text) == simdjson::SUCCESS) return true;
  *status = BadElement(index, v, "a string of valid Unicode");
  return false;
}

struct StringSink {
  std::byte* at;
  std::byte* end;
  Status status;

  bool Add(value v, uint64_t index) {
    std::string_view text;
    if (!GetString(v, index, &text, &status)) return false;
    const auto length = static_cast<uint32_t>(text.size());
    if (static_cast<size_t>(end - at) < sizeof(length) + text.size()) {
      status = Internal("BYTES do not fit the memory that was measured for them");
      return false;
    }
    std::memcpy(at, &length, sizeof(length));
    if (!text.empty()) std::memcpy(at + sizeof(length), text.data(), text.size());
    at += sizeof(length) + text.size();
    return true;
  }
};

struct MeasureSink {
  uint64_t bytes = 0;
  Status status;

  bool Add(value v, uint64_t index) {
    std::string_view text;
    if (!GetString(v, index, &text, &status)) return false;
    bytes += sizeof(uint32_t) + text.size();
    return true;
  }
};

Status BadJson(error_code error) {
  return InvalidArgument("the array is not valid JSON (" +
                         std::string(simdjson::error_message(error)) + ")");
}

template <typename Sink>
class Walker {
 public:
  Walker(Sink& sink, uint64_t count) : sink_(sink), count_(count) {}

  Status Walk(value v) {
    simdjson::ondemand::array array;
    if (v.get_array().get(array) != simdjson::SUCCESS) {
      return InvalidArgument("\"data\" is not an array");
    }
    MLOS_RETURN_IF_ERROR(WalkArray(array, 1));
    if (done_ != count_) {
      return InvalidArgument("has " + std::to_string(done_) + " elements but its shape takes " +
                             std::to_string(count_));
    }
    return OkStatus();
  }

 private:
  // Recursion is bounded by kMaxJsonDepth.
  Status WalkArray(simdjson::ondemand::array& array, uint32_t depth) {
    if (depth > kMaxJsonDepth) {
      return InvalidArgument("is nested deeper than " + std::to_string(kMaxJsonDepth));
    }
    for (auto element : array) {
      value v;
      if (const error_code error = element.get(v); error != simdjson::SUCCESS) {
        return BadJson(error);
      }
      simdjson::ondemand::json_type type;
      if (const error_code error = v.type().get(type); error != simdjson::SUCCESS) {
        // A word that JSON does not have, like NaN: the sink may know it.
        type = simdjson::ondemand::json_type::null;
      }
      if (type == simdjson::ondemand::json_type::array) {
        simdjson::ondemand::array inner;
        if (const error_code error = v.get_array().get(inner); error != simdjson::SUCCESS) {
          return BadJson(error);
        }
        MLOS_RETURN_IF_ERROR(WalkArray(inner, depth + 1));
        continue;
      }
      if (done_ == count_) {
        return InvalidArgument("has more elements than the " + std::to_string(count_) +
                               " that its shape takes");
      }
      if (!sink_.Add(v, done_)) return sink_.status;
      ++done_;
    }
    return OkStatus();
  }

  Sink& sink_;
  const uint64_t count_;
  uint64_t done_ = 0;
};

template <typename Sink>
Status Run(Sink sink, value v, uint64_t count) {
  return Walker<Sink>(sink, count).Walk(v);
}

}  // namespace

Status ParseElements(value v, Datatype datatype, uint64_t count, std::span<std::byte> out) {
  std::byte* const at = out.data();
  if (datatype != Datatype::kBytes &&
      out.size() / std::max(tensor::ElementSize(datatype), 1u) < count) {
    return Internal("the elements do not fit the memory that was planned for them");
  }
  switch (datatype) {
    case Datatype::kFp32:
      return Run(FloatSink<float>{at, {}}, v, count);
    case Datatype::kFp64:
      return Run(FloatSink<double>{at, {}}, v, count);
    case Datatype::kInt8:
      return Run(IntegerSink<int8_t>{at, {}}, v, count);
    case Datatype::kInt16:
      return Run(IntegerSink<int16_t>{at, {}}, v, count);
    case Datatype::kInt32:
      return Run(IntegerSink<int32_t>{at, {}}, v, count);
    case Datatype::kInt64:
      return Run(IntegerSink<int64_t>{at, {}}, v, count);
    case Datatype::kUint8:
      return Run(IntegerSink<uint8_t>{at, {}}, v, count);
    case Datatype::kUint16:
      return Run(IntegerSink<uint16_t>{at, {}}, v, count);
    case Datatype::kUint32:
      return Run(IntegerSink<uint32_t>{at, {}}, v, count);
    case Datatype::kUint64:
      return Run(IntegerSink<uint64_t>{at, {}}, v, count);
    case Datatype::kBool:
      return Run(BoolSink{at, {}}, v, count);
    case Datatype::kBytes:
      return Run(StringSink{at, at + out.size(), {}}, v, count);
    case Datatype::kFp16:
    case Datatype::kBf16:
    case Datatype::kInvalid:
      break;
  }
  return InvalidArgument(std::string(tensor::DatatypeName(datatype)) +
                         " has no JSON form: send it as binary data");
}

Status MeasureStrings(value v, uint64_t count, uint64_t* bytes) {
  MeasureSink sink;
  MLOS_RETURN_IF_ERROR(Walker<MeasureSink>(sink, count).Walk(v));
  *bytes = sink.bytes;
  return OkStatus();
}

}  // namespace mlos::http
