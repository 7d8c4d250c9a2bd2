// SPDX-License-Identifier: Apache-2.0
#include "engine/quarantine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "tensor/message.h"

namespace mlos::engine {
namespace {

// A request with one input of bytes, as it lies at some place of a channel.
class Request {
 public:
  explicit Request(std::string_view text, uint64_t offset = 4096,
                   std::string_view parameters = {}) {
    tensor::TensorDesc input{};
    input.datatype = static_cast<uint32_t>(tensor::Datatype::kUint8);
    input.rank = 1;
    input.dims[0] = static_cast<int64_t>(text.size());
    input.bytes = text.size();
    plan_.inputs = {input};
    plan_.parameters = parameters;
    uint64_t bytes = 0;
    EXPECT_TRUE(tensor::LayOutRequest(&plan_, &bytes));
    memory_.resize(bytes + 64);  // blocks are larger than what is asked for
    std::fill(memory_.begin(), memory_.end(), static_cast<std::byte>(offset));  // used before
    slot_ = {0, {7, 0, offset, memory_.size()}, memory_};
    const uint64_t data = plan_.inputs[0].offset;
    tensor::WriteRequest(plan_, 7, offset, memory_);
    std::memcpy(memory_.data() + data, text.data(), text.size());
  }
  const channel::RequestSlot& slot() const { return slot_; }

 private:
  tensor::RequestPlan plan_;
  std::vector<std::byte> memory_;
  channel::RequestSlot slot_;
};

constexpr uint64_t kNow = 1000 * kNanosPerSecond;

TEST(QuarantineTest, RefusesWhatHasTwoStrikesForAWhile) {
  Quarantine quarantine;
  const Request poison("poison"), like_it("poison", 1 << 20), other("potion");
  EXPECT_FALSE(quarantine.Strike(poison.slot(), 1, 2, kNow));
  EXPECT_FALSE(quarantine.Holds(like_it.slot(), 1, 2, kNow));
  EXPECT_TRUE(quarantine.Strike(like_it.slot(), 1, 2, kNow + 1));
  EXPECT_TRUE(quarantine.Holds(poison.slot(), 1, 2, kNow + 2));
  EXPECT_TRUE(quarantine.Holds(like_it.slot(), 1, 2, kNow + 2));
  EXPECT_FALSE(quarantine.Holds(other.slot(), 1, 2, kNow + 2));
  EXPECT_FALSE(quarantine.Holds(poison.slot(), 9, 2, kNow + 2));   // another model
  EXPECT_FALSE(quarantine.Holds(poison.slot(), 1, 9, kNow + 2));   // another principal
  EXPECT_FALSE(quarantine.Strike(poison.slot(), 1, 2, kNow + 3));  // it is in already
  const uint64_t end = kNow + 3 + Quarantine::kRefuseNanos;
  EXPECT_TRUE(quarantine.Holds(poison.slot(), 1, 2, end));
  EXPECT_FALSE(quarantine.Holds(poison.slot(), 1, 2, end + 1));
  EXPECT_TRUE(quarantine.empty());
}

TEST(QuarantineTest, StrikesThatAreLongAgoDoNotCount) {
  Quarantine quarantine;
  const Request request("r");
  quarantine.Strike(request.slot(), 1, 2, kNow);
  EXPECT_FALSE(quarantine.Strike(request.slot(), 1, 2, kNow + Quarantine::kRefuseNanos + 1));
}

TEST(QuarantineTest, ParametersAreContentsToo) {
  Quarantine quarantine;
  const Request one("r", 0, R"({"a":1})"), two("r", 0, R"({"a":2})");
  for (int i = 0; i < 2; ++i) quarantine.Strike(one.slot(), 1, 2, kNow);
  EXPECT_TRUE(quarantine.Holds(one.slot(), 1, 2, kNow));
  EXPECT_FALSE(quarantine.Holds(two.slot(), 1, 2, kNow));
}

TEST(QuarantineTest, RemembersTheNewest) {
  Quarantine quarantine;
  const Request request("r");
  for (uint64_t model = 0; model <= Quarantine::kMost; ++model) {
    for (int i = 0; i < 2; ++i) quarantine.Strike(request.slot(), model, 0, kNow);
  }
  EXPECT_FALSE(quarantine.Holds(request.slot(), 0, 0, kNow));
  EXPECT_TRUE(quarantine.Holds(request.slot(), 1, 0, kNow));
  EXPECT_TRUE(quarantine.Holds(request.slot(), Quarantine::kMost, 0, kNow));
}

}  // namespace
}  // namespace mlos::engine
