// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <utility>

namespace mlos::frontend {
namespace {

using control::OperationKind;
using engine::ModelState;

void Add(engine::RoutingTable* table, const std::string& name, uint64_t version, ModelState state,
         const std::string& reason = {}) {
  auto route = std::make_shared<engine::ModelRoute>();
  route->name = name;
  route->version = std::to_string(version);
  route->version_number = version;
  route->state = state;
  route->reason = reason;
  route->on_demand = state == ModelState::kRegistered;
  table->Add(std::move(route));
}

TEST(RepositoryIndexTest, HasEveryVersionWithItsState) {
  engine::RoutingTable table;
  Add(&table, "a", 1, ModelState::kReady);
  Add(&table, "a", 2, ModelState::kLoading);
  Add(&table, "a", 3, ModelState::kDraining);
  Add(&table, "b", 1, ModelState::kUnloaded);
  Add(&table, "b", 2, ModelState::kUnloaded, "left out by the policy");
  Add(&table, "c", 1, ModelState::kFailed, "no such file");
  Add(&table, "d", 1, ModelState::kRegistered);
  std::vector<std::string> lines;
  for (const IndexEntry& e : RepositoryIndex(table, false)) {
    lines.push_back(e.name + " " + e.version + " " + std::string(e.state) + " " + e.reason);
  }
  EXPECT_THAT(lines, testing::ElementsAre(
                         "a 1 READY ", "a 2 LOADING ", "a 3 UNLOADING ", "b 1 UNAVAILABLE unloaded",
                         "b 2 UNAVAILABLE left out by the policy", "c 1 UNAVAILABLE no such file",
                         "d 1 UNAVAILABLE its first request loads it"));
  table.shadowed["a"] = "a model of that name was registered";
  const IndexEntry last = RepositoryIndex(table, false).back();
  EXPECT_EQ("a", last.name);
  EXPECT_EQ("", last.version);
  EXPECT_EQ("UNAVAILABLE", last.state);
  EXPECT_EQ("a model of that name was registered", last.reason);
  const auto ready = RepositoryIndex(table, true);
  ASSERT_EQ(1u, ready.size());
  EXPECT_EQ("READY", ready[0].state);
}

TEST(RepositoryTest, OnlyTheRepositoryWithoutANameIsThere) {
  EXPECT_TRUE(CheckRepositoryName("").ok());
  EXPECT_EQ(StatusCode::kUnimplemented, CheckRepositoryName("other").code());
}

// Keeps what it was asked to do, and answers when the test says.
class HeldControl : public control::Control {
 public:
  void Apply(control::Operation operation, std::function<void(control::Outcome)> done) override {
    ++operations_;
    operation_ = std::move(operation);
    done_ = std::move(done);
  }
  void Begin() {
    control::Outcome outcome;
    outcome.accepted = true;
    operation_.begun(outcome);
  }
  void Answer(Status status) {
    control::Outcome outcome;
    outcome.status = std::move(status);
    const auto done = std::exchange(done_, nullptr);
    done(std::move(outcome));
  }
  int operations_ = 0;
  control::Operation operation_;
  std::function<void(control::Outcome)> done_;
};

class RepositoryCallTest : public testing::Test {
 protected:
  RepositoryCall::Done Keep() {
    return [this](const Status& status) {
      EXPECT_FALSE(answer_.has_value()) << "one answer";
      answer_ = status;
    };
  }
  // Runs the loop until there is an answer; a timer ends every wait.
  Status Wait() {
    loop_.io().restart();
    while (!answer_.has_value()) loop_.io().run_one();
    return *answer_;
  }
  // What is asked is begun, and goes on.
  void Accept() {
    control_.Begin();
    Settle();
  }
  void RunFor(std::chrono::milliseconds time) {
    loop_.io().restart();
    loop_.io().run_for(time);
  }
  // Runs what is ready to be run.
  void Settle() {
    loop_.io().restart();
    loop_.io().poll();
  }

