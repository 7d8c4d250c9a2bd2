// SPDX-License-Identifier: Apache-2.0
//
// Producer and consumer in one thread: what the interface promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "base/clock.h"
#include "channel/test_util.h"

namespace mlos::channel {
namespace {

TEST(ChannelTest, RequestAndAnswerTravel) {
  Pair pair;
  const uint32_t entry = pair.Send("hello", 77);
  EXPECT_EQ(pair.producer->in_flight(), 1u);
  EXPECT_FALSE(pair.producer->HasCompletions());

  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_EQ(claim.entry, entry);
  EXPECT_EQ(claim.model, 3u);
  EXPECT_EQ(claim.principal, 4u);
  EXPECT_EQ(claim.deadline_ns, 5u);
  EXPECT_EQ(claim.attempts, 1u);
  EXPECT_GT(claim.claimed_ns, 0u);
  auto request = pair.consumer->RequestMemory(claim.request);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(TextOf(*request), "hello");
  EXPECT_FALSE(pair.consumer->Next(&claim));

  ASSERT_TRUE(pair.Answer(claim, "world"));
  EXPECT_FALSE(pair.Answer(claim, "world"));
  EXPECT_TRUE(pair.producer->HasCompletions());
  const std::vector<Completion> done = pair.Collect();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].user_data, 77u);
  EXPECT_EQ(done[0].entry, entry);
  EXPECT_FALSE(done[0].lost);
  EXPECT_EQ(done[0].times.claimed_ns, claim.claimed_ns);
  EXPECT_EQ(pair.TextOfAnswer(done[0]), "world");
  EXPECT_EQ(pair.producer->in_flight(), 1u);
  pair.producer->Release(entry);
  EXPECT_EQ(pair.producer->in_flight(), 0u);
  EXPECT_TRUE(pair.Collect().empty());
}

TEST(ChannelTest, HotEntryKeepsItsMemoryOnBothSides) {
  Pair pair;
  std::byte* request = nullptr;
  std::byte* response = nullptr;
  for (int i = 0; i < 100; ++i) {
    RequestSlot slot;
    ASSERT_EQ(pair.producer->Begin(0, 1000, &slot), BeginResult::kOk);
    if (i > 0) {
      EXPECT_EQ(slot.memory.data(), request);
    }
    request = slot.memory.data();
    pair.producer->Submit(slot, {});
    Claim claim;
    ASSERT_TRUE(pair.consumer->Next(&claim));
    auto block = pair.consumer->AllocateResponse(claim.entry, 0, 900 - i);
    ASSERT_TRUE(block.ok());
    if (i > 0) {
      EXPECT_EQ(block->memory.data(), response);
    }
    response = block->memory.data();
    ASSERT_TRUE(pair.consumer->Complete(claim, block->block, {}));
    ASSERT_EQ(pair.CollectAndRelease(), 1u);
  }
}

TEST(ChannelTest, CancelTakesBackWhatNobodyClaimed) {
  Pair pair;
  const uint32_t entry = pair.Send("x");
  EXPECT_TRUE(pair.producer->Cancel(entry));
  EXPECT_EQ(pair.producer->in_flight(), 0u);
  Claim claim;
  EXPECT_FALSE(pair.consumer->Next(&claim));
  EXPECT_FALSE(pair.consumer->HasSubmissions());
  // The entry is as good as new.
  pair.Send("y");
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_FALSE(pair.consumer->IsCancelled(claim.entry));
}

TEST(ChannelTest, CancelOfAClaimedEntryIsAHint) {
  Pair pair;
  const uint32_t entry = pair.Send("x");
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_FALSE(pair.consumer->IsCancelled(entry));
  EXPECT_FALSE(pair.producer->Cancel(entry));
  EXPECT_TRUE(pair.consumer->IsCancelled(entry));
  ASSERT_TRUE(pair.Answer(claim, "late"));
  EXPECT_FALSE(pair.producer->Cancel(entry));
  EXPECT_EQ(pair.Collect().size(), 1u);
  EXPECT_FALSE(pair.producer->Cancel(entry));  // collected: nothing to take back
  pair.producer->Release(entry);
  EXPECT_FALSE(pair.producer->Cancel(entry));  // free
}

