// SPDX-License-Identifier: Apache-2.0
//
// smi-check PLUGIN_DIR [--model PATH]: runs a plugin package through the
// contract of mlos/smi.h.  Exit status: 0 nothing failed, 1 something failed,
// 2 the command line or the model given cannot be used.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/log.h"
#include "base/name.h"
#include "base/near_miss.h"
#include "smi_check/artefact.h"
#include "smi_check/checks.h"
#include "smi_check/report.h"

namespace mlos {
namespace {

constexpr int kPassed = 0, kFailed = 1, kUsage = 2;

struct Arguments {
  std::string directory;
  std::string model;
  std::string config = "{}";
  std::vector<std::string> only;
  double timeout_s = 30;
  bool in_process = false;
  bool json = false;
  bool verbose = false;
  bool list = false;
};

void Describe(CLI::App& app, Arguments* arguments) {
  app.add_option("plugin", arguments->directory,
                 "Directory of the plugin package: plugin.yaml and its library");
  app.add_option("--model", arguments->model,
                 "A model that the plugin can run: its file, or its directory. Without it the "
                 "checks that need a model are skipped");
  app.add_option("--config", arguments->config, "Configuration of the model, a JSON object")
      ->capture_default_str();
  app.add_option("--only", arguments->only, "Run this check and those it depends on; repeatable");
  app.add_option("--timeout", arguments->timeout_s, "Seconds that one check may take")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  app.add_flag("--in-process", arguments->in_process,
               "Run the one check of --only in this process, for a debugger");
  app.add_flag("--json", arguments->json, "Print the results as one JSON object");
  app.add_flag("--verbose", arguments->verbose,
               "Print the end of what the plugin wrote, per check, on standard error");
  app.add_flag("--list", arguments->list, "List the checks and end");
}

int Usage(std::string_view text) {
  std::fprintf(stderr, "smi-check: %.*s\n", static_cast<int>(text.size()), text.data());
  return kUsage;
}

int List() {
  for (const Check& check : AllChecks()) {
    fmt::print("{:<16}{}{}\n", check.id, check.shows, check.needs_model ? " (needs --model)" : "");
  }
  return kPassed;
}

const Check* FindCheck(std::string_view id) {
  for (const Check& check : AllChecks()) {
    if (check.id == id) return &check;
  }
  return nullptr;
}

// Ids to run: all, or those of --only with what they come after; in this
// process only the one.
StatusOr<std::vector<std::string_view>> Selected(const Arguments& arguments) {
  const std::vector<std::string>& only = arguments.only;
  std::vector<std::string_view> ids, known;
  for (const Check& check : AllChecks()) known.push_back(check.id);
  if (arguments.in_process && only.size() != 1) {
    return InvalidArgument("--in-process runs one check; name it with --only");
  }
  if (only.empty()) return known;
  for (const std::string& id : only) {
    const Check* check = FindCheck(id);
    if (check == nullptr) {
      return InvalidArgument(fmt::format("no check is called {}{}; --list shows them", Quoted(id),
                                         DidYouMean(id, known)));
    }
    for (; check != nullptr; check = FindCheck(check->after)) {
      ids.push_back(check->id);
      if (arguments.in_process) break;
    }
  }
  return ids;
}

ChildReport Verdicted(Verdict verdict, std::string reason) {
  ChildReport report;
  report.verdict = verdict;
  report.reason = std::move(reason);
  return report;
}

ChildReport RunCheck(const Check& check, const Subject& subject,
                     const std::map<std::string_view, Verdict>& before,
                     const Arguments& arguments) {
  if (check.needs_model && subject.model == nullptr) {
    return Verdicted(Verdict::kSkip, std::string(kNeedsModel));
  }
  const auto prerequisite = before.find(check.after);
  if (prerequisite != before.end() && prerequisite->second != Verdict::kPass) {
    return Verdicted(Verdict::kSkip, fmt::format("because '{}' did not pass", check.after));
  }
  const auto run = [&](Phase& phase) { return check.run(subject, phase); };
  return arguments.in_process ? RunHere(run)
                              : RunInChild(run, static_cast<int>(arguments.timeout_s * 1000));
}

Results RunAll(const Subject& subject, const std::vector<std::string_view>& selected,
               const Arguments& arguments) {
  Results results;
  results.manifest = subject.manifest;
  results.checks.push_back({"manifest", "plugin.yaml is in order", Verdicted(Verdict::kPass, "")});
  std::map<std::string_view, Verdict> verdicts;
  for (const Check& check : AllChecks()) {
    if (std::find(selected.begin(), selected.end(), check.id) == selected.end()) continue;
    ChildReport report = RunCheck(check, subject, verdicts, arguments);
    verdicts[check.id] = report.verdict;
    if (arguments.verbose && !report.output_tail.empty()) {
      fmt::print(stderr, "--- {}: the plugin wrote {} bytes, at the end\n{}\n", check.id,
                 report.output_bytes, EscapeForLog(report.output_tail, 4096));
    }
    results.checks.push_back({std::string(check.id), std::string(check.shows), std::move(report)});
  }
  return results;
}

int Run(const Arguments& arguments) {
  if (arguments.list) return List();
  if (arguments.directory.empty())
    return Usage("give the directory of a plugin package; see --help");
  const auto selected = Selected(arguments);
  if (!selected.ok()) return Usage(Message(selected.status()));
  Results results;
  Subject subject;
  subject.directory = arguments.directory;
  subject.config = arguments.config;
  auto manifest = ReadManifest(arguments.directory);
  if (manifest.ok()) {
    subject.manifest = std::move(*manifest);
    Artefact model;
    if (!arguments.model.empty()) {
      auto read = ReadArtefact(arguments.model, subject.manifest.formats);
      if (!read.ok()) return Usage(Message(read.status()));
      model = std::move(*read);
      subject.model = &model;
    }
    results = RunAll(subject, *selected, arguments);
  } else {
    results.checks.push_back({"manifest", "plugin.yaml is in order",
                              Verdicted(Verdict::kFail, std::string(Message(manifest.status())))});
  }
  const std::string text = arguments.json ? ToJson(results) : ToTable(results);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  // As in a child: what the plugin left behind in this process is not ours to
  // tear down, nor a leak checker's to count.
  if (arguments.in_process) std::_Exit(results.Count(Verdict::kFail) == 0 ? kPassed : kFailed);
  return results.Count(Verdict::kFail) == 0 ? kPassed : kFailed;
}

}  // namespace
}  // namespace mlos

int main(int argc, char** argv) {
  CLI::App app("Runs a plugin package through the contract of mlos/smi.h.", "smi-check");
  app.footer("Exit status: 0 nothing failed, 1 something failed, 2 wrong use.");
  mlos::Arguments arguments;
  mlos::Describe(app, &arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : mlos::kUsage;
  }
  return mlos::Run(arguments);
}
