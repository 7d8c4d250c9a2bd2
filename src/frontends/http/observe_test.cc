// SPDX-License-Identifier: Apache-2.0
//
// What the server counts, the names of requests, and the page of the metrics
// listener, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "base/log.h"
#include "frontends/common/request_context.h"
#include "frontends/http/exchange.h"
#include "frontends/http/http_fakes.h"
#include "frontends/http/metrics_page.h"

namespace mlos::http {
namespace {

using metrics::RouteClass;
using testing::HasSubstr;

constexpr std::string_view kInfer =
    R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";
constexpr std::string_view kTwo =
    R"({"inputs":[{"name":"in","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]}]})";

class ObserveTest : public testing::Test {
 protected:
  ObserveTest() : client_(server_.address()) {}

  uint64_t Answers(RouteClass route, int status) const {
    return server_.server()
        .counters()
        .answers[static_cast<size_t>(route)][status - metrics::HttpCounters::kLeastStatus]
        .value();
  }
  // Of one model version; zeros where nothing was counted.
  metrics::InferStatistics Statistics(std::string_view model, std::string_view version = "1") {
    metrics::InferStatistics sum;
    for (const auto& counters : server_.engine().book()->Read()) {
      if (counters->model() == model && counters->version() == version) AddTo(*counters, &sum);
    }
    return sum;
  }
  uint64_t Requests(std::string_view model, StatusCode code) {
    uint64_t n = 0;
    for (const auto& counters : server_.engine().book()->Read()) {
      if (counters->model() != model) continue;
      n += counters->requests[0][static_cast<size_t>(code)].value();
    }
    return n;
  }

  mutable TestServer server_;
  TestClient client_;
};

TEST_F(ObserveTest, CountsAnswersByRouteAndStatus) {
  EXPECT_EQ(200, client_.Ask("POST", "/v2/models/id_FP32/infer", kInfer).status);
  EXPECT_EQ(404, client_.Ask("POST", "/v2/models/none/infer", kInfer).status);
  EXPECT_EQ(200, client_.Ask("GET", "/v2").status);
  EXPECT_EQ(200, client_.Ask("GET", "/v2/models/pair/ready").status);
  EXPECT_EQ(404, client_.Ask("GET", "/nothing").status);
  EXPECT_EQ(405, client_.Ask("PUT", "/v2").status);
  EXPECT_EQ(200, client_.Ask("GET", "/api/v1/status").status);
  client_.Send("BROKEN\r\n\r\n");
  EXPECT_EQ(400, client_.Read().status);
  EXPECT_EQ(1u, Answers(RouteClass::kInfer, 200));
  EXPECT_EQ(1u, Answers(RouteClass::kInfer, 404));
  EXPECT_EQ(1u, Answers(RouteClass::kMetadata, 200));
  EXPECT_EQ(1u, Answers(RouteClass::kHealth, 200));
  EXPECT_EQ(1u, Answers(RouteClass::kUnknown, 404));
  EXPECT_EQ(1u, Answers(RouteClass::kUnknown, 405));
  EXPECT_EQ(1u, Answers(RouteClass::kManagement, 200));
  EXPECT_EQ(1u, Answers(RouteClass::kNone, 400));
  const auto& counters = server_.server().counters();
  EXPECT_EQ(1u, counters.accepted.value());
  EXPECT_GT(counters.received_bytes.value(), 400u);
  EXPECT_GT(counters.sent_bytes.value(), 400u);
  client_.Close();
  EXPECT_TRUE(Eventually([&] { return counters.open.value() == 0; }));
}

TEST_F(ObserveTest, CountsInferencesByModelAndOutcome) {
  for (int i = 0; i < 3; ++i) client_.Ask("POST", "/v2/models/id_FP32/infer", kInfer);
  EXPECT_EQ(400, client_.Ask("POST", "/v2/models/id_FP32/infer", "{").status);
  EXPECT_EQ(400, client_.Ask("POST", "/v2/models/pair/infer", kInfer).status);
  EXPECT_EQ(503, client_.Ask("POST", "/v2/models/fail_UNAVAILABLE/infer", kInfer).status);
  EXPECT_EQ(404, client_.Ask("POST", "/v2/models/none/infer", kInfer).status);
  EXPECT_EQ(404, client_.Ask("POST", "/v2/models/none/infer", "{").status);
  EXPECT_EQ(200, client_.Ask("POST", "/v2/models/batch/infer", kTwo).status);
  EXPECT_EQ(3u, Requests("id_FP32", StatusCode::kOk));
  EXPECT_EQ(1u, Requests("id_FP32", StatusCode::kInvalidArgument));
  EXPECT_EQ(1u, Requests("pair", StatusCode::kInvalidArgument));
  EXPECT_EQ(1u, Requests("fail_UNAVAILABLE", StatusCode::kUnavailable));
  EXPECT_EQ(2u, server_.engine().book()->Unknown(metrics::Protocol::kHttp,
                                                 static_cast<size_t>(StatusCode::kNotFound)));
  EXPECT_EQ(3u, Statistics("id_FP32").success.count);
  EXPECT_EQ(1u, Statistics("id_FP32").fail.count);
  EXPECT_EQ(1u, Statistics("batch").success.count);
  EXPECT_EQ(2u, Statistics("batch").inference_count);
  EXPECT_EQ(1u, Statistics("batch").execution_count);
}

