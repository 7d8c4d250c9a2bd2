// SPDX-License-Identifier: Apache-2.0
//
// Inference over a real socket: JSON and the binary extension in every
// combination, and every way in which a request can be wrong.
#include <tuple>

#include "frontends/http/infer_fixture.h"

namespace mlos::http {
namespace {

using testing::HasSubstr;

TEST_F(InferHttp, AnUnknownModelIsSaidBeforeWhatIsWrongWithItsRequest) {
  ExpectError(Infer("nothing", "{}"), 404, "nothing");
  ExpectError(Infer("nothing", "no JSON"), 404, "nothing");
  ExpectError(Infer("id_FP32", "{}"), 400, "inputs");
}

TEST_F(InferHttp, JsonInJsonOut) {
  const Reply reply = Infer("id_FP32", R"({"id":"r\"1","inputs":[{"name":"in","shape":[4],)"
                                       R"("datatype":"FP32","data":[1,2.5,-0.25,1e10]}]})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            R"({"id":"r\"1","model_name":"id_FP32","model_version":"1","outputs":[{"name":"out",)"
            R"("datatype":"FP32","shape":[4],"data":[1.0,2.5,-0.25,1e+10]}]})");
  EXPECT_EQ(reply.fields.at("content-type"), "application/json");
  EXPECT_EQ(reply.fields.count("inference-header-content-length"), 0u);
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(InferHttp, EveryDatatypeAsJson) {
  EXPECT_EQ(DataOf(InferData("INT8", "[3]", "[-128,0,127]")), "[-128,0,127]");
  EXPECT_EQ(DataOf(InferData("INT16", "[2]", "[-32768,32767]")), "[-32768,32767]");
  EXPECT_EQ(DataOf(InferData("INT32", "[2]", "[-2147483648,2147483647]")),
            "[-2147483648,2147483647]");
  EXPECT_EQ(DataOf(InferData("INT64", "[2]", "[-9223372036854775808,9223372036854775807]")),
            "[-9223372036854775808,9223372036854775807]");
  EXPECT_EQ(DataOf(InferData("UINT8", "[2]", "[0,255]")), "[0,255]");
  EXPECT_EQ(DataOf(InferData("UINT16", "[2]", "[0,65535]")), "[0,65535]");
  EXPECT_EQ(DataOf(InferData("UINT32", "[2]", "[0,4294967295]")), "[0,4294967295]");
  EXPECT_EQ(DataOf(InferData("UINT64", "[2]", "[0,18446744073709551615]")),
            "[0,18446744073709551615]");
  EXPECT_EQ(DataOf(InferData("FP64", "[3]", "[0.1,-1e308,5]")), "[0.1,-1e+308,5.0]");
  EXPECT_EQ(DataOf(InferData("BOOL", "[2]", "[true,false]")), "[true,false]");
  EXPECT_EQ(DataOf(InferData("BYTES", "[3]", R"(["a","","\u00e9\n\"x"])")),
            "[\"a\",\"\",\"\xc3\xa9\\n\\\"x\"]");
}

TEST_F(InferHttp, SpecialFloats) {
  EXPECT_EQ(DataOf(InferData("FP32", "[5]", "[NaN,Infinity,-Infinity, Inf , -Inf]")),
            "[NaN,Infinity,-Infinity,Infinity,-Infinity]");
  EXPECT_EQ(DataOf(InferData("FP64", "[2]", "[-0.0,1e-400]")), "[-0.0,0.0]");
}

TEST_F(InferHttp, NestedArraysAreFlattened) {
  EXPECT_EQ(DataOf(InferData("INT32", "[4]", "[[1,2],[[3],[4]]]")), "[1,2,3,4]");
  EXPECT_EQ(DataOf(InferData("INT32", "[0]", "[]")), "[]");
  EXPECT_EQ(DataOf(InferData("INT32", "[0]", "[[],[]]")), "[]");
  EXPECT_EQ(DataOf(InferData("BYTES", "[2]", R"([["x"],["yy"]])")), R"(["x","yy"])");
}

TEST_F(InferHttp, MembersInAnyOrderAndUnknownOnes) {
  EXPECT_EQ(DataOf(Infer("id_BYTES", R"({"model_name":"x","deep":[[{"a":[]}]],"inputs":[{"data":)"
                                     R"(["one","two"],"more":{},"shape":[2],"name":"in",)"
                                     R"("datatype":"BYTES"}]})")),
            R"(["one","two"])");
}

TEST_F(InferHttp, BinaryInBinaryOut) {
  const std::string json =
      R"({"inputs":[{"name":"in","datatype":"FP16","shape":[3],"parameters":)"
      R"({"binary_data_size":6}}],"outputs":[{"name":"out","parameters":{"binary_data":true}}]})";
  const Reply reply = InferBinary("id_FP16", json, "abcdef");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.fields.at("content-type"), "application/octet-stream");
  const size_t header = std::stoul(reply.fields.at("inference-header-content-length"));
  EXPECT_EQ(reply.body.substr(0, header),
            R"({"model_name":"id_FP16","model_version":"1","outputs":[{"name":"out",)"
            R"("datatype":"FP16","shape":[3],"parameters":{"binary_data_size":6}}]})");
  EXPECT_EQ(reply.body.substr(header), "abcdef");
}

TEST_F(InferHttp, MixedRepresentationsInTheClientsOrder) {
  const std::string json =
      R"({"inputs":[{"name":"c","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":11}},)"
      R"({"name":"b","datatype":"FP32","shape":[1,2],"data":[1.5,2]},)"
      R"({"name":"a","datatype":"INT32","shape":[2],"parameters":{"binary_data_size":8}}],)"
      R"("parameters":{"binary_data_output":true},)"
      R"("outputs":[{"name":"c"},{"name":"b","parameters":{"binary_data":false}},{"name":"a"}]})";
  const std::string blobs = RawStrings({"x", "yy"}) + Raw<int32_t>({5, 6});
  const Reply reply = InferBinary("pair", json, blobs);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const size_t header = std::stoul(reply.fields.at("inference-header-content-length"));
  EXPECT_EQ(reply.body.substr(0, header),
            R"({"model_name":"pair","model_version":"7","outputs":[)"
            R"({"name":"c","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":11}},)"
            R"({"name":"b","datatype":"FP32","shape":[1,2],"data":[1.5,2.0]},)"
            R"({"name":"a","datatype":"INT32","shape":[2],"parameters":{"binary_data_size":8}}]})");
  EXPECT_EQ(reply.body.substr(header), blobs);
}

TEST_F(InferHttp, JsonLengthOnARequestThatIsAllJson) {
  const std::string json = R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";
  EXPECT_EQ(DataOf(InferBinary("id_FP32", json, "")), "[7.0]");
}

TEST_F(InferHttp, EmptyBinaryOutputComesWithoutTheHeader) {
  const std::string json = R"({"inputs":[{"name":"in","datatype":"FP32","shape":[0],"parameters":)"
                           R"({"binary_data_size":0}}],"parameters":{"binary_data_output":true}})";
  const Reply reply = InferBinary("id_FP32", json, "");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.fields.count("inference-header-content-length"), 0u);
  EXPECT_EQ(reply.fields.at("content-type"), "application/json");
  EXPECT_THAT(reply.body, HasSubstr(R"("parameters":{"binary_data_size":0})"));
}

TEST_F(InferHttp, LargeBinaryIsSentFromWhereItLies) {
  std::string blob(602112, '\0');
  for (size_t i = 0; i < blob.size(); ++i) blob[i] = static_cast<char>(i * 7);
  const std::string json = R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[602112],)"
                           R"("parameters":{"binary_data_size":602112}}],)"
                           R"("parameters":{"binary_data_output":true}})";
  for (int i = 0; i < 3; ++i) {
    const Reply reply = InferBinary("id_UINT8", json, blob);
    ASSERT_EQ(reply.status, 200);
    const size_t header = std::stoul(reply.fields.at("inference-header-content-length"));
    EXPECT_EQ(reply.body.size(), header + blob.size());
    EXPECT_TRUE(reply.body.compare(header, std::string::npos, blob) == 0);
  }
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(InferHttp, RawBinaryRequests) {
  const char* raw = "Inference-Header-Content-Length: 0\r\n";
  const std::string floats = Raw<float>({1, 2, 3});
  Reply reply = Infer("id_FP32", floats, raw);
  ASSERT_EQ(reply.status, 200) << reply.body;
  size_t header = std::stoul(reply.fields.at("inference-header-content-length"));
  EXPECT_THAT(reply.body.substr(0, header), HasSubstr(R"("shape":[3])"));
  EXPECT_EQ(reply.body.substr(header), floats);

  reply = Infer("word", "hello", raw);
  ASSERT_EQ(reply.status, 200) << reply.body;
  header = std::stoul(reply.fields.at("inference-header-content-length"));
  EXPECT_EQ(reply.body.substr(header), RawStrings({"hello"}));

  EXPECT_EQ(Infer("batch", Raw<float>({1, 2}), raw).status, 200);
  ExpectError(Infer("batch", Raw<float>({1, 2, 3, 4}), raw), 400, "takes 8");
  ExpectError(Infer("id_FP32", "12345", raw), 400, "5 bytes are no whole number of rows");
  ExpectError(Infer("pair", "1234", raw), 400, "one input, this has 3");
}

TEST_F(InferHttp, VersionsAndNames) {
  const std::string json = R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";
  EXPECT_EQ(client_.Ask("POST", "/v2/models/id_FP32/versions/1/infer", json).status, 200);
  EXPECT_EQ(client_.Ask("POST", "/v2/models/id_FP32/versions/001/infer", json).status, 200);
  EXPECT_EQ(client_.Ask("POST", "/v2/models/odd%20name%2f%C3%A9/infer", json).status, 200);
  ExpectError(client_.Ask("POST", "/v2/models/id_FP32/versions/2/infer", json), 404, "id_FP32");
  ExpectError(client_.Ask("POST", "/v2/models/nobody/infer", json), 404, "nobody");
  ExpectError(client_.Ask("POST", "/v2/models/id_FP32/versions/x/infer", json), 404, "id_FP32");
  ExpectError(client_.Ask("POST", "/v2/models/a%00b/infer", json), 400, "percent");
}

TEST_F(InferHttp, WaitsForTheModelAndForMemory) {
  const std::string json = R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";
  EXPECT_EQ(DataOf(Infer("later", json)), "[7.0]");
  EXPECT_EQ(DataOf(Infer("ondemand", json)), "[7.0]");
  server_.engine().allocate_later = true;
  EXPECT_EQ(DataOf(Infer("later", json)), "[7.0]");
  const std::string bytes =
      R"({"inputs":[{"name":"in","datatype":"BYTES","shape":[2],"data":["a\n","b"]}]})";
  EXPECT_EQ(DataOf(Infer("id_BYTES", bytes)), R"(["a\n","b"])");
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(InferHttp, ModelErrorsKeepTheirMeaning) {
  const std::string json = R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";
  const std::pair<const char*, int> kCodes[] = {
      {"CANCELLED", 400},         {"INVALID_ARGUMENT", 400},   {"DEADLINE_EXCEEDED", 504},
      {"NOT_FOUND", 404},         {"RESOURCE_EXHAUSTED", 429}, {"FAILED_PRECONDITION", 400},
      {"UNIMPLEMENTED", 501},     {"INTERNAL", 500},           {"UNAVAILABLE", 503},
      {"PERMISSION_DENIED", 403},
  };
  for (const auto& [code, status] : kCodes) {
    const Reply reply = Infer("fail_" + std::string(code), json);
    ExpectError(reply, status, "this model fails");
    EXPECT_EQ(reply.fields.count("retry-after"), status == 503 || status == 429 ? 1u : 0u) << code;
  }
  ExpectError(Infer("unloaded", json), 503, "unloaded");
  server_.engine().max_request_bytes = 100;
  const Reply reply = Infer("id_FP32", json);
  ExpectError(reply, 413, "larger than");
  EXPECT_EQ(reply.fields.count("retry-after"), 0u);
}

TEST_F(InferHttp, WrongNumbers) {
  const std::tuple<const char*, const char*, const char*> kWrong[] = {
      {"INT8", "[1]", "[128]"},
      {"INT8", "[1]", "[-129]"},
      {"INT16", "[1]", "[32768]"},
      {"INT32", "[1]", "[2147483648]"},
      {"INT64", "[1]", "[9223372036854775808]"},
      {"INT64", "[1]", "[-9223372036854775809]"},
      {"UINT8", "[1]", "[-1]"},
      {"UINT8", "[1]", "[256]"},
      {"UINT64", "[1]", "[18446744073709551616]"},
      {"UINT64", "[1]", "[-1]"},
      {"INT32", "[1]", "[1.0]"},
      {"INT32", "[1]", "[1e3]"},
      {"INT32", "[1]", "[true]"},
      {"INT32", "[1]", "[\"1\"]"},
      {"INT32", "[1]", "[NaN]"},
      {"FP32", "[1]", "[1e39]"},
      {"FP32", "[1]", "[-1e308]"},
      {"FP64", "[1]", "[1e309]"},
      {"FP32", "[1]", "[\"1\"]"},
      {"FP32", "[1]", "[true]"},
      {"FP32", "[1]", "[null]"},
      {"FP32", "[1]", "[{}]"},
      {"FP32", "[1]", "[nan]"},
      {"FP32", "[1]", "[NaNa]"},
      {"FP32", "[1]", "[--1]"},
      {"FP32", "[1]", "[01]"},
      {"FP32", "[1]", "[1.]"},
      {"FP32", "[1]", "[.5]"},
      {"FP32", "[1]", "[+1]"},
      {"FP32", "[1]", "[0x10]"},
      {"BOOL", "[1]", "[1]"},
      {"BOOL", "[1]", "[\"true\"]"},
      {"BYTES", "[1]", "[1]"},
      {"BYTES", "[1]", "[\"\\ud800\"]"},
      {"BYTES", "[1]", "[null]"},
  };
  for (const auto& [datatype, shape, data] : kWrong) {
    SCOPED_TRACE(std::string(datatype) + data);
    ExpectError(InferData(datatype, shape, data), 400, "input 'in': element 0 is");
  }
}

TEST_F(InferHttp, WrongCountsAndStructures) {
  ExpectError(InferData("FP32", "[3]", "[1,2]"), 400, "has 2 elements but its shape takes 3");
  ExpectError(InferData("FP32", "[1]", "[1,2]"), 400, "more elements than the 1");
  ExpectError(InferData("BYTES", "[3]", "[\"a\"]"), 400, "has 1 elements but its shape takes 3");
  ExpectError(InferData("FP32", "[1]", "1"), 400, "\\\"data\\\" is not an array");
  ExpectError(InferData("FP32", "[1]", "[1"), 400, "not valid JSON");
  ExpectError(InferData("FP32", "[2]", "[1 2]"), 400, "not valid JSON");
  ExpectError(InferData("FP32", "[2]", "[1,,2]"), 400, "in");
  ExpectError(InferData("FP32", "[1000000000000]", "[1]"), 400, "more elements than the request");
  ExpectError(InferData("FP32", "[9223372036854775807]", "[1]"), 400, "overflows");
  ExpectError(InferData("FP32", "[4611686018427387904]", "[1]"), 400, "overflows");
  ExpectError(InferData("FP32", "[-1]", "[1]"), 400, "dimension 0");
  ExpectError(InferData("FP32", "[1.5]", "[1]"), 400, "dimension 0");
  ExpectError(InferData("FP32", "[9223372036854775808]", "[1]"), 400, "dimension 0");
  ExpectError(InferData("FP32", "\"1\"", "[1]"), 400, "\\\"shape\\\" is not an array");
  ExpectError(InferData("FP32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[1]"), 400,
              "more than 16 dimensions");
  ExpectError(InferData("FP16", "[1]", "[1]"), 400, "FP16 has no JSON form");
  ExpectError(InferData("BF16", "[1]", "[1]"), 400, "BF16 has no JSON form");
}

TEST_F(InferHttp, DeepJsonIsRefusedNotFollowed) {
  const std::string open(100000, '[');
  const std::string close(100000, ']');
  ExpectError(InferData("FP32", "[1]", open + "1" + close), 400, "nested deeper than 100");
  ExpectError(InferData("FP32", "[1]", open), 400, "not valid JSON");
  // Where nobody looks depth does not matter.
  EXPECT_EQ(Infer("id_FP32", R"({"x":)" + open + close +
                                 R"(,"inputs":[{"name":"in","datatype":"FP32","shape":[1],)"
                                 R"("data":[1]}]})")
                .status,
            200);
}

TEST_F(InferHttp, WrongDocuments) {
  const std::pair<const char*, const char*> kWrong[] = {
      {"", "the body is empty"},
      {"   ", "not valid JSON"},
      {"[]", "not one complete JSON object"},
      {"1", "not one complete JSON object"},
      {"{", "not one complete JSON object"},
      {"{}", "has no \\\"inputs\\\""},
      {R"({"inputs":{}})", "\\\"inputs\\\" is not an array"},
      {R"({"inputs":[1]})", "not an object"},
      {R"({"inputs":[],"inputs":[]})", "given twice"},
      {R"({"inputs":[]} x)", "not one complete JSON object"},
      {R"({"inputs":[]}{})", "after its JSON object"},
      {R"({"inputs":[{}]})", "has no \\\"name\\\""},
      {R"({"inputs":[{"name":"in"}]})", "input 'in' (number 1) has no \\\"datatype\\\""},
      {R"({"inputs":[{"name":"in","datatype":"FP32"}]})", "has no \\\"shape\\\""},
      {R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1]}]})", "needs either"},
      {R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[1],)"
       R"("parameters":{"binary_data_size":4}}]})",
       "not more than one of them"},
      {R"({"inputs":[{"name":"in","datatype":"fp32","shape":[1],"data":[1]}]})",
       "'fp32' is not a datatype"},
      {R"({"inputs":[{"name":7,"datatype":"FP32","shape":[1],"data":[1]}]})", "not a string"},
      {R"({"inputs":[{"name":"in","name":"in"}]})", "given twice"},
      {R"({"inputs":[{"name":"in","data":[1],"data":[1]}]})", "given twice"},
      {R"({"id":7,"inputs":[]})", "\\\"id\\\" is not a string"},
      {R"({"parameters":7,"inputs":[]})", "\\\"parameters\\\" is not an object"},
      {R"({"outputs":7,"inputs":[]})", "\\\"outputs\\\" is not an array"},
      {R"({"outputs":[7],"inputs":[]})", "not an object"},
      {R"({"outputs":[{}],"inputs":[]})", "has no \\\"name\\\""},
      {"{\"inputs\":\"\xff\"}", "not valid JSON"},
      {"{\"id\":\"\x01\",\"inputs\":[]}", "not valid JSON"},
  };
  for (const auto& [body, text] : kWrong) {
    SCOPED_TRACE(body);
    ExpectError(Infer("id_FP32", body), 400, text);
  }
}

TEST_F(InferHttp, WrongTensors) {
  const auto one = [](std::string_view name, std::string_view datatype, std::string_view shape,
                      std::string_view data) {
    return R"({"name":")" + std::string(name) + R"(","datatype":")" + std::string(datatype) +
           R"(","shape":)" + std::string(shape) + R"(,"data":)" + std::string(data) + "}";
  };
  const auto body = [](const std::string& inputs, const std::string& more = "") {
    return "{\"inputs\":[" + inputs + "]" + more + "}";
  };
  ExpectError(Infer("id_FP32", body("")), 400, "input 'in' is missing");
  ExpectError(Infer("id_FP32", body(one("x", "FP32", "[1]", "[1]"))), 400,
              "has no input 'x'; its inputs are 'in' FP32 [-1]");
  ExpectError(Infer("id_FP32", body(one("in", "INT32", "[1]", "[1]"))), 400,
              "has datatype INT32 but the model takes FP32");
  ExpectError(Infer("id_FP32", body(one("in", "FP32", "[1,1]", "[1]"))), 400,
              "has shape [1,1] but the model takes [-1]");
  ExpectError(Infer("id_FP32",
                    body(one("in", "FP32", "[1]", "[1]") + "," + one("in", "FP32", "[1]", "[1]"))),
              400, "given twice");
  ExpectError(Infer("batch", body(one("in", "FP32", "[5,2]", "[1,2,3,4,5,6,7,8,9,10]"))), 400,
              "batch size 5 but the model takes at most 4");
  ExpectError(
      Infer("id_FP32", body(one("in", "FP32", "[1]", "[1]"), R"(,"outputs":[{"name":"o"}])")), 400,
      "has no output 'o'; its outputs are 'out' FP32 [-1]");
  ExpectError(Infer("id_FP32", body(one("in", "FP32", "[1]", "[1]"),
                                    R"(,"outputs":[{"name":"out"},{"name":"out"}])")),
              400, "asked for twice");
}

