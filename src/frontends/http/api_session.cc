// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/api_session.h"

#include <arpa/inet.h>
#include <strings.h>

#include <boost/json/serialize.hpp>
#include <optional>

#include "base/clock.h"
#include "base/json.h"
#include "frontends/common/infer_plan.h"
#include "frontends/http/infer_handler.h"
#include "frontends/http/json_text.h"
#include "frontends/http/metadata.h"
#include "frontends/http/region_routes.h"
#include "frontends/http/router.h"

namespace mlos::http {
namespace {

using frontend::Quote;

// Bodies of requests that take none are read, up to this, and ignored.
constexpr uint64_t kIgnoredBodyBytes = 64 << 10;
constexpr uint32_t kMaxManagementDepth = 32;
// Lines about requests in the log, a second; a broken model must not fill it.
constexpr uint32_t kRequestLinesPerSecond = 100;
constexpr size_t kLoggedTargetBytes = 256;

metrics::RouteClass ClassOf(Target target) {
  switch (target) {
    case Target::kInfer:
      return metrics::RouteClass::kInfer;
    case Target::kServerMetadata:
    case Target::kModelMetadata:
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

// "localhost" or an address, with or without a port.
bool IsAddress(std::string_view host) {
  if (!host.empty() && host.front() == '[') {
    const size_t end = host.find(']');
    return end != std::string_view::npos && (end + 1 == host.size() || host[end + 1] == ':');
  }
  const std::string name(host.substr(0, host.find(':')));
  in_addr ignored;
  return ::strcasecmp(name.c_str(), "localhost") == 0 ||
         ::inet_pton(AF_INET, name.c_str(), &ignored) == 1;
}

// A page on some other site must not be able to act through its visitor's
// browser: browsers name the page's site in Origin.  That it is the name this
// request was sent to says nothing where the site's owner can point that name
// at this machine, so only addresses count.
bool IsCrossOrigin(const RequestHead& head) {
  if (head.origin.empty() || head.method == Method::kGet || head.method == Method::kHead) {
    return false;
  }
  const size_t scheme = head.origin.find("://");
  return scheme == std::string_view::npos || head.origin.substr(scheme + 3) != head.host ||
         !IsAddress(head.host);
}

class ApiSession;

// GET /v2/models/{m}: waits for the model to be loaded where that is needed.
class MetadataCall final : public engine::Call {
 public:
  MetadataCall(ApiContext& context, Exchange& exchange) : context_(context), exchange_(exchange) {}

  void Start(std::string_view model, std::string_view version) {
    explicit_version_ = !version.empty();
    active_ = true;
    deadline_ns = NowNanos() + context_.options.default_deadline_ns;
    if (context_.engine.Resolve(*this, model, version)) OnProgress();
  }

  void OnProgress() override {
    Response& response = exchange_.response();
    if (status.ok()) {
      AppendModelMetadata(*route, *context_.engine.routes(), explicit_version_, &response.body);
    } else {
      response.Error(status);
    }
    Release();
    exchange_.Send();
  }

  void Release() {
    if (!std::exchange(active_, false)) return;
    context_.engine.Finish(*this);
  }

 private:
  ApiContext& context_;
  Exchange& exchange_;
  bool explicit_version_ = false;
  bool active_ = false;
};

class ApiSession final : public Session {
 public:
  ApiSession(ApiContext& context, Exchange& exchange)
      : context_(context), exchange_(exchange), self_(std::make_shared<ApiSession*>(this)) {}

  uint64_t OnHead(const RequestHead& head) override {
    FindRoute(head.method, head.target, &route_);
    json_length_ = head.json_length;
    bad_json_length_ = head.bad_json_length;
    answer_coding_ = frontend::ChooseCoding(head.accept_encoding);
    cross_origin_ = IsCrossOrigin(head);
    request_.Begin(head.request_id, head.traceparent, head.tracestate, context_.ids);
    method_ = head.method;
    if (LogEnabled(LogLevel::kDebug)) {
      target_.assign(head.target.substr(0, kLoggedTargetBytes));
    } else {
      target_.clear();
    }
    refused_ =
        context_.draining && route_.target != Target::kLive && route_.target != Target::kReady;
    compressed_ =
        head.coding == frontend::Coding::kGzip || head.coding == frontend::Coding::kDeflate;
    encoded_ = head.coding != frontend::Coding::kIdentity && !takes_compressed();
    if (refused_) return 0;
    if (route_.target == Target::kInfer) return context_.options.max_body_bytes;
    if (route_.target == Target::kOperation) return context_.options.max_management_body_bytes;
    return kIgnoredBodyBytes;
  }

  bool takes_compressed() const override {
    return compressed_ && route_.target == Target::kInfer && !refused_;
  }

  void RefuseBody(Response& response) override {
    if (refused_) return ShuttingDown(response);
    if (route_.target == Target::kInfer || route_.target == Target::kOperation) {
      const uint64_t limit = route_.target == Target::kInfer
                                 ? context_.options.max_body_bytes
                                 : context_.options.max_management_body_bytes;
      return Fail(
          response, 413,
          InvalidArgument("the body is larger than the " + std::to_string(limit) +
                          " bytes, or in more pieces than the " +
                          std::to_string(context_.options.max_chunks) + ", that are allowed"));
    }
    if (!FailedRoute(response))
      Fail(response, 413, InvalidArgument("the body is too large for this"));
  }

  void OnBody(const Body& body) override {
    Response& response = exchange_.response();
    if (!FailedRoute(response) && !Handle(body, response)) return;
    exchange_.Send();
  }

  metrics::RouteClass route_class() const override { return ClassOf(route_.target); }
  const frontend::RequestContext* context() const override { return &request_; }

  // Failures of our own, and at level debug everything.  Client and log name
  // the request by the same id.
  void Answering(const Response& response, uint64_t since_ns) override {
    const bool failed = response.status >= 500;
    const LogLevel level = failed ? LogLevel::kWarning : LogLevel::kDebug;
    if (!LogEnabled(level)) return;
    const uint64_t now = NowNanos();
    uint64_t held_back = 0;
    const bool allowed = context_.lines.Allow(now, &held_back);
    if (held_back > 0) {
      Log(LogLevel::kWarning, "{} lines about requests were held back: there were too many",
          held_back);
    }
    if (!allowed) {
      context_.counters.lines_dropped.Add();
      return;
    }
    const bool management = route_.operation != nullptr;
    const std::string status = std::to_string(response.status);
    const std::string_view route = metrics::RouteClassName(route_class());
    Log(level,
        {{"request_id", request_.request_id()},
         {"trace_id", request_.trace_id()},
         {"span_id", request_.span_id()},
         {"tracestate", request_.tracestate()},
         {"route", route},
         {"operation", management ? route_.operation->name : std::string_view()},
         {management ? "name" : "model", route_.name},
         {"version", route_.version},
         {"target", target_},
         {"status", status}},
        "{} {} answered {} after {} µs{}{}", MethodName(method_), route, status,
        since_ns == 0 ? 0 : (now - since_ns) / kNanosPerMicro, response.failure.empty() ? "" : ": ",
        response.failure);
  }

  void Sent() override { Release(); }
  void Abandon() override { Release(); }
  bool head_only() const override { return route_.head_only; }

 private:
  // True: the response is complete.  False: Send comes later, or has come.
  bool Handle(const Body& body, Response& response) {
    switch (route_.target) {
      case Target::kInfer:
        return Infer(body, response);
      case Target::kModelMetadata:
        if (!metadata_) metadata_.emplace(context_, exchange_);
        metadata_->Start(route_.name, route_.version);
        return false;
      case Target::kOperation:
        return Operate(body, response);
      case Target::kServerMetadata:
        AppendServerMetadata(context_.options, {.client_regions = context_.regions.allowed()},
                             &response.body);
        return true;
      case Target::kLive:
        response.body.Append("{\"live\":true}");
        return true;
      case Target::kReady:
        ServerReady(response);
        return true;
      case Target::kModelReady:
        ModelReady(response);
        return true;
      case Target::kOptions:
        response.allow = route_.allow;
        return true;
      case Target::kRegionStatus:
      case Target::kRegionRegister:
      case Target::kRegionUnregister:
      case Target::kCudaStatus:
      case Target::kCudaRegister:
      case Target::kCudaUnregister:
        AnswerRegions(route_.target, route_.name, context_.regions, body, &response);
        return true;
      case Target::kUnknownPath:
      case Target::kMethodNotAllowed:
      case Target::kBadPath:
        break;
    }
    return true;
  }

  // The request is refused for what its head says.
  bool FailedRoute(Response& response) {
    if (refused_) {
      ShuttingDown(response);
    } else if (route_.target == Target::kUnknownPath) {
      Fail(response, 404, NotFound("Not Found"),
           "GET /api/v1/openapi.json lists every route; one version of an object is at "
           "…/NAME/versions/VERSION");
    } else if (route_.target == Target::kMethodNotAllowed) {
      Fail(response, 405,
           MakeStatus(StatusCode::kUnimplemented, "this path takes " + route_.allow));
      response.allow = route_.allow;
    } else if (route_.target == Target::kBadPath) {
      Fail(response, 400, InvalidArgument("a name in the path is not percent-encoded text"));
    } else if (cross_origin_) {
      Fail(response, 403,
           MakeStatus(StatusCode::kPermissionDenied,
                      "requests from pages of other sites are refused"));
    } else if (encoded_) {
      const bool infer = route_.target == Target::kInfer;
      Fail(response, 415,
           InvalidArgument(infer
                               ? "this Content-Encoding is not supported: gzip and deflate are"
                               : "Content-Encoding is not supported here: send the body as it is"));
      response.extra =
          infer ? "Accept-Encoding: gzip, deflate\r\n" : "Accept-Encoding: identity\r\n";
    } else {
      return false;
    }
    return true;
  }

  // An error in the form of the surface, with a status that the canonical
  // code does not have.
  void Fail(Response& response, int http_status, const Status& error, std::string_view hint = {}) {
    if (route_.management) {
      response.ManagementError(error, hint);
      response.status = http_status;
    } else {
      response.Error(http_status, Message(error));
    }
  }

  bool Infer(const Body& body, Response& response) {
    if (bad_json_length_) {
      Fail(response, 400,
           InvalidArgument("Inference-Header-Content-Length is not an integer from 0 to the body's "
                           "size"));
      return true;
    }
    if (!infer_) {
      infer_ = std::make_unique<InferHandler>(context_.engine, context_.decoder,
                                              context_.classifier, context_.options, exchange_);
    }
    infer_->request_id = request_.request_id();
    infer_->answer_coding = answer_coding_;
    infer_->Start(route_.name, route_.version, body, json_length_);
    return false;
  }

  void ShuttingDown(Response& response) {
    const Status status = Unavailable("the server is shutting down");
    if (route_.management) {
      response.ManagementError(status, "send it to another server, or again when this one is back");
    } else {
      response.Error(status);
    }
  }

  void ServerReady(Response& response) {
    if (context_.leaving) return ShuttingDown(response);
    const auto routes = context_.engine.routes();
    if (routes->ready) {
      response.body.Append("{\"ready\":true}");
      return;
    }
    response.status = 400;
    response.body.Append("{\"ready\":false,\"error\":");
    AppendJsonString("not all that should be loaded is: " + routes->not_ready, &response.body);
    response.body.Append('}');
  }

  void ModelReady(Response& response) {
    const engine::RoutePin model = context_.engine.routes()->Find(route_.name, route_.version);
    if (model == nullptr) {
      std::string text = "there is no model " + Quote(route_.name);
      if (!route_.version.empty()) text += " of version " + Quote(route_.version);
      return response.Error(NotFound(text));
    }
    const bool ready = model->state == engine::ModelState::kReady;
    if (!ready) response.status = route_.version.empty() ? 400 : 503;
    response.body.Append("{\"name\":");
    AppendJsonString(model->name, &response.body);
    response.body.Append(ready ? ",\"ready\":true}" : ",\"ready\":false,\"error\":");
    if (ready) return;
    std::string text = "model " + Quote(model->name) + " version " + model->version + " is " +
                       std::string(engine::ModelStateName(model->state));
    if (!model->reason.empty()) text += ": " + model->reason;
    AppendJsonString(text, &response.body);
    response.body.Append('}');
  }

  // -------------------------------------------------------------- management
  bool Operate(const Body& body, Response& response) {
    control::Operation operation;
    operation.kind = route_.operation->kind;
    operation.name = route_.name;
    operation.version = route_.version;
    operation.wait = route_.wait || !route_.operation->can_wait();
    if (Status parsed = ParseBody(body, &operation.body); !parsed.ok()) {
      response.ManagementError(parsed, "send a JSON object");
      return true;
    }
    const Status query = ReadQuery(*route_.operation, route_.query, &operation.body);
    if (!query.ok()) {
      response.ManagementError(query, {});
      return true;
    }
    // The answer comes on another thread, when this connection may be gone.
    operating_ = ++operation_number_;
    context_.control.Apply(
        std::move(operation), [&loop = context_.loop, session = std::weak_ptr<ApiSession*>(self_),
                               number = operating_](control::Outcome outcome) {
          // A list of a thousand models is put into words here, and
          // taken apart: the front loop has requests to serve.
          std::string text;
          if (outcome.status.ok()) text = boost::json::serialize(outcome.body);
          outcome.body = nullptr;
          loop.Post([session, number, outcome = std::move(outcome), text = std::move(text)] {
            const auto alive = session.lock();
            if (alive != nullptr) (*alive)->OnOutcome(number, outcome, text);
          });
        });
    return false;
  }

  Status ParseBody(const Body& body, boost::json::object* object) {
    if (!route_.operation->takes_body() || body.size == 0) {
      if (route_.operation->takes_body()) return InvalidArgument("the body is empty");
      return OkStatus();
    }
    StatusOr<boost::json::value> value = ParseJson({body.data, body.size}, kMaxManagementDepth);
    if (!value.ok()) return Annotate(value.status(), "the body is not valid JSON");
    if (!value->is_object()) return InvalidArgument("the body is not a JSON object");
    *object = std::move(value->get_object());
    return OkStatus();
  }

  // `text`: the outcome's body.
  void OnOutcome(uint64_t number, const control::Outcome& outcome, std::string_view text) {
    if (operating_ != number) return;  // abandoned
    operating_ = 0;
    Response& response = exchange_.response();
    if (outcome.status.ok()) {
      response.status = outcome.created ? 201 : outcome.accepted ? 202 : 200;
      response.body.Append(text);
    } else {
      response.ManagementError(outcome.status, outcome.hint);
    }
    exchange_.Send();
  }

  void Release() {
    operating_ = 0;
    if (infer_ != nullptr) infer_->Release();
    if (metadata_) metadata_->Release();
  }

  ApiContext& context_;
  Exchange& exchange_;
  std::shared_ptr<ApiSession*> self_;  // expires with the session
  Route route_;
  frontend::RequestContext request_;
  Method method_ = Method::kOther;
  std::string target_;  // only at level debug
  int64_t json_length_ = -1;
  bool bad_json_length_ = false;
  bool compressed_ = false;  // the body, in a way that is understood
  bool encoded_ = false;     // in one that is not, or not here
  frontend::Coding answer_coding_ = frontend::Coding::kIdentity;
  bool cross_origin_ = false;
  bool refused_ = false;  // it came when the server drained
  uint64_t operation_number_ = 0;
  uint64_t operating_ = 0;  // 0: no operation is awaited
  std::unique_ptr<InferHandler> infer_;
  std::optional<MetadataCall> metadata_;
};

}  // namespace

Api::Api(EventLoop& loop, engine::Engine& engine, control::Control& control,
         const HttpOptions& options, metrics::HttpCounters& counters,
         frontend::RegionTable& regions)
    : context_{.loop = loop,
               .engine = engine,
               .control = control,
               .options = options,
               .counters = counters,
               .regions = regions,
               .lines = LogLimit(kRequestLinesPerSecond)} {
  context_.decoder.set_regions(&regions, options.max_body_bytes);
}

std::unique_ptr<Session> Api::NewSession(Exchange& exchange) {
  return std::make_unique<ApiSession>(context_, exchange);
}

}  // namespace mlos::http
