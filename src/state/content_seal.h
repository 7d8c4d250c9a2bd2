// SPDX-License-Identifier: Apache-2.0
//
// How many records there are, and a sum over the hash of each: kept beside the
// records and changed with them, so that a file which still is a sound database
// but no longer holds what was written does not pass for one that does.  A
// change of one byte always shows; anything else but for one case in 2^64.
// It is no protection against a writer who means harm.  A value; no owner.
#pragma once

#include <cstdint>
#include <string_view>

namespace mlos::state {

class ContentSeal {
 public:
  ContentSeal() = default;
  ContentSeal(int64_t records, int64_t digest)
      : records_(records), digest_(static_cast<uint64_t>(digest)) {}

  void Add(std::string_view kind, std::string_view key, std::string_view value) {
    ++records_;
    digest_ += Hash(kind, key, value);
  }
  void Remove(std::string_view kind, std::string_view key, std::string_view value) {
    --records_;
    digest_ -= Hash(kind, key, value);
  }

  int64_t records() const { return records_; }
  int64_t digest() const { return static_cast<int64_t>(digest_); }
  friend bool operator==(const ContentSeal&, const ContentSeal&) = default;

 private:
  // Part of the file's format.  FNV-1a over each length and its bytes; each
  // step is reversible, so that one changed byte cannot cancel out.  The end
  // spreads the bits, because the hashes are added up.
  static uint64_t Hash(std::string_view kind, std::string_view key, std::string_view value) {
    uint64_t h = 0xcbf29ce484222325;
    for (const std::string_view part : {kind, key, value}) {
      h = (h ^ part.size()) * 0x100000001b3;
      for (const char c : part) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9;
    h = (h ^ (h >> 27)) * 0x94d049bb133111eb;
    return h ^ (h >> 31);
  }

  int64_t records_ = 0;
  uint64_t digest_ = 0;
};

}  // namespace mlos::state
