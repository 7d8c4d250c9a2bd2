// SPDX-License-Identifier: Apache-2.0
//
// Runs commands against a daemon and prints what came of it.  One thread.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "cli/arguments.h"
#include "cli/client.h"
#include "cli/format.h"

namespace mlos::cli {

class Runner {
 public:
  Runner(Client& client, bool json);

  // The exit status.
  int Run(const Invocation& invocation);

 private:
  int RunOperation(const Invocation& invocation);
  int RunLogs(const Invocation& invocation);  // runner_logs.cc
  int RunInfer(const Invocation& invocation);
  int RunTop(const Invocation& invocation);

  // What stands in place of [VERSION].  On failure the exit status is set.
  bool FindVersion(const operations::OperationRow& row, const std::string& name,
                   std::string* version, int* exit);
  // Tells what went wrong; the exit status.
  int Explain(const Request& request, const operations::OperationRow* row, const Answer& answer);
  int Usage(std::string_view text);
  int Unreachable(const Status& status);
  // The command with the name that was probably meant; may be empty.
  std::string Suggest(bool plugin, const std::string& name);
  void PrintBody(const std::string& body);
  static void Print(const std::string& text);
  static void Note(const std::string& text);                 // on standard error
  static boost::json::value Parse(const std::string& text);  // null: it is no JSON

  Client& client_;
  const bool json_;
  Look look_;
  std::string error_name_;  // what {name} was, for suggestions
  std::string command_;     // "model load"
};

}  // namespace mlos::cli
