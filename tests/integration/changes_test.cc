// SPDX-License-Identifier: Apache-2.0
//
// Changes that meet: what docs/changes.md says of duplicates, of changes that
// come while another is half-way, and of loads that fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "catalog/version_policy.h"
#include "held_core.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;
using K = OperationKind;

StatusCode Code(std::future<Outcome>& future) { return Await(future).status.code(); }
StatusCode Code(std::future<Outcome>&& future) { return Code(future); }

class ChangesTest : public testing::Test {
 protected:
  // A swap from 0.5.0, which runs "m", that waits for 1.0.0 to come up.
  void BeginSwap() {
    held_.BringPlugin("0.5.0");
    held_.BringModel();
    held_.KnowPlugin();
    held_.Hold("create");
    swap_ = held_.Swap("1.0.0");
    ASSERT_TRUE(WaitUntil([&] { return held_.PluginState() == "loading"; }));
  }
  // A load of the plugin that waits to come up.
  void BeginLoad() {
    held_.KnowPlugin();
    held_.KnowModel();
    held_.Hold("create");
    plugin_ = held_.Plugin(K::kLoadPlugin);
    ASSERT_TRUE(WaitUntil([&] { return held_.PluginState() == "loading"; }));
  }
  // What follows of itself, such as what a policy unloads, may still be written.
  void TearDown() override {
    EXPECT_TRUE(WaitUntil([&] { return held_.Known() == held_.Stored(); }));
  }

  HeldCore held_;
  std::future<Outcome> swap_;
  std::future<Outcome> plugin_;
};

// ---------------------------------------------------------------- while a swap

TEST_F(ChangesTest, ALoadOfTheVersionThatASwapStartsEndsWithTheSwap) {
  BeginSwap();
  auto load = held_.Plugin(K::kLoadPlugin);
  held_.Settle();
  EXPECT_FALSE(IsAnswered(load));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(load));
  EXPECT_EQ(StatusCode::kOk, Code(swap_));
  EXPECT_EQ("1.0.0", held_.ActiveVersion());
}

TEST_F(ChangesTest, ALoadOfTheVersionThatASwapStartsFailsWithTheSwap) {
  BeginSwap();
  auto load = held_.Plugin(K::kLoadPlugin);
  held_.Fail("create");
  held_.Settle();
  held_.Release();
  EXPECT_EQ(StatusCode::kUnavailable, Code(load));
  EXPECT_EQ(StatusCode::kUnavailable, Code(swap_));
  EXPECT_FALSE(held_.Wanted());
  EXPECT_EQ("failed", held_.PluginState());
  EXPECT_EQ("0.5.0", held_.ActiveVersion());
  EXPECT_TRUE(Await(held_.Infer()).status.ok());
}

TEST_F(ChangesTest, AnUnloadOfTheVersionThatASwapEndsEndsWithTheSwap) {
  held_.BringPlugin("0.5.0");
  held_.KnowPlugin();
  held_.Hold("destroy", "0.5.0");
  auto swap = held_.Swap("1.0.0");
  ASSERT_TRUE(WaitUntil([&] { return held_.PluginState("0.5.0") == "draining"; }));
  auto unload = held_.Plugin(K::kUnloadPlugin, "0.5.0");
  held_.Settle();
  EXPECT_FALSE(IsAnswered(unload));
  held_.GoOn("0.5.0");
  EXPECT_EQ(StatusCode::kOk, Code(unload));
  EXPECT_EQ(StatusCode::kOk, Code(swap));
  EXPECT_EQ("unloaded", held_.PluginState("0.5.0"));
}

TEST_F(ChangesTest, AVersionThatASwapDoesNotTouchCanBeUnloadedMeanwhile) {
  held_.BringPlugin("0.5.0");
  held_.BringPlugin("0.7.0");
  held_.KnowPlugin();
  held_.Hold("create");
  auto swap = held_.Swap("1.0.0");
  ASSERT_TRUE(WaitUntil([&] { return held_.PluginState() == "loading"; }));
  EXPECT_EQ(StatusCode::kFailedPrecondition, Code(held_.Plugin(K::kUnloadPlugin, "0.5.0")));
  EXPECT_EQ(StatusCode::kOk, Code(held_.Plugin(K::kUnloadPlugin, "0.7.0")));
  EXPECT_EQ(StatusCode::kFailedPrecondition, Code(held_.Swap("0.7.0")));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(swap));
}