TEST_F(ObserveTest, AClientThatLeavesIsCountedOnceAsCancelled) {
  client_.Send("POST /v2/models/hang/infer HTTP/1.1\r\nHost: t\r\nContent-Length: " +
               std::to_string(kInfer.size()) + "\r\n\r\n" + std::string(kInfer));
  ASSERT_TRUE(Eventually([&] { return server_.engine().submitted == 1; }));
  client_.Close();
  EXPECT_TRUE(Eventually([&] { return Requests("hang", StatusCode::kCancelled) == 1; }));
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
  EXPECT_EQ(1u, Requests("hang", StatusCode::kCancelled));
  EXPECT_EQ(0u, Requests("hang", StatusCode::kOk));
}

TEST_F(ObserveTest, AnswersNameTheRequest) {
  const Reply own = client_.Ask("GET", "/v2/health/live");
  EXPECT_TRUE(frontend::IsRequestId(own.fields.at("x-request-id")));
  EXPECT_EQ(0u, own.fields.count("traceparent"));
  const Reply second = client_.Ask("GET", "/v2/health/live");
  EXPECT_NE(own.fields.at("x-request-id"), second.fields.at("x-request-id"));

  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const Reply given = client_.Ask("POST", "/v2/models/id_FP32/infer", kInfer,
                                  "x-Request-ID: job-17\r\nTraceParent: " + trace + "\r\n");
  EXPECT_EQ("job-17", given.fields.at("x-request-id"));
  EXPECT_EQ(trace.substr(0, 36), given.fields.at("traceparent").substr(0, 36));
  EXPECT_NE(trace, given.fields.at("traceparent"));

  // Also with an error, and where the body is refused for its size.
  EXPECT_EQ("e1",
            client_.Ask("GET", "/nothing", "", "X-Request-Id: e1\r\n").fields.at("x-request-id"));
  const Reply twice = client_.Ask("GET", "/v2/health/live", "",
                                  "X-Request-Id: a\r\nX-Request-Id: b\r\ntraceparent: " + trace +
                                      "\r\ntraceparent: " + trace + "\r\n");
  EXPECT_EQ(16u, twice.fields.at("x-request-id").size());
  EXPECT_EQ(0u, twice.fields.count("traceparent"));
  client_.Send(
      "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: t\r\nX-Request-Id: big\r\n"
      "Content-Length: 99999999999\r\n\r\n");
  const Reply large = client_.Read();
  EXPECT_EQ(413, large.status);
  EXPECT_EQ("big", large.fields.at("x-request-id"));
}

TEST_F(ObserveTest, FailuresOfOursAreLoggedWithTheRequestsName) {
  const uint64_t before = RecentLog().Read(0, 0, LogLevel::kDebug).next - 1;
  client_.Ask("POST", "/v2/models/fail_INTERNAL/infer", kInfer, "X-Request-Id: broke-1\r\n");
  client_.Ask("POST", "/v2/models/none/infer", kInfer, "X-Request-Id: theirs-1\r\n");
  const auto page = RecentLog().Read(100, before, LogLevel::kDebug);
  ASSERT_EQ(1u, page.lines.size()) << "what the client did wrong is not logged";
  EXPECT_EQ(LogLevel::kWarning, page.lines[0].level);
  EXPECT_THAT(page.lines[0].text, HasSubstr("POST infer answered 500"));
  std::map<std::string, std::string> fields(page.lines[0].fields.begin(),
                                            page.lines[0].fields.end());
  EXPECT_EQ("broke-1", fields["request_id"]);
  EXPECT_EQ("fail_INTERNAL", fields["model"]);
  EXPECT_EQ("500", fields["status"]);
  EXPECT_EQ(0u, fields.count("trace_id"));
}

TEST_F(ObserveTest, ManyFailuresDoNotFillTheLog) {
  const uint64_t before = RecentLog().Read(0, 0, LogLevel::kDebug).next - 1;
  const auto& dropped = server_.server().counters().lines_dropped;
  uint64_t asked = 0;
  while (dropped.value() == 0 && asked < 20'000) {
    client_.Ask("POST", "/v2/models/fail_INTERNAL/infer", kInfer);
    ++asked;
  }
  EXPECT_GT(dropped.value(), 0u);
  EXPECT_LT(RecentLog().Read(0, before, LogLevel::kDebug).next - 1 - before, asked + 10);
}

TEST_F(ObserveTest, AtLevelDebugEveryRequestIsLogged) {
  SetLogLevel(LogLevel::kDebug);
  const uint64_t before = RecentLog().Read(0, 0, LogLevel::kDebug).next - 1;
  client_.Ask("GET", "/nothing?x=1", "", "X-Request-Id: d1\r\n");
  SetLogLevel(LogLevel::kInfo);
  const auto page = RecentLog().Read(100, before, LogLevel::kDebug);
  ASSERT_EQ(1u, page.lines.size());
  std::map<std::string, std::string> fields(page.lines[0].fields.begin(),
                                            page.lines[0].fields.end());
  EXPECT_EQ("d1", fields["request_id"]);
  EXPECT_EQ("/nothing?x=1", fields["target"]);
  EXPECT_EQ("404", fields["status"]);
}

