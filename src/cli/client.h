// SPDX-License-Identifier: Apache-2.0
//
// One request at a time to the daemon, over HTTP or gRPC, TCP or a Unix socket.
// One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "cli/target.h"
#include "operations/message_codec.h"

namespace mlos::cli {

// As it is over HTTP, whichever protocol it came over.
struct Answer {
  int status = 0;
  std::string body;
};

// What is asked, as HTTP has it and as it is meant.  Made by request.h.
struct Request {
  std::string method;
  std::string path;  // with its query
  std::string body;
  // A binary inference body: the bytes of JSON before the tensors; -1: all.
  long json_size = -1;

  // An operation with what it is told; null: an inference, or where there is no
  // body the description of a model.
  const operations::OperationRow* row = nullptr;
  operations::RequestMessage message;
  bool wait = true;  // for its end
  std::string model;
  std::string version;  // of the model; empty: the newest
};

class Client {
 public:
  // `token` may be empty.
  Client(Target target, std::string token) : target_(std::move(target)), token_(std::move(token)) {}
  virtual ~Client() = default;

  // Called about ten times a second while an answer is awaited.
  void set_on_wait(std::function<void()> on_wait) { on_wait_ = std::move(on_wait); }

  // UNAVAILABLE when no daemon answers there; an answer of any status is OK.
  virtual StatusOr<Answer> Send(const Request& request) = 0;

  const Target& target() const { return target_; }

 protected:
  const Target target_;
  const std::string token_;
  std::function<void()> on_wait_;
};

// What the target's address says.
std::unique_ptr<Client> NewClient(const Target& target, const std::string& token);

}  // namespace mlos::cli