TEST_F(ChangesTest, ChangesOfModelsWaitForTheSwitch) {
  BeginSwap();
  held_.KnowModel(2);
  auto load = held_.Model(K::kLoadModel, "2");
  auto unload = held_.Model(K::kUnloadModel, "1");
  held_.Settle();
  EXPECT_FALSE(IsAnswered(load));
  EXPECT_FALSE(IsAnswered(unload));
  EXPECT_EQ("ready", held_.ModelState("1"));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(swap_));
  EXPECT_EQ(StatusCode::kOk, Code(load));
  EXPECT_EQ(StatusCode::kOk, Code(unload));
  EXPECT_EQ("unloaded", held_.ModelState("1"));
  EXPECT_EQ("ready", held_.ModelState("2"));
}

TEST_F(ChangesTest, RequestsOfAModelThatIsBeingUnloadedAreAnsweredBeforeItsHostGoes) {
  held_.BringPlugin("0.5.0");
  held_.BringModel();
  held_.KnowPlugin();
  held_.Hold("execute", "0.5.0");
  std::vector<std::future<Outcome>> requests;
  for (int i = 0; i < 8; ++i) requests.push_back(held_.Infer());
  held_.Settle();
  auto unload = held_.Model(K::kUnloadModel);
  auto swap = held_.Swap("1.0.0");
  ASSERT_TRUE(WaitUntil([&] { return held_.ActiveVersion() == "1.0.0"; }));
  held_.Settle();
  EXPECT_EQ("draining", held_.ModelState());
  EXPECT_EQ("ready", held_.HostState("0.5.0"));  // not told to stop
  held_.GoOn("0.5.0");
  for (auto& request : requests) {
    const Outcome out = Await(request);
    EXPECT_TRUE(out.status.ok()) << out.status;
  }
  EXPECT_EQ(StatusCode::kOk, Code(unload));
  EXPECT_EQ(StatusCode::kOk, Code(swap));
}

TEST_F(ChangesTest, ModelsThatShouldBeLoadedGetTheirChanceAfterASwap) {
  BeginSwap();
  held_.KnowModel(2);
  const Status set = held_.core().OnControl([&] {  // as a host leaves it that died for good
    catalog::ModelVersion& model = **held_.core().catalog().FindModel("m", "2");
    model.state = catalog::State::kFailed;
    return held_.core().catalog().SetDesired(model, catalog::Desired::kLoaded);
  });
  ASSERT_TRUE(set.ok());
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(swap_));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("2") == "ready"; }));
}

TEST_F(ChangesTest, AVersionWhoseHostDiedInASwapIsNotStartedBesideIt) {
  BeginSwap();
  // It is started again a few times before it counts as failed.
  ASSERT_TRUE(WaitUntil([&] {
    KillOne(held_.HostPid("0.5.0"));
    return held_.PluginState("0.5.0") == "failed";
  }));
  EXPECT_EQ(StatusCode::kFailedPrecondition, Code(held_.Plugin(K::kLoadPlugin, "0.5.0")));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(swap_));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState() == "ready"; }));
  EXPECT_TRUE(Await(held_.Infer()).status.ok());
  EXPECT_EQ(1u, held_.core().OnControl([&] { return held_.core().manager().Hosts().size(); }));
}

// ------------------------------------------------- while the plugin is loading

TEST_F(ChangesTest, ARequestWaitsForThePluginAndThenForItsModel) {
  BeginLoad();
  auto request = held_.Infer();
  auto load = held_.Model(K::kLoadModel);
  held_.Settle();
  EXPECT_FALSE(IsAnswered(load));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(request));
  EXPECT_EQ(StatusCode::kOk, Code(load));
  EXPECT_EQ(StatusCode::kOk, Code(plugin_));
  EXPECT_EQ("loaded", held_.DesiredOf());
}