TEST_F(InferHttp, WrongBinaryData) {
  const auto json = [](std::string_view datatype, std::string_view shape, std::string_view size) {
    return R"({"inputs":[{"name":"in","datatype":")" + std::string(datatype) + R"(","shape":)" +
           std::string(shape) + R"(,"parameters":{"binary_data_size":)" + std::string(size) +
           "}}]}";
  };
  ExpectError(InferBinary("id_FP32", json("FP32", "[2]", "8"), "1234567"), 400, "only 7 bytes");
  ExpectError(InferBinary("id_FP32", json("FP32", "[2]", "8"), "123456789"), 400,
              "1 bytes of binary data that belong to no input");
  ExpectError(InferBinary("id_FP32", json("FP32", "[3]", "8"), "12345678"), 400,
              "has 8 bytes of binary data but FP32 [3] takes 12");
  ExpectError(InferBinary("id_FP32", json("FP32", "[2]", "-8"), "12345678"), 400,
              "not a non-negative integer");
  ExpectError(InferBinary("id_FP32", json("FP32", "[2]", "18446744073709551615"), "12345678"), 400,
              "only 8 bytes");
  ExpectError(InferBinary("id_BOOL", json("BOOL", "[2]", "2"), std::string("\1\2", 2)), 400,
              "neither 0 nor 1");
  ExpectError(InferBinary("id_BYTES", json("BYTES", "[1]", "5"), std::string("\2\0\0\0a", 5)), 400,
              "element 0 of 1: its length is 2 bytes but only 1");
  ExpectError(InferBinary("id_BYTES", json("BYTES", "[2]", "5"), std::string("\1\0\0\0a", 5)), 400,
              "element 1 of 2");
  ExpectError(InferBinary("id_BYTES", json("BYTES", "[1]", "6"), std::string("\1\0\0\0ab", 6)), 400,
              "1 bytes are left over");
  ExpectError(InferBinary("id_BYTES", json("BYTES", "[4000000000]", "4"), std::string(4, '\0')),
              400, "");
}

