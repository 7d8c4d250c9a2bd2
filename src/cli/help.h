// SPDX-License-Identifier: Apache-2.0
//
// What is said of the commands: help, the manual page, the reference pages of
// docs/ and completion.  Pure; one thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cli/commands.h"

namespace mlos::cli {

std::string VersionText();
std::string HelpOnAll(const std::vector<Command>& commands);
std::string HelpOnGroup(const std::vector<Command>& commands, std::string_view group);
std::string HelpOn(const Command& command);

std::string ManualPage(const std::vector<Command>& commands);      // roff, for man(1)
std::string ManualMarkdown(const std::vector<Command>& commands);  // docs/cli.md
std::string ManagementMarkdown();                                  // docs/management-http.md
// INVALID_ARGUMENT for a shell that is not known.
StatusOr<std::string> CompletionScript(const std::vector<Command>& commands,
                                       std::string_view shell);

}  // namespace mlos::cli
