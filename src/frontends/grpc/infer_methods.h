// SPDX-License-Identifier: Apache-2.0
//
// ModelInfer and ModelStreamInfer.
//
// Threads: the event loop's.  Lifetime: the server's; the context outlives them.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "frontends/grpc/infer_context.h"
#include "rpc/call.h"

namespace mlos::grpc {

class InferJob;

// Handlers and jobs that are not in use, to be used again.
template <typename H>
class Pool {
 public:
  template <typename... Args>
  H* Take(Args&&... args) {
    if (spare_.empty()) return new H(std::forward<Args>(args)...);
    H* handler = spare_.back().release();
    spare_.pop_back();
    return handler;
  }
  void Give(H* handler) {
    std::unique_ptr<H> owned(handler);
    if (spare_.size() < kMost) spare_.push_back(std::move(owned));
  }

 private:
  static constexpr size_t kMost = 256;
  std::vector<std::unique_ptr<H>> spare_;
};

class ModelInferMethod final : public rpc::Method {
 public:
  explicit ModelInferMethod(InferContext& context);
  ~ModelInferMethod() override;
  rpc::Handler* Begin(rpc::Call& call) override;

 private:
  class Handler;
  InferContext& context_;
  Pool<Handler> pool_;
};

class ModelStreamInferMethod final : public rpc::Method {
 public:
  explicit ModelStreamInferMethod(InferContext& context);
  ~ModelStreamInferMethod() override;
  rpc::Handler* Begin(rpc::Call& call) override;
  bool client_streams() const override { return true; }

 private:
  class Handler;
  InferContext& context_;
  Pool<InferJob> jobs_;
};

}  // namespace mlos::grpc
