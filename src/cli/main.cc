// SPDX-License-Identifier: Apache-2.0
//
// mlos: the command line of mlosd.  Exit status: cli/commands.h.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>

#include "cli/arguments.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/runner.h"
#include "cli/terminal.h"
#include "operations/proto_document.h"

namespace mlos::cli {
namespace {

int Fail(int exit, std::string_view text) {
  std::fprintf(stderr, "mlos: %s\n", EscapeLines(text).c_str());
  return exit;
}

// Becomes mlosd, the one beside this program.
int BecomeDaemon(const std::vector<std::string>& flags) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = error ? "mlosd" : (self.parent_path() / "mlosd").string();
  std::vector<char*> argv{const_cast<char*>("mlosd")};
  for (const std::string& flag : flags) argv.push_back(const_cast<char*>(flag.c_str()));
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  return Fail(kUnreachable, "mlosd, which belongs beside mlos, cannot be started: " +
                                std::string(Message(ErrnoStatus("exec"))));
}

// Visible ASCII only: anything else would end or split the header that it goes into.
bool IsToken(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

int PrintPage(const std::string& page) {
  std::fwrite(page.data(), 1, page.size(), stdout);
  return kDone;
}

// For the scripts of CompletionScript: quick, and silent whatever is wrong.
int Complete(const std::vector<Command>& commands, const std::vector<std::string>& words) {
  std::signal(SIGALRM, [](int) { _exit(kDone); });
  alarm(1);  // somebody waits at the keyboard
  const StatusOr<Target> target = FindTarget();
  const char* token = std::getenv("MLOS_TOKEN");  // NOLINT(concurrency-mt-unsafe)
  if (!target.ok() || (token != nullptr && !IsToken(token))) return kDone;
  const std::unique_ptr<Client> client = NewClient(*target, token == nullptr ? "" : token);
  std::string out;
  for (const std::string& word : CompleteWords(commands, words, *client)) {
    out.append(word).append("\n");
  }
  return PrintPage(out);
}

int Run(const std::vector<std::string>& arguments) {
  const std::vector<Command> commands = Commands();
  if (!arguments.empty() && arguments.front() == kCompleteCommand) {
    return Complete(commands, {arguments.begin() + 1, arguments.end()});
  }
  const Parsed parsed = ParseArguments(commands, arguments);
  if (!parsed.run) {
    std::fwrite(parsed.text.data(), 1, parsed.text.size(), parsed.exit == 0 ? stdout : stderr);
    return parsed.exit;
  }
  const Invocation& invocation = parsed.invocation;
  switch (invocation.command->action) {
    case Action::kServe:
      return BecomeDaemon(invocation.rest);
    case Action::kConfig: {
      std::vector<std::string> flags = invocation.rest;
      flags.insert(flags.begin(), "--print-config");
      return BecomeDaemon(flags);
    }
    case Action::kCompletion: {
      const auto script = CompletionScript(commands, invocation.Value("SHELL"));
      return script.ok() ? PrintPage(*script) : Fail(kUsage, Message(script.status()));
    }
    case Action::kManual:
      if (invocation.Has("--markdown")) return PrintPage(ManualMarkdown(commands));
      if (invocation.Has("--http")) return PrintPage(ManagementMarkdown());
      if (invocation.Has("--proto")) return PrintPage(operations::ProtoDocument());
      return PrintPage(ManualPage(commands));
    default:
      break;
  }
  const StatusOr<Target> target = FindTarget();
  if (!target.ok()) return Fail(kUsage, Message(target.status()));
  const char* token = std::getenv("MLOS_TOKEN");  // NOLINT(concurrency-mt-unsafe)
  if (token != nullptr && !IsToken(token)) {
    return Fail(kUsage, "MLOS_TOKEN has characters that no token has");
  }
  const std::unique_ptr<Client> client = NewClient(*target, token == nullptr ? "" : token);
  return Runner(*client, invocation.json).Run(invocation);
}

}  // namespace
}  // namespace mlos::cli

int main(int argc, char** argv) {
  try {
    const int exit = mlos::cli::Run(std::vector<std::string>(argv + 1, argv + argc));
    // What could not be written, to a full disk for example, was not done.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return mlos::cli::Fail(mlos::cli::kUnreachable, "the output could not be written");
    return exit;
  } catch (const std::exception& e) {
    return mlos::cli::Fail(mlos::cli::kUnreachable, e.what());
  }
}
