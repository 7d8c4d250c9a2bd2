// SPDX-License-Identifier: Apache-2.0
//
// One call's way through an engine that does each step when it is told to.
#include "frontends/common/call_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace mlos::frontend {
namespace {

using testing::ElementsAre;

// Notes what it is asked for.  A step whose name is `stop` waits for Go.
class StepEngine final : public engine::Engine {
 public:
  StepEngine() {
    auto info = std::make_shared<ModelInfo>();
    info->inputs = {{"in", tensor::Datatype::kFp32, {-1, 2}, false}};
    info->outputs = {{"a", tensor::Datatype::kFp32, {-1, 2}, false},
                     {"b", tensor::Datatype::kFp32, {-1, 2}, false}};
    info->max_batch_size = 8;
    auto route = std::make_shared<engine::ModelRoute>();
    route->name = "m";
    route->version = "1";
    route->id = 7;
    route->state = engine::ModelState::kReady;
    route->info = std::move(info);
    route_ = route;
    auto table = std::make_shared<engine::RoutingTable>();
    table->Add(route_);
    table_ = std::move(table);
  }

  std::shared_ptr<const engine::RoutingTable> routes() const override { return table_; }
  metrics::ModelBook* book() override { return &book_; }

  bool Resolve(engine::Call& call, std::string_view model, std::string_view) override {
    deadline_ns = call.deadline_ns;
    if (model == "m") {
      call.route = route_;
      call.counters = book_.Of(7, "m", "1");
    }
    return Note("resolve", call, model == "m" ? OkStatus() : NotFound("no such model"));
  }
  bool Allocate(engine::Call& call, tensor::RequestPlan* plan) override {
    uint64_t bytes = 0;
    EXPECT_TRUE(tensor::LayOutRequest(plan, &bytes));
    block_.resize(bytes);
    call.slot.memory = block_;
    return Note("allocate", call, allocated);
  }
  bool Submit(engine::Call& call) override {
    call.submitted_ns = NowNanos();
    call.times = {call.submitted_ns, call.submitted_ns, call.submitted_ns};
    for (uint32_t i = 0; i < 2; ++i) {
      engine::OutputTensor output;
      output.desc.index = i;
      output.desc.datatype = static_cast<uint32_t>(tensor::Datatype::kFp32);
      output.desc.rank = 2;
      output.desc.dims[0] = 1;
      output.desc.dims[1] = 2;
      output.data = std::as_bytes(std::span(values_));
      call.outputs.push_back(output);
    }
    return Note("submit", call, OkStatus());
  }
  Status Admits(std::string_view, std::string_view) const override { return admitted; }
  void Finish(engine::Call& call) override {
    steps.emplace_back("finish");
    waiting_ = nullptr;
    call.route = nullptr;
    call.outputs.clear();
  }

  void Go() { std::exchange(waiting_, nullptr)->OnProgress(); }
  bool waiting() const { return waiting_ != nullptr; }
  uint64_t Counted(StatusCode code) {
    return book_.Of(7, "m", "1")->requests[0][static_cast<size_t>(code)].value();
  }
  uint64_t inferences() { return book_.Of(7, "m", "1")->inferences.value(); }

  std::string stop;
  Status allocated;
  Status admitted;
  uint64_t deadline_ns = 0;
  std::vector<std::string> steps;

 private:
  bool Note(const char* step, engine::Call& call, const Status& status) {
    steps.emplace_back(step);
    call.status = status;
    if (stop != step) return true;
    waiting_ = &call;
    return false;
  }

  engine::RoutePin route_;
  std::shared_ptr<const engine::RoutingTable> table_;
  metrics::ModelBook book_;
  engine::Call* waiting_ = nullptr;
  std::vector<std::byte> block_;
  const float values_[2] = {0.25F, 4.0F};
};

// A front end that notes what comes, and does as it is told.
class TestCall final : public CallSteps {
 public:
  explicit TestCall(const CallContext& context) : CallSteps(context) {}

  using CallSteps::answer;
  using CallSteps::Continue;
  using CallSteps::ReleaseOutputs;
  using CallSteps::waits;

  Status plan;
  Status fill;
  bool plan_later = false;
  bool fill_later = false;
  bool go_on = false;  // as soon as it may
  bool keep = false;
  int64_t batch = 3;
  std::vector<AskedOutput> asked;
  std::vector<std::string> steps;
  std::vector<std::string> sent;  // names of outputs
  Status told;
  bool never = false;

