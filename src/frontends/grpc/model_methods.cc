// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/model_methods.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "frontends/grpc/unary.h"
#include "modelconfig/json.h"

namespace mlos::grpc {
namespace {

using inference::ModelMetadataResponse;

void Describe(const std::vector<TensorInfo>& tensors,
              google::protobuf::RepeatedPtrField<ModelMetadataResponse::TensorMetadata>* out) {
  for (const TensorInfo& tensor : tensors) {
    auto* described = out->Add();
    described->set_name(tensor.name);
    described->set_datatype(std::string(tensor::DatatypeName(tensor.datatype)));
    described->mutable_shape()->Add(tensor.shape.begin(), tensor.shape.end());
  }
}

// With an explicit version only that, else all that are ready.
void ListVersions(const engine::ModelRoute& route, const engine::RoutingTable& table,
                  bool explicit_version, ModelMetadataResponse* out) {
  const auto model = table.models.find(route.name);
  if (explicit_version || model == table.models.end()) {
    out->add_versions(route.version);
    return;
  }
  for (const engine::RoutePin& other : model->second->versions) {
    // The one in hand serves, whatever the snapshot says by now.
    if (other->state == engine::ModelState::kReady || other->version == route.version) {
      out->add_versions(other->version);
    }
  }
}

Status Fill(const engine::ModelRoute& route, const engine::RoutingTable& table,
            bool explicit_version, ModelMetadataResponse* answer) {
  answer->set_name(route.name);
  ListVersions(route, table, explicit_version, answer);
  answer->set_platform(route.info->platform.empty() ? route.plugin : route.info->platform);
  Describe(route.info->inputs, answer->mutable_inputs());
  Describe(route.info->outputs, answer->mutable_outputs());
  return OkStatus();
}

// Complete since the model was loaded.
Status Fill(const engine::ModelRoute& route, const engine::RoutingTable&, bool,
            inference::ModelConfigResponse* answer) {
  auto config = modelconfig::ParseJson(route.settings->config);
  if (!config.ok()) return Internal("the model's configuration cannot be read");
  *answer->mutable_config() = *std::move(config);
  return OkStatus();
}

template <typename Request, typename Answer>
class DescribeHandler final : public SmallHandler, public engine::Call {
 public:
  DescribeHandler(ServiceContext& context, rpc::Call& call)
      : SmallHandler(call), context_(context) {}

  void OnCancel() override { Release(); }
  void OnDone() override {
    Release();
    delete this;
  }

 private:
  void Handle(const std::string&) override {
    if (!Parse(&asked_)) return;
    const uint64_t now = NowNanos();
    deadline_ns = now + context_.options.default_deadline_ns;
    if (call_.deadline_ns() != 0) {
      deadline_ns = std::min(call_.deadline_ns(), now + context_.options.max_deadline_ns);
    }
    active_ = true;
    if (context_.engine().Resolve(*this, asked_.name(), asked_.version())) OnProgress();
  }

  void OnProgress() override {
    Answer answer;
    Status result = status;
    if (result.ok()) {
      result = Fill(*route, *context_.engine().routes(), !asked_.version().empty(), &answer);
    }
    Release();
    if (result.ok()) {
      Reply(answer);
    } else {
      Fail(result);
    }
  }

  void Release() {
    if (std::exchange(active_, false)) context_.engine().Finish(*this);
  }

  ServiceContext& context_;
  Request asked_;
  bool active_ = false;
};

}  // namespace

std::unique_ptr<rpc::Method> NewModelMetadata(ServiceContext& context) {
  using H = DescribeHandler<inference::ModelMetadataRequest, ModelMetadataResponse>;
  return std::make_unique<MethodOf<H, ServiceContext>>(context);
}

std::unique_ptr<rpc::Method> NewModelConfig(ServiceContext& context) {
  using H = DescribeHandler<inference::ModelConfigRequest, inference::ModelConfigResponse>;
  return std::make_unique<MethodOf<H, ServiceContext>>(context);
}

}  // namespace mlos::grpc
