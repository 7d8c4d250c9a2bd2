// SPDX-License-Identifier: Apache-2.0
//
// From the command line to a command with its values.  Values; one thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"

namespace mlos::cli {

struct Invocation {
  const Command* command = nullptr;
  std::map<std::string, std::string, std::less<>> values;  // "NAME", "--version"; not "" for none
  std::vector<std::string> inputs;                         // of flags that repeat
  bool json = false;
  std::vector<std::string> rest;  // of serve: everything

  bool Has(std::string_view name) const { return values.find(name) != values.end(); }
  std::string Value(std::string_view name) const {
    const auto at = values.find(name);
    return at == values.end() ? std::string() : at->second;
  }
};

struct Parsed {
  bool run = false;  // else print `text` and exit
  int exit = 0;      // 0: to standard output, else to standard error
  std::string text;
  Invocation invocation;
};

// `arguments` without the program's name.  `commands` must outlive the result.
Parsed ParseArguments(const std::vector<Command>& commands,
                      const std::vector<std::string>& arguments);

}  // namespace mlos::cli
