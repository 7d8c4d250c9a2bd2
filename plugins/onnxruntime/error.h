// SPDX-License-Identifier: Apache-2.0
//
// Error: the outcome of a step inside this plugin, an SMI code with the
// sentence that goes to the user.  A value type; owned by whoever holds it.
// Text that came from a model or a user is quoted with Quote(), so that it can
// neither break a log line nor fill one.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_ERROR_H_
#define MLOS_PLUGINS_ONNXRUNTIME_ERROR_H_

#include <mlos/smi.h>

#include <string>
#include <string_view>
#include <utility>

namespace mlos::onnxrt {

class [[nodiscard]] Error {
 public:
  Error() = default;
  Error(smi_code code, std::string text) : code_(code), text_(std::move(text)) {}

  bool ok() const { return code_ == SMI_OK; }
  smi_code code() const { return code_; }
  const std::string& text() const { return text_; }

  // The same error with `prefix` in front of its text.
  Error Prefixed(std::string_view prefix) const {
    return ok() ? Error() : Error(code_, std::string(prefix) + text_);
  }

 private:
  smi_code code_ = SMI_OK;
  std::string text_;
};

inline Error Invalid(std::string text) { return Error(SMI_INVALID_ARGUMENT, std::move(text)); }

// 'text' in single quotes, control characters as \xNN, cut after 120 bytes.
std::string Quote(std::string_view text);

// What a library says, fit for a user: one line, without the source file
// positions of its build machine, cut after about 600 bytes.
std::string Tidy(std::string_view text);

// Writes `text` into the caller's buffer, cut at a character boundary; does
// nothing when there is none.
void WriteError(smi_error* to, std::string_view text);

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_ERROR_H_
