// SPDX-License-Identifier: Apache-2.0
//
// A data directory that cannot be written, a state file that is not what it was,
// a second daemon, a clock that jumps: refused with a reason and left as it is,
// or not noticed.
#include <linux/capability.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <functional>

#include "fault_fixture.h"

namespace mlos::test {
namespace {
namespace fs = std::filesystem;

using DataDirTest = FaultTest;

TEST_F(DataDirTest, AReadOnlyDataDirectoryIsRefusedAndNamed) {
  // The administrator of the machine, too, is to see what others see.
  if (getuid() == 0) {
    ASSERT_EQ(0, prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0));
  }
  Restartable daemon;
  Bring(daemon);
  if (HasFatalFailure()) return;
  const std::string before = Seen(daemon);
  ASSERT_EQ(0, chmod(daemon.data_dir().c_str(), 0555));  // under a running daemon: no harm
  {
    const Load load(daemon.address());
    EXPECT_EQ(201, Send(daemon, {Change::kRegisterModel, "m2", "1", {}, {}}).status);
    const Reply install = Send(daemon, {Change::kInstallPlugin, "echo", "2.0.0", {}, {}});
    EXPECT_EQ(503, install.status) << Show(install);
    EXPECT_THAT(ErrorText(install), testing::HasSubstr("Permission denied"));
    EXPECT_EQ(200, Send(daemon, {Change::kRemoveModel, "m2", "1", {}, {}}).status);
  }
  ASSERT_TRUE(daemon.KillAndSeeAllGone());
  for (const char* name : {"/lock", "/state.db"}) {
    ASSERT_EQ(0, chmod((daemon.data_dir() + name).c_str(), 0400));
  }
  std::string why;
  daemon.Launch();
  EXPECT_EQ(1, daemon.process().WaitExit());
  EXPECT_THAT(daemon.process().log(), testing::HasSubstr(daemon.data_dir()));
  EXPECT_THAT(daemon.process().log(), testing::HasSubstr("Permission denied"));
  ASSERT_EQ(0, chmod(daemon.data_dir().c_str(), 0700));
  for (const char* name : {"/lock", "/state.db"}) {
    ASSERT_EQ(0, chmod((daemon.data_dir() + name).c_str(), 0600));
  }
  ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  EXPECT_EQ(before, Seen(daemon));
  EXPECT_EQ(0, daemon.Stop());
}

std::map<std::string, std::string> Files(const std::string& dir) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (entry.is_regular_file()) out[entry.path().filename()] = ReadWhole(entry.path());
  }
  return out;
}

