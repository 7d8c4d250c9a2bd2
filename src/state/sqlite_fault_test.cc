// SPDX-License-Identifier: Apache-2.0
//
// A disk that fails, at every operation in turn: whatever happens, the store
// holds what it acknowledged, says why it refuses, and opens again afterwards.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "state/fault_vfs.h"
#include "state/memory_store.h"
#include "state/sqlite_store.h"
#include "state/state_test_support.h"

namespace mlos::state {
namespace {

constexpr int kBatches = 4;    // in each of two sessions
constexpr uint32_t kSeed = 3;  // with large batches among the first

enum class Start { kEmpty, kLeftByCrash };

struct Disk {
  const char* name;
  int error;
  bool for_good;
  bool power_goes;
};

// One run of the script on a disk that fails at one point.
class Script {
 public:
  Script(FaultVfs* vfs, Start start, const Disk& disk, int at) : vfs_(*vfs), disk_(disk), at_(at) {
    options_.vfs = vfs->name();
    options_.checkpoint_frames = 12;
    if (start == Start::kLeftByCrash) LeaveByCrash();
    vfs_.Arm({at, disk.error, disk.for_good});
  }

  // False when the script was over before the fault.
  bool Play() {
    Session();
    Session();
    const bool fired = vfs_.fired();
    vfs_.Arm({});
    if (disk_.power_goes) {
      std::mt19937 random(static_cast<uint32_t>(at_));
      vfs_.LosePower(&random);
    }
    CheckAfterwards();
    return fired;
  }

 private:
  void LeaveByCrash() {
    auto store = SqliteStore::Open(directory_.file(), options_);
    ASSERT_TRUE(store.ok()) << Message(store.status());
    for (int i = 0; i < 3; ++i) Commit(**store, false);
    const std::string file = ReadBytes(directory_.file());
    const std::string log = ReadBytes(directory_.log());
    store->reset();
    WriteBytes(directory_.file(), file);
    WriteBytes(directory_.log(), log);
  }

  void Session() {
    auto store = SqliteStore::Open(directory_.file(), options_);
    if (!store.ok()) {
      EXPECT_TRUE(vfs_.fired()) << Message(store.status());
      CheckCode(store.status());
      return;
    }
    CheckContent(**store);
    bool closed = false;
    for (int i = 0; i < kBatches; ++i) closed = Commit(**store, closed);
  }

  // Whether the store takes no more.
  bool Commit(SqliteStore& store, bool closed) {
    const Batch batch = MakeBatch(kSeed, number_++);
    const Status status = store.Commit(batch);
    if (status.ok()) {
      EXPECT_FALSE(closed);
      EXPECT_TRUE(model_.Commit(batch).ok());
      in_doubt_.reset();
    } else {
      EXPECT_TRUE(vfs_.fired()) << Message(status);
      // Only a fault that stays, or lost something, can refuse a second time.
      EXPECT_TRUE(closed || disk_.for_good || !refused_) << Message(status);
      refused_ = true;
      CheckCode(status);
      if (closed) {
        EXPECT_EQ(status.code(), StatusCode::kUnavailable);
      } else {
        in_doubt_ = batch;
      }
      closed = Message(status).find("no change is accepted") != std::string_view::npos;
    }
    EXPECT_EQ(ContentOf(store), ContentOf(model_));
    return closed;
  }

  void CheckCode(const Status& status) {
    if (disk_.error == ENOSPC && status.code() == StatusCode::kResourceExhausted) return;
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << Message(status);
  }

  void CheckContent(SqliteStore& store) {
    const std::vector<Record> content = ContentOf(store);
    if (content == ContentOf(model_)) return in_doubt_.reset();
    // What was not acknowledged may be there, but only whole.
    ASSERT_TRUE(in_doubt_.has_value());
    EXPECT_TRUE(model_.Commit(*in_doubt_).ok());
    in_doubt_.reset();
    EXPECT_EQ(content, ContentOf(model_));
  }

  // Open() itself checks the file's integrity.
  void CheckAfterwards() {
    {
      auto store = SqliteStore::Open(directory_.file(), options_);
      ASSERT_TRUE(store.ok()) << Message(store.status());
      CheckContent(**store);
      EXPECT_FALSE(Commit(**store, false));
    }
    auto store = SqliteStore::Open(directory_.file(), options_);
    ASSERT_TRUE(store.ok()) << Message(store.status());
    EXPECT_EQ(ContentOf(**store), ContentOf(model_));
  }

