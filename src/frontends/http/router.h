// SPDX-License-Identifier: Apache-2.0
//
// From method and path to what is asked for.  The inference paths are fixed by
// the protocol; the management paths come from operations::Operations().
// No state; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/status.h"
#include "frontends/http/request.h"
#include "metrics/http_counters.h"
#include "operations/operations.h"

namespace mlos::http {

enum class Target : uint8_t {
  kServerMetadata,
  kLive,
  kReady,
  kModelList,
  kModelMetadata,
  kModelConfig,
  kModelReady,
  kInfer,
  kRegionStatus,  // of clients' shared memory: one, or all where `name` is empty
  kRegionRegister,
  kRegionUnregister,
  kCudaStatus,  // the same of a GPU's
  kCudaRegister,
  kCudaUnregister,
  kGenerate,
  kGenerateStream,
  kStatistics,  // of all models where no name is given
  kRepositoryIndex,
  kRepositoryLoad,
  kRepositoryUnload,
  kLogging,
  kTraceSetting,
  kOperation,
  kOptions,           // any known path, or "*"
  kUnknownPath,       // 404
  kMethodNotAllowed,  // 405, `allow` says which are
  kBadPath,           // 400: percent-encoding, NUL
};

// Which handler answers a target; kNone: the session by itself.
enum class Topic : uint8_t {
  kNone,
  kServer,
  kModel,
  kInfer,
  kGenerate,
  kStatistics,
  kRegions,
  kRepository,
  kLogging,
  kTrace,
  kManagement
};
constexpr size_t kTopics = static_cast<size_t>(Topic::kManagement) + 1;
Topic TopicOf(Target target);
metrics::RouteClass RouteClassOf(Target target);

// One per connection, reused: strings keep their capacity.
struct Route {
  Target target = Target::kUnknownPath;
  Method method = Method::kOther;
  bool management = false;  // below /api: errors have the management form
  bool head_only = false;   // HEAD: answer as GET, without the body
  bool wait = true;         // ?wait=false
  std::string name;         // {m}, {r} or {name}, decoded
  std::string version;      // {v} or {version}; empty: none given
  std::string repository;   // {repo}, decoded; empty: none given
  std::string query;        // of an operation, as sent
  const operations::OperationRow* operation = nullptr;
  std::string allow;  // "GET, HEAD"
};

std::string_view MethodName(Method method);  // "GET", also for HEAD; "" for kOther

void FindRoute(Method method, std::string_view target, Route* route);

// Puts the parameters of a query into `members`, in the type of their field.
// INVALID_ARGUMENT: one that the operation does not know; it names those that it
// does.
Status ReadQuery(const operations::OperationRow& row, std::string_view query,
                 boost::json::object* members);

// %XX decoded; false on a malformed escape, on NUL and on control characters.
bool PercentDecode(std::string_view text, std::string* out);

}  // namespace mlos::http
