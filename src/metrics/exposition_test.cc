// SPDX-License-Identifier: Apache-2.0
#include "metrics/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metrics/exposition_parser.h"

namespace mlos::metrics {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(ExpositionTest, PrometheusText) {
  Exposition out(Format::kPrometheus);
  out.Begin(Id::kHttpConnectionsOpen);
  out.Value({}, 3);
  out.Begin(Id::kHttpRequests);
  out.Value({"infer", "200"}, 18446744073709551615u);
  out.Begin(Id::kHostState);  // no samples: no family
  out.Begin(Id::kProcessCpu);
  out.Seconds({}, 1'500'000'000);
  EXPECT_EQ(out.Finish(),
            "# HELP mlos_http_connections_open HTTP connections that are open\n"
            "# TYPE mlos_http_connections_open gauge\n"
            "mlos_http_connections_open 3\n"
            "# HELP mlos_http_requests_total HTTP requests answered, by class of route and status\n"
            "# TYPE mlos_http_requests_total counter\n"
            "mlos_http_requests_total{route=\"infer\",status=\"200\"} 18446744073709551615\n"
            "# HELP process_cpu_seconds_total Processor time of mlosd, user and system\n"
            "# TYPE process_cpu_seconds_total counter\n"
            "process_cpu_seconds_total 1.5\n");
}

TEST(ExpositionTest, OpenMetricsText) {
  Exposition out(Format::kOpenMetrics);
  out.Begin(Id::kProcessCpu);
  out.Seconds({}, 2'000'000'001);
  out.Begin(Id::kBuildInfo);
  out.Value({"1", "c"}, 1);
  EXPECT_EQ(out.Finish(),
            "# HELP process_cpu_seconds Processor time of mlosd, user and system\n"
            "# TYPE process_cpu_seconds counter\n"
            "# UNIT process_cpu_seconds seconds\n"
            "process_cpu_seconds_total 2.000000001\n"
            "# HELP mlos_build_info 1; what this daemon is\n"
            "# TYPE mlos_build_info gauge\n"
            "mlos_build_info{version=\"1\",compiler=\"c\"} 1\n"
            "# EOF\n");
}

TEST(ExpositionTest, HistogramsAreCumulative) {
  for (const Format format : {Format::kPrometheus, Format::kOpenMetrics}) {
    HistogramValue value;
    value.buckets[0] = 2;
    value.buckets[3] = 1;
    value.buckets[kBuckets - 1] = 4;
    value.sum_ns = 10;
    Exposition out(format);
    out.Begin(Id::kQueueDuration);
    out.Record({"m", "1"}, value);
    out.Record({"m", "2"}, HistogramValue());
    const auto parsed = ParsedExposition::Parse(out.Finish(), format);
    EXPECT_THAT(parsed.faults, IsEmpty());
    const std::string bucket = "mlos_queue_duration_seconds_bucket";
    EXPECT_EQ(2, parsed.Value(bucket, {{"le", "1e-05"}, {"version", "1"}}));
    EXPECT_EQ(3, parsed.Value(bucket, {{"le", "100.0"}, {"version", "1"}}));
    EXPECT_EQ(7, parsed.Value(bucket, {{"le", "+Inf"}, {"version", "1"}}));
    EXPECT_EQ(7, parsed.Value("mlos_queue_duration_seconds_count", {{"version", "1"}}));
    EXPECT_DOUBLE_EQ(1e-8, parsed.Value("mlos_queue_duration_seconds_sum", {{"version", "1"}}));
    EXPECT_EQ(0, parsed.Value("mlos_queue_duration_seconds_count", {{"version", "2"}}));
  }
}

TEST(ExpositionTest, LabelValuesAreEscaped) {
  for (const Format format : {Format::kPrometheus, Format::kOpenMetrics}) {
    Exposition out(format);
    out.Begin(Id::kBuildInfo);
    out.Value({"a\\b\"c\nd\xc3\xa9", "\xff|\xc3"}, 1);
    const std::string text = out.Finish();
    EXPECT_THAT(text, HasSubstr("version=\"a\\\\b\\\"c\\nd\xc3\xa9\""));
    const auto parsed = ParsedExposition::Parse(text, format);
    EXPECT_THAT(parsed.faults, IsEmpty());
    EXPECT_EQ(1, parsed.Value("mlos_build_info", {{"version", "a\\b\"c\nd\xc3\xa9"},
                                                  {"compiler", "\xef\xbf\xbd|\xef\xbf\xbd"}}));
  }
}

TEST(ExpositionTest, AcceptChoosesTheFormat) {
  for (const char* plain :
       {"", "*/*", "text/plain", "text/plain;version=0.0.4", "text/html, */*;q=0.8",
        "application/openmetrics-text;q=0", "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=0.4,text/plain;q=0.5", ",;=,;;q=", "application/json"}) {
    EXPECT_EQ(Format::kPrometheus, ChooseFormat(plain)) << plain;
  }
  for (const char* open :
       {"application/openmetrics-text", "application/openmetrics-text; version=1.0.0",
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
        "text/plain;q=0.1 , application/openmetrics-text;version=0.0.1;q=0.75"}) {
    EXPECT_EQ(Format::kOpenMetrics, ChooseFormat(open)) << open;
  }
}

// The parser that the tests lean on does find faults.
TEST(ExpositionParserTest, FindsFaults) {
  const std::string head = "# HELP a_total h\n# TYPE a_total counter\n";
  // NOLINTBEGIN(performance-inefficient-string-concatenation, bugprone-suspicious-missing-comma)
  for (const std::string& bad : std::vector<std::string>{
           "", head + "a_total 1", head, "a_total 1\n", head + "a_total x\n",
           head + "a_total{b=\"1\" 1\n", head + "a_total{b=\"1\",b=\"2\"} 1\n",
           head + "a_total{b=\"\\t\"} 1\n", head + "a_total 1\na_total 2\n", head + "b_total 1\n",
           head + "a_total -1\n", head + "a_total 1\n" + head + "a_total 1\n",
           "# HELP a h\n# TYPE a counter\na 1\n", "# TYPE a gauge\na 1\n",
           "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n"
           "h_sum 1\nh_count 1\n",
           "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
           "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n"}) {
    // NOLINTEND(performance-inefficient-string-concatenation, bugprone-suspicious-missing-comma)
    EXPECT_FALSE(ParsedExposition::Parse(bad, Format::kPrometheus).faults.empty()) << bad;
  }
  EXPECT_THAT(ParsedExposition::Parse(head + "a_total 1\n", Format::kPrometheus).faults, IsEmpty());
  EXPECT_FALSE(
      ParsedExposition::Parse(head + "a_total 1\n# EOF\n", Format::kOpenMetrics).faults.empty());
  EXPECT_FALSE(ParsedExposition::Parse("# HELP a h\n# TYPE a gauge\na 1\n", Format::kOpenMetrics)
                   .faults.empty());
}

}  // namespace
}  // namespace mlos::metrics
