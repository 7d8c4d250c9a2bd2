// SPDX-License-Identifier: Apache-2.0
//
// A model repository that a test changes, and what a daemon makes of it.  The
// models are the template plugin's: each multiplies by a number of its own.
#pragma once

#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "traffic.h"

namespace mlos::test {

inline constexpr const char* kOnX =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})";

inline std::string Packages() {
  return std::filesystem::path(TemplatePlugin()).parent_path().parent_path();
}

// A directory of models, changed as a careful operator does: what is put there
// is whole from its first moment on.
class Repository {
 public:
  std::string root() const { return dir_ / "models"; }
  Repository() { std::filesystem::create_directory(root()); }

  void Write(const std::string& path, const std::string& content) const {
    const std::filesystem::path file = std::filesystem::path(root()) / path;
    std::filesystem::create_directories(file.parent_path());
    const std::string whole = dir_ / "part";
    WriteWhole(whole, content);
    std::filesystem::rename(whole, file);
  }
  // A version of a model of the template plugin that multiplies by `scale`.
  void Affine(const std::string& model, int version, int scale) const {
    const std::string whole = dir_ / "version";
    std::filesystem::create_directory(whole);
    WriteWhole(whole + "/model.affine", Content(scale));
    std::filesystem::create_directories(std::filesystem::path(root()) / model);
    std::filesystem::rename(whole, std::filesystem::path(root()) / model / std::to_string(version));
  }
  static std::string Content(int scale) {
    return "scale " + std::to_string(scale) + "\noffset 0\n";
  }
  void Remove(const std::string& path) const {
    std::filesystem::rename(root() + "/" + path, Next());
  }

 private:
  std::string Next() const { return dir_ / ("gone" + std::to_string(counter_++)); }
  const TempDir dir_;
  mutable int counter_ = 0;
};

inline std::vector<std::string> Args(const Repository& repository,
                                     std::vector<std::string> more = {}) {
  std::vector<std::string> args{"--plugin-dir", Packages(), "--model-repository",
                                repository.root()};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

inline bool Ready(Daemon& daemon) {
  return WaitUntil([&] { return daemon.Get("/v2/health/ready").status == 200; });
}

inline std::string StateOf(Daemon& daemon, const std::string& model, int version = 1) {
  return At(daemon.Get("/api/v1/models/" + model + "/versions/" + std::to_string(version)),
            "/state");
}

// True as soon as the version is in the state.
inline bool Becomes(Daemon& daemon, const std::string& state, const std::string& model,
                    int version = 1) {
  return WaitUntil([&] { return StateOf(daemon, model, version) == state; });
}

inline std::string ReasonOf(Daemon& daemon, const std::string& model, int version = 1) {
  return At(daemon.Get("/api/v1/models/" + model + "/versions/" + std::to_string(version)),
            "/reason");
}

// What the model makes of 1; 0 when it does not answer.
inline double ScaleOf(Daemon& daemon, const std::string& model, const std::string& version = "") {
  const Reply reply = daemon.Post("/v2/models/" + model + version + "/infer", kOnX);
  if (reply.status != 200) return 0;
  return Numbers(reply, "/outputs/0/data").at(0);
}

// Clients that infer all the time; every answer must be one of the scales that
// some version of the model had.
class Watchers {
 public:
  Watchers(const std::string& address, std::set<double> allowed) : allowed_(std::move(allowed)) {
    for (int i = 0; i < 2; ++i) {
      threads_.emplace_back([this, address] {
        HttpClient client(address);
        while (!stop_) Ask(client);
      });
    }
  }
  ~Watchers() { Stop(); }
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  size_t answers() const { return answers_; }
  std::vector<std::string> failures() {
    const std::lock_guard lock(mutex_);
    return failures_;
  }

 private:
  void Ask(HttpClient& client) {
    const Reply reply = client.Send("POST", "/v2/models/m/infer", kOnX);
    ++answers_;
    if (reply.status == 200 && allowed_.count(Numbers(reply, "/outputs/0/data").at(0)) != 0) return;
    const std::lock_guard lock(mutex_);
    failures_.push_back(Show(reply));
  }
  const std::set<double> allowed_;
  std::atomic<bool> stop_{false};
  std::atomic<size_t> answers_{0};
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
};

}  // namespace mlos::test
