// SPDX-License-Identifier: Apache-2.0
//
// For tests: reads an exposition as strictly as its formats are written, and
// says what is wrong with it.  No part of the daemon.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/exposition.h"

namespace mlos::metrics {

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
  std::string text;  // the value as written
};

struct Family {
  std::string name;
  std::string help;
  std::string type;
  std::string unit;
  std::vector<Sample> samples;
};

class ParsedExposition {
 public:
  // `faults` is empty when the text is as it should be.
  static ParsedExposition Parse(std::string_view text, Format format);

  const Family* Find(std::string_view name) const;
  // The value of the one sample with this name and, among others, these
  // labels; -1 when there is none, -2 when there are several.
  double Value(std::string_view name, const std::map<std::string, std::string>& labels = {}) const;

  std::vector<Family> families;
  std::vector<std::string> faults;
};

}  // namespace mlos::metrics
