// SPDX-License-Identifier: Apache-2.0
//
// Inference requests that are wrong in every way that a client can be.
#include "fixture.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;

struct Wrong {
  std::string body;
  int status;
  std::vector<const char*> texts;
};

class BadRequestTest : public UnharmedTest {
 protected:
  static void Expect(const std::string& model, const std::vector<Wrong>& wrongs,
                     const HttpClient::Headers& headers = {}) {
    for (const Wrong& wrong : wrongs) {
      const Reply reply = daemon().Post("/v2/models/" + model + "/infer", wrong.body, headers);
      EXPECT_EQ(wrong.status, reply.status) << wrong.body << "\n" << Show(reply);
      for (const char* text : wrong.texts) {
        EXPECT_THAT(ErrorText(reply), HasSubstr(text)) << wrong.body.substr(0, 200);
      }
    }
  }
  static std::string Input(const std::string& members) {
    return "{\"inputs\":[{" + members + "}]}";
  }
  static std::string Shape(const std::string& shape) {
    return Input(R"("name":"image","datatype":"FP32","data":[1],"shape":)" + shape);
  }
};

TEST_F(BadRequestTest, NamesDatatypesAndShapes) {
  Expect("digits",
         {{Input(R"("name":"imgae","datatype":"FP32","shape":[1,64],"data":[1])"),
           400,
           {"digits", "'imgae'", "'image' FP32 [-1,64]"}},
          {Input(R"("name":"image","datatype":"FP64","shape":[1,64],"data":[1])"),
           400,
           {"digits", "'image'", "FP64", "FP32"}},
          {Input(R"("name":"image","datatype":"FLOAT","shape":[1,64],"data":[1])"),
           400,
           {"'image'", "'FLOAT'"}},
          {Shape("[1,63]"), 400, {"digits", "'image'", "[1,63]", "[-1,64]"}},
          {Shape("[64]"), 400, {"'image'", "[64]", "[-1,64]"}},
          {Shape("[1,1,64]"), 400, {"'image'", "[1,1,64]"}},
          {Shape("[]"), 400, {"'image'", "[-1,64]"}},
          {Shape("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"),
           400,
           {"'image'"}},
          {Shape("\"x\""), 400, {"'image'", "shape"}},
          {Shape("[1.5,64]"), 400, {"'image'", "dimension 0"}},
          {Shape("[1,\"64\"]"), 400, {"'image'", "dimension 1"}},
          {Shape("[-1,64]"), 400, {"'image'", "dimension 0"}},
          {Shape("[18446744073709551616,64]"), 400, {"'image'", "dimension 0"}},
          {Shape("[4294967296,4294967296]"), 400, {"'image'", "[4294967296,4294967296]"}},
          {Shape("[9223372036854775807,64]"), 400, {"'image'", "overflows"}},
          {Shape("[288230376151711744,64]"), 400, {"'image'", "overflows"}},
          {Shape("[1073741824,64]"), 400, {"'image'", "[1073741824,64]"}},
          {R"({"inputs":[]})", 400, {"digits", "'image'", "missing"}}});
}

TEST_F(BadRequestTest, CountsAndElements) {
  const std::string head = R"("name":"image","datatype":"FP32","shape":[1,64],"data":)";
  std::string many = "[0";
  for (int i = 0; i < 64; ++i) many += ",0";
  std::string odd = many.substr(0, many.size() - 4);
  Expect("digits", {{Input(head + "[1]"), 400, {"digits", "'image'", "64"}},
                    {Input(head + "[]"), 400, {"'image'", "64"}},
                    {Input(head + many + "]"), 400, {"'image'", "64"}},
                    {Input(head + "7"), 400, {"'image'"}},
                    {Input(head + "null"), 400, {"'image'"}},
                    {Input(head + "{}"), 400, {"'image'"}},
                    {Input(head + odd + ",\"a\"]"), 400, {"'image'", "'\"a\"'"}},
                    {Input(head + odd + ",true]"), 400, {"'image'", "'true'"}},
                    {Input(head + odd + ",1e]"), 400, {"'image'"}}});
  const std::string image =
      R"({"name":"image","datatype":"FP32","shape":[1,64],"data":[)" + many.substr(3) + "]}";
  Expect("digits",
         {{"{\"inputs\":[" + image + "," + image + "]}", 400, {"'image'", "twice"}},
          {"{\"inputs\":[" + image + R"(],"outputs":[{"name":"nope"}]})",
           400,
           {"digits", "'nope'", "'label' INT64"}},
          {"{\"inputs\":[" + image + R"(],"outputs":[{"name":"label"},{"name":"label"}]})",
           400,
           {"'label'", "twice"}}});
}

