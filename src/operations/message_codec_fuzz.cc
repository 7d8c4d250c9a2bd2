// SPDX-License-Identifier: Apache-2.0
//
// A request of management and an answer, as a stranger writes them: the first
// byte says of which operation.  What is read is written and read again, and is
// the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "operations/message_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlos::operations;  // NOLINT(google-build-using-namespace): a fuzzer's scope
  if (size == 0) return 0;
  const OperationRow& row = Operations()[data[0] % Operations().size()];
  const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const auto read = DecodeRequest(row, message); read.ok()) {
    const auto again = DecodeRequest(row, EncodeRequest(row, *read));
    if (!again.ok() || again->members != read->members || again->name != read->name) std::abort();
  }
  if (const auto read = DecodeAnswer(row, message); read.ok()) {
    const auto again = DecodeAnswer(row, EncodeAnswer(row, *read));
    if (!again.ok() || again->body != read->body) std::abort();
  }
  return 0;
}
