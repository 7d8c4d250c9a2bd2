// SPDX-License-Identifier: Apache-2.0
//
// A piece of shared memory: an anonymous memfd of a fixed size, sealed before
// anybody else sees it, and this process's mapping of it.  Owns both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::channel {

enum class Access { kReadOnly, kReadWrite };

class Segment {
 public:
  // Makes a segment of `bytes` (rounded up to pages), maps it with `mine` and
  // then seals it: its size cannot change, seals cannot be added, and with
  // `others` == kReadOnly nobody can map it writable any more, whatever
  // descriptor they hold.  `name` shows in /proc for people.
  // The pages [0, prefault) are touched, so that the first request does not pay.
  static StatusOr<std::unique_ptr<Segment>> Create(const char* name, uint64_t bytes, Access mine,
                                                   Access others, uint64_t prefault = 0);

  // Maps a segment that came from a peer.  INVALID_ARGUMENT if it is not a
  // memfd sealed against resizing, or not of `bytes`.
  static StatusOr<std::unique_ptr<Segment>> Map(OwnedFd fd, uint64_t bytes, Access mine);

  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }
  int fd() const { return fd_.get(); }

  // Has the first `bytes` ready in this process's page tables.  A hint.
  void Populate(uint64_t bytes, Access access);

  // [offset, offset + length) of the mapping; empty data() if it does not lie
  // inside.  Checked without overflow.
  std::span<std::byte> Range(uint64_t offset, uint64_t length) const;

 private:
  Segment(OwnedFd fd, std::byte* data, uint64_t size);
  OwnedFd fd_;
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

// A segment and the number by which blocks name it.
struct NumberedSegment {
  uint32_t id = 0;
  std::unique_ptr<Segment> memory;
};

// `bytes` rounded up to whole pages: the size that a segment gets.
uint64_t RoundToPages(uint64_t bytes);

}  // namespace mlos::channel
