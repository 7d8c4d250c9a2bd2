// SPDX-License-Identifier: Apache-2.0
//
// Clients that classify digits, one image after another, until told to stop.
// Every answer is compared with what the model said before anything happened.
// Any thread may look at the counts.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"

namespace mlos::test {

class Traffic {
 public:
  // `digits` and `labels` are borrowed.
  Traffic(const std::string& address, const Digits& digits, const std::vector<int64_t>& labels,
          size_t clients);
  ~Traffic();

  void Stop();
  size_t answers() const { return answers_; }
  std::vector<std::string> failures();

 private:
  void Classify(HttpClient& client, const Digits& digits, const std::vector<int64_t>& labels,
                size_t i);

  std::atomic<bool> stop_{false};
  std::atomic<size_t> answers_{0};
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
};

// What the digits model of a daemon says of all images.
std::vector<int64_t> Classified(Daemon& daemon, const Digits& digits);

// A copy of a package in which only `version` is edited.
std::string CopyAsVersion(const std::string& package, const std::string& to,
                          const std::string& version);

}  // namespace mlos::test