TEST_F(BadRequestTest, WhatIsNoRequest) {
  Expect(
      "digits",
      {{"", 400, {"empty"}},
       {"{", 400, {"JSON"}},
       {"[]", 400, {"object"}},
       {"null", 400, {"object"}},
       {"nonsense", 400, {"JSON"}},
       {"{}", 400, {"\"inputs\""}},
       {R"({"inputs":{}})", 400, {"\"inputs\"", "array"}},
       {R"({"inputs":[1]})", 400, {"\"inputs\"", "object"}},
       {R"({"inputs":[]} x)", 400, {"one complete JSON object"}},
       {R"({"inputs":[],"id":7})", 400, {"id"}},
       {R"({"inputs":[],"parameters":[]})", 400, {"parameters"}},
       {Input(R"("datatype":"FP32","shape":[1,64],"data":[1])"), 400, {"\"name\""}},
       {Input(R"("name":"image","shape":[1,64],"data":[1])"), 400, {"'image'", "\"datatype\""}},
       {Input(R"("name":"image","datatype":"FP32","data":[1])"), 400, {"'image'", "\"shape\""}},
       {Input(R"("name":"image","datatype":"FP32","shape":[1,64])"), 400, {"'image'", "\"data\""}},
       {std::string(100'000, '['), 400, {}},
       {std::string("\0\xff\xfe{}", 5), 400, {}},
       {Input("\"name\":\"\xff\xfe\""), 400, {}}});
}

TEST_F(BadRequestTest, BinarySizesThatDoNotAddUp) {
  const auto sized = [](const std::string& size) {
    return Input(
        R"("name":"image","datatype":"FP32","shape":[1,64],"parameters":{"binary_data_size":)" +
        size + "}");
  };
  Expect("digits", {{sized("256"), 400, {"'image'", "256"}},
                    {sized("-1"), 400, {"'image'", "binary_data_size"}},
                    {sized("18446744073709551615"), 400, {"'image'", "18446744073709551615"}},
                    {sized("18446744073709551616"), 400, {"'image'", "binary_data_size"}},
                    {sized("\"256\""), 400, {"'image'", "binary_data_size"}}});
  // The header is right; the blob is not.
  const BinaryRequest right = MakeBinary({{"image", "FP32", {1, 64}, std::string(256, '\0')}});
  const std::string path = "/v2/models/digits/infer";
  EXPECT_REFUSED(400, "4 bytes", daemon().Post(path, right.body + "zzzz", right.headers()));
  EXPECT_REFUSED(400, "'image'",
                 daemon().Post(path, right.body.substr(0, right.body.size() - 1), right.headers()));
  const BinaryRequest small = MakeBinary({{"image", "FP32", {1, 64}, std::string(255, '\0')}});
  EXPECT_REFUSED(400, "[1,64]", daemon().Post(path, small.body, small.headers()));
}

TEST_F(BadRequestTest, LengthHeaders) {
  const BinaryRequest right = MakeBinary({{"image", "FP32", {1, 64}, std::string(256, '\0')}});
  const auto with = [&](const std::string& value) {
    return daemon().Post("/v2/models/digits/infer", right.body,
                         {{"Inference-Header-Content-Length", value}});
  };
  ASSERT_EQ(200, with(std::to_string(right.json_size)).status);
  for (const std::string& value : std::vector<std::string>{
           "-1", "18446744073709551616", "9223372036854775808", "x", "", "3.5", "1e3", "0x10",
           "+12", "12 13", "12,12", std::to_string(right.body.size() + 1)}) {
    EXPECT_REFUSED(400, "Inference-Header-Content-Length", with(value));
  }
  EXPECT_REFUSED(400, "JSON", with(std::to_string(right.json_size - 1)));
  EXPECT_STATUS(400, with(std::to_string(right.json_size + 1)));
  EXPECT_STATUS(400, with(std::to_string(right.body.size())));
  EXPECT_STATUS(400, with("1"));
  EXPECT_REFUSED(400, "whole number of rows", with("0"));  // all of it is the tensor
  EXPECT_REFUSED(400, "Inference-Header-Content-Length",
                 daemon().Post("/v2/models/digits/infer", right.body,
                               {{"Inference-Header-Content-Length", "10"},
                                {"Inference-Header-Content-Length", "11"}}));
}

TEST_F(BadRequestTest, BytesThatAreBroken) {
  ASSERT_EQ(201, daemon().RegisterModel("bytes", TestData("identity_bytes.onnx")).status);
  struct Case {
    std::string bytes;
    int64_t count;
  };
  const Case cases[] = {{std::string("\xff\0\0\0a", 5), 1},  // longer than the blob
                        {std::string("\xff\xff\xff\xff", 4), 1},
                        {std::string("\1\0\0", 3), 1},  // half a length
                        {BytesTensor({"a", "b"}), 1},   // one too many
                        {BytesTensor({"a", "b"}), 3},   // one too few
                        {"", 1},
                        {"a", 0}};
  for (const Case& c : cases) {
    const BinaryRequest request = MakeBinary({{"x", "BYTES", {c.count}, c.bytes}});
    EXPECT_REFUSED(400, "'x'",
                   daemon().Post("/v2/models/bytes/infer", request.body, request.headers()));
  }
  Expect("bytes",
         {{Input(R"("name":"x","datatype":"BYTES","shape":[1],"data":[1])"), 400, {"'x'"}},
          {Input(R"("name":"x","datatype":"BYTES","shape":[2],"data":["a"])"), 400, {"'x'"}},
          {Input(R"("name":"x","datatype":"BYTES","shape":[1],"data":["\ud800"])"), 400, {}}});
  ASSERT_EQ(201, daemon().RegisterModel("bool", TestData("identity_bool.onnx")).status);
  const BinaryRequest request = MakeBinary({{"x", "BOOL", {1}, "\2"}});
  EXPECT_REFUSED(400, "'x'",
                 daemon().Post("/v2/models/bool/infer", request.body, request.headers()));
}

TEST_F(BadRequestTest, OverflowInOneDimension) {
  // X is FP32 [-1] here: any size fits the declaration.
  const auto shape = [](const std::string& dim) {
    return Input(R"("name":"X","datatype":"FP32","shape":[)" + dim + R"(],"data":[1])");
  };
  Expect("bystander", {{shape("4611686018427387904"), 400, {"'X'", "overflows"}},
                       {shape("9223372036854775807"), 400, {"'X'", "overflows"}},
                       {shape("1099511627776"), 400, {"'X'", "1099511627776"}},
                       {shape("2"), 400, {"'X'", "2"}}});
  // A short binary request must not get memory for what it only claims.
  const std::string claim = Input(
      R"("name":"X","datatype":"FP32","shape":[1099511627776],"parameters":{"binary_data_size":4398046511104})");
  EXPECT_REFUSED(400, "4398046511104", daemon().InferJson("bystander", claim));
}

TEST_F(BadRequestTest, ModelsAndVersionsThatAreNotThere) {
  const std::string body = R"({"inputs":[]})";
  EXPECT_REFUSED(404, "nobody", daemon().InferJson("nobody", body));
  EXPECT_REFUSED(404, "nobody", daemon().Get("/v2/models/nobody"));
  EXPECT_REFUSED(404, "nobody", daemon().Get("/v2/models/nobody/ready"));
  EXPECT_REFUSED(404, "7", daemon().InferJson("digits/versions/7", body));
  EXPECT_REFUSED(404, "7", daemon().Get("/v2/models/digits/versions/7"));
  EXPECT_STATUS(404, daemon().InferJson("digits/versions/x", body));
  EXPECT_STATUS(404, daemon().InferJson("digits/versions/-1", body));
  EXPECT_STATUS(404, daemon().InferJson("digits/versions/99999999999999999999999", body));
  EXPECT_STATUS(404, daemon().InferJson("..%2f..%2fetc%2fpasswd", body));
  EXPECT_STATUS(400, daemon().InferJson("%00", body));
  EXPECT_STATUS(400, daemon().InferJson("%zz", body));
  const Reply huge = daemon().InferJson(std::string(5000, 'n'), body);
  EXPECT_EQ(404, huge.status);
  EXPECT_LT(huge.body.size(), 500u) << "an error repeats a name of any length";
}

TEST_F(BadRequestTest, MethodsAndPathsThatAreNotThere) {
  EXPECT_REFUSED(405, "POST", daemon().Get("/v2/models/digits/infer"));
  EXPECT_REFUSED(405, "GET", daemon().Post("/v2/health/live"));
  EXPECT_REFUSED(405, "GET", daemon().Delete("/v2/models/digits"));
  EXPECT_REFUSED(405, "GET", daemon().Delete("/api/v1/models"));
  EXPECT_EQ("POST", daemon().Get("/v2/models/digits/infer").Header("allow"));
  EXPECT_STATUS(404, daemon().Get("/"));
  EXPECT_STATUS(404, daemon().Get("/v2/nothing"));
  EXPECT_STATUS(404, daemon().Get("/api/v1/nothing"));
  EXPECT_STATUS(404, daemon().Get("/v2/models/digits/infer/more/and/more/and/more/and/more"));
}

TEST_F(BadRequestTest, BodiesThatAreTooLargeOrNeverCome) {
  HttpClient client(daemon().address());
  EXPECT_STATUS(413, client.Send("POST", "/v2/models/digits/infer", "{",
                                 {{"Content-Length", "99999999999"}}));
  EXPECT_STATUS(400,
                client.Send("POST", "/v2/models/digits/infer", "{}", {{"Content-Length", "-1"}}));
  EXPECT_STATUS(400, client.Send("POST", "/v2/models/digits/infer", "{}",
                                 {{"Content-Length", "99999999999999999999999"}}));
  EXPECT_STATUS(400, client.Send("POST", "/v2/models/digits/infer", "{}",
                                 {{"Content-Length", "2"}, {"Content-Length", "3"}}));
  EXPECT_STATUS(415,
                client.Send("POST", "/v2/models/digits/infer", "{}", {{"Content-Encoding", "br"}}));
  EXPECT_STATUS(431, client.Send("GET", "/v2", "", {{"X", std::string(100'000, 'x')}}));
  ASSERT_TRUE(client.Write("POST", "/v2/models/digits/infer", "{", {{"Content-Length", "1000"}}));
  client.Close();  // gone in the middle of it
}

}  // namespace
}  // namespace mlos::test
