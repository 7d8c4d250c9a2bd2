// SPDX-License-Identifier: Apache-2.0
#include "rpc/dispatcher.h"

#include <exception>
#include <utility>

#include "base/name.h"

namespace mlos::rpc {
namespace {

constexpr std::string_view kNoService =
    "{\"error\":\"this port serves gRPC: a request of content type application/grpc\"}\n";
constexpr std::string_view kOnlyPost = "{\"error\":\"a call of gRPC is a POST\"}\n";
constexpr std::string_view kTooLarge = "{\"error\":\"the header is larger than allowed\"}\n";

}  // namespace

// Answers what is no call; has no state of its own.
class Dispatcher::Refusal final : public h2::StreamHandler {
 public:
  void Answer(h2::Stream& stream, int status) const {
    const h2::Field fields[] = {{"content-type", "application/json"}};
    stream.Respond(status, fields);
    const std::string_view text = status == 405   ? kOnlyPost
                                  : status == 431 ? kTooLarge
                                                  : kNoService;
    const iovec piece = {const_cast<char*>(text.data()), text.size()};
    stream.Write({&piece, 1});
    stream.Finish({});
  }
  // Never consumed: the client may send what a window holds, and no more.
  void OnData(std::span<const std::byte>) override {}
  void OnEnd() override {}
  void OnAborted() override {}
  void OnDone() override {}
};

Dispatcher::Dispatcher(Options options, h2::Acceptor* other)
    : options_(options),
      context_{.options = options_},
      other_(other),
      refusal_(std::make_unique<Refusal>()) {}

Dispatcher::~Dispatcher() = default;

void Dispatcher::Add(std::string path, Method& method) {
  methods_.insert_or_assign(std::move(path), &method);
}

h2::StreamHandler* Dispatcher::OnRequest(h2::Stream& stream) {
  const h2::Head& head = stream.head();
  bool grpc = false;
  for (const h2::Field& field : head.fields) {
    if (field.name == "content-type") grpc = IsGrpc(field.value);
  }
  if (!grpc && other_ != nullptr && !head.too_large) return other_->OnRequest(stream);
  if (!grpc || head.method != "POST") {
    refusal_->Answer(stream, grpc ? 405 : head.too_large ? 431 : 415);
    return refusal_.get();
  }
  std::unique_ptr<Call> call;
  if (context_.spare.empty()) {
    call = std::make_unique<Call>(context_);
  } else {
    call = std::move(context_.spare.back());
    context_.spare.pop_back();
  }
  Call& started = *call;
  started.index_ = context_.calls.size();
  context_.calls.push_back(std::move(call));
  try {
    Start(started, stream);
  } catch (const std::exception&) {  // nobody will ever say that it is done
    context_.calls.pop_back();
    throw;
  }
  return &started;
}

void Dispatcher::Start(Call& call, h2::Stream& stream) {
  const std::string_view path = stream.head().path;
  const auto found = methods_.find(path);
  Method* method = found == methods_.end() ? nullptr : found->second;
  if (method != nullptr && draining_ && !method->while_draining()) {
    call.Start(stream, nullptr, Unavailable("the server is shutting down: try another"));
  } else {
    call.Start(
        stream, method,
        method != nullptr ? OkStatus() : Unimplemented("there is no method " + Quoted(path)));
  }
}

}  // namespace mlos::rpc
