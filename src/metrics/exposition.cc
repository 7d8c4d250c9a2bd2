// SPDX-License-Identifier: Apache-2.0
#include "metrics/exposition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <iterator>

#include "base/log.h"

namespace mlos::metrics {
namespace {

static_assert(static_cast<size_t>(Id::kCount) <= 64, "Exposition::begun_ has 64 bits");

// Backslash, newline and, in label values, the quotation mark have to be
// escaped; what is no UTF-8 has no place in either format.
void AppendEscaped(std::string_view text, bool quotes, std::string* out) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char c = text.front();
    if (c == '\\') {
      *out += "\\\\";
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '"' && quotes) {
      *out += "\\\"";
    } else if (length == 0) {
      *out += "\xef\xbf\xbd";
    } else {
      *out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
}

// Exact: nanoseconds as a decimal fraction.
void AppendSeconds(uint64_t nanos, std::string* out) {
  fmt::format_to(std::back_inserter(*out), "{}.{:09}", nanos / 1'000'000'000,
                 nanos % 1'000'000'000);
  while (out->back() == '0' && (*out)[out->size() - 2] != '.') out->pop_back();
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The first piece of `rest` before `separator`, taken off it.
std::string_view Next(std::string_view* rest, char separator) {
  const size_t end = rest->find(separator);
  const std::string_view piece = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return Trim(piece);
}

// "0.75" in thousandths; 1000 for what cannot be read.
int Quality(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return 1000;
  int value = (text[0] - '0') * 1000;
  int digit = 100;
  for (size_t i = 2; i < text.size() && digit > 0 && text[i] >= '0' && text[i] <= '9'; ++i) {
    value += (text[i] - '0') * digit;
    digit /= 10;
  }
  return std::min(value, 1000);
}

}  // namespace

Format ChooseFormat(std::string_view accept) {
  int open_metrics = 0;
  int plain = 0;
  while (!accept.empty()) {
    std::string_view item = Next(&accept, ',');
    const std::string_view type = Next(&item, ';');
    int quality = 1000;
    bool known_version = true;
    while (!item.empty()) {
      std::string_view parameter = Next(&item, ';');
      const std::string_view name = Next(&parameter, '=');
      if (name == "q") quality = Quality(Trim(parameter));
      if (name == "version")
        known_version = Trim(parameter) == "1.0.0" || Trim(parameter) == "0.0.1";
    }
    if (type == "application/openmetrics-text" && known_version) {
      open_metrics = std::max(open_metrics, quality);
    } else if (type == "text/plain") {
      plain = std::max(plain, quality);
    }
  }
  return open_metrics > 0 && open_metrics >= plain ? Format::kOpenMetrics : Format::kPrometheus;
}

std::string_view ContentType(Format format) {
  return format == Format::kOpenMetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

void Exposition::Begin(Id id) {
  assert((begun_ >> static_cast<int>(id) & 1) == 0);
  begun_ |= uint64_t{1} << static_cast<int>(id);
  row_ = &RowOf(id);
  header_written_ = false;
}

// Written with the first sample: a family without samples says nothing.
void Exposition::Header() {
  if (header_written_) return;
  header_written_ = true;
  std::string_view family = row_->name;
  if (format_ == Format::kOpenMetrics && row_->type == Type::kCounter) family.remove_suffix(6);
  fmt::format_to(std::back_inserter(out_), "# HELP {} ", family);
  AppendEscaped(row_->help, format_ == Format::kOpenMetrics, &out_);
  fmt::format_to(std::back_inserter(out_), "\n# TYPE {} {}\n", family, TypeName(row_->type));
  if (format_ == Format::kOpenMetrics && row_->unit != Unit::kNone) {
    fmt::format_to(std::back_inserter(out_), "# UNIT {} {}\n", family, UnitName(row_->unit));
  }
}

void Exposition::Name(std::string_view suffix, Labels labels, std::string_view le) {
  Header();
  out_ += row_->name;
  out_ += suffix;
  std::string_view names = row_->label_list();
  char before = '{';
  for (const std::string_view value : labels) {
    assert(!names.empty());
    out_ += before;
    before = ',';
    out_ += Next(&names, ',');
    out_ += "=\"";
    AppendEscaped(value, true, &out_);
    out_ += '"';
  }
  assert(names.empty());
  if (!le.empty()) fmt::format_to(std::back_inserter(out_), "{}le=\"{}\"", before, le);
  if (!le.empty() || before == ',') out_ += '}';
  out_ += ' ';
}

void Exposition::Line(uint64_t value) { fmt::format_to(std::back_inserter(out_), "{}\n", value); }

void Exposition::Value(Labels labels, uint64_t value) {
  Name({}, labels, {});
  Line(value);
}

void Exposition::Seconds(Labels labels, uint64_t nanos) {
  Name({}, labels, {});
  AppendSeconds(nanos, &out_);
  out_ += '\n';
}

void Exposition::Record(Labels labels, const HistogramValue& histogram) {
  uint64_t so_far = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    so_far += histogram.buckets[i];
    Name("_bucket", labels, kBoundTexts[i]);
    Line(so_far);
  }
  Name("_sum", labels, {});
  AppendSeconds(histogram.sum_ns, &out_);
  out_ += '\n';
  Name("_count", labels, {});
  Line(so_far);
}

std::string Exposition::Finish() {
  if (format_ == Format::kOpenMetrics) out_ += "# EOF\n";
  return std::move(out_);
}

}  // namespace mlos::metrics
