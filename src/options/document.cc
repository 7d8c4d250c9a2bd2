// SPDX-License-Identifier: Apache-2.0
#include "options/document.h"

#include <fmt/core.h>

namespace mlos::options {
namespace {

constexpr size_t kWidth = 96;
constexpr std::string_view kAbout =
    "Runs machine-learning models as an operating system runs processes.";
constexpr std::string_view kPrecedence =
    "A flag wins over an environment variable, that over the file that --config names, that over "
    "the default. A flag of a list may be repeated; the items of a list in a variable are "
    "separated by commas. A list replaces that of a weaker source.";

struct Line {
  std::string_view what;
  std::string_view doc;
};
constexpr Line kActionLines[] = {
    {"--help", "Print this and end"},
    {"--version", "Print the version and end"},
    {"--print-config", "Print all options as a configuration file, with where each came from"},
    {"--manual", "Print the manual page (see it with: mlosd --manual | man -l -)"},
};
constexpr Line kSignals[] = {
    {"SIGTERM, SIGINT",
     "Stop: say not ready, finish running requests, stop the plugin hosts, end with status 0. A "
     "second one ends the plugin hosts at once"},
    {"SIGHUP",
     "Read the configuration file again. What can be changed in a running daemon is; the log says "
     "what was and what needs a restart"},
};
constexpr Line kStatuses[] = {
    {"0", "Stopped as told"},
    {"1", "Could not start; standard error says why"},
    {"2", "The command line or the configuration has errors, all of which are listed"},
    {"3", "Another mlosd uses the data directory"},
};

template <typename F>
void EachGroup(F&& f) {
  Group group = Group::kMissing;
  for (const Row& row : Table()) {
    f(row, row.group != group);
    group = row.group;
  }
}

// Words in lines of at most kWidth, all but the first after `indent` blanks.
std::string Wrapped(std::string_view text, size_t indent, size_t column) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    if (column > indent && column + 1 + word.size() > kWidth) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!out.empty()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string HelpEntry(std::string_view head, std::string_view text) {
  constexpr size_t kIndent = 30;
  std::string out = "  " + std::string(head);
  if (out.size() + 2 > kIndent) {
    out += '\n' + std::string(kIndent, ' ');
  } else {
    out.append(kIndent - out.size(), ' ');
  }
  return out + Wrapped(text, kIndent, kIndent) + '\n';
}

// "--workers N"
std::string Usage(const Row& row) {
  const std::string value = Placeholder(row);
  return "--" + std::string(row.name) + (value.empty() ? "" : " " + value);
}

std::string RangeText(const Row& row) {
  if (!IsNumber(row.type)) return {};
  return fmt::format("{} to {}{}{}", row.range.least, row.range.most, row.unit.empty() ? "" : " ",
                     row.unit);
}

std::string Notes(const Row& row) {
  std::string notes = "default: " + DefaultText(row);
  if (const std::string range = RangeText(row); !range.empty()) notes += "; " + range;
  if (IsList(row.type)) notes += "; repeatable";
  if (row.change == Change::kReload) notes += "; reloadable";
  return notes;
}

// Text for a manual page: a backslash, and a dot or quote that begins a line,
// mean something there; a dash is to be a dash that can be copied.
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
      out += c;
    }
  }
  return out;
}

std::string RoffEntry(std::string_view head, std::string_view text) {
  return fmt::format(".TP\n.B {}\n{}\n", Roff(head), Roff(text));
}

std::string MarkdownText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string Help() {
  std::string out = fmt::format("Usage: mlosd [OPTION]...\n\n{}\n", kAbout);
  EachGroup([&out](const Row& row, bool first) {
    if (first) out += fmt::format("\n{}:\n", GroupTitle(row.group));
    out += HelpEntry(Usage(row), fmt::format("{} ({})", row.doc, Notes(row)));
  });
  out += "\nInstead of running:\n";
  for (const Line& line : kActionLines) out += HelpEntry(line.what, line.doc);
  out += fmt::format(
      "\n{}\n\nThe variable of --http-address is MLOS_HTTP_ADDRESS, its key in the file "
      "http-address, and\nso on. DURATION has a unit (ms, s, m, h) or is in seconds; SIZE has one "
      "(KiB, MiB, GiB) or is\nin bytes.\n",
      Wrapped(kPrecedence, 0, 0));
  return out;
}

