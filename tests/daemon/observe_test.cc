// SPDX-License-Identifier: Apache-2.0
//
// What can be seen of a daemon: metrics while it works, exactly; its log.
#include <atomic>
#include <csignal>
#include <sstream>
#include <thread>

#include "fixture.h"
#include "metrics/exposition_parser.h"

namespace mlos::test {
namespace {
namespace json = boost::json;

using metrics::Format;
using metrics::ParsedExposition;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kOnX =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})";

std::string Millis(int64_t take) {
  return R"({"inputs":[{"name":"X","datatype":"INT64","shape":[1],"data":[)" +
         std::to_string(take) + "]}]}";
}

ParsedExposition Scrape(const Daemon& daemon, Format format = Format::kPrometheus) {
  const Reply reply =
      HttpClient(daemon.metrics_address())
          .Send("GET", "/metrics", "",
                format == Format::kOpenMetrics
                    ? HttpClient::Headers{{"Accept", "application/openmetrics-text"}}
                    : HttpClient::Headers{});
  EXPECT_EQ(200, reply.status);
  ParsedExposition parsed = ParsedExposition::Parse(reply.body, format);
  EXPECT_THAT(parsed.faults, IsEmpty());
  return parsed;
}

TEST(MetricsTest, CountsAreExactWhileClientsCallAndScrapersLook) {
  constexpr int kClients = 3;
  constexpr int kEach = 400;
  Daemon daemon;
  daemon.BringTestModel("echo");
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      HttpClient client(daemon.address());
      for (int n = 0; n < kEach; ++n) {
        EXPECT_EQ(200, client.Send("POST", "/v2/models/m-echo/infer", kOnX).status);
        ++answered;
      }
    });
  }
  double last = 0;
  int scrapes = 0;
  while (answered < kClients * kEach || scrapes < 2) {
    const auto parsed =
        Scrape(daemon, scrapes % 2 == 0 ? Format::kOpenMetrics : Format::kPrometheus);
    const int after = answered;
    const double seen = std::max(0.0, parsed.Value("mlos_requests_total", {{"code", "OK"}}));
    EXPECT_GE(seen, last) << "a counter went back";
    EXPECT_LE(seen, after + kClients);
    last = seen;
    ++scrapes;
  }
  for (std::thread& client : clients) client.join();
  EXPECT_STATUS(400, daemon.InferJson("m-echo", "{"));
  EXPECT_STATUS(404, daemon.InferJson("nobody", kOnX));

  const auto parsed = Scrape(daemon);
  const std::map<std::string, std::string> model{{"model", "m-echo"}, {"version", "1"}};
  const auto with = [&](std::map<std::string, std::string> more) {
    more.insert(model.begin(), model.end());
    return more;
  };
  constexpr double kAll = kClients * kEach;
  EXPECT_EQ(kAll, parsed.Value("mlos_requests_total", with({{"code", "OK"}})));
  EXPECT_EQ(1, parsed.Value("mlos_requests_total", with({{"code", "INVALID_ARGUMENT"}})));
  EXPECT_EQ(1, parsed.Value("mlos_request_errors_total", model));
  EXPECT_EQ(1, parsed.Value("mlos_unknown_model_requests_total", {{"code", "NOT_FOUND"}}));
  EXPECT_EQ(kAll + 1, parsed.Value("mlos_request_duration_seconds_count", model));
  EXPECT_EQ(kAll, parsed.Value("mlos_queue_duration_seconds_count", model));
  EXPECT_EQ(kAll, parsed.Value("mlos_run_duration_seconds_count", model));
  EXPECT_EQ(kAll, parsed.Value("mlos_inferences_total", model));
  EXPECT_EQ(0, parsed.Value("mlos_requests_in_flight", model));
  const double total = parsed.Value("mlos_request_duration_seconds_sum", model);
  const double inside = parsed.Value("mlos_queue_duration_seconds_sum", model) +
                        parsed.Value("mlos_run_duration_seconds_sum", model);
  EXPECT_GT(inside, 0);
  EXPECT_LE(inside, total);
  EXPECT_LE(parsed.Value("mlos_model_processor_seconds_total", model),
            parsed.Value("mlos_run_duration_seconds_sum", model));

  EXPECT_EQ(kAll,
            parsed.Value("mlos_http_requests_total", {{"route", "infer"}, {"status", "200"}}));
  EXPECT_EQ(1, parsed.Value("mlos_http_requests_total", {{"route", "infer"}, {"status", "404"}}));
  // Those that brought plugin and model: registered twice, loaded twice.
  EXPECT_EQ(1, parsed.Value("mlos_control_operations_total",
                            {{"operation", "plugin.register"}, {"code", "OK"}}));
  EXPECT_EQ(1, parsed.Value("mlos_control_operation_duration_seconds_count",
                            {{"operation", "model.load"}}));
  EXPECT_EQ(
      1, parsed.Value("mlos_load_duration_seconds_count", {{"kind", "plugin"}, {"outcome", "ok"}}));
  EXPECT_EQ(
      1, parsed.Value("mlos_load_duration_seconds_count", {{"kind", "model"}, {"outcome", "ok"}}));
  EXPECT_EQ(1, parsed.Value("mlos_host_state", {{"plugin", "echo"}, {"state", "ready"}}));
  EXPECT_EQ(0, parsed.Value("mlos_host_restarts_total", {{"plugin", "echo"}}));
  EXPECT_GT(parsed.Value("mlos_host_resident_memory_bytes", {{"plugin", "echo"}}), 100'000);
  EXPECT_EQ(0, parsed.Value("mlos_channel_entries_in_use", {{"plugin", "echo"}}));
  EXPECT_GT(parsed.Value("mlos_channel_entries", {{"plugin", "echo"}}), 0);
  EXPECT_GT(parsed.Value("mlos_channel_response_capacity_bytes", {{"plugin", "echo"}}), 0);
  EXPECT_EQ(1, parsed.Value("mlos_plugin_state", {{"plugin", "echo"}, {"state", "ready"}}));
  EXPECT_EQ(1, parsed.Value("mlos_model_state", with({{"state", "ready"}, {"plugin", "echo"}})));
  EXPECT_EQ(1, parsed.Value("mlos_build_info"));
  EXPECT_GT(parsed.Value("process_resident_memory_bytes"), 1'000'000);
}

