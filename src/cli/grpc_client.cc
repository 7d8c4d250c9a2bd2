// SPDX-License-Identifier: Apache-2.0
#include "cli/grpc_client.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "cli/connection.h"
#include "cli/infer_message.h"
#include "operations/objects.h"

namespace mlos::cli {
namespace json = boost::json;

namespace {

constexpr std::string_view kInference = "/inference.GRPCInferenceService/";
// What HTTP answers with where a code has no number of its own.
constexpr int kServerFault = 500;

int HttpStatusOf(StatusCode code) {
  const std::string name = CodeName(code);
  for (const operations::StatusRow& row : operations::Statuses()) {
    if (row.code == name) return row.status;
  }
  return kServerFault;
}

// The daemon's text ends with the hint, for clients that know nothing of hints.
std::string MessageOf(const GrpcReply& reply) {
  std::string message(Message(reply.status));
  const std::string tail = ": " + reply.hint;
  const bool has_tail = !reply.hint.empty() && message.size() > tail.size() &&
                        message.compare(message.size() - tail.size(), tail.size(), tail) == 0;
  if (has_tail) message.resize(message.size() - tail.size());
  return message;
}

Answer ErrorOfManagement(const GrpcReply& reply) {
  const json::object error{
      {"code", CodeName(reply.status.code())}, {"message", MessageOf(reply)}, {"hint", reply.hint}};
  return {HttpStatusOf(reply.status.code()), json::serialize(json::object{{"error", error}})};
}

Answer ErrorOfInference(const Status& status) {
  return {HttpStatusOf(status.code()),
          json::serialize(json::object{{"error", std::string(Message(status))}})};
}

// The one message of an answer as JSON.
StatusOr<Answer> OneMessage(const GrpcReply& reply,
                            StatusOr<std::string> (*decode)(std::string_view)) {
  if (!reply.status.ok()) return ErrorOfInference(reply.status);
  if (reply.messages.size() != 1) return Unavailable("the daemon's answer has no message");
  StatusOr<std::string> body = decode(reply.messages[0]);
  if (!body.ok()) return ErrorOfInference(body.status());
  return Answer{200, *std::move(body)};
}

}  // namespace

StatusOr<GrpcReply> GrpcClient::Call(std::string_view method, const std::string& message,
                                     const std::function<bool(std::string_view)>& enough) {
  Connection connection(on_wait_);
  MLOS_RETURN_IF_ERROR(connection.Open(target_));
  const std::string authority = target_.Authority();
  return Exchange(connection, {.method = method,
                               .authority = authority,
                               .token = token_,
                               .message = message,
                               .enough = enough});
}

StatusOr<Answer> GrpcClient::Send(const Request& request) {
  if (request.row != nullptr) return Operate(request);
  return request.body.empty() ? Describe(request) : Infer(request);
}

StatusOr<Answer> GrpcClient::Operate(const Request& request) {
  // Who does not wait hears that it goes on, and leaves.
  const auto enough = [&](std::string_view) { return !request.wait; };
  MLOS_ASSIGN_OR_RETURN(const GrpcReply reply,
                        Call("/" + std::string(request.row->grpc_method),
                             operations::EncodeRequest(*request.row, request.message), enough));
  if (!reply.status.ok()) return ErrorOfManagement(reply);
  if (reply.messages.empty()) return Unavailable("the daemon's answer has no message");
  StatusOr<operations::AnswerMessage> answer =
      operations::DecodeAnswer(*request.row, reply.messages.back());
  if (!answer.ok()) return Unavailable("the daemon's answer is not understood");
  return Answer{answer->done ? 200 : 202, json::serialize(answer->body)};
}

StatusOr<Answer> GrpcClient::Describe(const Request& request) {
  MLOS_ASSIGN_OR_RETURN(const GrpcReply reply,
                        Call(std::string(kInference) + "ModelMetadata", EncodeDescribe(request)));
  return OneMessage(reply, DecodeDescribe);
}

StatusOr<Answer> GrpcClient::Infer(const Request& request) {
  const StatusOr<std::string> message = EncodeInfer(request);
  if (!message.ok()) return ErrorOfInference(message.status());
  MLOS_ASSIGN_OR_RETURN(const GrpcReply reply,
                        Call(std::string(kInference) + "ModelInfer", *message));
  return OneMessage(reply, DecodeInfer);
}

}  // namespace mlos::cli
