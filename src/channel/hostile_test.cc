// SPDX-License-Identifier: Apache-2.0
//
// A process scribbles over the control segment as fast as it can, with values
// chosen to be almost right, while the other end works: no crash, no hang, and
// every promise that does not need the peer is kept.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>
#include <set>

#include "base/clock.h"
#include "channel/entry.h"
#include "channel/test_util.h"

namespace mlos::channel {
namespace {

// How long to go on at least, and at most if too little has happened by then.
constexpr uint64_t kDuration = 1'500 * kNanosPerMilli;
constexpr uint64_t kPatience = 60 * kNanosPerSecond;

// A number that passes some check and fails the next.
uint64_t Nasty(std::mt19937_64& random, uint64_t likely) {
  switch (random() % 8) {
    case 0:
      return random();
    case 1:
      return UINT64_MAX - random() % 4096;
    case 2:
      return uint64_t{1} << (random() % 64);
    case 3:
      return 0;
    default:
      return likely > 0 ? random() % likely : 0;
  }
}

// `submission` remembers the sequence that the entry was submitted with last.
void ScribbleEntry(Entry& entry, uint32_t* submission, std::mt19937_64& random) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  EntryWord word = EntryWord::Unpack(entry.word.load(kRelaxed));
  if (word.state == EntryState::kSubmitted && word.epoch == 0) *submission = word.sequence;
  // Any state with the right sequence, with a wrong one, or plain noise.
  word.sequence = *submission;
  word.state = static_cast<EntryState>(random() % 8);
  word.epoch = static_cast<uint32_t>(random() % 4);
  if (random() % 4 == 0) word.sequence += static_cast<uint32_t>(random() % 3) - 1;
  switch (random() % 10) {
    case 0:
      entry.word.store(random(), kRelaxed);
      break;
    case 1:
    case 2:
    case 3:
    case 4:
      entry.word.store(word.Pack(), kRelaxed);
      break;
    case 5:
      entry.response_segment.store(static_cast<uint32_t>(Nasty(random, 6)), kRelaxed);
      entry.response_offset.store(Nasty(random, 2 << 20), kRelaxed);
      entry.response_length.store(Nasty(random, 2 << 20), kRelaxed);
      break;
    case 6:
      entry.request_segment.store(static_cast<uint32_t>(Nasty(random, 6)), kRelaxed);
      entry.request_offset.store(Nasty(random, 2 << 20), kRelaxed);
      entry.request_length.store(Nasty(random, 2 << 20), kRelaxed);
      break;
    case 7:
      entry.model.store(static_cast<uint32_t>(random()), kRelaxed);
      entry.principal.store(static_cast<uint32_t>(random()), kRelaxed);
      entry.flags.store(static_cast<uint32_t>(random()), kRelaxed);
      break;
    case 8:
      entry.cancel.store(static_cast<uint32_t>(random()), kRelaxed);
      entry.attempts.store(static_cast<uint32_t>(random()), kRelaxed);
      break;
    default:
      entry.deadline_ns.store(random(), kRelaxed);
      break;
  }
}

[[noreturn]] void Scribble(int control, uint32_t entries) {
  void* mapped = mmap(nullptr, RoundToPages(ControlBytes(entries)), PROT_READ | PROT_WRITE,
                      MAP_SHARED, control, 0);
  if (mapped == MAP_FAILED) _exit(1);
  auto* header = static_cast<ControlHeader*>(mapped);
  auto* entry = reinterpret_cast<Entry*>(static_cast<char*>(mapped) + sizeof(ControlHeader));
  std::mt19937_64 random(99);
  std::vector<uint32_t> submissions(entries);
  for (;;) {
    const uint64_t chosen = random() % entries;
    ScribbleEntry(entry[chosen], &submissions[chosen], random);
    const uint32_t w = static_cast<uint32_t>(random() % kHintWords);
    switch (random() % 16) {
      case 0:
        header->submitted[w].store(random(), std::memory_order_relaxed);
        break;
      case 1:
        header->completed[w].store(random(), std::memory_order_relaxed);
        break;
      case 2:
        header->completed[w].store(UINT64_MAX, std::memory_order_relaxed);
        header->submitted[w].store(UINT64_MAX, std::memory_order_relaxed);
        break;
      case 3:
        header->consumer.sleep.store(static_cast<uint32_t>(random() % 5));
        header->producer.sleep.store(static_cast<uint32_t>(random() % 5));
        break;
      case 4:
        header->magic = random();
        header->entries = static_cast<uint32_t>(random());
        header->epoch.store(static_cast<uint32_t>(random()));
        break;
      default:
        break;
    }
  }
}

class Scribbler {
 public:
  Scribbler(Producer& producer, uint32_t entries) {
    ConsumerGrant grant = std::move(producer.Grant()).value();
    child_ = fork();
    if (child_ == 0) Scribble(grant.control.get(), entries);
  }
  ~Scribbler() { Stop(); }
  void Stop() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    int status = 0;
    waitpid(child_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    child_ = -1;
  }

