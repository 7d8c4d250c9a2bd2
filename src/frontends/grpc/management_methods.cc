// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/management_methods.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "base/json.h"
#include "frontends/grpc/service_context.h"
#include "frontends/grpc/unary.h"
#include "operations/body.h"
#include "operations/proto_document.h"

namespace mlos::grpc {
namespace {

namespace json = boost::json;
namespace pb = google::protobuf;
using control::OperationKind;

constexpr const char* kFile = "mlos/v1/management.proto";

// What can be asked for again, to wait for its end: it is one goal, not one step.
bool CanBeJoined(OperationKind kind) {
  switch (kind) {
    case OperationKind::kLoadPlugin:
    case OperationKind::kUnloadPlugin:
    case OperationKind::kLoadModel:
    case OperationKind::kUnloadModel:
    case OperationKind::kLoadModelVersions:
    case OperationKind::kUnloadModelVersions:
      return true;
    default:
      return false;
  }
}

std::string TakeText(json::object* object, const char* name) {
  const json::value* value = object->if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  std::string text(value->get_string().data(), value->get_string().size());
  object->erase(name);
  return text;
}

bool InPath(const operations::OperationRow& row, std::string_view parameter) {
  return row.http_path.find("{" + std::string(parameter) + "}") != std::string_view::npos;
}

// In JSON the library writes whole numbers of 64 bits as texts.
Status RestoreNumbers(const operations::OperationRow& row, json::object* body) {
  for (const operations::Field& field : row.fields) {
    if (field.type != operations::Type::kInteger) continue;
    json::value* value = body->if_contains({field.name.data(), field.name.size()});
    if (value == nullptr || !value->is_string()) continue;
    const std::string text(value->get_string().data(), value->get_string().size());
    MLOS_ASSIGN_OR_RETURN(*value, operations::ReadParameter(field.type, text));
  }
  return OkStatus();
}

StatusOr<control::Operation> ReadOperation(const operations::OperationRow& row,
                                           const pb::Message& request) {
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!pb::util::MessageToJsonString(request, &text, options).ok()) {
    return InvalidArgument(
        "the request cannot be read: a text is not valid UTF-8, or a number in "
        "an object is not finite");
  }
  MLOS_ASSIGN_OR_RETURN(json::value body, ParseJson(text));
  control::Operation operation;
  operation.kind = row.kind;
  operation.body = std::move(body.get_object());
  if (InPath(row, "name")) operation.name = TakeText(&operation.body, "name");
  if (InPath(row, "version")) operation.version = TakeText(&operation.body, "version");
  MLOS_RETURN_IF_ERROR(RestoreNumbers(row, &operation.body));
  return operation;
}

// With what to do about it, which HTTP has in a member of its own.
Status Refusal(const control::Outcome& outcome) {
  if (outcome.hint.empty()) return outcome.status;
  return MakeStatus(outcome.status.code(),
                    std::string(Message(outcome.status)) + ": " + outcome.hint);
}

}  // namespace

Management::Messages::Messages() : pool(pb::DescriptorPool::generated_pool()), factory(&pool) {
  pb::Struct::descriptor();  // the file that ours imports
  const std::string text = operations::ProtoDocument();
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  pb::io::Tokenizer tokenizer(&stream, nullptr);
  pb::FileDescriptorProto file;
  pb::compiler::Parser parser;
  if (!parser.Parse(&tokenizer, &file)) return;
  file.set_name(kFile);
  if (pool.BuildFile(file) != nullptr) service = pool.FindServiceByName(kService);
}

class ManagementHandler final : public SmallHandler {
 public:
  ManagementHandler(ServiceContext& context, const operations::OperationRow& row,
                    std::shared_ptr<Management::Messages> messages,
                    const pb::MethodDescriptor& method, rpc::Call& call)
      : SmallHandler(call),
        context_(context),
        row_(row),
        messages_(std::move(messages)),
        method_(method) {}

  void OnCancel() override { waiting_.reset(); }
  void OnSent() override {
    sending_ = false;
    if (waiting_ != nullptr && held_) OnAnswer(*std::exchange(held_, std::nullopt));
  }

 private:
  struct Answer {
    Status status;
    bool accepted = false;
    std::string bytes;  // the message
  };