TEST_F(ChangesTest, ARequestWhosePluginFailsIsRefusedAndTheNextTriesAgain) {
  BeginLoad();
  held_.Fail("create");
  auto request = held_.Infer();
  held_.Settle();
  held_.Release();
  EXPECT_EQ(StatusCode::kUnavailable, Code(request));
  EXPECT_EQ(StatusCode::kUnavailable, Code(plugin_));
  EXPECT_EQ("registered", held_.ModelState());
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(held_.Plugin(K::kLoadPlugin)));
  EXPECT_EQ(StatusCode::kOk, Code(held_.Infer()));
}

TEST_F(ChangesTest, AnUnloadEndsALoadThatWaitsForItsPlugin) {
  BeginLoad();
  auto load = held_.Model(K::kLoadModel);
  auto request = held_.Infer();
  held_.Settle();
  EXPECT_EQ(StatusCode::kOk, Code(held_.Model(K::kUnloadModel)));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(plugin_));
  const Outcome out = Await(load);
  EXPECT_EQ(StatusCode::kFailedPrecondition, out.status.code());
  EXPECT_THAT(Text(out), HasSubstr("unloaded"));
  EXPECT_EQ(StatusCode::kUnavailable, Code(request));
  EXPECT_EQ("unloaded", held_.ModelState());
  EXPECT_EQ("unloaded", held_.DesiredOf());
}

TEST_F(ChangesTest, AnUnloadIsNotUndoneByALoadThatFailsAfterIt) {
  BeginLoad();
  held_.Fail("create");
  auto load = held_.Model(K::kLoadModel);
  held_.Settle();
  EXPECT_EQ(StatusCode::kOk, Code(held_.Model(K::kUnloadModel)));
  held_.Release();
  EXPECT_EQ(StatusCode::kUnavailable, Code(plugin_));
  EXPECT_NE(StatusCode::kOk, Code(load));
  EXPECT_EQ("unloaded", held_.ModelState());
  EXPECT_EQ("unloaded", held_.DesiredOf());
}

TEST_F(ChangesTest, ARemovalEndsALoadThatWaitsForItsPlugin) {
  BeginLoad();
  auto load = held_.Model(K::kLoadModel);
  auto request = held_.Infer();
  held_.Settle();
  EXPECT_EQ(StatusCode::kOk, Code(held_.Model(K::kRemoveModel)));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(plugin_));
  EXPECT_EQ(StatusCode::kUnavailable, Code(load));
  EXPECT_EQ(StatusCode::kUnavailable, Code(request));
  EXPECT_EQ("none", held_.ModelState());
}

TEST_F(ChangesTest, WhereOneVersionOfThePluginFailsTheLoadGoesOnWithTheOther) {
  held_.KnowPlugin("0.5.0");
  held_.Hold("create", "0.5.0");
  BeginLoad();
  auto first = held_.Plugin(K::kLoadPlugin, "0.5.0");
  auto load = held_.Model(K::kLoadModel);
  held_.Settle();
  held_.Fail("create", "0.5.0");
  held_.Release("0.5.0");
  EXPECT_EQ(StatusCode::kUnavailable, Code(first));
  held_.Settle();
  EXPECT_FALSE(IsAnswered(load));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(plugin_));
  EXPECT_EQ(StatusCode::kOk, Code(load));
  EXPECT_EQ("loaded", held_.DesiredOf());
}

// ------------------------------------------------------------ loads that fail