 private:
  StatusOr<Turn> Plan(const engine::ModelRoute&, tensor::RequestPlan* to) override {
    steps.emplace_back("plan");
    MLOS_RETURN_IF_ERROR(plan);
    tensor::TensorDesc desc;
    desc.datatype = static_cast<uint32_t>(tensor::Datatype::kFp32);
    desc.rank = 2;
    desc.dims[0] = batch;
    desc.dims[1] = 2;
    desc.bytes = static_cast<uint64_t>(batch) * 8;
    to->inputs = {desc};
    Ask(asked);
    return plan_later ? Turn::kLater : Turn::kDone;
  }
  StatusOr<Turn> Fill(const tensor::RequestPlan& made, std::span<std::byte> block) override {
    steps.emplace_back("fill");
    EXPECT_LE(made.inputs[0].offset + made.inputs[0].bytes, block.size());
    MLOS_RETURN_IF_ERROR(fill);
    return fill_later ? Turn::kLater : Turn::kDone;
  }
  void OnLater() override {
    EXPECT_TRUE(waits());
    if (go_on) Continue(fill);
  }
  Status Encode(const Status& status, bool is_never) override {
    steps.emplace_back("encode");
    told = status;
    never = is_never;
    sent.clear();
    for (const AnswerTensor& output : answer()) {
      sent.push_back(model().info->outputs[output.tensor->desc.index].name);
    }
    if (keep) KeepOutputs();
    return status;
  }
  void Deliver() override { steps.emplace_back("deliver"); }
};

class CallStepsTest : public testing::Test {
 protected:
  CallStart Start() const { return {.model = "m", .arrived_ns = NowNanos(), .request_id = "id"}; }

  StepEngine engine_;
  Classifier classifier_;
  const CallContext context_{.engine = engine_,
                             .classifier = classifier_,
                             .tracer = nullptr,
                             .protocol = metrics::Protocol::kHttp,
                             .names = kHttpTrace,
                             .default_deadline_ns = 30 * kNanosPerSecond,
                             .max_deadline_ns = 60 * kNanosPerSecond};
  TestCall call_{context_};
};

TEST_F(CallStepsTest, EveryStepInItsOrderAndTheMemoryBackBeforeTheAnswerIsSent) {
  call_.Begin(Start());
  EXPECT_THAT(call_.steps, ElementsAre("plan", "fill", "encode", "deliver"));
  EXPECT_THAT(engine_.steps, ElementsAre("resolve", "allocate", "submit", "finish"));
  EXPECT_THAT(call_.sent, ElementsAre("a", "b"));
  EXPECT_TRUE(call_.told.ok());
  EXPECT_EQ(1u, engine_.Counted(StatusCode::kOk));
  EXPECT_EQ(3u, engine_.inferences());
  call_.End();
  EXPECT_EQ(4u, engine_.steps.size());
  EXPECT_EQ(0u, engine_.Counted(StatusCode::kCancelled));
}

TEST_F(CallStepsTest, OutputsInTheClientsOrderAndClasses) {
  call_.asked = {{.name = "b", .classes = 1, .index = 1}, {.name = "a", .index = 0}};
  call_.keep = true;
  call_.Begin(Start());
  ASSERT_TRUE(call_.told.ok()) << Message(call_.told);
  EXPECT_THAT(call_.sent, ElementsAre("b", "a"));
  EXPECT_THAT(engine_.steps, ElementsAre("resolve", "allocate", "submit"));
  const auto bytes = call_.answer()[0].tensor->data;  // kept until End
  EXPECT_EQ("4.000000:1",
            std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()).substr(4));
  call_.End();
  EXPECT_THAT(engine_.steps, ElementsAre("resolve", "allocate", "submit", "finish"));
}

TEST_F(CallStepsTest, AnOutputThatTheModelDoesNotGiveIsItsFault) {
  call_.asked = {{.name = "c", .index = 2}};
  call_.Begin(Start());
  EXPECT_EQ(StatusCode::kInternal, call_.told.code());
  EXPECT_EQ(1u, engine_.Counted(StatusCode::kInternal));
}