  FaultVfs& vfs_;
  const Disk disk_;
  const int at_;
  TestDirectory directory_;
  SqliteOptions options_;
  MemoryStore model_;
  std::optional<Batch> in_doubt_;
  bool refused_ = false;
  int number_ = 0;
};

class SqliteFaultTest : public testing::TestWithParam<std::tuple<Disk, Start>> {};

TEST_P(SqliteFaultTest, EveryOperationInTurn) {
  const auto& [disk, start] = GetParam();
  FaultVfs vfs;
  int at = 0;
  bool fired = true;
  while (fired && !HasFailure()) {
    SCOPED_TRACE("operation " + std::to_string(++at));
    fired = Script(&vfs, start, disk, at).Play();
  }
  EXPECT_GT(at, 60);  // the script does enough for faults to hit
}

INSTANTIATE_TEST_SUITE_P(Disks, SqliteFaultTest,
                         testing::Combine(testing::Values(Disk{"FullOnce", ENOSPC, false, false},
                                                          Disk{"FullForGood", ENOSPC, true, false},
                                                          Disk{"FaultOnce", EIO, false, false},
                                                          Disk{"FaultForGood", EIO, true, false},
                                                          Disk{"PowerGoes", EIO, true, true}),
                                          testing::Values(Start::kEmpty, Start::kLeftByCrash)),
                         [](const auto& instance) {
                           return std::string(std::get<0>(instance.param).name) +
                                  (std::get<1>(instance.param) == Start::kEmpty ? "FromEmpty"
                                                                                : "AfterCrash");
                         });

Batch One(const std::string& key, const std::string& value = "{}") {
  return {{"model", key, value}};
}

class SqliteDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.vfs = vfs_.name();
    auto store = SqliteStore::Open(directory_.file(), options_);
    ASSERT_TRUE(store.ok()) << Message(store.status());
    store_ = std::move(store).value();
    ASSERT_TRUE(store_->Commit(One("a")).ok());
  }

  FaultVfs vfs_;
  TestDirectory directory_;
  SqliteOptions options_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(SqliteDiskTest, DurableBeforeItReturns) {
  const int before = vfs_.syncs();
  ASSERT_TRUE(store_->Commit(One("b")).ok());
  EXPECT_GT(vfs_.syncs(), before);
}

TEST_F(SqliteDiskTest, AFullDiskRefusesUntilThereIsSpace) {
  vfs_.Arm({1, ENOSPC, true});
  const Status full = store_->Commit(One("b"));
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(Message(full).find("full"), std::string_view::npos);
  EXPECT_EQ(ContentOf(*store_).size(), 1U);
  vfs_.Arm({});
  EXPECT_TRUE(store_->Commit(One("b")).ok());
}

TEST_F(SqliteDiskTest, NoQuotaIsAFullDisk) {
  vfs_.Arm({1, EDQUOT, false});
  EXPECT_EQ(store_->Commit(One("b")).code(), StatusCode::kResourceExhausted);
}

TEST_F(SqliteDiskTest, AReadOnlyDiskIsUnavailable) {
  vfs_.Arm({1, EROFS, true});
  const Status refused = store_->Commit(One("b"));
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Message(refused).find(directory_.path()), std::string_view::npos) << "names a path";
  vfs_.Arm({});
  EXPECT_TRUE(store_->Commit(One("b")).ok());
}

TEST_F(SqliteDiskTest, NoSecondSyncAfterOneFailed) {
  Status refused;
  for (int at = 1; refused.ok(); ++at) {  // until the fault meets the sync
    vfs_.Arm({at, EIO, false});
    refused = store_->Commit(One("b"));
    if (Message(refused).find("no change is accepted") == std::string_view::npos) refused = {};
    ASSERT_LT(at, 20);
  }
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  const int syncs = vfs_.syncs();
  EXPECT_EQ(store_->Commit(One("c")).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store_->Commit(Batch{}).code(), StatusCode::kUnavailable);
  store_.reset();
  EXPECT_EQ(vfs_.syncs(), syncs);

  auto again = SqliteStore::Open(directory_.file(), options_);
  ASSERT_TRUE(again.ok()) << Message(again.status());
  EXPECT_TRUE((*again)->Commit(One("c")).ok());
}

}  // namespace
}  // namespace mlos::state
