// SPDX-License-Identifier: Apache-2.0
//
// Attacks by what a request says (T3, T5, T6 and T7 of the reliability tests):
// depth, sizes that overflow, strings that end behind the body, headers that
// lie, lists without end.  bad_request_test.cc has each mistake with its text;
// here they come in numbers, from several peers, while somebody is served.
#include <thread>

#include "oracle.h"
#include "raw_peer.h"

namespace mlos::test {
namespace {

constexpr size_t kDepth = 100'000;
constexpr size_t kMany = 100'000;

std::string Repeated(const std::string& text, size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string Input(const std::string& shape, const std::string& data,
                  const std::string& datatype = "FP32") {
  std::string out = R"({"inputs":[{"name":"X","datatype":")" + datatype + R"(","shape":[)" + shape;
  out += "],";
  out += data;
  return out + "}]}";
}

struct Attack {
  std::string body;
  HttpClient::Headers headers;
};

class ContentAttack : public AttackTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Start());
    daemon().BringPlugin(OnnxPlugin());
    for (const char* model : {"bytes", "fp32"}) {
      ASSERT_EQ(201, daemon()
                         .RegisterModel(model, TestData("identity_" + std::string(model) + ".onnx"))
                         .status);
      ASSERT_EQ(200, daemon().ModelAction(model, "load").status);
    }
    ASSERT_NO_FATAL_FAILURE(Watch());
  }

  // From several peers at once, again and again: 400 to each of them.
  void Storm(const std::string& target, const std::vector<Attack>& attacks, int rounds) {
    std::vector<std::thread> peers;
    for (int peer = 0; peer < 3; ++peer) {
      peers.emplace_back([&] {
        HttpClient client(daemon().address());
        for (int round = 0; round < rounds; ++round) {
          for (const Attack& attack : attacks) {
            const Reply reply = client.Send("POST", target, attack.body, attack.headers);
            EXPECT_EQ(400, reply.status) << attack.body.substr(0, 300) << "\n" << Show(reply);
            EXPECT_LT(reply.body.size(), 2000u);
          }
        }
      });
    }
    for (std::thread& peer : peers) peer.join();
  }
};

TEST_F(ContentAttack, JsonOfAnyDepth) {
  const std::string open(kDepth, '[');
  const std::string close(kDepth, ']');
  const std::string objects = Repeated(R"({"a":)", kDepth);
  const std::string tail = "1" + std::string(kDepth, '}');
  const std::string good = R"("inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}])";
  std::vector<Attack> infer;
  for (const std::string& body :
       {open, close, open + close, objects, objects + tail, R"({"inputs":)" + open + close + "}",
        R"({"inputs":)" + objects + tail + "}", Input("1", R"("data":)" + open + "1" + close),
        Input("1", R"("data":)" + open), Input("1", R"("data":)" + objects + tail),
        Input(open + close, R"("data":[1])"),
        "{" + good + R"(,"parameters":{"p":)" + open + close + "}}",
        "{" + good + R"(,"parameters":)" + objects + tail + "}",
        "{" + good + R"(,"outputs":)" + open + close + "}",
        "{" + good + R"(,"id":)" + open + close + "}", "{" + good + R"(,"unknown":)" + open}) {
    infer.push_back({body, {}});
  }
  Storm("/v2/models/bystander/infer", infer, 3);
  std::vector<Attack> management;
  for (const std::string& body : {open + close, objects + tail, R"({"name":)" + open + close + "}",
                                  R"({"name":"x","path":"/x","config":)" + objects + tail + "}"}) {
    management.push_back({body, {}});
  }
  Storm("/api/v1/models", management, 3);
}

TEST_F(ContentAttack, ShapesThatOverflow) {
  std::vector<Attack> attacks;
  for (const char* shape : {"4294967296,4294967296",
                            "4294967296",
                            "-1",
                            "0",
                            "0,0",
                            "2",
                            "-0.0",
                            "1e0",
                            "1.0",
                            "9223372036854775807",
                            "9223372036854775808",
                            "18446744073709551615",
                            "18446744073709551616",
                            "-9223372036854775808",
                            "4611686018427387904,4",
                            "2147483648,2147483648,2",
                            "3,0,9223372036854775807",
                            "true",
                            "null",
                            "\"1\"",
                            "[1]",
                            "{}"}) {
    attacks.push_back({Input(shape, R"("data":[1])"), {}});
    for (const char* size : {"4", "0", "3", "5", "9223372036854775807", "18446744073709551612"}) {
      // One shape and size of these fit together; with no bytes behind them it is wrong, too.
      const std::string json =
          Input(shape, R"("parameters":{"binary_data_size":)" + std::string(size) + "}");
      attacks.push_back(
          {json + "\1", {{"Inference-Header-Content-Length", std::to_string(json.size())}}});
    }
  }
  Storm("/v2/models/fp32/infer", attacks, 10);
  Storm("/v2/models/bystander/infer", attacks, 10);
}

