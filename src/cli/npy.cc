// SPDX-License-Identifier: Apache-2.0
#include "cli/npy.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/name.h"

namespace mlos::cli {
namespace {

using tensor::Datatype;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 64 << 10;
constexpr uint64_t kMaxElementBytes = 1 << 20;

struct Header {
  char order = 0;  // < > | =
  char kind = 0;   // b i u f S U V
  uint64_t size = 0;
  bool fortran = false;
  std::vector<int64_t> shape;
};

Status Bad(std::string_view what) {
  return InvalidArgument("this is no .npy file that mlos can read: " + std::string(what));
}

// The header is a Python dict literal of three known keys; exactly that much of
// Python is read.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  Status Read(Header* out) {
    if (!Take('{')) return Bad("its header is no dict");
    unsigned seen = 0;
    while (!Take('}')) {
      std::string_view key;
      if (!String(&key) || !Take(':')) return Bad("its header is malformed");
      const unsigned bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
      if (bit == 0 || (seen & bit) != 0) {
        return Bad("its header has the key " + Quoted(key) + (bit == 0 ? "" : " twice"));
      }
      seen |= bit;
      MLOS_RETURN_IF_ERROR(Value(bit, out));
      if (!Take(',') && Peek() != '}') return Bad("its header is malformed");
    }
    SkipSpace();
    if (!text_.empty()) return Bad("something follows its header's dict");
    return seen == 7 ? OkStatus() : Bad("its header lacks descr, fortran_order or shape");
  }

 private:
  Status Value(unsigned bit, Header* out) {
    if (bit == 1) return Description(out);
    if (bit == 4) return Shape(&out->shape);
    SkipSpace();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(0, word.size()) != word) continue;
      text_.remove_prefix(word.size());
      out->fortran = word == "True";
      return OkStatus();
    }
    return Bad("fortran_order is neither True nor False");
  }

  Status Description(Header* out) {
    std::string_view text;
    if (!String(&text)) return Bad("its elements are records; save the fields one by one");
    if (text.size() < 3) return Bad("its element type is " + Quoted(text));
    out->order = text[0];
    out->kind = text[1];
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + 2, end, out->size);
    if (error != std::errc() || at != end ||
        std::string_view("<>|=").find(text[0]) == std::string_view::npos) {
      return Bad("its element type is " + Quoted(text));
    }
    return OkStatus();
  }

  Status Shape(std::vector<int64_t>* shape) {
    if (!Take('(')) return Bad("its shape is no tuple");
    while (!Take(')')) {
      SkipSpace();
      int64_t dim = -1;
      const char* end = text_.data() + text_.size();
      const auto [at, error] = std::from_chars(text_.data(), end, dim);
      if (error != std::errc() || dim < 0) return Bad("its shape has a dimension that is none");
      text_.remove_prefix(static_cast<size_t>(at - text_.data()));
      shape->push_back(dim);
      if (shape->size() > tensor::kMaxRank) {
        return Bad(fmt::format("it has more than {} dimensions", tensor::kMaxRank));
      }
      if (!Take(',') && Peek() != ')') return Bad("its shape is malformed");
    }
    return OkStatus();
  }

  bool String(std::string_view* out) {
    SkipSpace();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) return false;
    const size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) return false;
    *out = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return out->find('\\') == std::string_view::npos;
  }

  void SkipSpace() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t')) {
      text_.remove_prefix(1);
    }
  }
  char Peek() {
    SkipSpace();
    return text_.empty() ? '\0' : text_[0];
  }
  bool Take(char c) {
    if (Peek() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::string_view text_;
};

StatusOr<Datatype> DatatypeOf(const Header& h) {
  struct Row {
    char kind;
    uint64_t size;
    Datatype datatype;
  };
  constexpr Row kRows[] = {
      {'b', 1, Datatype::kBool},   {'i', 1, Datatype::kInt8},   {'i', 2, Datatype::kInt16},
      {'i', 4, Datatype::kInt32},  {'i', 8, Datatype::kInt64},  {'u', 1, Datatype::kUint8},
      {'u', 2, Datatype::kUint16}, {'u', 4, Datatype::kUint32}, {'u', 8, Datatype::kUint64},
      {'f', 2, Datatype::kFp16},   {'f', 4, Datatype::kFp32},   {'f', 8, Datatype::kFp64},
      {'V', 2, Datatype::kBf16}};
  for (const Row& row : kRows) {
    if (row.kind == h.kind && row.size == h.size) return row.datatype;
  }
  if (h.kind == 'S' || h.kind == 'U') return Datatype::kBytes;
  if (h.kind == 'O') return Bad("its elements are Python objects; save strings as dtype S or U");
  return Bad(fmt::format("no datatype of the protocol is {}",
                         Quoted(fmt::format("{}{}", h.kind, h.size))));
}

// Bytes that one element takes in the file.
uint64_t StoredSize(const Header& h) { return h.kind == 'U' ? h.size * 4 : h.size; }

// Calls `take` with the element's place in the file, in row-major order.
template <typename Take>
void ForEachInRowMajorOrder(const Header& h, uint64_t count, const Take& take) {
  if (!h.fortran || h.shape.size() < 2) {
    for (uint64_t i = 0; i < count; ++i) take(i);
    return;
  }
  std::vector<uint64_t> strides(h.shape.size(), 1);
  for (size_t d = 1; d < h.shape.size(); ++d) {
    strides[d] = strides[d - 1] * static_cast<uint64_t>(h.shape[d - 1]);
  }
  std::vector<int64_t> index(h.shape.size(), 0);
  uint64_t place = 0;
  for (uint64_t i = 0; i < count; ++i) {
    take(place);
    for (size_t d = h.shape.size(); d-- > 0;) {  // as an odometer counts
      place += strides[d];
      if (++index[d] < h.shape[d]) break;
      place -= strides[d] * static_cast<uint64_t>(h.shape[d]);
      index[d] = 0;
    }
  }
}

void AppendUtf8(char32_t c, std::string* out) {
  const auto put = [out](char32_t b) { out->push_back(static_cast<char>(b)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xc0 | (c >> 6U));
  } else {
    if (c < 0x10000) {
      put(0xe0 | (c >> 12U));
    } else {
      put(0xf0 | (c >> 18U));
      put(0x80 | ((c >> 12U) & 0x3fU));
    }
    put(0x80 | ((c >> 6U) & 0x3fU));
  }
  put(0x80 | (c & 0x3fU));
}

// An S or U element as bytes, without the NULs that fill it up.
Status AppendText(const Header& h, std::string_view stored, std::string* out) {
  std::string text;
  if (h.kind == 'S') {
    text = stored.substr(0, stored.find_last_not_of('\0') + 1);
  } else {
    const bool big = h.order == '>';
    for (size_t at = 0; at < stored.size(); at += 4) {
      char32_t c = 0;
      for (size_t b = 0; b < 4; ++b) {
        const auto byte = static_cast<unsigned char>(stored[at + (big ? b : 3 - b)]);
        c = (c << 8U) | byte;
      }
      if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return Bad("a string has no characters");
      AppendUtf8(c, &text);
    }
    text.erase(text.find_last_not_of('\0') + 1);
  }
  const auto length = static_cast<uint32_t>(text.size());
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out->push_back(static_cast<char>((length >> shift) & 0xffU));
  }
  out->append(text);
  return OkStatus();
}

