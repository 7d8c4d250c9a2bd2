// SPDX-License-Identifier: Apache-2.0
//
// A consumer at work on a control segment that a hostile producer writes to
// between any two of its calls.
#include <fcntl.h>

#include <map>

#include "base/clock.h"
#include "channel/consumer.h"
#include "channel/fuzz_util.h"
#include "channel/producer.h"

namespace mlos::channel {
namespace {

constexpr uint32_t kEntries = 64;

class Session {
 public:
  Session() {
    Options options;
    options.entries = kEntries;
    options.request_bytes = options.response_bytes = 64 << 10;
    options.prefault_bytes = 0;
    producer_ = std::move(Producer::Create(options)).value();
    Require(producer_->BeginEpoch().ok());
    Require(producer_->BeginEpoch().ok());  // so that there is an earlier one to replay
    ConsumerGrant grant = std::move(producer_->Grant()).value();
    peer_ = std::make_unique<HostilePeer>(grant.control.get(), kEntries);
    consumer_ = std::move(Consumer::Attach(std::move(grant))).value();
  }

  void Step(FuzzInput* input) {
    switch (input->Take<uint8_t>() % 12) {
      case 0:
        return Claimed(false);
      case 1:
        return Claimed(true);
      case 2:
        return consumer_->Rescan();
      case 3:
        return Allocate(input);
      case 4:
        return Finish(input);
      case 5:
        if (consumer_->PrepareSleep(input->Take<uint8_t>() % 2 == 0 ? Sleep::kFutex
                                                                    : Sleep::kEventFd)) {
          consumer_->FutexSleep(0);
        }
        return consumer_->FinishSleep();
      case 6: {
        static_cast<void>(consumer_->IsCancelled(input->Take<uint32_t>()));
        const BlockRef block{input->Take<uint8_t>(), 0, input->Take<uint64_t>(),
                             input->Take<uint64_t>()};
        auto memory = consumer_->RequestMemory(block);
        if (memory.ok()) sum_ += TouchAll(*memory);
        return;
      }
      case 7:
        return Submit(input);
      default:
        return peer_->Scribble(input);
    }
  }

 private:
  void Claimed(bool replay) {
    Claim claim;
    if (!(replay ? consumer_->NextReplay(&claim) : consumer_->Next(&claim))) return;
    Require(claim.entry < kEntries);
    Require(working_.emplace(claim.entry, claim).second);  // never twice at a time
    auto memory = consumer_->RequestMemory(claim.request);
    if (memory.ok()) sum_ += TouchAll(*memory);
  }

  void Allocate(FuzzInput* input) {
    if (working_.empty()) return;
    auto block = consumer_->AllocateResponse(working_.begin()->first, input->Take<uint8_t>(),
                                             input->Take<uint32_t>() % (80 << 10));
    if (!block.ok()) return;
    block->memory.front() = std::byte{1};
    block->memory.back() = std::byte{1};
  }

  void Finish(FuzzInput* input) {
    if (working_.empty()) return;
    auto it = working_.lower_bound(input->Take<uint8_t>() % kEntries);
    if (it == working_.end()) it = working_.begin();
    static_cast<void>(consumer_->Complete(it->second, it->second.request, {}));
    Require(!consumer_->Complete(it->second, {}, {}));
    working_.erase(it);
  }

  // As an honest producer, so that the scribbling starts from something.
  void Submit(FuzzInput* input) {
    RequestSlot slot;
    if (producer_->Begin(0, input->Take<uint16_t>(), &slot) != BeginResult::kOk) return;
    producer_->Submit(slot, {});
  }

  std::unique_ptr<Producer> producer_;
  std::unique_ptr<HostilePeer> peer_;
  std::unique_ptr<Consumer> consumer_;
  std::map<uint32_t, Claim> working_;
  uint64_t sum_ = 0;
};

}  // namespace
}  // namespace mlos::channel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mlos::channel::FuzzInput input(data, size);
  mlos::channel::Session session;
  while (!input.empty()) session.Step(&input);
  return 0;
}
