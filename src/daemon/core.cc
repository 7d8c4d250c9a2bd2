// SPDX-License-Identifier: Apache-2.0
#include "daemon/core.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <csignal>
#include <filesystem>
#include <set>

#include "base/log.h"
#include "catalog/package.h"
#include "channel/waiting.h"
#include "daemon/data_dir.h"
#include "daemon/version.h"

namespace mlos::daemon {
namespace {

// Looks at the channels for a moment before the front loop sleeps.
EventLoop::Spin MakeSpin() {
  const auto spinner = std::make_shared<channel::Spinner>(channel::Calibrate());
  return [spinner](const std::function<bool()>& ready) { return spinner->Spin(ready); };
}

std::string PackageDir(const std::string& data_dir) {
  return std::filesystem::absolute(data_dir).lexically_normal() / "packages";
}

}  // namespace

Core::Core(const Options& options, std::unique_ptr<state::StateStore> store)
    : options_(options),
      front_loop_(MakeSpin()),
      store_(std::move(store)),
      catalog_(*store_),
      manager_(control_loop_, catalog_,
               {.host_program = options.plugin_host,
                .workers = options.workers,
                .package_dir = PackageDir(options.data_dir)}),
      control_(control_loop_, catalog_, manager_, kVersion),
      signals_(control_loop_.io(), SIGINT, SIGTERM),
      drain_timer_(control_loop_.io()) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGCHLD, SIG_DFL);  // whoever started us may ignore it: hosts are to be reaped
  const auto loader = [this](std::string name, std::string version,
                             std::function<void(Status)> done) {
    control_loop_.Post([this, name = std::move(name), version = std::move(version),
                        done = std::move(done)] { manager_.EnsureLoaded(name, version, done); });
  };
  engine_ = std::make_unique<engine::ChannelEngine>(front_loop_, control_loop_, channel::Options{},
                                                    loader);
  manager_.AddEngine(engine_.get());
  http_ = std::make_unique<http::HttpServer>(front_loop_, *engine_, control_);
}

Core::~Core() {
  front_loop_.Stop();
  if (front_thread_.joinable()) front_thread_.join();
}

Status Core::Start() {
  MLOS_RETURN_IF_ERROR(catalog_.Restore());
  SweepPackages();
  for (const std::string& directory : options_.plugin_dirs) RegisterPluginDir(directory);
  manager_.Reconcile();
  for (const std::string& address : options_.http_addresses) {
    if (address == "off") continue;
    MLOS_ASSIGN_OR_RETURN(std::string in_use, http_->Listen(address));
    Log(LogLevel::kInfo, "HTTP on {}", in_use);
    http_in_use_.push_back(std::move(in_use));
  }
  front_thread_ = std::thread([this] { front_loop_.Run(); });
  if (!options_.print_addresses.empty()) return WriteAddresses();
  return OkStatus();
}

// Copies that nobody registered: an earlier run was ended in between.
void Core::SweepPackages() {
  std::set<std::string> used;
  for (const auto& [name, versions] : catalog_.plugins()) {
    for (const auto& [number, plugin] : versions) used.insert(plugin->directory);
  }
  catalog::SweepPackages(PackageDir(options_.data_dir), used);
}

void Core::RegisterPluginDir(const std::string& directory) {
  std::error_code error;
  const auto root = std::filesystem::absolute(directory, error);
  std::vector<std::string> packages;
  // DIR/NAME/VERSION/plugin.yaml, and DIR/NAME/plugin.yaml.
  for (std::filesystem::recursive_directory_iterator it(root, error), end; it != end;
       it.increment(error)) {
    if (error) break;
    if (it.depth() >= 2) it.disable_recursion_pending();
    if (it->path().filename() == kManifestFile) packages.push_back(it->path().parent_path());
  }
  if (error) Log(LogLevel::kWarning, "--plugin-dir {}: {}", directory, error.message());
  std::sort(packages.begin(), packages.end());
  for (const std::string& package : packages) {
    const auto registered = catalog_.AdoptPlugin(package);
    if (registered.ok()) {
      const Manifest& m = registered->record->manifest;
      Log(LogLevel::kInfo, "plugin {} {} is registered", m.name, m.version);
    } else {
      Log(LogLevel::kWarning, "{}: {}", package, Message(registered.status()));
    }
  }
}

// The first TCP address, or else the first of any kind; null when there is none.
Status Core::WriteAddresses() const {
  namespace json = boost::json;
  json::value http = nullptr;
  const auto tcp = std::find_if(http_in_use_.begin(), http_in_use_.end(),
                                [](const auto& a) { return a.rfind("unix:", 0) != 0; });
  if (tcp != http_in_use_.end()) {
    http = json::string(*tcp);
  } else if (!http_in_use_.empty()) {
    http = json::string(http_in_use_.front());
  }
  const json::object object = {
      {"http", http}, {"grpc", nullptr}, {"metrics", nullptr}, {"ipc", nullptr}, {"pid", getpid()}};
  return WriteFileWhole(options_.print_addresses, json::serialize(object) + "\n");
}

int Core::Run() {
  WaitForSignal();
  control_loop_.Run();
  return 0;
}

void Core::WaitForSignal() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    if (draining_) {
      Log(LogLevel::kWarning, "signal {} again: stopping now", number);
      StopHosts();
      return;
    }
    Log(LogLevel::kInfo, "signal {}: finishing what runs, then stopping", number);
    Drain();
    WaitForSignal();
  });
}

void Core::Drain() {
  draining_ = true;
  drain_timer_.expires_after(std::chrono::seconds(options_.drain_seconds));
  drain_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    Log(LogLevel::kWarning, "requests still run after {} s: stopping without them",
        options_.drain_seconds);
    StopHosts();
  });
  front_loop_.Post(
      [this] { http_->Drain([this] { control_loop_.Post([this] { StopHosts(); }); }); });
}

void Core::StopHosts() {
  if (std::exchange(hosts_stopping_, true)) return;
  drain_timer_.cancel();
  signals_.cancel();
  manager_.StopAll([this] { control_loop_.Stop(); });
}

}  // namespace mlos::daemon