TEST_F(ChangesTest, AfterAFailedLoadTheModelIsWantedAsBeforeWhoeverWaited) {
  held_.BringPlugin();
  held_.KnowModel();
  held_.Hold("load");
  held_.Fail("load");
  std::vector<std::future<Outcome>> waiting;
  waiting.push_back(held_.Infer());
  held_.Settle();
  for (int i = 0; i < 3; ++i) waiting.push_back(held_.Model(K::kLoadModel));
  held_.Settle();
  EXPECT_EQ("loading", held_.ModelState());
  held_.Release();
  for (auto& each : waiting) {
    const Outcome out = Await(each);
    EXPECT_EQ(StatusCode::kUnavailable, out.status.code());
    EXPECT_THAT(Text(out), HasSubstr("it was told to fail"));
  }
  EXPECT_EQ("failed", held_.ModelState());
  EXPECT_EQ("on_demand", held_.DesiredOf());
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(held_.Model(K::kLoadModel)));
  EXPECT_EQ("loaded", held_.DesiredOf());
}

TEST_F(ChangesTest, AfterAFailedLoadThePluginIsWantedAsBeforeWhoeverWaited) {
  BeginLoad();
  held_.Fail("create");
  auto second = held_.Plugin(K::kLoadPlugin);
  held_.Settle();
  held_.Release();
  EXPECT_EQ(StatusCode::kUnavailable, Code(plugin_));
  EXPECT_EQ(StatusCode::kUnavailable, Code(second));
  EXPECT_EQ("failed", held_.PluginState());
  EXPECT_FALSE(held_.Wanted());
}

TEST_F(ChangesTest, WhatTheStoreRefusesDoesNotHappen) {
  held_.BringPlugin("0.5.0");
  held_.BringPlugin("0.7.0");
  held_.BringModel();
  held_.KnowModel(2);
  held_.KnowPlugin();
  const auto before = held_.Stored();
  held_.core().OnControl([&] {
    held_.core().store().FailWith(ResourceExhausted("no space is left"));
    return 0;
  });
  const StatusCode full = StatusCode::kUnavailable;  // whoever asks has no part in it
  EXPECT_EQ(full, Code(held_.Plugin(K::kLoadPlugin)));
  EXPECT_EQ(full, Code(held_.Plugin(K::kUnloadPlugin, "0.7.0")));
  EXPECT_EQ(full, Code(held_.Plugin(K::kRemovePlugin)));
  EXPECT_EQ(full, Code(held_.RegisterPlugin(held_.Package("2.0.0"))));
  EXPECT_EQ(full, Code(held_.Model(K::kUnloadModel)));
  EXPECT_EQ(full, Code(held_.Model(K::kRemoveModel, "2")));
  EXPECT_EQ(full, Code(held_.Model(K::kLoadModel, "2")));
  EXPECT_EQ(full, Code(held_.RegisterModel(3)));
  EXPECT_EQ(full, Code(held_.Swap("1.0.0")));
  EXPECT_EQ("0.5.0", held_.ActiveVersion());
  EXPECT_EQ("ready", held_.PluginState("0.7.0"));
  // It is there as a request would have brought it; that it should stay was not kept.
  EXPECT_EQ("ready", held_.ModelState("2"));
  EXPECT_EQ("none", held_.ModelState("3"));
  EXPECT_TRUE(Await(held_.Infer()).status.ok());  // requests do not need the store
  held_.core().OnControl([&] {
    held_.core().store().FailWith(OkStatus());
    return 0;
  });
  EXPECT_EQ(before, held_.Stored());
  EXPECT_EQ(StatusCode::kOk, Code(held_.Swap("1.0.0")));
}

// --------------------------------------------------------------- other changes

TEST_F(ChangesTest, APluginThatRunsModelsIsNotUnloaded) {
  held_.BringPlugin();
  held_.BringModel(1);
  held_.BringModel(2);
  const Outcome out = Await(held_.Plugin(K::kUnloadPlugin));
  EXPECT_EQ(StatusCode::kFailedPrecondition, out.status.code());
  EXPECT_EQ("plugin held 1.0.0 runs 2 models: unload them first", Text(out));
  EXPECT_EQ("ready", held_.PluginState());
  EXPECT_TRUE(held_.Wanted());
}

