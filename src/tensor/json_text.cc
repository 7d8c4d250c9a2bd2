// SPDX-License-Identifier: Apache-2.0
#include "tensor/json_text.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace mlos::tensor {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Elements printed between two checks of the limit.
constexpr uint64_t kBlock = 1024;
// Longest element: -1.7976931348623157e+308 and a comma.
constexpr size_t kMostChars = 32;

template <typename T>
char* PrintNumber(char* p, T value) {
  return std::to_chars(p, p + kMostChars, value).ptr;
}

char* PrintText(char* p, std::string_view text) {
  std::memcpy(p, text.data(), text.size());
  return p + text.size();
}

// The shortest text that reads back as the same number; one that could be
// taken for an integer gets ".0", so that strictly typed readers see a number
// with a fraction everywhere in the array.
template <typename T>
char* PrintFloat(char* p, T value) {
  if (!std::isfinite(value)) {
    if (std::isnan(value)) return PrintText(p, "NaN");
    return PrintText(p, value > 0 ? "Infinity" : "-Infinity");
  }
  // Small whole numbers are common and integer printing is much cheaper.
  constexpr T kExact = static_cast<T>(1 << 24);
  if (value > -kExact && value < kExact) {
    const auto whole = static_cast<int32_t>(value);
    if (static_cast<T>(whole) == value && !(whole == 0 && std::signbit(value))) {
      return PrintText(std::to_chars(p, p + kMostChars, whole).ptr, ".0");
    }
  }
  char* const end = std::to_chars(p, p + kMostChars, value).ptr;
  for (const char* c = p; c != end; ++c) {
    if (*c == '.' || *c == 'e') return end;
  }
  return PrintText(end, ".0");
}
char* PrintNumber(char* p, float value) { return PrintFloat(p, value); }
char* PrintNumber(char* p, double value) { return PrintFloat(p, value); }
char* PrintNumber(char* p, bool) = delete;

// Text of unknown origin (names out of a path, reasons from a plugin) with what
// is not UTF-8 replaced: an answer that cannot be decoded helps nobody.
std::string ReplaceInvalid(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t length = std::min<size_t>(4, text.size() - at);
    while (length > 0 && !simdjson::validate_utf8(text.data() + at, length)) --length;
    if (length == 0) {
      out += "\xef\xbf\xbd";
      length = 1;
    } else {
      out.append(text.substr(at, length));
    }
    at += length;
  }
  return out;
}

Status TooLong(uint64_t limit) {
  return ResourceExhausted("the answer as JSON is longer than " + std::to_string(limit) +
                           " bytes: ask for it with \"binary_data\":true");
}

template <typename T>
Status AppendNumbers(uint64_t count, std::span<const std::byte> data, uint64_t limit, Buffer* out) {
  const std::byte* from = data.data();
  for (uint64_t done = 0; done < count;) {
    const uint64_t block = std::min(kBlock, count - done);
    char* const start = out->Tail(block * kMostChars);
    char* p = start;
    for (uint64_t i = 0; i < block; ++i, from += sizeof(T)) {
      T value;
      std::memcpy(&value, from, sizeof(T));
      p = PrintNumber(p, value);
      *p++ = ',';
    }
    out->Advance(static_cast<size_t>(p - start));
    if (out->size() > limit) return TooLong(limit);
    done += block;
  }
  return OkStatus();
}

Status AppendBools(uint64_t count, std::span<const std::byte> data, uint64_t limit, Buffer* out) {
  for (uint64_t i = 0; i < count; ++i) {
    out->Append(data[i] != std::byte{0} ? "true," : "false,");
    if (out->size() > limit) return TooLong(limit);
  }
  return OkStatus();
}

