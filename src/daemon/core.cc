// SPDX-License-Identifier: Apache-2.0
#include "daemon/core.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <csignal>
#include <filesystem>
#include <set>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/package.h"
#include "channel/waiting.h"
#include "daemon/data_dir.h"
#include "daemon/descriptors.h"
#include "daemon/reload.h"
#include "daemon/users.h"
#include "daemon/version.h"

namespace mlos::daemon {

using options::Id;

namespace {

// Looks at the channels for a moment before the front loop sleeps.
EventLoop::Spin MakeSpin() {
  const auto spinner = std::make_shared<channel::Spinner>(channel::Calibrate());
  return [spinner](const std::function<bool()>& ready) { return spinner->Spin(ready); };
}

// The owners were found when the configuration was checked.
frontend::RegionPolicy ClientRegions(const options::Settings& settings) {
  frontend::RegionPolicy policy;
  policy.allowed = settings.Boolean(Id::kAllowClientShm);
  policy.owners = ReadUsers(settings.Text(Id::kClientShmOwners)).value_or(std::vector<uid_t>());
  policy.most = static_cast<uint32_t>(settings.Number(Id::kClientShmRegions));
  return policy;
}

// Absolute: the daemon's working directory is not everybody's.
std::string InDataDir(const options::Settings& settings, std::string_view name) {
  return std::filesystem::absolute(settings.Text(Id::kDataDir)).lexically_normal() / name;
}

lifecycle::RepositoryOptions RepositoryOptionsFrom(const options::Settings& settings) {
  using Mode = lifecycle::RepositoryOptions::Mode;
  lifecycle::RepositoryOptions out;
  for (const std::string& directory : settings.List(Id::kModelRepository)) {
    const auto path = std::filesystem::absolute(directory).lexically_normal();
    std::string tidy = path.has_filename() ? path : path.parent_path();
    if (std::find(out.directories.begin(), out.directories.end(), tidy) == out.directories.end()) {
      out.directories.push_back(std::move(tidy));
    }
  }
  const std::string mode = settings.Text(Id::kModelControlMode);
  out.mode = mode == "poll" ? Mode::kPoll : mode == "explicit" ? Mode::kExplicit : Mode::kNone;
  out.poll = settings.Duration(Id::kRepositoryPoll);
  out.load = settings.List(Id::kLoadModel);
  out.given_dir = InDataDir(settings, "given");
  return out;
}

bool Listens(const options::Settings& settings, Id addresses) {
  const auto& all = settings.List(addresses);
  return std::any_of(all.begin(), all.end(), [](const auto& address) { return address != "off"; });
}

std::string TraceFile(const options::Settings& settings) {
  const std::string& given = settings.Text(Id::kTraceFile);
  return given.empty() ? settings.Text(Id::kDataDir) + "/trace.json" : given;
}

}  // namespace

Core::Core(options::Inputs inputs, options::Settings settings,
           std::unique_ptr<state::StateStore> store)
    : inputs_(std::move(inputs)),
      settings_(std::move(settings)),
      front_loop_(MakeSpin()),
      store_(std::move(store)),
      catalog_(*store_),
      manager_(control_loop_, catalog_,
               {.host_program = settings_.Text(Id::kPluginHost),
                .workers = static_cast<uint32_t>(settings_.Number(Id::kWorkers)),
                .hang_limit_ms = settings_.Number(Id::kHangLimit),
                .package_dir = InDataDir(settings_, "packages"),
                .max_channels =
                    ChannelsThatFit(settings_.Number(Id::kIpcMaxChannels), RaiseDescriptorLimit()),
                .watch = &host_watch_}),
      repositories_(control_loop_, catalog_, manager_, RepositoryOptionsFrom(settings_)),
      tracer_(TraceFile(settings_), settings_.Number(Id::kTraceMaxBytes)),
      control_(control_loop_, catalog_, manager_, kVersion),
      control_meter_(control_),
      client_regions_(ClientRegions(settings_)),
      signals_(control_loop_.io(), SIGINT, SIGTERM, SIGHUP),
      drain_timer_(control_loop_.io()),
      watchdog_timer_(control_loop_.io()) {
  ApplyLogLevel(settings_);
  ApplyLogFormat(settings_);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond a limit is an error like any other
  std::signal(SIGCHLD, SIG_DFL);  // whoever started us may ignore it: hosts are to be reaped
  const auto loader = [this](std::string name, std::string version,
                             std::function<void(Status)> done) {
    control_loop_.Post([this, name = std::move(name), version = std::move(version),
                        done = std::move(done)] { manager_.EnsureLoaded(name, version, done); });
  };
  // One model's share, three quarters of a channel, holds a request from each of a thousand
  // connections and more; an entry that is not used costs its 128 bytes.
  channel::Options channel_options;
  channel_options.entries = 2048;
  engine_ = std::make_unique<engine::ChannelEngine>(
      front_loop_, control_loop_, channel_options, loader,
      settings_.Number(Id::kQuarantineTime) * kNanosPerMilli);
  manager_.AddEngine(engine_.get());
  http::HttpOptions http_options = http::OptionsFrom(settings_);
  http_options.server_version = kVersion;
  const frontend::RegionPolicy regions = ClientRegions(settings_);
  grpc::GrpcOptions grpc_options = grpc::OptionsFrom(settings_);
  grpc_options.server_version = kVersion;
  const Connections connections = ConnectionsThatFit(
      {http_options.max_connections,
       Listens(settings_, Id::kGrpcAddress) ? grpc_options.limits.max_connections : 0,
       settings_.Text(Id::kIpcSocket) != "off"
           ? static_cast<uint32_t>(settings_.Number(Id::kIpcMaxConnections))
           : 0},
      RaiseDescriptorLimit(), regions.allowed ? regions.most : 0);
  http_options.max_connections = connections.http;
  grpc_options.limits.max_connections = connections.grpc;
  http_ = std::make_unique<http::HttpServer>(front_loop_, *engine_, control_meter_,
                                             std::move(http_options), &client_regions_, &tracer_);
  grpc_ = std::make_unique<grpc::GrpcServer>(grpc::Parts{.loop = front_loop_,
                                                         .engine = *engine_,
                                                         .control = control_meter_,
                                                         .regions = client_regions_,
                                                         .tracer = &tracer_,
                                                         .plain = &http_->over_h2()},
                                             std::move(grpc_options));
  ipc::IpcOptions ipc_options = ipc::OptionsFrom(settings_);
  ipc_options.server_version = kVersion;
  ipc_options.max_connections = connections.ipc;
  ipc_ = std::make_unique<ipc::IpcServer>(ipc::Parts{.loop = front_loop_,
                                                     .engine = *engine_,
                                                     .control = control_meter_,
                                                     .tracer = &tracer_,
                                                     .client_regions = regions.allowed,
                                                     .channels = &manager_.channels()},
                                          std::move(ipc_options));
  control_.set_plugin_logs(&host_watch_.logs);
  control_.set_repositories(&repositories_);
  manager_.set_strict_readiness(settings_.Boolean(Id::kStrictReadiness));
  control_.set_model_book(&engine_->counters());
  control_.set_tracer(&tracer_);
  observatory_ =
      std::make_unique<Observatory>(Observatory::Parts{.control = control_loop_,
                                                       .catalog = catalog_,
                                                       .manager = manager_,
                                                       .engine = *engine_,
                                                       .http = http_->counters(),
                                                       .grpc = grpc_->counters(),
                                                       .grpc_calls = grpc_->calls(),
                                                       .ipc = ipc_->counters(),
                                                       .operations = control_meter_.counters(),
                                                       .loads = host_watch_.loads,
                                                       .tracer = tracer_});
}

Core::~Core() {
  front_loop_.Stop();
  if (front_thread_.joinable()) front_thread_.join();
  observatory_->Stop();  // it may still wait for the other loops, which are over
}

Status Core::Start() {
  MLOS_RETURN_IF_ERROR(catalog_.Restore());
  SweepPackages();
  for (const std::string& directory : settings_.List(Id::kPluginDir)) RegisterPluginDir(directory);
  MLOS_RETURN_IF_ERROR(repositories_.Start());
  MLOS_RETURN_IF_ERROR(ListenHttp());
  MLOS_RETURN_IF_ERROR(ListenGrpc());
  MLOS_RETURN_IF_ERROR(ListenIpc());
  manager_.Reconcile();
  MLOS_RETURN_IF_ERROR(observatory_->Start(settings_.List(Id::kMetricsAddress)));
  front_thread_ = std::thread([this] { front_loop_.Run(); });
  if (!settings_.Text(Id::kPrintAddresses).empty()) MLOS_RETURN_IF_ERROR(WriteAddresses());
  notifier_.Ready(Serving());
  KeepWatchdogQuiet();
  return OkStatus();
}

// Copies that nobody registered: an earlier run was ended in between.
void Core::SweepPackages() {
  std::set<std::string> used;
  for (const auto& [name, versions] : catalog_.plugins()) {
    for (const auto& [number, plugin] : versions) {
      // By its checksum: the data directory may have been moved, or be reached by another path.
      if (plugin->source.empty()) continue;
      const auto sum = std::filesystem::path(plugin->directory).filename();
      plugin->directory = std::filesystem::path(InDataDir(settings_, "packages")) / sum;
      used.insert(sum);
    }
  }
  catalog::SweepPackages(InDataDir(settings_, "packages"), used);
}

Status Core::ListenHttp() {
  for (const std::string& address : settings_.List(Id::kHttpAddress)) {
    if (address == "off") continue;
    StatusOr<std::string> in_use = http_->Listen(address);
    if (!in_use.ok()) {
      return MakeStatus(in_use.status().code(),
                        fmt::format("{}: free it, or choose another with --http-address HOST:PORT "
                                    "(port 0 takes a free one)",
                                    Message(in_use.status())));
    }
    Log(LogLevel::kInfo, "HTTP on {}", *in_use);
    http_in_use_.push_back(*std::move(in_use));
  }
  return OkStatus();
}

Status Core::ListenGrpc() {
  for (const std::string& address : settings_.List(Id::kGrpcAddress)) {
    if (address == "off") continue;
    StatusOr<std::string> in_use = grpc_->Listen(address);
    if (!in_use.ok()) {
      return MakeStatus(in_use.status().code(),
                        fmt::format("gRPC: {}: free it, or choose another with --grpc-address "
                                    "HOST:PORT (port 0 takes a free one; off: none)",
                                    Message(in_use.status())));
    }
    Log(LogLevel::kInfo, "gRPC on {}", *in_use);
    grpc_in_use_.push_back(*std::move(in_use));
  }
  return OkStatus();
}

// A user's second daemon goes without, unless it was told where to listen.
Status Core::ListenIpc() {
  const std::string& path = settings_.Text(Id::kIpcSocket);
  if (path == "off") {
    if (settings_.at(Id::kIpcSocket).origin == options::Origin::kDefault) {
      Log(LogLevel::kInfo,
          "no socket for local programs: XDG_RUNTIME_DIR is not set; say where with --ipc-socket "
          "PATH");
    }
    return OkStatus();
  }
  StatusOr<std::string> in_use = ipc_->Listen(path);
  if (in_use.ok()) {
    Log(LogLevel::kInfo, "local programs on {}", *in_use);
    ipc_in_use_ = *std::move(in_use);
    return OkStatus();
  }
  if (settings_.at(Id::kIpcSocket).origin == options::Origin::kDefault) {
    Log(LogLevel::kWarning,
        "no socket for local programs: {}; choose another with --ipc-socket PATH",
        Message(in_use.status()));
    return OkStatus();
  }
  return MakeStatus(in_use.status().code(),
                    fmt::format("local programs: {}: free it, or choose another with "
                                "--ipc-socket PATH (off: none)",
                                Message(in_use.status())));
}

// For the service manager's status line.
std::string Core::Serving() const {
  std::string text = "Serving";
  if (!http_in_use_.empty()) text += fmt::format(" HTTP on {}", fmt::join(http_in_use_, ", "));
  if (!grpc_in_use_.empty()) {
    text += fmt::format("{} gRPC on {}", http_in_use_.empty() ? "" : " and",
                        fmt::join(grpc_in_use_, ", "));
  }
  return text;
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

namespace {

boost::json::value OrNull(const std::string& text) {
  if (text.empty()) return nullptr;
  return boost::json::string(text);
}

// The first TCP address, or else the first of any kind; null when there is none.
boost::json::value FirstOf(const std::vector<std::string>& in_use) {
  if (in_use.empty()) return nullptr;
  const auto tcp = std::find_if(in_use.begin(), in_use.end(),
                                [](const auto& a) { return a.rfind("unix:", 0) != 0; });
  return boost::json::string(tcp != in_use.end() ? *tcp : in_use.front());
}

}  // namespace

Status Core::WriteAddresses() const {
  const boost::json::object object = {{"http", FirstOf(http_in_use_)},
                                      {"grpc", FirstOf(grpc_in_use_)},
                                      {"metrics", FirstOf(observatory_->addresses())},
                                      {"ipc", OrNull(ipc_in_use_)},
                                      {"pid", getpid()}};
  return WriteFileWhole(settings_.Text(Id::kPrintAddresses), boost::json::serialize(object) + "\n");
}

int Core::Run() {
  WaitForSignal();
  control_loop_.Run();
  front_loop_.Stop();
  front_thread_.join();
  const auto took = static_cast<double>(NowNanos() - stop_began_ns_);
  Log(LogLevel::kInfo, "stopped, {:.2f} s after the signal", took / kNanosPerSecond);
  return 0;
}

// Half as often as the manager expects, because a timer may be late; by way of
// the front loop, so that it too is known to run.
void Core::KeepWatchdogQuiet() {
  if (notifier_.watchdog().count() == 0) return;
  watchdog_timer_.expires_after(notifier_.watchdog() / 2);
  watchdog_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    front_loop_.Post([this] {
      control_loop_.Post([this] {
        notifier_.Alive();
        KeepWatchdogQuiet();
      });
    });
  });
}