TEST_F(ChangesTest, WhatThePolicyAdmitsGoesOnlyWhenTheNewVersionIsThere) {
  held_.BringPlugin();
  held_.BringModel(1);
  held_.KnowModel(2);
  const auto policy = [&] {
    return held_.Apply({.kind = K::kSetModelPolicy,
                        .name = "m",
                        .body = {{"version_policy", {{"latest", {{"num_versions", 1}}}}}}});
  };
  const auto label = [&](const std::string& text) {
    return held_.Apply(
        {.kind = K::kLabelModel, .name = "m", .body = {{"label", text}, {"version", "1"}}});
  };
  EXPECT_EQ(StatusCode::kOk, Code(policy()));
  held_.Hold("load");
  held_.Fail("load");
  auto failing = held_.Model(K::kLoadModel, "2");
  EXPECT_EQ(StatusCode::kOk, Code(label("old")));
  EXPECT_EQ("ready", held_.ModelState("1"));
  held_.Release();
  EXPECT_EQ(StatusCode::kUnavailable, Code(failing));
  EXPECT_EQ("ready", held_.ModelState("1"));
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(held_.Model(K::kLoadModel, "2")));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("1") == "unloaded"; }));
  EXPECT_EQ("unloaded", held_.DesiredOf("1"));
  const Outcome again = Await(held_.Model(K::kLoadModel, "1"));
  EXPECT_EQ(StatusCode::kFailedPrecondition, again.status.code());
  EXPECT_THAT(Text(again), HasSubstr("the latest version"));
  EXPECT_EQ("unloaded", held_.DesiredOf("1"));
}

// As a daemon does at its start with what another one left.
TEST_F(ChangesTest, AfterARestartTheOlderVersionServesUntilTheNewerIsThere) {
  const std::string gone = held_.File("gone.test");
  held_.KnowPlugin();
  held_.KnowModel(1);
  ASSERT_EQ(StatusCode::kOk, Code(held_.RegisterModel(2, "{}", gone)));
  std::filesystem::remove(gone);
  const auto reconcile = [&] {
    held_.core().OnControl([&] {
      catalog::Catalog& catalog = held_.core().catalog();
      EXPECT_TRUE(catalog.SetWanted(**catalog.FindPlugin("held", "1.0.0"), true).ok());
      for (const char* version : {"1", "2"}) {
        EXPECT_TRUE(
            catalog.SetDesired(**catalog.FindModel("m", version), catalog::Desired::kLoaded).ok());
      }
      catalog::VersionPolicy latest;
      latest.kind = catalog::VersionPolicy::Kind::kLatest;
      EXPECT_TRUE(catalog.SetPolicy("m", latest).ok());
      held_.core().manager().Reconcile();
      return 0;
    });
  };
  reconcile();
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("1") == "ready"; }));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("2") == "failed"; }));
  EXPECT_EQ("loaded", held_.DesiredOf("1"));
  EXPECT_EQ(StatusCode::kOk, Code(held_.Infer()));
  EXPECT_THAT(held_.core().OnFront([&] { return held_.core().engine().routes()->not_ready; }),
              testing::StartsWith("model m version 2 is failed: the model's file 'gone.test'"));
  // The newer one can be loaded after all.
  held_.File("gone.test");
  ASSERT_EQ(StatusCode::kOk, Code(held_.Model(K::kRemoveModel, "2")));
  ASSERT_EQ(StatusCode::kOk, Code(held_.RegisterModel(2, "{}", gone)));
  ASSERT_EQ(StatusCode::kOk, Code(held_.Model(K::kLoadModel, "2")));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("1") == "unloaded"; }));
  EXPECT_EQ("unloaded", held_.DesiredOf("1"));
}

