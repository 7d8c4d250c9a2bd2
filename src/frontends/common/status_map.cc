// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/status_map.h"

namespace mlos::frontend {
namespace {

struct Row {
  StatusCode code;
  int inference;
  int management;
  bool retry;
};

constexpr Row kRows[] = {
    {StatusCode::kOk, 200, 200, false},
    {StatusCode::kCancelled, 400, 400, false},
    {StatusCode::kUnknown, 400, 500, false},
    {StatusCode::kInvalidArgument, 400, 400, false},
    {StatusCode::kDeadlineExceeded, 504, 504, false},
    {StatusCode::kNotFound, 404, 404, false},
    {StatusCode::kAlreadyExists, 400, 409, false},
    {StatusCode::kPermissionDenied, 403, 403, false},
    {StatusCode::kResourceExhausted, 429, 429, true},
    {StatusCode::kFailedPrecondition, 400, 409, false},
    {StatusCode::kAborted, 503, 409, true},
    {StatusCode::kOutOfRange, 400, 400, false},
    {StatusCode::kUnimplemented, 501, 501, false},
    {StatusCode::kInternal, 500, 500, false},
    {StatusCode::kUnavailable, 503, 503, true},
    {StatusCode::kDataLoss, 500, 500, false},
    {StatusCode::kUnauthenticated, 401, 401, false},
};

const Row& Find(StatusCode code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return Find(StatusCode::kInternal);
}

struct Reason {
  int status;
  std::string_view text;
};

constexpr Reason kReasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

}  // namespace

int HttpStatus(StatusCode code, Surface surface) {
  const Row& row = Find(code);
  return surface == Surface::kInference ? row.inference : row.management;
}

bool IsRetryable(StatusCode code) { return Find(code).retry; }

std::string_view HttpReason(int status) {
  for (const Reason& reason : kReasons) {
    if (reason.status == status) return reason.text;
  }
  return "Unknown";
}

}  // namespace mlos::frontend
