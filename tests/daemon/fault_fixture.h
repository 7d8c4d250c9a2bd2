// SPDX-License-Identifier: Apache-2.0
//
// What the tests of faults share: a daemon with a plugin and models, a load that
// must not notice, and the faults that a preloaded library makes.  One thread,
// but for the load's own.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "fault_preload.h"
#include "fixture.h"
#include "registry_model.h"
#include "restartable.h"

namespace mlos::test {

inline constexpr std::chrono::seconds kStart{20};
inline constexpr char kEchoBody[] =
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
      std::filesystem::create_directories(std::filesystem::path(to).parent_path());
      std::filesystem::copy(TestPlugin("echo"), to, std::filesystem::copy_options::recursive);
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

inline void ExpectRefusedByTheDisk(const Reply& reply, const Change& change) {
  EXPECT_EQ(503, reply.status) << change.Text() << Show(reply);
  EXPECT_EQ("UNAVAILABLE", At(reply, "/error/code"));
  EXPECT_THAT(ErrorText(reply),
              testing::AnyOf(testing::HasSubstr("disk"), testing::HasSubstr("No space left"),
                             testing::HasSubstr("Input/output error")));
  EXPECT_THAT(ErrorText(reply), testing::Not(testing::HasSubstr("state.db")));
}

}  // namespace mlos::test
