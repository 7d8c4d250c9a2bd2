// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/health_method.h"

#include <algorithm>
#include <memory>

#include "frontends/grpc/unary.h"
#include "proto/health.pb.h"

namespace mlos::grpc {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus StatusOf(std::optional<bool> serving) {
  if (!serving) return HealthCheckResponse::SERVICE_UNKNOWN;
  return *serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

// Looks again each time the connection is swept, a few times a second.
class WatchMethod final : public rpc::Method {
 public:
  explicit WatchMethod(const Health& health) : health_(health) {}
  rpc::Handler* Begin(rpc::Call& call) override { return new Watcher(health_, call); }
  bool while_draining() const override { return true; }

 private:
  class Watcher final : public SmallHandler {
   public:
    Watcher(const Health& health, rpc::Call& call) : SmallHandler(call), health_(health) {}
    void Handle(const std::string&) override {
      if (!Parse(&request_)) return;
      watching_ = true;
      Look();
    }
    void OnSent() override { sending_ = false; }
    void OnSweep(uint64_t) override { Look(); }

   private:
    void Look() {
      if (!watching_ || sending_ || cancelled_) return;
      const auto now = StatusOf(health_.Serving(request_.service()));
      if (told_ == now) {
        if (health_.draining() && !call_.finished()) {
          Fail(Unavailable("the server is shutting down: try another"));
        }
        return;
      }
      told_ = now;
      sending_ = true;
      HealthCheckResponse answer;
      answer.set_status(now);
      Send(answer);
    }

    const Health& health_;
    HealthCheckRequest request_;
    bool watching_ = false;
    bool sending_ = false;
    std::optional<HealthCheckResponse::ServingStatus> told_;
  };

  const Health& health_;
};

}  // namespace

Health::Health(std::function<bool()> ready)
    : ready_(std::move(ready)), watch_(std::make_unique<WatchMethod>(*this)) {
  const auto check = [this](const HealthCheckRequest& request, HealthCheckResponse* answer) {
    const auto serving = Serving(request.service());
    if (!serving) return NotFound("there is no service of that name");
    answer->set_status(StatusOf(serving));
    return OkStatus();
  };
  check_ = std::make_unique<UnaryMethod<HealthCheckRequest, HealthCheckResponse>>(check, true);
}

std::optional<bool> Health::Serving(const std::string& service) const {
  if (!service.empty() &&
      std::find(services_.begin(), services_.end(), service) == services_.end()) {
    return std::nullopt;
  }
  return ready_();
}

}  // namespace mlos::grpc
