// SPDX-License-Identifier: Apache-2.0
#include "repository/scan.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mlos::repository {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ScanTest : public testing::Test {
 protected:
  ScanTest() {
    char name[] = "/tmp/mlos-scan-XXXXXX";
    base_ = mkdtemp(name);
    root_ = base_ + "/repository";
    fs::create_directory(root_);
  }
  ~ScanTest() override { fs::remove_all(base_); }

  void Write(const std::string& path, const std::string& content = "x") {
    const fs::path file = root_ + "/" + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  FoundRepository Scan() {
    const catalog::Stop go{false};
    auto found = ScanRepository(root_, claims_, go);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *std::move(found) : FoundRepository();
  }
  FoundModel Only() {
    FoundRepository found = Scan();
    EXPECT_EQ(1u, found.models.size());
    return found.models.empty() ? FoundModel() : found.models.front();
  }

  std::string base_;
  std::string root_;
  std::vector<Claim> claims_ = {{"onnxruntime", {"onnx"}}, {"template", {"affine"}}};
};

TEST_F(ScanTest, FindsModelsAndTheirVersions) {
  Write("b/2/model.onnx");
  Write("b/10/model.onnx");
  Write("b/010/model.onnx");
  Write("b/0/model.onnx");
  Write("b/docs/page.md");
  Write("a/1/weights.affine");
  Write("README.md");
  Write(".git/1/model.onnx");
  const FoundRepository found = Scan();
  ASSERT_EQ(2u, found.models.size());
  EXPECT_EQ("a", found.models[0].name);
  EXPECT_EQ("template", found.models[0].versions.at(0).plugin);
  EXPECT_EQ("weights.affine", found.models[0].versions[0].artefact.main_file);
  const FoundModel& b = found.models[1];
  ASSERT_EQ(2u, b.versions.size());
  EXPECT_EQ(2u, b.versions[0].number);
  EXPECT_EQ(10u, b.versions[1].number);
  EXPECT_EQ(root_ + "/b/10", b.versions[1].artefact.directory);
  EXPECT_EQ("", b.versions[1].fault);
  EXPECT_THAT(b.Wanted(), ElementsAre(10));  // the latest, where nothing is said
  EXPECT_THAT(found.complaints, testing::IsEmpty());
}

TEST_F(ScanTest, TheConfigurationSaysWhichVersions) {
  Write("m/1/model.onnx");
  Write("m/2/model.onnx");
  Write("m/3/model.onnx");
  Write("m/config.pbtxt", "version_policy { all {} }");
  EXPECT_THAT(Only().Wanted(), ElementsAre(1, 2, 3));
  Write("m/config.pbtxt", "version_policy { latest { num_versions: 2 } }");
  EXPECT_THAT(Only().Wanted(), ElementsAre(2, 3));
  Write("m/config.pbtxt", "version_policy { specific { versions: [1, 7] } }");
  const FoundModel model = Only();
  EXPECT_THAT(model.Wanted(), ElementsAre(1, 7));
  EXPECT_EQ(7u, model.versions.back().number);
  EXPECT_THAT(model.versions.back().fault, HasSubstr("no such version"));
  Write("m/config.pbtxt", "version_policy { specific { versions: [0] } }");
  EXPECT_THAT(Only().fault, HasSubstr("version 0"));
}

TEST_F(ScanTest, TheConfigurationPicksPluginAndFile) {
  Write("m/1/model.onnx");
  Write("m/1/other.onnx");
  Write("m/config.pbtxt",
        "platform: \"onnxruntime_onnx\" default_model_filename: \"other.onnx\" max_batch_size: 2");
  FoundModel model = Only();
  EXPECT_EQ("onnxruntime", model.versions.at(0).plugin);
  EXPECT_EQ("other.onnx", model.versions[0].artefact.main_file);
  EXPECT_EQ(2, model.config->at("max_batch_size").to_number<int>());
  Write("m/config.pbtxt", "backend: \"tensorrt\"");
  EXPECT_THAT(Only().fault, testing::AllOf(HasSubstr("'tensorrt'"), HasSubstr("onnxruntime")));
  claims_.push_back({"rival", {"onnx"}});
  Write("m/config.pbtxt", "");
  EXPECT_THAT(Only().versions.at(0).fault, HasSubstr("rival"));
}

