// SPDX-License-Identifier: Apache-2.0
//
// Tensors in clients' shared memory, over a real socket: the routes that
// register it, and inference from it and into it.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "frontends/http/infer_fixture.h"

namespace mlos::http {
namespace {

using testing::HasSubstr;
using testing::Not;

// Stands where the machine's directory of shared memory is.
class Directory {
 public:
  Directory() {
    char name[] = "/tmp/regions_XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

HttpOptions Options() {
  HttpOptions options;
  options.max_body_bytes = 1 << 20;
  return options;
}

class InferRegions : public testing::Test {
 protected:
  void Object(const std::string& name, const std::string& content) {
    const OwnedFd file(
        ::open((directory_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(file.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
  }
  std::string Content(const std::string& name) {
    const OwnedFd file(::open((directory_ / name).c_str(), O_RDONLY | O_CLOEXEC));
    std::string content(4 << 20, '\0');
    content.resize(static_cast<size_t>(::read(file.get(), content.data(), content.size())));
    return content;
  }
  Reply Region(std::string_view path, std::string_view body = {}) {
    return client_.Ask("POST", "/v2/systemsharedmemory/" + std::string(path), body);
  }
  Reply Status(std::string_view path = "status") {
    return client_.Ask("GET", "/v2/systemsharedmemory/" + std::string(path));
  }
  Reply Register(std::string_view name, std::string_view key, uint64_t offset, uint64_t bytes) {
    return Region("region/" + std::string(name) + "/register",
                  R"({"key":")" + std::string(key) + R"(","offset":)" + std::to_string(offset) +
                      R"(,"byte_size":)" + std::to_string(bytes) + "}");
  }
  Reply Infer(std::string_view model, std::string_view body) {
    return client_.Ask("POST", "/v2/models/" + std::string(model) + "/infer", body);
  }
  // One input "in" with these parameters; `outputs` with the comma before it.
  Reply FromRegion(std::string_view datatype, std::string_view shape, std::string_view parameters,
                   std::string_view outputs = {}) {
    return Infer("id_" + std::string(datatype),
                 R"({"inputs":[{"name":"in","datatype":")" + std::string(datatype) +
                     R"(","shape":)" + std::string(shape) + R"(,"parameters":)" +
                     std::string(parameters) + "}]" + std::string(outputs) + "}");
  }
  static void ExpectError(const Reply& reply, int status, std::string_view text) {
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_THAT(reply.body, testing::StartsWith("{\"error\":\""));
    EXPECT_THAT(reply.body, HasSubstr(std::string(text)));
  }

  Directory directory_;
  TestServer server_{Options(), {.allowed = true, .most = 8, .directory = directory_.path()}};
  TestClient client_{server_.address()};
};

TEST_F(InferRegions, AreRegisteredListedAndUnregistered) {
  Object("one", std::string(100, 'x'));
  EXPECT_EQ(Status().body, "[]");
  for (const auto& [name, key, offset] :
       {std::tuple{"b%20b", "/one", 10}, std::tuple{"a", "one", 0}}) {
    const Reply reply = Register(name, key, static_cast<uint64_t>(offset), 50);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.body, "");
  }
  EXPECT_EQ(Status().body, R"([{"name":"a","key":"one","offset":0,"byte_size":50},)"
                           R"({"name":"b b","key":"/one","offset":10,"byte_size":50}])");
  EXPECT_EQ(Status("region/b%20b/status").body,
            R"([{"name":"b b","key":"/one","offset":10,"byte_size":50}])");
  ExpectError(Status("region/c/status"), 404, "no shared memory region 'c'");
  ExpectError(Register("a", "one", 0, 10), 400, "'a' is registered already");
  // The offset may be left out, and members that nobody knows are ignored.
  EXPECT_EQ(Region("region/c/register", R"({"key":"one","byte_size":100,"x":[{}]})").status, 200);
  EXPECT_EQ(Region("region/a/unregister").status, 200);
  EXPECT_EQ(Region("region/a/unregister").status, 200);
  EXPECT_THAT(Status().body, Not(HasSubstr("\"a\"")));
  const Reply all = Region("unregister");
  EXPECT_EQ(all.status, 200);
  EXPECT_EQ(all.body, "");
  EXPECT_EQ(Status().body, "[]");
}

TEST_F(InferRegions, RegistrationsThatAreWrong) {
  Object("one", std::string(100, 'x'));
  const std::tuple<const char*, int, const char*> kWrong[] = {
      {"", 400, "the body is empty"},
      {"[]", 400, "not a JSON object"},
      {R"({"byte_size":1})", 400, "key"},
      {R"({"key":7,"byte_size":1})", 400, "key"},
      {R"({"key":"one"})", 400, "byte_size"},
      {R"({"key":"one","byte_size":"1"})", 400, "byte_size"},
      {R"({"key":"one","byte_size":-1})", 400, "byte_size"},
      {R"({"key":"one","byte_size":1.5})", 400, "byte_size"},
      {R"({"key":"one","byte_size":18446744073709551616})", 400, "byte_size"},
      {R"({"key":"one","byte_size":0})", 400, "0 bytes at offset 0 are not in"},
      {R"({"key":"one","byte_size":1,"offset":null})", 400, "offset"},
      {R"({"key":"one","byte_size":101})", 400, "which has 100"},
      {R"({"key":"one","byte_size":18446744073709551615,"offset":1})", 400, "which has 100"},
      {R"({"key":"../one","byte_size":1})", 400, "is not the name"},
      {R"({"key":"/etc/passwd","byte_size":1})", 400, "is not the name"},
      {R"({"key":"one\u0000","byte_size":1})", 400, "is not the name"},
      {R"({"key":"two","byte_size":1})", 500, "cannot open shared memory object 'two'"},
  };
  for (const auto& [body, status, text] : kWrong) {
    SCOPED_TRACE(body);
    ExpectError(Region("region/r/register", body), status, text);
  }
  EXPECT_EQ(Status().body, "[]");
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(Register("r" + std::to_string(i), "one", 0, 1).status, 200);
  }
  ExpectError(Register("more", "one", 0, 1), 429, "as many as are allowed");
}

TEST_F(InferRegions, RoutesAndMethods) {
  EXPECT_EQ(client_.Ask("POST", "/v2/systemsharedmemory/status").status, 405);
  EXPECT_EQ(client_.Ask("GET", "/v2/systemsharedmemory/unregister").fields.at("allow"), "POST");
  EXPECT_EQ(client_.Ask("GET", "/v2/systemsharedmemory/region/r/register").status, 405);
  EXPECT_EQ(client_.Ask("POST", "/v2/systemsharedmemory/register", "{}").status, 404);
  EXPECT_EQ(client_.Ask("GET", "/v2/systemsharedmemory").status, 404);
  EXPECT_EQ(client_.Ask("GET", "/v2/systemsharedmemory/area/r/status").status, 404);
  EXPECT_EQ(client_.Ask("GET", "/v2/systemsharedmemory/region/r/status/x").status, 404);
  EXPECT_EQ(client_.Ask("GET", "/v2/systemsharedmemory/region/%zz/status").status, 400);
  EXPECT_THAT(client_.Ask("GET", "/v2").body, HasSubstr("\"system_shared_memory\""));
}

TEST_F(InferRegions, WithoutAGpu) {
  const auto cuda = [&](std::string_view method, std::string_view path,
                        std::string_view body = {}) {
    return client_.Ask(method, "/v2/cudasharedmemory/" + std::string(path), body);
  };
  EXPECT_EQ(cuda("GET", "status").body, "[]");
  ExpectError(cuda("GET", "region/r/status"), 404, "'r'");
  ExpectError(cuda("POST", "region/r/register",
                   R"({"raw_handle":{"b64":"AA=="},"device_id":0,"byte_size":1})"),
              400, "this server uses no GPU");
  EXPECT_EQ(cuda("POST", "region/r/unregister").status, 200);
  EXPECT_EQ(cuda("POST", "unregister").status, 200);
  EXPECT_EQ(cuda("GET", "unregister").status, 405);
  EXPECT_THAT(client_.Ask("GET", "/v2").body, Not(HasSubstr("cuda")));
}

TEST_F(InferRegions, TensorsComeFromThemAndGoThere) {
  const std::string floats = Raw<float>({1, 2.5, -3});
  Object("in", "junk" + floats);
  Object("out", std::string(20, '.'));
  ASSERT_EQ(Register("in", "/in", 0, 16).status, 200);
  ASSERT_EQ(Register("out", "/out", 0, 20).status, 200);
  const char* const kIn = R"({"shared_memory_region":"in","shared_memory_byte_size":12,)"
                          R"("shared_memory_offset":4})";
  EXPECT_THAT(FromRegion("FP32", "[3]", kIn).body, HasSubstr(R"("data":[1.0,2.5,-3.0])"));
  // Clients say binary_data:false with it, and offset 0 not at all.
  const Reply reply = FromRegion("FP32", "[3]", kIn,
                                 R"(,"outputs":[{"name":"out","parameters":{"binary_data":false,)"
                                 R"("shared_memory_region":"out","shared_memory_byte_size":12}}])");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            R"({"model_name":"id_FP32","model_version":"1","outputs":[{"name":"out","datatype":)"
            R"("FP32","shape":[3]}]})");
  EXPECT_EQ(reply.fields.at("content-type"), "application/json");
  EXPECT_EQ(Content("out"), floats + "........");
  // Further in, and smaller than its place.
  ASSERT_EQ(FromRegion("FP32", "[1]",
                       R"({"shared_memory_region":"in","shared_memory_byte_size":4,)"
                       R"("shared_memory_offset":8})",
                       R"(,"outputs":[{"name":"out","parameters":{"shared_memory_region":"out",)"
                       R"("shared_memory_byte_size":8,"shared_memory_offset":12}}])")
                .status,
            200);
  EXPECT_EQ(Content("out"), floats + Raw<float>({2.5}) + "....");
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(InferRegions, EveryFormSideBySide) {
  Object("shm", RawStrings({"x", "yy"}) + std::string(8, '.'));
  ASSERT_EQ(Register("shm", "shm", 0, 19).status, 200);
  const std::string json =
      R"({"inputs":[{"name":"c","datatype":"BYTES","shape":[2],"parameters":)"
      R"({"shared_memory_region":"shm","shared_memory_byte_size":11}},)"
      R"({"name":"b","datatype":"FP32","shape":[1,2],"data":[1.5,2]},)"
      R"({"name":"a","datatype":"INT32","shape":[2],"parameters":{"binary_data_size":8}}],)"
      R"("outputs":[{"name":"a","parameters":{"shared_memory_region":"shm",)"
      R"("shared_memory_byte_size":8,"shared_memory_offset":11}},)"
      R"({"name":"c","parameters":{"binary_data":true}},{"name":"b"}]})";
  const Reply reply =
      client_.Ask("POST", "/v2/models/pair/infer", json + Raw<int32_t>({5, 6}),
                  "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.body,
            R"({"model_name":"pair","model_version":"7","outputs":[)"
            R"({"name":"a","datatype":"INT32","shape":[2]},)"
            R"({"name":"c","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":11}},)"
            R"({"name":"b","datatype":"FP32","shape":[1,2],"data":[1.5,2.0]}]})" +
                RawStrings({"x", "yy"}));
  EXPECT_EQ(Content("shm"), RawStrings({"x", "yy"}) + Raw<int32_t>({5, 6}));
}

TEST_F(InferRegions, WhatIsInThemIsCheckedAsAnywhere) {
  Object("shm", std::string("\1\0\0\0a\2\3", 7));
  ASSERT_EQ(Register("shm", "shm", 0, 7).status, 200);
  const auto at = [](int offset, int bytes) {
    return R"({"shared_memory_region":"shm","shared_memory_offset":)" + std::to_string(offset) +
           R"(,"shared_memory_byte_size":)" + std::to_string(bytes) + "}";
  };
  EXPECT_THAT(FromRegion("BYTES", "[1]", at(0, 5)).body, HasSubstr(R"("data":["a"])"));
  ExpectError(FromRegion("BYTES", "[1]", at(0, 6)), 400, "1 bytes are left over");
  ExpectError(FromRegion("BYTES", "[2]", at(0, 5)), 400, "element 1 of 2");
  ExpectError(FromRegion("BYTES", "[1]", at(1, 5)), 400, "element 0 of 1");
  ExpectError(FromRegion("BOOL", "[2]", at(4, 2)), 400, "neither 0 nor 1");
  ExpectError(FromRegion("FP32", "[2]", at(0, 4)), 400,
              "has 4 bytes of shared memory but FP32 [2] takes 8");
}

TEST_F(InferRegions, RequestsThatAreWrong) {
  Object("shm", std::string(64, '\0'));
  ASSERT_EQ(Register("shm", "shm", 0, 64).status, 200);
  const std::tuple<const char*, int, const char*> kInputs[] = {
      {R"({"shared_memory_region":"no","shared_memory_byte_size":4})", 404,
       "input 'in': there is no shared memory region 'no'"},
      {R"({"shared_memory_region":"shm"})", 400, "shared_memory_byte_size"},
      {R"({"shared_memory_byte_size":4})", 400, "shared_memory_region"},
      {R"({"shared_memory_offset":4})", 400, "shared_memory_region"},
      {R"({"shared_memory_region":7,"shared_memory_byte_size":4})", 400, "not a string"},
      {R"({"shared_memory_region":"shm","shared_memory_byte_size":-4})", 400, "non-negative"},
      {R"({"shared_memory_region":"shm","shared_memory_byte_size":4,"shared_memory_byte_size":4})",
       400, "given twice"},
      {R"({"shared_memory_region":"shm","shared_memory_region":"shm"})", 400, "given twice"},
      {R"({"shared_memory_region":"shm","shared_memory_byte_size":4,"shared_memory_offset":64})",
       400, "4 bytes at offset 64 do not lie in shared memory region 'shm', which has 64"},
      {R"({"shared_memory_region":"shm","shared_memory_byte_size":4,"shared_memory_offset":61})",
       400, "do not lie in"},
      {R"({"shared_memory_region":"shm","shared_memory_byte_size":4,)"
       R"("shared_memory_offset":18446744073709551615})",
       400, "do not lie in"},
      {R"({"shared_memory_region":"shm","shared_memory_byte_size":4,"binary_data_size":4})", 400,
       "not more than one of them"},
  };
  for (const auto& [parameters, status, text] : kInputs) {
    SCOPED_TRACE(parameters);
    ExpectError(FromRegion("FP32", "[1]", parameters), status, text);
  }
  ExpectError(
      Infer("id_FP32", R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[1],)"
                       R"("parameters":{"shared_memory_region":"shm",)"
                       R"("shared_memory_byte_size":4}}]})"),
      400, "not more than one of them");
  const std::tuple<const char*, int, const char*> kOutputs[] = {
      {R"("shared_memory_region":"no","shared_memory_byte_size":4)", 404,
       "output 'out': there is no shared memory region 'no'"},
      {R"("shared_memory_region":"shm")", 400, "output 'out': shared memory needs"},
      {R"("shared_memory_region":"shm","shared_memory_byte_size":4,"binary_data":true)", 400,
       "\\\"binary_data\\\":true does not go with shared memory"},
      {R"("shared_memory_region":"shm","shared_memory_byte_size":4,"classification":1)", 400,
       "\\\"classification\\\" does not go with shared memory"},
      {R"("shared_memory_region":"shm","shared_memory_byte_size":65)", 400, "do not lie in"},
      {R"("shared_memory_region":"shm","shared_memory_byte_size":7)", 500,
       "output 'out': needs 8 bytes of shared memory, and \\\"shared_memory_byte_size\\\" is 7"},
  };
  for (const auto& [parameters, status, text] : kOutputs) {
    SCOPED_TRACE(parameters);
    ExpectError(
        Infer("id_FP32", R"({"inputs":[{"name":"in","datatype":"FP32","shape":[2],"data":[1,2]}],)"
                         R"("outputs":[{"name":"out","parameters":{)" +
                             std::string(parameters) + "}}]}"),
        status, text);
  }
  EXPECT_EQ(Content("shm"), std::string(64, '\0'));
}

// Many large tensors in a short request: no more than a body could carry.
TEST_F(InferRegions, AreHeldToTheSizeOfABody) {
  Object("shm", std::string(3 << 20, 'y'));
  ASSERT_EQ(Register("shm", "shm", 0, 3 << 20).status, 200);
  const auto of = [&](uint64_t bytes) {
    return FromRegion(
        "UINT8", "[" + std::to_string(bytes) + "]",
        R"({"shared_memory_region":"shm","shared_memory_byte_size":)" + std::to_string(bytes) + "}",
        R"(,"outputs":[{"name":"out","parameters":{"shared_memory_region":"shm",)"
        R"("shared_memory_byte_size":1048576,"shared_memory_offset":2097152}}])");
  };
  EXPECT_EQ(of(1 << 20).status, 200);
  ExpectError(of((1 << 20) + 1), 400, "more than the 1048576 bytes");
}

TEST_F(InferRegions, AnObjectThatShrinksHarmsNobody) {
  Object("shm", std::string(8192, 'z'));
  ASSERT_EQ(Register("shm", "shm", 0, 8192).status, 200);
  ASSERT_EQ(::truncate((directory_ / "shm").c_str(), 100), 0);
  const char* const kAll = R"({"shared_memory_region":"shm","shared_memory_byte_size":8192})";
  ExpectError(FromRegion("UINT8", "[8192]", kAll), 400, "has become smaller");
  ExpectError(
      Infer("id_UINT8", R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[2],"data":[1,2]}],)"
                        R"("outputs":[{"name":"out","parameters":{"shared_memory_region":"shm",)"
                        R"("shared_memory_byte_size":2,"shared_memory_offset":4000}}]})"),
      400, "has become smaller");
  EXPECT_EQ(Content("shm").size(), 100u);
}