 private:
  pid_t child_ = -1;
};

uint64_t Touch(std::span<const std::byte> bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 4096) sum += static_cast<uint64_t>(bytes[i]);
  if (!bytes.empty()) sum += static_cast<uint64_t>(bytes.back());
  return sum;
}

// An owner that does everything an owner can, in any order, and checks what it
// is told against what it knows.
class Owner {
 public:
  explicit Owner(Producer& producer) : producer_(producer) {}

  void Step() {
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        Ask();
        break;
      case 3:
        producer_.Poll([this](const Completion& c) { Done(c); });
        break;
      case 4:
        CancelOne();
        break;
      case 5:
        ReleaseOne();
        break;
      case 6:
        if (producer_.PrepareSleep(Sleep::kFutex)) producer_.FutexSleep(NowNanos());
        producer_.FinishSleep();
        break;
      default:
        if (random_() % 512 == 0) Restart();
        break;
    }
    ASSERT_EQ(producer_.in_flight(), waiting_.size() + held_.size());
    ASSERT_LE(producer_.in_flight(), 48u);
    ASSERT_LE(producer_.segment_bytes(), uint64_t{80} << 20);
  }

  // The consumer is gone; all is answered in the end.
  void Finish() {
    producer_.FailPending([this](const Completion& c) { Done(c); });
    producer_.Poll([this](const Completion& c) { Done(c); });
    EXPECT_TRUE(waiting_.empty());
    while (!held_.empty()) ReleaseOne();
    EXPECT_EQ(producer_.in_flight(), 0u);
  }

  uint64_t answered() const { return answered_; }

 private:
  void Ask() {
    RequestSlot slot;
    const BeginResult result = producer_.Begin(0, 1 + random_() % 5000, &slot);
    if (result != BeginResult::kOk) return;
    slot.memory[0] = std::byte{1};
    slot.memory.back() = std::byte{2};
    if (random_() % 16 == 0) return producer_.Abandon(slot);
    Submission submission;
    submission.user_data = ++asked_;
    submission.flags = random_() % 4 == 0 ? kReplayNever : 0;
    ASSERT_TRUE(waiting_.emplace(slot.entry, asked_).second);
    producer_.Submit(slot, submission);
  }

  void Done(const Completion& completion) {
    auto it = waiting_.find(completion.entry);
    ASSERT_NE(it, waiting_.end()) << "an entry that nothing waits for";
    ASSERT_EQ(it->second, completion.user_data);
    waiting_.erase(it);
    ASSERT_TRUE(held_.insert(completion.entry).second);
    ++answered_;
    auto bytes = producer_.ResponseMemory(completion.entry, completion.response);
    if (bytes.ok()) {
      sum_ += Touch(*bytes);
    }
  }

  void CancelOne() {
    if (waiting_.empty()) return;
    auto it = waiting_.lower_bound(static_cast<uint32_t>(random_() % 64));
    if (it == waiting_.end()) it = waiting_.begin();
    if (producer_.Cancel(it->first)) waiting_.erase(it);
  }

  void ReleaseOne() {
    if (held_.empty()) return;
    producer_.Release(*held_.begin());
    held_.erase(held_.begin());
  }

  void Restart() {
    producer_.Judge(
        {Death::kOfItsOwn}, [](uint32_t) {}, [this](const Completion& c) { Done(c); });
    ASSERT_TRUE(producer_.BeginEpoch().ok());
  }

  Producer& producer_;
  std::mt19937_64 random_{5};
  uint64_t asked_ = 0;
  uint64_t answered_ = 0;
  uint64_t sum_ = 0;
  std::map<uint32_t, uint64_t> waiting_;
  std::set<uint32_t> held_;
};

