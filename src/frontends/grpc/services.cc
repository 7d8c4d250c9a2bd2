// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/services.h"

#include <utility>

#include "frontends/common/extensions.h"
#include "frontends/common/infer_plan.h"
#include "frontends/grpc/model_methods.h"
#include "frontends/grpc/region_methods.h"
#include "frontends/grpc/repository_methods.h"
#include "frontends/grpc/settings_methods.h"
#include "frontends/grpc/unary.h"

namespace mlos::grpc {
namespace {

using namespace inference;  // NOLINT(google-build-using-namespace): forty messages, here only

constexpr std::string_view kService = "inference.GRPCInferenceService";

}  // namespace

Services::Services(const Parts& parts, const GrpcOptions& options)
    : context_{.loop = parts.loop,
               .control = parts.control,
               .options = options,
               .infer = {.engine = parts.engine,
                         .options = options,
                         .regions = parts.regions,
                         .tracer = parts.tracer,
                         .log = &log_}},
      health_([this] { return Ready(); }),
      infer_(context_.infer),
      stream_infer_(context_.infer),
      management_(context_),
      dispatcher_(options.calls, parts.plain) {
  dispatcher_.set_watcher(&log_);
  AddHealth();
  AddServer();
  AddModels();
  AddRegions();
  AddManagement();
}

void Services::set_draining() {
  context_.leaving = true;
  context_.infer.draining = true;
  health_.set_draining();
  dispatcher_.set_draining();
}

void Services::AddInference(std::string_view name, rpc::Method& method) {
  dispatcher_.Add("/" + std::string(kService) + "/" + std::string(name), method);
}

void Services::Own(std::string_view name, std::unique_ptr<rpc::Method> method) {
  methods_.push_back(std::move(method));
  AddInference(name, *methods_.back());
}

template <typename Request, typename Answer, typename F>
void Services::Add(std::string_view name, F function, bool while_draining) {
  Own(name, std::make_unique<UnaryMethod<Request, Answer>>(std::move(function), while_draining));
}

void Services::AddHealth() {
  health_.AddService(std::string(kService));
  dispatcher_.Add("/grpc.health.v1.Health/Check", health_.check());
  dispatcher_.Add("/grpc.health.v1.Health/Watch", health_.watch());
}

void Services::AddServer() {
  Add<ServerLiveRequest, ServerLiveResponse>(
      "ServerLive",
      [](const ServerLiveRequest&, ServerLiveResponse* answer) {
        answer->set_live(true);
        return OkStatus();
      },
      true);
  Add<ServerReadyRequest, ServerReadyResponse>(
      "ServerReady",
      [this](const ServerReadyRequest&, ServerReadyResponse* answer) {
        answer->set_ready(Ready());
        return OkStatus();
      },
      true);
  Add<ServerMetadataRequest, ServerMetadataResponse>(
      "ServerMetadata", [this](const ServerMetadataRequest&, ServerMetadataResponse* answer) {
        answer->set_name(context_.options.server_name);
        answer->set_version(context_.options.server_version);
        for (const std::string_view name :
             frontend::Extensions({.client_regions = context_.regions().allowed()})) {
          answer->add_extensions(std::string(name));
        }
        return OkStatus();
      });
  Own("TraceSetting", NewTraceSetting(context_));
  Own("LogSettings", NewLogSettings(context_));
}

void Services::AddModels() {
  Add<ModelReadyRequest, ModelReadyResponse>(
      "ModelReady", [this](const ModelReadyRequest& request, ModelReadyResponse* answer) {
        const auto route = context_.engine().routes()->Find(request.name(), request.version());
        if (route == nullptr) {
          return NotFound("there is no model " + frontend::Quote(request.name()) +
                          (request.version().empty()
                               ? std::string()
                               : " of version " + frontend::Quote(request.version())));
        }
        answer->set_ready(!context_.leaving && route->state == engine::ModelState::kReady);
        return OkStatus();
      });
  Own("ModelMetadata", NewModelMetadata(context_));
  Own("ModelConfig", NewModelConfig(context_));
  Add<ModelStatisticsRequest, ModelStatisticsResponse>(
      "ModelStatistics",
      [this](const ModelStatisticsRequest& request, ModelStatisticsResponse* answer) {
        return AnswerStatistics(context_, request, answer);
      });
  Add<RepositoryIndexRequest, RepositoryIndexResponse>(
      "RepositoryIndex",
      [this](const RepositoryIndexRequest& request, RepositoryIndexResponse* answer) {
        return AnswerIndex(context_, request, answer);
      });
  Own("RepositoryModelLoad", NewRepositoryLoad(context_));
  Own("RepositoryModelUnload", NewRepositoryUnload(context_));
  AddInference("ModelInfer", infer_);
  AddInference("ModelStreamInfer", stream_infer_);
}

void Services::AddRegions() {
  frontend::RegionTable& regions = context_.regions();
  Add<SystemSharedMemoryStatusRequest, SystemSharedMemoryStatusResponse>(
      "SystemSharedMemoryStatus", [&regions](const auto& request, auto* answer) {
        return RegionStatus(regions, request, answer);
      });
  Add<SystemSharedMemoryRegisterRequest, SystemSharedMemoryRegisterResponse>(
      "SystemSharedMemoryRegister",
      [&regions](const auto& request, auto*) { return RegisterRegion(regions, request); });
  Add<SystemSharedMemoryUnregisterRequest, SystemSharedMemoryUnregisterResponse>(
      "SystemSharedMemoryUnregister",
      [&regions](const auto& request, auto*) { return UnregisterRegion(regions, request.name()); });
  Add<CudaSharedMemoryStatusRequest, CudaSharedMemoryStatusResponse>(
      "CudaSharedMemoryStatus", [](const auto& request, auto*) { return CudaStatus(request); });
  Add<CudaSharedMemoryRegisterRequest, CudaSharedMemoryRegisterResponse>(
      "CudaSharedMemoryRegister", [](const auto&, auto*) { return RegisterCuda(); });
  // Unregistering what cannot be there.
  Add<CudaSharedMemoryUnregisterRequest, CudaSharedMemoryUnregisterResponse>(
      "CudaSharedMemoryUnregister", [](const auto&, auto*) { return OkStatus(); });
}

void Services::AddManagement() {
  management_.AddTo(dispatcher_);
  health_.AddService(Management::kService);
  reflection_.AddService(std::string(kService));
  reflection_.AddService("grpc.health.v1.Health");
  reflection_.AddService(Management::kService);
  reflection_.AddPool(*google::protobuf::DescriptorPool::generated_pool());
  reflection_.AddPool(management_.pool());
  for (const char* version : {"v1", "v1alpha"}) {
    dispatcher_.Add(
        "/grpc.reflection." + std::string(version) + ".ServerReflection/ServerReflectionInfo",
        reflection_);
  }
}

}  // namespace mlos::grpc
