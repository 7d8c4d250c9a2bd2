// SPDX-License-Identifier: Apache-2.0
#include "metrics/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <set>

#include "base/clock.h"
#include "metrics/exposition_parser.h"

namespace mlos::metrics {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    // Stands for a plugin host: a child that uses no processor time.
    child_ = fork();
    if (child_ == 0) {
      pause();
      _exit(0);
    }
    state_.plugins = {{"p", "1.0.0", "ready"}, {"p", "2.0.0", "registered"}};
    state_.models = {{1, "a", "1", "p", "1.0.0", "ready"},
                     {2, "a", "2", "p", "1.0.0", "ready"},
                     {3, "b", "1", "p", "", "unloaded"}};
    state_.hosts = {{9, "p", "1.0.0", "ready", child_, 2}};
    state_.lanes = {{9, "front", 3, 1024, 512, 1 << 20, 2 << 20}, {10, "front", 1, 1, 1, 1, 1}};
  }
  ~ReportTest() override {
    if (child_ > 1) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
  }

  Report NewReport() {
    return Report({.version = "1.2.3",
                   .books = {&first_, &second_},
                   .http = {&http_},
                   .control = &control_,
                   .loads = &loads_,
                   .request_lines_dropped = &dropped_,
                   .log_lines_dropped = nullptr,
                   .trace_records_dropped = [] { return uint64_t{5}; },
                   .grpc = &grpc_,
                   .grpc_calls = &calls_,
                   .ipc = &ipc_});
  }
  ParsedExposition Write(Report& report, Format format = Format::kPrometheus) {
    text_ = report.Write(state_, format);
    ParsedExposition parsed = ParsedExposition::Parse(text_, format);
    EXPECT_THAT(parsed.faults, IsEmpty()) << text_;
    return parsed;
  }
  static void Count(ModelBook& book, uint64_t id, const char* name, const char* version,
                    StatusCode code, int times) {
    ModelCounters* counters = book.Of(id, name, version);
    for (int i = 0; i < times; ++i) {
      counters->Count({Protocol::kHttp, code, 1, 2, 1'000'002, 3'000'002, 3'000'003, 1});
    }
  }

  pid_t child_ = -1;
  State state_;
  ModelBook first_;
  ModelBook second_;
  HttpCounters http_;
  H2Counters grpc_;
  GrpcCounters calls_;
  IpcCounters ipc_;
  ControlCounters control_{{"plugin.load", "status.get"}};
  LoadCounters loads_;
  Counter dropped_;
  std::string text_;
};

