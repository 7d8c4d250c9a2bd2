// SPDX-License-Identifier: Apache-2.0
//
// Attacks by number (T13 and T14 of the reliability tests): ten times as many
// requests as can be served, and more connections than there are descriptors.
// MLOS_OVERLOAD_SECONDS=300 makes the first as long as the list asks for.
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <sstream>
#include <thread>

#include "base/sanitized.h"
#include "oracle.h"
#include "raw_peer.h"

namespace mlos::test {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr char kServiceBody[] =
    R"({"inputs":[{"name":"X","datatype":"INT64","shape":[1],"data":[5]}]})";

// More than a model may have in flight.
constexpr size_t kConnections = 2000;

double OverloadSeconds() {
  // Nothing changes the environment.  NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* text = std::getenv("MLOS_OVERLOAD_SECONDS");
  return text == nullptr ? 4 : std::strtod(text, nullptr);
}

// Answers by kind.
struct Tally {
  size_t good = 0;
  size_t refused = 0;  // 503 or 429, with Retry-After
  std::vector<std::string> other;

  void Count(const std::string& said) {
    const std::vector<int> statuses = Statuses(said);
    const bool one = statuses.size() == 1;
    if (one && statuses[0] == 200) {
      ++good;
    } else if (one && (statuses[0] == 503 || statuses[0] == 429) &&
               said.find("\r\nRetry-After: ") != std::string::npos) {
      ++refused;
    } else {
      other.push_back(said.substr(0, 300));
    }
  }
};

// Requests at a rate of their own, whether the ones before are answered or not: each on a
// connection that has nothing else under way, of which there are as many as it takes.
class OpenLoop {
 public:
  OpenLoop(const std::string& address, size_t connections) {
    peers_.reserve(connections);
    for (size_t i = 0; i < connections; ++i) {
      peers_.emplace_back(address);
      looks_.push_back({peers_.back().fd(), POLLIN, 0});
      idle_.push_back(i);
    }
    request_ = "POST /v2/models/m-slow/infer HTTP/1.1\r\nHost: t\r\nContent-Length: " +
               std::to_string(sizeof kServiceBody - 1) + "\r\n\r\n" + kServiceBody;
  }

  // Counts what is answered in this time.
  Tally Run(double rate, double seconds) {
    Tally tally;
    const auto begin = Clock::now();
    size_t sent = 0;
    for (double now = 0; now < seconds; now = Seconds(Clock::now() - begin).count()) {
      for (; static_cast<double>(sent) < rate * now && !idle_.empty(); ++sent) {
        const size_t i = idle_.front();
        idle_.pop_front();
        EXPECT_TRUE(peers_[i].Send(request_));
      }
      Hear(&tally);
    }
    return tally;
  }

  // The answers that are still to come.
  Tally Finish() {
    Tally tally;
    EXPECT_TRUE(WaitUntil(
        [&] {
          Hear(&tally);
          return idle_.size() == peers_.size();
        },
        std::chrono::minutes(2)));
    return tally;
  }

 private:
  void Hear(Tally* tally) {
    if (poll(looks_.data(), looks_.size(), 1) <= 0) return;
    for (size_t i = 0; i < looks_.size(); ++i) {
      if (looks_[i].revents == 0) continue;
      tally->Count(peers_[i].ReadSome());  // small: it comes whole
      idle_.push_back(i);
    }
  }

  std::vector<RawPeer> peers_;
  std::vector<pollfd> looks_;
  std::deque<size_t> idle_;
  std::string request_;
};

class OverloadAttack : public AttackTest {
 protected:
  void SetUp() override {
    RaiseDescriptorLimit();
    // As if the attackers had addresses of their own.
    ASSERT_NO_FATAL_FAILURE(Start({"--http-max-connections-per-address", "4096"}));
  }

  // What the slow model gives when nobody waits: a request for each worker, one after the other.
  double PeakRate(double seconds) {
    std::atomic<size_t> good{0};
    std::vector<std::thread> clients;
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        HttpClient client(daemon().address());
        while (Clock::now() < end) {
          good +=
              client.Send("POST", "/v2/models/m-slow/infer", kServiceBody).status == 200 ? 1 : 0;
        }
      });
    }
    for (std::thread& client : clients) client.join();
    return static_cast<double>(good) / seconds;
  }
};

TEST_F(OverloadAttack, TenTimesTheCapacity) {
  daemon().BringTestModel("slow");
  PeakRate(0.3);
  const double before = PeakRate(1.5);
  ASSERT_GT(before, 50);
  const double rate = 10 * before;
  {
    // A channel grows to what was in flight at once, and keeps it: the second time must not take
    // more.
    OpenLoop rehearsal(daemon().address(), kConnections);
    rehearsal.Run(rate, 1);
    rehearsal.Finish();
  }
  ASSERT_NO_FATAL_FAILURE(Watch());
  OpenLoop attack(daemon().address(), kConnections);
  attack.Run(rate, 1);  // until the queue is full
  const double seconds = OverloadSeconds();
  const Tally tally = attack.Run(rate, seconds);
  const Tally rest = attack.Finish();
  // What else the machine does changes from second to second: the lower of two looks.
  const double peak = std::min(before, PeakRate(1.5));
  const double goodput = static_cast<double>(tally.good) / seconds;
  std::printf("peak %.0f/s; goodput %.0f/s and %.0f/s refused\n", peak, goodput,
              static_cast<double>(tally.refused) / seconds);
  EXPECT_GE(goodput, 0.9 * peak);
  EXPECT_GE(static_cast<double>(tally.good + tally.refused) / seconds, 5 * peak)
      << "it was no overload: the attackers are too slow";
  for (const Tally& t : {tally, rest}) EXPECT_THAT(t.other, testing::IsEmpty());
}

