// SPDX-License-Identifier: Apache-2.0
//
// What the daemon knows and a command line may go on with: names and versions,
// for the shells' completion.  Says nothing where there is no daemon.  One
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/client.h"
#include "cli/commands.h"

namespace mlos::cli {

// Hidden from help: `mlos __complete WORDS` prints them, one on each line.
inline constexpr std::string_view kCompleteCommand = "__complete";

// `words`: what stands before the word that is to be completed, without the
// program's name.  Sorted, each once; names of plugins, models, versions only.
std::vector<std::string> CompleteWords(const std::vector<Command>& commands,
                                       const std::vector<std::string>& words, Client& client);

}  // namespace mlos::cli