TEST_F(ReportTest, SumsTheLoops) {
  Count(first_, 1, "a", "1", StatusCode::kOk, 3);
  Count(second_, 1, "a", "1", StatusCode::kOk, 4);
  Count(second_, 1, "a", "1", StatusCode::kInternal, 2);
  Count(first_, 2, "a", "2", StatusCode::kOk, 1);
  Count(first_, 77, "gone", "1", StatusCode::kOk, 1);
  second_.Of(1, "a", "1")->Begin();
  first_.CountUnknown(Protocol::kHttp, StatusCode::kNotFound);
  http_.CountAnswer(RouteClass::kInfer, 200);
  http_.CountAnswer(RouteClass::kInfer, 7);
  http_.received_bytes.Add(10);
  grpc_.received_bytes.Add(11);
  grpc_.ended[5].Add(2);
  calls_.answers[14].Add(3);
  ipc_.sent_bytes.Add(12);
  ipc_.refused[1].Add(4);
  ipc_.CountEnd(IpcEnd::kSlow);
  ipc_.CountAnswer(IpcKind::kModel, 5);
  ipc_.CountAnswer(IpcKind::kModel, 99);
  control_.Count("plugin.load", StatusCode::kOk, 5);
  control_.Count("no such operation", StatusCode::kOk, 5);
  loads_.model_failed.Record(1);
  dropped_.Add(2);
  Report report = NewReport();
  for (const Format format : {Format::kPrometheus, Format::kOpenMetrics}) {
    const auto p = Write(report, format);
    const auto value = [&](const char* name, const std::map<std::string, std::string>& labels) {
      return p.Value(name, labels);
    };
    EXPECT_EQ(7, value("mlos_requests_total", {{"model", "a"}, {"version", "1"}, {"code", "OK"}}));
    EXPECT_EQ(2, value("mlos_requests_total", {{"code", "INTERNAL"}, {"protocol", "http"}}));
    EXPECT_EQ(2, value("mlos_request_errors_total", {{"version", "1"}}));
    EXPECT_EQ(0, value("mlos_request_errors_total", {{"version", "2"}}));
    EXPECT_EQ(9, value("mlos_run_duration_seconds_count", {{"version", "1"}}));
    EXPECT_DOUBLE_EQ(0.018, value("mlos_run_duration_seconds_sum", {{"version", "1"}}));
    EXPECT_EQ(9, value("mlos_queue_duration_seconds_bucket", {{"version", "1"}, {"le", "0.001"}}));
    EXPECT_EQ(1, value("mlos_requests_in_flight", {{"model", "a"}, {"version", "1"}}));
    EXPECT_EQ(0, value("mlos_requests_in_flight", {{"model", "b"}}));
    EXPECT_EQ(7, value("mlos_inferences_total", {{"model", "a"}, {"version", "1"}}));
    EXPECT_EQ(1, value("mlos_unknown_model_requests_total", {{"code", "NOT_FOUND"}}));
    EXPECT_EQ(1, value("mlos_http_requests_total", {{"route", "infer"}, {"status", "200"}}));
    EXPECT_EQ(1, value("mlos_http_requests_total", {{"status", "599"}}));
    EXPECT_EQ(10, value("mlos_http_received_bytes_total", {}));
    EXPECT_EQ(11, value("mlos_grpc_received_bytes_total", {}));
    EXPECT_EQ(2, value("mlos_grpc_connections_ended_total", {{"reason", "resets"}}));
    EXPECT_EQ(3, value("mlos_grpc_calls_total", {{"code", "UNAVAILABLE"}}));
    EXPECT_EQ(12, value("mlos_ipc_sent_bytes_total", {}));
    EXPECT_EQ(4, value("mlos_ipc_connections_refused_total", {{"reason", "user"}}));
    EXPECT_EQ(1, value("mlos_ipc_connections_ended_total", {{"reason", "slow"}}));
    EXPECT_EQ(1, value("mlos_ipc_calls_total", {{"kind", "model"}, {"code", "NOT_FOUND"}}));
    EXPECT_EQ(1, value("mlos_ipc_calls_total", {}));
    EXPECT_EQ(1, value("mlos_control_operations_total", {{"operation", "plugin.load"}}));
    EXPECT_EQ(
        1, value("mlos_load_duration_seconds_count", {{"kind", "model"}, {"outcome", "failed"}}));
    EXPECT_EQ(2, value("mlos_log_lines_dropped_total", {{"source", "request"}}));
    EXPECT_EQ(5, value("mlos_trace_records_dropped_total", {}));
    EXPECT_EQ(2, value("mlos_host_restarts_total", {{"plugin", "p"}}));
    EXPECT_EQ(3, value("mlos_channel_entries_in_use", {}));
    EXPECT_EQ(2 << 20, value("mlos_channel_response_capacity_bytes", {{"loop", "front"}}));
    EXPECT_EQ(1, value("mlos_plugin_state", {{"version", "2.0.0"}, {"state", "registered"}}));
    EXPECT_EQ(1, value("mlos_model_state", {{"model", "b"}, {"state", "unloaded"}}));
    EXPECT_THAT(text_, testing::Not(HasSubstr("gone"))) << "labels come from registered objects";
  }
}

// Every metric of the table is written by somebody, with the table's labels.
TEST_F(ReportTest, WritesTheWholeTable) {
  Count(first_, 1, "a", "1", StatusCode::kOk, 1);
  first_.CountUnknown(Protocol::kHttp, StatusCode::kNotFound);
  http_.CountAnswer(RouteClass::kHealth, 200);
  ipc_.CountAnswer(IpcKind::kServer, 0);
  control_.Count("status.get", StatusCode::kOk, 5);
  Report report = NewReport();
  const auto parsed = Write(report);
  ASSERT_EQ(Table().size(), parsed.families.size());
  for (size_t i = 0; i < Table().size(); ++i) {
    const Row& row = Table()[i];
    const Family& family = parsed.families[i];
    EXPECT_EQ(row.name, family.name);
    EXPECT_EQ(row.help, family.help);
    EXPECT_EQ(TypeName(row.type), family.type);
    std::string labels(row.label_list());
    for (const Sample& sample : family.samples) {
      std::set<std::string> names;
      for (const auto& [name, value] : sample.labels) {
        if (name != "le") names.insert(name);
      }
      size_t wanted = 0;
      for (std::string_view rest = labels; !rest.empty(); ++wanted) {
        const size_t comma = rest.find(',');
        EXPECT_EQ(1u, names.count(std::string(rest.substr(0, comma)))) << row.name;
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
      }
      EXPECT_EQ(wanted, names.size()) << row.name;
    }
  }
}

