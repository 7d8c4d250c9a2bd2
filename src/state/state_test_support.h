// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the stores share.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "state/memory_store.h"
#include "state/sqlite_store.h"

namespace mlos::state {

// A directory for one test, in memory where that is possible.
class TestDirectory {
 public:
  TestDirectory() {
    const char* shared = "/dev/shm";
    path_ = access(shared, W_OK) == 0 ? std::string(shared) + "/" : testing::TempDir();
    path_ += "state-test-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no directory " << path_;
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string file() const { return path_ + "/state.db"; }
  std::string log() const { return file() + "-wal"; }

 private:
  std::string path_;
};

using Batch = std::vector<Change>;

// Always the same for the same seed: sets, replaces and removes a few of a few
// keys; now and then many, or large ones.  Says under ("count", "batches")
// which it is, so that what a store holds tells how many it took.
inline Batch MakeBatch(uint32_t seed, int number) {
  std::mt19937 random(seed * 1000003U + static_cast<uint32_t>(number));
  Batch batch;
  const uint32_t changes = random() % 8 == 0 ? 60 : 1 + random() % 4;
  for (uint32_t i = 0; i < changes; ++i) {
    Change change{random() % 2 == 0 ? "model" : "plugin", "n" + std::to_string(random() % 40), {}};
    if (random() % 4 != 0) {
      const size_t length = random() % 16 == 0 ? 9000 : random() % 700;
      change.value = std::string(length, static_cast<char>('a' + random() % 26));
    }
    batch.push_back(std::move(change));
  }
  batch.push_back({"count", "batches", std::to_string(number)});
  return batch;
}

inline std::vector<Record> ContentOf(StateStore& store) {
  auto records = store.Load();
  EXPECT_TRUE(records.ok()) << Message(records.status());
  return records.ok() ? std::move(records).value() : std::vector<Record>{};
}

inline std::string ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace mlos::state
