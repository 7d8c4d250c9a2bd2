// SPDX-License-Identifier: Apache-2.0
//
// What it costs to keep a change: a commit of one record of 500 bytes, beside
// the least that any store pays, which is to write 500 bytes and wait for
// fdatasync.  Contestants take turns within a round, in an order drawn anew, so
// that a slow moment of the disk hits all; reported are medians, and the
// medians of the rounds' ratios to the floor.
//
//   state_bench [DIRECTORY]    on whose disk; default the current one
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/owned_fd.h"
#include "state/sqlite_store.h"

namespace {

constexpr size_t kRecordBytes = 500;
constexpr size_t kTwoFrames = 2 * (4096 + 24);  // what a commit of one record adds to the log
constexpr int kWarmUp = 20;
constexpr int kRounds = 1500;

void Require(bool done, const char* what) {
  if (done) return;
  std::fprintf(stderr, "state_bench: %s\n", what);
  std::exit(1);
}

struct Contestant {
  const char* name;
  std::function<void()> run;
  std::vector<double> micros;
};

double Quantile(std::vector<double> values, double at) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(at * static_cast<double>(values.size() - 1))];
}

// The first contestant is what the others are compared with.
void Race(std::vector<Contestant> contestants) {
  std::mt19937 random(1);
  std::vector<size_t> order(contestants.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (int round = -kWarmUp; round < kRounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (const size_t i : order) {
      const uint64_t begin = mlos::NowNanos();
      contestants[i].run();
      const uint64_t end = mlos::NowNanos();
      if (round < 0) continue;
      contestants[i].micros.push_back(static_cast<double>(end - begin) / 1000.0);
    }
  }
  std::printf("%-44s %9s %9s %9s\n", "", "median us", "p99 us", "ratio");
  for (const Contestant& c : contestants) {
    std::vector<double> ratios(c.micros.size());
    std::transform(c.micros.begin(), c.micros.end(), contestants[0].micros.begin(), ratios.begin(),
                   std::divides<>());
    std::printf("%-44s %9.1f %9.1f %9.2f\n", c.name, Quantile(c.micros, 0.5),
                Quantile(c.micros, 0.99), Quantile(ratios, 0.5));
  }
}

// Writes and waits for the disk; at the same place each time, or at the end.
class BareFile {
 public:
  BareFile(const std::string& path, size_t bytes, bool append)
      : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)),
        bytes_(bytes, 'x'),
        append_(append) {
    Require(static_cast<bool>(fd_), "cannot make a file");
  }
  void Write() {
    const ssize_t n = pwrite(fd_.get(), bytes_.data(), bytes_.size(), append_ ? end_ : 0);
    Require(n == static_cast<ssize_t>(bytes_.size()) && fdatasync(fd_.get()) == 0, "cannot write");
    end_ += n;
  }

 private:
  mlos::OwnedFd fd_;
  std::string bytes_;
  const bool append_;
  off_t end_ = 0;
};

class Committer {
 public:
  explicit Committer(const std::string& path) : path_(path) { Open(); }
  void Open() {
    store_.reset();
    auto store = mlos::state::SqliteStore::Open(path_);
    Require(store.ok(), "cannot open the store");
    store_ = std::move(store).value();
  }
  void Commit(int first, int records) {
    const std::string mark = std::to_string(++commits_);  // or there would be nothing to write
    std::vector<mlos::state::Change> changes;
    for (int i = 0; i < records; ++i) {
      const std::string key = "m" + std::to_string(first + i) + "/1";
      std::string value = mark;
      value.resize(kRecordBytes - key.size() - 5, 'v');
      changes.push_back({"model", key, std::move(value)});
    }
    Require(store_->Commit(changes).ok(), "cannot commit");
  }

 private:
  const std::string path_;
  std::unique_ptr<mlos::state::SqliteStore> store_;
  int commits_ = 0;
};

void TimeOpening(Committer* store, int records) {
  std::vector<double> millis;
  for (int i = 0; i < 21; ++i) {
    const uint64_t begin = mlos::NowNanos();
    store->Open();
    millis.push_back(static_cast<double>(mlos::NowNanos() - begin) / 1e6);
  }
  std::printf("close, open and check %d records: %.2f ms\n", records, Quantile(millis, 0.5));
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = std::string(argc > 1 ? argv[1] : ".") + "/state-bench-XXXXXX";
  Require(mkdtemp(directory.data()) != nullptr, "cannot make a directory");
  {
    BareFile in_place(directory + "/in-place", kRecordBytes, false);
    BareFile append(directory + "/append", kRecordBytes, true);
    BareFile frames(directory + "/frames", kTwoFrames, false);
    Committer same(directory + "/same.db");
    Committer fresh(directory + "/fresh.db");
    Committer hundred(directory + "/hundred.db");
    int key = 0;
    same.Commit(0, 1000);
    Race({{"write 500 bytes in place, fdatasync", [&] { in_place.Write(); }, {}},
          {"append 500 bytes, fdatasync", [&] { append.Write(); }, {}},
          {"write 8,240 bytes in place, fdatasync", [&] { frames.Write(); }, {}},
          {"Commit, one record of a thousand replaced", [&] { same.Commit(++key % 1000, 1); }, {}},
          {"Commit, one new record", [&] { fresh.Commit(++key, 1); }, {}},
          {"Commit, 100 records", [&] { hundred.Commit(++key % 10 * 100, 100); }, {}}});
    TimeOpening(&same, 1000);
  }
  std::filesystem::remove_all(directory);
  return 0;
}
