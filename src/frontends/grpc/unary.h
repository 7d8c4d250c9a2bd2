// SPDX-License-Identifier: Apache-2.0
//
// Methods whose messages are small: the request is read whole, the answer
// written whole.
//
//   UnaryMethod<Request, Answer>   answers at once, by a function
//   SmallHandler                   for those that answer later, by
//   MethodOf<Handler, Context>     which makes a handler for each call
//
// Threads: the event loop's.
#pragma once

#include <google/protobuf/message_lite.h>
#include <sys/uio.h>

#include <functional>
#include <string>
#include <utility>

#include "rpc/call.h"

namespace mlos::grpc {

class SmallHandler : public rpc::Handler {
 public:
  // What requests of most methods are never larger than.
  static constexpr size_t kSmall = 1 << 20;

  // A message of many small parts takes a multiple of its bytes once parsed.
  static constexpr size_t kGrowth = 32;

  explicit SmallHandler(rpc::Call& call, size_t most = kSmall, size_t growth = kGrowth)
      : call_(call), most_(most), growth_(growth) {}

  void OnMessage(std::optional<uint64_t>) override {}
  size_t OnData(std::span<const std::byte> data) override {
    if (request_.size() + data.size() > most_) {
      Fail(ResourceExhausted("the request is larger than the " + std::to_string(most_) +
                             " bytes that this method takes"));
    } else if (!Account(request_.size() + data.size())) {
      Fail(ResourceExhausted("too many large requests at once: try again"));
    } else {
      request_.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    return data.size();
  }
  void OnMessageEnd() override {
    if (!call_.finished()) Handle(request_);
  }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

 protected:
  // The request is whole: Reply or Fail, now or later.
  virtual void Handle(const std::string& request) = 0;

  bool Parse(google::protobuf::MessageLite* message) {
    if (message->ParseFromString(request_)) return true;
    Fail(InvalidArgument("the request is not the message that this method takes"));
    return false;
  }
  void Send(const google::protobuf::MessageLite& message) {
    SendBytes(message.SerializeAsString());
  }
  void SendBytes(std::string bytes) {
    answer_ = std::move(bytes);
    const iovec piece = {answer_.data(), answer_.size()};
    call_.Send({&piece, 1});
  }
  void Reply(const google::protobuf::MessageLite& message) {
    Send(message);
    call_.Finish(OkStatus());
  }
  void Fail(const Status& status) { call_.Finish(status); }

  rpc::Call& call_;
  bool cancelled_ = false;

 private:
  static constexpr size_t kFree = 16 << 10;

  // Given back by the call.
  bool Account(size_t bytes) {
    if (bytes <= kFree || bytes * growth_ <= reserved_) return true;
    if (!call_.Reserve(bytes * growth_ - reserved_)) return false;
    reserved_ = bytes * growth_;
    return true;
  }

  const size_t most_;
  const size_t growth_;
  size_t reserved_ = 0;
  std::string request_;
  std::string answer_;
};

template <typename Request, typename Answer>
class UnaryMethod final : public rpc::Method {
 public:
  using Function = std::function<Status(const Request&, Answer*)>;
  explicit UnaryMethod(Function function, bool while_draining = false)
      : function_(std::move(function)), while_draining_(while_draining) {}

  rpc::Handler* Begin(rpc::Call& call) override { return new Handler(*this, call); }
  bool while_draining() const override { return while_draining_; }

 private:
  class Handler final : public SmallHandler {
   public:
    Handler(UnaryMethod& method, rpc::Call& call) : SmallHandler(call), method_(method) {}
    void Handle(const std::string&) override {
      Request request;
      if (!Parse(&request)) return;
      Answer answer;
      const Status status = method_.function_(request, &answer);
      if (status.ok()) {
        Reply(answer);
      } else {
        Fail(status);
      }
    }

   private:
    UnaryMethod& method_;
  };

  const Function function_;
  const bool while_draining_;
};

// Handlers delete themselves when their call is done.
template <typename H, typename Context>
class MethodOf final : public rpc::Method {
 public:
  explicit MethodOf(Context& context) : context_(context) {}
  rpc::Handler* Begin(rpc::Call& call) override { return new H(context_, call); }

 private:
  Context& context_;
};

}  // namespace mlos::grpc