Status AppendStrings(uint64_t count, std::span<const std::byte> data, uint64_t limit, Buffer* out) {
  size_t at = 0;
  std::string element;  // a private copy: what is checked is what is printed
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (data.size() - at < sizeof(length)) return Internal("the model's BYTES output is cut off");
    std::memcpy(&length, data.data() + at, sizeof(length));
    at += sizeof(length);
    if (data.size() - at < length) return Internal("the model's BYTES output is cut off");
    element.assign(reinterpret_cast<const char*>(data.data()) + at, length);
    at += length;
    if (!simdjson::validate_utf8(element.data(), element.size())) {
      return InvalidArgument("element " + std::to_string(i) +
                             " is not UTF-8 text and has no JSON form: ask for it with "
                             "\"binary_data\":true");
    }
    AppendJsonString(element, out);
    out->Append(',');
    if (out->size() > limit) return TooLong(limit);
  }
  return OkStatus();
}

Status AppendElements(Datatype datatype, uint64_t count, std::span<const std::byte> data,
                      uint64_t limit, Buffer* out) {
  switch (datatype) {
    case Datatype::kInt8:
      return AppendNumbers<int8_t>(count, data, limit, out);
    case Datatype::kInt16:
      return AppendNumbers<int16_t>(count, data, limit, out);
    case Datatype::kInt32:
      return AppendNumbers<int32_t>(count, data, limit, out);
    case Datatype::kInt64:
      return AppendNumbers<int64_t>(count, data, limit, out);
    case Datatype::kUint8:
      return AppendNumbers<uint8_t>(count, data, limit, out);
    case Datatype::kUint16:
      return AppendNumbers<uint16_t>(count, data, limit, out);
    case Datatype::kUint32:
      return AppendNumbers<uint32_t>(count, data, limit, out);
    case Datatype::kUint64:
      return AppendNumbers<uint64_t>(count, data, limit, out);
    case Datatype::kFp32:
      return AppendNumbers<float>(count, data, limit, out);
    case Datatype::kFp64:
      return AppendNumbers<double>(count, data, limit, out);
    case Datatype::kBool:
      return AppendBools(count, data, limit, out);
    case Datatype::kBytes:
      return AppendStrings(count, data, limit, out);
    case Datatype::kFp16:
    case Datatype::kBf16:
    case Datatype::kInvalid:
      break;
  }
  return InvalidArgument(std::string(DatatypeName(datatype)) +
                         " has no JSON form: ask for it with \"binary_data\":true");
}

}  // namespace

void AppendJsonString(std::string_view text, Buffer* out) {
  std::string repaired;
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    repaired = ReplaceInvalid(text);
    text = repaired;
  }
  // At worst every byte becomes \u00XX.
  char* const start = out->Tail(text.size() * 6 + 2);
  char* p = start;
  *p++ = '"';
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u != '"' && u != '\\' && u != 0x7f) {
      *p++ = c;
      continue;
    }
    *p++ = '\\';
    switch (c) {
      case '"':
      case '\\':
        *p++ = c;
        break;
      case '\n':
        *p++ = 'n';
        break;
      case '\r':
        *p++ = 'r';
        break;
      case '\t':
        *p++ = 't';
        break;
      default:
        p = PrintText(p, "u00");
        *p++ = kHex[u >> 4];
        *p++ = kHex[u & 15];
    }
  }
  *p++ = '"';
  out->Advance(static_cast<size_t>(p - start));
}

void AppendJsonInt(int64_t value, Buffer* out) {
  char* p = out->Tail(20);
  out->Advance(static_cast<size_t>(std::to_chars(p, p + 20, value).ptr - p));
}

void AppendJsonShape(std::span<const int64_t> dims, Buffer* out) {
  out->Append('[');
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) out->Append(',');
    AppendJsonInt(dims[i], out);
  }
  out->Append(']');
}

Status AppendJsonTensor(Datatype datatype, uint64_t count, std::span<const std::byte> data,
                        uint64_t limit, Buffer* out) {
  const uint32_t size = ElementSize(datatype);
  if (size != 0 && data.size() / size < count) {
    return Internal("the model's output is shorter than its shape");
  }
  out->Append('[');
  MLOS_RETURN_IF_ERROR(AppendElements(datatype, count, data, limit, out));
  // The last comma becomes the bracket.
  if (count > 0) {
    out->data()[out->size() - 1] = ']';
  } else {
    out->Append(']');
  }
  return OkStatus();
}

}  // namespace mlos::tensor
