// SPDX-License-Identifier: Apache-2.0
//
// Damaged files: a store opens with exactly what was acknowledged, or says that
// it cannot; the files are left as they are.
#include <gtest/gtest.h>

#include <fcntl.h>

#include <random>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "state/fault_vfs.h"
#include "state/log_check.h"
#include "state/sqlite_store.h"
#include "state/state_test_support.h"

namespace mlos::state {
namespace {

class SqliteDamageTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.vfs = vfs_.name();  // no real syncs
    auto store = SqliteStore::Open(directory_.file(), options_);
    ASSERT_TRUE(store.ok()) << Message(store.status());
    // Removing most of it leaves free pages in the file.
    for (int i = 0; i < 12; ++i) ASSERT_TRUE((*store)->Commit(MakeBatch(5, i)).ok());
    before_last_ = ContentOf(**store);
    taken_before_last_ = FramesTaken();
    ASSERT_TRUE((*store)->Commit(MakeBatch(5, 12)).ok());
    content_ = ContentOf(**store);
    ASSERT_GT(FramesTaken(), taken_before_last_ + 1);
    live_file_ = ReadBytes(directory_.file());
    live_log_ = ReadBytes(directory_.log());
    store->reset();
    closed_file_ = ReadBytes(directory_.file());
  }

  int64_t FramesTaken() {
    const OwnedFd fd(open(directory_.log().c_str(), O_RDONLY | O_CLOEXEC));
    const auto report = CheckLog(fd.get());
    EXPECT_TRUE(report.ok() && report->header_sound && !report->lost_commits);
    return report->frames;
  }

  enum class Result { kRefused, kWhole, kWithoutLast, kOther };
  Result Try(const std::string& file, const std::string* log) {
    WriteBytes(directory_.file(), file);
    std::filesystem::remove(directory_.log());
    if (log != nullptr) WriteBytes(directory_.log(), *log);
    auto store = SqliteStore::Open(directory_.file(), options_);
    if (!store.ok()) {
      EXPECT_EQ(store.status().code(), StatusCode::kFailedPrecondition) << Message(store.status());
      EXPECT_EQ(ReadBytes(directory_.file()), file);
      if (log != nullptr) {
        EXPECT_EQ(ReadBytes(directory_.log()), *log);
      }
      return Result::kRefused;
    }
    const std::vector<Record> found = ContentOf(**store);
    if (found != content_) return found == before_last_ ? Result::kWithoutLast : Result::kOther;
    EXPECT_TRUE((*store)->Commit(Batch{{"new", "one", "1"}}).ok());
    return Result::kWhole;
  }

  FaultVfs vfs_;
  TestDirectory directory_;
  SqliteOptions options_;
  std::vector<Record> content_, before_last_;
  int64_t taken_before_last_ = 0;
  std::string live_file_, live_log_, closed_file_;
  std::mt19937 random_{11};
};

std::string Flipped(std::string bytes, size_t at, uint32_t bit) {
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << (bit % 8)));
  return bytes;
}

TEST_F(SqliteDamageTest, BitsOfTheFile) {
  int refused = 0;
  // All of the header and of the first page's start; then here and there.
  for (size_t at = 0; at < closed_file_.size(); at += at < 100 ? 1 : 1 + random_() % 80) {
    const uint32_t bits = at < 100 ? 8 : 1;
    for (uint32_t i = 0; i < bits; ++i) {
      const uint32_t bit = bits == 8 ? i : random_() % 8;
      SCOPED_TRACE("byte " + std::to_string(at) + " bit " + std::to_string(bit));
      const Result result = Try(Flipped(closed_file_, at, bit), nullptr);
      ASSERT_TRUE(result == Result::kRefused || result == Result::kWhole);
      refused += result == Result::kRefused ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 200);
}

TEST_F(SqliteDamageTest, LengthOfTheFile) {
  ASSERT_EQ(Try(closed_file_, nullptr), Result::kWhole);
  for (size_t length = 0; length < closed_file_.size(); length += 1 + random_() % 300) {
    SCOPED_TRACE(length);
    ASSERT_EQ(Try(closed_file_.substr(0, length), nullptr), Result::kRefused);
  }
}

TEST_F(SqliteDamageTest, BitsOfTheLog) {
  ASSERT_EQ(Try(live_file_, &live_log_), Result::kWhole);
  const size_t last = 32 + static_cast<size_t>(taken_before_last_) * 4120;
  int refused = 0;
  const auto flip = [&](size_t at, uint32_t bit) {
    SCOPED_TRACE("byte " + std::to_string(at) + " bit " + std::to_string(bit));
    const std::string damaged = Flipped(live_log_, at, bit);
    const Result result = Try(live_file_, &damaged);
    // What hits the very last commit looks as if the power had gone in it.
    ASSERT_TRUE(result == Result::kRefused || result == Result::kWhole ||
                (at >= last && result == Result::kWithoutLast));
    refused += result == Result::kRefused ? 1 : 0;
  };
  for (size_t at = 0; at < live_log_.size(); at += 1 + random_() % 1200) flip(at, random_());
  for (size_t frame = 32; frame < live_log_.size(); frame += 4120) {
    for (size_t field = 0; field < 24; field += 8) flip(frame + field + random_() % 8, random_());
  }
  for (size_t at = 0; at < 32; ++at) flip(at, random_());
  EXPECT_GT(refused, 200);
}

// Two commits that look as one: told apart by a page that both wrote.
TEST_F(SqliteDamageTest, ACommitWithoutItsEnd) {
  std::string damaged = live_log_;
  const size_t end = 32 + (static_cast<size_t>(taken_before_last_) - 1) * 4120;
  ASSERT_NE(damaged.substr(end + 4, 4), std::string(4, '\0'));
  damaged.replace(end + 4, 4, std::string(4, '\0'));
  EXPECT_EQ(Try(live_file_, &damaged), Result::kRefused);
  damaged.replace(end, 4120 / 2,
                  std::string(4120 / 2, '\0'));  // nor anything else of its last frame
  EXPECT_EQ(Try(live_file_, &damaged), Result::kRefused);
}

TEST_F(SqliteDamageTest, LengthOfTheLog) {
  for (size_t length = 0; length < live_log_.size(); length += 1 + random_() % 9000) {
    SCOPED_TRACE(length);
    const std::string shortened = live_log_.substr(0, length);
    // Without its header it is known to be short; later on it is as if it had ended there.
    const Result result = Try(live_file_, &shortened);
    if (length < 32) {
      ASSERT_EQ(result, Result::kRefused);
    }
  }
}

}  // namespace
}  // namespace mlos::state