TEST_F(CallStepsTest, WaitsForTheEngineAtEveryStep) {
  for (const char* step : {"resolve", "allocate", "submit"}) {
    engine_.steps.clear();
    call_.steps.clear();
    engine_.stop = step;
    call_.Begin(Start());
    EXPECT_TRUE(engine_.waiting()) << step;
    EXPECT_FALSE(call_.waits());
    call_.Continue(Internal("nobody waits for this"));
    engine_.Go();
    EXPECT_THAT(call_.steps, ElementsAre("plan", "fill", "encode", "deliver")) << step;
    EXPECT_TRUE(call_.told.ok());
    call_.End();
  }
  EXPECT_EQ(3u, engine_.Counted(StatusCode::kOk));
}

TEST_F(CallStepsTest, WaitsForTheRestOfTheRequest) {
  for (const bool plan : {false, true}) {
    for (const bool fill : {false, true}) {
      call_.steps.clear();
      call_.plan_later = plan;
      call_.fill_later = fill;
      CallStart start = Start();
      start.whole = false;
      call_.Begin(start);
      EXPECT_EQ(plan || fill, call_.waits());
      if (plan) {
        EXPECT_THAT(call_.steps, ElementsAre("plan"));
        call_.Continue(OkStatus());
      }
      if (fill) {
        EXPECT_THAT(call_.steps, ElementsAre("plan", "fill"));
        call_.Continue(OkStatus());
      }
      EXPECT_THAT(call_.steps, ElementsAre("plan", "fill", "encode", "deliver"));
      call_.End();
    }
  }
  EXPECT_EQ(4u, engine_.Counted(StatusCode::kOk));
}

TEST_F(CallStepsTest, GoesOnAtOnceWhereTheRestIsThere) {
  call_.plan_later = call_.fill_later = call_.go_on = true;
  call_.Begin(Start());
  EXPECT_FALSE(call_.waits());
  EXPECT_THAT(call_.steps, ElementsAre("plan", "fill", "encode", "deliver"));
  EXPECT_TRUE(call_.told.ok());
  call_.End();
  EXPECT_EQ(1u, engine_.Counted(StatusCode::kOk));
}

TEST_F(CallStepsTest, OutputsThatAreCopiedAreGivenBackBeforeTheEnd) {
  call_.keep = true;
  call_.Begin(Start());
  EXPECT_THAT(engine_.steps, ElementsAre("resolve", "allocate", "submit"));
  for (int i = 0; i < 2; ++i) {
    call_.ReleaseOutputs();
    EXPECT_THAT(engine_.steps, ElementsAre("resolve", "allocate", "submit", "finish"));
    EXPECT_TRUE(call_.answer().empty());
  }
  call_.End();
  EXPECT_EQ(4u, engine_.steps.size());
}

TEST_F(CallStepsTest, WhatIsWrongWithTheRestIsAnswered) {
  call_.fill_later = true;
  call_.Begin(Start());
  ASSERT_TRUE(call_.waits());
  call_.Continue(InvalidArgument("it is cut off"));
  EXPECT_EQ("it is cut off", Message(call_.told));
  EXPECT_FALSE(call_.never);
  EXPECT_THAT(engine_.steps, ElementsAre("resolve", "allocate", "finish"));
  EXPECT_EQ(1u, engine_.Counted(StatusCode::kInvalidArgument));
  call_.Continue(OkStatus());  // too late: nothing happens
  EXPECT_EQ(3u, engine_.steps.size());
}

TEST_F(CallStepsTest, WhoLeavesIsCountedOnceWhereverItStood) {
  uint64_t left = 0;
  for (const char* step : {"resolve", "allocate", "submit"}) {
    engine_.stop = step;
    call_.Begin(Start());
    call_.End();
    EXPECT_FALSE(engine_.waiting()) << step;
    EXPECT_EQ(++left, engine_.Counted(StatusCode::kCancelled)) << step;
    call_.End();
    EXPECT_EQ(left, engine_.Counted(StatusCode::kCancelled)) << step;
  }
  engine_.stop.clear();
  call_.plan_later = true;
  call_.Begin(Start());
  call_.End();
  call_.Continue(OkStatus());
  EXPECT_EQ(++left, engine_.Counted(StatusCode::kCancelled));
  EXPECT_EQ(0u, engine_.Counted(StatusCode::kOk));
}

TEST_F(CallStepsTest, AnUnknownModelIsSaidBeforeWhatIsWrongWithItsRequest) {
  CallStart start = Start();
  start.fault = InvalidArgument("no JSON");
  call_.Begin(start);
  EXPECT_EQ(StatusCode::kInvalidArgument, call_.told.code());
  EXPECT_TRUE(engine_.steps.empty());  // nothing is loaded for it
  EXPECT_EQ(1u, engine_.Counted(StatusCode::kInvalidArgument));
  call_.End();
  start.model = "nobody";
  call_.Begin(start);
  EXPECT_EQ(StatusCode::kNotFound, call_.told.code());
  call_.End();
  start.model = {};  // the request was not even read so far
  call_.Begin(start);
  EXPECT_EQ(StatusCode::kInvalidArgument, call_.told.code());
}