TEST_F(ReportTest, AModelIsNotChargedWithMoreThanItRan) {
  Count(first_, 1, "a", "1", StatusCode::kOk, 1);  // 2 ms
  Report report = NewReport();
  const std::string name = "mlos_model_processor_seconds_total";
  const double once = Write(report).Value(name, {{"model", "a"}, {"version", "1"}});
  EXPECT_GE(once, 0);
  EXPECT_LE(once, 0.002);
  const double twice = Write(report).Value(name, {{"model", "a"}, {"version", "1"}});
  EXPECT_EQ(once, twice) << "nothing ran since";
  EXPECT_EQ(0, Write(report).Value(name, {{"model", "b"}}));
}

// While a process takes over from another of the same version.
TEST_F(ReportTest, TwoHostsOfOneVersionAreOneSeries) {
  state_.hosts.push_back({10, "p", "1.0.0", "loading", child_, 1});
  Report report = NewReport();
  const auto parsed = Write(report);
  EXPECT_EQ(3, parsed.Value("mlos_host_restarts_total"));
  EXPECT_EQ(1, parsed.Value("mlos_host_state", {{"state", "loading"}}));
  EXPECT_EQ(1, parsed.Value("mlos_host_state", {{"state", "ready"}}));
  EXPECT_EQ(4, parsed.Value("mlos_channel_entries_in_use"));
}

TEST_F(ReportTest, AProcessThatIsNotOurChildIsNoHost) {
  state_.hosts[0].pid = 1;
  Report report = NewReport();
  const auto parsed = Write(report);
  EXPECT_EQ(nullptr, parsed.Find("mlos_host_resident_memory_bytes"));
  EXPECT_EQ(1, parsed.Value("mlos_host_state", {{"state", "ready"}}));
}

TEST(ProcessStatsTest, ReadsALineWhateverTheName) {
  const auto stats = ParseStat(
      "7 (a) b (c)) S 5 7 7 0 -1 4194560 100 0 3 0 150 50 0 0 20 0 1 0 1000 4096000 25 1844");
  ASSERT_TRUE(stats.has_value());
  EXPECT_EQ(5, stats->parent);
  EXPECT_EQ(100u, stats->minor_faults);
  EXPECT_EQ(3u, stats->major_faults);
  const auto tick = kNanosPerSecond / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  EXPECT_EQ(150 * tick, stats->user_ns);
  EXPECT_EQ(50 * tick, stats->system_ns);
  EXPECT_EQ(1000 * tick, stats->started_ns);
  EXPECT_EQ(4096000u, stats->virtual_bytes);
  EXPECT_EQ(25u * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)), stats->resident_bytes);
  for (const char* bad : {"", "7 (a", "7 (a) S 1 2", ")"}) EXPECT_FALSE(ParseStat(bad)) << bad;
}

TEST(ProcessStatsTest, SeesThisProcess) {
  const auto stats = ReadProcess(getpid());
  ASSERT_TRUE(stats.has_value());
  EXPECT_EQ(getppid(), stats->parent);
  EXPECT_GT(stats->resident_bytes, 100'000u);
  const uint64_t before = OpenDescriptors();
  {
    const std::ifstream file("/proc/self/stat");
    EXPECT_EQ(before + 1, OpenDescriptors());
  }
  EXPECT_GE(DescriptorLimit(), before);
  const auto start = MachineStartSeconds() + stats->started_ns / kNanosPerSecond;
  const auto now = static_cast<uint64_t>(time(nullptr));
  EXPECT_LE(start, now + 2);
  EXPECT_GT(start + 3600, now);
  EXPECT_FALSE(ReadProcess(-1).has_value());
}

}  // namespace
}  // namespace mlos::metrics