TEST(ChannelTest, ARequestIsSubmittedAgainWhereItLies) {
  Pair pair;
  const uint32_t entry = pair.Send("as it lies", 7);
  for (uint64_t turn = 0; turn < 3; ++turn) {
    Claim claim;
    ASSERT_TRUE(pair.consumer->Next(&claim));
    EXPECT_EQ(claim.entry, entry);
    EXPECT_EQ(TextOf(*pair.consumer->RequestMemory(claim.request)), "as it lies");
    ASSERT_TRUE(pair.Answer(claim, "answer"));
    ASSERT_EQ(pair.Collect().size(), 1u);
    pair.producer->Reuse(entry);
    EXPECT_EQ(pair.producer->in_flight(), 0u);
    EXPECT_EQ(pair.producer->usage().entries_used, 1u) << "nobody else gets it meanwhile";
    pair.producer->Submit(pair.producer->RequestOf(entry), {3, 4, 5, 0, turn});
  }
  EXPECT_TRUE(pair.producer->Cancel(entry));
  EXPECT_EQ(pair.producer->usage().entries_used, 0u);
}

TEST(ChannelTest, WhatIsTakenBackIsStillItsWriters) {
  Pair pair;
  const uint32_t entry = pair.Send("late");
  ASSERT_TRUE(pair.producer->TakeBack(entry));
  Claim claim;
  EXPECT_FALSE(pair.consumer->Next(&claim));
  EXPECT_EQ(pair.producer->in_flight(), 0u);
  // Also over a change of consumers.
  pair.consumer.reset();
  pair.NewConsumer();
  EXPECT_FALSE(pair.consumer->Next(&claim));
  pair.producer->Submit(pair.producer->RequestOf(entry), {});
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_EQ(TextOf(*pair.consumer->RequestMemory(claim.request)), "late");
  EXPECT_FALSE(pair.producer->TakeBack(entry)) << "the consumer has it";
  ASSERT_TRUE(pair.Answer(claim, "answer"));
  EXPECT_EQ(pair.CollectAndRelease(), 1u);
}

TEST(ChannelTest, LanesAndEntriesBoundWhatIsInFlight) {
  Options options;
  options.entries = 64;
  Pair pair(options);
  RequestSlot slot;
  std::vector<RequestSlot> held;
  while (pair.producer->Begin(1, 10, &slot) == BeginResult::kOk) held.push_back(slot);
  EXPECT_EQ(held.size(), 48u);
  EXPECT_TRUE(pair.producer->Full(1));
  EXPECT_FALSE(pair.producer->Full(2));
  EXPECT_EQ(pair.producer->Begin(1, 10, &slot), BeginResult::kNoCredit);
  pair.producer->SetLaneLimit(2, 2);
  EXPECT_EQ(pair.producer->Begin(2, 10, &slot), BeginResult::kOk);
  EXPECT_EQ(pair.producer->Begin(2, 10, &slot), BeginResult::kOk);
  EXPECT_EQ(pair.producer->Begin(2, 10, &slot), BeginResult::kNoCredit);
  while (pair.producer->Begin(65535, 10, &slot) == BeginResult::kOk) held.push_back(slot);
  EXPECT_EQ(held.size(), 62u);
  EXPECT_EQ(pair.producer->Begin(65535, 10, &slot), BeginResult::kNoEntry);
  EXPECT_TRUE(pair.producer->Full(65535));
  EXPECT_TRUE(pair.producer->Full(65536));
  EXPECT_EQ(pair.producer->Begin(65536, 10, &slot), BeginResult::kNoCredit);
  for (const RequestSlot& one : held) pair.producer->Abandon(one);
  EXPECT_FALSE(pair.producer->Full(1));
  EXPECT_EQ(pair.producer->Begin(1, 10, &slot), BeginResult::kOk);
}