void RunSql(const std::string& file, const char* sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(SQLITE_OK, sqlite3_open(file.c_str(), &db));
  EXPECT_EQ(SQLITE_OK, sqlite3_exec(db, sql, nullptr, nullptr, nullptr)) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

TEST_F(DataDirTest, AStateFileThatIsNotWhatItWasIsRefusedAndLeftAsItIs) {
  Restartable daemon;
  Bring(daemon);
  if (HasFatalFailure()) return;
  const std::string seen = Seen(daemon);
  ASSERT_TRUE(daemon.KillAndSeeAllGone());
  const std::string db = daemon.data_dir() + "/state.db";
  const auto crashed = Files(daemon.data_dir());
  std::string why;
  ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  ASSERT_EQ(0, daemon.Stop());
  const auto stopped = Files(daemon.data_dir());
  const auto put = [&](const std::map<std::string, std::string>& files) {
    for (const auto& [name, content] : Files(daemon.data_dir())) {
      fs::remove(daemon.data_dir() + "/" + name);
    }
    for (const auto& [name, content] : files) WriteWhole(daemon.data_dir() + "/" + name, content);
  };
  const struct {
    const char* what;
    const std::map<std::string, std::string>& files;
    std::function<void()> harm;
    const char* says;
  } kCases[] = {
      {"the file is gone, its log is there", crashed, [&] { fs::remove(db); }, "it is missing"},
      {"the log is gone", crashed, [&] { fs::remove(db + "-wal"); }, "is missing"},
      {"cut in half", stopped, [&] { fs::resize_file(db, fs::file_size(db) / 2); }, "damaged"},
      {"empty", stopped, [&] { WriteWhole(db, ""); }, "it is empty"},
      {"no database", stopped, [&] { WriteWhole(db, std::string(8192, 'x')); }, "does not begin"},
      {"newer", stopped, [&] { RunSql(db, "PRAGMA user_version=99"); }, "99"},
      {"another application's", stopped, [&] { RunSql(db, "PRAGMA application_id=7"); },
       "another application"},
      {"a record is gone", stopped, [&] { RunSql(db, "DELETE FROM record WHERE key='m0/1'"); },
       "records"},
      {"a byte is wrong", stopped,
       [&] {
         std::string bytes = ReadWhole(db);
         bytes[bytes.rfind("m0") + 1] ^= 1;
         WriteWhole(db, bytes);
       },
       "damaged"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    put(c.files);
    c.harm();
    const auto before = Files(daemon.data_dir());
    daemon.Launch();
    EXPECT_EQ(1, daemon.process().WaitExit());
    EXPECT_THAT(daemon.process().log(), testing::HasSubstr("state.db"));
    EXPECT_THAT(daemon.process().log(), testing::HasSubstr(c.says));
    for (const auto& [name, content] : Files(daemon.data_dir())) {
      if (content.empty()) continue;  // a log of nothing may lie beside it now
      const auto it = before.find(name);
      EXPECT_TRUE(it != before.end() && it->second == content) << name << " has changed";
    }
    EXPECT_EQ(before.count("state.db") != 0, fs::exists(db));
  }
  put(crashed);
  ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  EXPECT_EQ(seen, Seen(daemon));
  EXPECT_EQ(0, daemon.Stop());
}

TEST_F(DataDirTest, AnotherDaemonOnTheSameStateChangesNothing) {
  Restartable daemon;
  Bring(daemon);
  if (HasFatalFailure()) return;
  const std::string before = Seen(daemon);
  const Load load(daemon.address());
  for (int i = 0; i < 5; ++i) {
    const Ended second = RunMlosd(
        {"--auth", "off", "--http-address", "127.0.0.1:0", "--data-dir", daemon.data_dir()});
    EXPECT_EQ(3, second.status) << second.output;
    EXPECT_THAT(second.output, testing::HasSubstr("another mlosd"));
  }
  EXPECT_EQ(201, Send(daemon, {Change::kRegisterModel, "m2", "1", {}, {}}).status);
  EXPECT_EQ(200, Send(daemon, {Change::kRemoveModel, "m2", "1", {}, {}}).status);
  EXPECT_EQ(before, Seen(daemon));
}

// What SQLite says to another connection that tries `sql`.
int TryAsAnother(const std::string& file, const char* sql) {
  sqlite3* db = nullptr;
  int result = sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr);
  if (result == SQLITE_OK) result = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
  sqlite3_close(db);
  return result;
}

// SQLite 3.40 can corrupt a log that several connections write while it is
// moved into the file: none gets in, whatever it tries and when.
TEST_F(DataDirTest, NoOtherConnectionGetsInWhileTheLogIsMoved) {
  Restartable daemon;
  Bring(daemon);
  if (HasFatalFailure()) return;
  const std::string db = daemon.data_dir() + "/state.db";
  constexpr int kChanges = 1500;  // of two frames and more: the log is moved several times
  std::atomic<int> kept{0};
  std::atomic<bool> done{false};
  std::thread changes([&, client = HttpClient(daemon.address())]() mutable {
    for (int i = 0; i < kChanges; ++i) {  // the label comes and goes
      const char* body = i % 2 == 0 ? R"({"label":"stable","version":1})" : R"({"label":"stable"})";
      kept += client.Send("POST", "/api/v1/models/m1/labels", body).status == 200 ? 1 : 0;
    }
    done = true;
  });
  int tries = 0;
  do {
    EXPECT_EQ(SQLITE_BUSY, TryAsAnother(db, "SELECT count(*) FROM record"));
    EXPECT_EQ(SQLITE_BUSY, TryAsAnother(db, "DELETE FROM record"));
    EXPECT_EQ(SQLITE_BUSY, TryAsAnother(db, "PRAGMA wal_checkpoint(TRUNCATE)"));
    if (tries++ % 100 == 0) {
      const Ended second = RunMlosd(
          {"--auth", "off", "--http-address", "127.0.0.1:0", "--data-dir", daemon.data_dir()});
      EXPECT_EQ(3, second.status) << second.output;
    }
  } while (!done && !HasFailure());
  changes.join();
  EXPECT_EQ(kChanges, kept);
  EXPECT_LT(fs::file_size(db + "-wal"), 2ULL * kChanges * 4096);  // it was moved
  const std::string before = Seen(daemon);
  ASSERT_TRUE(daemon.KillAndSeeAllGone());
  EXPECT_EQ("ok", ReadState(daemon.data_dir()).integrity);
  std::string why;
  ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  EXPECT_EQ(before, Seen(daemon));
  EXPECT_EQ(0, daemon.Stop());
}

// A reader that is off by a unit in the last place lets numbers drift, a little
// with each start.
TEST_F(DataDirTest, NumbersAreWhatTheyWereAfterAnyNumberOfStarts) {
  Restartable daemon;
  Bring(daemon);
  if (HasFatalFailure()) return;
  const std::string numbers =
      "[5.409760742964738E124,5E-324,1.7976931348623157E308,-0E0,1E-1,18446744073709551615,"
      "-9223372036854775808,1.7161392603081718E277,6.02214076E23]";
  const Reply registered =
      daemon.client().Send("POST", "/api/v1/models",
                           R"({"name":"exact","path":")" + SourcePath("tests/plugins/model.test") +
                               R"(","plugin":"echo","metadata":{"x":)" + numbers + "}}");
  ASSERT_EQ(201, registered.status) << Show(registered);
  const std::string whole = R"("metadata":{"x":)" + numbers + "}";
  EXPECT_THAT(registered.body, testing::HasSubstr(whole));
  for (int start = 0; start < 3; ++start) {
    SCOPED_TRACE(start);
    const Reply shown = daemon.client().Send("GET", "/api/v1/models/exact/versions/1");
    EXPECT_THAT(shown.body, testing::HasSubstr(whole));
    // Something that writes the record anew from what was read.
    const std::string action = "/api/v1/models/exact/versions/1/";
    EXPECT_STATUS(200, daemon.client().Send("POST", action + "load"));
    EXPECT_STATUS(200, daemon.client().Send("POST", action + "unload"));
    ASSERT_TRUE(daemon.KillAndSeeAllGone());
    std::string why;
    ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  }
  EXPECT_EQ(0, daemon.Stop());
}

