// SPDX-License-Identifier: Apache-2.0
//
// Models that a model repository holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/catalog_test_support.h"

namespace mlos::catalog {
namespace {

using testing::HasSubstr;

class HeldTest : public testing::Test {
 protected:
  ModelVersion Held(const std::string& name, uint64_t version) {
    ModelVersion model;
    model.name = name;
    model.version = version;
    model.repository = "/srv/models";
    return model;
  }
  size_t Stored() {
    const auto records = store_.Load();
    return records.ok() ? records->size() : 0;
  }

  TestFiles files_;
  state::MemoryStore store_;
  Catalog catalog_{store_};
};

TEST_F(HeldTest, NothingOfThemIsStored) {
  const auto model = catalog_.HoldModel(Held("m", 2));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(State::kUnloaded, (*model)->state);
  catalog_.HoldPolicy("m", {.kind = VersionPolicy::Kind::kLatest});
  EXPECT_TRUE(catalog_.SetDesired(**model, Desired::kLoaded).ok());
  EXPECT_EQ(Desired::kLoaded, (*model)->desired);
  catalog_.NoteChecksums(**model, {});
  EXPECT_TRUE(catalog_.SaveChecksums().ok());
  EXPECT_EQ(0u, Stored());
  EXPECT_TRUE(catalog_.IsHeld("m"));
  EXPECT_EQ(*model, catalog_.FindModel((*model)->id));
  catalog_.ForgetModel(**model);
  EXPECT_FALSE(catalog_.IsHeld("m"));
  EXPECT_EQ(VersionPolicy::Kind::kAll, catalog_.Group("m").policy.kind);
}

TEST_F(HeldTest, WhatHasItsNameTakenIsToBeSeenAndNothingElse) {
  ModelVersion model = Held("m", 3);
  model.fault = "taken";
  catalog_.Shadow(model);
  ASSERT_EQ(1u, catalog_.shadowed().count("m"));
  EXPECT_EQ("taken", catalog_.shadowed().at("m").reason);
  EXPECT_EQ(State::kFailed, catalog_.shadowed().at("m").state);
  EXPECT_FALSE(catalog_.FindModel("m", "").ok());
  EXPECT_EQ(0u, Stored());
  EXPECT_TRUE(catalog_.Unshadow("m"));
  EXPECT_FALSE(catalog_.Unshadow("m"));
}

TEST_F(HeldTest, TheirPolicyIsTheRepositorys) {
  const auto first = catalog_.HoldModel(Held("m", 1));
  const auto second = catalog_.HoldModel(Held("m", 2));
  ASSERT_TRUE(first.ok() && second.ok());
  catalog_.HoldPolicy("m", {.kind = VersionPolicy::Kind::kLatest});
  ASSERT_TRUE(catalog_.SetDesired(**second, Desired::kLoaded).ok());
  EXPECT_TRUE(catalog_.CheckPolicy(**second).ok());
  EXPECT_FALSE(catalog_.CheckPolicy(**first).ok());
}

TEST_F(HeldTest, TheyAreNotChangedPastTheRepository) {
  ASSERT_TRUE(catalog_.HoldModel(Held("m", 1)).ok());
  for (const Status& refused : {catalog_.RemoveModel("m", "1"), catalog_.SetLabel("m", "stable", 1),
                                catalog_.SetPolicy("m", VersionPolicy())}) {
    EXPECT_EQ(StatusCode::kFailedPrecondition, refused.code());
    EXPECT_THAT(Message(refused), HasSubstr("repository"));
  }
  ASSERT_TRUE(catalog_.RegisterPlugin(files_.Package("ort", "1.0.0")).ok());
  ModelSpec spec;
  spec.name = "m";
  spec.version = 7;
  spec.path = files_.Write("model.onnx");
  EXPECT_EQ(StatusCode::kAlreadyExists, catalog_.RegisterModel(spec).status().code());
}

TEST_F(HeldTest, ARegisteredNameIsTaken) {
  ASSERT_TRUE(catalog_.RegisterPlugin(files_.Package("ort", "1.0.0")).ok());
  ModelSpec spec;
  spec.name = "m";
  spec.path = files_.Write("model.onnx");
  ASSERT_TRUE(catalog_.RegisterModel(spec).ok());
  EXPECT_EQ(StatusCode::kAlreadyExists, catalog_.HoldModel(Held("m", 2)).status().code());
  EXPECT_FALSE(catalog_.IsHeld("m"));
}

TEST_F(HeldTest, FilesAreReachedThroughNoLink) {
  namespace fs = std::filesystem;
  files_.Write("repository/m/1/model.onnx");
  Artefact artefact;
  artefact.root = files_.root() / "repository";
  artefact.directory = files_.root() / "repository/m/1";
  artefact.files = {"model.onnx"};
  artefact.identities.resize(1);
  std::vector<size_t> changed;
  EXPECT_TRUE(OpenArtefact(artefact, &changed).ok());
  // The model's directory becomes a link after it was looked at.
  fs::rename(files_.root() / "repository/m", files_.root() / "elsewhere");
  fs::create_directory_symlink(files_.root() / "elsewhere", files_.root() / "repository/m");
  EXPECT_FALSE(OpenArtefact(artefact, &changed).ok());
}

}  // namespace
}  // namespace mlos::catalog
