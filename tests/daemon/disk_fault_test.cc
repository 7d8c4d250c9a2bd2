// SPDX-License-Identifier: Apache-2.0
//
// A disk that is full, fails or cannot be written, files that are not what they
// were, a clock that jumps: inference goes on, changes are refused with a reason
// and leave nothing half done, and go on when the fault is over.
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/capability.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "fault_preload.h"
#include "fixture.h"
#include "registry_model.h"
#include "restartable.h"

namespace mlos::test {
namespace {
namespace fs = std::filesystem;

constexpr std::chrono::seconds kStart{20};
constexpr char kEchoBody[] =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[3],"data":[1,2,3]}]})";

// The page that the daemon's preloaded library reads.
class FaultPage {
 public:
  FaultPage() {
    const int fd = open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(0, ftruncate(fd, sizeof(fault_page)));
    page_ = static_cast<fault_page*>(
        mmap(nullptr, sizeof(fault_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
  }
  ~FaultPage() { munmap(page_, sizeof(fault_page)); }
  FaultPage(const FaultPage&) = delete;
  FaultPage& operator=(const FaultPage&) = delete;

  std::vector<std::string> Environment() const {
    return {std::string("LD_PRELOAD=") + MLOS_FAULT_PRELOAD, "MLOS_FAULT_PAGE=" + path()};
  }
  void Begin(fault_kind kind, int passes, const std::string& directory) {
    directory.copy(page_->directory, sizeof page_->directory - 1);
    page_->hits = 0;
    page_->passes = passes;
    page_->kind = kind;
  }
  uint32_t End() {
    page_->kind = FAULT_NONE;
    return page_->hits;
  }
  void SetClock(int64_t seconds_ahead) { page_->clock_seconds = seconds_ahead; }

 private:
  std::string path() const { return dir_ / "page"; }
  const TempDir dir_;
  fault_page* page_ = nullptr;
};

// Requests one after the other, each checked, from here to the end.
class Load {
 public:
  explicit Load(const std::string& address)
      : thread_([this, client = HttpClient(address)]() mutable {
          while (!ending_) {
            const Reply reply = client.Send("POST", "/v2/models/m0/infer", kEchoBody);
            const bool right = reply.status == 200 &&
                               Numbers(reply, "/outputs/0/data") == std::vector<double>{1, 2, 3};
            ++(right ? right_ : wrong_);
          }
        }) {}
  ~Load() {
    const int before = right_;
    EXPECT_TRUE(WaitUntil([&] { return right_ > before + 10 || wrong_ > 0; }));
    ending_ = true;
    thread_.join();
    EXPECT_EQ(0, wrong_);
  }

 private:
  std::atomic<bool> ending_{false};
  std::atomic<int> right_{0};
  std::atomic<int> wrong_{0};
  std::thread thread_;
};

class FaultTest : public testing::Test {
 protected:
  FaultTest() : places_{packages_.path(), SourcePath("tests/plugins/model.test")} {
    for (const char* version : {"1.0.0", "2.0.0"}) {
      const std::string to = packages_ / (std::string("echo/") + version);
      fs::create_directories(fs::path(to).parent_path());
      fs::copy(TestPlugin("echo"), to, fs::copy_options::recursive);
      std::string manifest = ReadWhole(to + "/plugin.yaml");
      manifest.replace(manifest.find("1.0.0"), 5, version);
      WriteWhole(to + "/plugin.yaml", manifest);
    }
  }

  void Bring(Restartable& daemon) {
    std::string why;
    ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
    for (const Change& change : {Change{Change::kRegisterPlugin, "echo", "1.0.0", {}, {}},
                                 Change{Change::kLoadPlugin, "echo", "1.0.0", {}, {}},
                                 Change{Change::kRegisterModel, "m0", "1", {}, {}},
                                 Change{Change::kLoadModel, "m0", "1", {}, {}},
                                 Change{Change::kRegisterModel, "m1", "1", {}, {}}}) {
      const Reply reply = Send(daemon, change);
      ASSERT_LE(reply.status / 100, 2) << Show(reply);
    }
  }
  Reply Send(Restartable& daemon, const Change& change) {
    return daemon.client().Send(change.method(), change.target(), places_.Body(change));
  }
  std::string Seen(Restartable& daemon) {
    return SeenText(ParseJson(daemon.client().Send("GET", "/api/v1/plugins").body),
                    ParseJson(daemon.client().Send("GET", "/api/v1/models").body), {});
  }
  // One of each kind; those that undo the others follow them.
  std::vector<Change> AllChanges() {
    return {{Change::kInstallPlugin, "echo", "2.0.0", {}, {}},
            {Change::kSwapPlugin, "echo", "2.0.0", {}, {}},
            {Change::kRollBackPlugin, "echo", {}, {}, {}},
            {Change::kLoadPlugin, "echo", "2.0.0", {}, {}},
            {Change::kUnloadPlugin, "echo", "2.0.0", {}, {}},
            {Change::kRemovePlugin, "echo", "2.0.0", {}, {}},
            {Change::kLoadModel, "m1", "1", {}, {}},
            {Change::kUnloadModel, "m1", "1", {}, {}},
            {Change::kRegisterModel, "m1", "2", {}, {}},
            {Change::kSetLabel, "m1", "2", "stable", {}},
            {Change::kSetPolicy, "m1", "1", {}, R"({"latest":{"num_versions":1}})"},
            {Change::kDropLabel, "m1", "2", "stable", {}},
            {Change::kRemoveModel, "m1", "2", {}, {}}};
  }

  const TempDir packages_;
  const Places places_;
};

void ExpectRefusedByTheDisk(const Reply& reply, const Change& change) {
  EXPECT_EQ(503, reply.status) << change.Text() << Show(reply);
  EXPECT_EQ("UNAVAILABLE", At(reply, "/error/code"));
  EXPECT_THAT(ErrorText(reply),
              testing::AnyOf(testing::HasSubstr("disk"), testing::HasSubstr("No space left"),
                             testing::HasSubstr("Input/output error")));
  EXPECT_THAT(ErrorText(reply), testing::Not(testing::HasSubstr("state.db")));
}

// Every change meets the fault at its first, second, … write, until one has no
// more of them.
TEST_F(FaultTest, EveryWriteOfEveryChangeMayFail) {
  for (const fault_kind kind : {FAULT_FULL, FAULT_WRITE}) {
    FaultPage page;
    Restartable daemon({}, page.Environment());
    Bring(daemon);
    if (HasFatalFailure()) return;
    const Load load(daemon.address());
    int refused = 0;
    for (const Change& change : AllChanges()) {
      SCOPED_TRACE(change.Text());
      for (int passes = 0;; ++passes) {
        ASSERT_LT(passes, 60);
        const std::string before = Seen(daemon);
        Reply reply;
        // What a swap before it left to be done may be in the way for a moment.
        ASSERT_TRUE(WaitUntil([&] {
          page.Begin(kind, passes, daemon.data_dir());
          reply = Send(daemon, change);
          return reply.body.find("try again when") == std::string::npos;
        }));
        const uint32_t hits = page.End();
        if (hits == 0 || reply.status / 100 == 2) {
          ASSERT_LE(reply.status / 100, 2) << Show(reply);
          break;
        }
        ExpectRefusedByTheDisk(reply, change);
        ASSERT_EQ(before, Seen(daemon));
        ++refused;
      }
      if (HasFailure()) return;
    }
    EXPECT_GT(refused, 30) << "the disk did not fail where it should";
    EXPECT_TRUE(daemon.process().Running());
  }
}

TEST_F(FaultTest, ASyncThatFailsEndsChangesUntilTheNextStart) {
  FaultPage page;
  Restartable daemon({}, page.Environment());
  Bring(daemon);
  if (HasFatalFailure()) return;
  const std::string before = Seen(daemon);
  const Change change{Change::kRegisterModel, "m2", "1", {}, {}};
  {
    const Load load(daemon.address());
    page.Begin(FAULT_SYNC, 0, daemon.data_dir());
    ExpectRefusedByTheDisk(Send(daemon, change), change);
    EXPECT_GT(page.End(), 0u);
    const Reply again = Send(daemon, change);
    ExpectRefusedByTheDisk(again, change);
    EXPECT_THAT(ErrorText(again), testing::HasSubstr("started anew"));
    EXPECT_EQ(before, Seen(daemon));
  }
  EXPECT_EQ(0, daemon.Stop());
  std::string why;
  ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  EXPECT_THAT(Seen(daemon), testing::StartsWith(before));  // and perhaps m2, whole
  EXPECT_LE(Send(daemon, change).status, 201);
  EXPECT_EQ(0, daemon.Stop());
}

// The real thing: a file system of a megabyte.
class FullDisk {
 public:
  explicit FullDisk(const std::string& at) : at_(at) {
    fs::create_directories(at);
    const uid_t uid = getuid();
    const gid_t gid = getgid();
    if (unshare(CLONE_NEWNS) != 0) {
      if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return;
      WriteWhole("/proc/self/setgroups", "deny");
      WriteWhole("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
      WriteWhole("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
    }
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    mounted_ = mount("tmpfs", at.c_str(), "tmpfs", 0, "size=1m,mode=0700") == 0;
  }
  ~FullDisk() {
    if (mounted_) umount2(at_.c_str(), MNT_DETACH);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

  bool mounted() const { return mounted_; }
  void Fill() {
    const int fd = open((at_ + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const std::string page(4096, 'x');
    while (write(fd, page.data(), page.size()) > 0) {
    }
    close(fd);
  }
  void Empty() { fs::remove(at_ + "/filler"); }

 private:
  const std::string at_;
  bool mounted_ = false;
};

TEST_F(FaultTest, AFullDiskRefusesChangesUntilThereIsSpace) {
  Restartable daemon;
  FullDisk disk(daemon.data_dir());
  if (!disk.mounted()) GTEST_SKIP() << "this machine lets nobody mount a file system here";
  Bring(daemon);
  if (HasFatalFailure()) return;
  {
    const Load load(daemon.address());
    disk.Fill();
    // What the log has allocated may still take some.
    Reply reply;
    Change change{Change::kRegisterModel, "f", "1", {}, {}};
    std::string before;
    for (int i = 0; i < 2000 && reply.status < 300; ++i) {
      before = Seen(daemon);
      change.name = "f" + std::to_string(i);
      reply = Send(daemon, change);
    }
    ExpectRefusedByTheDisk(reply, change);
    EXPECT_THAT(ErrorText(reply), testing::HasSubstr("free space"));
    EXPECT_FALSE(reply.Header("retry-after").empty());
    ExpectRefusedByTheDisk(Send(daemon, {Change::kInstallPlugin, "echo", "2.0.0", {}, {}}), change);
    EXPECT_EQ(before, Seen(daemon));
    disk.Empty();
    EXPECT_EQ(201, Send(daemon, change).status);
    EXPECT_EQ(201, Send(daemon, {Change::kInstallPlugin, "echo", "2.0.0", {}, {}}).status);
  }
  // Started on a full disk it serves what it knows, or says what is wrong.
  disk.Fill();
  const std::string before = Seen(daemon);
  ASSERT_TRUE(daemon.KillAndSeeAllGone());
  std::string why;
  if (daemon.Start(kStart, &why)) {
    EXPECT_EQ(before, Seen(daemon));
    EXPECT_EQ(200, daemon.client().Send("POST", "/v2/models/m0/infer", kEchoBody).status);
    daemon.Stop();
  } else {
    EXPECT_THAT(why, testing::HasSubstr("is full: free space on it"));
  }
  disk.Empty();
  ASSERT_TRUE(daemon.Start(kStart, &why)) << why;
  EXPECT_EQ(before, Seen(daemon));
  EXPECT_EQ(0, daemon.Stop());
}

TEST_F(FaultTest, AReadOnlyDataDirectoryIsRefusedAndNamed) {
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

TEST_F(FaultTest, AStateFileThatIsNotWhatItWasIsRefusedAndLeftAsItIs) {
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

TEST_F(FaultTest, AnotherDaemonOnTheSameStateChangesNothing) {
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

TEST_F(FaultTest, AWallClockThatJumpsIsNotNoticed) {
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
