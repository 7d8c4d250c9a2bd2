// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/repository_methods.h"

#include <string>

#include "frontends/common/infer_plan.h"
#include "frontends/common/repository.h"
#include "frontends/grpc/unary.h"

namespace mlos::grpc {
namespace {

using frontend::Quote;
using Parameters = google::protobuf::Map<std::string, inference::ModelRepositoryParameter>;

// Clients of another server of the protocol put the model's name where the
// repository's belongs: a request that names no model means it so.
template <typename Request>
StatusOr<std::string> ModelOf(const Request& request) {
  if (request.model_name().empty()) {
    if (request.repository_name().empty()) return InvalidArgument("model_name is missing");
    return request.repository_name();
  }
  MLOS_RETURN_IF_ERROR(frontend::CheckRepositoryName(request.repository_name()));
  return request.model_name();
}

Status CheckUnloadParameters(const Parameters& parameters) {
  for (const auto& [name, value] : parameters) {
    if (name != "unload_dependents") {
      return InvalidArgument("unknown parameter " + Quote(name) + " (known: unload_dependents)");
    }
    // No model depends on another one: either value is met.
    if (!value.has_bool_param()) {
      return InvalidArgument("parameter 'unload_dependents' is not a bool_param");
    }
  }
  return OkStatus();
}

Status CheckLoadParameters(const Parameters& parameters) {
  for (const auto& [name, value] : parameters) {
    if (name == "config" || name.rfind("file:", 0) == 0) {
      return Unimplemented("parameter " + Quote(name) +
                           ": a load takes no configuration and no files here; register them as "
                           "another version of the model");
    }
    return InvalidArgument("unknown parameter " + Quote(name));
  }
  return OkStatus();
}

template <typename Request, typename Answer>
class RepositoryHandler : public SmallHandler {
 public:
  RepositoryHandler(ServiceContext& context, rpc::Call& call)
      : SmallHandler(call), repository_(context.loop, context.control) {}
  void OnCancel() override { repository_.Forget(); }

 protected:
  virtual Status Begin(const Request& request, const std::string& model) = 0;

  void Finish(const Status& status) {
    if (status.ok()) {
      Reply(Answer());
    } else {
      Fail(status);
    }
  }

  frontend::RepositoryCall repository_;

 private:
  void Handle(const std::string&) final {
    Request request;
    if (!Parse(&request)) return;
    const StatusOr<std::string> model = ModelOf(request);
    const Status begun = model.ok() ? Begin(request, *model) : model.status();
    if (!begun.ok()) Fail(begun);
  }
};

class LoadHandler final : public RepositoryHandler<inference::RepositoryModelLoadRequest,
                                                   inference::RepositoryModelLoadResponse> {
 public:
  using RepositoryHandler::RepositoryHandler;

 private:
  Status Begin(const inference::RepositoryModelLoadRequest& request,
               const std::string& model) override {
    MLOS_RETURN_IF_ERROR(CheckLoadParameters(request.parameters()));
    repository_.Load(model, [this](const Status& status) { Finish(status); });
    return OkStatus();
  }
};

class UnloadHandler final : public RepositoryHandler<inference::RepositoryModelUnloadRequest,
                                                     inference::RepositoryModelUnloadResponse> {
 public:
  using RepositoryHandler::RepositoryHandler;

 private:
  Status Begin(const inference::RepositoryModelUnloadRequest& request,
               const std::string& model) override {
    MLOS_RETURN_IF_ERROR(CheckUnloadParameters(request.parameters()));
    repository_.Unload(model, [this](const Status& status) { Finish(status); });
    return OkStatus();
  }
};

}  // namespace

Status AnswerIndex(const ServiceContext& context, const inference::RepositoryIndexRequest& request,
                   inference::RepositoryIndexResponse* answer) {
  MLOS_RETURN_IF_ERROR(frontend::CheckRepositoryName(request.repository_name()));
  for (const auto& entry : frontend::RepositoryIndex(*context.engine().routes(), request.ready())) {
    auto* row = answer->add_models();
    row->set_name(entry.name);
    row->set_version(entry.version);
    row->set_state(std::string(entry.state));
    row->set_reason(entry.reason);
  }
  return OkStatus();
}

std::unique_ptr<rpc::Method> NewRepositoryLoad(ServiceContext& context) {
  return std::make_unique<MethodOf<LoadHandler, ServiceContext>>(context);
}

std::unique_ptr<rpc::Method> NewRepositoryUnload(ServiceContext& context) {
  return std::make_unique<MethodOf<UnloadHandler, ServiceContext>>(context);
}

}  // namespace mlos::grpc
