// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "catalog/catalog_test_support.h"

namespace mlos::catalog {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class CatalogTest : public testing::Test {
 protected:
  std::string Write(const std::string& path, const std::string& text = "x") {
    return files_.Write(path, text);
  }
  std::string Package(const std::string& name, const std::string& version,
                      const std::string& formats = "onnx") {
    return files_.Package(name, version, formats);
  }
  ModelSpec Spec(const std::string& name, const std::string& path) {
    ModelSpec spec;
    spec.name = name;
    spec.path = path;
    return spec;
  }

  TestFiles files_;
  const fs::path& root_ = files_.root();
  state::MemoryStore store_;
  Catalog catalog_{store_};
};

TEST_F(CatalogTest, TheSamePluginAgainIsFineAnotherUnderItsNameIsNot) {
  const std::string path = Package("ort", "1.0.0");
  const auto first = catalog_.RegisterPlugin(path);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->created);
  const auto again = catalog_.RegisterPlugin(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->created);
  EXPECT_EQ(first->record, again->record);
  Write("plugins/ort-1.0.0/lib.so", "another build");
  EXPECT_EQ(StatusCode::kAlreadyExists, catalog_.RegisterPlugin(path).status().code());
}

TEST_F(CatalogTest, APathMustBeAbsoluteAndThere) {
  EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.RegisterPlugin("rel").status().code());
  EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.RegisterPlugin("").status().code());
  EXPECT_EQ(StatusCode::kNotFound, catalog_.RegisterPlugin("/nowhere/at/all").status().code());
}

TEST_F(CatalogTest, AModelFindsThePluginThatClaimsItsFormat) {
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("ort", "1.0.0")).ok());
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("xgb", "1.0.0", "ubj")).ok());
  const auto model = catalog_.RegisterModel(Spec("m", Write("m/model.onnx")));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ("ort", model->record->plugin);
  EXPECT_EQ("model.onnx", model->record->artefact.main_file);
  const auto none = catalog_.RegisterModel(Spec("n", Write("m/model.weird")));
  EXPECT_EQ(StatusCode::kInvalidArgument, none.status().code());
  EXPECT_THAT(std::string(Message(none.status())), HasSubstr("ort, xgb"));
}

TEST_F(CatalogTest, TwoPluginsThatClaimAFormatMustBeToldApart) {
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("a", "1.0.0")).ok());
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("b", "1.0.0")).ok());
  ModelSpec spec = Spec("m", Write("m.onnx"));
  EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.RegisterModel(spec).status().code());
  spec.plugin = "b";
  EXPECT_TRUE(catalog_.RegisterModel(spec).ok());
  spec.name = "other";
  spec.plugin = "c";
  EXPECT_EQ(StatusCode::kInvalidArgument, catalog_.RegisterModel(spec).status().code());
}

TEST_F(CatalogTest, ADirectoryGivesItsMainFileAndItsOthers) {
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("ort", "1.0.0")).ok());
  Write("dir/net.onnx");
  Write("dir/weights/part.bin");
  Write("dir/.hidden");
  const auto model = catalog_.RegisterModel(Spec("m", root_ / "dir"));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ("net.onnx", model->record->artefact.main_file);
  EXPECT_EQ((std::vector<std::string>{"net.onnx", "weights/part.bin"}),
            model->record->artefact.files);
  std::vector<size_t> changed;
  const auto fds = OpenArtefact(model->record->artefact, &changed);
  ASSERT_TRUE(fds.ok()) << fds.status();
  EXPECT_EQ(2u, fds->size());

  Write("dir/second.onnx");
  EXPECT_EQ(StatusCode::kInvalidArgument,
            catalog_.RegisterModel(Spec("n", root_ / "dir")).status().code());
  ModelSpec named = Spec("n", root_ / "dir");
  named.config["default_model_filename"] = "second.onnx";
  EXPECT_TRUE(catalog_.RegisterModel(named).ok());
}

TEST_F(CatalogTest, LinksAreNotFollowed) {
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("ort", "1.0.0")).ok());
  const std::string secret = Write("secret.bin", "canary");
  Write("dir/model.onnx");
  fs::create_symlink(secret, root_ / "dir/weights.bin");
  fs::create_directory_symlink(root_ / "dir", root_ / "link");
  const auto model = catalog_.RegisterModel(Spec("m", root_ / "dir"));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((std::vector<std::string>{"model.onnx"}), model->record->artefact.files);
  EXPECT_EQ(StatusCode::kInvalidArgument,
            catalog_.RegisterModel(Spec("n", root_ / "link")).status().code());
  // A file that becomes a link after it was registered is refused when opened.
  fs::remove(root_ / "dir/model.onnx");
  fs::create_symlink(secret, root_ / "dir/model.onnx");
  std::vector<size_t> changed;
  EXPECT_FALSE(OpenArtefact(model->record->artefact, &changed).ok());
}

TEST_F(CatalogTest, SpecialFilesAreNoModels) {
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("ort", "1.0.0")).ok());
  ASSERT_EQ(0, mkfifo((root_ / "pipe.onnx").c_str(), 0600));
  EXPECT_EQ(StatusCode::kInvalidArgument,
            catalog_.RegisterModel(Spec("m", root_ / "pipe.onnx")).status().code());
}

TEST_F(CatalogTest, VersionsAndRemoval) {
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("ort", "1.0.0")).ok());
  ModelSpec spec = Spec("m", Write("m.onnx"));
  ASSERT_TRUE(catalog_.RegisterModel(spec)->created);
  EXPECT_FALSE(catalog_.RegisterModel(spec)->created);
  ModelSpec other = spec;
  other.config["max_batch_size"] = 4;
  EXPECT_EQ(StatusCode::kAlreadyExists, catalog_.RegisterModel(other).status().code());
  other.version = 2;
  EXPECT_TRUE(catalog_.RegisterModel(other)->created);

  const auto found = catalog_.FindModel("m", "2");
  ASSERT_TRUE(found.ok());
  (*found)->state = State::kReady;
  EXPECT_EQ(StatusCode::kFailedPrecondition, catalog_.RemoveModel("m", "2").code());
  (*found)->state = State::kUnloaded;
  EXPECT_TRUE(catalog_.RemoveModel("m", "2").ok());
  EXPECT_EQ(StatusCode::kNotFound, catalog_.RemoveModel("m", "2").code());
  EXPECT_EQ(StatusCode::kNotFound, catalog_.FindModel("m", "x").status().code());
  EXPECT_TRUE(catalog_.RemoveModel("m", "1").ok());
  EXPECT_EQ(StatusCode::kNotFound, catalog_.FindModel("m", "1").status().code());
}

TEST_F(CatalogTest, BadNamesAreRefused) {
  ASSERT_TRUE(catalog_.RegisterPlugin(Package("ort", "1.0.0")).ok());
  const std::string file = Write("m.onnx");
  for (const char* name : {"", "../x", "a/b", ".hidden", "a b", "ä"}) {
    EXPECT_EQ(StatusCode::kInvalidArgument,
              catalog_.RegisterModel(Spec(name, file)).status().code())
        << name;
  }
}

TEST(ParseModelVersionTest, TakesWholeNumbersFromOneOn) {
  EXPECT_EQ(1u, *ParseModelVersion("1"));
  EXPECT_EQ(9223372036854775807u, *ParseModelVersion("9223372036854775807"));
  for (const char* text : {"", "0", "01", "-1", "1.0", "9223372036854775808", "x", "1 "}) {
    EXPECT_FALSE(ParseModelVersion(text).ok()) << text;
  }
}

}  // namespace
}  // namespace mlos::catalog
