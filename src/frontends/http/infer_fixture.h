// SPDX-License-Identifier: Apache-2.0
//
// What tests of inference over a real socket share: a server with fake models,
// a client, and short ways to ask.  One thread beside the server's.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/http/http_fakes.h"

namespace mlos::http {

// Elements as they lie in a binary tensor.
template <typename T>
std::string Raw(std::initializer_list<T> values) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), std::data(values), out.size());
  return out;
}

inline std::string RawStrings(const std::vector<std::string>& elements) {
  std::string out;
  for (const std::string& e : elements) {
    const auto n = static_cast<uint32_t>(e.size());
    out.append(reinterpret_cast<const char*>(&n), 4);
    out += e;
  }
  return out;
}

class InferHttp : public testing::Test {
 protected:
  Reply Infer(std::string_view model, std::string_view body, std::string_view fields = {}) {
    return client_.Ask("POST", "/v2/models/" + std::string(model) + "/infer", body, fields);
  }
  // JSON and blobs, with the header that says where one ends.
  Reply InferBinary(std::string_view model, std::string_view json, std::string_view blobs) {
    return Infer(model, std::string(json) + std::string(blobs),
                 "Inference-Header-Content-Length: " + std::to_string(json.size()) + "\r\n");
  }
  // One input "in" and the data as JSON.
  Reply InferData(std::string_view datatype, std::string_view shape, std::string_view data) {
    return Infer("id_" + std::string(datatype), R"({"inputs":[{"name":"in","datatype":")" +
                                                    std::string(datatype) + R"(","shape":)" +
                                                    std::string(shape) + R"(,"data":)" +
                                                    std::string(data) + "}]}");
  }
  std::string DataOf(const Reply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    const size_t at = reply.body.find("\"data\":");
    return at == std::string::npos ? reply.body
                                   : reply.body.substr(at + 7, reply.body.size() - at - 10);
  }
  // The two parts of a binary answer; all of it is JSON where no length is given.
  static std::string JsonPart(const Reply& reply) {
    const auto length = reply.fields.find("inference-header-content-length");
    return length == reply.fields.end() ? reply.body
                                        : reply.body.substr(0, std::stoul(length->second));
  }
  static std::string BlobPart(const Reply& reply) {
    return reply.body.substr(JsonPart(reply).size());
  }
  void ExpectError(const Reply& reply, int status, std::string_view text) {
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_THAT(reply.body, testing::StartsWith("{\"error\":\""));
    EXPECT_THAT(reply.body, testing::HasSubstr(std::string(text)));
    EXPECT_EQ(reply.fields.at("content-type"), "application/json");
    EXPECT_EQ(server_.engine().running, 0);
  }

  TestServer server_;
  TestClient client_{server_.address()};
};

}  // namespace mlos::http
