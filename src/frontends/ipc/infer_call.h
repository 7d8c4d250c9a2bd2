// SPDX-License-Identifier: Apache-2.0
//
// One inference of the local protocol: the message is whole when it begins, its
// tensors are copied into the channel, a large one in slices between which
// others have their turn.
//
// Threads: the event loop's.  Lifetime: the connection's; reused.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "frontends/common/call_steps.h"
#include "frontends/common/element_checker.h"
#include "frontends/ipc/context.h"
#include "frontends/ipc/pending.h"
#include "ipc/message.h"

namespace mlos::ipc {

class InferCall final : public Pending, private frontend::CallSteps {
 public:
  InferCall(Context& context, CallOwner& owner)
      : Pending(owner), CallSteps(context.calls), context_(context) {}
  ~InferCall() override { Release(); }

  void Begin(Buffer* payload) override;
  void Release() override;
  bool reusable() const override { return true; }

 private:
  StatusOr<Turn> Plan(const engine::ModelRoute& route, tensor::RequestPlan* plan) override;
  StatusOr<Turn> Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) override;
  void OnLater() override;
  Status Encode(const Status& status, bool never) override;
  void Deliver() override;

  Status Read(std::string_view payload);
  StatusOr<bool> FillSome();
  Status EncodeAnswer();
  std::string About(const frontend::GivenInput& input) const;

  Context& context_;
  Buffer payload_;
  AskInfer ask_;
  std::vector<frontend::GivenInput> inputs_;  // as many as ask_.inputs, in their order
  std::vector<frontend::AskedOutput> outputs_;
  const tensor::RequestPlan* plan_ = nullptr;  // from Fill on
  std::span<std::byte> block_;
  size_t input_ = 0;  // that is being filled
  uint64_t at_ = 0;   // how far
  frontend::ElementChecker checker_;
  std::shared_ptr<int> turn_;  // while a slice is to come

  Status error_;
  InferAnswer answer_text_;
  Buffer head_;
  std::vector<std::span<const std::byte>> pieces_;
};

}  // namespace mlos::ipc
