// SPDX-License-Identifier: Apache-2.0
//
// Compressed bodies and answers over a real socket, and what a hostile peer
// makes of them.
#include <zlib.h>

#include <random>
#include <thread>

#include "base/sanitized.h"
#include "frontends/http/infer_fixture.h"

namespace mlos::http {
namespace {

using testing::HasSubstr;

// By the library's one-shot functions.
std::string Gzip(const std::string& text, int format = 31) {
  z_stream stream{};
  EXPECT_EQ(Z_OK, deflateInit2(&stream, 9, Z_DEFLATED, format, 9, Z_DEFAULT_STRATEGY));
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(Z_STREAM_END, deflate(&stream, Z_FINISH));
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
std::string Zlib(const std::string& text) { return Gzip(text, 15); }

// Either format; empty if it is neither.
std::string Unpack(const std::string& packed, size_t most = 64 << 20) {
  z_stream stream{};
  EXPECT_EQ(Z_OK, inflateInit2(&stream, 47));
  std::string out(most, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<unsigned>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0;
  out.resize(whole ? stream.total_out : 0);
  inflateEnd(&stream);
  return out;
}

constexpr const char* kGzip = "Content-Encoding: gzip\r\n";
constexpr const char* kOne =
    R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";

std::string Json(size_t elements) {
  std::string json = R"({"inputs":[{"name":"in","datatype":"FP32","shape":[)" +
                     std::to_string(elements) + R"(],"data":[)";
  for (size_t i = 0; i < elements; ++i) {
    json += std::to_string(i % 977);
    json += i + 1 < elements ? ".25," : ".25";
  }
  return json + "]}]}";
}

// A UINT8 tensor, binary both ways: JSON and the tensor behind it.
std::string BinaryJson(size_t bytes) {
  return R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[)" + std::to_string(bytes) +
         R"(],"parameters":{"binary_data_size":)" + std::to_string(bytes) +
         R"(}}],"parameters":{"binary_data_output":true}})";
}

class InferCoding : public InferHttp {
 protected:
  // The length of the JSON part is that of the JSON, whatever is sent.
  Reply SendBinary(const std::string& blob, std::string_view fields) {
    const std::string json = BinaryJson(blob.size());
    return Infer("id_UINT8", Gzip(json + blob),
                 "Content-Encoding: gzip\r\nInference-Header-Content-Length: " +
                     std::to_string(json.size()) + "\r\n" + std::string(fields));
  }
};

TEST_F(InferCoding, BodiesInBothCodings) {
  for (const size_t elements : {1, 1000, 200'000}) {
    SCOPED_TRACE(elements);
    const std::string json = Json(elements);
    const std::string plain = DataOf(Infer("id_FP32", json));
    EXPECT_EQ(DataOf(Infer("id_FP32", Gzip(json), kGzip)), plain);
    EXPECT_EQ(DataOf(Infer("id_FP32", Zlib(json), "Content-Encoding: deflate\r\n")), plain);
    EXPECT_EQ(DataOf(Infer("id_FP32", Gzip(json), "content-encoding: X-GZip\r\n")), plain);
    EXPECT_EQ(DataOf(Infer("id_FP32", json, "Content-Encoding: identity\r\n")), plain);
  }
  // Several members one after the other.
  const std::string json = Json(1000);
  EXPECT_EQ(DataOf(Infer("id_FP32", Gzip(json.substr(0, 700)) + Gzip("") + Gzip(json.substr(700)),
                         kGzip)),
            DataOf(Infer("id_FP32", json)));
}

TEST_F(InferCoding, ACompressedBodyInChunks) {
  const std::string packed = Gzip(Json(3000));
  std::string request =
      "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
      "Content-Encoding: gzip\r\n\r\n";
  char size[16];
  for (size_t at = 0; at < packed.size(); at += 100) {
    const std::string piece = packed.substr(at, 100);
    std::snprintf(size, sizeof(size), "%zx\r\n", piece.size());
    request += size;
    request += piece;
    request += "\r\n";
  }
  ASSERT_TRUE(client_.Send(request + "0\r\n\r\n"));
  EXPECT_EQ(DataOf(client_.Read()), DataOf(Infer("id_FP32", Json(3000))));
}

TEST_F(InferCoding, TheLengthOfTheJsonIsThatOfTheJson) {
  std::string blob(5'000'000, '\0');
  for (size_t i = 0; i < blob.size(); ++i) blob[i] = static_cast<char>(i / 7);
  const Reply plain = SendBinary(blob, "");
  ASSERT_EQ(plain.status, 200) << plain.body;
  EXPECT_TRUE(BlobPart(plain) == blob);
  const Reply raw = Infer("id_UINT8", Gzip(blob),
                          "Content-Encoding: gzip\r\nInference-Header-Content-Length: 0\r\n");
  ASSERT_EQ(raw.status, 200) << raw.body;
  EXPECT_TRUE(BlobPart(raw) == blob);

  for (const char* coding : {"gzip", "deflate"}) {
    SCOPED_TRACE(coding);
    const Reply packed = SendBinary(blob, "Accept-Encoding: " + std::string(coding) + "\r\n");
    ASSERT_EQ(packed.status, 200);
    EXPECT_EQ(packed.fields.at("content-encoding"), coding);
    EXPECT_EQ(packed.fields.at("inference-header-content-length"),
              plain.fields.at("inference-header-content-length"));
    EXPECT_EQ(packed.fields.at("content-type"), "application/octet-stream");
    EXPECT_LT(packed.body.size(), plain.body.size() / 2);
    EXPECT_TRUE(Unpack(packed.body) == plain.body);
    EXPECT_EQ(packed.body.substr(0, 1), coding == std::string("gzip") ? "\x1f" : "\x78");
  }
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(InferCoding, AnswersAreCompressedWhereTheClientAsksAndItPays) {
  const auto coding_of = [&](size_t elements, std::string_view accept) {
    const std::string json = Json(elements);
    const std::string plain = Infer("id_FP32", json).body;
    const Reply reply = Infer("id_FP32", json, "Accept-Encoding: " + std::string(accept) + "\r\n");
    EXPECT_EQ(reply.status, 200);
    const auto coding = reply.fields.find("content-encoding");
    if (coding == reply.fields.end()) {
      EXPECT_EQ(reply.body, plain);
      return std::string("identity");
    }
    EXPECT_EQ(Unpack(reply.body), plain);
    EXPECT_EQ(reply.fields.at("content-type"), "application/json");
    return coding->second;
  };
  EXPECT_EQ(coding_of(2000, "gzip"), "gzip");
  EXPECT_EQ(coding_of(2000, "gzip, deflate, br"), "gzip");
  EXPECT_EQ(coding_of(100'000, "deflate;q=0.9, gzip;q=0.1"), "deflate");
  EXPECT_EQ(coding_of(2000, "identity, gzip;q=0.5"), "identity");
  EXPECT_EQ(coding_of(2000, "br, zstd"), "identity");
  EXPECT_EQ(coding_of(2000, "*"), "identity");
  EXPECT_EQ(coding_of(2000, ""), "identity");
  EXPECT_EQ(coding_of(10, "gzip"), "identity");  // a packet is a packet
  // Errors and everything else are small.
  const Reply error = Infer("id_FP32", "{}", "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(error.fields.count("content-encoding"), 0u);
  ExpectError(error, 400, "inputs");
}

TEST_F(InferCoding, NoiseIsSentAsItIs) {
  std::mt19937 random(3);
  std::string noise(3'000'000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  const Reply reply = SendBinary(noise, "Accept-Encoding: gzip\r\n");
  ASSERT_EQ(reply.status, 200);
  EXPECT_EQ(reply.fields.count("content-encoding"), 0u);
  EXPECT_TRUE(BlobPart(reply) == noise);
}

TEST(InferCodingOptions, CompressionHasAnOnset) {
  HttpOptions options;
  options.compress_from_bytes = 0;
  TestServer never(options);
  EXPECT_EQ(TestClient(never.address())
                .Ask("POST", "/v2/models/id_FP32/infer", Json(50'000), "Accept-Encoding: gzip\r\n")
                .fields.count("content-encoding"),
            0u);
  options.compress_from_bytes = 1;
  TestServer always(options);
  EXPECT_EQ(TestClient(always.address())
                .Ask("POST", "/v2/models/id_FP32/infer", Json(40), "Accept-Encoding: gzip\r\n")
                .fields.at("content-encoding"),
            "gzip");
}

TEST_F(InferCoding, CodingsThatAreNotKnown) {
  for (const char* coding : {"br", "zstd", "gzip, gzip", "gzip\r\nContent-Encoding: gzip"}) {
    SCOPED_TRACE(coding);
    const Reply reply =
        Infer("id_FP32", Gzip(kOne), "Content-Encoding: " + std::string(coding) + "\r\n");
    ExpectError(reply, 415, "gzip and deflate are");
    EXPECT_EQ(reply.fields.at("accept-encoding"), "gzip, deflate");
  }
  const Reply elsewhere = client_.Ask("POST", "/api/v1/plugins", Gzip("{}"), kGzip);
  EXPECT_EQ(elsewhere.status, 415);
  EXPECT_EQ(elsewhere.fields.at("accept-encoding"), "identity");
}

TEST_F(InferCoding, BrokenStreamsAreRefused) {
  const std::string json = Json(30'000);
  const std::string packed = Gzip(json);
  const std::pair<std::string, const char*> kWrong[] = {
      {"", "cut off"},
      {json, "is not in the Content-Encoding gzip: incorrect header check"},
      {Zlib(json), "incorrect header check"},
      {packed.substr(0, packed.size() / 2), "cut off"},
      {packed.substr(0, packed.size() - 1), "cut off"},
      {packed + "garbage", "7 bytes follow its end"},
      {packed + json, "bytes follow its end"},
  };
  for (const auto& [body, text] : kWrong) {
    TestClient client(server_.address());
    const Reply reply = client.Ask("POST", "/v2/models/id_FP32/infer", body, kGzip);
    ExpectError(reply, 400, text);
  }
  std::string flipped = packed;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 0x10);
  EXPECT_EQ(
      TestClient(server_.address()).Ask("POST", "/v2/models/id_FP32/infer", flipped, kGzip).status,
      400);
  // zlib's frame is what the coding is; clients that leave it out are told.
  ExpectError(TestClient(server_.address())
                  .Ask("POST", "/v2/models/id_FP32/infer", Gzip(json, -15),
                       "Content-Encoding: deflate\r\n"),
              400, "zlib's format, RFC 1950");
}

// -------------------------------------------------------------- hostile peers

uint64_t AnonymousBytes() {
  uint64_t pages = 0;
  uint64_t shared = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  EXPECT_EQ(2, std::fscanf(file, "%*u %lu %lu", &pages, &shared));
  std::fclose(file);
  return (pages - shared) * 4096;
}

HttpOptions SmallBodies() {
  HttpOptions options;
  options.max_body_bytes = 4 << 20;
  options.max_buffered_bytes = 16 << 20;
  return options;
}

// Sanitizers keep what was freed for a while.
constexpr uint64_t kMayGrow = (kSanitized ? 600 : 32) << 20;

// A thousand to one: the answer comes when the limit is passed, and nowhere
// near all of it was ever in memory.
TEST(InferBombs, StopAtTheLimitWithBoundedMemory) {
  const std::string bomb = Gzip(std::string(256 << 20, '\0'));
  ASSERT_LT(bomb.size(), 300u << 10);
  HttpOptions options = SmallBodies();
  options.max_ratio = 1100;  // the size alone has to do
  TestServer server(options);
  const uint64_t before = AnonymousBytes();
  for (int i = 0; i < 20; ++i) {
    const Reply reply =
        TestClient(server.address()).Ask("POST", "/v2/models/id_UINT8/infer", bomb, kGzip);
    EXPECT_EQ(reply.status, 413);
    EXPECT_THAT(reply.body, HasSubstr("decompressed, is larger than the 4194304 bytes"));
  }
  EXPECT_LT(AnonymousBytes(), before + kMayGrow);
}

TEST(InferBombs, AreToldByTheirRatioFirst) {
  TestServer server;
  const std::string bomb = Gzip(std::string(32 << 20, '\0'));
  const Reply reply =
      TestClient(server.address()).Ask("POST", "/v2/models/id_UINT8/infer", bomb, kGzip);
  EXPECT_EQ(reply.status, 413);
  EXPECT_THAT(reply.body, HasSubstr("more than 200 times its size"));
  // An image of zeros is not one.
  const std::string small(600'000, '\0');
  const Reply good = TestClient(server.address())
                         .Ask("POST", "/v2/models/id_UINT8/infer", Gzip(small),
                              "Content-Encoding: gzip\r\nInference-Header-Content-Length: 0\r\n");
  EXPECT_EQ(good.status, 200) << good.body.substr(0, 200);
}

TEST(InferBombs, AllTogetherStayWithinTheBufferedBytes) {
  HttpOptions options = SmallBodies();
  options.max_ratio = 1100;
  options.max_buffered_bytes = 6 << 20;
  TestServer server(options);
  // Just within the limit of one body, and whole numbers, so that it is held while the model hangs.
  const std::string packed = Gzip(std::string((4 << 20) - sizeof(float), '\0'));
  constexpr int kClients = 6;
  std::vector<std::unique_ptr<TestClient>> clients;
  clients.reserve(kClients);
  const std::string request =
      "POST /v2/models/hang/infer HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
      "Inference-Header-Content-Length: 0\r\nContent-Length: " +
      std::to_string(packed.size()) + "\r\n\r\n" + packed;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.address()));
    ASSERT_TRUE(clients.back()->Send(request));
  }
  // At most one fits; whoever is refused is told to come again.
  ASSERT_TRUE(Eventually([&] {
    return server.server()
               .counters()
               .answers[static_cast<size_t>(metrics::RouteClass::kInfer)]
                       [503 - metrics::HttpCounters::kLeastStatus]
               .value() >= kClients - 1;
  }));
  clients.clear();
  EXPECT_TRUE(Eventually([&] { return server.connections() == 0; }));
  // And what they held is free again.
  const Reply reply = TestClient(server.address())
                          .Ask("POST", "/v2/models/id_UINT8/infer", packed,
                               "Content-Encoding: gzip\r\nInference-Header-Content-Length: 0\r\n");
  EXPECT_EQ(reply.status, 200);
}

// While many decompress, a small request is answered between their slices.
TEST(InferBombs, OthersAreServedBetweenTheSlices) {
  HttpOptions options;
  options.max_ratio = 1100;
  TestServer server(options);
  const std::string packed = Gzip(std::string(60 << 20, '\0'));
  const std::string request =
      "POST /v2/models/id_UINT8/infer HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
      "Content-Length: " +
      std::to_string(packed.size()) + "\r\n\r\n" + packed;
  std::vector<std::unique_ptr<TestClient>> clients;
  constexpr int kClients = 4;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<TestClient>(server.address()));
    ASSERT_TRUE(clients.back()->Send(request));
  }
  const auto answered = [&] {
    uint64_t sum = 0;
    for (const auto& answers :
         server.server().counters().answers[static_cast<size_t>(metrics::RouteClass::kInfer)]) {
      sum += answers.value();
    }
    return sum;
  };
  TestClient other(server.address());
  uint64_t served_between = 0;
  while (answered() - served_between < kClients) {
    ASSERT_EQ(other.Ask("POST", "/v2/models/id_FP32/infer", kOne).status, 200);
    ++served_between;
  }
  // 4 × 60 MiB are nearly 2,000 slices; in one piece there would be none between.
  EXPECT_GT(served_between, 50u);
}

TEST(InferBombs, AClientThatLeavesInBetween) {
  HttpOptions options;
  options.max_ratio = 1100;
  TestServer server(options);
  const std::string packed = Gzip(std::string(60 << 20, '\0'));
  for (int i = 0; i < 5; ++i) {
    TestClient client(server.address());
    ASSERT_TRUE(client.Send(
        "POST /v2/models/id_UINT8/infer HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
        "Content-Length: " +
        std::to_string(packed.size()) + "\r\n\r\n" + packed));
  }
  EXPECT_TRUE(Eventually([&] { return server.connections() == 0; }));
  EXPECT_EQ(server.engine().running, 0);
}

TEST(InferBombs, TheServerGoesInBetween) {
  auto server = std::make_unique<TestServer>();
  const std::string packed = Gzip(Json(2'000'000));
  std::vector<std::unique_ptr<TestClient>> clients;
  clients.reserve(3);
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<TestClient>(server->address()));
    ASSERT_TRUE(clients.back()->Send(
        "POST /v2/models/id_FP32/infer HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
        "Accept-Encoding: gzip\r\nContent-Length: " +
        std::to_string(packed.size()) + "\r\n\r\n" + packed));
  }
  server.reset();
  for (auto& client : clients) client->ReadAll();
}

}  // namespace
}  // namespace mlos::http
