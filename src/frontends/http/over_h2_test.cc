// SPDX-License-Identifier: Apache-2.0
//
// Plain requests over HTTP/2: the service that HTTP/1.1 has, through a session
// of HTTP/2 in memory.
#include "frontends/http/over_h2.h"

#include "frontends/http/infer_fixture.h"
#include "rpc/fakes.h"

namespace mlos::http {
namespace {

using rpc::Answer;
using rpc::Fields;
using rpc::Wire;
using testing::HasSubstr;

class OverH2Test : public testing::Test {
 protected:
  OverH2Test() { Connect(); }
  ~OverH2Test() override {
    server_.OnLoop([this] { wire_.reset(); });
  }
  void Connect(const h2::Limits& limits = {}, bool auto_window = true) {
    server_.OnLoop([&] {
      wire_ = std::make_unique<Wire>(server_.server().over_h2(), limits, 65535, auto_window);
      wire_->Pump();
    });
  }

  int32_t Begin(const std::string& method, const std::string& path, const std::string& body = {},
                const Fields& more = {}, bool end = true) {
    Fields fields = {{":method", method}, {"content-type", "application/json"}};
    fields.insert(fields.end(), more.begin(), more.end());
    int32_t id = 0;
    server_.OnLoop([&] {
      id = wire_->Open(path, fields, end && body.empty());
      if (!body.empty()) wire_->Send(id, body, end);
      wire_->Pump();
    });
    return id;
  }
  // What has come so far, and whether that is all.
  Answer Look(int32_t id) {
    Answer answer;
    server_.OnLoop([&] {
      wire_->Pump();
      answer = wire_->answer(id);
    });
    return answer;
  }
  Answer Await(int32_t id) {
    EXPECT_TRUE(Eventually([&] { return Look(id).closed; }));
    return Look(id);
  }
  Answer Ask(const std::string& method, const std::string& path, const std::string& body = {},
             const Fields& more = {}) {
    return Await(Begin(method, path, body, more));
  }
  uint64_t Reserved() {
    uint64_t reserved = 0;
    server_.OnLoop([&] { reserved = wire_->owner().reserved; });
    return reserved;
  }
  static std::string Sum(const std::string& data) {
    return R"({"inputs":[{"name":"in","datatype":"FP32","shape":[2],"data":[)" + data + "]}]}";
  }

