// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 requests from bytes: Boost.Beast's parser, driven without sockets
// and without its containers, so that a request costs no allocation.  Stricter
// than the parser where two readings of a message would differ: a repeated or
// listed Content-Length, any Transfer-Encoding other than "chunked".
//
// One per connection; one thread.  This is the only place that sees Beast.
#pragma once

#include <memory>
#include <string_view>

#include "base/buffer.h"
#include "frontends/http/request.h"

namespace mlos::http {

// Of Inference-Header-Content-Length.  A second one that differs would be a
// second reading of the body.
void TakeJsonLength(std::string_view value, RequestHead* head);

class RequestParser {
 public:
  enum class Result { kNeedMore, kDone, kError };

  RequestParser(uint32_t max_header_bytes, uint32_t max_chunks);
  ~RequestParser();

  // Ready for the next message.
  void Reset();

  // Reads the head from the start of a message.  `data` is all of it that has
  // arrived; on kNeedMore call again with the same bytes and more behind them.
  // On kDone `*consumed` is where the body begins.  The head's views point
  // into `data`.
  Result ReadHead(std::string_view data, size_t* consumed);
  const RequestHead& head() const;

  // Reads a chunked body, after the head, appending to `body`.  `data` is what
  // follows the last call's `*consumed`.
  Result ReadChunks(std::string_view data, uint64_t max_body, Buffer* body, size_t* consumed);

  // After kError: the answer's status and text.
  int error_status() const;
  std::string_view error_text() const;

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace mlos::http
