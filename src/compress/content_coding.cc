// SPDX-License-Identifier: Apache-2.0
#include "compress/content_coding.h"

#include <algorithm>
#include <limits>
#include <string>

namespace mlos::compress {
namespace {

constexpr int kWindowBits = 15;
constexpr int kGzipFormat = 16;  // on top of the window: a gzip header and trailer

// Tensors shrink little more at higher levels, which cost several times as much.
constexpr int kLevel = Z_BEST_SPEED;
constexpr int kMemoryLevel = 8;

int WindowBits(Coding coding) {
  return coding == Coding::kGzip ? kWindowBits + kGzipFormat : kWindowBits;
}

unsigned Clamp(size_t bytes) {
  return static_cast<unsigned>(std::min<size_t>(bytes, std::numeric_limits<unsigned>::max()));
}

// The library reads only, whatever its types say.
Bytef* Input(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsWord(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
         });
}

// "0.25" in thousandths; what is no weight counts as none: 0.
int ParseWeight(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5) return 0;
  int weight = (text[0] - '0') * 1000;
  if (text.size() == 1) return weight;
  if (text[1] != '.') return 0;
  int place = 100;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return 0;
    weight += (c - '0') * place;
    place /= 10;
  }
  return weight > 1000 ? 0 : weight;
}

// The weight behind a coding's name: ";q=0.5".  Without one it is the highest.
int WeightOf(std::string_view parameters) {
  int weight = 1000;
  while (!parameters.empty()) {
    parameters.remove_prefix(1);  // the semicolon
    const size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view one = Trim(parameters.substr(0, end));
    if (one.size() >= 2 && (one[0] | 0x20) == 'q' && one[1] == '=') {
      weight = ParseWeight(one.substr(2));
    }
    parameters.remove_prefix(end);
  }
  return weight;
}

}  // namespace

std::string_view CodingName(Coding coding) {
  return coding == Coding::kGzip ? "gzip" : coding == Coding::kDeflate ? "deflate" : "identity";
}

Coding ParseCoding(std::string_view text) {
  text = Trim(text);
  if (text.empty() || IsWord(text, "identity")) return Coding::kIdentity;
  if (IsWord(text, "gzip") || IsWord(text, "x-gzip")) return Coding::kGzip;
  if (IsWord(text, "deflate")) return Coding::kDeflate;
  return Coding::kUnknown;
}

Coding ChooseCoding(std::string_view accept) {
  constexpr int kUnsaid = -1;
  int identity = kUnsaid;
  int any = kUnsaid;
  int gzip = kUnsaid;
  int deflate = kUnsaid;
  while (!accept.empty()) {
    const size_t end = std::min(accept.find(','), accept.size());
    const std::string_view one = accept.substr(0, end);
    accept.remove_prefix(std::min(end + 1, accept.size()));
    const size_t semicolon = std::min(one.find(';'), one.size());
    const std::string_view name = Trim(one.substr(0, semicolon));
    int* const weight = IsWord(name, "gzip") || IsWord(name, "x-gzip") ? &gzip
                        : IsWord(name, "deflate")                      ? &deflate
                        : IsWord(name, "identity")                     ? &identity
                        : name == "*"                                  ? &any
                                                                       : nullptr;
    if (weight != nullptr) *weight = std::max(*weight, WeightOf(one.substr(semicolon)));
  }
  // "Anything" asks for nothing in particular; but where plain is refused it
  // is what is left.
  const bool plain_refused = identity == 0 || (identity == kUnsaid && any == 0);
  if (plain_refused && gzip == kUnsaid) gzip = any;
  if (std::max(gzip, deflate) <= 0) return Coding::kIdentity;
  if (identity >= std::max(gzip, deflate)) return Coding::kIdentity;
  return gzip >= deflate ? Coding::kGzip : Coding::kDeflate;
}

// ----------------------------------------------------------------- Inflater

Inflater::Inflater(Coding coding) : coding_(coding) {
  ready_ = inflateInit2(&stream_, WindowBits(coding)) == Z_OK;
}

Inflater::Inflater(Coding coding, std::string_view input) : Inflater(coding) { Give(input, true); }

Inflater::~Inflater() {
  if (ready_) inflateEnd(&stream_);
}

void Inflater::Restart() {
  ready_ = ready_ && inflateReset(&stream_) == Z_OK;
  rest_ = {};
  last_ = ended_ = false;
}

void Inflater::Give(std::string_view input, bool last) {
  rest_ = input;
  last_ = last;
}

Status Inflater::Broken(std::string_view what) const {
  std::string text(CodingName(coding_));
  if (coding_ == Coding::kDeflate) text += " (zlib's format, RFC 1950)";
  text += ": ";
  text += what;
  return InvalidArgument(text);
}

StatusOr<Inflater::Result> Inflater::Step(char* to, size_t room, size_t* written) {
  *written = 0;
  if (!ready_) return ResourceExhausted("no memory to decompress");
  size_t allowed = kSliceBytes;
  while (*written < room && allowed > 0) {
    if (ended_) {
      if (rest_.empty()) return last_ ? Result::kDone : Result::kMore;
      // Several members are one file to gzip; anything else is not.
      if (coding_ != Coding::kGzip || rest_[0] != '\x1f' || inflateReset(&stream_) != Z_OK) {
        return Broken(std::to_string(rest_.size()) + " bytes follow its end");
      }
      ended_ = false;
    }
    const unsigned given = Clamp(std::min(allowed, rest_.size()));
    const unsigned space = Clamp(room - *written);
    stream_.next_in = Input(rest_);
    stream_.avail_in = given;
    stream_.next_out = reinterpret_cast<Bytef*>(to + *written);
    stream_.avail_out = space;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    const size_t taken = given - stream_.avail_in;
    const size_t made = space - stream_.avail_out;
    rest_.remove_prefix(taken);
    allowed -= taken;
    *written += made;
    if (result == Z_STREAM_END) {
      ended_ = true;
      continue;
    }
    if (result == Z_MEM_ERROR) return ResourceExhausted("no memory to decompress");
    if (result != Z_OK && result != Z_BUF_ERROR) {
      return Broken(result == Z_NEED_DICT    ? "it needs a dictionary"
                    : stream_.msg != nullptr ? stream_.msg
                                             : "it is damaged");
    }
    // There was room, so what is missing is input.
    if (stream_.avail_out > 0 && rest_.empty()) {
      if (last_) return Broken("it is cut off");
      break;
    }
  }
  return ended_ && rest_.empty() && last_ ? Result::kDone : Result::kMore;
}

// ----------------------------------------------------------------- Deflater

Deflater::Deflater(Coding coding) {
  ready_ = deflateInit2(&stream_, kLevel, Z_DEFLATED, WindowBits(coding), kMemoryLevel,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

Deflater::~Deflater() {
  if (ready_) deflateEnd(&stream_);
}

bool Deflater::Step(std::string_view* input, bool last, char* to, size_t room, size_t* written) {
  const unsigned given = Clamp(input->size());
  const unsigned space = Clamp(room);
  stream_.next_in = Input(*input);
  stream_.avail_in = given;
  stream_.next_out = reinterpret_cast<Bytef*>(to);
  stream_.avail_out = space;
  const int result = deflate(&stream_, last && given == input->size() ? Z_FINISH : Z_NO_FLUSH);
  input->remove_prefix(given - stream_.avail_in);
  *written = space - stream_.avail_out;
  return result == Z_STREAM_END;
}

}  // namespace mlos::compress