TEST_F(ContentAttack, StringsThatEndBehindTheBody) {
  std::vector<Attack> attacks;
  const auto binary = [&](int64_t count, const std::string& bytes) {
    const BinaryRequest request = MakeBinary({{"x", "BYTES", {count}, bytes}});
    attacks.push_back({request.body, request.headers()});
  };
  for (const uint32_t length : {2u, 3u, 0x7fffffffu, 0x80000000u, 0xfffffffcu, 0xffffffffu}) {
    binary(1, BytesOf(std::vector<uint32_t>{length}) + "a");
    binary(2, BytesTensor({"ab"}) + BytesOf(std::vector<uint32_t>{length}) + "a");
  }
  binary(1, "");
  binary(1, "\1");
  binary(1, std::string("\1\0\0", 3));
  binary(0, std::string("\0\0\0\0", 4));
  binary(kMany, BytesTensor({"a"}));
  binary(1, std::string(400'000, '\0'));
  for (const char* text :
       {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", R"("\ud800")",
        R"("\udc00\ud800")", R"("\u12")", R"("\x")", "\"", "\"a", "\"\1\"", "'a'", "1"}) {
    attacks.push_back({R"({"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":[)" +
                           std::string(text) + "]}]}",
                       {}});
  }
  Storm("/v2/models/bytes/infer", attacks, 20);
}

TEST_F(ContentAttack, LengthHeadersThatLie) {
  const BinaryRequest right = MakeBinary({{"X", "FP32", {1}, std::string(4, '\0')}});
  ASSERT_STREQ("",
               ReadBinary(daemon().Post("/v2/models/bystander/infer", right.body, right.headers()))
                   .error.c_str());
  std::vector<Attack> attacks;
  for (const std::string& value : std::vector<std::string>{
           "-1", "-0", "18446744073709551615", "18446744073709551616", "9223372036854775807",
           "9223372036854775808", "x", "", " ", "0x10", "1e1", "+1", "1,1", "1 1", "1;1", "\"1\"",
           std::to_string(right.body.size() + 1), std::to_string(right.json_size - 1),
           std::to_string(right.json_size + 1)}) {
    attacks.push_back({right.body, {{"Inference-Header-Content-Length", value}}});
    attacks.push_back({right.body,
                       {{"Inference-Header-Content-Length", std::to_string(right.json_size)},
                        {"Inference-Header-Content-Length", value}}});
  }
  Storm("/v2/models/bystander/infer", attacks, 20);
}

TEST_F(ContentAttack, ListsWithoutEnd) {
  const std::string input = R"({"name":"X","datatype":"FP32","shape":[1],"data":[1]},)";
  const auto closed = [](std::string list) {
    list.back() = ']';
    return list;
  };
  const std::string one = R"({"inputs":[)" + closed(input);
  const std::string outputs = closed(Repeated(R"({"name":"Y"},)", kMany));
  std::vector<Attack> attacks;
  for (const std::string& body :
       {one + R"(,"outputs":[)" + outputs + "}",
        R"({"inputs":[)" + closed(Repeated(input, kMany)) + "}",
        one + R"(,"outputs":[{"name":"Y"},{"name":"Y"}]})",
        R"({"inputs":[)" + input + closed(input) + "}", one + "," + one.substr(1) + "}",
        one + R"(,"outputs":[)" + closed(Repeated("{},", kMany)) + "}",
        one + R"(,"outputs":[)" + closed(Repeated("1,", kMany)) + "}",
        one + R"(,"parameters":{)" + Repeated(R"("p":1,)", kMany) + R"("p":1}})",
        Input(Repeated("1,", kMany) + "1", R"("data":[1])"),
        Input("1", R"("data":[)" + Repeated("1,", kMany) + "1]"),
        one + R"(,"outputs":[{"name":")" + std::string(kMany, 'Y') + "\"}]}"}) {
    attacks.push_back({body, {}});
  }
  Storm("/v2/models/bystander/infer", attacks, 2);
}

}  // namespace
}  // namespace mlos::test
