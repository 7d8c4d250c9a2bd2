// SPDX-License-Identifier: Apache-2.0
//
// What the catalog keeps: after a restart, and when the store refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <functional>

#include "catalog/catalog_test_support.h"

namespace mlos::catalog {
namespace {

using testing::HasSubstr;

class PersistenceTest : public testing::Test {
 protected:
  PersistenceTest() {
    EXPECT_TRUE(catalog_.RegisterPlugin(files_.Package("ort", "1.0.0")).ok());
    EXPECT_TRUE(catalog_.RegisterPlugin(files_.Package("ort", "2.0.0")).ok());
    EXPECT_TRUE(catalog_.RegisterModel(Spec("m", 1)).ok());
    EXPECT_TRUE(catalog_.RegisterModel(Spec("m", 2)).ok());
    EXPECT_TRUE(catalog_.SetLabel("m", "stable", 1).ok());
  }
  PluginVersion& one() { return **catalog_.FindPlugin("ort", "1.0.0"); }
  PluginVersion& two() { return **catalog_.FindPlugin("ort", "2.0.0"); }
  ModelVersion& model() { return **catalog_.FindModel("m", "1"); }

  ModelSpec Spec(const std::string& name, uint64_t version) {
    ModelSpec spec;
    spec.name = name;
    spec.version = version;
    spec.path = files_.Write("models/" + name + ".onnx");
    spec.config["max_batch_size"] = 4;
    spec.metadata["team"] = "blue";
    spec.owner = "somebody";
    return spec;
  }
  std::string AfterRestart() {
    Catalog again(store_);
    const Status status = again.Restore();
    EXPECT_TRUE(status.ok()) << status;
    return Durable(again);
  }
  Status RestoreWith(const std::string& kind, const std::string& key, const std::string& value) {
    const state::Change change{kind, key, value};
    EXPECT_TRUE(store_.Commit({&change, 1}).ok());
    Catalog again(store_);
    return again.Restore();
  }

