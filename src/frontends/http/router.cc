// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/router.h"

#include <algorithm>
#include <array>
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

// The path is known and takes one method only.
void Settle(Target target, std::string_view wanted, Method method, Route* route) {
  if (MethodName(method) == wanted) {
    route->target = target;
    return;
  }
  Allow(wanted, route);
  route->target = method == Method::kOptions ? Target::kOptions : Target::kMethodNotAllowed;
}

// /v2/models/{m}[/versions/{v}][/ready|/infer]
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
  if (s.count == next) return Settle(Target::kModelMetadata, "GET", method, route);
  if (s.count != next + 1) return;
  if (s.at[next] == "infer") return Settle(Target::kInfer, "POST", method, route);
  if (s.at[next] == "ready") return Settle(Target::kModelReady, "GET", method, route);
}

// /v2/{system|cuda}sharedmemory[/region/{r}]/{status|register|unregister}
void FindRegionRoute(const Segments& s, bool cuda, Method method, Route* route) {
  size_t next = 2;
  if (s.count == 5 && s.at[2] == "region") {
    if (!PercentDecode(s.at[3], &route->name)) {
      route->target = Target::kBadPath;
      return;
    }
    next = 4;
  }
  if (s.count != next + 1) return;
  const std::string_view action = s.at[next];
  if (action == "status") {
    Settle(cuda ? Target::kCudaStatus : Target::kRegionStatus, "GET", method, route);
  } else if (action == "register" && next == 4) {
    Settle(cuda ? Target::kCudaRegister : Target::kRegionRegister, "POST", method, route);
  } else if (action == "unregister") {
    Settle(cuda ? Target::kCudaUnregister : Target::kRegionUnregister, "POST", method, route);
  }
}

void FindInferenceRoute(const Segments& s, Method method, Route* route) {
  if (s.count == 1) return Settle(Target::kServerMetadata, "GET", method, route);
  if (s.count >= 3 && s.at[1] == "models") return FindModelRoute(s, method, route);
  if (s.at[1] == "systemsharedmemory") return FindRegionRoute(s, false, method, route);
  if (s.at[1] == "cudasharedmemory") return FindRegionRoute(s, true, method, route);
  if (s.count == 3 && s.at[1] == "health") {
    if (s.at[2] == "live") return Settle(Target::kLive, "GET", method, route);
    if (s.at[2] == "ready") return Settle(Target::kReady, "GET", method, route);
  }
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
  route->management = false;
  route->head_only = method == Method::kHead;
  route->wait = true;
  route->name.clear();
  route->version.clear();
  route->operation = nullptr;
  route->allow.clear();
  route->query.clear();

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
    FindInferenceRoute(segments, method, route);
  } else if (segments.at[0] == "api") {
    if (question != std::string_view::npos) route->query = target.substr(question + 1);
    route->wait = Waits(route->query);
    FindOperation(segments, method, route);
  }
}

}  // namespace mlos::http
