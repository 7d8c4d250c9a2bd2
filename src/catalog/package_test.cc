// SPDX-License-Identifier: Apache-2.0
#include "catalog/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <iterator>

#include "catalog/catalog_test_support.h"

namespace mlos::catalog {
namespace {

const std::atomic<bool> kGoOn{false};

namespace fs = std::filesystem;
using testing::HasSubstr;

class PackageTest : public testing::Test {
 protected:
  std::string Root() { return files_.root() / "installed"; }
  std::string Read(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  size_t Count() { return std::distance(fs::directory_iterator(Root()), fs::directory_iterator()); }

  TestFiles files_;
};

TEST_F(PackageTest, ACopyIsWholeAndHasNothingToDoWithItsOriginal) {
  const std::string source = files_.Package("ort", "1.0.0");
  files_.Write("plugins/ort-1.0.0/data/deep/table.bin", "data");
  const auto copy = InstallPackage(source, Root(), kGoOn);
  ASSERT_TRUE(copy.ok()) << copy.status();
  fs::remove_all(source);
  EXPECT_EQ("x", Read(fs::path(*copy) / "lib.so"));
  EXPECT_EQ("data", Read(fs::path(*copy) / "data/deep/table.bin"));
  EXPECT_TRUE(ReadManifest(*copy).ok());
  EXPECT_EQ(1u, Count());
}

TEST_F(PackageTest, TheSameContentIsThereOnce) {
  const std::string source = files_.Package("ort", "1.0.0");
  const auto first = InstallPackage(source, Root(), kGoOn);
  fs::copy(source, files_.root() / "elsewhere", fs::copy_options::recursive);
  const auto second = InstallPackage(files_.root() / "elsewhere", Root(), kGoOn);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(1u, Count());
  files_.Write("elsewhere/lib.so", "y");
  EXPECT_NE(*first, *InstallPackage(files_.root() / "elsewhere", Root(), kGoOn));
  fs::rename(files_.root() / "elsewhere/lib.so", files_.root() / "elsewhere/data");
  files_.Write("elsewhere/lib.so", "y");
  EXPECT_TRUE(InstallPackage(files_.root() / "elsewhere", Root(), kGoOn).ok());
  EXPECT_EQ(3u, Count());  // other names are other content
}

TEST_F(PackageTest, LinksAndSpecialFilesAreRefusedAndLeaveNothing) {
  const std::string source = files_.Package("ort", "1.0.0");
  const fs::path odd = fs::path(source) / "odd";
  const auto refused = [&] {
    const Status status = InstallPackage(source, Root(), kGoOn).status();
    EXPECT_EQ(StatusCode::kInvalidArgument, status.code());
    EXPECT_THAT(std::string(Message(status)), HasSubstr("odd"));
    fs::remove(odd);
    EXPECT_EQ(0u, Count());
  };
  fs::create_symlink("/etc/hostname", odd);
  refused();
  fs::create_directory_symlink("/etc", odd);
  refused();
  ASSERT_EQ(0, mkfifo(odd.c_str(), 0600));
  refused();
  EXPECT_TRUE(InstallPackage(source, Root(), kGoOn).ok());
}

TEST_F(PackageTest, APathMustBeThatOfAPackage) {
  EXPECT_EQ(StatusCode::kInvalidArgument,
            InstallPackage("relative", Root(), kGoOn).status().code());
  EXPECT_EQ(StatusCode::kInvalidArgument, InstallPackage("", Root(), kGoOn).status().code());
  EXPECT_EQ(StatusCode::kNotFound,
            InstallPackage("/nowhere/at/all", Root(), kGoOn).status().code());
  files_.Write("installed-is-a-file");
  EXPECT_FALSE(
      InstallPackage(files_.Package("ort", "1.0.0"), files_.root() / "installed-is-a-file", kGoOn)
          .ok());
}

TEST_F(PackageTest, SweepingLeavesWhatIsUsed) {
  const auto used = InstallPackage(files_.Package("a", "1.0.0"), Root(), kGoOn);
  const auto unused = InstallPackage(files_.Package("b", "1.0.0"), Root(), kGoOn);
  ASSERT_TRUE(used.ok() && unused.ok());
  files_.Write("installed/.new-unfinished/lib.so");
  SweepPackages(Root(), {std::filesystem::path(*used).filename()});
  EXPECT_TRUE(fs::exists(fs::path(*used) / "lib.so"));
  EXPECT_EQ(1u, Count());
  SweepPackages(files_.root() / "nowhere", {});
}

}  // namespace
}  // namespace mlos::catalog
