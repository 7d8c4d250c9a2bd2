// SPDX-License-Identifier: Apache-2.0
//
// The commands as pages: the manual and the references of docs/.
#include <fmt/core.h>

#include "cli/help.h"
#include "operations/objects.h"
#include "operations/table_check.h"

namespace mlos::cli {
namespace {

// Text between roff's own marks.
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  if (!out.empty() && out[0] == '.') out.insert(0, "\\&");
  return out;
}

std::string Item(std::string_view name, std::string_view text) {
  return ".TP\n\\fB" + Roff(name) + "\\fR\n" + Roff(text) + "\n";
}

// In a cell of a table: a bar would end it.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string Code(std::string_view text) { return "`" + Cell(text) + "`"; }

constexpr std::string_view kHead =
    "<!-- Made by mlos from the tables that it is built from; a test compares. -->\n";

std::string Fields(const operations::OperationRow& row) {
  std::string out;
  for (const operations::Field& field : row.fields) {
    out += fmt::format("| `{}` | {} | {} | {}{} |\n", field.name,
                       field.in == operations::In::kBody ? "body" : "query",
                       operations::TypeText(field.type), field.help,
                       field.required() ? "; must be given" : "");
  }
  if (row.can_wait()) {
    out += "| `wait` | query | a boolean | `false` answers 202 at once; the work goes on |\n";
  }
  if (out.empty()) return out;
  return "\n| member | in | type | what |\n|---|---|---|---|\n" + out;
}

std::string Answers(const operations::OperationRow& row) {
  std::string codes;
  for (const operations::StatusRow& status : operations::Statuses()) {
    if (!operations::CanAnswer(row, status)) continue;
    const std::string number = std::to_string(status.status);
    if (codes.size() >= number.size() && codes.substr(codes.size() - number.size()) == number) {
      continue;  // two codes, one status
    }
    codes += (codes.empty() ? "" : ", ") + number;
  }
  return fmt::format(
      "Answers {} with [{}](#{}). Status codes: {}. Permission: `{}`; rate class: {}.\n",
      row.creates ? "200 or 201" : "200", operations::Object(row.answers).name,
      [&] {
        std::string anchor(operations::Object(row.answers).name);
        for (char& c : anchor) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        return anchor;
      }(),
      codes, operations::PermissionText(row.permission), operations::RateClassName(row.rate));
}

// " --to TO": what the command needs beside its arguments.
std::string RequiredFlags(const operations::OperationRow& row) {
  std::string out;
  for (const operations::Field& field : row.fields) {
    if (field.cli != operations::CliForm::kFlag || !field.required()) continue;
    out += " " + FlagName(field) + " " + FlagPlaceholder(field);
  }
  return out;
}

std::string MemberType(const operations::Member& member) {
  std::string type = member.of == operations::ObjectKind::kUnset
                         ? std::string(operations::TypeText(member.type))
                         : std::string(operations::Object(member.of).name);
  if (member.is == operations::Is::kList) type = "list of: " + type;
  if (member.is == operations::Is::kNullable) type += ", or null";
  return type;
}

std::string ObjectsMarkdown() {
  std::string out;
  for (const operations::ObjectRow& row : operations::Objects()) {
    out += fmt::format("\n### {}\n\n{}.\n", row.name, row.help);
    if (row.members.empty()) continue;
    out += "\n| member | type | what |\n|---|---|---|\n";
    for (const operations::Member& member : row.members) {
      std::string help(member.help);
      if (!member.values.empty()) {
        help += ":";
        for (size_t i = 0; i < operations::CountPieces(member.values, '|'); ++i) {
          help +=
              (i == 0 ? " `" : ", `") + std::string(operations::Piece(member.values, '|', i)) + "`";
        }
      }
      out += fmt::format("| `{}` | {} | {} |\n", member.name, MemberType(member), help);
    }
  }
  return out;
}

}  // namespace