  TestServer server_;
  std::unique_ptr<Wire> wire_;  // the loop's
};

TEST_F(OverH2Test, AnswersWhatHttp1Answers) {
  const Answer ready = Ask("GET", "/v2/health/ready");
  EXPECT_EQ("200", ready.header(":status"));
  EXPECT_EQ(std::to_string(ready.data.size()), ready.header("content-length"));
  EXPECT_NE("", ready.header("date"));
  const Answer model = Ask("GET", "/v2/models/id_FP32");
  EXPECT_EQ("application/json", model.header("content-type"));
  EXPECT_EQ(std::to_string(model.data.size()), model.header("content-length"));
  EXPECT_THAT(model.data, HasSubstr("\"name\":\"id_FP32\""));
  const Answer head = Ask("HEAD", "/v2/models/id_FP32");
  EXPECT_EQ(model.header("content-length"), head.header("content-length"));
  EXPECT_EQ("", head.data);
  const Answer none = Ask("GET", "/nothing");
  EXPECT_EQ("404", none.header(":status"));
  const Answer wrong = Ask("PATCH", "/v2/models/id_FP32/infer");
  EXPECT_EQ("405", wrong.header(":status"));
  EXPECT_EQ("POST", wrong.header("allow"));
}

TEST_F(OverH2Test, InfersAndSaysWhoItWas) {
  for (const std::string model : {"id_FP32", "later"}) {
    const Answer a =
        Ask("POST", "/v2/models/" + model + "/infer", Sum("1,2.5"), {{"x-request-id", "r-7"}});
    EXPECT_EQ("200", a.header(":status"));
    EXPECT_THAT(a.data, HasSubstr("\"data\":[1.0,2.5]"));
    EXPECT_EQ("r-7", a.header("x-request-id"));
  }
  EXPECT_EQ(0, server_.engine().running);
  EXPECT_EQ(0u, Reserved());
}

TEST_F(OverH2Test, CarriesBinaryTensors) {
  const std::string json =
      R"({"inputs":[{"name":"in","datatype":"FP32","shape":[300000],)"
      R"("parameters":{"binary_data_size":1200000}}],"parameters":{"binary_data_output":true}})";
  std::string blob(1'200'000, '\0');
  for (size_t i = 0; i < blob.size(); i += 3) blob[i] = static_cast<char>(i);
  const Answer a = Ask("POST", "/v2/models/id_FP32/infer", json + blob,
                       {{"inference-header-content-length", std::to_string(json.size())}});
  EXPECT_EQ("200", a.header(":status")) << a.data;
  EXPECT_EQ("application/octet-stream", a.header("content-type"));
  const size_t head = std::stoul(a.header("inference-header-content-length"));
  EXPECT_TRUE(a.data.substr(head) == blob);
  EXPECT_EQ(0, server_.engine().running);
  EXPECT_EQ(0u, Reserved());
}

TEST_F(OverH2Test, TakesCompressedBodies) {
  const std::string body = Sum("3,4") + std::string(500'000, ' ');
  const Answer a = Ask("POST", "/v2/models/id_FP32/infer", rpc::Zip(body, rpc::Coding::kGzip),
                       {{"content-encoding", "gzip"}, {"accept-encoding", "gzip"}});
  EXPECT_EQ("200", a.header(":status")) << a.data;
  EXPECT_THAT(a.data, HasSubstr("[3.0,4.0]"));
  const Answer bad = Ask("POST", "/v2/models/id_FP32/infer", "{}", {{"content-encoding", "gzip"}});
  EXPECT_EQ("400", bad.header(":status"));
  EXPECT_THAT(bad.data, HasSubstr("Content-Encoding gzip: "));
  const Answer bomb = Ask("POST", "/v2/models/id_FP32/infer",
                          rpc::Zip(std::string(30'000'000, ' '), rpc::Coding::kGzip),
                          {{"content-encoding", "gzip"}});
  EXPECT_EQ("413", bomb.header(":status"));
  EXPECT_EQ(0u, Reserved());
}

TEST_F(OverH2Test, RefusesWhatIsTooLarge) {
  const Answer said = Await(Begin("POST", "/v2/models/id_FP32/infer", "{",
                                  {{"content-length", std::to_string(65 << 20)}}, /*end=*/false));
  EXPECT_EQ("413", said.header(":status"));
  // A management request may have less, and this one does not say how much it has.
  const Answer sent = Ask("POST", "/api/v1/models", std::string(2 << 20, ' '));
  EXPECT_EQ("413", sent.header(":status"));
  const Answer head = Ask("GET", "/v2", "", {{"x", std::string(20'000, 'x')}});
  EXPECT_EQ("431", head.header(":status"));
  const Answer twice = Ask("GET", "/v2", "", {{"host", "another"}});
  EXPECT_EQ("400", twice.header(":status"));
  EXPECT_EQ(0u, Reserved());
}

TEST_F(OverH2Test, RefusesABodyThatDoesNotCome) {
  const int32_t id = Begin("POST", "/v2/models/id_FP32/infer", "{", {}, /*end=*/false);
  EXPECT_FALSE(Look(id).closed);
  server_.OnLoop([&] { wire_->session().Sweep(NowNanos() + 31 * kNanosPerSecond); });
  EXPECT_EQ("408", Await(id).header(":status"));
}

TEST_F(OverH2Test, StopsWhatNobodyWaitsForAnyMore) {
  const int32_t id = Begin("POST", "/v2/models/hang/infer", Sum("1,2"));
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 1; }));
  server_.OnLoop([&] {
    wire_->Reset(id);
    wire_->Pump();
  });
  EXPECT_EQ(0, server_.engine().running);
  EXPECT_EQ("200", Ask("POST", "/v2/models/id_FP32/infer", Sum("1,2")).header(":status"));
  Begin("POST", "/v2/models/hang/infer", Sum("1,2"));
  server_.OnLoop([&] { wire_.reset(); });
  EXPECT_EQ(0, server_.engine().running);
}

TEST_F(OverH2Test, CompressesAnswersWhereTheClientAsksAndItPays) {
  std::string numbers = "1";
  for (int i = 0; i < 20'000; ++i) numbers += ",1";
  const std::string body =
      R"({"inputs":[{"name":"in","datatype":"FP32","shape":[20001],"data":[)" + numbers + "]}]}";
  const std::string binary =
      R"({"inputs":[{"name":"in","datatype":"FP32","shape":[300000],)"
      R"("parameters":{"binary_data_size":1200000}}],"parameters":{"binary_data_output":true}})";
  const std::string blob = binary + std::string(1'200'000, 'b');
  const std::string infer = "/v2/models/id_FP32/infer";
  for (const std::string& sent : {body, blob}) {
    Fields more;
    if (sent != body) {
      more = {{"inference-header-content-length", std::to_string(binary.size())}};
    }
    const Answer plain = Ask("POST", infer, sent, more);
    EXPECT_EQ("", plain.header("content-encoding"));
    for (const auto& [name, coding] :
         {std::pair{"gzip", rpc::Coding::kGzip}, {"deflate", rpc::Coding::kDeflate}}) {
      Fields asks = more;
      asks.emplace_back("accept-encoding", name);
      const Answer packed = Ask("POST", infer, sent, asks);
      EXPECT_EQ("200", packed.header(":status"));
      EXPECT_EQ(name, packed.header("content-encoding"));
      EXPECT_EQ(std::to_string(packed.data.size()), packed.header("content-length"));
      EXPECT_LT(packed.data.size(), plain.data.size() / 5);
      EXPECT_TRUE(rpc::Unzip(packed.data, coding) == plain.data);
    }
  }
  const Answer small = Ask("POST", infer, Sum("1,2"), {{"accept-encoding", "gzip"}});
  EXPECT_EQ("", small.header("content-encoding"));
  EXPECT_THAT(small.data, HasSubstr("[1.0,2.0]"));
  EXPECT_EQ(0, server_.engine().running);
  EXPECT_EQ(0u, Reserved());
}

// Each is given up at another slice of the work.
TEST_F(OverH2Test, CompressesForNobodyWhoIsGone) {
  const std::string json =
      R"({"inputs":[{"name":"in","datatype":"FP32","shape":[300000],)"
      R"("parameters":{"binary_data_size":1200000}}],"parameters":{"binary_data_output":true}})";
  const std::string blob = json + std::string(1'200'000, 'b');
  for (int slices = 0; slices < 5; ++slices) {
    server_.OnLoop([&] {
      const int32_t id =
          wire_->Open("/v2/models/id_FP32/infer",
                      {{":method", "POST"},
                       {"accept-encoding", "gzip"},
                       {"inference-header-content-length", std::to_string(json.size())}});
      wire_->Send(id, blob, true);
      wire_->Pump(/*turns=*/false);
      for (int i = 0; i < slices; ++i) wire_->session().Turn();
      EXPECT_TRUE(wire_->answer(id).heads.empty());
      EXPECT_EQ(1, server_.engine().running);
      wire_->Reset(id);
      wire_->Pump();
      EXPECT_EQ(0, server_.engine().running);
      EXPECT_EQ(0u, wire_->owner().reserved);
    });
  }
}

TEST_F(OverH2Test, SaysThatAModelIsFullBeforeALargeBodyIsRead) {
  server_.engine().full = true;
  const std::string infer = "/v2/models/id_FP32/infer";
  const std::string large(100'000, ' ');
  const int32_t told[] = {
      Begin("POST", infer, "{", {{"content-length", "20000000"}}, /*end=*/false),
      Begin("POST", infer, large, {}, /*end=*/false),  // it does not say how much there is
      Begin("POST", infer, "", {{"expect", "100-continue"}}, /*end=*/false)};
  for (const int32_t id : told) {
    const Answer answer = Await(id);
    EXPECT_EQ("503", answer.header(":status"));
    EXPECT_EQ("1", answer.header("retry-after"));
    EXPECT_THAT(answer.data, HasSubstr("too many requests"));
  }
  EXPECT_EQ(0, server_.engine().resolved);
  // Whether there is room for what is here is seen when it is wanted.
  EXPECT_EQ("200", Ask("POST", infer, Sum("1,2")).header(":status"));
  EXPECT_NE("503", Ask("POST", "/v2/logging", R"({"log_info":null})" + large).header(":status"));
  EXPECT_EQ(0u, Reserved());
}

TEST_F(OverH2Test, SaysThatItWaitsForABody) {
  const int32_t id =
      Begin("POST", "/v2/models/id_FP32/infer", "", {{"expect", "100-Continue"}}, /*end=*/false);
  EXPECT_TRUE(Eventually([&] { return !Look(id).heads.empty(); }));
  EXPECT_EQ("100", Look(id).heads.at(0)[":status"]);
  server_.OnLoop([&] {
    wire_->Send(id, Sum("1,2"), true);
    wire_->Pump();
  });
  Answer answer = Await(id);
  ASSERT_EQ(2u, answer.heads.size());
  EXPECT_EQ("200", answer.heads[1][":status"]);
  EXPECT_THAT(answer.data, HasSubstr("[1.0,2.0]"));
  EXPECT_EQ("417", Ask("GET", "/v2", "", {{"expect", "wonders"}}).header(":status"));
  // Who has no body waits for nothing.
  EXPECT_EQ(1u, Ask("GET", "/v2", "", {{"expect", "100-continue"}}).heads.size());
}

// Nobody may keep a model's memory by not reading.
TEST_F(OverH2Test, LetsGoOfTheModelWhenTheClientDoesNotRead) {
  Connect({}, /*auto_window=*/false);
  const std::string json =
      R"({"inputs":[{"name":"in","datatype":"FP32","shape":[200000],)"
      R"("parameters":{"binary_data_size":800000}}],"parameters":{"binary_data_output":true}})";
  const int32_t id = Begin("POST", "/v2/models/id_FP32/infer", json + std::string(800'000, 'b'),
                           {{"inference-header-content-length", std::to_string(json.size())}});
  EXPECT_TRUE(Eventually([&] { return !Look(id).heads.empty(); }));
  EXPECT_EQ(1, server_.engine().running);
  server_.OnLoop([&] {
    wire_->session().Sweep(NowNanos() + 2 * kNanosPerSecond);
    wire_->Pump();
  });
  EXPECT_EQ(0, server_.engine().running);
  EXPECT_FALSE(Look(id).closed);
  server_.OnLoop([&] { wire_->session().Sweep(NowNanos() + 31 * kNanosPerSecond); });
  EXPECT_TRUE(Await(id).closed);
  EXPECT_EQ(0u, Reserved());
}

}  // namespace
}  // namespace mlos::http
