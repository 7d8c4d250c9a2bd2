// SPDX-License-Identifier: Apache-2.0
//
// The statistics extension over HTTP: that every member is there, as load
// generators read it, and counts what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/log_ring.h"
#include "frontends/http/http_fakes.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kTwo =
    R"({"inputs":[{"name":"in","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]}]})";
constexpr std::string_view kOne =
    R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";

class StatisticsHttpTest : public testing::Test {
 protected:
  json::value Stats(const std::string& path) {
    const Reply reply = client_.Ask("GET", path);
    EXPECT_EQ(200, reply.status) << reply.body;
    return json::parse(reply.body).at("model_stats");
  }
  // Fails where it is no number without sign, as strict readers do.
  static uint64_t Number(const json::value& object, std::string_view pointer) {
    json::error_code error;
    const json::value* value = object.find_pointer({pointer.data(), pointer.size()}, error);
    EXPECT_TRUE(value != nullptr && !error) << pointer;
    if (value == nullptr) return 0;
    EXPECT_TRUE(value->is_int64() && value->get_int64() >= 0) << pointer;
    return value->to_number<uint64_t>();
  }

  TestServer server_;
  TestClient client_{server_.address()};
};

TEST_F(StatisticsHttpTest, EveryMemberIsThereAlsoWhenItIsZero) {
  const json::value stats = Stats("/v2/models/id_FP32/stats");
  ASSERT_EQ(1u, stats.as_array().size());
  const json::value& model = stats.at(0);
  EXPECT_EQ("id_FP32", model.at("name").as_string());
  EXPECT_EQ("1", model.at("version").as_string());
  for (const char* member : {"/last_inference", "/inference_count", "/execution_count"}) {
    EXPECT_EQ(0u, Number(model, member));
  }
  for (const std::string member : {"success", "fail", "queue", "compute_input", "compute_infer",
                                   "compute_output", "cache_hit", "cache_miss"}) {
    EXPECT_EQ(0u, Number(model, "/inference_stats/" + member + "/count"));
    EXPECT_EQ(0u, Number(model, "/inference_stats/" + member + "/ns"));
  }
  EXPECT_TRUE(model.at("response_stats").as_object().empty());
  EXPECT_TRUE(model.at("batch_stats").as_array().empty());
  EXPECT_TRUE(model.at("memory_usage").as_array().empty());
}

TEST_F(StatisticsHttpTest, CountsAreThoseOfTheRequests) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(200, client_.Ask("POST", "/v2/models/batch/infer", kTwo).status);
  }
  ASSERT_EQ(400, client_.Ask("POST", "/v2/models/batch/infer", "{}").status);
  const json::value model = Stats("/v2/models/batch/versions/1/stats").at(0);
  EXPECT_EQ(6u, Number(model, "/inference_count"));
  EXPECT_EQ(3u, Number(model, "/execution_count"));
  EXPECT_EQ(1u, Number(model, "/inference_stats/fail/count"));
  // The load generator stops where these differ.
  for (const std::string member :
       {"success", "queue", "compute_input", "compute_infer", "compute_output"}) {
    EXPECT_EQ(3u, Number(model, "/inference_stats/" + member + "/count")) << member;
  }
  EXPECT_GT(Number(model, "/inference_stats/success/ns"), 0u);
  EXPECT_EQ(3u, Number(model, "/response_stats/0/success/count"));
  EXPECT_EQ(0u, Number(model, "/response_stats/0/empty_response/count"));
  ASSERT_EQ(1u, model.at("batch_stats").as_array().size());
  EXPECT_EQ(2u, Number(model, "/batch_stats/0/batch_size"));
  EXPECT_EQ(3u, Number(model, "/batch_stats/0/compute_input/count"));
  EXPECT_EQ(3u, Number(model, "/batch_stats/0/compute_infer/count"));
  EXPECT_EQ(3u, Number(model, "/batch_stats/0/compute_output/count"));
  const auto now = static_cast<uint64_t>(WallMillis());
  EXPECT_LE(Number(model, "/last_inference"), now);
  EXPECT_GT(Number(model, "/last_inference") + 60'000, now);
}

TEST_F(StatisticsHttpTest, FailuresOfTheModelAreNoExecutionsThatSucceeded) {
  client_.Ask("POST", "/v2/models/fail_INTERNAL/infer", kOne);
  const json::value model = Stats("/v2/models/fail_INTERNAL/stats").at(0);
  EXPECT_EQ(0u, Number(model, "/inference_stats/success/count"));
  EXPECT_EQ(1u, Number(model, "/inference_stats/fail/count"));
  EXPECT_EQ(0u, Number(model, "/inference_count"));
  EXPECT_EQ(1u, Number(model, "/execution_count"));
  EXPECT_EQ(1u, Number(model, "/response_stats/0/fail/count"));
}

TEST_F(StatisticsHttpTest, OnlyWhatIsReadyHasThem) {
  std::vector<std::string> versions;
  const json::value pair = Stats("/v2/models/pair/stats");
  for (const json::value& model : pair.as_array()) {
    versions.emplace_back(model.at("version").as_string().c_str());
  }
  EXPECT_THAT(versions, ElementsAre("1", "7"));
  size_t others = 0;
  const json::value all = Stats("/v2/models/stats");
  for (const json::value& model : all.as_array()) {
    EXPECT_NE("unloaded", model.at("name").as_string());
    if (model.at("name").as_string() != "pair") ++others;
  }
  EXPECT_GT(others, 10u);
  const Reply refused = client_.Ask("GET", "/v2/models/pair/versions/9/stats");
  EXPECT_EQ(400, refused.status);
  EXPECT_THAT(refused.body, HasSubstr("'9' of model 'pair' is not ready"));
}

}  // namespace
}  // namespace mlos::http
