// SPDX-License-Identifier: Apache-2.0
#include "smi_check/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/log.h"

namespace mlos {
namespace {

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kSkip:
      return "skip";
  }
  return "fail";
}

}  // namespace

size_t Results::Count(Verdict verdict) const {
  return static_cast<size_t>(
      std::count_if(checks.begin(), checks.end(),
                    [verdict](const Result& result) { return result.report.verdict == verdict; }));
}

std::string ToTable(const Results& results) {
  std::string text;
  if (!results.manifest.name.empty()) {
    text += fmt::format("{} {} ({})\n\n", results.manifest.name, results.manifest.version,
                        results.manifest.library);
  }
  size_t id_width = 0, shows_width = 0;
  for (const Result& result : results.checks) {
    id_width = std::max(id_width, result.id.size());
    shows_width = std::max(shows_width, result.shows.size());
  }
  uint64_t output = 0;
  for (const Result& result : results.checks) {
    const ChildReport& report = result.report;
    const std::string name =
        report.verdict == Verdict::kFail ? "FAIL" : std::string(VerdictName(report.verdict));
    std::string line = fmt::format("{}  {:<{}}  {:<{}}  {}", name, result.id, id_width,
                                   result.shows, shows_width, EscapeForLog(report.reason, 2000));
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    output += report.output_bytes;
  }
  text += fmt::format("\n{} passed, {} failed, {} skipped\n", results.Count(Verdict::kPass),
                      results.Count(Verdict::kFail), results.Count(Verdict::kSkip));
  if (output > 0) {
    text += fmt::format(
        "The plugin wrote {} bytes to its log and standard output; --verbose shows "
        "the last of it.\n",
        output);
  }
  return text;
}

std::string ToJson(const Results& results) {
  boost::json::array checks;
  uint64_t output = 0;
  for (const Result& result : results.checks) {
    checks.push_back({{"id", result.id},
                      {"verdict", std::string(VerdictName(result.report.verdict))},
                      {"shows", result.shows},
                      {"reason", EscapeForLog(result.report.reason, 2000)}});
    output += result.report.output_bytes;
  }
  const boost::json::object root = {{"plugin", results.manifest.name},
                                    {"version", results.manifest.version},
                                    {"passed", results.Count(Verdict::kPass)},
                                    {"failed", results.Count(Verdict::kFail)},
                                    {"skipped", results.Count(Verdict::kSkip)},
                                    {"output_bytes", output},
                                    {"checks", std::move(checks)}};
  return boost::json::serialize(root) + "\n";
}

}  // namespace mlos
