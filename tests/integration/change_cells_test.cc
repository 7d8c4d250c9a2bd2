// SPDX-License-Identifier: Apache-2.0
//
// Every change in every state, one test per cell of catalog/state.h's tables,
// over real plugin hosts: the answer, its HTTP status, and what is then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <optional>

#include "catalog/state.h"
#include "frontends/common/status_map.h"
#include "held_core.h"

namespace mlos::test {
namespace {

using catalog::Answer;
using catalog::Change;
using catalog::State;
using catalog::Verdict;
using testing::HasSubstr;
using K = OperationKind;

struct Cell {
  bool plugin;
  Change change;
  std::string_view name;
  State state;
  catalog::Answer answer;
};

// Of every row that there is: one that no test knows fails.
std::vector<Cell> Cells() {
  std::vector<Cell> cells;
  for (const bool plugin : {true, false}) {
    for (const auto& row : plugin ? catalog::PluginChanges() : catalog::ModelChanges()) {
      for (size_t s = 0; s < catalog::kStates; ++s) {
        cells.push_back({plugin, row.change, row.name, static_cast<State>(s), row.answers[s]});
      }
    }
  }
  return cells;
}

void PrintTo(const Cell& cell, std::ostream* out) { *out << cell.name; }

std::string CellName(const testing::TestParamInfo<Cell>& info) {
  std::string name = info.param.plugin ? "Plugin_" : "Model_";
  for (const char c : info.param.name) name += std::isalnum(c) != 0 ? c : '_';
  return name + "_when_" + std::string(StateName(info.param.state));
}

class ChangeCellTest : public testing::TestWithParam<Cell> {
 protected:
  const Cell& cell() const { return GetParam(); }
  std::string StateNow() { return cell().plugin ? held_.PluginState() : held_.ModelState(); }
  std::string WantedState() { return std::string(StateName(cell().state)); }

  // Brings the object into the cell's state.  What it takes to leave a state
  // that passes by itself is under way, and held.
  void Bring() {
    if (!cell().plugin) {
      held_.BringPlugin();
    } else if (cell().change == Change::kSwapTo) {  // something to swap from
      held_.BringPlugin("0.5.0");
      held_.BringModel();
    }
    if (cell().plugin) {
      held_.KnowPlugin();
    } else {
      held_.KnowModel();
    }
    switch (cell().state) {
      case State::kRegistered:
        return;
      case State::kLoading:
        held_.Hold(cell().plugin ? "create" : "load");
        running_ = Act(Load());
        break;
      case State::kReady:
        ASSERT_TRUE(Await(Act(Load())).status.ok());
        return;
      case State::kDraining:
        ASSERT_TRUE(Await(Act(Load())).status.ok());
        held_.Hold(cell().plugin ? "destroy" : "unload");
        running_ = Act(Unload());
        break;
      case State::kUnloaded:
        ASSERT_TRUE(Await(Act(Load())).status.ok());
        ASSERT_TRUE(Await(Act(Unload())).status.ok());
        return;
      case State::kFailed:
        held_.Fail(cell().plugin ? "create" : "load");
        ASSERT_EQ(StatusCode::kUnavailable, Await(Act(Load())).status.code());
        held_.GoOn();
        return;
    }
    ASSERT_TRUE(WaitUntil([&] { return StateNow() == WantedState(); }));
    held_.Settle();
    ASSERT_FALSE(IsAnswered(*running_));
  }

  K Load() const { return cell().plugin ? K::kLoadPlugin : K::kLoadModel; }
  K Unload() const { return cell().plugin ? K::kUnloadPlugin : K::kUnloadModel; }
  K Remove() const { return cell().plugin ? K::kRemovePlugin : K::kRemoveModel; }
  std::future<Outcome> Act(K kind, bool wait = true) {
    return cell().plugin ? held_.Plugin(kind, "1.0.0", wait) : held_.Model(kind, "1", wait);
  }

