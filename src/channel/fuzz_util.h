// SPDX-License-Identifier: Apache-2.0
//
// For the channel's fuzzers: reads commands from the input, and writes into a
// control segment whatever the input says, as a hostile peer can at any time.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "channel/entry.h"
#include "channel/layout.h"
#include "channel/segment.h"

namespace mlos::channel {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  // Missing bytes are zero.
  template <typename T>
  T Take() {
    T value = 0;
    const size_t n = size_ < sizeof(T) ? size_ : sizeof(T);
    std::memcpy(&value, data_, n);
    data_ += n;
    size_ -= n;
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

inline void Require(bool condition) {
  if (!condition) std::abort();
}

inline uint64_t TouchAll(std::span<const std::byte> bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 4096) sum += static_cast<uint64_t>(bytes[i]);
  if (!bytes.empty()) sum += static_cast<uint64_t>(bytes.back());
  return sum;
}

class HostilePeer {
 public:
  HostilePeer(int control, uint32_t entries) : bytes_(RoundToPages(ControlBytes(entries))) {
    mapped_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);
    Require(mapped_ != MAP_FAILED);
    header_ = static_cast<ControlHeader*>(mapped_);
    entry_ = reinterpret_cast<Entry*>(static_cast<char*>(mapped_) + sizeof(ControlHeader));
    entries_ = entries;
  }
  ~HostilePeer() { munmap(mapped_, bytes_); }
  HostilePeer(const HostilePeer&) = delete;
  HostilePeer& operator=(const HostilePeer&) = delete;

  void Scribble(FuzzInput* input) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    const uint8_t what = input->Take<uint8_t>();
    const uint32_t index = input->Take<uint8_t>() % entries_;
    Entry& entry = entry_[index];
    switch (what % 8) {
      case 0: {  // any eight bytes anywhere
        const size_t at = input->Take<uint32_t>() % (bytes_ / 8);
        const uint64_t value = input->Take<uint64_t>();
        std::memcpy(static_cast<char*>(mapped_) + at * 8, &value, sizeof(value));
        break;
      }
      case 1: {  // another state of the same submission
        EntryWord word = EntryWord::Unpack(entry.word.load(kRelaxed));
        const uint8_t change = input->Take<uint8_t>();
        word.state = static_cast<EntryState>(change & 7);
        word.epoch = change >> 3 & 7;
        word.sequence += change >> 6;
        entry.word.store(word.Pack(), kRelaxed);
        break;
      }
      case 2:
        header_->submitted[index % kHintWords].fetch_or(input->Take<uint64_t>(), kRelaxed);
        break;
      case 3:
        header_->completed[index % kHintWords].fetch_or(input->Take<uint64_t>(), kRelaxed);
        break;
      case 4:
        header_->submitted[0].fetch_or(Bit(index), kRelaxed);
        header_->completed[0].fetch_or(Bit(index), kRelaxed);
        break;
      case 5:
        entry.request_segment.store(input->Take<uint8_t>(), kRelaxed);
        entry.request_offset.store(input->Take<uint64_t>(), kRelaxed);
        entry.request_length.store(input->Take<uint64_t>(), kRelaxed);
        break;
      case 6:
        entry.response_segment.store(input->Take<uint8_t>(), kRelaxed);
        entry.response_offset.store(input->Take<uint64_t>(), kRelaxed);
        entry.response_length.store(input->Take<uint64_t>(), kRelaxed);
        break;
      default:
        header_->consumer.sleep.store(input->Take<uint8_t>() % 5, kRelaxed);
        header_->producer.sleep.store(input->Take<uint8_t>() % 5, kRelaxed);
        break;
    }
  }

 private:
  size_t bytes_;
  void* mapped_;
  ControlHeader* header_;
  Entry* entry_;
  uint32_t entries_;
};

}  // namespace mlos::channel