TEST_F(InferHttp, WrongJsonLengths) {
  const std::string json = R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}]})";
  for (const char* value : {"x", "-1", "1x", "", "99999999999999999999", "0x10"}) {
    SCOPED_TRACE(value);
    ExpectError(
        Infer("id_FP32", json, "Inference-Header-Content-Length: " + std::string(value) + "\r\n"),
        400, "Inference-Header-Content-Length");
  }
  ExpectError(Infer("id_FP32", json, "Inference-Header-Content-Length: 1000\r\n"), 400,
              "the body has only");
  ExpectError(Infer("id_FP32", json, "Inference-Header-Content-Length: 10\r\n"), 400,
              "not one complete JSON object");
  ExpectError(Infer("id_FP32", json,
                    "Inference-Header-Content-Length: 1\r\nInference-Header-Content-Length: 2\r\n"),
              400, "Inference-Header-Content-Length");
}

TEST_F(InferHttp, OutputsWithoutAJsonForm) {
  const auto json = [](std::string_view datatype, size_t bytes) {
    return R"({"inputs":[{"name":"in","datatype":")" + std::string(datatype) +
           R"(","shape":[1],"parameters":{"binary_data_size":)" + std::to_string(bytes) + "}}]}";
  };
  ExpectError(InferBinary("id_BF16", json("BF16", 2), "ab"), 400,
              "model 'id_BF16': output 'out': BF16 has no JSON form: ask for it with");
  ExpectError(InferBinary("id_BYTES", json("BYTES", 5), RawStrings({"\xff"})), 400,
              "element 0 is not UTF-8");
}