TEST(ChannelTest, RequestMemoryGrowsBySegmentsAndIsTakenFromIdleEntries) {
  Pair pair;
  RequestSlot big, other;
  ASSERT_EQ(pair.producer->Begin(0, 900 << 10, &big), BeginResult::kOk);
  EXPECT_EQ(pair.producer->Begin(0, 900 << 10, &other), BeginResult::kNoSpace);
  auto grant = pair.producer->AddRequestSegment(3 << 20);
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_EQ(grant->bytes, 4u << 20);
  const uint32_t id = grant->id;
  EXPECT_EQ(pair.producer->Begin(0, 900 << 10, &other), BeginResult::kNoSpace);
  ASSERT_TRUE(pair.consumer->AddRequestSegment(std::move(*grant)).ok());
  pair.producer->ActivateRequestSegment(id);
  ASSERT_EQ(pair.producer->Begin(0, 3 << 20, &other), BeginResult::kOk);
  EXPECT_EQ(other.block.segment, id);
  pair.producer->Submit(other, {});
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_TRUE(pair.consumer->RequestMemory(claim.request).ok());
  // Abandoned, the block stays with its entry; under pressure others get it.
  pair.producer->Abandon(big);
  RequestSlot again;
  ASSERT_EQ(pair.producer->Begin(0, 800 << 10, &again), BeginResult::kOk);
  EXPECT_EQ(again.memory.data(), big.memory.data());
  pair.producer->Abandon(again);
  std::vector<RequestSlot> small(16);
  for (RequestSlot& slot : small) {
    ASSERT_EQ(pair.producer->Begin(0, 100 << 10, &slot), BeginResult::kOk);
  }
  EXPECT_EQ(pair.producer->Begin(0, 100 << 10, &again), BeginResult::kNoSpace);
}

TEST(ChannelTest, ResponseMemoryGrowsBySegmentsAndIsTakenFromReleasedEntries) {
  Pair pair;
  pair.Send("a");
  Claim a, b;
  ASSERT_TRUE(pair.consumer->Next(&a));
  auto block = pair.consumer->AllocateResponse(a.entry, 1, 900 << 10);
  ASSERT_TRUE(block.ok());
  pair.Send("b");
  ASSERT_TRUE(pair.consumer->Next(&b));
  // While a works, after it has answered, and until it was released: no room.
  for (int stage = 0; stage < 3; ++stage) {
    EXPECT_EQ(pair.consumer->AllocateResponse(b.entry, 1, 900 << 10).status().code(),
              StatusCode::kResourceExhausted);
    if (stage == 0) {
      ASSERT_TRUE(pair.consumer->Complete(a, block->block, {}));
    } else if (stage == 1) {
      ASSERT_EQ(pair.Collect().size(), 1u);
    }
  }
  auto grant = pair.producer->AddResponseSegment(900 << 10);
  ASSERT_TRUE(grant.ok());
  ASSERT_TRUE(pair.consumer->AddResponseSegment(std::move(*grant)).ok());
  EXPECT_TRUE(pair.consumer->AllocateResponse(b.entry, 1, 900 << 10).ok());
  pair.producer->Release(a.entry);
  pair.Send("c");
  Claim c;
  ASSERT_TRUE(pair.consumer->Next(&c));
  EXPECT_TRUE(pair.consumer->AllocateResponse(c.entry, 0, 100).ok());
  EXPECT_TRUE(pair.consumer->AllocateResponse(c.entry, 1, 500 << 10).ok());
}

