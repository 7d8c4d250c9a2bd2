// SPDX-License-Identifier: Apache-2.0
#include "control/core_control.h"

#include <fmt/core.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/log_operations.h"
#include "control/objects.h"
#include "control/outcomes.h"
#include "control/trace_operations.h"
#include "lifecycle/configure.h"
#include "operations/body.h"
#include "operations/openapi.h"

namespace mlos::control {
namespace json = boost::json;

using K = OperationKind;

namespace {

bool IsPluginOperation(K kind) {
  return kind == K::kLoadPlugin || kind == K::kUnloadPlugin || kind == K::kRemovePlugin ||
         kind == K::kGetPluginVersion;
}

bool IsSwap(K kind) { return kind == K::kSwapPlugin || kind == K::kRollBackPlugin; }

// CheckMembers has seen that it is a string where it is there.
std::string TakeString(const json::object& body, const char* key) {
  const json::value* value = body.if_contains(key);
  return value == nullptr ? std::string() : std::string(value->get_string());
}

StatusOr<uint64_t> ReadVersion(const json::value& version) {
  return catalog::ParseModelVersion(version.is_string() ? std::string(version.get_string())
                                                        : std::to_string(version.get_int64()));
}

StatusOr<catalog::ModelSpec> ReadModelSpec(const json::object& body) {
  catalog::ModelSpec spec;
  spec.name = TakeString(body, "name");
  spec.path = TakeString(body, "path");
  spec.plugin = TakeString(body, "plugin");
  spec.owner = "local";  // until requests say who asks
  if (const json::value* v = body.if_contains("version")) {
    MLOS_ASSIGN_OR_RETURN(spec.version, ReadVersion(*v));
  }
  if (const json::value* v = body.if_contains("metadata")) spec.metadata = v->get_object();
  if (const json::value* v = body.if_contains("config")) {
    spec.config = v->get_object();
    MLOS_RETURN_IF_ERROR(lifecycle::CheckGivenConfig(spec.config));
  }
  return spec;
}

// Whoever waits, and whoever does not, costs memory until the change has ended.
constexpr size_t kMostUnderWay = 512;

// What a change is of, as it was named.
std::string ObjectOf(const Operation& op) {
  return fmt::format("{} {}{}{}",
                     IsPluginOperation(op.kind) || IsSwap(op.kind) ? "plugin" : "model", op.name,
                     op.version.empty() ? "" : " version ", op.version);
}

Outcome TooMany(const Operation& op) {
  Outcome out;
  out.status =
      Unavailable(fmt::format("{} changes of {} are under way, which is the most there "
                              "can be: try again when they have ended",
                              kMostUnderWay, ObjectOf(op)));
  return out;
}

}  // namespace

CoreControl::CoreControl(EventLoop& loop, catalog::Catalog& catalog, lifecycle::Manager& manager,
                         std::string version)
    : loop_(loop),
      catalog_(catalog),
      manager_(manager),
      version_(std::move(version)),
      started_ns_(NowNanos()) {}

void CoreControl::Apply(Operation operation, std::function<void(Outcome)> done) {
  loop_.Post(
      [this, op = std::move(operation), done = std::move(done)]() mutable { Run(op, done); });
}

void CoreControl::Run(Operation& op, const Done& done) {
  const bool only_reads = operations::Row(op.kind).http_method == "GET";
  if (only_reads && op.waiting.has_value() && op.waiting->expired()) {
    done({MakeStatus(StatusCode::kCancelled, "nobody waits for the answer"), {}, {}});
    return;
  }
  const Status members = operations::CheckMembers(operations::Row(op.kind), op.body);
  if (!members.ok()) {
    done(Fail(op, members));
    return;
  }
  switch (op.kind) {
    case K::kRegisterPlugin:
      RegisterPlugin(op, done);
      return;
    case K::kRegisterModel:
      done(RegisterModel(op));
      return;
    case K::kRemovePlugin:
    case K::kRemoveModel:
      done(Remove(op));
      return;
    case K::kLabelModel:
    case K::kSetModelPolicy:
      done(ChangeGroup(op));
      return;
    case K::kSwapPlugin:
    case K::kRollBackPlugin:
      Swap(op, done);
      return;
    case K::kLoadPlugin:
    case K::kUnloadPlugin:
    case K::kLoadModel:
    case K::kUnloadModel:
      ChangeState(op, done);
      return;
    case K::kLoadModelVersions:
    case K::kUnloadModelVersions:
      ChangeVersions(op, done);
      return;
    case K::kGetTraceSettings:
    case K::kSetTraceSettings:
      done(ChangeTrace(op));
      return;
    case K::kGetLogLevel:
    case K::kSetLogLevel:
    case K::kGetLogSettings:
    case K::kSetLogSettings:
    case K::kReadLog:
    case K::kReadPluginLog: {
      Outcome out = op.kind == K::kReadPluginLog ? ReadPluginLog(op) : ApplyLogOperation(op);
      done(out.status.ok() ? std::move(out) : Fail(op, out.status));
      return;
    }
    default:
      done(Read(op));
      return;
  }
}

void CoreControl::RegisterPlugin(const Operation& op, const Done& done) {
  const auto finish = [this, op, done](const lifecycle::Manager::Installed& registered) {
    if (!registered.ok()) return done(Fail(op, registered.status()));
    if (registered->created) manager_.HashLater(*registered->record);
    Outcome out = Object(PluginObject(catalog_, *registered->record));
    out.created = registered->created;
    done(std::move(out));
  };
  const std::string path = TakeString(op.body, "path");
  const json::value* install = op.body.if_contains("install");
  if (install != nullptr && install->get_bool()) {
    manager_.InstallPlugin(path, finish);
  } else {
    finish(catalog_.RegisterPlugin(path));
  }
}

Outcome CoreControl::RegisterModel(const Operation& op) {
  StatusOr<catalog::ModelSpec> spec = ReadModelSpec(op.body);
  if (!spec.ok()) return Fail(op, spec.status());
  const auto registered = catalog_.RegisterModel(*std::move(spec));
  if (!registered.ok()) return Fail(op, registered.status());
  if (registered->created) {
    manager_.HashLater(*registered->record);
    manager_.Publish(registered->record->name);
  }
  Outcome out = Object(ModelObject(catalog_, *registered->record));
  out.created = registered->created;
  return out;
}

Outcome CoreControl::Describe(const Operation& op) {
  if (IsPluginOperation(op.kind)) {
    const auto record = catalog_.FindPlugin(op.name, op.version);
    return record.ok() ? Object(PluginObject(catalog_, **record)) : Fail(op, record.status());
  }
  const auto record = catalog_.FindModel(op.name, op.version);
  return record.ok() ? Object(ModelObject(catalog_, **record)) : Fail(op, record.status());
}

Outcome CoreControl::ReadPluginLog(const Operation& op) {
  const auto record = catalog_.FindPlugin(op.name, op.version);
  const LogRing* ring = plugin_logs_ != nullptr ? plugin_logs_->Find(op.name, op.version) : nullptr;
  if (record.ok() || ring != nullptr) return ReadLogLines(op, ring);
  Outcome out;
  out.status = record.status();
  return out;
}

Outcome CoreControl::ChangeTrace(const Operation& op) {
  if (tracer_ == nullptr) {
    return Fail(op, MakeStatus(StatusCode::kUnimplemented, "this daemon does not trace"));
  }
  if (const json::value* model = op.body.if_contains("model"); model != nullptr) {
    const std::string name(model->get_string());
    if (catalog_.models().find(name) == catalog_.models().end()) {
      return Fail(op, catalog_.FindModel(name, "").status());
    }
  }
  Outcome out = ApplyTraceOperation(op, *tracer_);
  return out.status.ok() ? std::move(out) : Fail(op, out.status);
}

Outcome CoreControl::Remove(const Operation& op) {
  Outcome before = Describe(op);
  if (!before.status.ok()) return before;
  const bool plugin = op.kind == K::kRemovePlugin;
  const Status status = plugin ? catalog_.RemovePlugin(op.name, op.version)
                               : catalog_.RemoveModel(op.name, op.version);
  if (!status.ok()) return Fail(op, status);
  if (plugin) {
    manager_.Publish();
  } else {
    manager_.Publish(op.name);
  }
  return before;
}

Outcome CoreControl::ChangeGroup(const Operation& op) {
  Status status;
  if (op.kind == K::kLabelModel) {
    StatusOr<uint64_t> version = 0;  // none: the label goes
    if (const json::value* v = op.body.if_contains("version")) version = ReadVersion(*v);
    status = version.ok() ? catalog_.SetLabel(op.name, TakeString(op.body, "label"), *version)
                          : version.status();
  } else {
    const auto policy = catalog::ParseVersionPolicy(op.body.at("version_policy"));
    status = policy.ok() ? catalog_.SetPolicy(op.name, *policy) : policy.status();
  }
  if (!status.ok()) return Fail(op, status);
  manager_.ApplyPolicy(op.name);
  return Object(GroupObject(op.name, catalog_.Group(op.name)));
}

void CoreControl::Swap(const Operation& op, const Done& done) {
  std::string to = TakeString(op.body, "to");
  if (op.kind == K::kRollBackPlugin) {
    const catalog::PluginVersion* previous = catalog_.PreviousPlugin(op.name);
    if (previous == nullptr) {
      const Status known = catalog_.HasPlugin(op.name);
      return done(Fail(op, known.ok() ? FailedPrecondition("plugin " + op.name +
                                                           " was not swapped: there is no version "
                                                           "to go back to")
                                      : known));
    }
    to = previous->manifest.version;
  }
  const catalog::PluginVersion* active = catalog_.ActivePlugin(op.name);
  const std::string from = active != nullptr ? active->manifest.version : std::string();
  const auto finished = std::make_shared<bool>(false);
  GoOn(
      op, done,
      [&](const lifecycle::Manager::Done& after) {
        manager_.SwapPlugin(op.name, to, [finished, after](const Status& status) {
          *finished = true;
          after(status);
        });
      },
      [name = op.name, from, to, finished] {
        return Object({{"plugin", name},
                       {"from", from},
                       {"to", to},
                       {"state", *finished ? "done" : "running"}});
      });
}

bool CoreControl::Admit(const Operation& op, lifecycle::Manager::Done* done) {
  std::string object = ObjectOf(op);
  size_t& count = (*under_way_)[object];
  if (count >= kMostUnderWay) return false;
  ++count;
  const std::shared_ptr<void> counted(
      nullptr, [counts = under_way_, object = std::move(object)](const void*) {
        const auto it = counts->find(object);
        if (--it->second == 0) counts->erase(it);
      });
  *done = [counted, then = std::move(*done)](const Status& status) { then(status); };
  return true;
}

// Starts a change that takes its time.  `describe` is the answer when it is
// done, or at once where nobody waits; and what is told of its beginning.  What
// is wrong at once is said at once, and then it has not begun.
void CoreControl::GoOn(const Operation& op, const Done& done,
                       const std::function<void(const lifecycle::Manager::Done&)>& start,
                       const std::function<Outcome()>& describe) {
  const auto answered = std::make_shared<bool>(false);
  lifecycle::Manager::Done ended = [op, done, describe, answered](const Status& status) {
    if (std::exchange(*answered, true)) return;
    done(status.ok() ? describe() : Fail(op, status));
  };
  if (!Admit(op, &ended)) return done(TooMany(op));
  start(ended);
  if (*answered || (op.wait && !op.begun)) return;
  Outcome now = describe();
  now.accepted = true;
  if (op.wait) return op.begun(now);
  *answered = true;
  done(std::move(now));
}

// A model of a repository is read anew before it is loaded; what is known of it,
// and whether there is one, is known after that.
void CoreControl::LoadHeld(const Operation& op, const Done& done) {
  const StatusOr<uint64_t> version = catalog::ParseModelVersion(op.version);
  if (!version.ok()) return done(Describe(op));  // it has no such version
  const auto answered = std::make_shared<bool>(false);
  const auto answer = [done, answered](Outcome outcome) {
    if (!std::exchange(*answered, true)) done(std::move(outcome));
  };
  const auto known = [this, op, answer, answered] {
    if (op.wait && *answered) return;  // it ended at once
    Outcome now = Describe(op);
    now.accepted = now.status.ok();
    if (!op.wait) return answer(std::move(now));
    if (now.accepted) op.begun(now);
  };
  lifecycle::Manager::Done ended = [this, op, answer](const Status& status) {
    answer(status.ok() ? Describe(op) : Fail(op, status));
  };
  if (!Admit(op, &ended)) return done(TooMany(op));
  const bool asks = !op.wait || op.begun;
  repositories_->Load(op.name, *version, asks ? known : std::function<void()>(),
                      [this, op, ended](const Status& status) {
                        if (!status.ok()) return ended(status);
                        // Nothing, where it serves; else what keeps it from that.
                        manager_.LoadModel(op.name, op.version, ended);
                      });
}

void CoreControl::ChangeState(const Operation& op, const Done& done) {
  const bool minds =
      !IsPluginOperation(op.kind) && repositories_ != nullptr && repositories_->Minds(op.name);
  if (minds) {
    const bool load = op.kind == K::kLoadModel;
    const Status may = load ? repositories_->MayLoad(op.name) : repositories_->MayChange(op.name);
    if (!may.ok()) {
      Outcome refused = Fail(op, may);
      refused.hint = "change the repository's directory, or start mlosd in control mode explicit";
      return done(std::move(refused));
    }
    if (load) return LoadHeld(op, done);
  }
  Outcome before = Describe(op);
  if (!before.status.ok()) return done(std::move(before));
  const auto start = [&](const lifecycle::Manager::Done& finished) {
    switch (op.kind) {
      case K::kLoadPlugin:
        return manager_.LoadPlugin(op.name, op.version, finished);
      case K::kUnloadPlugin:
        return manager_.UnloadPlugin(op.name, op.version, finished);
      case K::kLoadModel:
        // Who is told that it has begun may go, and count on it.
        if (!op.wait) return manager_.PromiseModel(op.name, op.version, finished);
        return op.begun ? manager_.PromiseAndLoadModel(op.name, op.version, finished)
                        : manager_.LoadModel(op.name, op.version, finished);
      default:
        return minds ? repositories_->UnloadVersion(op.name, op.version, finished)
                     : manager_.UnloadModel(op.name, op.version, finished);
    }
  };
  GoOn(op, done, start, [this, op] { return Describe(op); });
}

Outcome CoreControl::Read(const Operation& op) {
  switch (op.kind) {
    case K::kGetStatus:
      return Object({{"version", version_},
                     {"pid", getpid()},
                     {"uptime_s", (NowNanos() - started_ns_) / kNanosPerSecond},
                     {"ready", manager_.Ready()},
                     {"auth", "off"},
                     {"sandbox_tier", "none"}});
    case K::kGetOpenApi:
      return Object(operations::OpenApi(version_));
    case K::kGetResources:
      return Object(ResourcesObject(manager_));
    case K::kListUsage:
      return Object({{"usage", UsageList(catalog_, book_)}});
    case K::kListHosts:
      return Object({{"hosts", HostList(manager_)}});
    case K::kListPlugins:
    case K::kGetPlugin: {
      json::array list = PluginList(catalog_, op.name);
      if (!op.name.empty() && list.empty()) {
        return Fail(op, catalog_.FindPlugin(op.name, "").status());
      }
      return Object({{"plugins", std::move(list)}});
    }
    case K::kListModels:
    case K::kGetModel: {
      json::array list = ModelList(catalog_, op.name);
      if (!op.name.empty() && list.empty()) {
        return Fail(op, catalog_.FindModel(op.name, "").status());
      }
      return Object({{"models", std::move(list)}});
    }
    default:
      return Describe(op);
  }
}

}  // namespace mlos::control
