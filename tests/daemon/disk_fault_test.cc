// SPDX-License-Identifier: Apache-2.0
//
// A disk that is full or fails: inference goes on, changes are refused with a
// reason and leave nothing half done, and go on when the fault is over.
#include <sched.h>
#include <sys/mount.h>

#include "fault_fixture.h"

namespace mlos::test {
namespace {
namespace fs = std::filesystem;

using DiskFaultTest = FaultTest;

// Every change meets the fault at its first, second, … write, until one has no
// more of them.
TEST_F(DiskFaultTest, EveryWriteOfEveryChangeMayFail) {
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

TEST_F(DiskFaultTest, ASyncThatFailsEndsChangesUntilTheNextStart) {
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

TEST_F(DiskFaultTest, AFullDiskRefusesChangesUntilThereIsSpace) {
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

}  // namespace
}  // namespace mlos::test
