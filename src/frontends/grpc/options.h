// SPDX-License-Identifier: Apache-2.0
//
// What can be set about the gRPC front end.  Defaults, ranges and their reasons
// stand in the daemon's table of options (options/table.h).  Values.
#pragma once

#include <cstdint>
#include <string>

#include "h2/limits.h"
#include "options/settings.h"
#include "rpc/options.h"

namespace mlos::grpc {

struct GrpcOptions {
  // Who is answering.
  std::string server_name = "mlos";
  std::string server_version = "0.1.0";
  h2::Limits limits = {};
  rpc::Options calls = {};
  // Of a load, which may bring files along.
  uint64_t max_management_bytes = options::DefaultNumber(options::Id::kHttpMaxManagementBody);
  uint64_t default_deadline_ns = options::DefaultNanos(options::Id::kDefaultDeadline);
  uint64_t max_deadline_ns = options::DefaultNanos(options::Id::kMaxDeadline);
};

GrpcOptions OptionsFrom(const options::Settings& settings);

}  // namespace mlos::grpc
