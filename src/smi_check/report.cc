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

// Length of the UTF-8 sequence at the beginning of `text`, 0 when it is none.
size_t SequenceLength(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                        : lead >> 4 == 0xe            ? 3
                        : lead >= 0xf0 && lead < 0xf5 ? 4
                                                      : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// What came from the plugin, fit for a terminal and for JSON.
std::string Printable(std::string_view text) {
  const std::string escaped = EscapeForLog(text, 2000);
  std::string out;
  for (std::string_view rest = escaped; !rest.empty();) {
    const size_t length = SequenceLength(rest);
    out += length > 0 ? rest.substr(0, length) : "?";
    rest.remove_prefix(length > 0 ? length : 1);
  }
  return out;
}

size_t CountNeedingModel(const Results& results) {
  return static_cast<size_t>(
      std::count_if(results.checks.begin(), results.checks.end(), [](const Result& result) {
        return result.report.verdict == Verdict::kSkip && result.report.reason == kNeedsModel;
      }));
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
                                   result.shows, shows_width, Printable(report.reason));
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
    output += report.output_bytes;
  }
  text += fmt::format("\n{} passed, {} failed, {} skipped\n", results.Count(Verdict::kPass),
                      results.Count(Verdict::kFail), results.Count(Verdict::kSkip));
  if (const size_t skipped = CountNeedingModel(results); skipped > 0) {
    text += fmt::format("Give --model PATH to run the {} checks that need a model.\n", skipped);
  }
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
                      {"reason", Printable(result.report.reason)}});
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