TEST(ChannelTest, SegmentsTogetherAreLimited) {
  Options options;
  options.max_bytes = 8 << 20;
  Pair pair(options);
  EXPECT_TRUE(pair.producer->AddRequestSegment(4 << 20).ok());
  EXPECT_EQ(pair.producer->AddRequestSegment(4 << 20).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(pair.producer->AddResponseSegment(uint64_t{1} << 60).status().code(),
            StatusCode::kResourceExhausted);
}

TEST(ChannelTest, SuccessorReplaysWhatWasClaimedAndFindsWhatWasSubmitted) {
  Pair pair;
  const uint32_t claimed = pair.Send("claimed", 1);
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  const uint32_t submitted = pair.Send("submitted", 2);

  auto dead = std::move(pair.consumer);
  pair.NewConsumer();
  EXPECT_EQ(pair.consumer->epoch(), 2u);
  Claim replay, next;
  ASSERT_TRUE(pair.consumer->NextReplay(&replay));
  EXPECT_EQ(replay.entry, claimed);
  EXPECT_EQ(replay.attempts, 2u);
  EXPECT_EQ(TextOf(*pair.consumer->RequestMemory(replay.request)), "claimed");
  EXPECT_FALSE(pair.consumer->NextReplay(&next));
  ASSERT_TRUE(pair.consumer->Next(&next));
  EXPECT_EQ(next.entry, submitted);
  EXPECT_EQ(next.attempts, 1u);
  // The late answer of the dead one does not count.
  EXPECT_FALSE(dead->Complete(claim, {}, {}));
  ASSERT_TRUE(pair.Answer(replay, "one"));
  ASSERT_TRUE(pair.Answer(next, "two"));
  std::map<uint64_t, std::string> answers;
  for (const Completion& c : pair.Collect()) answers[c.user_data] = pair.TextOfAnswer(c);
  EXPECT_EQ(answers, (std::map<uint64_t, std::string>{{1, "one"}, {2, "two"}}));
}

TEST(ChannelTest, AnswersOfADeadConsumerStayUntilReleased) {
  Pair pair;
  const uint32_t entry = pair.Send("x");
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  ASSERT_TRUE(pair.Answer(claim, "legacy"));
  const uint64_t before = pair.producer->segment_bytes();
  pair.NewConsumer();
  pair.NewConsumer();
  EXPECT_EQ(pair.consumer->epoch(), 3u);
  // The second epoch answered nothing and is gone, the first is not.
  EXPECT_EQ(pair.producer->segment_bytes(), before + (1 << 20));
  const std::vector<Completion> done = pair.Collect();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(pair.TextOfAnswer(done[0]), "legacy");
  pair.producer->Release(entry);
  EXPECT_EQ(pair.producer->segment_bytes(), before);
  EXPECT_FALSE(pair.producer->ResponseMemory(entry, done[0].response).ok());
}

TEST(ChannelTest, FailPendingAnswersEverythingAsLost) {
  Pair pair;
  pair.Send("claimed", 1);
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  pair.Send("submitted", 2);
  pair.Send("done", 3);
  Claim done;
  ASSERT_TRUE(pair.consumer->Next(&done));  // submitted
  ASSERT_TRUE(pair.Answer(done, "two"));
  std::vector<uint64_t> lost;
  const auto note = [&](const Completion& c) {
    EXPECT_TRUE(c.lost);
    lost.push_back(c.user_data);
    pair.producer->Release(c.entry);
  };
  EXPECT_EQ(pair.producer->FailPending(note), 2u);
  EXPECT_EQ(lost, (std::vector<uint64_t>{1, 3}));
  EXPECT_EQ(pair.CollectAndRelease(), 1u);
  EXPECT_EQ(pair.producer->in_flight(), 0u);
  pair.NewConsumer();
  Claim none;
  EXPECT_FALSE(pair.consumer->NextReplay(&none));
  EXPECT_FALSE(pair.consumer->Next(&none));
}

// What Judge did: to whom the death was laid, and what was given up.
struct Verdict {
  std::vector<uint64_t> strikes, lost, struck;
};

Verdict Judge(Pair& pair, const Ending& ending) {
  Verdict verdict;
  const size_t lost = pair.producer->Judge(
      ending,
      [&](uint32_t entry) {
        verdict.strikes.push_back(pair.producer->SubmissionOf(entry).user_data);
      },
      [&](const Completion& c) {
        EXPECT_TRUE(c.lost);
        (c.struck ? verdict.struck : verdict.lost).push_back(c.user_data);
        pair.producer->Release(c.entry);
      });
  EXPECT_EQ(lost, verdict.lost.size() + verdict.struck.size());
  return verdict;
}

TEST(ChannelTest, JudgeSparesWhatMayBeRunAgain) {
  Pair pair;
  pair.Send("safe", 1);
  pair.Send("never", 2, kReplayNever);
  pair.Send("never, not claimed", 3, kReplayNever);
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_EQ(Judge(pair, {Death::kFromOutside}).lost, std::vector<uint64_t>{2});
  pair.NewConsumer();
  ASSERT_TRUE(pair.consumer->NextReplay(&claim));
  EXPECT_FALSE(pair.consumer->NextReplay(&claim));
  ASSERT_TRUE(pair.consumer->Next(&claim));
  EXPECT_EQ(claim.flags, kReplayNever);
  EXPECT_FALSE(pair.consumer->Next(&claim));
}

// Claims all that there is, in the order of submission, and begins with `begin`.
std::vector<Claim> ClaimAll(Pair& pair, const std::vector<uint32_t>& begin) {
  std::vector<Claim> claims;
  Claim claim;
  while (pair.consumer->NextReplay(&claim) || pair.consumer->Next(&claim)) {
    if (std::count(begin.begin(), begin.end(), claim.entry) > 0) {
      pair.consumer->Begun(claim.entry, NowNanos());
    }
    claims.push_back(claim);
  }
  return claims;
}

TEST(ChannelTest, WhatRanIsSuspectedAndWhatRanAloneHasDoneIt) {
  Pair pair;
  const uint64_t hour = NowNanos() + 3600 * kNanosPerSecond;
  const uint32_t poison = pair.Send("poison", 1, 0, hour);
  const uint32_t beside = pair.Send("beside", 2, 0, hour);
  const uint32_t queued = pair.Send("queued", 3, 0, hour);
  ClaimAll(pair, {poison, beside});
  EXPECT_THAT(Judge(pair, {Death::kOfItsOwn}).strikes, testing::IsEmpty());
  pair.NewConsumer();
  for (const Claim& c : ClaimAll(pair, {poison})) {
    EXPECT_EQ(c.flags, c.entry == queued ? 0 : kSuspect) << c.entry;
  }
  EXPECT_THAT(Judge(pair, {Death::kOfItsOwn}).strikes, testing::ElementsAre(1));
  // From outside: it says nothing about who ran, and clears nobody.
  pair.NewConsumer();
  ClaimAll(pair, {beside});
  EXPECT_THAT(Judge(pair, {Death::kFromOutside}).strikes, testing::IsEmpty());
  // A consumer that has claimed nothing yet says nothing either.
  pair.NewConsumer();
  EXPECT_THAT(Judge(pair, {Death::kOfItsOwn}).strikes, testing::IsEmpty());
  pair.NewConsumer();
  for (const Claim& c : ClaimAll(pair, {poison})) {
    EXPECT_EQ(c.flags, c.entry == queued ? 0 : kSuspect) << c.entry;
  }
  const Verdict last = Judge(pair, {Death::kOfItsOwn});
  EXPECT_THAT(last.strikes, testing::ElementsAre(1));
  EXPECT_THAT(last.struck, testing::ElementsAre(1));
  pair.NewConsumer();
  EXPECT_EQ(ClaimAll(pair, {}).size(), 2u);
}

TEST(ChannelTest, AHangIsLaidToWhatIsLate) {
  Pair pair;
  constexpr uint64_t kLimit = 1000;
  const uint32_t late = pair.Send("late", 1, 0, kLimit - 1);
  const uint32_t beside = pair.Send("beside, its deadline just over", 2, 0, kLimit);
  pair.Send("late, but waits", 3, 0, kLimit - 1);
  ClaimAll(pair, {late, beside});
  EXPECT_THAT(Judge(pair, {Death::kHung, kLimit}).strikes, testing::ElementsAre(1));
  pair.NewConsumer();
  for (const Claim& c : ClaimAll(pair, {})) {
    EXPECT_EQ(c.flags, c.entry == late ? kSuspect : 0) << c.entry;
  }
}

TEST(ChannelTest, WhatRanAtEveryDeathFromOutsideIsSuspectedInTheEnd) {
  Pair pair;
  const uint32_t greedy = pair.Send("takes all memory, and is killed for it", 1);
  pair.Send("waits", 2);
  for (uint32_t death = 1; death < kMostOutside; ++death) {
    ClaimAll(pair, {greedy});
    EXPECT_THAT(Judge(pair, {}).strikes, testing::IsEmpty());
    pair.NewConsumer();
  }
  for (const Claim& c : ClaimAll(pair, {greedy})) EXPECT_EQ(c.flags, 0u);
  EXPECT_THAT(Judge(pair, {}).strikes, testing::IsEmpty());
  pair.NewConsumer();
  for (const Claim& c : ClaimAll(pair, {greedy})) {
    EXPECT_EQ(c.flags, c.entry == greedy ? kSuspect : 0) << c.entry;
  }
  EXPECT_THAT(Judge(pair, {}).strikes, testing::ElementsAre(1));
  pair.NewConsumer();
  ClaimAll(pair, {greedy});
  EXPECT_THAT(Judge(pair, {}).struck, testing::ElementsAre(1));
}

TEST(ChannelTest, ANewRequestIsUnderNoSuspicion) {
  Pair pair;
  const uint32_t first = pair.Send("x", 1);
  ClaimAll(pair, {first});
  Judge(pair, {Death::kOfItsOwn});
  pair.NewConsumer();
  const std::vector<Claim> again = ClaimAll(pair, {first});
  ASSERT_EQ(again.size(), 1u);
  ASSERT_TRUE(pair.Answer(again[0], "y"));
  EXPECT_EQ(pair.CollectAndRelease(), 1u);
  EXPECT_EQ(pair.Send("z", 2), first);
  ClaimAll(pair, {first});
  EXPECT_THAT(Judge(pair, {Death::kOfItsOwn}).strikes, testing::IsEmpty());
}

TEST(ChannelTest, SequenceWrapsAround) {
  Options options;
  options.first_sequence = UINT32_MAX - 2;
  Pair pair(options);
  std::vector<uint32_t> sequences;
  for (int i = 0; i < 6; ++i) {
    pair.Send("x", static_cast<uint64_t>(i));
    Claim claim;
    ASSERT_TRUE(pair.consumer->Next(&claim));
    sequences.push_back(claim.sequence);
    ASSERT_TRUE(pair.Answer(claim, "y"));
    ASSERT_EQ(pair.CollectAndRelease(), 1u);
  }
  EXPECT_EQ(sequences,
            (std::vector<uint32_t>{UINT32_MAX - 2, UINT32_MAX - 1, UINT32_MAX, 1, 2, 3}));
}

TEST(ChannelTest, OptionsAndGrantsAreChecked) {
  for (uint32_t entries : {0u, 1u, 63u, 65u, kMaxEntries + 64, UINT32_MAX}) {
    Options options;
    options.entries = entries;
    EXPECT_FALSE(Producer::Create(options).ok()) << entries;
  }
  auto producer = std::move(Producer::Create({})).value();
  EXPECT_FALSE(producer->Grant().ok());
  EXPECT_FALSE(producer->AddResponseSegment(1).ok());
  ASSERT_TRUE(producer->BeginEpoch().ok());
  const auto tamper = [&](auto change) {
    ConsumerGrant grant = std::move(producer->Grant()).value();
    change(grant);
    return Consumer::Attach(std::move(grant)).ok();
  };
  EXPECT_TRUE(tamper([](ConsumerGrant&) {}));
  EXPECT_FALSE(tamper([](ConsumerGrant& g) { g.entries = 2048; }));
  EXPECT_FALSE(tamper([](ConsumerGrant& g) { g.entries = 65; }));
  EXPECT_FALSE(tamper([](ConsumerGrant& g) { g.epoch = 0; }));
  EXPECT_FALSE(tamper([](ConsumerGrant& g) { g.epoch = kMaxEpoch + 1; }));
  EXPECT_FALSE(tamper([](ConsumerGrant& g) { g.requests[0].bytes += 4096; }));
  EXPECT_FALSE(tamper([](ConsumerGrant& g) { std::swap(g.requests[0].fd, g.responses[0].fd); }));
  EXPECT_FALSE(tamper([](ConsumerGrant& g) {
    g.requests.push_back(
        {g.requests[0].id, g.requests[0].bytes, OwnedFd(dup(g.requests[0].fd.get()))});
  }));
}

TEST(ChannelTest, ReferencesOutsideSegmentsAreRefused) {
  Pair pair;
  const uint32_t entry = pair.Send("x");
  Claim claim;
  ASSERT_TRUE(pair.consumer->Next(&claim));
  ASSERT_TRUE(pair.Answer(claim, "y"));
  const Completion done = pair.Collect().at(0);
  const uint64_t size = 1 << 20;
  const uint32_t requests = claim.request.segment, responses = done.response.segment;
  EXPECT_NE(requests, responses);
  const std::vector<std::pair<uint64_t, uint64_t>> outside = {
      {size, 1},
      {size + 1, 0},
      {0, size + 1},
      {UINT64_MAX, 1},
      {UINT64_MAX - 1, 4},
      {8, UINT64_MAX - 7},
      {uint64_t{1} << 63, uint64_t{1} << 63}};
  for (const auto& [offset, length] : outside) {
    EXPECT_FALSE(pair.consumer->RequestMemory({requests, 0, offset, length}).ok());
    EXPECT_FALSE(pair.producer->ResponseMemory(entry, {responses, 0, offset, length}).ok());
  }
  // The other end's segments, and segments that do not exist.
  EXPECT_FALSE(pair.consumer->RequestMemory({responses, 0, 0, 8}).ok());
  EXPECT_FALSE(pair.producer->ResponseMemory(entry, {requests, 0, 0, 8}).ok());
  EXPECT_FALSE(pair.consumer->RequestMemory({99, 0, 0, 8}).ok());
  EXPECT_FALSE(pair.producer->ResponseMemory(entry, {99, 0, 0, 8}).ok());
  EXPECT_FALSE(pair.producer->ResponseMemory(entry + 1, done.response).ok());
  EXPECT_FALSE(pair.producer->ResponseMemory(UINT32_MAX, done.response).ok());
  EXPECT_FALSE(pair.consumer->AllocateResponse(1024, 0, 8).ok());
  EXPECT_FALSE(pair.consumer->AllocateResponse(0, UINT32_MAX, 8).ok());
}

TEST(ChannelTest, AllEntriesAreServedHoweverBusySomeAre) {
  Options options;
  options.entries = 128;
  Pair pair(options);
  std::vector<int> served(128);
  for (int i = 0; i < 96; ++i) pair.Send("x");
  for (int i = 0; i < 10'000; ++i) {
    Claim claim;
    ASSERT_TRUE(pair.consumer->Next(&claim));
    ++served[claim.entry];
    ASSERT_TRUE(pair.Answer(claim, "y"));
    ASSERT_EQ(pair.CollectAndRelease(), 1u);
    pair.Send("again");
  }
  for (uint32_t i = 0; i < 96; ++i) EXPECT_GT(served[i], 90) << i;
}

}  // namespace
}  // namespace mlos::channel