TEST_F(ScanTest, WhatIsWrongIsSaidOfTheModelAlone) {
  Write("good/1/model.onnx");
  Write("empty/config.pbtxt", "");
  Write("typo/1/model.onnx");
  Write("typo/config.pbtxt", "name: \"typo\"\nmax_batch: 1");
  Write("other/1/model.onnx");
  Write("other/config.pbtxt", "name: \"another\"");
  Write("ensemble/1/model.onnx");
  Write("ensemble/config.pbtxt", "ensemble_scheduling {}");
  Write("strange/1/model.pt");
  Write("bad name/1/model.onnx");
  const FoundRepository found = Scan();
  ASSERT_EQ(6u, found.models.size());
  EXPECT_THAT(found.models[0].fault, HasSubstr("no version"));
  EXPECT_THAT(found.models[1].fault, HasSubstr("ensemble_scheduling"));
  EXPECT_EQ("", found.models[2].fault);
  EXPECT_EQ("", found.models[2].versions.at(0).fault);
  EXPECT_THAT(found.models[3].fault, HasSubstr("'another'"));
  EXPECT_THAT(found.models[4].versions.at(0).fault, HasSubstr("format"));
  EXPECT_THAT(found.models[5].fault, HasSubstr("config.pbtxt: line 2, column 1"));
  EXPECT_EQ(1u, found.models[5].versions.size());  // it is known what there is
  EXPECT_THAT(found.complaints, ElementsAre(HasSubstr("'bad name'")));
}

TEST_F(ScanTest, NothingIsReadThroughALink) {
  const std::string secret = base_ + "/secret.onnx";
  std::ofstream(secret) << "secret";
  fs::create_directories(base_ + "/outside/1");
  std::ofstream(base_ + "/outside/1/model.onnx") << "x";
  fs::create_symlink(base_ + "/outside", root_ + "/directory");
  Write("version/2/model.onnx");
  fs::create_symlink(base_ + "/outside/1", root_ + "/version/3");
  fs::create_directories(root_ + "/file/1");
  fs::create_symlink(secret, root_ + "/file/1/model.onnx");
  Write("hard/1/model.onnx");
  if (geteuid() == 0) {  // of another owner; only root can give files away
    fs::remove(root_ + "/hard/1/model.onnx");
    ASSERT_EQ(0, chown(secret.c_str(), 1, 1));
    fs::create_hard_link(secret, root_ + "/hard/1/model.onnx");
  }
  Write("config/1/model.onnx");
  fs::create_symlink(secret, root_ + "/config/config.pbtxt");
  fs::create_directories(root_ + "/fifo/1");
  ASSERT_EQ(0, mkfifo((root_ + "/fifo/1/model.onnx").c_str(), 0600));
  const FoundRepository found = Scan();
  ASSERT_EQ(6u, found.models.size());
  for (const FoundModel& model : found.models) {
    if (model.name == "hard" && geteuid() != 0) continue;
    const std::string fault = model.fault.empty() ? model.versions.back().fault : model.fault;
    EXPECT_THAT(fault, testing::AnyOf(HasSubstr("symbolic link"), HasSubstr("hard link"),
                                      HasSubstr("plain file")))
        << model.name;
  }
}

// Whoever may write into a model's directory could else have the daemon read what he may not.
TEST_F(ScanTest, AHardLinkIsReadOnlyWhereItsOwnerIsTheDirectorys) {
  const std::string other = base_ + "/other";
  const auto link = [&](const std::string& path, const std::string& content, bool strange) {
    fs::remove(other);
    std::ofstream(other) << content;
    if (strange) {
      ASSERT_EQ(0, chown(other.c_str(), 1, 1));
    }
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    fs::remove(root_ + "/" + path);
    fs::create_hard_link(other, root_ + "/" + path);
  };
  const auto fault = [&] {
    const FoundModel model = Only();
    return model.fault.empty() ? model.versions.back().fault : model.fault;
  };
  const std::pair<const char*, const char*> files[] = {
      {"m/1/model.onnx", "x"},
      {"m/1/weights/w.bin", "x"},
      {"m/config.pbtxt", "output { name: \"y\" label_filename: \"names.txt\" }"},
      {"m/names.txt", "cat\n"},
  };
  for (const auto& [path, content] : files) link(path, content, false);
  EXPECT_EQ("", fault());      // a store of models may well be made of links
  if (geteuid() != 0) return;  // only root can give files away
  for (const auto& [path, content] : files) {
    link(path, content, true);
    EXPECT_THAT(fault(), HasSubstr("hard link")) << path;
    // By another owner, and no link: it was put there.
    fs::remove(other);
    EXPECT_EQ("", fault()) << path;
    link(path, content, false);
  }
  // A file that is exchanged for one after the directory was read.
  const catalog::Artefact artefact = Only().versions.back().artefact;
  link("m/1/model.onnx", "x", true);
  std::vector<size_t> changed;
  const auto opened = catalog::OpenArtefact(artefact, &changed);
  EXPECT_EQ(StatusCode::kInvalidArgument, opened.status().code());
  EXPECT_THAT(std::string(Message(opened.status())), HasSubstr("hard link"));
}

