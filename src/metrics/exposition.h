// SPDX-License-Identifier: Apache-2.0
//
// Metrics as text: Prometheus 0.0.4 or OpenMetrics 1.0.  Families come in the
// order in which they are begun, each once; what has no row in the table
// cannot be written.  One thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "metrics/instruments.h"
#include "metrics/table.h"

namespace mlos::metrics {

enum class Format : uint8_t { kPrometheus, kOpenMetrics };
// By the Accept field of a scrape: OpenMetrics where it is asked for at least
// as urgently as plain text.
Format ChooseFormat(std::string_view accept);
std::string_view ContentType(Format format);

class Exposition {
 public:
  using Labels = std::initializer_list<std::string_view>;  // values, in the row's order

  explicit Exposition(Format format) : format_(format) {}

  // What follows, until the next Begin, are samples of this metric.
  void Begin(Id id);
  void Value(Labels labels, uint64_t value);
  void Seconds(Labels labels, uint64_t nanos);  // value in seconds
  void Record(Labels labels, const HistogramValue& histogram);
  // The whole text.
  std::string Finish();

 private:
  void Name(std::string_view suffix, Labels labels, std::string_view le);
  void Line(uint64_t value);
  void Header();

  const Format format_;
  std::string out_;
  const Row* row_ = nullptr;
  uint64_t begun_ = 0;  // families, as bits
  bool header_written_ = false;
};

}  // namespace mlos::metrics