  TestFiles files_;
  state::MemoryStore store_;
  Catalog catalog_{store_};
};

TEST_F(PersistenceTest, EveryChangeIsKeptWholeOrNotMade) {
  const struct {
    const char* name;
    std::function<Status()> change;
  } changes[] = {
      {"RegisterPlugin",
       [&] { return catalog_.RegisterPlugin(files_.Package("xgb", "1.0.0", "ubj")).status(); }},
      {"RegisterModel", [&] { return catalog_.RegisterModel(Spec("n", 1)).status(); }},
      {"AdoptPlugin",
       [&] {
         const std::string package = files_.Package("ort", "2.0.0");
         files_.Write("plugins/ort-2.0.0/lib.so", "another build");
         return catalog_.AdoptPlugin(package).status();
       }},
      {"SetWanted", [&] { return catalog_.SetWanted(one(), true); }},
      {"SetDesired", [&] { return catalog_.SetDesired(model(), Desired::kUnloaded); }},
      {"SetSwapped", [&] { return catalog_.SetSwapped(one(), two()); }},
      {"SetLabel", [&] { return catalog_.SetLabel("m", "stable", 2); }},
      {"SetLabel, away", [&] { return catalog_.SetLabel("m", "stable", 0); }},
      {"SetPolicy",
       [&] {
         return catalog_.SetPolicy("m", {.kind = VersionPolicy::Kind::kSpecific, .versions = {2}});
       }},
      {"SetChecksum",
       [&] { return catalog_.SetChecksum(one(), {.bytes = 1, .modified_ns = 2, .sha256 = "ff"}); }},
      {"SetChecksums",
       [&] {
         return catalog_.SetChecksums(model(), {{.bytes = 1, .modified_ns = 2, .sha256 = "ff"}});
       }},
      {"RemoveModel", [&] { return catalog_.RemoveModel("m", "1"); }},
      {"RemoveModel, the last", [&] { return catalog_.RemoveModel("m", "2"); }},
      {"RemovePlugin", [&] { return catalog_.RemovePlugin("ort", "1.0.0"); }},
  };
  ASSERT_EQ(Durable(catalog_), AfterRestart());
  for (const auto& each : changes) {
    const std::string before = Durable(catalog_);
    store_.FailWith(ResourceExhausted("no space is left"));
    EXPECT_EQ(StatusCode::kUnavailable, each.change().code()) << each.name;
    EXPECT_EQ(before, Durable(catalog_)) << each.name;
    store_.FailWith(OkStatus());
    EXPECT_EQ(before, AfterRestart()) << each.name;
    const Status done = each.change();
    EXPECT_TRUE(done.ok()) << each.name << ": " << done;
    EXPECT_NE(before, Durable(catalog_)) << each.name;
    EXPECT_EQ(Durable(catalog_), AfterRestart()) << each.name;
  }
  EXPECT_EQ(0u, catalog_.models().count("m"));
}

TEST_F(PersistenceTest, ChecksumsThatWereNotedAreKeptTogether) {
  for (const uint64_t version : {1, 2}) {
    const auto model = catalog_.RegisterModel(Spec("sums", version));
    ASSERT_TRUE(model.ok()) << model.status();
    FileIdentity file = model->record->artefact.identities[0];
    file.sha256 = "ff";
    catalog_.NoteChecksums(*model->record, {file});
  }
  ASSERT_TRUE(catalog_.RemoveModel("sums", "1").ok());  // and is not brought back
  EXPECT_NE(Durable(catalog_), AfterRestart());
  EXPECT_TRUE(catalog_.SaveChecksums().ok());
  EXPECT_EQ(Durable(catalog_), AfterRestart());
}

TEST_F(PersistenceTest, WhatChangesNothingNeedsNoStore) {
  ASSERT_TRUE(catalog_.SetWanted(one(), true).ok());
  store_.FailWith(Unavailable("the disk is gone"));
  EXPECT_TRUE(catalog_.SetWanted(one(), true).ok());
  EXPECT_TRUE(catalog_.SetDesired(model(), Desired::kOnDemand).ok());
  EXPECT_TRUE(catalog_.SetLabel("m", "stable", 1).ok());
  EXPECT_TRUE(catalog_.SetPolicy("m", {}).ok());
  EXPECT_TRUE(catalog_.RegisterPlugin(files_.root() / "plugins/ort-1.0.0").ok());
  EXPECT_TRUE(catalog_.RegisterModel(Spec("m", 1)).ok());
}

TEST_F(PersistenceTest, ARestartFindsWhatWasWantedAndNothingRunning) {
  ASSERT_TRUE(catalog_.SetDesired(model(), Desired::kUnloaded).ok());
  ASSERT_TRUE(catalog_.SetWanted(one(), true).ok());
  one().state = State::kReady;
  Catalog again(store_);
  ASSERT_TRUE(again.Restore().ok());
  EXPECT_EQ(State::kUnloaded, (*again.FindModel("m", "1"))->state);
  EXPECT_EQ(State::kUnloaded, (*again.FindModel("m", "stable"))->state);
  EXPECT_EQ(State::kRegistered, (*again.FindModel("m", "2"))->state);
  EXPECT_EQ(State::kRegistered, (*again.FindPlugin("ort", "1.0.0"))->state);
  EXPECT_TRUE((*again.FindPlugin("ort", "1.0.0"))->wanted);
  EXPECT_EQ(nullptr, again.ActivePlugin("ort"));
  EXPECT_NE((*again.FindModel("m", "1"))->id, (*again.FindModel("m", "2"))->id);
}

TEST_F(PersistenceTest, RecordsOfANewerOrDamagedStoreAreRefusedByName) {
  const Status kind = RestoreWith("tenant", "blue", "{}");
  EXPECT_EQ(StatusCode::kDataLoss, kind.code());
  EXPECT_THAT(std::string(Message(kind)), HasSubstr("tenant 'blue'"));
  EXPECT_THAT(std::string(Message(kind)), HasSubstr("newer"));
}

TEST_F(PersistenceTest, ARecordUnderAnotherKeyIsRefused) {
  const Status model = RestoreWith("model", "m/7", Encode(this->model()));
  EXPECT_EQ(StatusCode::kDataLoss, model.code());
  EXPECT_THAT(std::string(Message(model)), HasSubstr("model 'm/7'"));
}

TEST_F(PersistenceTest, APluginUnderAnotherKeyIsRefused) {
  EXPECT_EQ(StatusCode::kDataLoss, RestoreWith("plugin", "ort/9.0.0", Encode(one())).code());
}

TEST_F(PersistenceTest, WhatTheNextStartCouldNotReadIsNotRegistered) {
  const std::string package = files_.Package("odd", "1.0.0");
  files_.Write("plugins/odd-1.0.0/plugin.yaml",
               "name: odd\nversion: 1.0.0\nlibrary: lib.so\nformats: [odd]\n# caf\xe9\n");
  const Status text = catalog_.RegisterPlugin(package).status();
  EXPECT_EQ(StatusCode::kInvalidArgument, text.code());
  EXPECT_THAT(std::string(Message(text)), HasSubstr("UTF-8"));
  EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.AdoptPlugin(package).status().code());
  const std::string good = files_.Package("caf\xe9", "1.0.0");
  EXPECT_FALSE(catalog_.RegisterPlugin(good).ok());
  ModelSpec spec = Spec("large", 1);
  spec.config["x"] = boost::json::parse("1e400");  // infinite, for the reader
  EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.RegisterModel(spec).status().code());
  files_.Write("plugins/ort-2.0.0/plugin.yaml",
               "name: ort\nversion: 2.0.0\nlibrary: lib.so\nformats: [onnx]\n# caf\xe9\n");
  EXPECT_EQ(StatusCode::kInvalidArgument,
            catalog_.AdoptPlugin(files_.root() / "plugins/ort-2.0.0").status().code());
  EXPECT_EQ(Durable(catalog_), AfterRestart());
}

