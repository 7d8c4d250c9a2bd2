// SPDX-License-Identifier: Apache-2.0
//
// The logging extension over HTTP: what is shown, what is asked of the control
// path, what is refused.  That the log obeys is shown with a real daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <mutex>

#include "base/log_switches.h"
#include "frontends/http/http_fakes.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

class LoggingHttpTest : public testing::Test {
 protected:
  LoggingHttpTest() {
    server_.control().set_answer([this](const control::Operation& operation) {
      const std::lock_guard lock(mutex_);
      changes_.push_back(json::serialize(operation.body));
      EXPECT_EQ(control::OperationKind::kSetLogSettings, operation.kind);
      control::Outcome outcome;
      outcome.status = answer_;
      return outcome;
    });
  }
  Reply Post(std::string_view body) { return client_.Ask("POST", "/v2/logging", body); }
  void ExpectRefused(int status, std::string_view text, std::string_view body) {
    const Reply reply = Post(body);
    EXPECT_EQ(status, reply.status) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr(std::string(text)));
  }
  std::vector<std::string> changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

  std::mutex mutex_;
  std::vector<std::string> changes_;
  Status answer_;
  TestServer server_;
  TestClient client_{server_.address()};
};

TEST_F(LoggingHttpTest, ShowsEverySettingInItsType) {
  const LogSwitches before = CurrentLogSwitches();
  SetLogSwitches({.info = true, .warning = false, .error = true, .verbose = 4, .utc = true});
  const Reply reply = client_.Ask("GET", "/v2/logging");
  EXPECT_EQ(R"({"log_file":"","log_info":true,"log_warning":false,"log_error":true,)"
            R"("log_verbose_level":4,"log_format":"ISO8601"})",
            reply.body);
  SetLogSwitches(before);
  EXPECT_THAT(client_.Ask("GET", "/v2/logging").body, HasSubstr(R"("log_format":"default")"));
}

TEST_F(LoggingHttpTest, AChangeGoesToTheControlPathWhole) {
  EXPECT_EQ(200, Post(R"({"log_info":false,"log_verbose_level":2,"log_format":"ISO8601",)"
                      R"("log_error":null,"log_file":null,"log_warning":true})")
                     .status);
  ASSERT_EQ(1u, changes().size());
  EXPECT_EQ(json::parse(R"({"info":"off","verbose":2,"format":"ISO8601","warning":"on"})"),
            json::parse(changes()[0]));
  // Nothing is set: nobody is asked.
  EXPECT_THAT(Post("{}").body, HasSubstr("log_info"));
  EXPECT_THAT(Post(R"({"log_info":null})").body, HasSubstr("log_info"));
  EXPECT_EQ(1u, changes().size());
  answer_ = InvalidArgument("there is no such format");
  ExpectRefused(400, "no such format", R"({"log_format":"odd"})");
}

TEST_F(LoggingHttpTest, WhatIsNoSettingIsRefused) {
  ExpectRefused(400, "'log_infos'", R"({"log_infos":true})");
  ExpectRefused(400, "log_verbose_level", R"({"log_verbose_level":-1})");
  ExpectRefused(400, "integer", R"({"log_verbose_level":"1"})");
  ExpectRefused(400, "boolean", R"({"log_info":1})");
  ExpectRefused(400, "string", R"({"log_format":true})");
  ExpectRefused(400, "log_info", R"({"log_info":[]})");
  ExpectRefused(501, "log_file", R"({"log_file":"/tmp/x"})");
  ExpectRefused(400, "JSON", "{");
  ExpectRefused(400, "empty", "");
  EXPECT_TRUE(changes().empty());
}

}  // namespace
}  // namespace mlos::http
