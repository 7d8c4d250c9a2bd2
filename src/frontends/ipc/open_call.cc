// SPDX-License-Identifier: Apache-2.0
#include "frontends/ipc/open_call.h"

#include <unistd.h>

#include <utility>

#include "base/clock.h"
#include "frontends/ipc/describe.h"

namespace mlos::ipc {
namespace {

// Who runs the daemon, and root, may do to its models what they like anyway.
bool MayWriteInPlace(uid_t uid) { return uid == 0 || uid == ::geteuid(); }

}  // namespace

void OpenCall::Begin(Buffer* payload) {
  payload_.Swap(*payload);
  const Status read = Decode(payload_.view(), &ask_);
  if (!read.ok()) return owner_.Fail(*this, read, {});
  if (ask_.with_config) {
    return owner_.Fail(*this, InvalidArgument("the message open has a flag that is not here"), {});
  }
  if (context_.channels == nullptr) {
    return owner_.Fail(*this, Unimplemented("this server has no direct channels"), {});
  }
  deadline_ns = NowNanos() + context_.options.default_deadline_ns;
  Resolve();
}

void OpenCall::Release() {
  waiting_.reset();
  if (std::exchange(active_, false)) context_.engine.Finish(*this);
}

void OpenCall::Resolve() {
  active_ = true;
  if (context_.engine.Resolve(*this, ask_.model, ask_.version)) OnProgress();
}

void OpenCall::OnProgress() {
  if (!status.ok()) return owner_.Fail(*this, Status(status), {});
  waiting_ = std::make_shared<int>(0);
  context_.channels->OpenChannel(
      {.route = route, .principal = who_.uid, .in_place = MayWriteInPlace(who_.uid)},
      [this, &loop = context_.loop, alive = std::weak_ptr<int>(waiting_)](StatusOr<OwnedFd> link) {
        loop.Post([this, alive, link = std::move(link)]() mutable {
          if (!alive.expired()) OnOpened(std::move(link));
        });
      });
}

void OpenCall::OnOpened(StatusOr<OwnedFd> link) {
  if (!link.ok() && link.status().code() == StatusCode::kAborted && NowNanos() < deadline_ns) {
    Release();  // the snapshot of routes is newer by now
    return Resolve();
  }
  if (!link.ok()) return owner_.Fail(*this, link.status(), {});
  Buffer out;
  Encode(DescriptionOf(*route, *context_.engine.routes(), ask_), &out);
  owner_.AnswerWith(*this, Tell::kChannel, out.view(), *std::move(link));
}

}  // namespace mlos::ipc