TEST(MetricsTest, SeriesStayUntilTheirObjectIsRemoved) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  EXPECT_STATUS(200, daemon.InferJson("m-echo", kOnX));
  EXPECT_STATUS(200, daemon.ModelAction("m-echo", "unload"));
  EXPECT_EQ(1, Scrape(daemon).Value("mlos_requests_total", {{"model", "m-echo"}}));
  EXPECT_EQ(1, Scrape(daemon).Value("mlos_model_state", {{"state", "unloaded"}}));
  EXPECT_STATUS(503, daemon.InferJson("m-echo", kOnX));
  EXPECT_EQ(1, Scrape(daemon).Value("mlos_requests_total", {{"code", "UNAVAILABLE"}}));
  const Reply usage = daemon.Get("/api/v1/usage");
  EXPECT_EQ("2", At(usage, "/usage/0/requests"));
  EXPECT_EQ("1", At(usage, "/usage/0/errors"));
  EXPECT_EQ("0", At(usage, "/usage/0/in_flight"));
  EXPECT_GT(std::stoll(At(usage, "/usage/0/total_us")), 0);
  EXPECT_STATUS(200, daemon.Delete("/api/v1/models/m-echo/versions/1"));
  const auto parsed = Scrape(daemon);
  EXPECT_EQ(nullptr, parsed.Find("mlos_model_state"));
  EXPECT_EQ(nullptr, parsed.Find("mlos_requests_total"));
}

TEST(MetricsTest, ADeadHostIsCountedAndItsRequestsAreNamed) {
  Daemon daemon;
  daemon.BringTestModel("slow");
  const Daemon::Host host = daemon.HostOf("slow");
  HttpClient client(daemon.address());
  ASSERT_TRUE(client.Write("POST", "/v2/models/m-slow/infer", Millis(500),
                           {{"X-Request-Id", "in-the-host-17"}}));
  ASSERT_TRUE(WaitUntil([&] {
    return Scrape(daemon).Value("mlos_channel_entries_in_use", {{"plugin", "slow"}}) == 1;
  }));
  EXPECT_EQ(1, Scrape(daemon).Value("mlos_requests_in_flight", {{"model", "m-slow"}}));
  ASSERT_TRUE(SignalOne(host.pid, SIGKILL));
  const Reply reply = client.Read();
  EXPECT_EQ(200, reply.status) << Show(reply);
  EXPECT_EQ("in-the-host-17", reply.Header("x-request-id"));
  const auto parsed = Scrape(daemon);
  EXPECT_EQ(1, parsed.Value("mlos_host_restarts_total", {{"plugin", "slow"}}));
  EXPECT_EQ(
      2, parsed.Value("mlos_load_duration_seconds_count", {{"kind", "plugin"}, {"outcome", "ok"}}));
  EXPECT_EQ(1, parsed.Value("mlos_requests_total", {{"model", "m-slow"}, {"code", "OK"}}));
  EXPECT_THAT(daemon.process().log(), HasSubstr("request_ids=in-the-host-17"));
}