TEST(HostileConsumerTest, ProducerKeepsItsPromises) {
  Options options;
  options.entries = 64;
  auto producer = std::move(Producer::Create(options)).value();
  ASSERT_TRUE(producer->BeginEpoch().ok());
  Scribbler scribbler(*producer, options.entries);
  Owner owner(*producer);
  const uint64_t start = NowNanos();
  uint64_t steps = 0;
  while (NowNanos() - start < (owner.answered() > 100 ? kDuration : kPatience) &&
         !::testing::Test::HasFatalFailure()) {
    owner.Step();
    ++steps;
  }
  scribbler.Stop();
  EXPECT_GT(owner.answered(), 100u) << "after " << steps << " steps";
  owner.Finish();
  // With an honest consumer all is well again.
  ASSERT_TRUE(producer->BeginEpoch().ok());
  auto consumer = Consumer::Attach(std::move(producer->Grant()).value());
  ASSERT_TRUE(consumer.ok()) << consumer.status();
  Claim claim;
  EXPECT_FALSE((*consumer)->Next(&claim)) << "a request that nobody made";
  EXPECT_FALSE((*consumer)->NextReplay(&claim)) << "a request that nobody made";
  RequestSlot slot;
  ASSERT_EQ(producer->Begin(0, 10, &slot), BeginResult::kOk);
  producer->Submit(slot, {});
  ASSERT_TRUE((*consumer)->Next(&claim));
  ASSERT_TRUE((*consumer)->Complete(claim, {}, {}));
  EXPECT_EQ(producer->Poll([](const Completion&) {}), 1u);
}

