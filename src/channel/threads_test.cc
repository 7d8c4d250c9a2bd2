// SPDX-License-Identifier: Apache-2.0
//
// Several host threads answer at once while memory is short, and requests are
// taken back while they are being claimed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include "base/clock.h"
#include "channel/test_util.h"

namespace mlos::channel {
namespace {

// A host: one thread claims, three work.
class Host {
 public:
  explicit Host(Consumer& consumer) : consumer_(consumer) {
    threads_.emplace_back([this] { Claiming(); });
    for (int i = 0; i < 3; ++i) threads_.emplace_back([this] { Working(); });
  }

  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  uint64_t exhausted() const { return exhausted_; }
  uint64_t claimed() const { return claimed_; }

 private:
  void Claiming() {
    while (!stop_) {
      Claim claim;
      if (!consumer_.Next(&claim)) {
        std::this_thread::yield();
        continue;
      }
      ++claimed_;
      const std::lock_guard<std::mutex> lock(mutex_);
      queue_.push_back(claim);
    }
  }

  void Working() {
    for (;;) {
      Claim claim;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!queue_.empty()) {
          claim = queue_.front();
          queue_.pop_front();
        } else if (stop_) {
          return;
        }
      }
      if (claim.sequence == 0) {
        std::this_thread::yield();
      } else {
        Run(claim);
      }
    }
  }

  // Answers with the question, as often as it fits, in two pieces.
  void Run(const Claim& claim) {
    auto request = consumer_.RequestMemory(claim.request);
    ASSERT_TRUE(request.ok());
    uint64_t question = 0;
    std::memcpy(&question, request->data(), sizeof(question));
    const uint64_t bytes = 8 + question * 7919 % 60'000 / 8 * 8;
    StatusOr<ResponseBlock> block = Unavailable("");
    for (uint32_t piece = 0; piece < 2; ++piece) {
      for (;;) {
        block = consumer_.AllocateResponse(claim.entry, piece, bytes);
        if (block.ok()) break;
        // Others hold the memory for a moment.
        ++exhausted_;
        std::this_thread::yield();
      }
      for (uint64_t i = 0; i < bytes; i += 8) {
        std::memcpy(block->memory.data() + i, &question, sizeof(question));
      }
    }
    BlockRef answer = block->block;
    answer.length = bytes;
    ASSERT_TRUE(consumer_.Complete(claim, answer, {}));
  }

  Consumer& consumer_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> exhausted_ = 0;
  std::atomic<uint64_t> claimed_ = 0;
  std::mutex mutex_;
  std::deque<Claim> queue_;
  std::vector<std::thread> threads_;
};

// The producer would use the same few entries over and over.
void ShuffleFreeEntries(Producer& producer, std::mt19937_64& random) {
  std::vector<RequestSlot> slots(40);
  for (RequestSlot& slot : slots) ASSERT_EQ(producer.Begin(0, 8, &slot), BeginResult::kOk);
  std::shuffle(slots.begin(), slots.end(), random);
  for (const RequestSlot& slot : slots) producer.Abandon(slot);
}

TEST(ThreadsTest, AnswersAreWholeWhenMemoryIsShort) {
  Options options;
  options.entries = 64;
  options.response_bytes = 1 << 20;
  Pair pair(options);
  Host host(*pair.consumer);
  std::mt19937_64 random(3);
  std::deque<uint32_t> held;
  uint64_t asked = 0, collected = 0;
  constexpr uint64_t kRequests = 20'000;
  const uint64_t deadline = NowNanos() + 120 * kNanosPerSecond;
  while (collected < kRequests && NowNanos() < deadline) {
    if (random() % 16 == 0) ShuffleFreeEntries(*pair.producer, random);
    // At most six hold memory (claimed, answered or not yet released): enough is
    // there for them, if what is idle is taken back.
    while (asked < kRequests && pair.producer->in_flight() < 6) {
      RequestSlot slot;
      ASSERT_EQ(pair.producer->Begin(0, 8, &slot), BeginResult::kOk);
      ++asked;
      std::memcpy(slot.memory.data(), &asked, sizeof(asked));
      Submission submission;
      submission.user_data = asked;
      pair.producer->Submit(slot, submission);
    }
    pair.producer->Poll([&](const Completion& completion) {
      auto bytes = pair.producer->ResponseMemory(completion.entry, completion.response);
      ASSERT_TRUE(bytes.ok());
      for (size_t i = 0; i < bytes->size(); i += 8) {
        uint64_t value = 0;
        std::memcpy(&value, bytes->data() + i, sizeof(value));
        ASSERT_EQ(value, completion.user_data);
      }
      ++collected;
      held.push_back(completion.entry);
    });
    if (::testing::Test::HasFatalFailure()) break;
    // Released late, and not in order.
    while (held.size() > random() % 4) {
      std::swap(held.front(), held[random() % held.size()]);
      pair.producer->Release(held.front());
      held.pop_front();
    }
    if (asked == kRequests || pair.producer->in_flight() == 6) std::this_thread::yield();
  }
  host.Stop();
  EXPECT_EQ(collected, kRequests);
  RecordProperty("exhausted", std::to_string(host.exhausted()));
}

TEST(ThreadsTest, ARequestIsEitherTakenBackOrAnswered) {
  Options options;
  options.entries = 64;
  Pair pair(options);
  Host host(*pair.consumer);
  std::mt19937_64 random(4);
  std::vector<uint32_t> waiting;
  uint64_t asked = 0, answered = 0, taken_back = 0;
  const auto done = [&](const Completion& completion) {
    ++answered;
    EXPECT_EQ(std::erase(waiting, completion.entry), 1u);
    pair.producer->Release(completion.entry);
  };
  const uint64_t deadline = NowNanos() + 60 * kNanosPerSecond;
  while (asked < 50'000 && NowNanos() < deadline) {
    if (waiting.size() < 8) {
      RequestSlot slot;
      ASSERT_EQ(pair.producer->Begin(0, 8, &slot), BeginResult::kOk);
      ++asked;
      std::memcpy(slot.memory.data(), &asked, sizeof(asked));
      pair.producer->Submit(slot, {});
      waiting.push_back(slot.entry);
    }
    for (uint64_t i = random() % 200; i > 0; --i) asm volatile("" ::: "memory");
    if (random() % 2 == 0 && !waiting.empty()) {
      const size_t chosen = random() % waiting.size();
      if (pair.producer->Cancel(waiting[chosen])) {
        ++taken_back;
        waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(chosen));
      }
    }
    pair.producer->Poll(done);
    if (waiting.size() == 8) std::this_thread::yield();
  }
  while (!waiting.empty() && NowNanos() < deadline) pair.producer->Poll(done);
  host.Stop();
  EXPECT_TRUE(waiting.empty());
  EXPECT_EQ(answered + taken_back, asked);
  EXPECT_EQ(host.claimed(), answered);
  EXPECT_GT(answered, 0u);
  EXPECT_GT(taken_back, 0u);
  EXPECT_EQ(pair.producer->in_flight(), 0u);
}

}  // namespace
}  // namespace mlos::channel