// ------------------------------------------------------------------- signals

void Core::WaitForSignal() {
  signals_.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    OnSignal(number);
    WaitForSignal();
  });
}

void Core::OnSignal(int number) {
  if (number != SIGHUP) return OnStopSignal(number);
  if (stop_began_ns_ != 0) return;
  notifier_.Reloading();
  Reload(inputs_, &settings_);
  notifier_.Ready(Serving());
}

void Core::OnStopSignal(int number) {
  if (stop_began_ns_ != 0) {
    Log(LogLevel::kWarning, "signal {} again: stopping now", number);
    return StopHosts(End::kAtOnce);
  }
  stop_began_ns_ = NowNanos();
  Log(LogLevel::kInfo, "signal {}: finishing what runs, then stopping", number);
  notifier_.Stopping("Finishing what runs");
  manager_.NoteStopping();
  repositories_.Stop();
  const auto grace = settings_.Duration(Id::kDrainGrace);
  if (grace.count() == 0) return Drain();
  front_loop_.Post([this] {
    http_->Leave();
    grpc_->Leave();
    ipc_->Leave();
  });
  drain_timer_.expires_after(grace);
  drain_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Drain();
  });
}

void Core::Drain() {
  const auto limit = settings_.Duration(Id::kDrainTimeout);
  drain_timer_.expires_after(limit);
  drain_timer_.async_wait([this, limit](const boost::system::error_code& error) {
    if (error) return;
    Log(LogLevel::kWarning, "requests still run after {}: stopping without them",
        options::FormatDuration(static_cast<uint64_t>(limit.count())));
    StopHosts(End::kAtOnce);
  });
  front_loop_.Post([this] {
    draining_servers_ = 3;
    const auto drained = [this] {
      if (--draining_servers_ > 0) return;
      control_loop_.Post([this] { StopHosts(End::kWhenDone); });
    };
    http_->Drain(drained);
    grpc_->Drain(drained);
    ipc_->Drain(drained);
  });
}

void Core::StopHosts(End end) {
  drain_timer_.cancel();
  if (!std::exchange(hosts_stopping_, true)) {
    // By way of the front loop, so that the answers to what the hosts left are
    // on their way.
    manager_.StopAll([this] {
      front_loop_.Post([this] { control_loop_.Post([this] { control_loop_.Stop(); }); });
    });
  }
  if (end == End::kAtOnce) manager_.KillHosts();
}

}  // namespace mlos::daemon