TEST_F(InferHttp, Parameters) {
  const auto with = [&](std::string_view parameters) {
    return Infer("id_FP32", R"({"parameters":)" + std::string(parameters) +
                                R"(,"inputs":[{"name":"in","datatype":"FP32","shape":[1],)"
                                R"("data":[1]}]})");
  };
  EXPECT_EQ(with(R"({"a":1,"b\n":"x\"y","c":true , "d":-1.5e3 ,"priority":1,"sequence_id":0,)"
                 R"("sequence_start":true,"headers":"h"})")
                .status,
            200);
  EXPECT_EQ(server_.engine().last_parameters(), R"({"a":1,"b\n":"x\"y","c":true,"d":-1.5e3})");
  EXPECT_EQ(with("{}").status, 200);
  EXPECT_EQ(server_.engine().last_parameters(), "");
  ExpectError(with(R"({"triton_x":1})"), 400, "reserved");
  ExpectError(with(R"({"x":null})"), 400, "'x' is not a string, a number");
  ExpectError(with(R"({"x":[1]})"), 400, "'x' is not a string, a number");
  ExpectError(with(R"({"x":tru})"), 400, "'x' is not a string, a number");
  ExpectError(with(R"({"x":NaN})"), 400, "not valid JSON");
  ExpectError(with(R"({"priority":-1})"), 400, "priority");
  ExpectError(with(R"({"timeout":"1"})"), 400, "timeout");
  ExpectError(with(R"({"binary_data_output":1})"), 400, "binary_data_output");
  ExpectError(with(R"({"x":")" + std::string(70000, 'x') + R"("})"), 400, "longer than 65536");
}