// -------------------------------------------------------------- connections

class CrowdAttack : public AttackTest {
 protected:
  void SetUp() override {
    RaiseDescriptorLimit();
    ASSERT_NO_FATAL_FAILURE(Start({"--http-address", "unix:" + (dir_ / "sock")}));
    ASSERT_NO_FATAL_FAILURE(Watch("unix:" + (dir_ / "sock")));
  }
  const TempDir dir_;
};

// One address opens all the connections that it can, over and over.
TEST_F(CrowdAttack, MoreConnectionsThanOneAddressMayHave) {
  std::vector<RawPeer> held;
  const auto refused = [&] {
    RawPeer peer(daemon().address());
    if (!peer.HungUp()) peer.Send("GET /v2/health/live HTTP/1.1\r\nHost: t\r\n\r\n");
    const std::string said = peer.ReadSome();
    if (Statuses(said) != std::vector<int>{503}) {
      EXPECT_EQ((std::vector<int>{200}), Statuses(said)) << said;
      held.push_back(std::move(peer));
      return false;
    }
    EXPECT_NE(std::string::npos, said.find("\r\nRetry-After: ")) << said;
    return true;
  };
  while (!refused() && held.size() < 2000) {
  }
  EXPECT_EQ(1024u, held.size() + 1);  // one is the test's own
  for (int i = 0; i < 2000; ++i) EXPECT_TRUE(refused());
  held.clear();
  EXPECT_TRUE(WaitUntil([&] { return !refused(); }));
}

// -------------------------------------------------------------- descriptors

// Of the daemon, all its threads.
uint64_t ProcessorMillis(pid_t pid) {
  const std::string stat = ReadWhole("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream in(stat.substr(stat.rfind(") ") + 2));
  std::string ignored;
  for (int i = 0; i < 11; ++i) in >> ignored;
  uint64_t user = 0;
  uint64_t system = 0;
  in >> user >> system;
  return (user + system) * 1000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
}

size_t Count(const std::string& text, const std::string& word) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += word.size()) ++count;
  return count;
}

rlimit LimitOf(pid_t pid) {
  rlimit limit{};
  EXPECT_EQ(0, prlimit(pid, RLIMIT_NOFILE, nullptr, &limit));
  return limit;
}

// The soft limit is for programs that use select(): a thousand, of which each connection takes one.
TEST(DescriptorTest, TheDaemonTakesAsManyAsItMayHave) {
  const rlimit own = LimitOf(getpid());
  rlimit few = own;
  few.rlim_cur = 256;
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
  {
    const Daemon daemon;
    const rlimit its = LimitOf(daemon.pid());
    EXPECT_EQ(its.rlim_max, its.rlim_cur);
    EXPECT_EQ(own.rlim_max, its.rlim_max);
  }
  ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &own));
}

// UndefinedBehaviorSanitizer makes a pipe to find out whether an object may be read, and takes
// the lack of one for an object that may not: clang's preset with both cannot run this.
TEST_F(OverloadAttack, MoreConnectionsThanDescriptors) {
  if (kAddressSanitized) GTEST_SKIP() << "the sanitizer itself needs descriptors";
  ASSERT_NO_FATAL_FAILURE(Watch());
  const pid_t pid = daemon().pid();
  const rlimit before = LimitOf(pid);
  rlimit few = before;
  few.rlim_cur = CountFds(pid) + 20;
  ASSERT_EQ(0, prlimit(pid, RLIMIT_NOFILE, &few, nullptr));
  const std::string request = "GET /v2/health/live HTTP/1.1\r\nHost: t\r\n\r\n";
  std::vector<RawPeer> peers;
  for (int i = 0; i < 100; ++i) {
    peers.emplace_back(daemon().address());
    ASSERT_TRUE(peers.back().connected());  // the system's queue takes them
    ASSERT_TRUE(peers.back().Send(request));
  }
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ((std::vector<int>{200}), Statuses(peers[i].ReadSome())) << i;
  }
  // Meanwhile it waits, and serves those that it has; neither the processor nor the log is kept
  // busy.
  const uint64_t before_ms = ProcessorMillis(pid);
  const auto begin = Clock::now();
  oracle().Await(500);
  const double seconds = Seconds(Clock::now() - begin).count();
  const double busy = static_cast<double>(ProcessorMillis(pid) - before_ms) / 1000 / seconds;
  EXPECT_LT(busy, 0.7) << "of a processor";
  EXPECT_LE(Count(daemon().process().log(), "no descriptors left"), 2u) << daemon().process().log();
  // As those that were served go, the others come in.
  for (int i = 0; i < 100; ++i) {
    if (i >= 15) {
      EXPECT_EQ((std::vector<int>{200}), Statuses(peers[i].ReadSome())) << i;
    }
    peers[i].Close();
  }
  // And with the limit as before there is nothing to be seen of it.
  ASSERT_EQ(0, prlimit(pid, RLIMIT_NOFILE, &before, nullptr));
  EXPECT_STATUS(200, HttpClient(daemon().address()).Send("GET", "/v2/health/live"));
}

}  // namespace
}  // namespace mlos::test
