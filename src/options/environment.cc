// SPDX-License-Identifier: Apache-2.0
//
// MLOS_HTTP_ADDRESS and the like.  An empty variable counts as none, because
// that is how some of those who start programs clear one.  The items of a list
// are separated by commas.
#include "base/log.h"
#include "base/near_miss.h"
#include "options/read.h"

namespace mlos::options {
namespace {

void Set(const Row& row, std::string_view text, Reading* reading) {
  Setting& setting = reading->settings.at(row.id);
  setting.Begin(row, Origin::kEnvironment);
  for (;;) {
    const size_t end = IsList(row.type) ? text.find(',') : std::string_view::npos;
    const std::string wrong = setting.Add(row, text.substr(0, end));
    if (!wrong.empty()) reading->faults.push_back({EnvironmentName(row.name), wrong});
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

// Others have variables of that prefix too, so a strange one is no error; one
// that looks like a slip is worth a word.
void WarnIfMissed(std::string_view variable, const std::vector<std::string>& known,
                  Reading* reading) {
  constexpr size_t kPrefix = 5;  // "MLOS_": alike in all, it would make all alike
  std::vector<std::string_view> names;
  names.reserve(known.size());
  for (const std::string& name : known) names.push_back(std::string_view(name).substr(kPrefix));
  const std::string_view near = NearMiss(variable.substr(kPrefix), names);
  if (near.empty()) return;
  reading->warnings.push_back(
      {EscapeForLog(variable, 80),
       "is no option's variable (did you mean MLOS_" + std::string(near) + "?)"});
}

}  // namespace

void ReadEnvironment(const std::vector<std::string>& environment, Reading* reading) {
  std::vector<std::string> known;
  for (const Row& row : Table()) known.push_back(EnvironmentName(row.name));
  for (const std::string& entry : environment) {
    const size_t equals = entry.find('=');
    if (entry.compare(0, 5, "MLOS_") != 0 || equals == std::string::npos) continue;
    if (equals + 1 == entry.size()) continue;
    const std::string name = entry.substr(0, equals);
    bool found = false;
    for (size_t i = 0; i < known.size() && !found; ++i) {
      found = known[i] == name;
      if (found) Set(Table()[i], std::string_view(entry).substr(equals + 1), reading);
    }
    if (!found) WarnIfMissed(name, known, reading);
  }
}

}  // namespace mlos::options