  void Handle(const std::string&) override {
    const std::unique_ptr<pb::Message> request(
        messages_->factory.GetPrototype(method_.input_type())->New());
    if (!Parse(request.get())) return;
    StatusOr<control::Operation> operation = ReadOperation(row_, *request);
    if (!operation.ok()) return Fail(operation.status());
    operation_ = *std::move(operation);
    Apply(!row_.can_wait() || !CanBeJoined(row_.kind));
  }

  // `wait`: for the end.
  void Apply(bool wait) {
    waiting_ = std::make_shared<Waiting>([this](const Answer& answer) { OnAnswer(answer); });
    control::Operation operation = operation_;
    operation.wait = wait;
    context_.control.Apply(
        std::move(operation),
        [&loop = context_.loop, waiting = std::weak_ptr<Waiting>(waiting_), messages = messages_,
         method = &method_, streams = row_.can_wait()](const control::Outcome& outcome) {
          Answer answer = Encode(outcome, *messages, *method, streams);
          loop.Post([waiting, answer = std::move(answer)] {
            if (const auto alive = waiting.lock()) (*alive)(answer);
          });
        });
  }

  // On the control path's thread: a list of a thousand models takes its time.
  static Answer Encode(const control::Outcome& outcome, Management::Messages& messages,
                       const pb::MethodDescriptor& method, bool streams) {
    Answer answer;
    answer.accepted = outcome.accepted;
    if (!outcome.status.ok()) {
      answer.status = Refusal(outcome);
      return answer;
    }
    json::value body = outcome.body;
    if (streams) {
      body = json::object{{"done", !outcome.accepted}, {"object", std::move(body)}};
    } else if (method.output_type()->FindFieldByName("document") != nullptr) {
      body = json::object{{"document", std::move(body)}};
    }
    const std::unique_ptr<pb::Message> message(
        messages.factory.GetPrototype(method.output_type())->New());
    pb::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    if (!pb::util::JsonStringToMessage(json::serialize(body), message.get(), options).ok()) {
      answer.status = Internal("the answer does not fit its message");
      return answer;
    }
    message->SerializeToString(&answer.bytes);
    return answer;
  }

  void OnAnswer(const Answer& answer) {
    if (sending_) {
      held_ = answer;
      return;
    }
    if (!answer.status.ok()) return Fail(answer.status);
    sending_ = true;
    SendBytes(answer.bytes);
    if (!row_.can_wait() || !answer.accepted) return call_.Finish(OkStatus());
    // It goes on: wait for its end, from now on and not from when the client has read
    // this, when others may have wanted something else.
    Apply(true);
  }

  using Waiting = std::function<void(const Answer&)>;

  ServiceContext& context_;
  const operations::OperationRow& row_;
  const std::shared_ptr<Management::Messages> messages_;
  const pb::MethodDescriptor& method_;
  control::Operation operation_;
  std::shared_ptr<Waiting> waiting_;
  bool sending_ = false;        // an answer
  std::optional<Answer> held_;  // comes behind it
};

class Management::Method final : public rpc::Method {
 public:
  Method(Management& management, const operations::OperationRow& row,
         const pb::MethodDescriptor& method)
      : management_(management), row_(row), method_(method) {}

  rpc::Handler* Begin(rpc::Call& call) override {
    return new ManagementHandler(management_.context_, row_, management_.messages_, method_, call);
  }

 private:
  Management& management_;
  const operations::OperationRow& row_;
  const pb::MethodDescriptor& method_;
};

Management::Management(ServiceContext& context)
    : context_(context), messages_(std::make_shared<Messages>()) {}

Management::~Management() = default;

void Management::AddTo(rpc::Dispatcher& dispatcher) {
  if (messages_->service == nullptr) return;  // a test says so
  for (const operations::OperationRow& row : operations::Operations()) {
    const auto* method =
        messages_->service->FindMethodByName(std::string(operations::MethodName(row)));
    if (method == nullptr) continue;
    methods_.push_back(std::make_unique<Method>(*this, row, *method));
    dispatcher.Add("/" + std::string(row.grpc_method), *methods_.back());
  }
}

}  // namespace mlos::grpc
