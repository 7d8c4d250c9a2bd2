// SPDX-License-Identifier: Apache-2.0
//
// The line between transport and what is served over it.
//
// A Connection owns one Session and drives it, one request at a time:
//
//   OnHead -> OnBody -> (session works) -> Exchange::Send -> Sent
//                                   or, at any point: Abandon
//
// Everything happens on the event loop's thread.
#pragma once

#include <memory>

#include "frontends/common/request_context.h"
#include "frontends/http/request.h"
#include "frontends/http/response.h"
#include "metrics/http_counters.h"

namespace mlos::http {

// The connection as a session sees it.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual Response& response() = 0;
  // The response is complete.  May be called inside OnBody or later; exactly
  // once per OnBody, and as the session's last act on this request: the
  // connection may go on to the next one, or end, before Send returns.
  virtual void Send() = 0;
};

class Session {
 public:
  virtual ~Session() = default;

  // A request's head has arrived.  Returns the largest body that will be
  // taken; for a larger one RefuseBody follows instead of OnBody.
  virtual uint64_t OnHead(const RequestHead& head) = 0;
  // After OnHead: a compressed body is to be decompressed, within the same limit.
  virtual bool takes_compressed() const { return false; }
  // Before a large body is read.  True: it would be in vain, and the response
  // says why; the connection sends it and closes.
  virtual bool TurnAway(Response& response) {
    (void)response;
    return false;
  }
  // Fill in the response; the connection sends it and closes.
  virtual void RefuseBody(Response& response) = 0;
  // The body is there and stays until Sent or Abandon.
  virtual void OnBody(const Body& body) = 0;
  // The response has been handed to the system: let go of what it points to.
  virtual void Sent() = 0;
  // The client is gone: stop, no Send any more.  Not called after Sent.
  virtual void Abandon() = 0;
  // Of the request whose head came last: what it is counted as, who it is (may
  // be null), and a look at its answer before it is sent, `since_ns` after the
  // body was there (0: it never was).
  virtual metrics::RouteClass route_class() const = 0;
  virtual const frontend::RequestContext* context() const { return nullptr; }
  virtual void Answering(const Response& response, uint64_t since_ns) {
    (void)response;
    (void)since_ns;
  }
  // True if the response goes without its body (HEAD).
  virtual bool head_only() const = 0;
};

// What a server serves: makes a session for each connection.
class Service {
 public:
  virtual ~Service() = default;
  // `exchange` outlives the session, the service outlives its requests.
  virtual std::unique_ptr<Session> NewSession(Exchange& exchange) = 0;
  // Now and then, and with the greatest of all times once there are no
  // connections: let go of memory that is kept for requests and not needed.
  virtual void Rest(uint64_t now_ns) { (void)now_ns; }
  // From now on health says that the server goes; then, that nothing new begins.
  virtual void set_leaving() {}
  virtual void set_draining() {}
};

}  // namespace mlos::http
