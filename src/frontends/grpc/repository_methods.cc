// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/repository_methods.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/protobuf_reader.h"
#include "frontends/common/infer_plan.h"
#include "frontends/common/repository.h"
#include "frontends/grpc/unary.h"
#include "repository/given.h"

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
    MLOS_RETURN_IF_ERROR(frontend::CheckUnloadParameter(name));
    if (!value.has_bool_param()) {
      return InvalidArgument("parameter " + Quote(name) + " is not a bool_param");
    }
  }
  return OkStatus();
}

// Null: the load brings nothing along.  Files come as they are, not as base64.
StatusOr<std::shared_ptr<const repository::Given>> ReadGiven(Parameters* parameters) {
  if (parameters->empty()) return nullptr;
  auto given = std::make_shared<repository::Given>();
  for (auto& [name, value] : *parameters) {
    MLOS_ASSIGN_OR_RETURN(const auto path, frontend::LoadParameter(name));
    if (path && value.has_bytes_param()) {
      given->files.push_back({std::string(*path), std::move(*value.mutable_bytes_param())});
    } else if (!path && value.has_string_param()) {
      given->config = std::move(*value.mutable_string_param());
    } else {
      return InvalidArgument("parameter " + Quote(name) + " is not a " +
                             (path ? "bytes_param" : "string_param"));
    }
  }
  MLOS_RETURN_IF_ERROR(repository::CheckGiven(*given));
  return given;
}

// Each takes memory once it is parsed, however small it is.
constexpr size_t kMostFields = 8 << 10;

// Whether the message has no more; `inner` are the numbers of messages in it, from
// the outermost on, whose fields count.
bool FewFields(std::string_view message, std::span<const uint32_t> inner, size_t* left) {
  FieldReader reader(message);
  WireField field;
  while (reader.Next(&field)) {
    if ((*left)-- == 0) return false;
    if (!inner.empty() && field.number == inner.front() &&
        !FewFields(field.bytes, inner.subspan(1), left)) {
      return false;
    }
  }
  return !reader.bad();
}

template <typename Request, typename Answer>
class RepositoryHandler : public SmallHandler {
 public:
  RepositoryHandler(ServiceContext& context, rpc::Call& call, size_t most = kSmall,
                    size_t growth = kGrowth)
      : SmallHandler(call, most, growth), repository_(context.loop, context.control) {}
  void OnCancel() override { repository_.Forget(); }

 protected:
  virtual Status Begin(Request* request, const std::string& model) = 0;

  void Finish(const Status& status) {
    if (status.ok()) {
      Reply(Answer());
    } else {
      Fail(status);
    }
  }

  frontend::RepositoryCall repository_;

 private:
  void Handle(const std::string& message) final {
    constexpr uint32_t kParameters[] = {3, 2};  // the entries of the map, and their values
    size_t left = kMostFields;
    if (!FewFields(message, kParameters, &left)) {
      return Fail(
          InvalidArgument("the request is not the message that this method takes, or has too many "
                          "parameters"));
    }
    Request request;
    if (!Parse(&request)) return;
    const StatusOr<std::string> model = ModelOf(request);
    const Status begun = model.ok() ? Begin(&request, *model) : model.status();
    if (!begun.ok()) Fail(begun);
  }
};

class LoadHandler final : public RepositoryHandler<inference::RepositoryModelLoadRequest,
                                                   inference::RepositoryModelLoadResponse> {
 public:
  // Few fields, as they are: twice while it is received, and once what it brings.
  static constexpr size_t kLoadGrowth = 3;

  LoadHandler(ServiceContext& context, rpc::Call& call)
      : RepositoryHandler(context, call, context.options.max_management_bytes, kLoadGrowth) {}

 private:
  Status Begin(inference::RepositoryModelLoadRequest* request, const std::string& model) override {
    MLOS_ASSIGN_OR_RETURN(auto given, ReadGiven(request->mutable_parameters()));
    repository_.Load(model, std::move(given), [this](const Status& status) { Finish(status); });
    return OkStatus();
  }
};

class UnloadHandler final : public RepositoryHandler<inference::RepositoryModelUnloadRequest,
                                                     inference::RepositoryModelUnloadResponse> {
 public:
  using RepositoryHandler::RepositoryHandler;

 private:
  Status Begin(inference::RepositoryModelUnloadRequest* request,
               const std::string& model) override {
    MLOS_RETURN_IF_ERROR(CheckUnloadParameters(request->parameters()));
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
