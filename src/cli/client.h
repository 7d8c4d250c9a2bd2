// SPDX-License-Identifier: Apache-2.0
//
// One HTTP request at a time to the daemon, over TCP or a Unix socket.  One
// thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/target.h"

namespace mlos::cli {

struct Answer {
  int status = 0;
  std::string body;
};

struct Request {
  std::string method;
  std::string path;  // with its query
  std::string body;
  // A binary inference body: the bytes of JSON before the tensors; -1: all.
  long json_size = -1;
};

class Client {
 public:
  // `token` may be empty.
  Client(Target target, std::string token) : target_(std::move(target)), token_(std::move(token)) {}

  // Called about ten times a second while an answer is awaited.
  void set_on_wait(std::function<void()> on_wait) { on_wait_ = std::move(on_wait); }

  // UNAVAILABLE when no daemon answers there; an answer of any status is OK.
  StatusOr<Answer> Send(const Request& request);

  const Target& target() const { return target_; }

 private:
  Target target_;
  std::string token_;
  std::function<void()> on_wait_;
};

}  // namespace mlos::cli
