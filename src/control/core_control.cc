// SPDX-License-Identifier: Apache-2.0
#include "control/core_control.h"

#include <unistd.h>

#include "base/clock.h"
#include "control/objects.h"
#include "operations/body.h"
#include "operations/openapi.h"

namespace mlos::control {
namespace json = boost::json;

using K = OperationKind;

namespace {

// The request that shows what an operation is about.
std::string ListOf(const Operation& op) {
  const bool plugin =
      operations::Row(op.kind).permission.resource == operations::Resource::kPlugins;
  return operations::RequestText(operations::Row(plugin ? K::kListPlugins : K::kListModels));
}

// What to do next, by what went wrong.
std::string HintFor(const Operation& op, const Status& status) {
  const operations::OperationRow& row = operations::Row(op.kind);
  switch (status.code()) {
    case StatusCode::kNotFound:
      return op.kind == K::kRegisterPlugin || op.kind == K::kRegisterModel
                 ? "check the path: it is a path on the machine that mlosd runs on"
                 : "list what there is: " + ListOf(op);
    case StatusCode::kAlreadyExists:
      return "register it under another version, or remove the registered one; see " + ListOf(op);
    case StatusCode::kFailedPrecondition:
      return "see its state: " + ListOf(op);
    case StatusCode::kUnavailable:
      return "the object's \"reason\" says what failed; mend it and load again";
    case StatusCode::kInvalidArgument:
      return operations::RequestText(row) + ": " + std::string(row.help);
    default:
      return {};
  }
}

Outcome Fail(const Operation& op, const Status& status) {
  Outcome out;
  out.status = status;
  out.hint = HintFor(op, status);
  return out;
}

Outcome Object(json::value body) {
  Outcome out;
  out.body = std::move(body);
  return out;
}

bool IsPluginOperation(K kind) {
  return kind == K::kLoadPlugin || kind == K::kUnloadPlugin || kind == K::kRemovePlugin ||
         kind == K::kGetPluginVersion;
}

// CheckMembers has seen that it is a string where it is there.
std::string TakeString(const json::object& body, const char* key) {
  const json::value* value = body.if_contains(key);
  return value == nullptr ? std::string() : std::string(value->get_string());
}

StatusOr<catalog::ModelSpec> ReadModelSpec(const json::object& body) {
  catalog::ModelSpec spec;
  spec.name = TakeString(body, "name");
  spec.path = TakeString(body, "path");
  spec.plugin = TakeString(body, "plugin");
  if (const json::value* v = body.if_contains("version")) {
    const std::string text =
        v->is_string() ? std::string(v->get_string()) : std::to_string(v->get_int64());
    MLOS_ASSIGN_OR_RETURN(spec.version, catalog::ParseModelVersion(text));
  }
  if (const json::value* v = body.if_contains("config")) spec.config = v->get_object();
  return spec;
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
  const Status members = operations::CheckMembers(operations::Row(op.kind), op.body);
  if (!members.ok()) {
    done(Fail(op, members));
    return;
  }
  switch (op.kind) {
    case K::kRegisterPlugin:
      done(RegisterPlugin(op));
      return;
    case K::kRegisterModel:
      done(RegisterModel(op));
      return;
    case K::kRemovePlugin:
    case K::kRemoveModel:
      done(Remove(op));
      return;
    case K::kLoadPlugin:
    case K::kUnloadPlugin:
    case K::kLoadModel:
    case K::kUnloadModel:
      ChangeState(op, done);
      return;
    default:
      done(Read(op));
      return;
  }
}

Outcome CoreControl::RegisterPlugin(const Operation& op) {
  const auto registered = catalog_.RegisterPlugin(TakeString(op.body, "path"));
  if (!registered.ok()) return Fail(op, registered.status());
  Outcome out = Object(PluginObject(catalog_, *registered->record));
  out.created = registered->created;
  return out;
}

Outcome CoreControl::RegisterModel(const Operation& op) {
  StatusOr<catalog::ModelSpec> spec = ReadModelSpec(op.body);
  if (!spec.ok()) return Fail(op, spec.status());
  const auto registered = catalog_.RegisterModel(*std::move(spec));
  if (!registered.ok()) return Fail(op, registered.status());
  if (registered->created) manager_.Publish();
  Outcome out = Object(ModelObject(*registered->record));
  out.created = registered->created;
  return out;
}

Outcome CoreControl::Describe(const Operation& op) {
  if (IsPluginOperation(op.kind)) {
    const auto record = catalog_.FindPlugin(op.name, op.version);
    return record.ok() ? Object(PluginObject(catalog_, **record)) : Fail(op, record.status());
  }
  const auto record = catalog_.FindModel(op.name, op.version);
  return record.ok() ? Object(ModelObject(**record)) : Fail(op, record.status());
}

Outcome CoreControl::Remove(const Operation& op) {
  Outcome before = Describe(op);
  if (!before.status.ok()) return before;
  const bool plugin = op.kind == K::kRemovePlugin;
  const Status status = plugin ? catalog_.RemovePlugin(op.name, op.version)
                               : catalog_.RemoveModel(op.name, op.version);
  if (!status.ok()) return Fail(op, status);
  if (!plugin) manager_.Publish();
  return before;
}

void CoreControl::ChangeState(const Operation& op, const Done& done) {
  const auto finished = [this, op, done](const Status& status) {
    if (op.wait) done(status.ok() ? Describe(op) : Fail(op, status));
  };
  // What is wrong at once is said at once, also when nobody waits for the rest.
  const auto answered = std::make_shared<bool>(false);
  const auto watch = [op, done, answered, finished](const Status& status) {
    if (!op.wait && !*answered && !status.ok()) {
      *answered = true;
      done(Fail(op, status));
      return;
    }
    finished(status);
  };
  switch (op.kind) {
    case K::kLoadPlugin:
      manager_.LoadPlugin(op.name, op.version, watch);
      break;
    case K::kUnloadPlugin:
      manager_.UnloadPlugin(op.name, op.version, watch);
      break;
    case K::kLoadModel:
      manager_.LoadModel(op.name, op.version, watch);
      break;
    default:
      manager_.UnloadModel(op.name, op.version, watch);
      break;
  }
  if (!op.wait && !*answered) {
    *answered = true;
    Outcome out = Describe(op);
    out.accepted = true;
    done(std::move(out));
  }
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