TEST_F(ChangesTest, AfterARestartTheNewerVersionPushesTheOlderOneOut) {
  held_.KnowPlugin();
  held_.KnowModel(1);
  held_.KnowModel(2);
  held_.core().OnControl([&] {
    catalog::Catalog& catalog = held_.core().catalog();
    EXPECT_TRUE(catalog.SetWanted(**catalog.FindPlugin("held", "1.0.0"), true).ok());
    for (const char* version : {"1", "2"}) {
      EXPECT_TRUE(
          catalog.SetDesired(**catalog.FindModel("m", version), catalog::Desired::kLoaded).ok());
    }
    catalog::VersionPolicy latest;
    latest.kind = catalog::VersionPolicy::Kind::kLatest;
    EXPECT_TRUE(catalog.SetPolicy("m", latest).ok());
    held_.core().manager().Reconcile();
    return 0;
  });
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("2") == "ready"; }));
  EXPECT_EQ("unloaded", held_.DesiredOf("1"));  // with that, not after it
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("1") == "unloaded"; }));
}

TEST_F(ChangesTest, ALoadThatWasPromisedIsKeptUntilItFails) {
  held_.BringPlugin();
  held_.KnowModel();
  held_.Hold("load");
  held_.Fail("load");
  const Outcome promised = Await(held_.Model(K::kLoadModel, "1", false));
  EXPECT_TRUE(promised.accepted) << promised.status;
  EXPECT_EQ("loaded", held_.DesiredOf());  // a daemon that starts now loads it
  EXPECT_TRUE(held_.core().OnControl([&] { return held_.core().manager().Ready(); }));
  EXPECT_EQ(held_.Known(), held_.Stored());
  held_.Release();
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState() == "failed"; }));
  EXPECT_TRUE(WaitUntil([&] { return held_.DesiredOf() == "on_demand"; }));
  EXPECT_EQ(held_.Known(), held_.Stored());
  held_.GoOn();
  EXPECT_TRUE(Await(held_.Model(K::kLoadModel, "1", false)).accepted);
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState() == "ready"; }));
  EXPECT_EQ("loaded", held_.DesiredOf());
}

// Ended in the middle, hosts and all, it leaves what was promised to the next daemon.
TEST_F(ChangesTest, ALoadThatWasPromisedOutlivesTheDaemon) {
  held_.BringPlugin("0.5.0");
  held_.KnowModel();
  held_.Hold("load", "0.5.0");
  EXPECT_TRUE(Await(held_.Model(K::kLoadModel, "1", false)).accepted);
  held_.KnowPlugin();
  held_.Hold("create");
  EXPECT_TRUE(Await(held_.Plugin(K::kLoadPlugin, "1.0.0", false)).accepted);
  ASSERT_TRUE(WaitUntil([&] { return held_.HostPid("1.0.0") > 1; }));
  std::promise<void> stopped;
  held_.core().OnControl([&] {
    held_.core().manager().StopAll([&] { stopped.set_value(); });
    held_.core().manager().KillHosts();
    return 0;
  });
  ASSERT_EQ(std::future_status::ready, stopped.get_future().wait_for(std::chrono::seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState() == "failed"; }));
  EXPECT_TRUE(WaitUntil([&] { return held_.PluginState() == "failed"; }));
  held_.Settle();
  EXPECT_EQ("loaded", held_.DesiredOf());
  EXPECT_TRUE(held_.Wanted());
}

TEST_F(ChangesTest, ALoadThatIsPromisedTwiceIsOneLoad) {
  held_.BringPlugin();
  held_.KnowModel();
  held_.Hold("load");
  const Outcome refused = [&] {
    for (int i = 0; i < 2000; ++i) {  // more than may be under way
      Outcome out = Await(held_.Model(K::kLoadModel, "1", false));
      if (!out.accepted) return out;
      EXPECT_EQ("loading", out.body.at("state").as_string());
    }
    return Outcome();
  }();
  EXPECT_TRUE(refused.status.ok()) << refused.status;
  held_.GoOn();
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState() == "ready"; }));
  EXPECT_EQ("loaded", held_.DesiredOf());
}

