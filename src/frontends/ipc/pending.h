// SPDX-License-Identifier: Apache-2.0
//
// A call of a connection that is not answered yet, and whom it tells.
//
// Threads: the event loop's.  Lifetime: the connection's, which outlives what
// its calls still have to say.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "base/owned_fd.h"
#include "base/status.h"
#include "ipc/message.h"
#include "ipc/wire.h"
#include "metrics/ipc_counters.h"

namespace mlos::ipc {

class Pending;

class CallOwner {
 public:
  virtual ~CallOwner() = default;
  // The answer: `head`, and then the pieces, which are looked at before this
  // returns.  The call is over, and may be used for another by then.
  virtual void Answer(Pending& call, Tell type, std::string_view head,
                      std::span<const std::span<const std::byte>> pieces) = 0;
  // The same, with a descriptor that goes along.
  virtual void AnswerWith(Pending& call, Tell type, std::string_view head, OwnedFd descriptor) = 0;
  virtual void Fail(Pending& call, const Status& status, std::string_view hint) = 0;
};

class Pending {
 public:
  explicit Pending(CallOwner& owner) : owner_(owner) {}
  virtual ~Pending() = default;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  // The whole message; what is kept of it is swapped out.  Answers, at once or later.
  virtual void Begin(Buffer* payload) = 0;
  // Over, or nobody waits any more: no answer comes, and nothing is held.
  virtual void Release() = 0;
  // For another call, when it is over.
  virtual bool reusable() const { return false; }

  uint64_t number = 0;  // the client's
  metrics::IpcKind kind = metrics::IpcKind::kUnknown;
  uint64_t reserved = 0;  // bytes that are accounted for
  size_t place = 0;       // among those that run

 protected:
  CallOwner& owner_;
};

}  // namespace mlos::ipc
