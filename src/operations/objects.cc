// SPDX-License-Identifier: Apache-2.0
#include "operations/objects.h"

#include <iterator>

namespace mlos::operations {
namespace {

using O = ObjectKind;

constexpr std::string_view kStates = "registered|loading|ready|draining|unloaded|failed";

constexpr Member kStatus[] = {
    {"version", 1, Type::kString, Is::kOne, "Of this daemon"},
    {"pid", 2, Type::kInteger, Is::kOne, "Its process number"},
    {"uptime_s", 3, Type::kInteger, Is::kOne, "Seconds since it started"},
    {"ready", 4, Type::kBoolean, Is::kOne, "Everything that should be loaded is"},
    {"auth", 5, Type::kString, Is::kOne, "Whether requests need a credential", "required|off"},
    {"sandbox_tier", 6, Type::kString, Is::kOne, "How plugin hosts are confined"},
};
constexpr Member kHost[] = {
    {"plugin", 1, Type::kString, Is::kOne, "The plugin it runs"},
    {"version", 2, Type::kString, Is::kOne, "The plugin's version"},
    {"pid", 3, Type::kInteger, Is::kNullable, "Its process number; null while there is no process"},
    {"state", 4, Type::kString, Is::kOne, "Where it is in its life", kStates},
    {"tier", 5, Type::kString, Is::kOne, "How it is confined"},
    {"restarts", 6, Type::kInteger, Is::kOne, "How often it died and was started again"},
    {"rss_bytes", 7, Type::kInteger, Is::kOne, "Resident memory"},
};
constexpr Member kHosts[] = {
    {"hosts", 1, Type::kObject, Is::kList, "All plugin hosts", {}, O::kHost}};
constexpr Member kPlugin[] = {
    {"name", 1, Type::kString, Is::kOne, "As its manifest has it"},
    {"version", 2, Type::kString, Is::kOne, "Semantic version, as its manifest has it"},
    {"state", 3, Type::kString, Is::kOne, "Where it is in its life", kStates},
    {"reason", 4, Type::kString, Is::kOne, "Why, where it failed; else empty"},
    {"active", 5, Type::kBoolean, Is::kOne, "This is the version that models run on"},
    {"formats", 6, Type::kString, Is::kList, "Of models that it claims"},
    {"models", 7, Type::kInteger, Is::kOne, "How many are loaded on it"},
    {"wanted", 8, Type::kBoolean, Is::kOne, "It should be loaded, also after a restart"},
    {"path", 9, Type::kString, Is::kOne, "Its package"},
    {"source", 10, Type::kString, Is::kNullable, "Where it was installed from; else null"},
    {"sha256", 11, Type::kString, Is::kNullable, "Of its library; null until it is computed"},
};
constexpr Member kPlugins[] = {
    {"plugins", 1, Type::kObject, Is::kList, "By name and version", {}, O::kPlugin}};
constexpr Member kModel[] = {
    {"name", 1, Type::kString, Is::kOne, "What requests call it"},
    {"version", 2, Type::kString, Is::kNullable,
     "An integer from 1 on, as text; null where a repository's model has none that is known"},
    {"state", 3, Type::kString, Is::kOne, "Where it is in its life", kStates},
    {"reason", 4, Type::kString, Is::kOne, "Why, where it failed; else empty"},
    {"plugin", 5, Type::kString, Is::kOne, "The plugin it is bound to"},
    {"plugin_version", 6, Type::kString, Is::kOne,
     "The version it runs on; empty while not loaded"},
    {"desired", 7, Type::kString, Is::kOne, "What it should be, also after a restart",
     "on_demand|loaded|unloaded"},
    {"path", 8, Type::kString, Is::kNullable,
     "As it was registered, or where its repository has it; null where its files came with a load"},
    {"format", 9, Type::kString, Is::kOne, "Of its main file"},
    {"owner", 10, Type::kString, Is::kOne, "Who registered it"},
    {"labels", 11, Type::kString, Is::kList, "Names that stand for this version"},
    {"metadata", 12, Type::kObject, Is::kOne, "What was given when it was registered"},
    {"files", 13, Type::kObject, Is::kList, "What it was registered with", {}, O::kFile},
};
constexpr Member kFile[] = {
    {"name", 1, Type::kString, Is::kOne, "Relative to the artefact's directory"},
    {"bytes", 2, Type::kInteger, Is::kOne, "Its size"},
    {"sha256", 3, Type::kString, Is::kNullable, "Of its content; null until it is computed"},
};
constexpr Member kSwap[] = {
    {"plugin", 1, Type::kString, Is::kOne, "The plugin's name"},
    {"from", 2, Type::kString, Is::kOne, "The version that served"},
    {"to", 3, Type::kString, Is::kOne, "The version that serves"},
    {"state", 4, Type::kString, Is::kOne, "done, or going on with ?wait=false", "done|running"},
};
constexpr Member kModelGroup[] = {
    {"name", 1, Type::kString, Is::kOne, "The model"},
    {"labels", 2, Type::kObject, Is::kOne, "Versions by label"},
    {"version_policy", 3, Type::kObject, Is::kOne, "Which versions may serve"},
};
constexpr Member kResources[] = {
    {"cpus", 1, Type::kInteger, Is::kOne, "Processors that the daemon may use"},
    {"memory_bytes", 2, Type::kInteger, Is::kOne, "Memory of the machine"},
    {"memory_available_bytes", 3, Type::kInteger, Is::kOne, "What programs could still get of it"},
    {"core_rss_bytes", 4, Type::kInteger, Is::kOne, "Resident memory of the daemon"},
    {"hosts_rss_bytes", 5, Type::kInteger, Is::kOne, "Resident memory of all plugin hosts"},
};
constexpr Member kModels[] = {
    {"models", 1, Type::kObject, Is::kList, "By name and version", {}, O::kModel}};

constexpr std::string_view kLevels = "debug|info|warning|error";
constexpr Member kLogLevel[] = {
    {"level", 1, Type::kString, Is::kOne, "The least important lines that are logged", kLevels}};
constexpr Member kLogLine[] = {
    {"sequence", 1, Type::kInteger, Is::kOne, "Counts the lines, without gaps, from 1 on"},
    {"time", 2, Type::kString, Is::kOne, "When it was logged, UTC"},
    {"level", 3, Type::kString, Is::kOne, "How important it is", kLevels},
    {"message", 4, Type::kString, Is::kOne, "The line"},
    {"fields", 5, Type::kObject, Is::kOne, "What the line is about, such as request_id: strings"},
};
constexpr Member kLogLines[] = {
    {"lines", 1, Type::kObject, Is::kList, "The newest, oldest first", {}, O::kLogLine},
    {"oldest", 2, Type::kInteger, Is::kOne, "The first line that is still kept"},
    {"next", 3, Type::kInteger, Is::kOne, "What the next line will be"},
};

constexpr Member kUsage[] = {
    {"name", 1, Type::kString, Is::kOne, "The model"},
    {"version", 2, Type::kString, Is::kOne, "Its version"},
    {"in_flight", 3, Type::kInteger, Is::kOne, "Requests that have no answer yet"},
    {"requests", 4, Type::kInteger, Is::kOne, "Requests that were answered"},
    {"errors", 5, Type::kInteger, Is::kOne, "Those of them that failed, for whatever reason"},
    {"total_us", 6, Type::kInteger, Is::kOne,
     "Microseconds from arrival to answer, of all answered requests together"},
    {"run_us", 7, Type::kInteger, Is::kOne, "Microseconds in the plugin, likewise"},
};
constexpr Member kUsages[] = {
    {"usage", 1, Type::kObject, Is::kList, "By name and version", {}, O::kUsage}};
constexpr Member kLogSettings[] = {
    {"info", 1, Type::kString, Is::kOne, "Whether lines of level info are logged", "on|off"},
    {"warning", 2, Type::kString, Is::kOne, "Whether lines of level warning are logged", "on|off"},
    {"error", 3, Type::kString, Is::kOne, "Whether lines of level error are logged", "on|off"},
    {"verbose", 4, Type::kInteger, Is::kOne, "From 1 on, lines of level debug are logged"},
    {"format", 5, Type::kString, Is::kOne, "How lines of text say the time: local, or UTC",
     "default|ISO8601"},
};

constexpr Member kTraceSettings[] = {
    {"model", 1, Type::kString, Is::kNullable, "Whose settings these are; null: all models'"},
    {"settings", 2, Type::kObject, Is::kOne,
     "By the names of the protocol's trace extension; trace_level is a list"},
};

constexpr ObjectRow kObjects[] = {
    {O::kStatus, "Status", "The daemon", kStatus},
    {O::kHost, "Host", "A process that runs a plugin", kHost},
    {O::kHosts, "Hosts", "Plugin hosts", kHosts},
    {O::kPlugin, "Plugin", "One version of a plugin", kPlugin},
    {O::kPlugins, "Plugins", "Versions of plugins", kPlugins},
    {O::kModel, "Model", "One version of a model", kModel},
    {O::kModels, "Models", "Versions of models", kModels},
    {O::kFile, "File", "A file of a model", kFile},
    {O::kSwap, "PluginSwap", "One plugin version instead of another", kSwap},
    {O::kModelGroup, "ModelGroup", "What is said of all versions of a model", kModelGroup},
    {O::kResources, "Resources", "Processors and memory", kResources},
    {O::kDocument, "Document", "An OpenAPI 3.1 document", {}},
    {O::kLogLevel, "LogLevel", "What is logged", kLogLevel},
    {O::kLogLine, "LogLine", "A line of a log", kLogLine},
    {O::kLogLines, "LogLines", "Lines of a log", kLogLines},
    {O::kUsage, "Usage", "The requests of a model version", kUsage},
    {O::kUsages, "Usages", "The requests of model versions", kUsages},
    {O::kLogSettings, "LogSettings", "What is logged, level by level", kLogSettings},
    {O::kTraceSettings, "TraceSettings", "Which requests are traced", kTraceSettings},
};

constexpr bool IsWhole(const Member& member) {
  return !member.name.empty() && member.number != 0 && member.type != Type::kUnset &&
         !member.help.empty() && (member.of == O::kUnset || member.type == Type::kObject);
}

constexpr bool EachIsThereOnce() {
  for (size_t kind = 1; kind < static_cast<size_t>(O::kCount); ++kind) {
    size_t found = 0;
    for (const ObjectRow& row : kObjects) {
      found += row.kind == static_cast<O>(kind) ? 1 : 0;
      if (row.name.empty() || row.help.empty()) return false;
      for (const Member& member : row.members) {
        if (!IsWhole(member)) return false;
        for (const Member& other : row.members) {
          if (&other != &member && other.number == member.number) return false;
        }
      }
    }
    if (found != 1) return false;
  }
  return true;
}
static_assert(EachIsThereOnce(),
              "every ObjectKind has one row, with all columns and no number twice");

// The numbers are those of frontends/common/status_map.cc; a test compares.
constexpr StatusRow kStatuses[] = {
    {200, "", "Done; the object as it now is"},
    {201, "", "Registered; the new object"},
    {202, "", "Accepted with ?wait=false; the object's state tells how it goes on"},
    {400, "INVALID_ARGUMENT", "The request is malformed"},
    {401, "UNAUTHENTICATED", "No credential, or a bad one"},
    {403, "PERMISSION_DENIED", "The credential does not allow this"},
    {404, "NOT_FOUND", "There is no such object, or no such path"},
    {409, "FAILED_PRECONDITION", "The object's state does not allow this"},
    {409, "ALREADY_EXISTS", "It exists with other content"},
    {429, "RESOURCE_EXHAUSTED", "Over a limit; Retry-After says when to come again"},
    {500, "INTERNAL", "A fault of the daemon"},
    {503, "UNAVAILABLE",
     "A plugin or model could not be loaded, its host failed, or the disk did not keep the change"},
    {504, "DEADLINE_EXCEEDED", "It took longer than it may"},
};

}  // namespace

std::span<const ObjectRow> Objects() { return kObjects; }

const ObjectRow& Object(ObjectKind kind) {
  for (const ObjectRow& row : kObjects) {
    if (row.kind == kind) return row;
  }
  return kObjects[0];  // kUnset and kCount, which are no objects
}

std::span<const StatusRow> Statuses() { return kStatuses; }

bool CanAnswer(const OperationRow& row, const StatusRow& status) {
  switch (status.status) {
    case 201:
      return row.creates;
    case 202:
    case 504:
      return row.can_wait();
    case 400:
      return !row.fields.empty();
    case 404:
      return row.http_path.find('{') != std::string_view::npos || row.takes_body();
    case 409:
    case 503:
      return row.permission.verb != Verb::kRead;
    default:
      return true;
  }
}

}  // namespace mlos::operations
