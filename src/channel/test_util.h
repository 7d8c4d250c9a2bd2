// SPDX-License-Identifier: Apache-2.0
//
// A producer and a consumer joined in one process, for tests.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "channel/consumer.h"
#include "channel/producer.h"

namespace mlos::channel {

inline std::string TextOf(std::span<const std::byte> bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}

struct Pair {
  explicit Pair(const Options& options = {})
      : producer(std::move(Producer::Create(options)).value()) {
    NewConsumer();
  }

  void NewConsumer() {
    if (!producer->BeginEpoch().ok()) std::abort();
    consumer = std::move(Consumer::Attach(std::move(producer->Grant()).value())).value();
  }

  uint32_t Send(std::string_view text, uint64_t user_data = 0, uint32_t flags = 0,
                uint64_t deadline_ns = 5) {
    RequestSlot slot;
    if (producer->Begin(0, text.size() + 1, &slot) != BeginResult::kOk) std::abort();
    std::memcpy(slot.memory.data(), text.data(), text.size());
    slot.memory[text.size()] = std::byte{0};
    producer->Submit(slot, {3, 4, deadline_ns, flags, user_data});
    return slot.entry;
  }

  bool Answer(const Claim& claim, std::string_view text) {
    auto block = consumer->AllocateResponse(claim.entry, 0, text.size() + 1);
    if (!block.ok()) return false;
    std::memcpy(block->memory.data(), text.data(), text.size());
    block->memory[text.size()] = std::byte{0};
    return consumer->Complete(claim, block->block, {claim.claimed_ns, 1, 2});
  }

  std::vector<Completion> Collect() {
    std::vector<Completion> all;
    producer->Poll([&](const Completion& c) { all.push_back(c); });
    return all;
  }

  size_t CollectAndRelease() {
    return producer->Poll([this](const Completion& c) { producer->Release(c.entry); });
  }

  std::string TextOfAnswer(const Completion& completion) {
    auto bytes = producer->ResponseMemory(completion.entry, completion.response);
    return bytes.ok() ? TextOf(*bytes) : "not readable";
  }

  std::unique_ptr<Producer> producer;
  std::unique_ptr<Consumer> consumer;
};

}  // namespace mlos::channel
