// SPDX-License-Identifier: Apache-2.0
//
// What is safe and readable on a terminal.  Text from a daemon is not trusted:
// it goes through Escape before it is shown.  Pure but for the two questions
// about descriptors; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mlos::cli {

// Control characters (C0, DEL, C1), marks that reorder text and bytes that are
// no UTF-8, as \xNN or \u{NNNN}; everything else as it is.
std::string Escape(std::string_view text);
// The same but for tabs and ends of lines.
std::string EscapeLines(std::string_view text);

// Columns that a text takes: 2 for wide characters, 0 for combining ones.
size_t Width(std::string_view text);
// Cut to `width` columns, with … at the end where something was cut.
std::string Cut(std::string_view text, size_t width);

bool IsTerminal(int fd);
size_t TerminalColumns(int fd);  // 80 where it does not say
// On terminals that are not "dumb", unless NO_COLOR is set.
bool WantsColour(int fd);

enum class Colour { kNone, kRed, kGreen, kYellow, kBold, kFaint };
std::string Coloured(std::string_view text, Colour colour);
// Of a state of plugins, models and hosts.
Colour StateColour(std::string_view state);

}  // namespace mlos::cli
