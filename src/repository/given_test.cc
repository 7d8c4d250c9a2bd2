// SPDX-License-Identifier: Apache-2.0
#include "repository/given_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace mlos::repository {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string MakeDirectory() {
  char name[] = "/tmp/mlos-given-XXXXXX";
  return mkdtemp(name);
}

class GivenTest : public testing::Test {
 protected:
  GivenTest() { fs::create_directory(base_ + "/models"); }
  ~GivenTest() override { fs::remove_all(base_); }

  void Write(const std::string& path, const std::string& content = "x") {
    const fs::path file = base_ + "/models/" + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  StatusOr<FoundModel> Find(const Given& given, const std::string& name = "m") {
    StatusOr<GivenStore::Room> room = store_.Reserve(given);
    if (!room.ok()) return room.status();
    return FindGiven(name, given, {base_ + "/models"}, claims_, store_, *std::move(room));
  }
  std::string Refused(const Given& given) {
    const StatusOr<FoundModel> found = Find(given);
    EXPECT_EQ(StatusCode::kInvalidArgument, found.status().code()) << found.status();
    return std::string(Message(found.status()));
  }
  size_t Kept() const {
    std::error_code none;
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(store_root(), none), fs::directory_iterator()));
  }
  std::string store_root() const { return base_ + "/data/given"; }

  const std::string base_ = MakeDirectory();
  GivenStore store_{base_ + "/data/given", nullptr, 100'000};
  std::vector<Claim> claims_ = {{"onnxruntime", {"onnx"}}, {"template", {"affine"}}};
};

TEST_F(GivenTest, AConfigurationStandsForThatOfTheRepository) {
  Write("m/1/model.onnx");
  Write("m/2/model.onnx");
  Write("m/config.pbtxt", "max_batch_size: 8");
  const auto found = Find({R"({"version_policy":{"specific":{"versions":[1]}}})", {}});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(found->Wanted(), testing::ElementsAre(1));
  EXPECT_FALSE(found->config->contains("max_batch_size"));
  EXPECT_EQ(base_ + "/models", found->repository);
  const auto other = Find({R"({"max_batch_size":4})", {}});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(found->versions[1].fingerprint, other->versions[1].fingerprint);
  EXPECT_EQ(StatusCode::kNotFound, Find({"{}", {}}, "none").status().code());
}

TEST_F(GivenTest, FilesStandForThoseOfTheRepositoryWhileTheyAreHeld) {
  Write("m/3/model.onnx");
  {
    const auto found = Find({R"({"output":[{"name":"Y","label_filename":"names.txt"}]})",
                             {{"1/model.affine", "scale"}, {"names.txt", "cat\ndog\n"}}});
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(1u, found->versions.size());
    EXPECT_EQ(1u, found->versions[0].number);
    EXPECT_EQ("template", found->versions[0].plugin);
    EXPECT_EQ("dog", found->labels->at("Y").at(1));
    std::vector<size_t> changed;
    const catalog::Artefact artefact = found->versions[0].artefact;
    const auto files = catalog::OpenArtefact(artefact, &changed);
    ASSERT_TRUE(files.ok()) << files.status();
    char text[8] = {};
    ASSERT_EQ(5, read(files->at(0).get(), text, sizeof text));
    EXPECT_STREQ("scale", text);
    EXPECT_EQ(1u, Kept());
  }
  EXPECT_EQ(0u, Kept());
}

TEST_F(GivenTest, WhatIsRefusedLeavesNothing) {
  const std::string config = "{}";
  EXPECT_THAT(Refused({"", {{"1/model.onnx", "x"}}}), HasSubstr("without \"config\""));
  EXPECT_THAT(Refused({"", {}}), HasSubstr("\"config\" is empty"));
  EXPECT_THAT(Refused({"{", {{"1/model.onnx", "x"}}}), HasSubstr("\"config\""));
  EXPECT_THAT(Refused({R"({"max_batch":1})", {{"1/model.onnx", "x"}}}), HasSubstr("max_batch"));
  EXPECT_THAT(Refused({R"({"name":"other"})", {{"1/model.onnx", "x"}}}), HasSubstr("'other'"));
  EXPECT_THAT(Refused({R"({"ensemble_scheduling":{}})", {{"1/model.onnx", "x"}}}),
              HasSubstr("ensemble_scheduling"));
  EXPECT_THAT(
      Refused({R"({"version_policy":{"specific":{"versions":[2]}}})", {{"1/model.onnx", "x"}}}),
      HasSubstr("version 2"));
  EXPECT_THAT(Refused({config, {{"model.onnx", "x"}}}), HasSubstr("no version"));
  EXPECT_THAT(Refused({config, {{"0/model.onnx", "x"}}}), HasSubstr("no version"));
  EXPECT_THAT(Refused({config, {{"1/notes.txt", "x"}}}), HasSubstr("no file in a format"));
  EXPECT_THAT(Refused({config, {{"config.pbtxt", "x"}}}), HasSubstr("\"config\""));
  EXPECT_THAT(Refused({config, {{"1/a", "x"}, {"1/a", "y"}}}), HasSubstr("another one"));
  EXPECT_THAT(Refused({config, {{"1/a", "x"}, {"1/a/b", "y"}}}), HasSubstr("another one"));
  EXPECT_THAT(Refused({config, {{"1/a/b", "x"}, {"1/a", "y"}}}), HasSubstr("another one"));
  EXPECT_EQ(0u, Kept());
}

