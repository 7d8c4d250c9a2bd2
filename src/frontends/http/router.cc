// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/router.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/name.h"
#include "base/near_miss.h"
#include "operations/body.h"

namespace mlos::http {
namespace {

constexpr size_t kMaxSegments = 8;  // the longest known path has seven

struct Segments {
  std::array<std::string_view, kMaxSegments> at;
  size_t count = 0;
};

// "/a/b" -> a, b.  False for what no route looks like: empty segments (a final
// slash makes one), too many of them.
bool Split(std::string_view path, Segments* out) {
  if (path.empty() || path[0] != '/') return false;
  path.remove_prefix(1);
  for (;;) {
    const size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    if (segment.empty() || out->count == kMaxSegments) return false;
    out->at[out->count++] = segment;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

int Hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The protocol's versions are decimal; 007 and 7 are the same.  A name is a
// label of ours.
bool NormalizeVersion(std::string_view text, std::string* out) {
  if (text.find_first_not_of("0123456789") != std::string_view::npos) {
    out->assign(text);
    return IsValidName(text);
  }
  if (text.empty()) return false;
  const size_t zeros = text.find_first_not_of('0');
  out->assign(zeros == std::string_view::npos ? "0" : text.substr(zeros));
  return true;
}

void Allow(std::string_view method, Route* route) {
  if (!route->allow.empty()) route->allow += ", ";
  route->allow += method;
  if (method == "GET") route->allow += ", HEAD";
}

// What a known path takes, and what that is.
struct Choice {
  std::string_view path;  // or its last part
  std::string_view method;
  Target target;
};

// Settles the route where `choices` have rows for the path: by its method, or
// as one that does not take it.
void Settle(std::span<const Choice> choices, std::string_view path, Method method, Route* route) {
  for (const Choice& choice : choices) {
    if (choice.path != path) continue;
    if (MethodName(method) == choice.method) {
      route->target = choice.target;
      route->allow.clear();
      return;
    }
    Allow(choice.method, route);
  }
  if (route->allow.empty()) return;
  route->target = method == Method::kOptions ? Target::kOptions : Target::kMethodNotAllowed;
}

constexpr Choice kServerPaths[] = {
    {"/v2", "GET", Target::kServerMetadata},
    {"/v2/health/live", "GET", Target::kLive},
    {"/v2/health/ready", "GET", Target::kReady},
    {"/v2/models", "GET", Target::kModelList},
    {"/v2/models/stats", "GET", Target::kStatistics},
    {"/v2/trace/setting", "GET", Target::kTraceSetting},
    {"/v2/trace/setting", "POST", Target::kTraceSetting},
    {"/v2/logging", "GET", Target::kLogging},
    {"/v2/logging", "POST", Target::kLogging},
};

// Behind /v2/models/{m}[/versions/{v}].
constexpr Choice kModelPaths[] = {
    {"", "GET", Target::kModelMetadata},
    {"infer", "POST", Target::kInfer},
    {"config", "GET", Target::kModelConfig},
    {"ready", "GET", Target::kModelReady},
    {"stats", "GET", Target::kStatistics},
    {"generate", "POST", Target::kGenerate},
    {"generate_stream", "POST", Target::kGenerateStream},
};

// Behind /v2/models/{m}/trace: settings are a model's, not a version's.
constexpr Choice kTracePaths[] = {
    {"setting", "GET", Target::kTraceSetting},
    {"setting", "POST", Target::kTraceSetting},
};

// /v2/models/{m}[/versions/{v}][/…]
void FindModelRoute(const Segments& s, Method method, Route* route) {
  if (!PercentDecode(s.at[2], &route->name)) {
    route->target = Target::kBadPath;
    return;
  }
  size_t next = 3;
  if (s.count >= 5 && s.at[3] == "versions") {
    if (!NormalizeVersion(s.at[4], &route->version)) return;
    next = 5;
  }
  if (s.count == 5 && s.at[3] == "trace") return Settle(kTracePaths, s.at[4], method, route);
  if (s.count > next + 1) return;
  Settle(kModelPaths, s.count == next ? std::string_view() : s.at[next], method, route);
}

// Behind /v2/systemsharedmemory[/region/{r}], then the same of a GPU's.
constexpr Choice kRegionPaths[] = {
    {"status", "GET", Target::kRegionStatus},
    {"register", "POST", Target::kRegionRegister},
    {"unregister", "POST", Target::kRegionUnregister},
};
constexpr Choice kCudaPaths[] = {
    {"status", "GET", Target::kCudaStatus},
    {"register", "POST", Target::kCudaRegister},
    {"unregister", "POST", Target::kCudaUnregister},
};

// /v2/{system|cuda}sharedmemory[/region/{r}]/{status|register|unregister}
void FindRegionRoute(const Segments& s, std::span<const Choice> paths, Method method,
                     Route* route) {
  size_t next = 2;
  if (s.count == 5 && s.at[2] == "region") {
    if (!PercentDecode(s.at[3], &route->name)) {
      route->target = Target::kBadPath;
      return;
    }
    next = 4;
  }
  if (s.count != next + 1) return;
  if (s.at[next] == "register" && next != 4) return;  // one, never all
  Settle(paths, s.at[next], method, route);
}

constexpr Choice kRepositoryPaths[] = {
    {"index", "POST", Target::kRepositoryIndex},
    {"load", "POST", Target::kRepositoryLoad},
    {"unload", "POST", Target::kRepositoryUnload},
};

// /v2/repository[/{repo}]/index, /v2/repository[/{repo}]/models/{m}/load or unload
void FindRepositoryRoute(const Segments& s, Method method, Route* route) {
  const bool index = s.at[s.count - 1] == "index";
  const size_t rest = index ? 1 : 3;  // behind the repository's name
  if (s.count != 2 + rest && s.count != 3 + rest) return;
  const size_t next = s.count - rest;
  if (!index && s.at[next] != "models") return;
  const bool decoded = (next == 2 || PercentDecode(s.at[2], &route->repository)) &&
                       (index || PercentDecode(s.at[next + 1], &route->name));
  if (!decoded) {
    route->target = Target::kBadPath;
    return;
  }
  Settle(kRepositoryPaths, s.at[s.count - 1], method, route);
}

void FindInferenceRoute(std::string_view path, const Segments& s, Method method, Route* route) {
  Settle(kServerPaths, path, method, route);
  if (route->target != Target::kUnknownPath) return;
  if (s.count >= 3 && s.at[1] == "models") FindModelRoute(s, method, route);
  if (s.count >= 3 && s.at[1] == "repository") FindRepositoryRoute(s, method, route);
  if (s.at[1] == "systemsharedmemory") FindRegionRoute(s, kRegionPaths, method, route);
  if (s.at[1] == "cudasharedmemory") FindRegionRoute(s, kCudaPaths, method, route);
}

bool MatchesPattern(const Segments& s, std::string_view pattern) {
  Segments p;
  if (!Split(pattern, &p) || p.count != s.count) return false;
  for (size_t i = 0; i < s.count; ++i) {
    if (p.at[i].front() != '{' && p.at[i] != s.at[i]) return false;
  }
  return true;
}

bool TakeParameters(const Segments& s, std::string_view pattern, Route* route) {
  Segments p;
  Split(pattern, &p);
  for (size_t i = 0; i < s.count; ++i) {
    if (p.at[i] == "{name}" && !PercentDecode(s.at[i], &route->name)) return false;
    if (p.at[i] == "{version}" && !PercentDecode(s.at[i], &route->version)) return false;
  }
  return true;
}

void FindOperation(const Segments& s, Method method, Route* route) {
  for (const operations::OperationRow& row : operations::Operations()) {
    if (!MatchesPattern(s, row.http_path)) continue;
    if (row.http_method != MethodName(method)) {
      Allow(row.http_method, route);
      continue;
    }
    route->operation = &row;
    route->target = TakeParameters(s, row.http_path, route) ? Target::kOperation : Target::kBadPath;
    return;
  }
  if (route->allow.empty()) return;
  route->target = method == Method::kOptions ? Target::kOptions : Target::kMethodNotAllowed;
}

// Why a parameter is none of the operation's.
Status NoParameter(const operations::OperationRow& row, std::string_view name) {
  std::vector<std::string_view> known;
  for (const operations::Field& field : row.fields) {
    if (field.in == operations::In::kQuery) known.push_back(field.name);
  }
  if (row.can_wait()) known.push_back("wait");
  std::string list;
  for (const std::string_view one : known) {
    list.append(list.empty() ? " (known: " : ", ").append(one);
  }
  return InvalidArgument("there is no parameter " + Quoted(name) + DidYouMean(name, known) +
                         (known.empty() ? ": this takes none in its query" : list + ")"));
}

// True unless the query has wait=false (or 0).
bool Waits(std::string_view query) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    if (pair == "wait=false" || pair == "wait=0") return false;
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return true;
}

// "http://host/path" as proxies send it -> "/path".
std::string_view OriginForm(std::string_view target) {
  if (target.substr(0, 7) != "http://") return target;
  const size_t slash = target.find('/', 7);
  return slash == std::string_view::npos ? "/" : target.substr(slash);
}

}  // namespace

Topic TopicOf(Target target) {
  switch (target) {
    case Target::kServerMetadata:
    case Target::kLive:
    case Target::kReady:
    case Target::kModelList:
    case Target::kModelReady:
      return Topic::kServer;
    case Target::kModelMetadata:
    case Target::kModelConfig:
      return Topic::kModel;
    case Target::kInfer:
      return Topic::kInfer;
    case Target::kGenerate:
    case Target::kGenerateStream:
      return Topic::kGenerate;
    case Target::kStatistics:
      return Topic::kStatistics;
    case Target::kRegionStatus:
    case Target::kRegionRegister:
    case Target::kRegionUnregister:
    case Target::kCudaStatus:
    case Target::kCudaRegister:
    case Target::kCudaUnregister:
      return Topic::kRegions;
    case Target::kRepositoryIndex:
    case Target::kRepositoryLoad:
    case Target::kRepositoryUnload:
      return Topic::kRepository;
    case Target::kLogging:
      return Topic::kLogging;
    case Target::kTraceSetting:
      return Topic::kTrace;
    case Target::kOperation:
      return Topic::kManagement;
    case Target::kOptions:
    case Target::kUnknownPath:
    case Target::kMethodNotAllowed:
    case Target::kBadPath:
      break;
  }
  return Topic::kNone;
}

metrics::RouteClass RouteClassOf(Target target) {
  switch (target) {
    case Target::kInfer:
    case Target::kGenerate:
    case Target::kGenerateStream:
      return metrics::RouteClass::kInfer;
    case Target::kServerMetadata:
    case Target::kModelList:
    case Target::kModelMetadata:
    case Target::kModelConfig:
    case Target::kStatistics:
      return metrics::RouteClass::kMetadata;
    case Target::kLive:
    case Target::kReady:
    case Target::kModelReady:
      return metrics::RouteClass::kHealth;
    case Target::kRegionStatus:
    case Target::kRegionRegister:
    case Target::kRegionUnregister:
    case Target::kCudaStatus:
    case Target::kCudaRegister:
    case Target::kCudaUnregister:
    case Target::kRepositoryIndex:
    case Target::kRepositoryLoad:
    case Target::kRepositoryUnload:
    case Target::kLogging:
    case Target::kTraceSetting:
    case Target::kOperation:
      return metrics::RouteClass::kManagement;
    case Target::kOptions:
    case Target::kUnknownPath:
    case Target::kMethodNotAllowed:
    case Target::kBadPath:
      break;
  }
  return metrics::RouteClass::kUnknown;
}

Status ReadQuery(const operations::OperationRow& row, std::string_view query,
                 boost::json::object* members) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    if (name == "wait") {  // of what is done at once it is true either way
      const std::string_view value = pair.substr(std::min(name.size() + 1, pair.size()));
      if (value == "true" || value == "1" || value == "false" || value == "0") continue;
      return InvalidArgument("parameter 'wait' is true or false, not " + Quoted(value));
    }
    const operations::Field* field = operations::FindField(row, name);
    if (field == nullptr || field->in != operations::In::kQuery) return NoParameter(row, name);
    if (members->contains(boost::json::string_view(name.data(), name.size()))) {
      return InvalidArgument("parameter '" + std::string(name) + "' is given twice");
    }
    std::string text;
    if (equals != std::string_view::npos && !PercentDecode(pair.substr(equals + 1), &text)) {
      return InvalidArgument("parameter '" + std::string(field->name) +
                             "' is not percent-encoded text");
    }
    StatusOr<boost::json::value> value = operations::ReadParameter(field->type, text);
    if (!value.ok()) {
      return Annotate(value.status(), "parameter '" + std::string(field->name) + "'");
    }
    (*members)[boost::json::string_view(field->name.data(), field->name.size())] =
        *std::move(value);
  }
  return OkStatus();
}

