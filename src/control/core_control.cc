// SPDX-License-Identifier: Apache-2.0
#include "control/core_control.h"

#include <fmt/core.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>

#include "base/clock.h"
#include "base/name.h"
#include "control/objects.h"

namespace mlos::control {
namespace json = boost::json;

using K = OperationKind;

namespace {

// What to do next, by what went wrong.
std::string HintFor(const Operation& op, const Status& status) {
  switch (status.code()) {
    case StatusCode::kNotFound:
      return op.kind == K::kRegisterPlugin || op.kind == K::kRegisterModel
                 ? "check the path: it is a path on the machine that mlosd runs on"
                 : "list what there is: GET /api/v1/plugins, GET /api/v1/models";
    case StatusCode::kAlreadyExists:
      return "register it under another version, or DELETE the registered one";
    case StatusCode::kFailedPrecondition:
      return "GET the object to see its state";
    case StatusCode::kUnavailable:
      return "the object's \"reason\" says what failed; mend it and load again";
    case StatusCode::kInvalidArgument:
      for (const OperationRow& row : Operations()) {
        if (row.kind != op.kind || !row.takes_body) continue;
        return fmt::format("{} {}: {}", row.http_method, row.http_path, row.help);
      }
      return {};
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

// A string member, or the default; anything else is an error that names it.
Status TakeString(const json::object& body, const char* key, bool required, std::string* out) {
  const json::value* value = body.if_contains(key);
  if (value == nullptr && !required) return OkStatus();
  if (value == nullptr || !value->is_string()) {
    return InvalidArgument(
        fmt::format("\"{}\" must be {}a string", key, value == nullptr ? "given: " : ""));
  }
  *out = value->get_string();
  return OkStatus();
}

Status RefuseUnknown(const json::object& body, std::initializer_list<std::string_view> known) {
  for (const auto& member : body) {
    const std::string_view key(member.key().data(), member.key().size());
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string list;
    for (const std::string_view k : known) list += (list.empty() ? "" : ", ") + std::string(k);
    return InvalidArgument(fmt::format("unknown member {} (known: {})", Quoted(key), list));
  }
  return OkStatus();
}

StatusOr<catalog::ModelSpec> ReadModelSpec(const json::object& body) {
  MLOS_RETURN_IF_ERROR(RefuseUnknown(body, {"name", "path", "version", "plugin", "config"}));
  catalog::ModelSpec spec;
  MLOS_RETURN_IF_ERROR(TakeString(body, "name", true, &spec.name));
  MLOS_RETURN_IF_ERROR(TakeString(body, "path", true, &spec.path));
  MLOS_RETURN_IF_ERROR(TakeString(body, "plugin", false, &spec.plugin));
  if (const json::value* v = body.if_contains("version")) {
    std::string text;
    if (v->is_string()) {
      text = v->get_string();
    } else if (v->is_int64()) {
      text = std::to_string(v->get_int64());
    } else {
      text = json::serialize(*v);  // for the refusal
    }
    MLOS_ASSIGN_OR_RETURN(spec.version, catalog::ParseModelVersion(text));
  }
  if (const json::value* v = body.if_contains("config")) {
    if (!v->is_object()) return InvalidArgument("\"config\" must be an object (a ModelConfig)");
    spec.config = v->get_object();
  }
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
  std::string path;
  Status status = RefuseUnknown(op.body, {"path"});
  if (status.ok()) status = TakeString(op.body, "path", true, &path);
  if (!status.ok()) return Fail(op, status);
  const auto registered = catalog_.RegisterPlugin(path);
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