// Unloaded meanwhile, it is another promise that is asked for.
TEST_F(ChangesTest, ALoadThatIsPromisedAgainAfterAnUnloadIsKept) {
  BeginLoad();
  EXPECT_TRUE(Await(held_.Model(K::kLoadModel, "1", false)).accepted);
  EXPECT_EQ(StatusCode::kOk, Code(held_.Model(K::kUnloadModel)));
  EXPECT_TRUE(Await(held_.Model(K::kLoadModel, "1", false)).accepted);
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(plugin_));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState() == "ready"; }));
  EXPECT_EQ("loaded", held_.DesiredOf());
}

// Who waits is told once when it goes on, and may count on it from then.
TEST_F(ChangesTest, TheBeginningOfALoadIsToldBeforeItsEnd) {
  held_.BringPlugin();
  held_.KnowModel();
  held_.Hold("load");
  std::vector<Outcome> begun;  // of the control loop
  const auto load = [&](const std::string& version) {
    control::Operation operation;
    operation.kind = K::kLoadModel;
    operation.name = "m";
    operation.version = version;
    operation.begun = [&](const Outcome& outcome) { begun.push_back(outcome); };
    return held_.Apply(std::move(operation));
  };
  auto first = load("1");
  auto second = load("1");  // the promise stands; its end is awaited all the same
  held_.Settle();
  EXPECT_EQ(2u, held_.core().OnControl([&] { return begun.size(); }));
  EXPECT_FALSE(IsAnswered(first));
  EXPECT_FALSE(IsAnswered(second));
  EXPECT_EQ("loaded", held_.DesiredOf());
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(first));
  EXPECT_EQ(StatusCode::kOk, Code(second));
  // Neither what is refused at once nor what is there has a beginning.
  EXPECT_EQ(StatusCode::kNotFound, Code(load("7")));
  EXPECT_EQ(StatusCode::kOk, Code(load("1")));
  ASSERT_EQ(2u, held_.core().OnControl([&] { return begun.size(); }));
  for (const Outcome& outcome : begun) {
    EXPECT_TRUE(outcome.accepted);
    EXPECT_EQ("loading", outcome.body.at("state").as_string());
  }
}

TEST_F(ChangesTest, TheBeginningOfASwapIsToldBeforeItsEnd) {
  held_.BringPlugin("0.5.0");
  held_.KnowPlugin();
  held_.Hold("create");
  std::vector<Outcome> begun;  // of the control loop
  const auto begin = [&] {
    return held_.Apply({.kind = K::kSwapPlugin,
                        .name = "held",
                        .body = {{"to", "1.0.0"}},
                        .begun = [&](const Outcome& outcome) { begun.push_back(outcome); }});
  };
  auto swap = begin();
  EXPECT_EQ(StatusCode::kFailedPrecondition, Code(begin())) << "two at a time";
  EXPECT_FALSE(IsAnswered(swap));
  ASSERT_EQ(1u, held_.core().OnControl([&] { return begun.size(); }));
  held_.GoOn();
  const Outcome done = Await(swap);
  EXPECT_TRUE(begun[0].accepted);
  EXPECT_EQ("running", begun[0].body.at("state").as_string());
  EXPECT_FALSE(done.accepted);
  EXPECT_EQ("done", done.body.at("state").as_string());
}

TEST_F(ChangesTest, ChangesThatWaitAreBounded) {
  held_.BringPlugin();
  held_.KnowModel();
  held_.Hold("load");
  std::vector<std::future<Outcome>> waiting;
  for (int i = 0; i < 512; ++i) waiting.push_back(held_.Model(K::kLoadModel));
  const Outcome refused = Await(held_.Model(K::kLoadModel));
  EXPECT_EQ(StatusCode::kUnavailable, refused.status.code());
  EXPECT_THAT(Text(refused), HasSubstr("512 changes of model m version 1 are under way"));
  EXPECT_EQ("loading", held_.ModelState());
  auto request = held_.Infer();  // they are no matter of requests
  held_.GoOn();
  for (auto& each : waiting) EXPECT_EQ(StatusCode::kOk, Code(each));
  EXPECT_EQ(StatusCode::kOk, Code(request));
  EXPECT_EQ(StatusCode::kOk, Code(held_.Model(K::kLoadModel)));
}

