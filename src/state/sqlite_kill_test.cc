// SPDX-License-Identifier: Apache-2.0
//
// The process is killed at any moment: what it acknowledged is there, and what
// it did not is there whole or not at all.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>

#include "base/clock.h"
#include "base/owned_fd.h"
#include "state/memory_store.h"
#include "state/sqlite_store.h"
#include "state/state_test_support.h"

namespace mlos::state {
namespace {

constexpr int kKills = 200;
constexpr uint32_t kSeed = 77;

SqliteOptions Options() {
  SqliteOptions options;
  options.checkpoint_frames = 16;  // so that many kills hit one
  return options;
}

// Commits one batch after the other and acknowledges each with a byte.
[[noreturn]] void CommitUntilKilled(const std::string& file, int next, int acknowledge) {
  auto store = SqliteStore::Open(file, Options());
  if (!store.ok()) _exit(1);
  for (;; ++next) {
    if (!(*store)->Commit(MakeBatch(kSeed, next)).ok()) _exit(2);
    if (write(acknowledge, "+", 1) != 1) _exit(3);
    if (next % 50 == 49) {  // now and then an orderly end, so that kills hit that too
      store->reset();
      store = SqliteStore::Open(file, Options());
      if (!store.ok()) _exit(4);
    }
  }
}

// Waits for `wanted` acknowledgements and a little longer, and kills.
int KillAfter(pid_t child, int acknowledged, int wanted, int64_t nanos_longer) {
  const uint64_t deadline = NowNanos() + 60 * kNanosPerSecond;
  int got = 0;
  char bytes[64];
  while (got < wanted && NowNanos() < deadline) {
    pollfd readable{acknowledged, POLLIN, 0};
    if (poll(&readable, 1, 1000) != 1) continue;
    const ssize_t n = read(acknowledged, bytes, sizeof bytes);
    if (n <= 0) break;  // it ended by itself, which the caller sees
    got += static_cast<int>(n);
  }
  const uint64_t until = NowNanos() + static_cast<uint64_t>(nanos_longer);
  while (NowNanos() < until) {
  }
  kill(child, SIGKILL);
  for (ssize_t n; (n = read(acknowledged, bytes, sizeof bytes)) > 0;) got += static_cast<int>(n);
  return got;
}

TEST(SqliteKillTest, NothingAcknowledgedIsLost) {
  const TestDirectory directory;
  MemoryStore model;
  std::mt19937 random(99);
  int applied = 0;
  for (int kills = 0; kills < kKills; ++kills) {
    SCOPED_TRACE("kill " + std::to_string(kills));
    int pipe_ends[2];
    ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    const OwnedFd acknowledged(pipe_ends[0]);
    OwnedFd acknowledge(pipe_ends[1]);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) CommitUntilKilled(directory.file(), applied, acknowledge.get());
    acknowledge.Reset();
    const int acks = KillAfter(child, acknowledged.get(), static_cast<int>(random() % 12),
                               static_cast<int64_t>(random() % 1'000'000));
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "ended by itself with " << status;

    auto store = SqliteStore::Open(directory.file(), Options());
    ASSERT_TRUE(store.ok()) << Message(store.status());
    const std::vector<Record> found = ContentOf(**store);
    for (int i = 0; i < acks; ++i) ASSERT_TRUE(model.Commit(MakeBatch(kSeed, applied++)).ok());
    if (found == ContentOf(model)) continue;
    ASSERT_TRUE(model.Commit(MakeBatch(kSeed, applied++)).ok());  // the one under way
    ASSERT_EQ(found, ContentOf(model));
  }
  EXPECT_GT(applied, kKills);
}

}  // namespace
}  // namespace mlos::state
