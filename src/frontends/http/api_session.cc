// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/api_session.h"

#include <arpa/inet.h>
#include <strings.h>

#include <array>

#include "base/clock.h"
#include "frontends/http/handler.h"
#include "frontends/http/infer_handler.h"
#include "frontends/http/router.h"

namespace mlos::http {
namespace {

// Bodies of requests that take none are read, up to this, and ignored.
constexpr uint64_t kIgnoredBodyBytes = 64 << 10;
// Lines about requests in the log, a second; a broken model must not fill it.
constexpr uint32_t kRequestLinesPerSecond = 100;
constexpr size_t kLoggedTargetBytes = 256;

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

class ApiSession final : public Session {
 public:
  ApiSession(ApiContext& context, Exchange& exchange) : context_(context), exchange_(exchange) {}

  uint64_t OnHead(const RequestHead& head) override {
    FindRoute(head.method, head.target, &route_);
    json_length_ = head.json_length;
    bad_json_length_ = head.bad_json_length;
    answer_coding_ = compress::ChooseCoding(head.accept_encoding);
    cross_origin_ = IsCrossOrigin(head);
    const bool traced = context_.tracer != nullptr && context_.tracer->enabled();
    request_.Begin(head.request_id, head.traceparent, head.tracestate, context_.ids,
                   traced ? NowNanos() : 0);
    method_ = head.method;
    if (LogEnabled(LogLevel::kDebug)) {
      target_.assign(head.target.substr(0, kLoggedTargetBytes));
    } else {
      target_.clear();
    }
    refused_ =
        context_.draining && route_.target != Target::kLive && route_.target != Target::kReady;
    compressed_ =
        head.coding == compress::Coding::kGzip || head.coding == compress::Coding::kDeflate;
    encoded_ = head.coding != compress::Coding::kIdentity && !takes_compressed();
    if (refused_) return 0;
    const uint64_t limit = BodyLimit();
    return limit != 0 ? limit : kIgnoredBodyBytes;
  }

  bool takes_compressed() const override {
    return compressed_ && route_.target == Target::kInfer && !refused_;
  }

  bool TurnAway(Response& response) override {
    const Topic topic = TopicOf(route_.target);
    if (topic != Topic::kInfer && topic != Topic::kGenerate) return false;
    if (refused_ || cross_origin_ || encoded_) return false;  // which is said as ever
    const Status room = frontend::Admit(context_.calls, route_.name, route_.version);
    if (!room.ok()) response.Error(room);
    return !room.ok();
  }

  void RefuseBody(Response& response) override {
    if (refused_) return ShuttingDown(response);
    if (const uint64_t limit = BodyLimit(); limit != 0) {
      const bool infer = TopicOf(route_.target) == Topic::kInfer;
      return Fail(response, 413,
                  InvalidArgument("the body is larger than the " + std::to_string(limit) +
                                  " bytes of --http-max-" + (infer ? "body" : "management-body") +
                                  ", or in more pieces than the " +
                                  std::to_string(context_.options.max_chunks) + " allowed"));
    }
    if (!FailedRoute(response))
      Fail(response, 413, InvalidArgument("the body is too large for this"));
  }

  void OnBody(const Body& body) override {
    Response& response = exchange_.response();
    if (!FailedRoute(response) && !Handle(body, response)) return;
    exchange_.Send();
  }

  metrics::RouteClass route_class() const override { return RouteClassOf(route_.target); }
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
  // 0: it takes none.
  uint64_t BodyLimit() const {
    switch (TopicOf(route_.target)) {
      case Topic::kInfer:
        return context_.options.max_body_bytes;
      // What is read into values, which take many times the text's memory.
      case Topic::kGenerate:
      case Topic::kRepository:
      case Topic::kLogging:
      case Topic::kTrace:
      case Topic::kManagement:
        return context_.options.max_management_body_bytes;
      case Topic::kNone:
      case Topic::kServer:
      case Topic::kModel:
      case Topic::kRegions:
      case Topic::kStatistics:
        break;
    }
    return 0;
  }

  // True: the response is complete.  False: Send comes later, or has come.
  bool Handle(const Body& body, Response& response) {
    const Topic topic = TopicOf(route_.target);
    if (topic == Topic::kInfer) return Infer(body, response);
    if (topic == Topic::kNone) {  // OPTIONS: FailedRoute has seen the others
      response.allow = route_.allow;
      return true;
    }
    std::unique_ptr<Handler>& handler = handlers_[static_cast<size_t>(topic)];
    if (handler == nullptr) handler = MakeHandler(topic, context_, exchange_, request_);
    return handler->Handle(route_, body, response);
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
      infer_ = std::make_unique<InferHandler>(context_, exchange_, request_);
    }
    infer_->Start(route_, body, json_length_, answer_coding_);
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

  void Release() {
    if (infer_ != nullptr) infer_->Release();
    for (const auto& handler : handlers_) {
      if (handler != nullptr) handler->Release();
    }
  }

  ApiContext& context_;
  Exchange& exchange_;
  Route route_;
  frontend::RequestContext request_;
  Method method_ = Method::kOther;
  std::string target_;  // only at level debug
  int64_t json_length_ = -1;
  bool bad_json_length_ = false;
  bool compressed_ = false;  // the body, in a way that is understood
  bool encoded_ = false;     // in one that is not, or not here
  compress::Coding answer_coding_ = compress::Coding::kIdentity;
  bool cross_origin_ = false;
  bool refused_ = false;  // it came when the server drained
  std::unique_ptr<InferHandler> infer_;
  std::array<std::unique_ptr<Handler>, kTopics> handlers_;
};

}  // namespace

Api::Api(EventLoop& loop, engine::Engine& engine, control::Control& control,
         const HttpOptions& options, metrics::HttpCounters& counters,
         frontend::RegionTable& regions, trace::Tracer* tracer)
    : context_{.loop = loop,
               .engine = engine,
               .control = control,
               .options = options,
               .counters = counters,
               .regions = regions,
               .tracer = tracer,
               .lines = LogLimit(kRequestLinesPerSecond)} {
  context_.decoder.set_regions(&regions, options.max_body_bytes);
}

std::unique_ptr<Session> Api::NewSession(Exchange& exchange) {
  return std::make_unique<ApiSession>(context_, exchange);
}

}  // namespace mlos::http
