// SPDX-License-Identifier: Apache-2.0
//
// The control actions, one row each: what an action is called on every
// surface, what it needs and what it answers.  Routes, permissions, the OpenAPI
// document, the command line, its completion and the reference pages come from
// these rows; nothing of them is written a second time.
//
// Constant data; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mlos::operations {

// Zero values below mean that a column was left out; the table does not build
// with one.

enum class OperationKind {
  kGetStatus,
  kListHosts,
  kListPlugins,
  kGetPlugin,
  kGetPluginVersion,
  kRegisterPlugin,
  kLoadPlugin,
  kUnloadPlugin,
  kRemovePlugin,
  kSwapPlugin,
  kRollBackPlugin,
  kListModels,
  kGetModel,
  kGetModelVersion,
  kRegisterModel,
  kLoadModel,
  kUnloadModel,
  kLoadModelVersions,
  kUnloadModelVersions,
  kRemoveModel,
  kLabelModel,
  kSetModelPolicy,
  kGetResources,
  kGetOpenApi,
  kGetLogLevel,
  kSetLogLevel,
  kReadLog,
  kReadPluginLog,
  kListUsage,
  kGetLogSettings,
  kSetLogSettings,
  kGetTraceSettings,
  kSetTraceSettings,
  kCount,  // how many there are: each has its row
};

// A permission is verb × resource × name: a role allows a verb on those
// resources whose name matches its pattern.  The name is the operation's
// {name}, or "" where it has none.
enum class Verb : uint8_t {
  kUnset,
  kRead,     // see
  kWrite,    // register and remove; settings
  kOperate,  // what runs: load, unload, swap, roll back
};
enum class Resource : uint8_t { kUnset, kDaemon, kHosts, kPlugins, kModels };

struct Permission {
  Verb verb = Verb::kUnset;
  Resource resource = Resource::kUnset;
};
std::string PermissionText(Permission permission);  // "plugins:write"

// What a principal's limits count an operation as.
enum class RateClass : uint8_t {
  kUnset,
  kRead,    // answered from memory
  kChange,  // written down before the answer
  kHeavy,   // starts or stops processes, loads models
};
std::string_view RateClassName(RateClass rate);

enum class Wait : uint8_t {
  kUnset,
  kNever,   // done when it is answered
  kCanGoOn  // ?wait=false answers 202 and the work goes on
};

enum class Takes : uint8_t {
  kUnset,
  kNoBody,
  kBody,  // a JSON object with the fields that are In::kBody
};

// What an operation answers with; objects.h says what is in each.
enum class ObjectKind : uint8_t {
  kUnset,
  kStatus,
  kHost,
  kHosts,
  kPlugin,
  kPlugins,
  kModel,
  kModels,
  kFile,
  kSwap,
  kModelGroup,
  kResources,
  kDocument,
  kLogLevel,
  kLogLine,
  kLogLines,
  kUsage,
  kUsages,
  kLogSettings,
  kTraceSettings,
  kCount,
};

enum class Type : uint8_t {
  kUnset,
  kString,
  kPath,     // a string: an absolute path on the machine of the daemon
  kInteger,  // without sign
  kVersion,  // a model's: an integer from 1 on, or the same as a string
  kBoolean,
  kObject,
  kLogLevel,
  kName,  // a string: of a plugin, a model, a label
};
std::string_view TypeText(Type type);  // "a string", "an absolute path", …

enum class In : uint8_t { kUnset, kBody, kQuery };
enum class Need : uint8_t { kUnset, kRequired, kOptional };
enum class CliForm : uint8_t {
  kUnset,
  kPositional,  // stands in the row's `cli` in capitals
  kFlag,        // --name VALUE
};

// A member of an operation's body, or a parameter of its query.
struct Field {
  std::string_view name;
  uint32_t number = 0;  // in messages of gRPC, for ever: proto/mlos/v1/management.numbers
  Type type = Type::kUnset;
  In in = In::kUnset;
  Need need = Need::kUnset;
  CliForm cli = CliForm::kUnset;
  std::string_view help;

  bool required() const { return need == Need::kRequired; }
};

// Those of the path's {name} and {version}.
inline constexpr uint32_t kNameNumber = 1;
inline constexpr uint32_t kVersionNumber = 2;

struct OperationRow {
  OperationKind kind = OperationKind::kCount;
  std::string_view name;  // "plugin.load"
  Permission permission;
  RateClass rate = RateClass::kUnset;
  std::string_view http_method;  // "POST"
  std::string_view http_path;    // "/api/v1/plugins/{name}/versions/{version}/load"
  std::string_view grpc_method;  // "mlos.v1.Management/LoadPlugin"
  // The command: its words, then its arguments in capitals.  An argument is a
  // {parameter} of the path or a positional field.  Rows with the same words
  // are told apart by their number of arguments.  [VERSION]: the command line
  // finds the highest version where none is given.
  std::string_view cli;  // "plugin load NAME VERSION"
  Wait wait = Wait::kUnset;
  Takes takes = Takes::kUnset;
  std::span<const Field> fields;
  bool creates = false;  // answers 201 where the object is new
  ObjectKind answers = ObjectKind::kUnset;
  std::string_view help;     // one line
  std::string_view example;  // a whole command line: "mlos …"

  constexpr bool can_wait() const { return wait == Wait::kCanGoOn; }
  constexpr bool takes_body() const { return takes == Takes::kBody; }
};

std::span<const OperationRow> Operations();
const OperationRow& Row(OperationKind kind);
// What to send: "POST /api/v1/models {\"name\",\"path\",\"version\"?}", where ?
// marks what may be left out.
std::string RequestText(const OperationRow& row);
const Field* FindField(const OperationRow& row, std::string_view name);  // or nullptr

}  // namespace mlos::operations