TEST_F(PersistenceTest, AModelOfAnotherSizeIsOtherContent) {
  files_.Write("models/m.onnx", "longer");
  const Status status = catalog_.RegisterModel(Spec("m", 1)).status();
  // Spec() writes the file as it was: the same again.
  EXPECT_TRUE(status.ok()) << status;
  ModelSpec spec = Spec("m", 1);
  files_.Write("models/m.onnx", "longer");
  EXPECT_EQ(StatusCode::kAlreadyExists, catalog_.RegisterModel(spec).status().code());
}

// ------------------------------------------------------------------- adopting

TEST_F(PersistenceTest, AnAdoptedPackageCountsAsItIsNow) {
  const std::string package = files_.root() / "plugins/ort-1.0.0";
  FileIdentity known = one().library;
  known.sha256 = "ff";
  ASSERT_TRUE(catalog_.SetChecksum(one(), known).ok());
  ASSERT_TRUE(catalog_.AdoptPlugin(package).ok());
  EXPECT_EQ("ff", one().library.sha256);  // as it was
  files_.Write("plugins/ort-1.0.0/lib.so", "another build");
  const auto adopted = catalog_.AdoptPlugin(package);
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_FALSE(adopted->created);
  EXPECT_EQ(&one(), adopted->record);
  EXPECT_EQ(13u, one().library.bytes);
  EXPECT_EQ("", one().library.sha256);
  files_.Write("plugins/ort-1.0.0/lib.so", "and another build");
  one().state = State::kReady;
  EXPECT_EQ(StatusCode::kAlreadyExists, catalog_.AdoptPlugin(package).status().code());
  EXPECT_TRUE(catalog_.AdoptPlugin(files_.Package("new", "1.0.0"))->created);
}

// --------------------------------------------------------------------- labels

TEST_F(PersistenceTest, ALabelStandsForAVersionUntilItGoes) {
  EXPECT_EQ(1u, (*catalog_.FindModel("m", "stable"))->version);
  ASSERT_TRUE(catalog_.SetLabel("m", "stable", 2).ok());
  EXPECT_EQ(2u, (*catalog_.FindModel("m", "stable"))->version);
  ASSERT_TRUE(catalog_.SetLabel("m", "old", 1).ok());
  ASSERT_TRUE(catalog_.RemoveModel("m", "stable").ok());  // removes version 2
  EXPECT_EQ(StatusCode::kNotFound, catalog_.FindModel("m", "stable").status().code());
  EXPECT_EQ(1u, (*catalog_.FindModel("m", "old"))->version);
  EXPECT_EQ(Durable(catalog_), AfterRestart());
  ASSERT_TRUE(catalog_.SetLabel("m", "old", 0).ok());
  EXPECT_EQ(StatusCode::kNotFound, catalog_.SetLabel("m", "old", 0).code());
  EXPECT_EQ(StatusCode::kNotFound, catalog_.SetLabel("m", "x", 7).code());
  EXPECT_EQ(StatusCode::kNotFound, catalog_.SetLabel("nobody", "x", 1).code());
  for (const char* bad : {"", "7", "a b", "../x", ".x"}) {
    EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.SetLabel("m", bad, 1).code()) << bad;
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(catalog_.SetLabel("m", "l" + std::to_string(i), 1).ok());
  }
  EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.SetLabel("m", "one-more", 1).code());
}

// ------------------------------------------------------------ the active version

TEST_F(PersistenceTest, TheVersionThatIsActiveStaysSoWhateverIsLoadedLater) {
  PluginVersion& three = *catalog_.RegisterPlugin(files_.Package("ort", "3.0.0"))->record;
  const auto load = [&](PluginVersion& plugin) {
    ASSERT_TRUE(catalog_.SetWanted(plugin, true).ok());
    plugin.state = State::kReady;
    catalog_.ChooseActive("ort");
  };
  const auto unload = [&](PluginVersion& plugin) {
    ASSERT_TRUE(catalog_.SetWanted(plugin, false).ok());
    plugin.state = State::kUnloaded;
    catalog_.ChooseActive("ort");
  };
  load(one());
  load(two());
  EXPECT_EQ(&one(), catalog_.ActivePlugin("ort"));
  unload(one());
  EXPECT_EQ(&two(), catalog_.ActivePlugin("ort"));
  load(one());
  EXPECT_EQ(&two(), catalog_.ActivePlugin("ort"));
  load(three);
  EXPECT_EQ(&two(), catalog_.ActivePlugin("ort"));
  ASSERT_TRUE(catalog_.SetSwapped(two(), three).ok());
  two().state = State::kUnloaded;
  catalog_.ChooseActive("ort");
  EXPECT_EQ(&three, catalog_.ActivePlugin("ort"));
  EXPECT_EQ(&two(), catalog_.PreviousPlugin("ort"));
  EXPECT_EQ(Durable(catalog_), AfterRestart());
}

}  // namespace
}  // namespace mlos::catalog