TEST_F(CallStepsTest, WhatIsTooLargeIsSoForEver) {
  engine_.allocated = ResourceExhausted("larger than a channel");
  call_.Begin(Start());
  EXPECT_TRUE(call_.never);
  EXPECT_EQ(StatusCode::kResourceExhausted, call_.told.code());
  call_.End();
  engine_.allocated = Unavailable("full");
  call_.Begin(Start());
  EXPECT_FALSE(call_.never);
}

TEST_F(CallStepsTest, WhoIsNotAdmittedIsCounted) {
  EXPECT_TRUE(Admit(context_, "m", "").ok());
  engine_.admitted = Unavailable("full");
  EXPECT_EQ(StatusCode::kUnavailable, Admit(context_, "m", "").code());
  EXPECT_EQ(1u, engine_.Counted(StatusCode::kUnavailable));
  EXPECT_TRUE(engine_.steps.empty());
}

// One output may have so many; several of a request may not have more.
TEST(CallAnswerTest, WhatIsClassifiedIsBoundedForAllOutputsTogether) {
  auto info = std::make_shared<ModelInfo>();
  info->outputs = {{"a", tensor::Datatype::kInt8, {-1}, false},
                   {"b", tensor::Datatype::kInt8, {-1}, false}};
  engine::ModelRoute route;
  route.info = info;
  const std::vector<std::byte> values(kMostClassified);
  const auto make = [&](uint64_t first, uint64_t second, uint64_t classes) {
    std::vector<engine::OutputTensor> outputs(2);
    for (uint32_t i = 0; i < 2; ++i) {
      const uint64_t count = i == 0 ? first : second;
      outputs[i].desc.index = i;
      outputs[i].desc.datatype = static_cast<uint32_t>(tensor::Datatype::kInt8);
      outputs[i].desc.rank = 1;
      outputs[i].desc.dims[0] = static_cast<int64_t>(count);
      outputs[i].data = std::span(values).subspan(0, count);
    }
    const std::vector<AskedOutput> asked = {{.name = "a", .classes = classes, .index = 0},
                                            {.name = "b", .classes = classes, .index = 1}};
    Classifier classifier;
    CallAnswer answer;
    return answer.Make("m", route, asked, outputs, classifier);
  };
  EXPECT_TRUE(make(kMostClassified - 10, 10, 1).ok());
  const Status many = make(kMostClassified - 10, 11, 1);
  EXPECT_EQ(StatusCode::kInvalidArgument, many.code());
  EXPECT_THAT(std::string(Message(many)), testing::HasSubstr("in one request"));
  EXPECT_TRUE(make(kMostResults / 2, kMostResults / 2, kMostResults / 2).ok());
  EXPECT_EQ(StatusCode::kInvalidArgument,
            make(kMostResults / 2, kMostResults, kMostResults / 2 + 1).code());
}

TEST_F(CallStepsTest, DeadlinesAreTheClientsWithinOurs) {
  CallStart start = Start();
  start.arrived_ns = 1'000'000'000'000;
  const auto allowed = [&](uint64_t timeout_us, uint64_t client_ns) {
    start.timeout_us = timeout_us;
    start.client_deadline_ns = client_ns == 0 ? 0 : start.arrived_ns + client_ns;
    call_.Begin(start);
    call_.End();
    return engine_.deadline_ns - start.arrived_ns;
  };
  EXPECT_EQ(30 * kNanosPerSecond, allowed(0, 0));
  EXPECT_EQ(5 * kNanosPerMicro, allowed(5, 0));
  EXPECT_EQ(60 * kNanosPerSecond, allowed(UINT64_MAX, 0));
  EXPECT_EQ(40 * kNanosPerSecond, allowed(0, 40 * kNanosPerSecond));
  EXPECT_EQ(60 * kNanosPerSecond, allowed(0, 90 * kNanosPerSecond));
  EXPECT_EQ(1 * kNanosPerSecond, allowed(2'000'000, 1 * kNanosPerSecond));
}

}  // namespace
}  // namespace mlos::frontend
