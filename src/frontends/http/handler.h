// SPDX-License-Identifier: Apache-2.0
//
// One topic of what is served.  A session makes a handler when a request first
// asks for its topic and reuses it; it has one request in hand at a time.
//
// Threads: the event loop's.  Lifetime: the session's; context and exchange
// outlive it.
#pragma once

#include <memory>

#include "frontends/http/api_context.h"
#include "frontends/http/exchange.h"
#include "frontends/http/router.h"

namespace mlos::http {

class Handler {
 public:
  virtual ~Handler() = default;
  // True: the response is complete.  False: exchange.Send() comes later, or has
  // come.  `route` and `body` stay until Release.
  virtual bool Handle(const Route& route, const Body& body, Response& response) = 0;
  // The answer is out, or nobody wants it any more: lets go of everything; no
  // Send any more.
  virtual void Release() {}
};

// The handler of a topic; null for Topic::kNone and Topic::kInfer, which the
// session does itself.
// `request` is of the request in hand, whichever that is.
std::unique_ptr<Handler> MakeHandler(Topic topic, ApiContext& context, Exchange& exchange,
                                     const frontend::RequestContext& request);

}  // namespace mlos::http
