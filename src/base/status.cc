// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <cerrno>
#include <cstring>

namespace mlos {
namespace {

StatusCode CodeOf(int error_number) {
  switch (error_number) {
    case ENOENT:
      return StatusCode::kNotFound;
    case EEXIST:
      return StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
      return StatusCode::kPermissionDenied;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
      return StatusCode::kInvalidArgument;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
      return StatusCode::kResourceExhausted;
    case EAGAIN:
    case ECONNREFUSED:
      return StatusCode::kUnavailable;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

Status ErrnoStatus(std::string_view what) { return ErrnoStatus(what, errno); }

Status ErrnoStatus(std::string_view what, int error_number) {
  char buffer[128];
  std::string text(what);
  text += ": ";
  text += strerror_r(error_number, buffer, sizeof buffer);
  return MakeStatus(CodeOf(error_number), text);
}

}  // namespace mlos