  std::future<Outcome> Apply(bool wait = true) {
    switch (cell().change) {
      case Change::kRegisterSame:
        return cell().plugin ? held_.RegisterPlugin(held_.Package()) : held_.RegisterModel();
      case Change::kRegisterOther:
        return cell().plugin ? held_.RegisterPlugin(held_.OtherPackage())
                             : held_.RegisterModel(1, R"({"platform":"other"})");
      case Change::kLoad:
        return Act(Load(), wait);
      case Change::kUnload:
        return Act(Unload(), wait);
      case Change::kRemove:
        return Act(Remove());
      case Change::kSwapTo:
        return held_.Swap("1.0.0", wait);
      case Change::kInfer:
        return held_.Infer();
    }
    ADD_FAILURE() << "a change without a test";
    return {};
  }

  // Where the change leads.
  std::string Goal() const {
    switch (cell().change) {
      case Change::kLoad:
      case Change::kSwapTo:
      case Change::kInfer:
        return "ready";
      case Change::kUnload:
        return "unloaded";
      case Change::kRemove:
        return "none";
      case Change::kRegisterSame:
      case Change::kRegisterOther:
        break;
    }
    return "not a change that is done";
  }

  int HttpStatus(const Outcome& out) const {
    return frontend::HttpStatus(out.status.code(), cell().change == Change::kInfer
                                                       ? frontend::Surface::kInference
                                                       : frontend::Surface::kManagement);
  }

  void ExpectRefused(const Outcome& out) {
    const Answer& answer = cell().answer;
    EXPECT_EQ(answer.code, out.status.code()) << out.status;
    EXPECT_EQ(answer.code == StatusCode::kUnavailable ? 503 : 409, HttpStatus(out));
    if (cell().change == Change::kInfer) {
      EXPECT_THAT(Text(out), HasSubstr(std::string(answer.text)));
    } else {
      const std::string label = cell().plugin ? "plugin held 1.0.0 " : "model m version 1 ";
      EXPECT_EQ(label + std::string(answer.text), Text(out));
      EXPECT_NE("", out.hint);
    }
  }

  void ExpectOk(const Outcome& out) {
    EXPECT_TRUE(out.status.ok()) << out.status;
    EXPECT_EQ(200, HttpStatus(out));
    EXPECT_FALSE(out.created);
    EXPECT_FALSE(out.accepted);
  }

  HeldCore held_;
  std::optional<std::future<Outcome>> running_;
};

TEST_P(ChangeCellTest, IsAnsweredAsTheTableSays) {
  ASSERT_NO_FATAL_FAILURE(Bring());
  ASSERT_EQ(WantedState(), StateNow());
  const auto before = held_.Stored();
  std::future<Outcome> change = Apply();
  switch (cell().answer.verdict) {
    case Verdict::kDo:
      ExpectOk(Await(change));
      EXPECT_EQ(Goal(), StateNow());
      break;
    case Verdict::kAlready:
      ExpectOk(Await(change));
      EXPECT_EQ(WantedState(), StateNow());
      EXPECT_EQ(before, held_.Stored());
      break;
    case Verdict::kJoin:
      held_.Settle();
      EXPECT_FALSE(IsAnswered(change));
      held_.GoOn();
      ExpectOk(Await(change));
      EXPECT_EQ(Goal(), StateNow());
      break;
    case Verdict::kRefuse:
      ExpectRefused(Await(change));
      if (cell().change != Change::kInfer) ExpectRefused(Await(Apply(/*wait=*/false)));
      EXPECT_EQ(WantedState(), StateNow());
      EXPECT_EQ(before, held_.Stored());
      break;
  }
  if (cell().plugin && cell().change == Change::kSwapTo) {
    const bool swapped = cell().answer.verdict == Verdict::kDo;
    EXPECT_EQ(swapped ? "1.0.0" : "0.5.0", held_.ActiveVersion());
    EXPECT_TRUE(Await(held_.Infer()).status.ok());
  }
  // What it was stopped in goes on to its end.
  held_.GoOn();
  if (running_) {
    const Outcome out = Await(*running_);
    EXPECT_TRUE(out.status.ok()) << out.status;
  }
  EXPECT_EQ(held_.Known(), held_.Stored());
}

INSTANTIATE_TEST_SUITE_P(Tables, ChangeCellTest, testing::ValuesIn(Cells()), CellName);

}  // namespace
}  // namespace mlos::test