TEST_F(InferHttp, TimeoutSetsTheDeadline) {
  const auto deadline_ms = [&](std::string_view parameters) {
    const uint64_t before = NowNanos();
    EXPECT_EQ(Infer("id_FP32", R"({"parameters":)" + std::string(parameters) +
                                   R"(,"inputs":[{"name":"in","datatype":"FP32","shape":[1],)"
                                   R"("data":[1]}]})")
                  .status,
              200);
    return (server_.engine().last_deadline_ns - before) / kNanosPerMilli;
  };
  EXPECT_NEAR(deadline_ms(R"({"timeout":5000000})"), 5000, 2000);
  EXPECT_NEAR(deadline_ms("{}"), 30000, 2000);
  EXPECT_NEAR(deadline_ms(R"({"timeout":0})"), 30000, 2000);
  EXPECT_NEAR(deadline_ms(R"({"timeout":18446744073709551615})"), 3600000, 2000);
}

TEST_F(InferHttp, LargeJson) {
  std::string data = "[";
  for (int i = 0; i < 150528; ++i) data += std::to_string(i * 0.001) + ",";
  data.back() = ']';
  const std::string first = DataOf(InferData("FP32", "[150528]", data));
  EXPECT_EQ(std::count(first.begin(), first.end(), ','), 150527);
  // What was printed reads back to what is printed.
  EXPECT_EQ(DataOf(InferData("FP32", "[150528]", first)), first);
}

}  // namespace
}  // namespace mlos::http
