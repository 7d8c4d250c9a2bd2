// SPDX-License-Identifier: Apache-2.0
//
// A producer at work on a control segment that a hostile host writes to between
// any two of its calls.  What it tells its owner is checked against what the
// owner knows.
#include <map>
#include <set>

#include "channel/fuzz_util.h"
#include "channel/producer.h"

namespace mlos::channel {
namespace {

constexpr uint32_t kEntries = 64;
constexpr int kMostEpochs = 6;

class Session {
 public:
  Session() {
    Options options;
    options.entries = kEntries;
    options.request_bytes = options.response_bytes = 64 << 10;
    options.prefault_bytes = 0;
    options.max_bytes = 4 << 20;
    options.first_sequence = UINT32_MAX - 3;
    producer_ = std::move(Producer::Create(options)).value();
    Require(producer_->BeginEpoch().ok());
    const ConsumerGrant grant = std::move(producer_->Grant()).value();
    peer_ = std::make_unique<HostilePeer>(grant.control.get(), kEntries);
  }

  void Step(FuzzInput* input) {
    switch (input->Take<uint8_t>() % 16) {
      case 0:
      case 1:
        Ask(input);
        break;
      case 2:
        producer_->Poll([this](const Completion& c) { Done(c); });
        break;
      case 3:
        Cancel(input);
        break;
      case 4:
        Release(input);
        break;
      case 5:
        if (const uint8_t how = input->Take<uint8_t>() % 4; how == 3) {
          producer_->FailPending([this](const Completion& c) { Done(c); });
        } else {
          producer_->Judge(
              {static_cast<Death>(how), uint64_t{1} << input->Take<uint8_t>() % 64},
              [this](uint32_t entry) { Require(!producer_->RequestOf(entry).memory.empty()); },
              [this](const Completion& c) { Done(c); });
        }
        break;
      case 6:
        if (++epochs_ < kMostEpochs) Require(producer_->BeginEpoch().ok());
        break;
      case 7:
        if (producer_->PrepareSleep(input->Take<uint8_t>() % 2 == 0 ? Sleep::kFutex
                                                                    : Sleep::kEventFd)) {
          producer_->FutexSleep(0);
        }
        producer_->FinishSleep();
        break;
      case 8:
        Grow(input);
        break;
      default:
        peer_->Scribble(input);
        break;
    }
    Check();
  }

  // All gone, nothing is left over.
  void Finish() {
    producer_->FailPending([this](const Completion& c) { Done(c); });
    producer_->Poll([this](const Completion& c) { Done(c); });
    Require(waiting_.empty());
    for (const uint32_t entry : held_) producer_->Release(entry);
    Require(producer_->in_flight() == 0);
    RequestSlot slot;
    for (uint32_t i = 0; i < kEntries / 4 * 3; ++i) {
      const BeginResult result = producer_->Begin(7, 1, &slot);
      Require(result == BeginResult::kOk || result == BeginResult::kNoSpace);
    }
  }

 private:
  void Check() {
    Require(producer_->in_flight() == waiting_.size() + held_.size());
    size_t pending = 0;
    producer_->ForEachPending([&](uint32_t entry, uint64_t user_data, uint64_t) {
      auto it = waiting_.find(entry);
      Require(it != waiting_.end() && it->second == user_data);
      ++pending;
    });
    Require(pending == waiting_.size());
  }

  void Ask(FuzzInput* input) {
    RequestSlot slot;
    const uint64_t bytes = input->Take<uint16_t>();
    if (producer_->Begin(input->Take<uint8_t>() % 3, bytes, &slot) != BeginResult::kOk) return;
    Require(slot.memory.size() >= bytes && !slot.memory.empty());
    slot.memory.front() = slot.memory.back() = std::byte{1};
    Submission submission;
    submission.flags = input->Take<uint8_t>() % 2;
    submission.user_data = ++asked_;
    Require(waiting_.emplace(slot.entry, asked_).second);
    producer_->Submit(slot, submission);
  }

  void Done(const Completion& completion) {
    auto it = waiting_.find(completion.entry);
    Require(it != waiting_.end() && it->second == completion.user_data);
    waiting_.erase(it);
    Require(held_.insert(completion.entry).second);
    auto memory = producer_->ResponseMemory(completion.entry, completion.response);
    if (memory.ok()) sum_ += TouchAll(*memory);
  }

  void Cancel(FuzzInput* input) {
    const uint32_t entry = input->Take<uint8_t>() % kEntries;
    if (producer_->Cancel(entry)) Require(waiting_.erase(entry) == 1);
  }

  void Release(FuzzInput* input) {
    auto it = held_.lower_bound(input->Take<uint8_t>() % kEntries);
    if (it == held_.end()) return;
    const BlockRef block{input->Take<uint8_t>(), 0, input->Take<uint64_t>(),
                         input->Take<uint64_t>()};
    auto memory = producer_->ResponseMemory(*it, block);
    if (memory.ok()) sum_ += TouchAll(*memory);
    producer_->Release(*it);
    held_.erase(it);
  }

  void Grow(FuzzInput* input) {
    auto grant = input->Take<uint8_t>() % 2 == 0
                     ? producer_->AddRequestSegment(input->Take<uint32_t>())
                     : producer_->AddResponseSegment(input->Take<uint32_t>());
    if (grant.ok()) producer_->ActivateRequestSegment(grant->id);
  }

  std::unique_ptr<Producer> producer_;
  std::unique_ptr<HostilePeer> peer_;
  std::map<uint32_t, uint64_t> waiting_;
  std::set<uint32_t> held_;
  uint64_t asked_ = 0;
  uint64_t sum_ = 0;
  int epochs_ = 0;
};

}  // namespace
}  // namespace mlos::channel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mlos::channel::FuzzInput input(data, size);
  mlos::channel::Session session;
  while (!input.empty()) session.Step(&input);
  session.Finish();
  return 0;
}