TEST(MetricsTest, ARequestThatHostsDieOfIsCounted) {
  Daemon daemon;
  daemon.BringTestModel("poison");
  EXPECT_EQ(500, daemon.InferJson("m-poison", Millis(-1)).status);
  EXPECT_EQ(500, daemon.InferJson("m-poison", Millis(-1)).status);
  const auto parsed = Scrape(daemon);
  EXPECT_EQ(2, parsed.Value("mlos_blamed_host_deaths_total", {{"model", "m-poison"}}));
  EXPECT_EQ(1, parsed.Value("mlos_quarantined_requests_total", {{"model", "m-poison"}}));
}

TEST(MetricsTest, ARequestThatHangsIsCountedThoughNobodyWaitsForIt) {
  Daemon daemon({"--hang-limit", "100ms"});
  daemon.BringTestModel("hang_in_execute");
  const Reply reply = daemon.InferJson(
      "m-hang_in_execute",
      R"({"parameters":{"timeout":100000},"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})");
  EXPECT_EQ(504, reply.status) << Show(reply);
  EXPECT_TRUE(WaitUntil([&] {
    return Scrape(daemon).Value("mlos_blamed_host_deaths_total",
                                {{"model", "m-hang_in_execute"}}) == 1;
  }));
}

TEST(MetricsTest, TheListenerCanBeChosenOrLeftOut) {
  Daemon off({"--metrics-address", "off"});
  EXPECT_EQ("null", off.metrics_address());
  EXPECT_STATUS(200, off.Get("/v2/health/live"));

  const TempDir dir;
  const std::string socket = "unix:" + (dir / "metrics.sock");
  Daemon daemon({"--metrics-address", socket, "--metrics-address", "127.0.0.1:0"});
  EXPECT_EQ(200, HttpClient(socket).Send("GET", "/metrics").status);
  EXPECT_EQ(200, HttpClient(daemon.metrics_address()).Send("GET", "/metrics").status);

  const TempDir other;
  const Ended ended = RunMlosd({"--auth", "off", "--data-dir", other / "data", "--http-address",
                                "127.0.0.1:0", "--metrics-address", daemon.metrics_address()});
  EXPECT_EQ(1, ended.status);
  EXPECT_THAT(ended.output, HasSubstr(daemon.metrics_address()));
  EXPECT_THAT(ended.output, HasSubstr("in use"));
  EXPECT_THAT(ended.output, HasSubstr("--metrics-address"));
}

// ------------------------------------------------------------------------ logs

TEST(LogsTest, TheLevelChangesWhileTheDaemonRuns) {
  Daemon daemon;
  EXPECT_EQ("info", At(daemon.Get("/api/v1/log"), "/level"));
  daemon.Post("/v2/models/quiet/infer", kOnX, {{"X-Request-Id", "before-debug"}});
  EXPECT_EQ("debug", At(daemon.Post("/api/v1/log", R"({"level":"debug"})"), "/level"));
  daemon.Post("/v2/models/loud/infer", kOnX, {{"X-Request-Id", "at-debug"}});
  EXPECT_STATUS(200, daemon.Post("/api/v1/log", R"({"level":"error"})"));
  EXPECT_EQ("error", At(daemon.Get("/api/v1/log"), "/level"));
  EXPECT_TRUE(WaitUntil([&] {  // a thread of its own writes it
    return daemon.process().log().find("request_id=at-debug") != std::string::npos;
  }));
  EXPECT_THAT(daemon.process().log(), Not(HasSubstr("before-debug")));
  EXPECT_REFUSED(400, "loud", daemon.Post("/api/v1/log", R"({"level":"loud"})"));
  EXPECT_REFUSED(400, "level", daemon.Post("/api/v1/log", "{}"));
  EXPECT_REFUSED(400, "levels", daemon.Post("/api/v1/log", R"({"levels":"info"})"));
}

