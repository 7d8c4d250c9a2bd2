// SPDX-License-Identifier: Apache-2.0
#include "metrics/exposition_parser.h"

#include <cstdlib>
#include <limits>
#include <set>

namespace mlos::metrics {
namespace {

bool IsNameCharacter(char c, bool first) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
         (!first && c >= '0' && c <= '9');
}

std::string TakeName(std::string_view* text) {
  size_t length = 0;
  while (length < text->size() && IsNameCharacter((*text)[length], length == 0)) ++length;
  std::string name(text->substr(0, length));
  text->remove_prefix(length);
  return name;
}

bool Take(std::string_view* text, std::string_view what) {
  if (text->substr(0, what.size()) != what) return false;
  text->remove_prefix(what.size());
  return true;
}

// "…" with its escapes; false if it does not end or has another escape.
bool TakeQuoted(std::string_view* text, std::string* out) {
  if (!Take(text, "\"")) return false;
  while (!text->empty()) {
    const char c = text->front();
    text->remove_prefix(1);
    if (c == '"') return true;
    if (c != '\\') {
      *out += c;
      continue;
    }
    if (text->empty()) return false;
    const char escaped = text->front();
    text->remove_prefix(1);
    if (escaped != '\\' && escaped != '"' && escaped != 'n') return false;
    *out += escaped == 'n' ? '\n' : escaped;
  }
  return false;
}

bool TakeNumber(std::string_view text, double* value) {
  if (text == "+Inf") {
    *value = std::numeric_limits<double>::infinity();
    return true;
  }
  const std::string whole(text);
  char* end = nullptr;
  *value = std::strtod(whole.c_str(), &end);
  return !whole.empty() && *end == '\0' &&
         (whole[0] == '-' || (whole[0] >= '0' && whole[0] <= '9'));
}

// One sample; false if it is none.
bool ParseSample(std::string_view line, Sample* sample) {
  sample->name = TakeName(&line);
  if (sample->name.empty()) return false;
  if (Take(&line, "{")) {
    do {
      const std::string name = TakeName(&line);
      std::string value;
      if (name.empty() || !Take(&line, "=") || !TakeQuoted(&line, &value)) return false;
      if (!sample->labels.emplace(name, value).second) return false;
    } while (Take(&line, ","));
    if (!Take(&line, "}")) return false;
  }
  if (!Take(&line, " ")) return false;
  sample->text = line;
  return TakeNumber(line, &sample->value);
}

// The names that samples of a family may have.
bool Belongs(const Family& family, const std::string& sample, Format format) {
  if (family.type == "histogram") {
    return sample == family.name + "_bucket" || sample == family.name + "_sum" ||
           sample == family.name + "_count";
  }
  const bool total = family.type == "counter" && format == Format::kOpenMetrics;
  return sample == family.name + (total ? "_total" : "");
}

void CheckHistogram(const Family& family, std::vector<std::string>* faults) {
  struct Series {
    double last_bound = -1;
    double last_count = 0;
    double infinity = -1;
    double count = -2;
    bool sum = false;
  };
  std::map<std::map<std::string, std::string>, Series> all;
  for (const Sample& sample : family.samples) {
    auto labels = sample.labels;
    const bool bucket = sample.name == family.name + "_bucket";
    double bound = 0;
    if (bucket && (labels.count("le") == 0 || !TakeNumber(labels["le"], &bound))) {
      faults->push_back(family.name + ": a bucket without a bound");
      continue;
    }
    labels.erase("le");
    Series& series = all[labels];
    if (bucket) {
      if (bound <= series.last_bound) faults->push_back(family.name + ": bounds do not ascend");
      if (sample.value < series.last_count) faults->push_back(family.name + ": not cumulative");
      series.last_bound = bound;
      series.last_count = sample.value;
      if (bound == std::numeric_limits<double>::infinity()) series.infinity = sample.value;
    } else if (sample.name == family.name + "_sum") {
      series.sum = true;
    } else {
      series.count = sample.value;
    }
  }
  for (const auto& [labels, series] : all) {
    if (!series.sum) faults->push_back(family.name + ": no sum");
    if (series.infinity != series.count) faults->push_back(family.name + ": +Inf is not the count");
  }
}

class Parser {
 public:
  Parser(Format format, ParsedExposition* out) : format_(format), out_(*out) {}

