// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/client_regions.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>

namespace mlos::frontend {
namespace {

using testing::HasSubstr;

class ClientRegions : public testing::Test {
 protected:
  ClientRegions() {
    char name[] = "/tmp/regions_XXXXXX";
    directory_ = ::mkdtemp(name);
    table_ = std::make_unique<RegionTable>(Policy());
  }
  ~ClientRegions() override { std::filesystem::remove_all(directory_); }

  RegionPolicy Policy() const { return {.allowed = true, .most = 4, .directory = directory_}; }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  // A shared memory object, as far as anybody can tell.
  void Object(const std::string& name, const std::string& content) {
    const OwnedFd file(::open(Path(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(file.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
  }
  std::string Content(const std::string& name) {
    const OwnedFd file(::open(Path(name).c_str(), O_RDONLY | O_CLOEXEC));
    std::string content(1000, '\0');
    content.resize(static_cast<size_t>(::read(file.get(), content.data(), content.size())));
    return content;
  }
  Status Register(std::string_view name, std::string_view key, uint64_t offset, uint64_t bytes) {
    return table_->Register(kAnonymous, name, key, offset, bytes);
  }
  static std::string ReadFrom(const Region& region, uint64_t at, size_t bytes) {
    std::string to(bytes, '\0');
    const Status status = region.Read(at, std::as_writable_bytes(std::span(to)));
    return status.ok() ? to : std::string(Message(status));
  }

  std::string directory_;
  std::unique_ptr<RegionTable> table_;
};

void ExpectStatus(const Status& status, StatusCode code, std::string_view text) {
  EXPECT_EQ(status.code(), code) << Message(status);
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(text)));
}

TEST_F(ClientRegions, AreReadAndWrittenWithinTheirBounds) {
  Object("x", "0123456789");
  ASSERT_TRUE(Register("r", "/x", 2, 6).ok());
  const RegionPin region = table_->Find(kAnonymous, "r").value();
  EXPECT_EQ(ReadFrom(*region, 0, 6), "234567");
  EXPECT_EQ(ReadFrom(*region, 4, 2), "67");
  EXPECT_TRUE(region->Write(1, std::as_bytes(std::span("abc", 3))).ok());
  EXPECT_EQ(Content("x"), "012abc6789");
  EXPECT_TRUE(region->CheckRange(0, 6).ok());
  EXPECT_TRUE(region->CheckRange(5, 1).ok());
  EXPECT_TRUE(region->CheckRange(5, 0).ok());
  const std::pair<uint64_t, uint64_t> kOutside[] = {
      {0, 7}, {6, 0}, {5, 2}, {7, 0}, {1, ~uint64_t{0}}, {~uint64_t{0}, 2}};
  for (const auto& [at, bytes] : kOutside) {
    ExpectStatus(region->CheckRange(at, bytes), StatusCode::kInvalidArgument, "'r', which has 6");
  }
}

TEST_F(ClientRegions, AnObjectThatShrinksIsAnErrorAndNothingElse) {
  Object("x", std::string(10'000, 'x'));
  ASSERT_TRUE(Register("r", "x", 0, 10'000).ok());
  const RegionPin region = table_->Find(kAnonymous, "r").value();
  ASSERT_EQ(::truncate(Path("x").c_str(), 5000), 0);
  EXPECT_EQ(ReadFrom(*region, 0, 5000), std::string(5000, 'x'));
  EXPECT_THAT(ReadFrom(*region, 1, 5000), HasSubstr("has become smaller"));
  ExpectStatus(region->Write(4999, std::as_bytes(std::span("ab", 2))), StatusCode::kInvalidArgument,
               "has become smaller");
  struct stat now {};
  ASSERT_EQ(::stat(Path("x").c_str(), &now), 0);
  EXPECT_EQ(now.st_size, 5000) << "nothing is written that makes it larger again";
  ASSERT_EQ(::truncate(Path("x").c_str(), 10'000), 0);
  EXPECT_EQ(ReadFrom(*region, 5000, 3), std::string(3, '\0'));
}

TEST_F(ClientRegions, UnregisteringLeavesThoseThatUseIt) {
  Object("x", "0123");
  ASSERT_TRUE(Register("r", "x", 0, 4).ok());
  const RegionPin pin = table_->Find(kAnonymous, "r").value();
  EXPECT_TRUE(table_->Unregister(kAnonymous, "r").ok());
  EXPECT_TRUE(table_->Unregister(kAnonymous, "r").ok());  // as often as one likes
  ASSERT_EQ(::unlink(Path("x").c_str()), 0);
  EXPECT_EQ(ReadFrom(*pin, 0, 4), "0123");
  ExpectStatus(table_->Find(kAnonymous, "r").status(), StatusCode::kNotFound, "'r'");
  EXPECT_TRUE(table_->List(kAnonymous).empty());
}

TEST_F(ClientRegions, NamesBelongToTheirPrincipal) {
  Object("x", "0123");
  ASSERT_TRUE(table_->Register(1, "r", "x", 0, 4).ok());
  ASSERT_TRUE(table_->Register(2, "r", "x", 1, 2).ok());
  ASSERT_TRUE(table_->Register(1, "a", "/x", 0, 1).ok());
  ExpectStatus(table_->Register(1, "r", "x", 0, 4), StatusCode::kAlreadyExists, "'r'");
  EXPECT_EQ(table_->Find(2, "r").value()->bytes(), 2u);
  ExpectStatus(table_->Find(3, "r").status(), StatusCode::kNotFound, "'r'");
  EXPECT_TRUE(table_->UnregisterAll(3).ok());
  ASSERT_EQ(table_->List(1).size(), 2u);
  EXPECT_EQ(table_->List(1)[0]->name(), "a");
  EXPECT_EQ(table_->List(1)[0]->key(), "/x");
  EXPECT_TRUE(table_->UnregisterAll(1).ok());
  EXPECT_TRUE(table_->List(1).empty());
  EXPECT_EQ(table_->List(2).size(), 1u);
}

TEST_F(ClientRegions, ThereAreNotMoreThanAllowed) {
  Object("x", "0123");
  for (const char* name : {"a", "b", "c", "d"}) ASSERT_TRUE(Register(name, "x", 0, 4).ok());
  ExpectStatus(table_->Register(7, "e", "x", 0, 4), StatusCode::kResourceExhausted, "unregister");
  ASSERT_TRUE(table_->Unregister(kAnonymous, "b").ok());
  EXPECT_TRUE(table_->Register(7, "e", "x", 0, 4).ok());
  ASSERT_TRUE(table_->UnregisterAll(kAnonymous).ok());
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(Register(name, "x", 0, 4).ok());
}

TEST_F(ClientRegions, KeysThatAreRefused) {
  Object("x", "0123");
  ASSERT_EQ(::symlink("x", Path("link").c_str()), 0);
  ASSERT_EQ(::mkdir(Path("folder").c_str(), 0700), 0);
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  for (const char* key :
       {"", "/", "//x", "/../x", "../x", "..", ".", "/.", "a/b", "/folder/x", "x/"}) {
    ExpectStatus(Register("r", key, 0, 1), StatusCode::kInvalidArgument, "is not the name");
  }
  for (const std::string& key :
       {std::string("x\0y", 3), std::string("x\n"), std::string(256, 'k')}) {
    ExpectStatus(Register("r", key, 0, 1), StatusCode::kInvalidArgument, "is not the name");
  }
  ExpectStatus(Register("r", "/triton_python_backend_shm_region_1", 0, 1),
               StatusCode::kInvalidArgument, "reserved");
  ExpectStatus(Register("r", "nothing", 0, 1), StatusCode::kInternal, "No such file");
  ExpectStatus(Register("r", "link", 0, 1), StatusCode::kInternal, "cannot open");
  ExpectStatus(Register("r", "folder", 0, 1), StatusCode::kInternal, "cannot open");
  ExpectStatus(Register("r", "pipe", 0, 1), StatusCode::kInvalidArgument,
               "is not a shared memory object");
  ExpectStatus(Register("", "x", 0, 1), StatusCode::kInvalidArgument, "the name of");
  ExpectStatus(Register(std::string(257, 'n'), "x", 0, 1), StatusCode::kInvalidArgument,
               "1 to 256");
  EXPECT_TRUE(table_->List(kAnonymous).empty());
}

TEST_F(ClientRegions, RangesThatAreRefused) {
  Object("x", "0123");
  const std::array<std::pair<uint64_t, uint64_t>, 7> kWrong{{{0, 0},
                                                             {0, 5},
                                                             {4, 1},
                                                             {5, 1},
                                                             {1, ~uint64_t{0}},
                                                             {~uint64_t{0}, 1},
                                                             {~uint64_t{0}, ~uint64_t{0}}}};
  for (const auto& [offset, bytes] : kWrong) {
    ExpectStatus(Register("r", "x", offset, bytes), StatusCode::kInvalidArgument, "which has 4");
  }
  EXPECT_TRUE(Register("r", "x", 3, 1).ok());
}

TEST_F(ClientRegions, ObjectsOfOtherUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes files of others";
  Object("x", "0123");
  ASSERT_EQ(::chown(Path("x").c_str(), 12'345, 0), 0);
  ExpectStatus(Register("r", "x", 0, 4), StatusCode::kPermissionDenied, "--client-shm-owners");
  RegionPolicy policy = Policy();
  policy.owners = {1, 12'345};
  RegionTable table(policy);
  EXPECT_TRUE(table.Register(kAnonymous, "r", "x", 0, 4).ok());
  Object("mine", "0123");
  EXPECT_TRUE(table.Register(kAnonymous, "mine", "mine", 0, 4).ok());
}

TEST_F(ClientRegions, OnlyWhereTheyAreAllowed) {
  Object("x", "0123");
  RegionPolicy policy = Policy();
  policy.allowed = false;
  RegionTable table(policy);
  for (const Status& status :
       {table.Register(kAnonymous, "r", "x", 0, 4), table.Unregister(kAnonymous, "r"),
        table.UnregisterAll(kAnonymous), table.Find(kAnonymous, "r").status()}) {
    ExpectStatus(status, StatusCode::kUnimplemented, "--allow-client-shm");
  }
  EXPECT_TRUE(table.List(kAnonymous).empty());
}

}  // namespace
}  // namespace mlos::frontend
