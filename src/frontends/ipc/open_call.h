// SPDX-License-Identifier: Apache-2.0
//
// A client asks for a direct channel to a model: finds the model, has the channel
// opened, and answers with what the model takes and the client's end of its link.
//
// Threads: the event loop's.  Lifetime: the connection's.
#pragma once

#include <memory>

#include "frontends/ipc/context.h"
#include "frontends/ipc/pending.h"
#include "ipc/identity.h"
#include "ipc/wire.h"

namespace mlos::ipc {

class OpenCall final : public Pending, private engine::Call {
 public:
  OpenCall(Context& context, const Identity& who, CallOwner& owner)
      : Pending(owner), context_(context), who_(who) {}
  ~OpenCall() override { Release(); }

  void Begin(Buffer* payload) override;
  void Release() override;

 private:
  void Resolve();
  void OnProgress() override;
  void OnOpened(StatusOr<OwnedFd> link);

  Context& context_;
  const Identity who_;
  Buffer payload_;
  AskModel ask_;
  bool active_ = false;           // the engine has something of it
  std::shared_ptr<int> waiting_;  // for the channel
};

}  // namespace mlos::ipc