// A request that runs keeps what it uses.
TEST_F(InferRegions, UnregisteringWaitsForNobody) {
  Object("out", std::string(4, '.'));
  ASSERT_EQ(Register("out", "out", 0, 4).status, 200);
  const std::string body =
      R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[7]}],"outputs":)"
      R"([{"name":"out","parameters":{"shared_memory_region":"out","shared_memory_byte_size":4}}]})";
  const std::string request =
      "POST /v2/models/ondemand/infer HTTP/1.1\r\nHost: h\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  for (int i = 0; i < 20; ++i) {
    TestClient running(server_.address());
    ASSERT_TRUE(running.Send(request));
    ASSERT_EQ(Region("region/out/unregister").status, 200);
    const Reply reply = running.Read();
    EXPECT_TRUE(reply.status == 200 || reply.status == 404) << reply.body;
    ASSERT_EQ(Register("out", "out", 0, 4).status, 200);
  }
  // Once it is known to have begun nothing takes it away.
  TestClient hanging(server_.address());
  const int before = server_.engine().submitted;
  std::string hang = request;
  hang.replace(hang.find("ondemand"), 8, "hang");
  ASSERT_TRUE(hanging.Send(hang));
  ASSERT_TRUE(Eventually([&] { return server_.engine().submitted > before; }));
  EXPECT_EQ(Region("unregister").status, 200);
  EXPECT_EQ(Status().body, "[]");
  hanging.Close();
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST(InferRegionsOff, NothingIsRegisteredOrUsed) {
  TestServer server;
  TestClient client(server.address());
  const auto expect_off = [](const Reply& reply) {
    EXPECT_EQ(reply.status, 501) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr("--allow-client-shm"));
  };
  expect_off(client.Ask("POST", "/v2/systemsharedmemory/region/r/register",
                        R"({"key":"x","byte_size":1})"));
  expect_off(client.Ask("POST", "/v2/systemsharedmemory/region/r/unregister"));
  expect_off(client.Ask("POST", "/v2/systemsharedmemory/unregister"));
  EXPECT_EQ(client.Ask("GET", "/v2/systemsharedmemory/status").body, "[]");
  EXPECT_EQ(client.Ask("GET", "/v2/systemsharedmemory/region/r/status").status, 404);
  expect_off(client.Ask("POST", "/v2/models/id_FP32/infer",
                        R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"parameters":)"
                        R"({"shared_memory_region":"r","shared_memory_byte_size":4}}]})"));
  expect_off(client.Ask("POST", "/v2/models/id_FP32/infer",
                        R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"data":[1]}],)"
                        R"("outputs":[{"name":"out","parameters":{"shared_memory_region":"r",)"
                        R"("shared_memory_byte_size":4}}]})"));
  EXPECT_THAT(client.Ask("GET", "/v2").body, Not(HasSubstr("shared_memory")));
}

}  // namespace
}  // namespace mlos::http