TEST_F(ScanTest, LabelsLieBeneathTheModel) {
  Write("m/1/model.onnx");
  Write("m/names/labels.txt", "cat\r\ndog\n\nbird\n\n");
  const auto config = [&](const std::string& file) {
    Write("m/config.pbtxt", "output { name: \"y\" label_filename: \"" + file + "\" }");
    return Only();
  };
  EXPECT_THAT(config("names/labels.txt").labels->at("y"), ElementsAre("cat", "dog", "", "bird"));
  std::ofstream(base_ + "/secret") << "secret";
  for (const char* path :
       {"../../secret", "/etc/hostname", "names", "nobody", "names/../../../x"}) {
    const FoundModel model = config(path);
    EXPECT_THAT(model.fault, HasSubstr("labels of output 'y'")) << path;
    EXPECT_EQ(nullptr, model.labels);
  }
  Write("m/names/labels.txt", "a\n\xff\n");
  EXPECT_THAT(config("names/labels.txt").fault, HasSubstr("line 2"));
  Write("m/names/labels.txt", std::string(kMaxLabelBytes + 1, 'x'));
  EXPECT_THAT(config("names/labels.txt").fault, HasSubstr("bytes"));
}

TEST_F(ScanTest, TheLabelsOfAllOutputsAreBounded) {
  Write("m/1/model.onnx");
  Write("m/l", std::string(kMaxLabelBytes / 2, 'x'));
  std::string config;
  for (const char* output : {"a", "b", "c"}) {
    config += std::string("output { name: \"") + output + "\" label_filename: \"l\" }\n";
    Write("m/config.pbtxt", config);
    EXPECT_EQ(output[0] == 'c', Only().fault.find("all outputs") != std::string::npos) << output;
  }
  Write("m/config.pbtxt", "output { name: \"a\" label_filename: \"l\" }");
  Write("m/l", std::string(kMaxLabels, '\n') + "x");
  EXPECT_THAT(Only().fault, HasSubstr("lines"));
}

TEST_F(ScanTest, WhatCannotBeReadIsToldFromWhatIsGone) {
  Write("m/1/model.onnx");
  EXPECT_FALSE(Only().unread);
  for (size_t i = 0; i <= 2 * kMaxVersions; ++i) {
    fs::create_directory(root_ + "/m/entry" + std::to_string(i));
  }
  EXPECT_TRUE(Only().unread);
  EXPECT_THAT(Only().fault, HasSubstr("entries"));
  fs::remove_all(root_ + "/m");
  fs::create_directory_symlink(base_, root_ + "/m");
  EXPECT_TRUE(Only().unread);
  fs::remove(root_ + "/m");
  fs::create_directory(root_ + "/m");
  EXPECT_FALSE(Only().unread);  // there is no version, and that is all
  if (geteuid() == 0) return;   // whom no permission stops
  Write("m/1/model.onnx");
  fs::permissions(root_ + "/m", fs::perms::none);
  EXPECT_TRUE(Only().unread);
  fs::permissions(root_ + "/m", fs::perms::owner_all);
}

TEST_F(ScanTest, AFingerprintIsOfAllThatMatters) {
  Write("m/1/model.onnx");
  const auto print = [&] { return Only().versions.at(0).fingerprint; };
  std::set<std::string> seen = {print()};
  EXPECT_EQ(1u, seen.count(print()));
  Write("m/1/model.onnx", "longer");
  EXPECT_TRUE(seen.insert(print()).second);
  Write("m/1/weights.bin");
  EXPECT_TRUE(seen.insert(print()).second);
  Write("m/config.pbtxt", "output { name: \"y\" label_filename: \"l\" }");
  EXPECT_TRUE(seen.insert(print()).second);
  Write("m/l", "a\nb");
  EXPECT_TRUE(seen.insert(print()).second);
  Write("m/l", "b\na");
  EXPECT_TRUE(seen.insert(print()).second);
  fs::create_directory(base_ + "/other");
  fs::rename(root_ + "/m", base_ + "/other/m");
  root_ = base_ + "/other";
  EXPECT_TRUE(seen.insert(print()).second);
}

TEST_F(ScanTest, OneModelOrNone) {
  Write("m/1/model.onnx");
  const auto model = ScanModel(root_, "m", claims_);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(1u, model->versions.size());
  EXPECT_EQ(StatusCode::kNotFound, ScanModel(root_, "n", claims_).status().code());
  for (const char* name : {"../m", "..", "a/b", ""}) {
    EXPECT_EQ(StatusCode::kInvalidArgument, ScanModel(root_, name, claims_).status().code());
  }
  const catalog::Stop go{false};
  EXPECT_FALSE(ScanRepository(root_ + "/none", claims_, go).ok());
}

}  // namespace
}  // namespace mlos::repository