  void Line(std::string_view line) {
    if (ended_) return Fault("something behind the end", line);
    if (line == "# EOF" && format_ == Format::kOpenMetrics) {
      ended_ = true;
    } else if (Take(&line, "# HELP ")) {
      Meta(line, &Family::help, true);
    } else if (Take(&line, "# TYPE ")) {
      Meta(line, &Family::type, false);
    } else if (format_ == Format::kOpenMetrics && Take(&line, "# UNIT ")) {
      Meta(line, &Family::unit, false);
    } else {
      ReadSample(line);
    }
  }

  void Finish() {
    if (format_ == Format::kOpenMetrics && !ended_) Fault("no end", "");
    for (const Family& family : out_.families) {
      if (family.help.empty() || family.type.empty()) Fault("no help or no type", family.name);
      if (family.samples.empty()) Fault("no samples", family.name);
      const bool counter = family.type == "counter";
      if (format_ == Format::kPrometheus && counter &&
          (family.name.size() < 6 || family.name.substr(family.name.size() - 6) != "_total")) {
        Fault("a counter without _total", family.name);
      }
      if (!family.unit.empty() &&
          (family.name.size() <= family.unit.size() ||
           family.name.substr(family.name.size() - family.unit.size()) != family.unit)) {
        Fault("a unit that the name does not end with", family.name);
      }
      if (family.type == "histogram") CheckHistogram(family, &out_.faults);
    }
  }

  void Fault(std::string_view what, std::string_view where) {
    out_.faults.push_back(std::string(what) + ": " + std::string(where));
  }

 private:
  void Meta(std::string_view line, std::string Family::*member, bool begins) {
    const std::string name = TakeName(&line);
    if (name.empty() || !Take(&line, " ") || line.empty()) return Fault("broken comment", line);
    if (begins) {
      if (!names_.insert(name).second) Fault("a family twice", name);
      out_.families.push_back({name, "", "", "", {}});
    }
    if (out_.families.empty() || out_.families.back().name != name) {
      return Fault("a comment on another family", name);
    }
    Family& family = out_.families.back();
    if (!(family.*member).empty() || !family.samples.empty()) Fault("late or repeated", name);
    family.*member = line;
  }

  void ReadSample(std::string_view line) {
    Sample sample;
    if (!ParseSample(line, &sample)) return Fault("not a sample", line);
    if (out_.families.empty() || !Belongs(out_.families.back(), sample.name, format_)) {
      return Fault("a sample of another family", line);
    }
    if (sample.value < 0) Fault("negative", line);
    if (!series_.emplace(sample.name, sample.labels).second) Fault("a series twice", line);
    out_.families.back().samples.push_back(std::move(sample));
  }

  const Format format_;
  ParsedExposition& out_;
  bool ended_ = false;
  std::set<std::string> names_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> series_;
};

}  // namespace

ParsedExposition ParsedExposition::Parse(std::string_view text, Format format) {
  ParsedExposition out;
  Parser parser(format, &out);
  if (text.empty() || text.back() != '\n') parser.Fault("no newline at the end", "");
  while (!text.empty()) {
    const size_t end = text.find('\n');
    parser.Line(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  parser.Finish();
  return out;
}

const Family* ParsedExposition::Find(std::string_view name) const {
  for (const Family& family : families) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

double ParsedExposition::Value(std::string_view name,
                               const std::map<std::string, std::string>& labels) const {
  double value = -1;
  for (const Family& family : families) {
    for (const Sample& sample : family.samples) {
      if (sample.name != name) continue;
      bool fits = true;
      for (const auto& [key, want] : labels) {
        const auto it = sample.labels.find(key);
        fits &= it != sample.labels.end() && it->second == want;
      }
      if (fits) value = value == -1 ? sample.value : -2;
    }
  }
  return value;
}

}  // namespace mlos::metrics