std::string Manual(std::string_view version) {
  std::string out = fmt::format(
      ".\\\" Made by mlosd --manual.\n.TH MLOSD 8 \"\" \"mlOS Core {}\" \"System administration\"\n"
      ".SH NAME\nmlosd \\- the mlOS Core daemon\n.SH SYNOPSIS\n.B mlosd\n[\\fIOPTION\\fR]...\n"
      ".SH DESCRIPTION\n{}\nIt stays in the foreground and writes its log to standard error.\n"
      ".PP\n{}\n.SH OPTIONS\n",
      Roff(version), Roff(kAbout), Roff(kPrecedence));
  EachGroup([&out](const Row& row, bool first) {
    if (first) out += fmt::format(".SS {}\n", Roff(GroupTitle(row.group)));
    const std::string variable = EnvironmentName(row.name);
    out +=
        RoffEntry(Usage(row), fmt::format("{}. Variable {}; {}.", row.doc, variable, Notes(row)));
  });
  out += ".SS Instead of running\n";
  for (const Line& line : kActionLines) out += RoffEntry(line.what, std::string(line.doc) + ".");
  out += ".SH SIGNALS\n";
  for (const Line& line : kSignals) out += RoffEntry(line.what, std::string(line.doc) + ".");
  out += ".SH EXIT STATUS\n";
  for (const Line& line : kStatuses) out += RoffEntry(line.what, std::string(line.doc) + ".");
  return out;
}

std::string Markdown() {
  std::string out = fmt::format(
      "# Options of mlosd\n\n"
      "Made from the table in [src/options/table.h](../src/options/table.h) by "
      "`mlosd --manual=markdown`; a test keeps them\nalike. `mlosd --print-config` prints the "
      "values in effect, as a configuration file, with where each\ncame from.\n\n{}\n\n"
      "The variable of `--http-address` is `MLOS_HTTP_ADDRESS`, its key in the file "
      "`http-address`, and so on.\nDurations have a unit (ms, s, m, h) or are in seconds; sizes "
      "have one (KiB, MiB, GiB) or are in bytes.\nAn option that is marked with R takes a new "
      "value from the file on `SIGHUP`; the others need a restart.\nAll errors of all sources are "
      "reported at once, and the daemon ends with status 2.\n",
      Wrapped(kPrecedence, 0, 0));
  EachGroup([&out](const Row& row, bool first) {
    if (first) {
      out += fmt::format(
          "\n## {}\n\n| option | default | allowed | | what, and why this default |\n"
          "|---|---|---|---|---|\n",
          GroupTitle(row.group));
    }
    out +=
        fmt::format("| `{}` | {} | {} | {} | {}. {} |\n", row.name, MarkdownText(DefaultText(row)),
                    MarkdownText(Allowed(row)), row.change == Change::kReload ? "R" : "",
                    MarkdownText(row.doc), MarkdownText(row.reason));
  });
  out += "\n## Signals\n\n| signal | what |\n|---|---|\n";
  for (const Line& line : kSignals) out += fmt::format("| {} | {}. |\n", line.what, line.doc);
  out += "\n## Exit status\n\n| status | what |\n|---|---|\n";
  for (const Line& line : kStatuses) out += fmt::format("| {} | {}. |\n", line.what, line.doc);
  return out;
}

std::string ConfigFileText(const Settings& settings) {
  std::string out =
      "# Options of mlosd, as they are in effect; behind each is where it came from.\n"
      "# mlosd --help says what they mean.\n";
  EachGroup([&](const Row& row, bool first) {
    if (first) out += fmt::format("\n# {}\n", GroupTitle(row.group));
    const Setting& setting = settings.at(row.id);
    const std::string value = WriteValue(row, setting.value);
    if (!row.in_file || value.empty()) {
      out += fmt::format("# {}: {}\n", row.name, value.empty() ? "not set" : value);
    } else {
      out += fmt::format("{}: {}  # {}\n", row.name, value, settings.Source(row.id));
    }
  });
  return out;
}

}  // namespace mlos::options
