// SPDX-License-Identifier: Apache-2.0
#include "traffic.h"

#include <filesystem>

namespace mlos::test {

Traffic::Traffic(const std::string& address, const Digits& digits,
                 const std::vector<int64_t>& labels, size_t clients) {
  for (size_t k = 0; k < clients; ++k) {
    threads_.emplace_back([this, address, &digits, &labels, k] {
      HttpClient client(address);
      for (size_t i = k * 50; !stop_; ++i) Classify(client, digits, labels, i % digits.count());
    });
  }
}

Traffic::~Traffic() { Stop(); }

void Traffic::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

std::vector<std::string> Traffic::failures() {
  const std::lock_guard lock(mutex_);
  return failures_;
}

void Traffic::Classify(HttpClient& client, const Digits& digits, const std::vector<int64_t>& labels,
                       size_t i) {
  const BinaryRequest request = MakeBinary({{"image", "FP32", {1, 64}, digits.image(i)}});
  const BinaryAnswer answer =
      ReadBinary(client.Send("POST", "/v2/models/digits/infer", request.body, request.headers()));
  std::string failure = answer.error;
  if (failure.empty() &&
      ValuesOf<int64_t>(answer.outputs.at("label").bytes) != std::vector<int64_t>{labels[i]}) {
    failure = "a wrong label for image " + std::to_string(i);
  }
  if (!failure.empty()) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(failure);
  }
  ++answers_;
}

std::vector<int64_t> Classified(Daemon& daemon, const Digits& digits) {
  const BinaryAnswer all = daemon.InferBinary(
      "digits", {{"image", "FP32", {static_cast<int64_t>(digits.count()), 64}, digits.pixels}});
  EXPECT_EQ("", all.error);
  return all.error.empty() ? ValuesOf<int64_t>(all.outputs.at("label").bytes)
                           : std::vector<int64_t>(digits.count());
}

std::string CopyAsVersion(const std::string& package, const std::string& to,
                          const std::string& version) {
  std::filesystem::copy(package, to);
  std::string manifest = ReadWhole(to + "/plugin.yaml");
  const std::string line = "version: 1.0.0";
  const size_t at = manifest.find(line);
  EXPECT_NE(std::string::npos, at);
  WriteWhole(to + "/plugin.yaml", manifest.replace(at, line.size(), "version: " + version));
  return to;
}

}  // namespace mlos::test
