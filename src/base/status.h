// SPDX-License-Identifier: Apache-2.0
//
// Errors as values: Status and StatusOr<T> with the canonical codes.
//
// The only header that includes Abseil, because the packaged Abseil is built
// with a string_view of its own: what crosses here is std::string_view.
// A Status is a value; it is cheap when OK and may cross threads.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>

namespace mlos {

using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;
using StatusCode = absl::StatusCode;

inline Status OkStatus() { return {}; }

inline Status MakeStatus(StatusCode code, std::string_view text) {
  return {code, absl::string_view(text.data(), text.size())};
}

// One maker per code that a caller acts upon differently.
inline Status InvalidArgument(std::string_view t) {
  return MakeStatus(StatusCode::kInvalidArgument, t);
}
inline Status NotFound(std::string_view t) { return MakeStatus(StatusCode::kNotFound, t); }
inline Status AlreadyExists(std::string_view t) {
  return MakeStatus(StatusCode::kAlreadyExists, t);
}
inline Status FailedPrecondition(std::string_view t) {
  return MakeStatus(StatusCode::kFailedPrecondition, t);
}
inline Status Unavailable(std::string_view t) { return MakeStatus(StatusCode::kUnavailable, t); }
inline Status ResourceExhausted(std::string_view t) {
  return MakeStatus(StatusCode::kResourceExhausted, t);
}
inline Status DeadlineExceeded(std::string_view t) {
  return MakeStatus(StatusCode::kDeadlineExceeded, t);
}
inline Status Aborted(std::string_view t) { return MakeStatus(StatusCode::kAborted, t); }
inline Status Cancelled(std::string_view t) { return MakeStatus(StatusCode::kCancelled, t); }
inline Status Unimplemented(std::string_view t) {
  return MakeStatus(StatusCode::kUnimplemented, t);
}
inline Status Internal(std::string_view t) { return MakeStatus(StatusCode::kInternal, t); }

inline std::string_view Message(const Status& status) {
  const absl::string_view m = status.message();
  return {m.data(), m.size()};
}

// "NOT_FOUND", "INVALID_ARGUMENT", …: the canonical name of a code.
inline std::string CodeName(StatusCode code) { return absl::StatusCodeToString(code); }

// The same code with `context` before the text: "context: text".
inline Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  std::string text(context);
  text += ": ";
  text += Message(status);
  return MakeStatus(status.code(), text);
}

// The current errno as a Status: "what: No such file or directory".
Status ErrnoStatus(std::string_view what);
Status ErrnoStatus(std::string_view what, int error_number);

}  // namespace mlos

#define MLOS_RETURN_IF_ERROR(expr)               \
  do {                                           \
    ::mlos::Status mlos_status_ = (expr);        \
    if (!mlos_status_.ok()) return mlos_status_; \
  } while (false)

#define MLOS_CONCAT_INNER_(a, b) a##b
#define MLOS_CONCAT_(a, b) MLOS_CONCAT_INNER_(a, b)
#define MLOS_ASSIGN_OR_RETURN(lhs, expr) \
  MLOS_ASSIGN_OR_RETURN_IMPL_(MLOS_CONCAT_(mlos_or_, __LINE__), lhs, expr)
#define MLOS_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) return tmp.status();               \
  lhs = std::move(tmp).value()
