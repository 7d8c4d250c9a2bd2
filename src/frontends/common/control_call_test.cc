// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/control_call.h"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mlos::frontend {
namespace {

// Answers when the test says so.
class Patient : public control::Control {
 public:
  void Apply(control::Operation operation, std::function<void(control::Outcome)> done) override {
    operation_ = std::move(operation);
    done_ = std::move(done);
  }
  void Answer() { done_({OkStatus(), {}, {{"a", 1}}}); }
  const control::Operation& operation() const { return operation_; }

 private:
  control::Operation operation_;
  std::function<void(control::Outcome)> done_;
};

std::string Write(const control::Outcome& outcome) { return boost::json::serialize(outcome.body); }

TEST(ControlCallTest, TheAnswerComesAsText) {
  EventLoop loop;
  Patient control;
  ControlCall call(loop, control);
  std::string got;
  call.ApplyForText({}, Write,
                    [&](const control::Outcome&, const std::string& text) { got = text; });
  ASSERT_TRUE(control.operation().waiting.has_value());
  EXPECT_FALSE(control.operation().waiting->expired());
  control.Answer();
  EXPECT_EQ(1u, loop.io().poll());
  EXPECT_EQ(R"({"a":1})", got);
}

TEST(ControlCallTest, WhoAsksIsToldOfTheBeginning) {
  EventLoop loop;
  Patient control;
  ControlCall call(loop, control);
  std::vector<std::string> got;
  const auto keep = [&](const control::Outcome& outcome, const std::string& text) {
    got.push_back((outcome.accepted ? "begun " : "done ") + text);
  };
  call.ApplyForText({}, Write, keep, keep);
  ASSERT_NE(nullptr, control.operation().begun);
  control.operation().begun({OkStatus(), {}, {{"a", 0}}, false, true});
  control.Answer();
  EXPECT_EQ(2u, loop.io().poll());
  EXPECT_EQ((std::vector<std::string>{R"(begun {"a":0})", R"(done {"a":1})"}), got);
  call.ApplyForText({}, Write, keep);
  EXPECT_EQ(nullptr, control.operation().begun);
}

TEST(ControlCallTest, NothingIsDoneForOneWhoIsGone) {
  EventLoop loop;
  Patient control;
  ControlCall call(loop, control);
  call.ApplyForText({}, Write, [](const control::Outcome&, const std::string&) { FAIL(); });
  call.Forget();
  EXPECT_TRUE(control.operation().waiting->expired());
  control.Answer();
  EXPECT_EQ(0u, loop.io().poll());
}

}  // namespace
}  // namespace mlos::frontend