std::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
      return "GET";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kDelete:
      return "DELETE";
    case Method::kOptions:
      return "OPTIONS";
    case Method::kOther:
      break;
  }
  return "";
}

bool PercentDecode(std::string_view text, std::string* out) {
  out->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = Hex(text[i + 1]);
      const int low = Hex(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
    *out += c;
  }
  return true;
}

void FindRoute(Method method, std::string_view target, Route* route) {
  route->target = Target::kUnknownPath;
  route->method = method;
  route->management = false;
  route->head_only = method == Method::kHead;
  route->wait = true;
  route->name.clear();
  route->version.clear();
  route->operation = nullptr;
  route->allow.clear();
  route->query.clear();
  route->repository.clear();

  if (target == "*" && method == Method::kOptions) {
    route->target = Target::kOptions;
    route->allow = "GET, HEAD, POST, DELETE, OPTIONS";
    return;
  }
  target = OriginForm(target);
  const size_t question = target.find('?');
  std::string_view path = target.substr(0, question);
  if (path == "/v2/") path = "/v2";
  route->management = path.substr(0, 4) == "/api";
  Segments segments;
  if (!Split(path, &segments)) return;
  if (segments.at[0] == "v2") {
    FindInferenceRoute(path, segments, method, route);
  } else if (segments.at[0] == "api") {
    if (question != std::string_view::npos) route->query = target.substr(question + 1);
    route->wait = Waits(route->query);
    FindOperation(segments, method, route);
  }
}

}  // namespace mlos::http
