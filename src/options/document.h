// SPDX-License-Identifier: Apache-2.0
//
// The table as people read it.  Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "options/settings.h"

namespace mlos::options {

// mlosd --help: grouped, with defaults and units.
std::string Help();
// mlosd --manual: a manual page, for man(1).
std::string Manual(std::string_view version);
// mlosd --manual=markdown: docs/options.md.
std::string Markdown();
// mlosd --print-config: the settings as a configuration file, each with a
// comment on where it came from.
std::string ConfigFileText(const Settings& settings);

}  // namespace mlos::options