// ------------------------------------------------------------------- the page

// Answers from a thread of its own, when it is told to.
class FakeSource : public MetricsSource {
 public:
  ~FakeSource() override {
    for (std::thread& thread : threads_) thread.join();
  }
  void Write(metrics::Format format, std::function<void(std::string)> done) override {
    ++asked;
    threads_.emplace_back([this, format, done = std::move(done)] {
      while (!open) std::this_thread::yield();
      done(format == metrics::Format::kOpenMetrics ? "open\n" : "plain\n");
    });
  }
  std::atomic<bool> open{true};
  std::atomic<int> asked{0};

 private:
  std::vector<std::thread> threads_;
};

class MetricsPageTest : public testing::Test {
 protected:
  MetricsPageTest() {
    server_.emplace(loop_, NewMetricsService(loop_, source_), HttpOptions());
    address_ = server_->Listen("127.0.0.1:0").value();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~MetricsPageTest() override {
    source_.open = true;
    loop_.Stop();
    thread_.join();
  }

  std::optional<TestClient> stays_;  // longer than the server
  EventLoop loop_;
  FakeSource source_;
  std::optional<HttpServer> server_;
  std::string address_;
  std::thread thread_;
};

// The connection outlives the service: sanitizers look at what it touches.
TEST_F(MetricsPageTest, TheServerMayEndBeforeItsScraper) {
  stays_.emplace(address_);
  EXPECT_EQ("plain\n", stays_->Ask("GET", "/metrics").body);
  source_.open = false;
  stays_->Send("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
  EXPECT_TRUE(Eventually([&] { return source_.asked == 2; }));
}

TEST_F(MetricsPageTest, AnswersScrapes) {
  TestClient client(address_);
  const Reply plain = client.Ask("GET", "/metrics");
  EXPECT_EQ(200, plain.status);
  EXPECT_EQ("plain\n", plain.body);
  EXPECT_EQ("text/plain; version=0.0.4; charset=utf-8", plain.fields.at("content-type"));
  const Reply open = client.Ask("GET", "/metrics?x=1", "",
                                "Accept: application/openmetrics-text; version=1.0.0\r\n");
  EXPECT_EQ("open\n", open.body);
  EXPECT_EQ("application/openmetrics-text; version=1.0.0; charset=utf-8",
            open.fields.at("content-type"));
  client.Send("HEAD /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
  const Reply head = client.Read(true);
  EXPECT_EQ(200, head.status);
  EXPECT_EQ("6", head.fields.at("content-length"));
}

TEST_F(MetricsPageTest, RefusesEverythingElse) {
  for (const char* path : {"/", "/metrics/", "/Metrics", "/v2", "/api/v1/status"}) {
    EXPECT_EQ(404, TestClient(address_).Ask("GET", path).status) << path;
  }
  const Reply post = TestClient(address_).Ask("POST", "/metrics");
  EXPECT_EQ(405, post.status);
  EXPECT_EQ("GET, HEAD", post.fields.at("allow"));
  EXPECT_EQ(413, TestClient(address_).Ask("POST", "/metrics", "body").status);
  EXPECT_EQ(0, source_.asked);
}

TEST_F(MetricsPageTest, TheSourceIsAskedOnceForAllThatWait) {
  source_.open = false;
  for (int i = 0; i < 50; ++i) {  // come and go
    TestClient client(address_);
    client.Send("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
    ASSERT_TRUE(Eventually([&] { return server_->counters().open.value() == 1; }));
  }
  ASSERT_TRUE(Eventually([&] { return server_->counters().open.value() == 0; }));
  std::vector<std::string> bodies(8);
  std::vector<std::thread> stay;
  stay.reserve(bodies.size());
  for (std::string& body : bodies) {
    stay.emplace_back([&] { body = TestClient(address_).Ask("GET", "/metrics").body; });
  }
  ASSERT_TRUE(Eventually([&] { return server_->counters().open.value() == 8; }));
  EXPECT_EQ(1, source_.asked);
  source_.open = true;
  for (std::thread& thread : stay) thread.join();
  EXPECT_THAT(bodies, testing::Each("plain\n"));
  EXPECT_EQ("plain\n", TestClient(address_).Ask("GET", "/metrics").body);
  EXPECT_LE(source_.asked, 10);
}

TEST_F(MetricsPageTest, AScraperMayLeave) {
  source_.open = false;
  {
    TestClient client(address_);
    client.Send("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
    ASSERT_TRUE(Eventually([&] { return source_.asked == 1; }));
  }
  ASSERT_TRUE(Eventually([&] { return server_->counters().open.value() == 0; }));
  source_.open = true;
  EXPECT_EQ("plain\n", TestClient(address_).Ask("GET", "/metrics").body);
}

}  // namespace
}  // namespace mlos::http
