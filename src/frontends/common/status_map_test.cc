// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/status_map.h"

#include <gtest/gtest.h>

#include "operations/objects.h"

namespace mlos::frontend {
namespace {

TEST(StatusMap, EveryCanonicalCodeHasAStatusWithAReason) {
  for (int code = 0; code <= 16; ++code) {
    for (const Surface surface : {Surface::kInference, Surface::kManagement}) {
      const int status = HttpStatus(static_cast<StatusCode>(code), surface);
      EXPECT_EQ(status == 200, code == 0) << code;
      EXPECT_NE(HttpReason(status), "Unknown") << code;
    }
  }
}

TEST(StatusMap, SaysWhatTheProtocolSays) {
  constexpr auto kI = Surface::kInference;
  constexpr auto kM = Surface::kManagement;
  EXPECT_EQ(HttpStatus(StatusCode::kNotFound, kI), 404);
  EXPECT_EQ(HttpStatus(StatusCode::kInvalidArgument, kI), 400);
  EXPECT_EQ(HttpStatus(StatusCode::kUnavailable, kI), 503);
  EXPECT_EQ(HttpStatus(StatusCode::kDeadlineExceeded, kI), 504);
  EXPECT_EQ(HttpStatus(StatusCode::kResourceExhausted, kI), 429);
  EXPECT_EQ(HttpStatus(StatusCode::kUnimplemented, kI), 501);
  EXPECT_EQ(HttpStatus(StatusCode::kInternal, kI), 500);
  EXPECT_EQ(HttpStatus(StatusCode::kCancelled, kI), 400);
  EXPECT_EQ(HttpStatus(StatusCode::kAlreadyExists, kI), 400);
  EXPECT_EQ(HttpStatus(StatusCode::kAlreadyExists, kM), 409);
  EXPECT_EQ(HttpStatus(StatusCode::kFailedPrecondition, kM), 409);
  EXPECT_EQ(HttpStatus(StatusCode::kUnauthenticated, kM), 401);
  EXPECT_EQ(HttpStatus(static_cast<StatusCode>(99), kM), 500);
}

TEST(StatusMap, IsWhatTheManagementReferenceSays) {
  for (const operations::StatusRow& row : operations::Statuses()) {
    if (row.code.empty()) continue;
    bool found = false;
    for (int code = 0; code <= 16; ++code) {
      if (CodeName(static_cast<StatusCode>(code)) != row.code) continue;
      found = true;
      EXPECT_EQ(HttpStatus(static_cast<StatusCode>(code), Surface::kManagement), row.status)
          << row.code;
    }
    EXPECT_TRUE(found) << row.code;
  }
}

TEST(StatusMap, OnlyWhatPassesIsRetried) {
  EXPECT_TRUE(IsRetryable(StatusCode::kUnavailable));
  EXPECT_TRUE(IsRetryable(StatusCode::kResourceExhausted));
  EXPECT_FALSE(IsRetryable(StatusCode::kInvalidArgument));
  EXPECT_FALSE(IsRetryable(StatusCode::kNotFound));
}

}  // namespace
}  // namespace mlos::frontend
