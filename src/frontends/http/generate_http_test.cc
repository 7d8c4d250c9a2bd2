// SPDX-License-Identifier: Apache-2.0
//
// The generate extension: members become inputs, outputs become members, and
// the stream is one event.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "frontends/http/http_fakes.h"
#include "tensor/message.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

class GenerateTest : public testing::Test {
 protected:
  Reply Generate(const std::string& model, std::string_view body) {
    return client_.Ask("POST", "/v2/models/" + model + "/generate", body);
  }
  void ExpectAnswer(std::string_view expected, const Reply& reply) {
    EXPECT_EQ(200, reply.status) << reply.body;
    EXPECT_EQ("application/json", reply.fields.at("content-type"));
    EXPECT_EQ(json::parse({expected.data(), expected.size()}), json::parse(reply.body));
  }
  void ExpectRefused(int status, std::string_view text, const Reply& reply) {
    EXPECT_EQ(status, reply.status) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr(std::string(text)));
  }

  TestServer server_;
  TestClient client_{server_.address()};
};

TEST_F(GenerateTest, OneElementIsAScalarAndMoreAreAnArray) {
  ExpectAnswer(R"({"model_name":"id_BYTES","model_version":"1","out":"h\u00e9 \"\n"})",
               Generate("id_BYTES", R"({"in":"hé \"\n"})"));
  ExpectAnswer(R"({"id":"x","model_name":"id_BYTES","model_version":"1","out":["a","b"]})",
               Generate("id_BYTES", R"({"id":"x","in":["a","b"]})"));
  ExpectAnswer(R"({"model_name":"id_INT32","model_version":"1","out":-5})",
               Generate("id_INT32", R"({"parameters":{"in":-5}})"));
  ExpectAnswer(R"({"model_name":"id_BOOL","model_version":"1","out":[true,false]})",
               Generate("id_BOOL", R"({"in":[true,false]})"));
  ExpectAnswer(R"({"model_name":"id_FP64","model_version":"1","out":0.1})",
               Generate("id_FP64", R"({"in":0.1})"));
  ExpectAnswer(R"({"model_name":"id_UINT64","model_version":"1","out":18446744073709551615})",
               Generate("id_UINT64", R"({"in":18446744073709551615})"));
  ExpectAnswer(R"({"model_name":"id_FP32","model_version":"1","out":[]})",
               Generate("id_FP32", R"({"in":[]})"));
}

TEST_F(GenerateTest, ElementsAreShapedToFit) {
  // b is [-1,2]: the open dimension takes what there is.
  ExpectAnswer(R"({"model_name":"pair","model_version":"7","a":1,"b":[1.0,2.0,3.0,4.0],"c":[]})",
               Generate("pair", R"({"a":1,"b":[1,2,3,4]})"));
  ExpectRefused(400, "3 elements, which do not fit its shape [-1,2]",
                Generate("pair", R"({"a":1,"b":[1,2,3]})"));
  // The first dimension is the batch's, which is 1.
  ExpectAnswer(R"({"model_name":"batch","model_version":"1","out":[1.0,2.0]})",
               Generate("batch", R"({"in":[1,2]})"));
  ExpectRefused(400, "4 elements", Generate("batch", R"({"in":[1,2,3,4]})"));
  ExpectAnswer(R"({"model_name":"word","model_version":"1","out":"w"})",
               Generate("word", R"({"in":"w"})"));
  ExpectRefused(400, "2 elements", Generate("word", R"({"in":["w","x"]})"));
}

TEST_F(GenerateTest, WhatIsNoInputIsAParameter) {
  EXPECT_EQ(200,
            Generate("word", R"({"in":"w","stream":false,"parameters":{"t":0.5,"s":"x"}})").status);
  EXPECT_EQ(json::parse(R"({"stream":false,"t":0.5,"s":"x"})"),
            json::parse(server_.engine().last_parameters()));
  EXPECT_EQ(200,
            Generate("word", R"({"in":"w","parameters":{"priority":1,"sequence_id":0}})").status);
  EXPECT_EQ("", server_.engine().last_parameters());
  ExpectRefused(400, "'list' is no input", Generate("word", R"({"in":"w","list":[1]})"));
  ExpectRefused(400, "'n' is no input", Generate("word", R"({"in":"w","n":null})"));
  ExpectRefused(400, "reserved", Generate("word", R"({"in":"w","triton_x":1})"));
  ExpectRefused(501, "sequence", Generate("word", R"({"in":"w","parameters":{"sequence_id":7}})"));
}

