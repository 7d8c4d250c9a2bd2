// SPDX-License-Identifier: Apache-2.0
//
// mlos logs: once, or on and on.
#include <poll.h>

#include <cstdio>
#include <cstdlib>

#include "cli/log_view.h"
#include "cli/request.h"
#include "cli/runner.h"
#include "cli/terminal.h"

namespace mlos::cli {
namespace {

constexpr int kBetweenLooksMs = 500;
// Lines that the daemon gives at once: where it is told nothing, and at most.
constexpr uint64_t kDefaultLines = 100;
constexpr uint64_t kMostLines = 1000;

// Waits; false if nobody reads standard output any more.
bool WaitForMore() {
  pollfd reader{fileno(stdout), 0, 0};
  return std::fflush(stdout) == 0 && poll(&reader, 1, kBetweenLooksMs) <= 0;
}

LogView::Options OptionsOf(const Invocation& invocation) {
  LogView::Options options;
  options.all_levels = !invocation.Has("--level") || invocation.Value("--level") == "debug";
  if (invocation.Has("--after")) {
    // What is no number is refused before it is sent.
    options.after = std::strtoull(invocation.Value("--after").c_str(), nullptr, 10);
  }
  return options;
}

}  // namespace

int Runner::RunLogs(const Invocation& invocation) {
  const operations::OperationRow& row = ChooseRow(invocation);
  std::string version;
  int exit = kDone;
  if (invocation.Has("NAME") && !invocation.Has("VERSION") &&
      !FindVersion(row, invocation.Value("NAME"), &version, &exit)) {
    return exit;
  }
  const bool follow = invocation.Has("--follow");
  LogView view(look_, OptionsOf(invocation));
  Invocation look = invocation;
  uint64_t limit = invocation.Has("--tail") ? 0 : kDefaultLines;
  while (true) {
    const StatusOr<Request> request = BuildRequest(row, look, version);
    if (!request.ok()) return Usage(Message(request.status()));
    const StatusOr<Answer> answer = client_.Send(*request);
    if (!answer.ok()) return Unreachable(answer.status());
    if (answer->status >= 300) {
      exit = Explain(*request, &row, *answer);
      return follow && answer->status == 503 ? kUnreachable : exit;  // it is going away
    }
    const LogView::Shown shown = view.Show(Parse(answer->body), limit);
    if (!json_) {
      for (const std::string& note : shown.notes) Note(note);
      Print(shown.text);
    } else if (!follow || shown.lines > 0) {
      PrintBody(answer->body);
      if (follow && !IsTerminal(fileno(stdout))) Print("\n");  // terminals have it already
    }
    if (!follow || !WaitForMore()) return kDone;
    look.values["--after"] = std::to_string(view.after().value_or(0));
    look.values["--tail"] = std::to_string(kMostLines);
    limit = kMostLines;
  }
}

}  // namespace mlos::cli