TEST(LogsTest, TheNewestLinesCanBeRead) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  const json::value all = ParseJson(daemon.Get("/api/v1/logs").body);
  EXPECT_EQ("1", At(all, "/oldest"));
  EXPECT_EQ("1", At(all, "/lines/0/sequence"));
  EXPECT_THAT(json::serialize(all), HasSubstr("model m-echo version 1 is ready"));
  const auto next = all.at("next").to_number<uint64_t>();
  EXPECT_EQ(next - 1, all.at("lines").as_array().size());
  const json::value last = ParseJson(daemon.Get("/api/v1/logs?tail=1").body);
  ASSERT_EQ(1u, last.at("lines").as_array().size());
  EXPECT_EQ(std::to_string(next - 1), At(last, "/lines/0/sequence"));
  const std::string after = "/api/v1/logs?after=" + std::to_string(next - 1);
  EXPECT_EQ("[]", At(daemon.Get(after), "/lines"));
  EXPECT_EQ("[]", At(daemon.Get("/api/v1/logs?level=error"), "/lines"));
  EXPECT_REFUSED(400, "1001", daemon.Get("/api/v1/logs?tail=1001"));
  EXPECT_REFUSED(400, "tail", daemon.Get("/api/v1/logs?tail=many"));
  EXPECT_REFUSED(400, "loud", daemon.Get("/api/v1/logs?level=loud"));
}

TEST(LogsTest, WhatAPluginWroteStaysWhenItsHostIsGone) {
  Daemon daemon;
  daemon.BringTestModel("chatty");
  EXPECT_STATUS(200, daemon.InferJson("m-chatty", kOnX));
  const std::string path = "/api/v1/plugins/chatty/versions/1.0.0/logs";
  ASSERT_TRUE(WaitUntil([&] { return At(daemon.Get(path), "/next") == "8193"; }));
  EXPECT_STATUS(200, daemon.ModelAction("m-chatty", "unload"));
  EXPECT_STATUS(200, daemon.PluginAction("chatty", "unload"));
  const json::value page = ParseJson(daemon.Get(path + "?tail=1000").body);
  const auto& lines = page.at("lines").as_array();
  ASSERT_EQ(1000u, lines.size());
  EXPECT_EQ("7193", At(page, "/oldest")) << "a reader behind number 1 sees the gap";
  EXPECT_THAT(At(lines.back(), "/message"), HasSubstr("which nobody asked for"));
  EXPECT_THAT(At(lines.back(), "/message"), HasSubstr("\\x1b["));
  EXPECT_GT(Scrape(daemon).Value("mlos_log_lines_dropped_total", {{"source", "plugin"}}), 8'000);
  EXPECT_REFUSED(404, "9.9.9", daemon.Get("/api/v1/plugins/chatty/versions/9.9.9/logs"));
  EXPECT_REFUSED(404, "nobody", daemon.Get("/api/v1/plugins/nobody/versions/1.0.0/logs"));
}

TEST(LogsTest, JsonLinesAreObjects) {
  Daemon daemon({"--log-format", "json"});
  daemon.BringTestModel("chatty");
  EXPECT_STATUS(200, daemon.InferJson("m-chatty", kOnX));
  EXPECT_STATUS(200, daemon.ModelAction("m-chatty", "unload"));
  daemon.Post("/v2/models/m-chatty/infer", kOnX,
              {{"X-Request-Id", "json-1"},
               {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
  ASSERT_TRUE(WaitUntil([&] {
    const std::string log = daemon.process().log();
    return log.find("json-1") != std::string::npos && log.back() == '\n';
  }));
  std::istringstream log(daemon.process().log());
  bool found = false;
  size_t lines = 0;
  for (std::string line; std::getline(log, line); ++lines) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    ASSERT_FALSE(error) << line;
    for (const char* member : {"/time", "/level", "/message"}) EXPECT_NE("", At(value, member));
    if (At(value, "/request_id") != "json-1") continue;
    found = true;
    EXPECT_EQ("0af7651916cd43dd8448eb211c80319c", At(value, "/trace_id"));
    EXPECT_EQ("m-chatty", At(value, "/model"));
    EXPECT_EQ("503", At(value, "/status"));
    EXPECT_EQ("warning", At(value, "/level"));
  }
  EXPECT_TRUE(found);
  EXPECT_GT(lines, 10u);
}

}  // namespace
}  // namespace mlos::test