TEST(HostileProducerTest, ConsumerKeepsItsPromises) {
  Options options;
  options.entries = 64;
  Pair pair(options);
  Consumer& consumer = *pair.consumer;
  Scribbler scribbler(*pair.producer, options.entries);
  std::mt19937_64 random(17);
  std::map<uint32_t, Claim> working;
  uint64_t sum = 0, claims = 0, refused = 0;
  const uint64_t start = NowNanos();
  while (NowNanos() - start < (claims > 500 && refused > 0 ? kDuration : kPatience)) {
    Claim claim;
    if (random() % 256 == 0) consumer.Rescan();
    const bool got = random() % 4 == 0 ? consumer.NextReplay(&claim) : consumer.Next(&claim);
    if (got) {
      ++claims;
      ASSERT_LT(claim.entry, options.entries);
      ASSERT_TRUE(working.emplace(claim.entry, claim).second) << "claimed twice at a time";
      auto request = consumer.RequestMemory(claim.request);
      if (request.ok()) {
        sum += Touch(*request);
      } else {
        ++refused;
      }
      static_cast<void>(consumer.IsCancelled(claim.entry));
    }
    if (working.size() > 8 || (!working.empty() && random() % 2 == 0)) {
      const Claim done = working.begin()->second;
      for (uint32_t piece = 0; piece < 2; ++piece) {
        auto block = consumer.AllocateResponse(done.entry, piece, random() % 200'000);
        if (!block.ok()) continue;
        block->memory.front() = std::byte{1};
        block->memory.back() = std::byte{2};
      }
      static_cast<void>(consumer.Complete(done, {}, {}));
      working.erase(working.begin());
    }
    if (random() % 64 == 0) {
      if (consumer.PrepareSleep(Sleep::kFutex)) consumer.FutexSleep(NowNanos());
      consumer.FinishSleep();
    }
  }
  EXPECT_GT(claims, 500u);
  EXPECT_GT(refused, 0u);
  EXPECT_NE(sum, UINT64_MAX);
}

// One lie at a time, with what must follow.
class LyingConsumerTest : public ::testing::Test {
 protected:
  LyingConsumerTest() : grant_(std::move(pair_.producer->Grant()).value()) {
    mapped_ = mmap(nullptr, ControlBytes(1024), PROT_READ | PROT_WRITE, MAP_SHARED,
                   grant_.control.get(), 0);
    header_ = static_cast<ControlHeader*>(mapped_);
    entries_ = reinterpret_cast<Entry*>(static_cast<char*>(mapped_) + sizeof(ControlHeader));
  }
  ~LyingConsumerTest() override { munmap(mapped_, ControlBytes(1024)); }

  Pair pair_;
  ConsumerGrant grant_;
  void* mapped_;
  ControlHeader* header_;
  Entry* entries_;
};

TEST_F(LyingConsumerTest, AnAnswerToAnOldSubmissionDoesNotCount) {
  const uint32_t entry = pair_.Send("x");
  const uint32_t sequence = EntryWord::Unpack(entries_[entry].word).sequence;
  for (uint32_t wrong : {sequence - 1, sequence + 1, 0u}) {
    entries_[entry].word = DoneWord(wrong, 1);
    header_->completed[0] = UINT64_MAX;
    EXPECT_TRUE(pair_.Collect().empty());
    EXPECT_TRUE(pair_.producer->PrepareSleep(Sleep::kFutex));
    EXPECT_EQ(pair_.producer->in_flight(), 1u);
  }
  entries_[entry].word = DoneWord(sequence, 1);
  EXPECT_FALSE(pair_.producer->HasCompletions());
  EXPECT_FALSE(pair_.producer->Cancel(entry));  // looks, and finds it
  EXPECT_EQ(pair_.Collect().size(), 1u);
}

TEST_F(LyingConsumerTest, AnAnswerCountsOnceHoweverOftenItIsAnnounced) {
  const uint32_t entry = pair_.Send("x");
  const uint32_t sequence = EntryWord::Unpack(entries_[entry].word).sequence;
  for (int i = 0; i < 3; ++i) {
    entries_[entry].word = DoneWord(sequence, 1);
    header_->completed[0] = UINT64_MAX;
    EXPECT_EQ(pair_.Collect().size(), i == 0 ? 1u : 0u);
  }
  pair_.producer->Release(entry);
  entries_[entry].word = DoneWord(sequence, 1);
  header_->completed[0] = UINT64_MAX;
  EXPECT_TRUE(pair_.Collect().empty());
  EXPECT_EQ(pair_.producer->in_flight(), 0u);
}

TEST_F(LyingConsumerTest, AnAnswerFromAnEpochThatNeverWasHasNoMemory) {
  const uint32_t entry = pair_.Send("x");
  const uint32_t sequence = EntryWord::Unpack(entries_[entry].word).sequence;
  entries_[entry].response_segment = grant_.responses[0].id;
  entries_[entry].response_length = 64;
  entries_[entry].word = DoneWord(sequence, 1000);
  header_->completed[0] = 1;
  const std::vector<Completion> done = pair_.Collect();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_FALSE(pair_.producer->ResponseMemory(entry, done[0].response).ok());
}

// A dying host must not be able to have another request run in place of the
// one that was asked.
TEST_F(LyingConsumerTest, WhatIsReplayedIsWhatWasAsked) {
  const uint32_t entry = pair_.Send("the question", 9);
  const uint64_t word = entries_[entry].word;
  Claim honest;
  ASSERT_TRUE(pair_.consumer->Next(&honest));
  entries_[entry].model = 666;
  entries_[entry].principal = 0;
  entries_[entry].flags = 77;
  entries_[entry].request_offset = 12;
  entries_[entry].deadline_ns = 0;
  for (uint64_t spoiled :
       {uint64_t{0}, UINT64_MAX, word ^ (uint64_t{1} << 40), ClaimedWord(honest.sequence, 500)}) {
    entries_[entry].word = spoiled;
    header_->submitted[0] = 0;
    pair_.NewConsumer();
    Claim claim;
    ASSERT_TRUE(pair_.consumer->Next(&claim)) << spoiled;
    EXPECT_EQ(claim.model, 3u);
    EXPECT_EQ(claim.principal, 4u);
    EXPECT_EQ(claim.deadline_ns, 5u);
    EXPECT_EQ(claim.flags, 0u);
    EXPECT_EQ(TextOf(*pair_.consumer->RequestMemory(claim.request)), "the question");
  }
}

TEST_F(LyingConsumerTest, WhatMayNotRunTwiceIsLostWhenItsWordWasSpoiled) {
  const uint32_t entry = pair_.Send("x", 9, kReplayNever);
  entries_[entry].word = UINT64_MAX;
  pair_.NewConsumer();
  Claim claim;
  EXPECT_FALSE(pair_.consumer->Next(&claim));
  EXPECT_FALSE(pair_.consumer->NextReplay(&claim));
  EXPECT_EQ(pair_.producer->Judge(
                {Death::kOfItsOwn}, [](uint32_t) {}, [](const Completion&) {}),
            1u);
}

// Memory of the older epoch goes away while an entry that pretends to lie there
// is still held.
TEST_F(LyingConsumerTest, AnswersCannotLieInAnotherEpochsMemory) {
  const uint32_t old_entry = pair_.Send("old");
  Claim claim;
  ASSERT_TRUE(pair_.consumer->Next(&claim));
  ASSERT_TRUE(pair_.Answer(claim, "old answer"));
  ASSERT_EQ(pair_.Collect().size(), 1u);
  pair_.NewConsumer();
  const uint32_t entry = pair_.Send("new");
  ASSERT_TRUE(pair_.consumer->Next(&claim));
  const BlockRef old_memory{grant_.responses[0].id, 0, 0, 64};
  ASSERT_TRUE(pair_.consumer->Complete(claim, old_memory, {}));
  const std::vector<Completion> done = pair_.Collect();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_FALSE(pair_.producer->ResponseMemory(entry, done[0].response).ok());
  EXPECT_TRUE(pair_.producer->ResponseMemory(old_entry, old_memory).ok());
}

}  // namespace
}  // namespace mlos::channel
