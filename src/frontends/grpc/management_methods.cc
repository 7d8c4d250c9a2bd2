// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/management_methods.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/struct.pb.h>

#include <deque>
#include <utility>

#include "frontends/common/control_call.h"
#include "frontends/grpc/service_context.h"
#include "frontends/grpc/unary.h"
#include "operations/message_codec.h"
#include "operations/proto_document.h"

namespace mlos::grpc {
namespace {

namespace pb = google::protobuf;

constexpr const char* kFile = "mlos/v1/management.proto";

// Of a request that has an object in it, a configuration for example, and of the others:
// they are read on the front loop, which takes a few milliseconds at worst.
constexpr size_t kMostWithObject = 256 << 10;
constexpr size_t kMostWithoutObject = 16 << 10;

size_t MostBytes(const operations::OperationRow& row) {
  for (const operations::Field& field : row.fields) {
    if (field.type == operations::Type::kObject) return kMostWithObject;
  }
  return kMostWithoutObject;
}

// With what to do about it, which HTTP has in a member of its own.
Status Refusal(const control::Outcome& outcome) {
  if (outcome.hint.empty()) return outcome.status;
  return MakeStatus(outcome.status.code(),
                    std::string(Message(outcome.status)) + ": " + outcome.hint);
}

}  // namespace

Management::Management(ServiceContext& context)
    : context_(context), pool_(pb::DescriptorPool::generated_pool()) {
  pb::Struct::descriptor();  // the file that ours imports
  const std::string text = operations::ProtoDocument();
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  pb::io::Tokenizer tokenizer(&stream, nullptr);
  pb::FileDescriptorProto file;
  pb::compiler::Parser parser;
  if (!parser.Parse(&tokenizer, &file)) return;
  file.set_name(kFile);
  pool_.BuildFile(file);  // tests ask for what is in it
}

class ManagementHandler final : public SmallHandler {
 public:
  ManagementHandler(ServiceContext& context, const operations::OperationRow& row, rpc::Call& call)
      : SmallHandler(call, MostBytes(row)), row_(row), control_(context.loop, context.control) {}

  void OnCancel() override { control_.Forget(); }
  void OnSent() override {
    sending_ = false;
    SendNext();
  }

 private:
  struct Answer {
    control::Outcome outcome;
    std::string message;
  };

  void Handle(const std::string& request) override {
    StatusOr<operations::RequestMessage> read = operations::DecodeRequest(row_, request);
    if (!read.ok()) return Fail(read.status());
    control::Operation operation;
    operation.kind = row_.kind;
    operation.name = std::move(read->name);
    operation.version = std::move(read->version);
    operation.body = std::move(read->members);
    const auto take = [this](const control::Outcome& outcome, const std::string& message) {
      answers_.push_back({outcome, message});
      if (!sending_) SendNext();
    };
    control_.ApplyForText(
        std::move(operation),
        [row = &row_](const control::Outcome& outcome) {
          return operations::EncodeAnswer(*row, {outcome.body, !outcome.accepted});
        },
        take, row_.can_wait() ? take : frontend::ControlCall::TextDone());
  }

  // At most two: that it goes on, and how it ended.
  void SendNext() {
    if (answers_.empty() || call_.finished()) return;
    Answer answer = std::move(answers_.front());
    answers_.pop_front();
    if (!answer.outcome.status.ok()) {
      if (!answer.outcome.hint.empty()) AddHint(answer.outcome.hint);
      return Fail(Refusal(answer.outcome));
    }
    sending_ = true;
    SendBytes(std::move(answer.message));
    if (!answer.outcome.accepted) call_.Finish(OkStatus());
  }

  // For programs, which would have to take it out of the text.
  void AddHint(const std::string& hint) {
    std::string encoded;
    rpc::AppendPercentEncoded(hint, &encoded);
    call_.AddTrailer(operations::kHintTrailer, encoded);
  }

  const operations::OperationRow& row_;
  frontend::ControlCall control_;
  bool sending_ = false;  // an answer; what comes meanwhile waits behind it
  std::deque<Answer> answers_;
};

class Management::Method final : public rpc::Method {
 public:
  Method(ServiceContext& context, const operations::OperationRow& row)
      : context_(context), row_(row) {}

  rpc::Handler* Begin(rpc::Call& call) override {
    return new ManagementHandler(context_, row_, call);
  }

 private:
  ServiceContext& context_;
  const operations::OperationRow& row_;
};

Management::~Management() = default;

void Management::AddTo(rpc::Dispatcher& dispatcher) {
  methods_.reserve(operations::Operations().size());
  for (const operations::OperationRow& row : operations::Operations()) {
    methods_.push_back(std::make_unique<Method>(context_, row));
    dispatcher.Add("/" + std::string(row.grpc_method), *methods_.back());
  }
}

}  // namespace mlos::grpc
