// SPDX-License-Identifier: Apache-2.0
#include "state/sqlite_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "state/state_test_support.h"

namespace mlos::state {
namespace {

using testing::HasSubstr;

class SqliteStoreTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteStore> OpenStore(const SqliteOptions& options = {}) {
    auto store = SqliteStore::Open(directory_.file(), options);
    EXPECT_TRUE(store.ok()) << Message(store.status());
    return store.ok() ? std::move(store).value() : nullptr;
  }

  // Why the file is refused; and it is left as it was.
  std::string Refusal(StatusCode code = StatusCode::kFailedPrecondition) {
    const std::string before = ReadBytes(directory_.file());
    const auto store = SqliteStore::Open(directory_.file());
    EXPECT_EQ(store.status().code(), code) << Message(store.status());
    EXPECT_EQ(ReadBytes(directory_.file()), before);
    std::string text(Message(store.status()));
    EXPECT_THAT(text, HasSubstr(directory_.file())) << "does not name the file";
    return text;
  }

  // Another program changes the file.
  void Execute(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(directory_.file().c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  TestDirectory directory_;
};

TEST_F(SqliteStoreTest, KeepsWhatWasCommitted) {
  const std::string odd("\0\xff\"'\n", 5);
  {
    auto store = OpenStore();
    EXPECT_TRUE(ContentOf(*store).empty());
    EXPECT_TRUE(store->Commit(Batch{{"model", "b/1", "{}"}, {"model", "a/1", odd}}).ok());
    EXPECT_TRUE(store->Commit(Batch{{"plugin", "a/1", ""}, {"model", "b/1", {}}}).ok());
    EXPECT_TRUE(store->Commit(Batch{{"model", "none", {}}}).ok());
    EXPECT_TRUE(store->Commit(Batch{}).ok());
  }
  const std::vector<Record> expected{{"model", "a/1", odd}, {"plugin", "a/1", ""}};
  EXPECT_EQ(ContentOf(*OpenStore()), expected);
  EXPECT_EQ(ContentOf(*OpenStore()), expected);
}

TEST_F(SqliteStoreTest, TheLastChangeOfAKeyCounts) {
  auto store = OpenStore();
  ASSERT_TRUE(store->Commit(Batch{{"m", "a", "1"}, {"m", "a", {}}, {"m", "a", "2"}}).ok());
  EXPECT_EQ(ContentOf(*store), (std::vector<Record>{{"m", "a", "2"}}));
}

TEST_F(SqliteStoreTest, LeavesOneFileThatItsUserAloneMayRead) {
  auto store = OpenStore();
  ASSERT_TRUE(store->Commit(Batch{{"m", "a", "1"}}).ok());
  EXPECT_FALSE(std::filesystem::exists(directory_.file() + "-shm"));
  for (const std::string& file : {directory_.file(), directory_.log()}) {
    struct stat st;
    ASSERT_EQ(stat(file.c_str(), &st), 0) << file;
    EXPECT_EQ(st.st_mode & 0777, 0600U) << file;
  }
  store.reset();
  const std::filesystem::directory_iterator entries(directory_.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
  ASSERT_EQ(chmod(directory_.file().c_str(), 0644), 0);
  OpenStore();
  struct stat st;
  ASSERT_EQ(stat(directory_.file().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST_F(SqliteStoreTest, TheLogStaysShort) {
  SqliteOptions options;
  options.checkpoint_frames = 20;
  auto store = OpenStore(options);
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(store->Commit(MakeBatch(1, i)).ok());
  EXPECT_LT(std::filesystem::file_size(directory_.log()), 200U * 4120);
}

TEST_F(SqliteStoreTest, ALargeRecordIsRefusedAndTheNextIsNot) {
  auto store = OpenStore();
  const std::string large(kMaxRecordBytes + 1, 'x');
  EXPECT_EQ(store->Commit(Batch{{"m", "a", "1"}, {"m", "b", large}}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(ContentOf(*store).empty());
  EXPECT_TRUE(store->Commit(Batch{{"m", "a", "1"}}).ok());
}

TEST_F(SqliteStoreTest, ASecondOneIsRefused) {
  auto store = OpenStore();
  EXPECT_THAT(Refusal(StatusCode::kAlreadyExists), HasSubstr("in use by another process"));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto second = SqliteStore::Open(directory_.file());
    _exit(second.status().code() == StatusCode::kAlreadyExists ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  // The refused ones took no lock away and nothing else.
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(directory_.file().c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, "SELECT * FROM record", nullptr, nullptr, nullptr), SQLITE_BUSY);
  sqlite3_close(db);
  EXPECT_TRUE(store->Commit(Batch{{"m", "a", "1"}}).ok());
  store.reset();
  EXPECT_EQ(ContentOf(*OpenStore()).size(), 1U);
}

TEST_F(SqliteStoreTest, OtherFilesAreRefused) {
  WriteBytes(directory_.file(), "");
  EXPECT_THAT(Refusal(), HasSubstr("it is empty"));
  WriteBytes(directory_.file(), std::string(10000, 'x'));
  EXPECT_THAT(Refusal(), HasSubstr("does not begin as an SQLite database"));
  std::filesystem::remove(directory_.file());
  Execute("CREATE TABLE record(a); PRAGMA application_id=7");
  EXPECT_THAT(Refusal(), HasSubstr("another application (id 0x7)"));
  std::filesystem::remove(directory_.file());
  Execute("CREATE TABLE a(b)");
  EXPECT_THAT(Refusal(), HasSubstr("another application (id 0x0)"));
}

TEST_F(SqliteStoreTest, WhatIsNoFileIsRefused) {
  std::filesystem::create_directory(directory_.file());
  const auto directory = SqliteStore::Open(directory_.file());
  EXPECT_THAT(std::string(Message(directory.status())), HasSubstr("a directory"));
  std::filesystem::remove(directory_.file());

  const std::string other = directory_.path() + "/other.db";
  ASSERT_TRUE(SqliteStore::Open(other).ok());
  std::filesystem::create_symlink(other, directory_.file());
  EXPECT_THAT(Refusal(), HasSubstr("a symbolic link"));
  std::filesystem::remove(directory_.file());

  ASSERT_NE(OpenStore(), nullptr);
  std::filesystem::create_symlink(other, directory_.log());
  EXPECT_THAT(Refusal(), HasSubstr("a symbolic link"));
  std::filesystem::remove(directory_.log());
  EXPECT_NE(OpenStore(), nullptr);

  ASSERT_EQ(mkfifo((directory_.path() + "/pipe").c_str(), 0600), 0);
  EXPECT_FALSE(SqliteStore::Open(directory_.path() + "/pipe").ok());
  EXPECT_FALSE(SqliteStore::Open(directory_.path() + "/").ok());
  EXPECT_FALSE(SqliteStore::Open("").ok());
  EXPECT_EQ(SqliteStore::Open(directory_.path() + "/no/state.db").status().code(),
            StatusCode::kUnavailable);
}

TEST_F(SqliteStoreTest, ADirectoryMayBeALink) {
  const std::string link = directory_.path() + "/link";
  std::filesystem::create_symlink(directory_.path(), link);
  EXPECT_TRUE(SqliteStore::Open(link + "/state.db").ok());
  EXPECT_NE(OpenStore(), nullptr);
}

TEST_F(SqliteStoreTest, AnInterruptedCreationIsBegunAnew) {
  WriteBytes(directory_.file() + ".new", "half");
  WriteBytes(directory_.file() + ".new-wal", "half");
  EXPECT_TRUE(ContentOf(*OpenStore()).empty());
}

TEST_F(SqliteStoreTest, ALogWithoutItsFileIsRefused) {
  WriteBytes(directory_.log(), "something");
  EXPECT_THAT(Refusal(), HasSubstr("missing"));
  EXPECT_FALSE(std::filesystem::exists(directory_.file()));
}

TEST_F(SqliteStoreTest, AFileWithoutItsLogIsRefused) {
  auto store = OpenStore();
  ASSERT_TRUE(store->Commit(Batch{{"m", "a", "1"}}).ok());
  ASSERT_TRUE(store->Commit(Batch{{"m", "b", "2"}}).ok());
  const std::string copy = ReadBytes(directory_.file());
  store.reset();
  WriteBytes(directory_.file(), copy);
  EXPECT_THAT(Refusal(), HasSubstr("missing"));
  EXPECT_THAT(Refusal(), HasSubstr("damaged"));  // also when it was looked at once
}

TEST_F(SqliteStoreTest, ForeignChangesAreRefused) {
  ASSERT_TRUE(OpenStore()->Commit(Batch{{"m", "a", "1"}, {"m", "b", "2"}}).ok());
  const std::string sound = ReadBytes(directory_.file());
  for (const char* change :
       {"DELETE FROM record WHERE key = 'a'", "UPDATE record SET value = '2' WHERE key = 'a'",
        "DELETE FROM seal", "DROP TABLE record", "PRAGMA user_version = 0"}) {
    SCOPED_TRACE(change);
    Execute(change);
    EXPECT_THAT(Refusal(), HasSubstr("damaged"));
    WriteBytes(directory_.file(), sound);
  }
  EXPECT_EQ(ContentOf(*OpenStore()).size(), 2U);
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefused) {
  ASSERT_NE(OpenStore(), nullptr);
  Execute("PRAGMA user_version = 7");
  EXPECT_THAT(Refusal(), HasSubstr("newer release (its schema version is 7"));
}

TEST_F(SqliteStoreTest, MigratesStepByStep) {
  ASSERT_TRUE(OpenStore()->Commit(Batch{{"m", "a", "1"}, {"m", "b", "2"}}).ok());
  std::vector<Migration> migrations(Migrations().begin(), Migrations().end());
  const int64_t next = migrations.back().version + 1;
  migrations.push_back(
      {next, "CREATE TABLE extra(n INTEGER) STRICT; UPDATE record SET value = value || '!'"});
  SqliteOptions options;
  options.migrations = migrations;
  const std::vector<Record> expected{{"m", "a", "1!"}, {"m", "b", "2!"}};
  {
    auto store = OpenStore(options);
    EXPECT_EQ(ContentOf(*store), expected);
  }
  EXPECT_EQ(ContentOf(*OpenStore(options)), expected);  // once only
  EXPECT_THAT(Refusal(), HasSubstr("newer release"));   // for who does not know the step
  std::filesystem::remove(directory_.file());
  EXPECT_TRUE(OpenStore(options)->Commit(Batch{{"m", "c", "3"}}).ok());  // made new, all steps
}

TEST_F(SqliteStoreTest, AMigrationThatFailsChangesNothing) {
  ASSERT_TRUE(OpenStore()->Commit(Batch{{"m", "a", "1"}}).ok());
  std::vector<Migration> migrations(Migrations().begin(), Migrations().end());
  migrations.push_back({migrations.back().version + 1, "DELETE FROM record; SELECT nonsense"});
  SqliteOptions options;
  options.migrations = migrations;
  EXPECT_FALSE(SqliteStore::Open(directory_.file(), options).ok());
  EXPECT_EQ(ContentOf(*OpenStore()).size(), 1U);
}

}  // namespace
}  // namespace mlos::state
