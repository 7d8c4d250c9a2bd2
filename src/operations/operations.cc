// SPDX-License-Identifier: Apache-2.0
#include "operations/operations.h"

#include <iterator>

#include "operations/table_check.h"

namespace mlos::operations {
namespace {

using K = OperationKind;
using O = ObjectKind;

constexpr Permission kSeeDaemon{Verb::kRead, Resource::kDaemon};
constexpr Permission kSeeHosts{Verb::kRead, Resource::kHosts};
constexpr Permission kSeePlugins{Verb::kRead, Resource::kPlugins};
constexpr Permission kWritePlugins{Verb::kWrite, Resource::kPlugins};
constexpr Permission kOperatePlugins{Verb::kOperate, Resource::kPlugins};
constexpr Permission kSeeModels{Verb::kRead, Resource::kModels};
constexpr Permission kWriteModels{Verb::kWrite, Resource::kModels};
constexpr Permission kOperateModels{Verb::kOperate, Resource::kModels};

// Behind the name: the number in the messages of gRPC, which is never changed.

constexpr Field kRegisterPluginFields[] = {
    {"path", 1, Type::kPath, In::kBody, Need::kRequired, CliForm::kPositional,
     "The package: a directory with plugin.yaml and its library"},
    {"install", 2, Type::kBoolean, In::kBody, Need::kOptional, CliForm::kFlag,
     "Copy the package into the daemon's own directory first, so that the original may go"},
};

constexpr Field kSwapPluginFields[] = {
    {"to", 2, Type::kString, In::kBody, Need::kRequired, CliForm::kFlag,
     "The version that is to serve; it is loaded where it is not"},
};

constexpr Field kLabelModelFields[] = {
    {"label", 2, Type::kName, In::kBody, Need::kRequired, CliForm::kPositional,
     "A name that requests may give instead of a version, such as stable"},
    {"version", 3, Type::kVersion, In::kBody, Need::kOptional, CliForm::kFlag,
     "What it stands for from now on; without one the label is taken away"},
};

constexpr Field kSetModelPolicyFields[] = {
    {"version_policy", 2, Type::kObject, In::kBody, Need::kRequired, CliForm::kFlag,
     "{\"all\":{}}, {\"latest\":{\"num_versions\":N}} or {\"specific\":{\"versions\":[…]}}"},
};

constexpr Field kRegisterModelFields[] = {
    {"name", 1, Type::kName, In::kBody, Need::kRequired, CliForm::kPositional,
     "What requests will call the model"},
    {"path", 2, Type::kPath, In::kBody, Need::kRequired, CliForm::kPositional,
     "The artefact, or the directory that holds it"},
    {"version", 3, Type::kVersion, In::kBody, Need::kOptional, CliForm::kFlag,
     "The version to register it under; 1 unless given"},
    {"plugin", 4, Type::kString, In::kBody, Need::kOptional, CliForm::kFlag,
     "The plugin to run it on; may be left out when one plugin claims the format"},
    {"config", 5, Type::kObject, In::kBody, Need::kOptional, CliForm::kFlag,
     "A ModelConfig object, handed to the plugin"},
    {"metadata", 6, Type::kObject, In::kBody, Need::kOptional, CliForm::kFlag,
     "Anything to remember about it; given back as it is"},
};

constexpr Permission kWriteDaemon{Verb::kWrite, Resource::kDaemon};

constexpr Field kSetLogLevelFields[] = {
    {"level", 1, Type::kLogLevel, In::kBody, Need::kRequired, CliForm::kPositional,
     "debug, info, warning or error"},
};

constexpr Field kSetLogSettingsFields[] = {
    {"info", 1, Type::kString, In::kBody, Need::kOptional, CliForm::kFlag,
     "on or off: lines of level info"},
    {"warning", 2, Type::kString, In::kBody, Need::kOptional, CliForm::kFlag,
     "on or off: lines of level warning"},
    {"error", 3, Type::kString, In::kBody, Need::kOptional, CliForm::kFlag,
     "on or off: lines of level error"},
    {"verbose", 4, Type::kInteger, In::kBody, Need::kOptional, CliForm::kFlag,
     "0, or from 1 on lines of level debug as well"},
    {"format", 5, Type::kString, In::kBody, Need::kOptional, CliForm::kFlag,
     "How lines of text say the time: default (local) or ISO8601 (UTC)"},
};

constexpr Field kGetTraceSettingsFields[] = {
    {"model", 1, Type::kString, In::kQuery, Need::kOptional, CliForm::kFlag,
     "What holds for this model; without one, for all"},
};

constexpr Field kSetTraceSettingsFields[] = {
    {"settings", 1, Type::kObject, In::kBody, Need::kRequired, CliForm::kFlag,
     "trace_level (a list of TIMESTAMPS and TENSORS, or OFF), trace_rate, trace_count, "
     "log_frequency; null takes one back"},
    {"model", 2, Type::kString, In::kBody, Need::kOptional, CliForm::kFlag,
     "Let them hold for this model alone"},
};

// With and without a name and a version in front, which are 1 and 2.
constexpr Field kReadLogFields[] = {
    {"tail", 3, Type::kInteger, In::kQuery, Need::kOptional, CliForm::kFlag,
     "So many lines at most, the newest; 100 unless given, at most 1000"},
    {"after", 4, Type::kInteger, In::kQuery, Need::kOptional, CliForm::kFlag,
     "Only lines behind this number"},
    {"level", 5, Type::kLogLevel, In::kQuery, Need::kOptional, CliForm::kFlag,
     "Only lines that are at least this important: debug, info, warning or error"},
};

// Columns in the order of OperationRow.  To add an operation: its kind in
// operations.h, its row here, its case in control/core_control.cc.
constexpr OperationRow kOperations[] = {
    {.kind = K::kGetStatus,
     .name = "status.get",
     .permission = kSeeDaemon,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/status",
     .grpc_method = "mlos.v1.Management/GetStatus",
     .cli = "status",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kStatus,
     .help = "What this daemon is and whether it is ready",
     .example = "mlos status"},
    {.kind = K::kGetOpenApi,
     .name = "openapi.get",
     .permission = kSeeDaemon,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/openapi.json",
     .grpc_method = "mlos.v1.Management/GetOpenApi",
     .cli = "openapi",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kDocument,
     .help = "Every management route as an OpenAPI 3.1 document",
     .example = "mlos openapi"},
    {.kind = K::kGetLogLevel,
     .name = "log.level",
     .permission = kSeeDaemon,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/log",
     .grpc_method = "mlos.v1.Management/GetLogLevel",
     .cli = "log",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kLogLevel,
     .help = "How much the daemon logs",
     .example = "mlos log"},
    {.kind = K::kSetLogLevel,
     .name = "log.set",
     .permission = kWriteDaemon,
     .rate = RateClass::kChange,
     .http_method = "POST",
     .http_path = "/api/v1/log",
     .grpc_method = "mlos.v1.Management/SetLogLevel",
     .cli = "log LEVEL",
     .wait = Wait::kNever,
     .takes = Takes::kBody,
     .fields = kSetLogLevelFields,
     .answers = O::kLogLevel,
     .help = "Log more or less, until the daemon stops",
     .example = "mlos log debug"},
    {.kind = K::kGetLogSettings,
     .name = "log.settings",
     .permission = kSeeDaemon,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/log/settings",
     .grpc_method = "mlos.v1.Management/GetLogSettings",
     .cli = "log-settings",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kLogSettings,
     .help = "Which levels the daemon logs, one by one",
     .example = "mlos log-settings"},
    {.kind = K::kSetLogSettings,
     .name = "log.switch",
     .permission = kWriteDaemon,
     .rate = RateClass::kChange,
     .http_method = "POST",
     .http_path = "/api/v1/log/settings",
     .grpc_method = "mlos.v1.Management/SetLogSettings",
     .cli = "log-switch",
     .wait = Wait::kNever,
     .takes = Takes::kBody,
     .fields = kSetLogSettingsFields,
     .answers = O::kLogSettings,
     .help = "Switch levels of the log on or off, until the daemon stops",
     .example = "mlos log-switch --verbose 1 --info off"},
    {.kind = K::kGetTraceSettings,
     .name = "trace.get",
     .permission = kSeeDaemon,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/trace",
     .grpc_method = "mlos.v1.Management/GetTraceSettings",
     .cli = "trace",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .fields = kGetTraceSettingsFields,
     .answers = O::kTraceSettings,
     .help = "Which requests are traced, and where to",
     .example = "mlos trace --model digits"},
    {.kind = K::kSetTraceSettings,
     .name = "trace.set",
     .permission = kWriteDaemon,
     .rate = RateClass::kChange,
     .http_method = "POST",
     .http_path = "/api/v1/trace",
     .grpc_method = "mlos.v1.Management/SetTraceSettings",
     .cli = "trace-set",
     .wait = Wait::kNever,
     .takes = Takes::kBody,
     .fields = kSetTraceSettingsFields,
     .answers = O::kTraceSettings,
     .help = "Trace one request in so many, until the daemon stops",
     .example =
         "mlos trace-set --settings '{\"trace_level\":[\"TIMESTAMPS\"],\"trace_rate\":\"100\"}'"},
    {.kind = K::kReadLog,
     .name = "log.lines",
     .permission = kSeeDaemon,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/logs",
     .grpc_method = "mlos.v1.Management/ReadLog",
     .cli = "logs",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .fields = kReadLogFields,
     .answers = O::kLogLines,
     .help = "The newest lines of the daemon's log",
     .example = "mlos logs --tail 20 --level warning"},
    {.kind = K::kReadPluginLog,
     .name = "plugin.logs",
     .permission = kSeePlugins,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/plugins/{name}/versions/{version}/logs",
     .grpc_method = "mlos.v1.Management/ReadPluginLog",
     .cli = "logs NAME [VERSION]",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .fields = kReadLogFields,
     .answers = O::kLogLines,
     .help = "What a plugin version wrote, also when its host is gone",
     .example = "mlos logs onnxruntime 1.0.0 --tail 20"},
    {.kind = K::kListHosts,
     .name = "host.list",
     .permission = kSeeHosts,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/hosts",
     .grpc_method = "mlos.v1.Management/ListHosts",
     .cli = "ps",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kHosts,
     .help = "The plugin hosts: the processes that run plugins",
     .example = "mlos ps"},
    {.kind = K::kListUsage,
     .name = "usage.list",
     .permission = kSeeModels,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/usage",
     .grpc_method = "mlos.v1.Management/ListUsage",
     .cli = "usage",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kUsages,
     .help = "What requests each model has had since it was registered or the daemon started",
     .example = "mlos usage"},
    {.kind = K::kListPlugins,
     .name = "plugin.list",
     .permission = kSeePlugins,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/plugins",
     .grpc_method = "mlos.v1.Management/ListPlugins",
     .cli = "plugin list",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kPlugins,
     .help = "All plugins, every version",
     .example = "mlos plugin list"},
    {.kind = K::kRegisterPlugin,
     .name = "plugin.register",
     .permission = kWritePlugins,
     .rate = RateClass::kChange,
     .http_method = "POST",
     .http_path = "/api/v1/plugins",
     .grpc_method = "mlos.v1.Management/RegisterPlugin",
     .cli = "plugin register PATH",
     .wait = Wait::kNever,
     .takes = Takes::kBody,
     .fields = kRegisterPluginFields,
     .creates = true,
     .answers = O::kPlugin,
     .help = "Register a plugin package; reads its manifest and maps nothing",
     .example = "mlos plugin register build/plugins/onnxruntime/1.0.0"},
    {.kind = K::kGetPlugin,
     .name = "plugin.versions",
     .permission = kSeePlugins,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/plugins/{name}",
     .grpc_method = "mlos.v1.Management/ListPluginVersions",
     .cli = "plugin show NAME",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kPlugins,
     .help = "The versions of one plugin",
     .example = "mlos plugin show onnxruntime"},
    {.kind = K::kGetPluginVersion,
     .name = "plugin.get",
     .permission = kSeePlugins,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/plugins/{name}/versions/{version}",
     .grpc_method = "mlos.v1.Management/GetPlugin",
     .cli = "plugin show NAME VERSION",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kPlugin,
     .help = "One version of a plugin",
     .example = "mlos plugin show onnxruntime 1.0.0"},
    {.kind = K::kRemovePlugin,
     .name = "plugin.remove",
     .permission = kWritePlugins,
     .rate = RateClass::kChange,
     .http_method = "DELETE",
     .http_path = "/api/v1/plugins/{name}/versions/{version}",
     .grpc_method = "mlos.v1.Management/RemovePlugin",
     .cli = "plugin remove NAME VERSION",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kPlugin,
     .help = "Forget a plugin version that is not loaded",
     .example = "mlos plugin remove onnxruntime 1.0.0"},
    {.kind = K::kLoadPlugin,
     .name = "plugin.load",
     .permission = kOperatePlugins,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/plugins/{name}/versions/{version}/load",
     .grpc_method = "mlos.v1.Management/LoadPlugin",
     .cli = "plugin load NAME VERSION",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kNoBody,
     .answers = O::kPlugin,
     .help = "Start the host of a plugin version",
     .example = "mlos plugin load onnxruntime 1.0.0"},
    {.kind = K::kUnloadPlugin,
     .name = "plugin.unload",
     .permission = kOperatePlugins,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/plugins/{name}/versions/{version}/unload",
     .grpc_method = "mlos.v1.Management/UnloadPlugin",
     .cli = "plugin unload NAME VERSION",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kNoBody,
     .answers = O::kPlugin,
     .help = "Stop the host of a plugin version",
     .example = "mlos plugin unload onnxruntime 1.0.0"},
    {.kind = K::kSwapPlugin,
     .name = "plugin.swap",
     .permission = kOperatePlugins,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/plugins/{name}/swap",
     .grpc_method = "mlos.v1.Management/SwapPlugin",
     .cli = "plugin swap NAME",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kBody,
     .fields = kSwapPluginFields,
     .answers = O::kSwap,
     .help = "Have another version serve, without a request lost; all models move to it",
     .example = "mlos plugin swap onnxruntime --to 1.1.0"},
    {.kind = K::kRollBackPlugin,
     .name = "plugin.rollback",
     .permission = kOperatePlugins,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/plugins/{name}/rollback",
     .grpc_method = "mlos.v1.Management/RollBackPlugin",
     .cli = "plugin rollback NAME",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kNoBody,
     .answers = O::kSwap,
     .help = "Swap back to the version that served before the last swap",
     .example = "mlos plugin rollback onnxruntime"},
    {.kind = K::kListModels,
     .name = "model.list",
     .permission = kSeeModels,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/models",
     .grpc_method = "mlos.v1.Management/ListModels",
     .cli = "model list",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kModels,
     .help = "All models, every version",
     .example = "mlos model list"},
    {.kind = K::kRegisterModel,
     .name = "model.register",
     .permission = kWriteModels,
     .rate = RateClass::kChange,
     .http_method = "POST",
     .http_path = "/api/v1/models",
     .grpc_method = "mlos.v1.Management/RegisterModel",
     .cli = "model register NAME PATH",
     .wait = Wait::kNever,
     .takes = Takes::kBody,
     .fields = kRegisterModelFields,
     .creates = true,
     .answers = O::kModel,
     .help = "Register a model; its first request loads it",
     .example = "mlos model register digits examples/digits/model.onnx --version 2"},
    {.kind = K::kGetModel,
     .name = "model.versions",
     .permission = kSeeModels,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/models/{name}",
     .grpc_method = "mlos.v1.Management/ListModelVersions",
     .cli = "model show NAME",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kModels,
     .help = "The versions of one model",
     .example = "mlos model show digits"},
    {.kind = K::kGetModelVersion,
     .name = "model.get",
     .permission = kSeeModels,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/models/{name}/versions/{version}",
     .grpc_method = "mlos.v1.Management/GetModel",
     .cli = "model show NAME VERSION",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kModel,
     .help = "One version of a model",
     .example = "mlos model show digits 1"},
    {.kind = K::kRemoveModel,
     .name = "model.remove",
     .permission = kWriteModels,
     .rate = RateClass::kChange,
     .http_method = "DELETE",
     .http_path = "/api/v1/models/{name}/versions/{version}",
     .grpc_method = "mlos.v1.Management/RemoveModel",
     .cli = "model remove NAME [VERSION]",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kModel,
     .help = "Forget a model version that is not loaded",
     .example = "mlos model remove digits 1"},
    {.kind = K::kLoadModel,
     .name = "model.load",
     .permission = kOperateModels,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/models/{name}/versions/{version}/load",
     .grpc_method = "mlos.v1.Management/LoadModel",
     .cli = "model load NAME [VERSION]",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kNoBody,
     .answers = O::kModel,
     .help = "Load a model version now, and keep it loaded",
     .example = "mlos model load digits"},
    {.kind = K::kUnloadModel,
     .name = "model.unload",
     .permission = kOperateModels,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/models/{name}/versions/{version}/unload",
     .grpc_method = "mlos.v1.Management/UnloadModel",
     .cli = "model unload NAME [VERSION]",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kNoBody,
     .answers = O::kModel,
     .help = "Unload a model version; it answers 503 until it is loaded again",
     .example = "mlos model unload digits 1"},
    {.kind = K::kLoadModelVersions,
     .name = "model.load_all",
     .permission = kOperateModels,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/models/{name}/load",
     .grpc_method = "mlos.v1.Management/LoadModelVersions",
     .cli = "model load-all NAME",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kNoBody,
     .answers = O::kModels,
     .help = "Load every version of a model that its version policy admits",
     .example = "mlos model load-all digits"},
    {.kind = K::kUnloadModelVersions,
     .name = "model.unload_all",
     .permission = kOperateModels,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/models/{name}/unload",
     .grpc_method = "mlos.v1.Management/UnloadModelVersions",
     .cli = "model unload-all NAME",
     .wait = Wait::kCanGoOn,
     .takes = Takes::kNoBody,
     .answers = O::kModels,
     .help = "Unload every version of a model",
     .example = "mlos model unload-all digits"},
    {.kind = K::kLabelModel,
     .name = "model.label",
     .permission = kWriteModels,
     .rate = RateClass::kChange,
     .http_method = "POST",
     .http_path = "/api/v1/models/{name}/labels",
     .grpc_method = "mlos.v1.Management/LabelModel",
     .cli = "model label NAME LABEL",
     .wait = Wait::kNever,
     .takes = Takes::kBody,
     .fields = kLabelModelFields,
     .answers = O::kModelGroup,
     .help = "Let a label stand for a version of a model, or for none any more",
     .example = "mlos model label digits stable --version 2"},
    {.kind = K::kSetModelPolicy,
     .name = "model.policy",
     .permission = kWriteModels,
     .rate = RateClass::kHeavy,
     .http_method = "POST",
     .http_path = "/api/v1/models/{name}/policy",
     .grpc_method = "mlos.v1.Management/SetModelPolicy",
     .cli = "model policy NAME",
     .wait = Wait::kNever,
     .takes = Takes::kBody,
     .fields = kSetModelPolicyFields,
     .answers = O::kModelGroup,
     .help = "Say which versions of a model may serve; others are unloaded",
     .example = "mlos model policy digits --version-policy '{\"latest\":{\"num_versions\":1}}'"},
    {.kind = K::kGetResources,
     .name = "resources.get",
     .permission = kSeeDaemon,
     .rate = RateClass::kRead,
     .http_method = "GET",
     .http_path = "/api/v1/resources",
     .grpc_method = "mlos.v1.Management/GetResources",
     .cli = "resources",
     .wait = Wait::kNever,
     .takes = Takes::kNoBody,
     .answers = O::kResources,
     .help = "What the machine has, and what the daemon and its hosts take of it",
     .example = "mlos resources"},
};

static_assert(std::size(kOperations) == static_cast<size_t>(K::kCount),
              "every OperationKind has one row");
static_assert(All(kOperations, EveryColumnIsThere), "a row, or a field of it, lacks a column");
static_assert(NoTwoClash(kOperations),
              "two rows share a kind, a name, a route, a gRPC method, a command or a help text");
static_assert(
    All(kOperations, MethodIsSound),
    "reading is GET, rate class read and verb read, all or none; bodies go with POST, PUT");
static_assert(All(kOperations, BodyIsSound),
              "Takes::kBody goes with fields that are In::kBody; a field is named once");
static_assert(All(kOperations, NumbersAreSound),
              "in a message no number is there twice; the path's come first");
static_assert(All(kOperations, PathIsSound), "routes are below /api/v1/, methods in Management");
static_assert(All(kOperations, CommandIsSound),
              "a command's arguments are the path's parameters and the positional fields, in "
              "capitals, behind its words; its example begins with mlos and those words");

constexpr std::string_view kVerbs[] = {"", "read", "write", "operate"};
constexpr std::string_view kResources[] = {"", "daemon", "hosts", "plugins", "models"};
static_assert(std::size(kVerbs) == static_cast<size_t>(Verb::kOperate) + 1);
static_assert(std::size(kResources) == static_cast<size_t>(Resource::kModels) + 1);

}  // namespace

std::span<const OperationRow> Operations() { return kOperations; }

const OperationRow& Row(OperationKind kind) {
  for (const OperationRow& row : kOperations) {
    if (row.kind == kind) return row;
  }
  return kOperations[0];  // kCount, which is no operation
}

std::string RequestText(const OperationRow& row) {
  std::string text = std::string(row.http_method) + " " + std::string(row.http_path);
  if (!row.takes_body()) return text;
  const char* separator = " {";
  for (const Field& field : row.fields) {
    if (field.in != In::kBody) continue;
    text += separator + ("\"" + std::string(field.name)) + (field.required() ? "\"" : "\"?");
    separator = ",";
  }
  return text + "}";
}

const Field* FindField(const OperationRow& row, std::string_view name) {
  for (const Field& field : row.fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

std::string PermissionText(Permission permission) {
  return std::string(kResources[static_cast<size_t>(permission.resource)]) + ":" +
         std::string(kVerbs[static_cast<size_t>(permission.verb)]);
}

std::string_view RateClassName(RateClass rate) {
  constexpr std::string_view kNames[] = {"", "read", "change", "heavy"};
  return kNames[static_cast<size_t>(rate)];
}

std::string_view TypeText(Type type) {
  constexpr std::string_view kTexts[] = {"",
                                         "a string",
                                         "a string (an absolute path)",
                                         "an integer from 0 on",
                                         "an integer from 1 on",
                                         "a boolean",
                                         "an object",
                                         "a level: debug, info, warning or error",
                                         "a string (a name)"};
  return kTexts[static_cast<size_t>(type)];
}

}  // namespace mlos::operations
