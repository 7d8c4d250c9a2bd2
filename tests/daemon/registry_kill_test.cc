// SPDX-License-Identifier: Apache-2.0
//
// mlosd is killed (SIGKILL) at any moment of a change and started again on what
// it left: what was acknowledged is there and serves, what was not is there
// whole or not at all, and nothing else of the killed one is left.
//
//   MLOS_KILLS=1000    how often; the default keeps the test short
//   MLOS_SEED=N        repeats a run; a failure prints its own
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/sanitized.h"
#include "fixture.h"
#include "registry_model.h"
#include "restartable.h"

namespace mlos::test {
namespace {
namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kReadyLimit{2000};  // of the product, not of the test
constexpr char kEchoBody[] =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[3],"data":[1,2,3]}]})";

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread yet
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Sanitizers slow the daemon, not the promise.
std::chrono::milliseconds ReadyLimit() { return kSanitized ? kReadyLimit * 10 : kReadyLimit; }

// But for those that tests which run beside this one have made.
std::vector<std::string> NamesBelow(const std::string& root, int depth) {
  std::vector<std::string> out;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; it != end && !error;
       it.increment(error)) {
    if (it.depth() + 1 >= depth) it.disable_recursion_pending();
    const std::string name = it->path().filename();
    if (!name.starts_with("mlos_test_") && !name.starts_with("mlosd-test-")) out.push_back(name);
  }
  return out;
}

// Burns the time: a sleep is not exact enough to hit something that lasts 0.1 ms.
void Spin(std::chrono::nanoseconds time) {
  const auto end = steady_clock::now() + time;
  while (steady_clock::now() < end) {
  }
}

// Sees the first byte that goes to the state's log, or to a package, after it
// was made.
class DiskWatch {
 public:
  explicit DiskWatch(const std::string& data_dir) : fd_(inotify_init1(IN_CLOEXEC)) {
    inotify_add_watch(fd_, data_dir.c_str(), IN_MODIFY);
    inotify_add_watch(fd_, (data_dir + "/packages").c_str(), IN_CREATE | IN_MOVED_TO);
  }
  ~DiskWatch() { close(fd_); }
  DiskWatch(const DiskWatch&) = delete;
  DiskWatch& operator=(const DiskWatch&) = delete;
  void Wait(int limit_ms) const {
    pollfd event{fd_, POLLIN, 0};
    poll(&event, 1, limit_ms);
  }

 private:
  const int fd_;
};