TEST_F(DataDirTest, AWallClockThatJumpsIsNotNoticed) {
  FaultPage page;
  Restartable daemon({}, page.Environment());
  Bring(daemon);
  if (HasFatalFailure()) return;
  constexpr int64_t kYear = 365 * 24 * 3600;
  // "Mon, 23 Nov 2026 16:20"
  const std::string date =
      daemon.client().Send("GET", "/v2/health/live").Header("date").substr(0, 22);
  {
    const Load load(daemon.address());
    for (const int64_t ahead : {10 * kYear, -10 * kYear, int64_t{3600}, int64_t{0}, -5 * kYear}) {
      page.SetClock(ahead);
      const Reply live = daemon.client().Send("GET", "/v2/health/live");
      EXPECT_EQ(200, live.status);
      if (ahead != 0) {  // the daemon's clock has jumped indeed
        EXPECT_NE(date, live.Header("date").substr(0, 22));
      }
      for (const Change& change : AllChanges()) {
        Reply reply;
        ASSERT_TRUE(WaitUntil([&] {
          reply = Send(daemon, change);
          return reply.body.find("try again when") == std::string::npos;
        }));
        ASSERT_LE(reply.status / 100, 2) << change.Text() << Show(reply);
      }
      const Reply status = daemon.client().Send("GET", "/api/v1/status");
      EXPECT_LT(std::stoll(At(status, "/uptime_s")), 60);
    }
  }
  const std::string before = Seen(daemon);
  ASSERT_TRUE(daemon.KillAndSeeAllGone());
  page.SetClock(-20 * kYear);
  std::string why;
  ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  EXPECT_EQ(before, Seen(daemon));
  EXPECT_EQ(0, daemon.Stop());
}

}  // namespace
}  // namespace mlos::test