TEST_F(GivenTest, NoPathLeadsOut) {
  const std::string canary = base_ + "/data/canary";
  const std::string zero("1/a\0b", 5);
  for (const std::string& path :
       {std::string(), std::string("/"), std::string("/etc/passwd"), std::string("../canary"),
        std::string("1/../../../canary"), std::string("1//model.onnx"), std::string("1/"),
        std::string("./1/model.onnx"), std::string("1/.hidden"), zero, std::string("1/\n"),
        std::string("1/\xff"), std::string(300, 'a'), "1/" + std::string(5000, 'a'),
        std::string("1/2/3/4/5/6/7/8/9")}) {
    Refused({"{}", {{path, "x"}}});
  }
  EXPECT_FALSE(fs::exists(canary));
  for (const char* name : {"..", "a/b", "", "."}) {
    EXPECT_EQ(StatusCode::kInvalidArgument,
              Find({"{}", {{"1/model.onnx", "x"}}}, name).status().code());
  }
  EXPECT_EQ(0u, Kept());
  Given many{"{}", {}};
  for (size_t i = 0; i <= kMaxGivenFiles; ++i) {
    many.files.push_back({"1/" + std::to_string(i), ""});
  }
  EXPECT_THAT(std::string(Message(CheckGiven(many))), HasSubstr("more than 1000"));
}

TEST_F(GivenTest, AllTogetherAreBounded) {
  const Given large{"{}", {{"1/model.onnx", std::string(60'000, 'x')}}};
  auto first = Find(large);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(StatusCode::kUnavailable, Find(large).status().code());
  first = NotFound("let go");
  EXPECT_TRUE(Find(large).ok());
}

TEST_F(GivenTest, DirectoriesCountToo) {
  Given deep{"{}", {{"1/model.onnx", "x"}}};
  for (const char* name : {"1/a/1/2/3/4/5/6", "1/b/1/2/3/4/5/6", "1/c/1/2/3/4/5/6"}) {
    deep.files.push_back({name, ""});
  }
  EXPECT_EQ(StatusCode::kUnavailable, Find(deep).status().code());
  deep.files.pop_back();
  EXPECT_TRUE(Find(deep).ok());
}

TEST_F(GivenTest, ContentMayBeInBase64) {
  const auto found = Find({"{}", {{"1/model.affine", "c2NhbGU=", true}, {"1/empty", "", true}}});
  ASSERT_TRUE(found.ok()) << found.status();
  std::ifstream file(found->versions[0].artefact.directory + "/model.affine");
  EXPECT_EQ("scale", std::string(std::istreambuf_iterator<char>(file), {}));
  for (const char* bad : {"c2NhbGU", "c2N*bGU="}) {
    EXPECT_THAT(Refused({"{}", {{"1/model.affine", bad, true}}}),
                testing::AllOf(HasSubstr("1/model.affine"), HasSubstr("base64")));
  }
  // What counts is what will be there.
  EXPECT_TRUE(Find({"{}", {{"1/model.onnx", std::string(100'000, 'A'), true}}}).ok());
}

TEST_F(GivenTest, WhoLetsGoOfThemRemovesNothing) {
  std::shared_ptr<const void> left;
  const GivenStore store(
      store_root(), [&](std::shared_ptr<const void> files) { left = std::move(files); }, 100'000);
  const Given given{"{}", {{"1/model.affine", std::string(60'000, 'x')}}};
  auto room = store.Reserve(given);
  auto kept = store.Write("m", given.files, *std::move(room));
  room = NotFound("let go");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_FALSE(store.Reserve(given).ok());
  kept = NotFound("let go");
  EXPECT_EQ(1u, Kept());
  // What is written next is written when they are gone.
  EXPECT_TRUE(store.Reserve(given).ok());
  left.reset();
  EXPECT_EQ(0u, Kept());
}

TEST_F(GivenTest, WhatAnEarlierRunLeftGoes) {
  fs::create_directories(store_root() + "/abc/m/1");
  store_.Sweep();
  EXPECT_FALSE(fs::exists(store_root()));
}

}  // namespace
}  // namespace mlos::repository
