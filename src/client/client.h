// SPDX-License-Identifier: Apache-2.0
//
// A program's client of a daemon: where it is, and the connection, which is made
// again when the daemon was restarted.  Models are opened with it.
//
// One thread.  Outlives its models.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "client/socket.h"

namespace mlos::client {

// The path of a "unix:///path" address; empty: that of this user's daemon, or what
// MLOS_HOST says.
StatusOr<std::string> SocketPath(std::string_view address);

class Client {
 public:
  Client(std::string path, std::string token, std::string name)
      : path_(std::move(path)), token_(std::move(token)), name_(std::move(name)) {}

  // Unless it is there.
  Status Connect(uint64_t deadline_ns);
  // Connects anew where the daemon had gone before this was asked; never asks twice.
  Status Ask(ipc::Ask type, std::string_view payload, ipc::Tell expected, uint64_t deadline_ns,
             Socket::Reply* reply);

 private:
  const std::string path_;
  const std::string token_;
  const std::string name_;
  std::unique_ptr<Socket> socket_;
};

}  // namespace mlos::client
