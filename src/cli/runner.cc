// SPDX-License-Identifier: Apache-2.0
#include "cli/runner.h"

#include <fmt/core.h>
#include <poll.h>

#include <charconv>
#include <cstdio>

#include "base/clock.h"
#include "base/json.h"
#include "base/name.h"
#include "base/near_miss.h"
#include "cli/infer_body.h"
#include "cli/request.h"
#include "cli/spinner.h"
#include "cli/usage.h"
#include "operations/table_check.h"

namespace mlos::cli {
namespace json = boost::json;

using operations::OperationKind;
using operations::OperationRow;
using operations::Row;

namespace {

void PrintError(const std::string& label, Colour colour, const std::string& text) {
  const std::string shown = WantsColour(fileno(stderr)) ? Coloured(label, colour) : label;
  std::fprintf(stderr, "%s%s\n", shown.c_str(), EscapeLines(text).c_str());
}

std::string StringIn(const json::value& value, const char* key) {
  const json::value* member = value.is_object() ? value.get_object().if_contains(key) : nullptr;
  return member != nullptr && member->is_string() ? std::string(member->get_string())
                                                  : std::string();
}

bool IsTrue(const json::value& value, const char* key) {
  const json::value* member = value.is_object() ? value.get_object().if_contains(key) : nullptr;
  return member != nullptr && member->is_bool() && member->get_bool();
}

// The objects in an answer that lists them.
json::array ListOf(const json::value& body, const char* list) {
  const json::value* array = body.is_object() ? body.get_object().if_contains(list) : nullptr;
  return array != nullptr && array->is_array() ? array->get_array() : json::array();
}

uint64_t NumberOf(const std::string& text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// What an operation means that is told no version, and why: of plugins the one
// that models run on, else the highest.  Plugins come in the order of versions.
std::pair<std::string, std::string_view> MeantVersion(const json::array& versions, bool plugin) {
  std::string meant;
  for (const json::value& object : versions) {
    const std::string version = StringIn(object, "version");
    if (version.empty()) continue;  // a model of which none is known
    if (plugin && IsTrue(object, "active")) return {version, "active one"};
    if (plugin || meant.empty() || NumberOf(version) > NumberOf(meant)) meant = version;
  }
  return {meant, "highest"};
}

}  // namespace

Runner::Runner(Client& client, bool json) : client_(client), json_(json) {
  look_.colour = WantsColour(fileno(stdout));
  look_.width = IsTerminal(fileno(stdout)) ? TerminalColumns(fileno(stdout)) : 0;
}

int Runner::Run(const Invocation& invocation) {
  error_name_ = invocation.Value("NAME");
  command_ = invocation.command->words;
  switch (invocation.command->action) {
    case Action::kLogs:
      return RunLogs(invocation);
    case Action::kInfer:
      return RunInfer(invocation);
    case Action::kTop:
      return RunTop(invocation);
    default:
      return RunOperation(invocation);
  }
}

int Runner::RunOperation(const Invocation& invocation) {
  const OperationRow& row = ChooseRow(invocation);
  std::string version;
  const bool open = row.cli.find("[VERSION]") != std::string_view::npos;
  int exit = kDone;
  if (open && !invocation.Has("VERSION") &&
      !FindVersion(row, invocation.Value("NAME"), &version, &exit)) {
    return exit;
  }
  const StatusOr<Request> request = BuildRequest(row, invocation, version);
  if (!request.ok()) return Usage(Message(request.status()));
  StatusOr<Answer> answer = Answer{};
  {
    Spinner spinner(command_ + " " + Escape(invocation.Value("NAME")));
    if (row.can_wait()) client_.set_on_wait([&spinner] { spinner.Tick(); });
    answer = client_.Send(*request);
    client_.set_on_wait({});
  }
  if (!answer.ok()) return Unreachable(answer.status());
  if (answer->status >= 300) return Explain(*request, &row, *answer);
  if (json_) {
    PrintBody(answer->body);
  } else {
    Print(FormatAnswer(row, Parse(answer->body), answer->status == 202, look_));
  }
  return kDone;
}

bool Runner::FindVersion(const OperationRow& row, const std::string& name, std::string* version,
                         int* exit) {
  if (const Status valid = ValidateName("NAME", name); !valid.ok()) {
    *exit = Usage(Message(valid));
    return false;
  }
  const bool plugin = row.permission.resource == operations::Resource::kPlugins;
  const Request request =
      RequestFor(plugin ? OperationKind::kGetPlugin : OperationKind::kGetModel, name);
  const StatusOr<Answer> answer = client_.Send(request);
  if (!answer.ok()) {
    *exit = Unreachable(answer.status());
    return false;
  }
  if (answer->status >= 300) {
    *exit = Explain(request, &row, *answer);
    return false;
  }
  const json::array versions = ListOf(Parse(answer->body), plugin ? "plugins" : "models");
  const auto [meant, why] = MeantVersion(versions, plugin);
  if (meant.empty()) {
    *exit = Usage(fmt::format("no version of {} is known: say which you mean", Quoted(name)));
    return false;
  }
  *version = meant;
  if (versions.size() > 1 && row.http_method == "DELETE") {
    std::string all;
    for (const json::value& v : versions) all += (all.empty() ? "" : ", ") + StringIn(v, "version");
    *exit = Usage(fmt::format("{} has the versions {}: say which to remove", Quoted(name), all));
    return false;
  }
  if (versions.size() > 1 && !json_) {
    Note(fmt::format("version {}, the {} of {}", meant, why, versions.size()));
  }
  return true;
}

int Runner::RunInfer(const Invocation& invocation) {
  const bool has_json = invocation.Has("--json");
  if (has_json == !invocation.inputs.empty()) {
    return Usage("give either --json FILE|- or --input T=VALUE, once for each input");
  }
  Request request = InferRequest(invocation.Value("NAME"), invocation.Value("--version"));
  Spinner spinner(command_ + " " + Escape(invocation.Value("NAME")));
  client_.set_on_wait([&spinner] { spinner.Tick(); });
  if (has_json) {
    StatusOr<std::string> file = ReadFile(invocation.Value("--json"));
    if (!file.ok()) return Usage(Message(file.status()));
    request.body = *std::move(file);
    if (request.body.empty()) return Usage("the request is empty");
  } else {
    const Request describe = DescribeRequest(request.model, request.version);
    const StatusOr<Answer> metadata = client_.Send(describe);
    spinner.Clear();
    if (!metadata.ok()) return Unreachable(metadata.status());
    if (metadata->status >= 300) return Explain(describe, nullptr, *metadata);
    StatusOr<InferBody> body = BuildInferBody(invocation.inputs, Parse(metadata->body));
    if (body.status().code() == StatusCode::kFailedPrecondition) {
      PrintError("error: ", Colour::kRed, std::string(Message(body.status())));
      return kRefused;  // as the daemon would
    }
    if (!body.ok()) return Usage(Message(body.status()));
    request.body = std::move(body->text);
    request.json_size = body->json_size;
  }
  const StatusOr<Answer> answer = client_.Send(request);
  spinner.Clear();
  client_.set_on_wait({});
  if (!answer.ok()) return Unreachable(answer.status());
  if (answer->status >= 300) return Explain(request, nullptr, *answer);
  if (json_) {
    PrintBody(answer->body);
  } else {
    Print(FormatOutputs(Parse(answer->body), look_));
  }
  return kDone;
}

int Runner::RunTop(const Invocation& invocation) {
  double seconds = 2;
  if (invocation.Has("--interval")) {
    const std::string text = invocation.Value("--interval");
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || at != text.data() + text.size() || seconds < 0.1 ||
        seconds > 3600) {
      return Usage("--interval takes seconds from 0.1 to 3600");
    }
  }
  const bool repeat = IsTerminal(fileno(stdout)) && !json_;
  UsageView usage;
  while (true) {
    std::string screen;
    for (const OperationKind kind :
         {OperationKind::kGetStatus, OperationKind::kListHosts, OperationKind::kListUsage}) {
      const OperationRow& row = Row(kind);
      if (json_ && kind == OperationKind::kGetStatus) continue;
      const Request request = RequestFor(kind);
      const StatusOr<Answer> answer = client_.Send(request);
      if (!answer.ok()) return Unreachable(answer.status());
      if (answer->status >= 300) return Explain(request, &row, *answer);
      if (json_) {
        PrintBody(answer->body);
        return kDone;
      }
      const json::value body = Parse(answer->body);
      screen += screen.empty() ? "" : "\n";
      screen += kind == OperationKind::kListUsage ? usage.Show(body, NowNanos(), look_)
                                                  : FormatAnswer(row, body, false, look_);
    }
    Print((repeat ? "\x1b[H\x1b[J" : "") + screen);
    std::fflush(stdout);
    if (!repeat) return kDone;
    poll(nullptr, 0, static_cast<int>(seconds * 1000));
  }
}

int Runner::Explain(const Request& request, const OperationRow* row, const Answer& answer) {
  const int exit = answer.status == 404 ? kNotFound : kRefused;
  if (json_) {
    const bool seen = isatty(fileno(stderr)) != 0;  // by a terminal, which obeys what it is sent
    std::fputs((seen ? EscapeLines(answer.body) + "\n" : answer.body).c_str(), stderr);
    return exit;
  }
  const json::value body = Parse(answer.body);
  const json::value* error = body.is_object() ? body.get_object().if_contains("error") : nullptr;
  std::string message = error != nullptr && error->is_string() ? std::string(error->get_string())
                        : error != nullptr                     ? StringIn(*error, "message")
                                                               : std::string();
  if (message.empty()) message = fmt::format("the daemon answered with status {}", answer.status);
  PrintError("error: ", Colour::kRed, message);
  std::string hint = error != nullptr ? TranslateHint(StringIn(*error, "hint")) : std::string();
  if (answer.status == 404 && !error_name_.empty()) {
    const bool plugin =
        row != nullptr && row->permission.resource == operations::Resource::kPlugins;
    const std::string better = Suggest(plugin, error_name_);
    if (!better.empty()) hint = better;
  }
  if (hint.empty() && answer.status == 404 && request.path.compare(0, 4, "/v2/") == 0) {
    hint = "list what there is: mlos model list";
  }
  if (answer.status == 401 && hint.empty()) hint = "put a token into MLOS_TOKEN";
  if (!hint.empty()) PrintError("hint: ", Colour::kBold, hint);
  return exit;
}

std::string Runner::Suggest(bool plugin, const std::string& name) {
  const StatusOr<Answer> answer =
      client_.Send(RequestFor(plugin ? OperationKind::kListPlugins : OperationKind::kListModels));
  if (!answer.ok() || answer->status != 200) return {};
  std::vector<std::string> names;
  for (const json::value& object : ListOf(Parse(answer->body), plugin ? "plugins" : "models")) {
    names.push_back(StringIn(object, "name"));
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view near = NearMiss(name, views);
  if (near.empty() || near == name) return {};
  // What cannot be undone is not there to be copied.
  if (command_.ends_with("remove")) return fmt::format("did you mean {}?", Quoted(near));
  return fmt::format("did you mean {}? mlos {} {}", Quoted(near), command_, near);
}

int Runner::Usage(std::string_view text) {
  PrintError("error: ", Colour::kRed, std::string(text));
  PrintError("hint: ", Colour::kBold, "mlos " + command_ + " --help");
  return kUsage;
}

int Runner::Unreachable(const Status& status) {
  PrintError("error: ", Colour::kRed,
             fmt::format("no daemon answers at {}: {}", client_.target().text, Message(status)));
  PrintError("hint: ", Colour::kBold,
             "start one: mlos serve --auth off; or say where it is: MLOS_HOST=http://HOST:PORT, "
             "unix:///PATH or grpc://HOST:PORT");
  return kUnreachable;
}

json::value Runner::Parse(const std::string& text) {
  StatusOr<json::value> value = ParseJson(text);
  return value.ok() ? *std::move(value) : json::value();
}

void Runner::Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Runner::Note(const std::string& text) { PrintError("note: ", Colour::kFaint, text); }

void Runner::PrintBody(const std::string& body) {
  // A terminal does what the bytes say; a file or a program gets them as they came.
  Print(IsTerminal(fileno(stdout)) ? EscapeLines(body) + "\n" : body);
}

}  // namespace mlos::cli
