// SPDX-License-Identifier: Apache-2.0
//
// A consumer in a process of its own, killed at random moments again and
// again: every request is answered, rightly and once.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <random>
#include <unordered_map>

#include "base/clock.h"
#include "channel/test_util.h"

namespace mlos::channel {
namespace {

uint64_t Expected(uint64_t question) { return question * 0x9e3779b97f4a7c15 + 1; }

// What the child does until it is killed.  It leaves by _exit only, for the
// parent's tests must not go on in it.
[[noreturn]] void Serve(Producer& parents) {
  auto attached = Consumer::Attach(std::move(parents.Grant()).value());
  if (!attached.ok()) _exit(3);
  Consumer& consumer = **attached;
  std::deque<Claim> claimed;
  bool replaying = true;
  for (;;) {
    // Replays one at a time, with nothing else claimed; then in batches, so
    // that a kill finds several claimed entries.
    Claim claim;
    if (replaying) {
      replaying = consumer.NextReplay(&claim);
      if (replaying) claimed.push_back(claim);
    }
    while (!replaying && claimed.size() < 4 && consumer.Next(&claim)) claimed.push_back(claim);
    if (claimed.empty()) {
      if (consumer.PrepareSleep(Sleep::kFutex)) consumer.FutexSleep(NowNanos() + kNanosPerSecond);
      consumer.FinishSleep();
      continue;
    }
    claim = claimed.front();
    claimed.pop_front();
    auto request = consumer.RequestMemory(claim.request);
    if (!request.ok()) _exit(4);
    uint64_t question = 0;
    std::memcpy(&question, request->data(), sizeof(question));
    auto block = consumer.AllocateResponse(claim.entry, 0, 64 + question % 4096);
    if (!block.ok()) _exit(5);
    const uint64_t answer[2] = {Expected(question), claim.attempts};
    std::memcpy(block->memory.data(), answer, sizeof(answer));
    if (!consumer.Complete(claim, block->block, {claim.claimed_ns, NowNanos(), NowNanos()})) {
      _exit(6);
    }
  }
}

class KillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.entries = 64;
    producer_ = std::move(Producer::Create(options)).value();
    Start();
  }

  void TearDown() override {
    if (child_ > 0) Kill();
  }

  void Start() {
    ASSERT_TRUE(producer_->BeginEpoch().ok());
    child_ = fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) Serve(*producer_);
  }

  // True if the child was still working properly.
  bool Kill() {
    if (child_ <= 0) return false;  // kill(-1) would be for everybody
    kill(child_, SIGKILL);
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

  void Ask() {
    RequestSlot slot;
    while (waiting_.size() < 40 && producer_->Begin(0, 64, &slot) == BeginResult::kOk) {
      const uint64_t question = next_++;
      std::memcpy(slot.memory.data(), &question, sizeof(question));
      Submission submission;
      submission.user_data = question;
      waiting_.emplace(question, 0);
      producer_->Submit(slot, submission);
    }
  }

  void Collect() {
    producer_->Poll([this](const Completion& completion) {
      EXPECT_EQ(waiting_.erase(completion.user_data), 1u) << completion.user_data;
      auto bytes = producer_->ResponseMemory(completion.entry, completion.response);
      uint64_t answer[2] = {};
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      ASSERT_GE(bytes->size(), sizeof(answer));
      std::memcpy(answer, bytes->data(), sizeof(answer));
      EXPECT_EQ(answer[0], Expected(completion.user_data));
      ++answered_;
      if (answer[1] > 1) ++replayed_;
      producer_->Release(completion.entry);
    });
  }

  std::unique_ptr<Producer> producer_;
  pid_t child_ = -1;
  uint64_t next_ = 1;
  uint64_t answered_ = 0;
  uint64_t replayed_ = 0;
  std::unordered_map<uint64_t, int> waiting_;
};

TEST_F(KillTest, EveryRequestIsAnsweredOnceWhateverDies) {
  constexpr int kKills = 400;
  std::mt19937_64 random(7);
  const uint64_t deadline = NowNanos() + 200 * kNanosPerSecond;
  int kills = 0;
  // On a machine that has other work a child is seldom in the midst of a request when it dies.
  while ((kills < kKills || (replayed_ == 0 && kills < 20 * kKills)) && NowNanos() < deadline) {
    // Sometimes before the child has attached, mostly in the midst of its work.
    const uint64_t enough = answered_ + random() % 100;
    const uint64_t until = NowNanos() + (random() % 4 == 0 ? 1 : 500) * kNanosPerMilli;
    do {
      Ask();
      Collect();
      if (HasFatalFailure()) return;
    } while (answered_ < enough && NowNanos() < until);
    ASSERT_TRUE(Kill()) << "the consumer ended by itself";
    ++kills;
    Start();
    if (HasFatalFailure()) return;
    if (kills % 16 == 0) {  // as a caller must: nothing more comes by itself
      EXPECT_LE(producer_->segment_bytes(), uint64_t{64} << 20);
    }
  }
  EXPECT_GE(kills, kKills);
  while (!waiting_.empty() && NowNanos() < deadline) {
    Collect();
    if (!producer_->PrepareSleep(Sleep::kFutex)) continue;
    producer_->FutexSleep(NowNanos() + kNanosPerSecond);
    producer_->FinishSleep();
  }
  EXPECT_TRUE(waiting_.empty()) << waiting_.size() << " never answered";
  EXPECT_EQ(answered_, next_ - 1);
  EXPECT_GT(answered_, static_cast<uint64_t>(kKills)) << "the children did next to nothing";
  EXPECT_GT(replayed_, 0u) << "no kill has hit a claimed entry";
  EXPECT_EQ(producer_->in_flight(), 0u);
  RecordProperty("answered", std::to_string(answered_));
  RecordProperty("replayed", std::to_string(replayed_));
}

TEST_F(KillTest, TheProducerIsToldOfWhatWasLostForGood) {
  Ask();
  ASSERT_TRUE(Kill());
  size_t lost = producer_->FailPending([this](const Completion& completion) {
    EXPECT_TRUE(completion.lost);
    EXPECT_EQ(waiting_.erase(completion.user_data), 1u);
    producer_->Release(completion.entry);
  });
  Collect();
  EXPECT_TRUE(waiting_.empty());
  EXPECT_EQ(lost + answered_, 40u);
  EXPECT_EQ(producer_->in_flight(), 0u);
}

}  // namespace
}  // namespace mlos::channel
