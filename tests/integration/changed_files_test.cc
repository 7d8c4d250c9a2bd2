// SPDX-License-Identifier: Apache-2.0
//
// Files that are not any more what was registered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "held_core.h"

namespace mlos::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using K = OperationKind;

void Touch(const std::string& path) {
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(10));
}

class ChangedFilesTest : public testing::Test {
 protected:
  // "m" from a file of its own.  `known`: what is in it was hashed.
  void RegisterModel(bool known) {
    file_ = held_.File("weights.test", "abcdef");
    if (known) {
      ASSERT_TRUE(Await(held_.RegisterModel(1, "{}", file_)).status.ok());
      ASSERT_TRUE(WaitUntil([&] { return !Sum().empty(); }));
    } else {  // as it is for a moment after the registration
      catalog::ModelSpec spec;
      spec.name = "m";
      spec.path = file_;
      spec.plugin = "held";
      ASSERT_TRUE(held_.core().OnControl([&] {
        const bool ok = held_.core().catalog().RegisterModel(spec).ok();
        held_.core().manager().Publish("m");
        return ok;
      }));
    }
  }
  std::string Sum() {
    return held_.core().OnControl([&] {
      return (*held_.core().catalog().FindModel("m", "1"))->artefact.identities[0].sha256;
    });
  }
  void ExpectChanged(const Outcome& out, const std::string& what) {
    EXPECT_EQ(StatusCode::kFailedPrecondition, out.status.code());
    EXPECT_THAT(Text(out), HasSubstr(what));
    EXPECT_THAT(Text(out), HasSubstr("changed since it was registered: register it as another"));
  }

  HeldCore held_;
  std::string file_;
};

TEST_F(ChangedFilesTest, AModelWhoseFileWasOnlyTouchedLoads) {
  held_.BringPlugin();
  RegisterModel(true);
  const std::string sum = Sum();
  Touch(file_);
  const Outcome out = Await(held_.Model(K::kLoadModel));
  EXPECT_TRUE(out.status.ok()) << out.status;
  EXPECT_EQ(sum, Sum());
  EXPECT_EQ(held_.Known(), held_.Stored());  // with its new time
}

TEST_F(ChangedFilesTest, AModelWhoseFileHasOtherContentDoesNotLoad) {
  held_.BringPlugin();
  RegisterModel(true);
  held_.File("weights.test", "ABCDEF");
  Touch(file_);
  ExpectChanged(Await(held_.Model(K::kLoadModel)), "its file weights.test has");
  ExpectChanged(Await(held_.Model(K::kLoadModel)), "its file weights.test has");
  held_.File("weights.test", "abcdef");
  EXPECT_TRUE(Await(held_.Model(K::kLoadModel)).status.ok());
}

TEST_F(ChangedFilesTest, AModelThatIsNotHashedYetMustNotBeTouched) {
  held_.BringPlugin();
  RegisterModel(false);
  Touch(file_);
  ExpectChanged(Await(held_.Model(K::kLoadModel)), "its file weights.test has");
  EXPECT_EQ("", Sum());
}

TEST_F(ChangedFilesTest, AModelWhoseFileIsGoneDoesNotLoad) {
  held_.BringPlugin();
  RegisterModel(true);
  fs::remove(file_);
  const Outcome out = Await(held_.Infer());
  EXPECT_EQ(StatusCode::kUnavailable, out.status.code());
  EXPECT_THAT(Text(out), HasSubstr("'weights.test'"));
  EXPECT_THAT(Text(out), testing::Not(HasSubstr(file_)));
}

TEST_F(ChangedFilesTest, APluginIsHeldToItsLibraryInTheSameWay) {
  held_.KnowPlugin();
  const std::string library = held_.Package() + "/libheld.so";
  Touch(library);
  EXPECT_TRUE(Await(held_.Plugin(K::kLoadPlugin)).status.ok());
  EXPECT_TRUE(Await(held_.Plugin(K::kUnloadPlugin)).status.ok());
  fs::resize_file(library, fs::file_size(library) + 1);
  ExpectChanged(Await(held_.Plugin(K::kLoadPlugin)), "its library has");
  EXPECT_FALSE(held_.Wanted());
  fs::remove(library);
  EXPECT_THAT(Text(Await(held_.Plugin(K::kLoadPlugin))), HasSubstr("not in its package any more"));
}

TEST_F(ChangedFilesTest, APluginThatIsNotHashedYetMustNotBeTouched) {
  const std::string package = held_.Package();
  ASSERT_TRUE(held_.core().RegisterPlugin(package).ok());
  Touch(package + "/libheld.so");
  ExpectChanged(Await(held_.Plugin(K::kLoadPlugin)), "its library has");
}

TEST_F(ChangedFilesTest, ASwapToAChangedPluginChangesNothing) {
  held_.BringPlugin("0.5.0");
  held_.BringModel();
  held_.KnowPlugin();
  const std::string library = held_.Package() + "/libheld.so";
  fs::resize_file(library, fs::file_size(library) + 1);
  const Outcome out = Await(held_.Swap("1.0.0"));
  EXPECT_EQ(StatusCode::kUnavailable, out.status.code());
  EXPECT_THAT(Text(out), HasSubstr("its library has changed"));
  EXPECT_EQ("0.5.0", held_.ActiveVersion());
  EXPECT_TRUE(Await(held_.Infer()).status.ok());
}

// Files wait for their checksums without being open.
TEST_F(ChangedFilesTest, ManyRegistrationsTakeNoDescriptors) {
  ASSERT_TRUE(held_.core().RegisterPlugin("held").ok());
  const std::string file = held_.File("large.test");
  fs::resize_file(file, 64 << 20);
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  const auto after = held_.core().OnControl([&] {
    for (int i = 0; i < 200; ++i) {
      catalog::ModelSpec spec;
      spec.name = "large-" + std::to_string(i);
      spec.path = file;
      spec.plugin = "held";
      const auto model = held_.core().catalog().RegisterModel(spec);
      if (!model.ok()) return ptrdiff_t{-1};
      held_.core().manager().HashLater(*model->record);
    }
    return open_files();
  });
  ASSERT_GT(after, 0);
  EXPECT_LT(after, before + 20);
}

}  // namespace
}  // namespace mlos::test