StatusOr<std::string_view> SplitHeader(std::string_view file, std::string_view* data) {
  if (file.substr(0, kMagic.size()) != kMagic) return Bad("it does not begin as one");
  file.remove_prefix(kMagic.size());
  const auto byte = [&](size_t i) -> size_t { return static_cast<unsigned char>(file[i]); };
  if (file.size() < 2) return Bad("it is cut off");
  const size_t major = byte(0);
  if (major < 1 || major > 3) return Bad(fmt::format("it is of version {}", major));
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (file.size() < 2 + length_bytes) return Bad("it is cut off");
  size_t length = 0;
  for (size_t i = length_bytes; i-- > 0;) length = (length << 8U) | byte(2 + i);
  file.remove_prefix(2 + length_bytes);
  if (length > kMaxHeader) return Bad("its header is too long");
  if (length > file.size()) return Bad("it is cut off in its header");
  *data = file.substr(length);
  return file.substr(0, length);
}

}  // namespace

StatusOr<Array> ParseNpy(std::string_view file) {
  std::string_view data;
  MLOS_ASSIGN_OR_RETURN(const std::string_view text, SplitHeader(file, &data));
  Header header;
  MLOS_RETURN_IF_ERROR(HeaderReader(text).Read(&header));
  Array array;
  MLOS_ASSIGN_OR_RETURN(array.datatype, DatatypeOf(header));
  array.shape = header.shape;
  uint64_t count = 0;
  if (!tensor::ElementCount(array.shape, &count)) return Bad("its shape is too large");
  if (header.size > kMaxElementBytes) return Bad("its elements are too large");
  const uint64_t stored = StoredSize(header);
  // Elements of no bytes would let a short file describe any number of them.
  if (stored == 0 && count > 0 && count > file.size())
    return Bad("it has more elements than bytes");
  if (stored > 0 && count > std::numeric_limits<uint64_t>::max() / stored) {
    return Bad("its shape is too large");
  }
  if (data.size() != count * stored) {
    return Bad(fmt::format("its shape {} takes {} bytes, and there are {}",
                           tensor::ShapeText(array.shape), count * stored, data.size()));
  }
  const bool swap = header.order == '>' && stored > 1;
  Status status;
  ForEachInRowMajorOrder(header, count, [&](uint64_t place) {
    const std::string_view element = data.substr(place * stored, stored);
    if (array.datatype == Datatype::kBytes) {
      if (status.ok()) status = AppendText(header, element, &array.data);
    } else if (swap) {
      array.data.append(element.rbegin(), element.rend());
    } else {
      array.data.append(element);
    }
  });
  if (!status.ok()) return status;
  if (array.datatype == Datatype::kBool &&
      std::any_of(array.data.begin(), array.data.end(), [](char c) { return c != 0 && c != 1; })) {
    return Bad("a bool is neither 0 nor 1");
  }
  return array;
}

}  // namespace mlos::cli