  EventLoop loop_;
  HeldControl control_;
  RepositoryCall call_{loop_, control_};
  std::optional<Status> answer_;
};

TEST_F(RepositoryCallTest, LoadsAllVersionsAndTellsHowItWent) {
  call_.Load("m", Keep());
  EXPECT_EQ(OperationKind::kLoadModelVersions, control_.operation_.kind);
  EXPECT_EQ("m", control_.operation_.name);
  control_.Answer(NotFound("there is no model m"));
  EXPECT_EQ(StatusCode::kNotFound, Wait().code());
}

TEST_F(RepositoryCallTest, AnUnloadThatTakesLongIsAnsweredBeforeItsEnd) {
  call_.Unload("m", Keep());
  EXPECT_EQ(OperationKind::kUnloadModelVersions, control_.operation_.kind);
  EXPECT_EQ("m", control_.operation_.name);
  EXPECT_TRUE(control_.operation_.wait);
  Accept();
  EXPECT_TRUE(Wait().ok());
  EXPECT_EQ(1, control_.operations_) << "another would undo what others did between the two";
  control_.Answer(Internal("too late to matter"));
  Settle();
}

TEST_F(RepositoryCallTest, AnUnloadThatEndsSoonIsAnsweredThen) {
  call_.Unload("m", Keep());
  Accept();
  control_.Answer(Unavailable("it came to nothing"));
  EXPECT_EQ(StatusCode::kUnavailable, Wait().code());
}

// Nothing is said of an unload of which nothing is known, however long that takes.
TEST_F(RepositoryCallTest, PatienceBeginsWithTheUnload) {
  call_.Unload("m", Keep());
  RunFor(std::chrono::milliseconds(1100));
  EXPECT_FALSE(answer_.has_value());
  control_.Answer(NotFound("there is no model m"));
  EXPECT_EQ(StatusCode::kNotFound, Wait().code());
}

// The loop finds two timers that have expired: in the first one's handler the
// unload whose patience the second one is makes way for another.
TEST_F(RepositoryCallTest, AnEarlierUnloadsTimeSaysNothingOfTheNextOne) {
  boost::asio::steady_timer earlier(loop_.io(), std::chrono::milliseconds(500));
  earlier.async_wait([&](const boost::system::error_code&) {
    call_.Forget();
    call_.Unload("other", Keep());
  });
  call_.Unload("m", Keep());
  Accept();
  boost::asio::io_context elsewhere;
  boost::asio::steady_timer(elsewhere, std::chrono::milliseconds(1050)).wait();
  Settle();
  EXPECT_EQ("other", control_.operation_.name);
  EXPECT_FALSE(answer_.has_value());
}

// The same, but that the call itself is gone, as with a stream that its client resets.
TEST_F(RepositoryCallTest, AnUnloadsTimeMayFindNobody) {
  std::optional<RepositoryCall> call;
  call.emplace(loop_, control_);
  boost::asio::steady_timer earlier(loop_.io(), std::chrono::milliseconds(500));
  earlier.async_wait([&](const boost::system::error_code&) { call.reset(); });
  call->Unload("m", Keep());
  Accept();
  boost::asio::io_context elsewhere;
  boost::asio::steady_timer(elsewhere, std::chrono::milliseconds(1050)).wait();
  Settle();
  EXPECT_FALSE(call.has_value());
  EXPECT_FALSE(answer_.has_value());
}

TEST_F(RepositoryCallTest, AnUnloadThatIsRefusedIsAnsweredSo) {
  call_.Unload("m", Keep());
  control_.Answer(FailedPrecondition("is being loaded"));
  EXPECT_EQ(StatusCode::kFailedPrecondition, Wait().code());
}

TEST_F(RepositoryCallTest, WhoWasForgottenGetsNoAnswer) {
  call_.Load("m", Keep());
  call_.Forget();
  control_.Answer(OkStatus());
  Settle();
  EXPECT_FALSE(answer_.has_value());
}

}  // namespace
}  // namespace mlos::frontend