std::string ManualPage(const std::vector<Command>& commands) {
  std::string out =
      ".TH MLOS 1 \"\" \"mlos " MLOS_VERSION
      "\"\n.SH NAME\n"
      "mlos \\- talks to mlosd, which runs machine\\-learning models\n"
      ".SH SYNOPSIS\n\\fBmlos\\fR \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH COMMANDS\n";
  for (const Command& command : commands) {
    out += ".SS " + Roff(command.Usage()) + "\n" + Roff(command.help + ".") + "\n";
    for (const std::string& note : command.notes) out += ".PP\n" + Roff(note) + "\n";
    for (const Flag& flag : command.flags) out += Item(flag.Form(), flag.help);
    out += ".PP\n.nf\n";
    for (const std::string& example : command.examples) out += ".RS\n" + Roff(example) + "\n.RE\n";
    out += ".fi\n";
  }
  out += ".SH FLAGS\n";
  for (const Flag& flag : CommonFlags()) out += Item(flag.Form(), flag.help);
  out += ".SH ENVIRONMENT\n";
  for (const Variable& variable : Variables()) out += Item(variable.name, variable.help);
  out += ".SH EXIT STATUS\n";
  for (const ExitCode& code : ExitCodes()) out += Item(std::to_string(code.code), code.help);
  return out;
}

std::string ManualMarkdown(const std::vector<Command>& commands) {
  std::string out =
      std::string(kHead) +
      "# mlos: the command line\n\n"
      "`mlos COMMAND [ARGUMENTS]` talks to `mlosd` over HTTP, on a local socket or a "
      "port. Every command\nbut `infer`, `top`, `serve`, `config`, `completion` and `manual` is "
      "one request of [the management surface](management-http.md).\n"
      "`mlos COMMAND --help` says what stands here; `mlos manual` prints it for "
      "man(1).\n\n## Everywhere\n\n| flag | what |\n|---|---|\n";
  for (const Flag& flag : CommonFlags()) {
    out += "| " + Code(flag.Form()) + " | " + Cell(flag.help) + " |\n";
  }
  out += "\n| environment | what |\n|---|---|\n";
  for (const Variable& v : Variables()) out += "| " + Code(v.name) + " | " + Cell(v.help) + " |\n";
  out += "\n| exit status | what |\n|---|---|\n";
  for (const ExitCode& c : ExitCodes()) {
    out += "| " + std::to_string(c.code) + " | " + Cell(c.help) + " |\n";
  }
  out += "\n## Commands\n";
  for (const Command& command : commands) {
    out += "\n### mlos " + command.words + "\n\n    " + command.Usage() + "\n\n" + command.help +
           ".\n";
    for (const std::string& note : command.notes) out += "\n" + note + "\n";
    for (const operations::OperationRow* row : command.rows) {
      out +=
          "\nSends `" + std::string(row->http_method) + " " + std::string(row->http_path) + "`.\n";
    }
    if (!command.flags.empty()) out += "\n| flag | what |\n|---|---|\n";
    for (const Flag& flag : command.flags) {
      out += "| " + Code(flag.Form()) + " | " + Cell(flag.help) + " |\n";
    }
    out += "\nFor example:\n\n";
    for (const std::string& example : command.examples) out += "    " + example + "\n";
  }
  return out;
}

std::string ManagementMarkdown() {
  std::string out =
      std::string(kHead) +
      "# Management over HTTP\n\n"
      "JSON under `/api/v1`. `GET /api/v1/openapi.json` answers with all of this as an "
      "OpenAPI 3.1 document.\nA token goes into `Authorization: Bearer TOKEN`. "
      "The command of [mlos](cli.md) that sends a request\nstands with it.\n\n"
      "| request | what |\n|---|---|\n";
  for (const operations::OperationRow& row : operations::Operations()) {
    out += fmt::format("| `{} {}` | {} |\n", row.http_method, row.http_path, row.help);
  }
  out += "\n## Requests\n";
  for (const operations::OperationRow& row : operations::Operations()) {
    out += fmt::format("\n### {}\n\n    {}\n\n{}. Command: `mlos {}{}`.\n", row.name,
                       operations::RequestText(row), row.help, row.cli, RequiredFlags(row));
    out += Fields(row) + "\n" + Answers(row);
  }
  out += "\n## Status codes\n\n| status | code in errors | what |\n|---|---|---|\n";
  for (const operations::StatusRow& row : operations::Statuses()) {
    const std::string code = row.code.empty() ? "" : "`" + std::string(row.code) + "`";
    out += fmt::format("| {} | {} | {} |\n", row.status, code, row.help);
  }
  out +=
      "\nAn error is `{\"error\":{\"code\",\"message\",\"hint\"}}`; the hint says what to do "
      "next, and may be empty.\n\n## Objects\n";
  return out + ObjectsMarkdown();
}

}  // namespace mlos::cli
