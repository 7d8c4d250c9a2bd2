// SPDX-License-Identifier: Apache-2.0
#include "restartable.h"

#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <set>

#include "wire.h"

namespace mlos::test {
namespace fs = std::filesystem;
using std::chrono::steady_clock;

Restartable::Restartable(std::vector<std::string> more_args, std::vector<std::string> environment)
    : data_dir_(dir_ / "data"),
      more_args_(std::move(more_args)),
      environment_(std::move(environment)) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void Restartable::Launch() {
  std::error_code ignored;
  fs::remove(dir_ / "addresses", ignored);
  std::vector<std::string> args{"--auth",     "off",     "--http-address",    "127.0.0.1:0",
                                "--data-dir", data_dir_, "--print-addresses", dir_ / "addresses"};
  args.insert(args.end(), {"--metrics-address", "127.0.0.1:0"});
  args.insert(args.end(), more_args_.begin(), more_args_.end());
  launched_ = steady_clock::now();
  process_ = std::make_unique<DaemonProcess>(args, dir_ / "log", environment_);
}

bool Restartable::Listens() {
  const boost::json::value in_use = ParseJson(ReadWhole(dir_ / "addresses"));
  if (in_use.is_null() || At(in_use, "/pid") != std::to_string(process_->pid())) return false;
  address_ = At(in_use, "/http");
  client_ = std::make_unique<HttpClient>(address_);
  return true;
}

bool Restartable::WaitReady(std::chrono::milliseconds limit, std::string* why) {
  client_.reset();
  const bool ready = WaitUntil(
      [&] {
        if (!process_->Running()) return true;
        if (client_ == nullptr && !Listens()) return false;
        return client_->Send("GET", "/v2/health/ready").status == 200;
      },
      limit);
  const std::chrono::duration<double, std::milli> took = steady_clock::now() - launched_;
  ready_ms_ = took.count();
  if (ready && process_->Running()) return true;
  *why = process_->Running() ? "it was not ready in time" : "it has ended by itself";
  *why += "; its log:\n" + process_->log();
  return false;
}

bool Restartable::KillAndSeeAllGone() {
  process_->Signal(SIGKILL);
  if (process_->WaitExit() != 128 + SIGKILL) return false;
  return WaitUntil([] {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
  });
}

int Restartable::Stop() {
  process_->Signal(SIGTERM);
  return process_->WaitExit().value_or(-1);
}

std::vector<std::string> Restartable::Strange() const {
  const std::set<std::string> known{"lock", "state.db", "state.db-wal", "packages"};
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(data_dir_)) {
    if (known.count(entry.path().filename()) == 0) out.push_back(entry.path().filename());
  }
  return out;
}

StateCopy ReadState(const std::string& data_dir) {
  const TempDir dir;
  StateCopy out;
  std::error_code error;
  for (const char* name : {"state.db", "state.db-wal"}) {
    fs::copy_file(fs::path(data_dir) / name, dir / name, error);
  }
  sqlite3* db = nullptr;
  if (sqlite3_open_v2((dir / "state.db").c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) ==
      SQLITE_OK) {
    const auto text = [](char** row, int i) { return std::string(row[i] ? row[i] : ""); };
    static const auto kText = text;
    sqlite3_exec(
        db, "PRAGMA integrity_check",
        [](void* to, int, char** row, char**) {
          static_cast<StateCopy*>(to)->integrity += kText(row, 0);
          return 0;
        },
        &out, nullptr);
    sqlite3_exec(
        db, "SELECT key, value FROM record WHERE kind = 'model_group'",
        [](void* to, int, char** row, char**) {
          static_cast<StateCopy*>(to)->groups.emplace_back(kText(row, 0), kText(row, 1));
          return 0;
        },
        &out, nullptr);
  }
  sqlite3_close(db);
  return out;
}

}  // namespace mlos::test
