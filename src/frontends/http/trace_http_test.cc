// SPDX-License-Identifier: Apache-2.0
//
// The trace extension over HTTP: what is asked of the control path, and what
// of a traced request is in the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>

#include "frontends/http/http_fakes.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kInfer =
    R"({"id":"my-id","inputs":[{"name":"in","datatype":"FP32","shape":[2],"data":[7,8.5]}]})";

class TraceHttpTest : public testing::Test {
 protected:
  TraceHttpTest() {
    std::string name = (std::filesystem::temp_directory_path() / "mlos-trace-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    tracer_.emplace(directory_ + "/trace.json", 1 << 20);
    server_.emplace(HttpOptions(), frontend::RegionPolicy(), &*tracer_);
    client_.emplace(server_->address());
  }
  ~TraceHttpTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  // What was written, once all has ended.
  json::array End() {
    server_.reset();
    tracer_.reset();
    std::ifstream in(directory_ + "/trace.json");
    std::stringstream text;
    text << in.rdbuf();
    json::error_code error;
    const json::value value = json::parse(text.str(), error);
    EXPECT_FALSE(error) << text.str();
    return error ? json::array{} : value.as_array();
  }

  std::string directory_;
  std::optional<trace::Tracer> tracer_;
  std::optional<TestServer> server_;
  std::optional<TestClient> client_;
};

TEST_F(TraceHttpTest, SettingsAreTheControlPaths) {
  std::mutex mutex;
  std::vector<std::string> asked;
  server_->control().set_answer([&](const control::Operation& operation) {
    const std::lock_guard lock(mutex);
    asked.push_back(std::string(operations::Row(operation.kind).name) + " " +
                    json::serialize(operation.body));
    control::Outcome outcome;
    outcome.body = json::object{{"settings", json::object{{"trace_rate", "9"}}}};
    if (operation.body.contains("model")) outcome.status = NotFound("there is no model 'm'");
    return outcome;
  });
  EXPECT_EQ(R"({"trace_rate":"9"})", client_->Ask("GET", "/v2/trace/setting").body);
  EXPECT_EQ(R"({"trace_rate":"9"})",
            client_->Ask("POST", "/v2/trace/setting", R"({"trace_level":["OFF"]})").body);
  const Reply none = client_->Ask("POST", "/v2/models/m/trace/setting", R"({"trace_count":null})");
  EXPECT_EQ(404, none.status);
  EXPECT_EQ(R"({"error":"there is no model 'm'"})", none.body);
  EXPECT_EQ(R"({"trace_rate":"9"})", client_->Ask("POST", "/v2/trace/setting", "{}").body);
  EXPECT_EQ(404, client_->Ask("GET", "/v2/models/m/trace/setting").status);
  EXPECT_EQ(400, client_->Ask("POST", "/v2/trace/setting", "[]").status);
  EXPECT_EQ(404, client_->Ask("GET", "/v2/models/m/versions/1/trace/setting").status);
  const std::lock_guard lock(mutex);
  EXPECT_THAT(asked,
              ElementsAre("trace.get {}", R"(trace.set {"settings":{"trace_level":["OFF"]}})",
                          R"(trace.set {"settings":{"trace_count":null},"model":"m"})",
                          "trace.get {}", R"(trace.get {"model":"m"})"));
}

TEST_F(TraceHttpTest, ATracedRequestIsInTheFile) {
  ASSERT_TRUE(
      tracer_->Set("", {{"trace_level", {"TIMESTAMPS", "TENSORS"}}, {"trace_rate", {"2"}}}).ok());
  constexpr std::string_view kParent =
      "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(200, client_->Ask("POST", "/v2/models/id_FP32/infer", kInfer, kParent).status);
  }
  const json::array all = End();
  ASSERT_EQ(4u, all.size()) << json::serialize(all);
  EXPECT_EQ("id_FP32", all[0].at("model_name").as_string());
  EXPECT_EQ(1, all[0].at("model_version").as_int64());
  EXPECT_EQ("my-id", all[0].at("request_id").as_string());
  EXPECT_THAT(std::string(all[0].at("traceparent").as_string()),
              HasSubstr("0af7651916cd43dd8448eb211c80319c"));
  std::vector<std::string> names;
  int64_t before = 0;
  for (const json::value& stamp : all[1].at("timestamps").as_array()) {
    names.emplace_back(stamp.at("name").as_string());
    EXPECT_GE(stamp.at("ns").as_int64(), before) << names.back();
    before = stamp.at("ns").as_int64();
  }
  EXPECT_THAT(names, ElementsAre("HTTP_RECV_START", "HTTP_RECV_END", "REQUEST_START", "QUEUE_START",
                                 "COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START",
                                 "COMPUTE_END", "INFER_RESPONSE_COMPLETE", "REQUEST_END",
                                 "HTTP_SEND_START", "HTTP_SEND_END"));
  EXPECT_EQ("TENSOR_QUEUE_INPUT", all[2].at("activity").as_string());
  EXPECT_EQ("in", all[2].at("tensor").at("name").as_string());
  EXPECT_EQ("7,8.5", all[2].at("tensor").at("data").as_string());
  EXPECT_EQ("TENSOR_BACKEND_OUTPUT", all[3].at("activity").as_string());
  EXPECT_EQ("7,8.5", all[3].at("tensor").at("data").as_string());
}

TEST_F(TraceHttpTest, AGenerateIsFoundByItsNames) {
  ASSERT_TRUE(tracer_->Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}}).ok());
  constexpr std::string_view kNames =
      "X-Request-Id: job-17\r\n"
      "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
  const std::string long_id(100'000, 'i');
  for (const std::string& body :
       {std::string(R"({"in":1})"), R"({"in":1,"id":")" + long_id + R"("})"}) {
    ASSERT_EQ(200, client_->Ask("POST", "/v2/models/id_FP32/generate", body, kNames).status);
  }
  const json::array all = End();
  ASSERT_EQ(4u, all.size()) << json::serialize(all);
  EXPECT_EQ("job-17", all[0].at("request_id").as_string());
  EXPECT_THAT(std::string(all[0].at("traceparent").as_string()),
              HasSubstr("0af7651916cd43dd8448eb211c80319c"));
  EXPECT_EQ(std::string(1024, 'i'), std::string(all[2].at("request_id").as_string()));
  const json::array& stamps = all[1].at("timestamps").as_array();
  EXPECT_EQ("HTTP_RECV_START", stamps[0].at("name").as_string());
  EXPECT_GT(stamps[0].at("ns").as_int64(), 0);
  EXPECT_LE(stamps[0].at("ns").as_int64(), stamps[1].at("ns").as_int64());
}

TEST_F(TraceHttpTest, ARequestThatItsClientLeavesIsWrittenOnce) {
  ASSERT_TRUE(tracer_->Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}}).ok());
  client_->Send("POST /v2/models/hang/infer HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                std::to_string(kInfer.size()) + "\r\n\r\n" + std::string(kInfer));
  ASSERT_TRUE(Eventually([&] { return server_->engine().submitted == 1; }));
  client_->Close();
  ASSERT_TRUE(Eventually([&] { return server_->engine().running == 0; }));
  const json::array all = End();
  ASSERT_EQ(2u, all.size());
  EXPECT_EQ("hang", all[0].at("model_name").as_string());
}

}  // namespace
}  // namespace mlos::http