class KillTest : public testing::Test {
 protected:
  KillTest()
      : daemon_({"--http-address", "unix:" + (packages_ / "sock")}),
        seed_(FromEnvironment("MLOS_SEED", 20'261)),
        random_(static_cast<uint32_t>(seed_)) {
    for (const char* name : {"echo", "counts"}) {
      for (const char* version : {"1.0.0", "2.0.0"}) MakePackage(name, version);
    }
    places_ = {packages_.path(), SourcePath("tests/plugins/model.test")};
    candidates_ = {World{}};
  }

  void MakePackage(const std::string& name, const std::string& version) {
    const std::string to = packages_ / (name + "/" + version);
    fs::create_directories(fs::path(to).parent_path());
    fs::copy(TestPlugin(name), to, fs::copy_options::recursive);
    std::string manifest = ReadWhole(to + "/plugin.yaml");
    manifest.replace(manifest.find("1.0.0"), 5, version);
    WriteWhole(to + "/plugin.yaml", manifest);
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

  // It is ready in time and shows one of the possible worlds, which is then the
  // one.
  void ExpectWhole();
  void ExpectServing();
  // Changes that are answered; each as the world says.
  void ChangeInPeace(uint64_t count);
  // One or two changes, and the kill while they are under way.
  void ChangeAndKill();
  void KillWhileItStarts();
  void Kill();
  void Wait(Change::Kind kind, const DiskWatch& disk);
  void Judge(const Change& change, const Reply& reply, const World& before);

  // Reads what the two that were under way came to.
  struct Sent {
    Change change;
    std::unique_ptr<HttpClient> client;
    Reply reply;
  };
  void Conclude(const std::vector<Sent>& sent);

  const TempDir packages_;
  Restartable daemon_;
  const uint64_t seed_;
  std::mt19937 random_;
  Places places_;
  std::vector<World> candidates_;
  World& world() { return candidates_.front(); }
  std::map<Change::Kind, double> typical_us_;
  std::string last_;  // what was under way, for messages
  int acknowledged_ = 0, in_flight_ = 0, undone_ = 0, done_ = 0, kills_ = 0;
  double longest_ready_ms_ = 0;
};

void KillTest::ExpectWhole() {
  std::string why;
  std::map<std::string, std::string> policies;
  if (fs::exists(daemon_.data_dir() + "/state.db")) {
    const StateCopy copy = ReadState(daemon_.data_dir());
    ASSERT_EQ("ok", copy.integrity);
    for (const auto& [key, value] : copy.groups) {
      const auto group = ParseJson(value);
      const auto* policy = group.as_object().if_contains("policy");
      if (policy != nullptr) policies[key] = boost::json::serialize(*policy);
    }
  }
  ASSERT_TRUE(daemon_.Start(ReadyLimit(), &why)) << why;
  longest_ready_ms_ = std::max(longest_ready_ms_, daemon_.ready_ms());
  const auto plugins = ParseJson(daemon_.client().Send("GET", "/api/v1/plugins").body);
  const auto models = ParseJson(daemon_.client().Send("GET", "/api/v1/models").body);
  const std::string seen = SeenText(plugins, models, policies);
  std::vector<World> outcomes;
  for (const World& candidate : candidates_) {
    for (World& outcome : Outcomes(candidate)) outcomes.push_back(std::move(outcome));
  }
  std::string possible;
  const auto it = std::find_if(outcomes.begin(), outcomes.end(), [&](const World& w) {
    possible += w.Text() + "--\n";
    return w.Text() == seen;
  });
  ASSERT_NE(outcomes.end(), it) << "there is:\n" << seen << "possible was:\n" << possible;
  (it == outcomes.begin() ? undone_ : done_) += candidates_.size() > 1 ? 1 : 0;
  candidates_ = {World(*it)};
  EXPECT_THAT(daemon_.Strange(), testing::IsEmpty());
  std::vector<std::string> used;
  for (const auto& plugin : plugins.at("plugins").as_array()) {
    if (!plugin.at("source").is_null()) used.push_back(At(plugin, "/path"));
  }
  std::vector<std::string> kept;
  const std::string root = daemon_.data_dir() + "/packages";
  std::error_code none;
  for (const auto& e : fs::directory_iterator(root, none)) kept.push_back(e.path());
  EXPECT_THAT(kept, testing::UnorderedElementsAreArray(used));
  EXPECT_EQ(200, HttpClient("unix:" + (packages_ / "sock")).Send("GET", "/v2/health/live").status);
  ExpectServing();
}

void KillTest::ExpectServing() {
  for (const auto& [name, versions] : world().models) {
    for (const auto& [version, desired] : versions) {
      if (desired != "loaded") continue;
      const Reply reply = daemon_.client().Send(
          "POST", "/v2/models/" + name + "/versions/" + version + "/infer", kEchoBody);
      ASSERT_EQ(200, reply.status) << Show(reply);
      ASSERT_EQ((std::vector<double>{1, 2, 3}), Numbers(reply, "/outputs/0/data"));
    }
  }
}

// An answer is what the world says, but that something may still be going on
// which was acknowledged before.
void KillTest::Judge(const Change& change, const Reply& reply, const World& before) {
  const bool done = reply.status == 200 || reply.status == 201;
  if (done == Allowed(before, change)) return;
  ASSERT_EQ(409, reply.status) << change.Text() << "\n" << Show(reply) << before.Text();
  ASSERT_THAT(reply.body, testing::HasSubstr("try again")) << change.Text() << before.Text();
}

void KillTest::ChangeInPeace(uint64_t count) {
  for (uint64_t i = 0; i < count && !HasFatalFailure(); ++i) {
    const Change change = AnyChange(world(), random_);
    const auto begin = steady_clock::now();
    const Reply reply =
        daemon_.client().Send(change.method(), change.target(), places_.Body(change));
    const std::chrono::duration<double, std::micro> took = steady_clock::now() - begin;
    Judge(change, reply, world());
    if (reply.status != 200 && reply.status != 201) continue;
    ++acknowledged_;
    double& typical = typical_us_.try_emplace(change.kind, took.count()).first->second;
    typical += (took.count() - typical) / 4;
    world() = After(world(), change);
  }
}

// Until some moment of a change of this kind.
void KillTest::Wait(Change::Kind kind, const DiskWatch& disk) {
  const auto typical = typical_us_.find(kind);
  const double us = typical == typical_us_.end() ? 2000 : typical->second;
  if (Below(2) == 0) {
    disk.Wait(static_cast<int>(us / 500) + 1);
    Spin(std::chrono::microseconds(Below(4) == 0 ? 0 : Below(300)));
  } else {
    Spin(std::chrono::nanoseconds(Below(static_cast<uint64_t>(us * 1300) + 1)));
  }
}

void KillTest::Kill() {
  ++kills_;
  // No process: with the last one went what only processes hold, memory that has
  // no name and descriptors that were on their way.
  ASSERT_TRUE(daemon_.KillAndSeeAllGone()) << daemon_.process().log();
  // Nobody listens: what is left of the socket is a name, which the next start
  // takes over.  And nothing that has a name elsewhere.
  EXPECT_THAT(ReadWhole("/proc/net/unix"), testing::Not(testing::HasSubstr(packages_ / "sock")));
  EXPECT_THAT(NamesBelow("/dev/shm", 1),
              testing::Not(testing::Contains(testing::HasSubstr("mlos"))));
  EXPECT_THAT(NamesBelow("/sys/fs/cgroup", 4),
              testing::Not(testing::Contains(testing::HasSubstr("mlos"))));
}

void KillTest::ChangeAndKill() {
  std::vector<Sent> sent(1 + Below(2));
  for (Sent& s : sent) {
    s.change = AnyChange(world(), random_);
    s.client = std::make_unique<HttpClient>(daemon_.address());
    last_ += "; " + s.change.Text();
    ASSERT_TRUE(s.client->Write("GET", "/v2/health/live"));  // connected before it counts
    ASSERT_EQ(200, s.client->Read().status);
  }
  const DiskWatch disk(daemon_.data_dir());
  for (Sent& s : sent) {
    ASSERT_TRUE(s.client->Write(s.change.method(), s.change.target(), places_.Body(s.change)));
  }
  Wait(sent.front().change.kind, disk);
  Kill();
  for (Sent& s : sent) s.reply = s.client->Read();
  Conclude(sent);
}

void KillTest::Conclude(const std::vector<Sent>& sent) {
  const auto answered = [](const Sent& s) { return s.reply.status != 0; };
  const auto done = [](const Sent& s) { return s.reply.status == 200 || s.reply.status == 201; };
  std::vector<World> possible;
  std::vector<size_t> order(sent.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  do {
    // Each subset of those that were not answered, in this order.
    for (size_t made = 0; made < size_t{1} << sent.size(); ++made) {
      World w = world();
      bool can_be = true;
      for (const size_t i : order) {
        const bool make = (made >> i & 1) != 0;
        if (answered(sent[i])) can_be = can_be && make == done(sent[i]);
        if (!make) continue;
        can_be = can_be && Allowed(w, sent[i].change);
        if (can_be) w = After(std::move(w), sent[i].change);
      }
      if (can_be) possible.push_back(std::move(w));
    }
  } while (std::next_permutation(order.begin(), order.end()));
  for (const Sent& s : sent) {
    last_ += " -> " + std::to_string(s.reply.status);
    in_flight_ += answered(s) ? 0 : 1;
    acknowledged_ += done(s) ? 1 : 0;
  }
  ASSERT_FALSE(possible.empty()) << "the answers contradict each other: " << last_ << "\n"
                                 << world().Text();
  candidates_ = std::move(possible);
}

void KillTest::KillWhileItStarts() {
  daemon_.Launch();
  Spin(std::chrono::microseconds(Below(15'000)));
  Kill();
}

TEST_F(KillTest, WhatWasAcknowledgedIsThereAndNothingElse) {
  const auto kills = static_cast<int>(FromEnvironment("MLOS_KILLS", 80));
  while (kills_ < kills) {
    SCOPED_TRACE("MLOS_SEED=" + std::to_string(seed_) + ", kill " + std::to_string(kills_) + last_);
    last_.clear();
    if (Below(8) == 0) KillWhileItStarts();
    ExpectWhole();
    if (!HasFailure()) ChangeInPeace(Below(7));
    if (HasFailure()) return;
    if (Below(16) == 0) {
      ASSERT_EQ(0, daemon_.Stop()) << daemon_.process().log();
    } else {
      ChangeAndKill();
    }
    if (HasFailure()) return;
  }
  ExpectWhole();
  daemon_.Stop();
  std::printf(
      "%d kills, %d changes acknowledged, %d not answered; after the kill a change was "
      "there %d times and not %d times; longest start %.0f ms\n",
      kills_, acknowledged_, in_flight_, done_, undone_, longest_ready_ms_);
  EXPECT_GT(acknowledged_, kills);
  EXPECT_GT(in_flight_, kills / 8) << "the kills came too late to prove anything";
}

TEST_F(KillTest, KilledUnderLoadItServesAgain) {
  std::string why;
  ASSERT_TRUE(daemon_.Start(ReadyLimit(), &why)) << why;
  for (const Change& change : {Change{Change::kRegisterPlugin, "echo", "1.0.0", {}, {}},
                               Change{Change::kLoadPlugin, "echo", "1.0.0", {}, {}},
                               Change{Change::kRegisterModel, "m0", "1", {}, {}},
                               Change{Change::kLoadModel, "m0", "1", {}, {}}}) {
    const Reply reply =
        daemon_.client().Send(change.method(), change.target(), places_.Body(change));
    ASSERT_LE(reply.status / 100, 2) << Show(reply);
    world() = After(world(), change);
  }
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> answered{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> load;
    load.reserve(4);
    for (int i = 0; i < 4; ++i) {
      load.emplace_back([&, client = HttpClient(daemon_.address())]() mutable {
        for (;;) {
          const Reply reply = client.Send("POST", "/v2/models/m0/infer", kEchoBody);
          if (reply.status == 0) return;  // killed
          ++answered;
          if (Numbers(reply, "/outputs/0/data") != std::vector<double>{1, 2, 3}) ++wrong;
        }
      });
    }
    EXPECT_TRUE(WaitUntil([&] { return answered > 200; }));
    Kill();
    for (std::thread& thread : load) thread.join();
    EXPECT_EQ(0, wrong);
    ExpectWhole();
    if (HasFailure()) return;
  }
  EXPECT_EQ(0, daemon_.Stop());
}

}  // namespace
}  // namespace mlos::test