TEST_F(GenerateTest, WhatIsWrongIsSaid) {
  ExpectRefused(400, "empty", Generate("word", ""));
  ExpectRefused(400, "JSON", Generate("word", R"({"in":)"));
  ExpectRefused(400, "object", Generate("word", R"(["in"])"));
  ExpectRefused(400, "id", Generate("word", R"({"id":7,"in":"w"})"));
  ExpectRefused(400, "parameters", Generate("word", R"({"in":"w","parameters":[]})"));
  ExpectRefused(400, "timeout", Generate("word", R"({"in":"w","parameters":{"timeout":-1}})"));
  ExpectRefused(400, "not BYTES", Generate("word", R"({"in":7})"));
  ExpectRefused(400, "not INT8", Generate("id_INT8", R"({"in":128})"));
  ExpectRefused(400, "not INT32", Generate("id_INT32", R"({"in":1.5})"));
  ExpectRefused(400, "not FP32", Generate("id_FP32", R"({"in":1e39})"));
  ExpectRefused(400, "not FP16", Generate("id_FP16", R"({"in":1})"));
  ExpectRefused(400, "not UINT8", Generate("id_UINT8", R"({"in":[[1]]})"));
  ExpectRefused(400, "in", Generate("word", "{}"));
  ExpectRefused(404, "none", Generate("none", R"({"in":"w"})"));
  ExpectRefused(404, "none", Generate("none", "{"));
  ExpectRefused(503, "this model fails", Generate("fail_UNAVAILABLE", R"({"in":1})"));
  EXPECT_EQ(200, Generate("word", R"({"in":"w"})").status) << "the connection goes on";
}

TEST_F(GenerateTest, TheStreamIsOneEvent) {
  const Reply reply =
      client_.Ask("POST", "/v2/models/word/versions/1/generate_stream", R"({"in":"a\nb"})");
  EXPECT_EQ(200, reply.status);
  EXPECT_EQ("text/event-stream; charset=utf-8", reply.fields.at("content-type"));
  EXPECT_EQ("data: {\"model_name\":\"word\",\"model_version\":\"1\",\"out\":\"a\\nb\"}\n\n",
            reply.body);
  const Reply refused = client_.Ask("POST", "/v2/models/word/generate_stream", R"({"in":7})");
  ExpectRefused(400, R"({"error":)", refused);
  EXPECT_EQ("application/json", refused.fields.at("content-type"));
}

TEST_F(GenerateTest, IsCountedAsAnyInference) {
  Generate("later", R"({"in":1})");
  Generate("later", R"({"in":"x"})");
  Generate("none", "{}");
  metrics::InferStatistics sum;
  for (const auto& counters : server_.engine().book()->Read()) {
    if (counters->model() == "later") AddTo(*counters, &sum);
  }
  EXPECT_EQ(1u, sum.success.count);
  EXPECT_EQ(1u, sum.inference_count);
  EXPECT_EQ(1u, sum.fail.count);
  EXPECT_EQ(1u, server_.engine().book()->Unknown(metrics::Protocol::kHttp,
                                                 static_cast<size_t>(StatusCode::kNotFound)));
}

TEST_F(GenerateTest, AnAnswerThatCannotBeToldIsCountedAsFailed) {
  TestServer server({.max_json_response_bytes = 64});
  TestClient client(server.address());
  const std::string words = R"({"in":[")" + std::string(100, 'w') + R"(","x"]})";
  EXPECT_NE(200, client.Ask("POST", "/v2/models/id_BYTES/generate", words).status);
  metrics::InferStatistics sum;
  for (const auto& counters : server.engine().book()->Read()) AddTo(*counters, &sum);
  EXPECT_EQ(0u, sum.success.count);
  EXPECT_EQ(1u, sum.fail.count);
}

// It becomes values, which take many times the memory of their text.
TEST_F(GenerateTest, TheRequestIsBoundedAsOtherJsonIs) {
  TestServer server({.max_management_body_bytes = 4096});
  for (const char* path : {"/v2/models/word/generate", "/v2/models/word/generate_stream",
                           "/v2/repository/index", "/v2/repository/models/word/load"}) {
    TestClient client(server.address());
    ExpectRefused(413, "4096", client.Ask("POST", path, "{" + std::string(4096, ' ') + "}"));
  }
}

TEST_F(GenerateTest, ParametersAreBounded) {
  const std::string most(tensor::kMaxParameterBytes, 'p');
  ExpectRefused(400, "parameters are longer",
                Generate("word", R"({"in":"w","x":")" + most + R"("})"));
  ExpectRefused(400, "parameters are longer",
                Generate("word", R"({"in":"w","parameters":{")" + most + R"(":1}})"));
  std::string many = R"({"in":"w")";
  for (size_t i = 0; i < tensor::kMaxParameterBytes / 8; ++i) {
    many += ",\"" + std::to_string(100000 + i) + "\":1";
  }
  ExpectRefused(400, "parameters are longer", Generate("word", many + "}"));
}

TEST_F(GenerateTest, AClientThatLeavesEndsIt) {
  constexpr std::string_view kBody = R"({"in":1})";
  client_.Send("POST /v2/models/hang/generate HTTP/1.1\r\nHost: t\r\nContent-Length: " +
               std::to_string(kBody.size()) + "\r\n\r\n" + std::string(kBody));
  ASSERT_TRUE(Eventually([&] { return server_.engine().submitted == 1; }));
  client_.Close();
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(GenerateTest, TheClientsTimeoutIsTheDeadline) {
  Generate("word", R"({"in":"w","parameters":{"timeout":2000000}})");
  const uint64_t two = server_.engine().last_deadline_ns;
  Generate("word", R"({"in":"w"})");
  EXPECT_GT(server_.engine().last_deadline_ns, two + 10'000'000'000);
}

}  // namespace
}  // namespace mlos::http
