// SPDX-License-Identifier: Apache-2.0
//
// Hostile compressed bodies: the same input in slices of two sizes must come
// to the same end, and what the encoder makes of it must read back.
//
// Input: one byte that picks the coding and the sizes, then the body.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "compress/content_coding.h"

namespace {

using mlos::compress::Coding;
using mlos::compress::Deflater;
using mlos::compress::Inflater;

constexpr size_t kMostOut = 1 << 20;

void Require(bool condition) {
  if (!condition) std::abort();
}

// "!" and the error, or "=" and what came out; empty: more than is looked at.
std::string Inflate(Coding coding, std::string_view packed, size_t room) {
  Inflater inflater(coding, packed);
  std::string out;
  for (;;) {
    const std::string::size_type at = out.size();
    out.resize(at + room);
    size_t written = 0;
    const auto result = inflater.Step(out.data() + at, room, &written);
    Require(written <= room);
    out.resize(at + written);
    if (!result.ok()) return "!" + std::string(mlos::Message(result.status()));
    if (*result == Inflater::Result::kDone) return "=" + out;
    if (out.size() > kMostOut) return {};
  }
}

std::string Deflate(Coding coding, std::string_view text, size_t room) {
  Deflater deflater(coding);
  Require(deflater.ready());
  std::string out;
  for (bool done = false; !done;) {
    const std::string::size_type at = out.size();
    out.resize(at + room);
    size_t written = 0;
    done = deflater.Step(&text, true, out.data() + at, room, &written);
    out.resize(at + written);
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const Coding coding = (data[0] & 1) != 0 ? Coding::kGzip : Coding::kDeflate;
  const size_t room = 1 + static_cast<size_t>(data[0] >> 1) * 16;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string one = Inflate(coding, body, room);
  const std::string other = Inflate(coding, body, 4096);
  Require(one.empty() || other.empty() || one == other);
  if (body.size() <= 4096) {
    Require(Inflate(coding, Deflate(coding, body, room), 4096) == "=" + std::string(body));
  }
  (void)mlos::compress::ChooseCoding(body);
  (void)mlos::compress::ParseCoding(body);
  return 0;
}