TEST_F(ChangesTest, AnUnloadOfAllThatIsRefusedForOneIsSaidWhileAnotherGoes) {
  held_.BringPlugin();
  held_.BringModel(1);
  held_.KnowModel(2);
  held_.Hold("load");  // and what comes after it
  auto load = held_.Model(K::kLoadModel, "2");
  ASSERT_TRUE(WaitUntil([&] { return held_.ModelState("2") == "loading"; }));
  for (const bool wait : {false, true}) {
    const Outcome refused =
        Await(held_.Apply({.kind = K::kUnloadModelVersions, .name = "m", .wait = wait}));
    EXPECT_EQ(StatusCode::kFailedPrecondition, refused.status.code()) << refused.status;
    EXPECT_THAT(Text(refused), HasSubstr("version 2"));
    EXPECT_EQ("draining", held_.ModelState("1"));
  }
  held_.GoOn();
  EXPECT_EQ(StatusCode::kOk, Code(load));
  EXPECT_TRUE(WaitUntil([&] { return held_.ModelState("1") == "unloaded"; }));
}

TEST_F(ChangesTest, APolicyThatLetsNothingServeIsRefused) {
  held_.BringPlugin();
  held_.BringModel(1);
  const auto policy = [&](std::initializer_list<boost::json::value_ref> versions) {
    return Await(
        held_.Apply({.kind = K::kSetModelPolicy,
                     .name = "m",
                     .body = {{"version_policy",
                               {{"specific", {{"versions", boost::json::array(versions)}}}}}}}));
  };
  for (const Outcome& refused : {policy({}), policy({2, 3})}) {
    EXPECT_EQ(StatusCode::kFailedPrecondition, refused.status.code());
    EXPECT_THAT(Text(refused), HasSubstr("would let nothing serve"));
    EXPECT_THAT(Text(refused), HasSubstr("model m has version 1"));
  }
  EXPECT_EQ("ready", held_.ModelState());
  EXPECT_EQ(StatusCode::kOk, policy({1, 2}).status.code());
  EXPECT_EQ("ready", held_.ModelState());
}

// What waits is bounded, and what gave up leaves nothing behind.
TEST_F(ChangesTest, RequestsThatWaitForOneLoadAreBounded) {
  held_.BringPlugin();
  held_.KnowModel();
  held_.Hold("load");
  TestCore& core = held_.core();
  const Input input = MakeInput(tensor::Datatype::kFp32, std::vector<float>{1});
  std::vector<std::future<Answer>> brief;
  for (int i = 0; i < 100; ++i) brief.push_back(core.Start("m", {input}, 10));
  for (auto& late : brief) EXPECT_EQ(StatusCode::kDeadlineExceeded, late.get().status.code());
  std::vector<std::future<Answer>> waiting;
  for (int i = 0; i < 512; ++i) waiting.push_back(core.Start("m", {input}, 60'000));
  const Answer refused = core.Infer("m", {input});
  EXPECT_EQ(StatusCode::kUnavailable, refused.status.code());
  EXPECT_THAT(std::string(Message(refused.status)),
              HasSubstr("512 requests wait for model \"m\" version 1 to be loaded already"));
  EXPECT_EQ(1, core.loads_asked());
  held_.Release();
  for (auto& answer : waiting) EXPECT_TRUE(answer.get().status.ok());
  EXPECT_TRUE(core.Infer("m", {input}).status.ok());
  EXPECT_EQ(1, core.loads_asked());
}

TEST_F(ChangesTest, NothingIsStartedOnceTheEndHasBegun) {
  held_.KnowPlugin();
  held_.core().OnControl([&] {
    held_.core().manager().StopAll([] {});
    return 0;
  });
  EXPECT_EQ(StatusCode::kUnavailable, Code(held_.Plugin(K::kLoadPlugin)));
  EXPECT_EQ(0u, held_.core().OnControl([&] { return held_.core().manager().Hosts().size(); }));
}

}  // namespace
}  // namespace mlos::test
