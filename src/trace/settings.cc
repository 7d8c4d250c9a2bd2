// SPDX-License-Identifier: Apache-2.0
#include "trace/settings.h"

#include <charconv>

#include "base/name.h"

namespace mlos::trace {
namespace {

using Texts = std::vector<std::string>;

Status ReadLevel(const Texts& texts, std::optional<uint8_t>* level) {
  uint8_t bits = 0;
  bool off = false;
  for (const std::string& text : texts) {
    if (text == "OFF") {
      off = true;
    } else if (text == "TIMESTAMPS") {
      bits |= kTimestamps;
    } else if (text == "TENSORS") {
      bits |= kTensors;
    } else {
      return InvalidArgument("there is no trace_level " + Quoted(text) +
                             ": it is OFF, TIMESTAMPS or TENSORS");
    }
  }
  if (off && bits != 0) return InvalidArgument("trace_level OFF stands alone");
  *level = bits;
  return OkStatus();
}

template <typename T>
Status ReadNumber(std::string_view name, const Texts& texts, T least, T most,
                  std::optional<T>* number) {
  T value = 0;
  const std::string& text = texts.front();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (texts.size() != 1 || error != std::errc() || end != text.data() + text.size() ||
      value < least || value > most) {
    return InvalidArgument(std::string(name) + " is one integer from " + std::to_string(least) +
                           " to " + std::to_string(most) + ", not " + Quoted(text));
  }
  *number = value;
  return OkStatus();
}

// No texts: cleared.
Status ApplyOne(const std::string& name, const Texts& texts, Overrides* o) {
  const bool clear = texts.empty();
  if (name == "trace_level") {
    if (!clear) return ReadLevel(texts, &o->level);
    o->level.reset();
  } else if (name == "trace_rate") {
    if (!clear) return ReadNumber<uint32_t>(name, texts, 1, UINT32_MAX, &o->rate);
    o->rate.reset();
  } else if (name == "trace_count") {
    if (!clear) return ReadNumber<int64_t>(name, texts, -1, INT64_MAX, &o->count);
    o->count.reset();
  } else if (name == "log_frequency") {
    if (!clear) return ReadNumber<uint32_t>(name, texts, 0, UINT32_MAX, &o->log_frequency);
    o->log_frequency.reset();
  } else if (name == "trace_file" || name == "trace_mode") {
    if (clear) return OkStatus();  // it is as it would be without
    return MakeStatus(StatusCode::kUnimplemented,
                      name + " cannot be set over the network" +
                          (name == "trace_file" ? ": start the daemon with --trace-file" : ""));
  } else {
    return InvalidArgument("there is no trace setting " + Quoted(name) +
                           " (known: trace_level, trace_rate, trace_count, log_frequency)");
  }
  return OkStatus();
}

}  // namespace

Settings Overrides::Over(const Settings& all) const {
  return {.level = level.value_or(all.level),
          .rate = rate.value_or(all.rate),
          .count = count.value_or(all.count),
          .log_frequency = log_frequency.value_or(all.log_frequency)};
}

Status Apply(const Change& change, Overrides* overrides) {
  Overrides changed = *overrides;
  for (const auto& [name, texts] : change) {
    MLOS_RETURN_IF_ERROR(ApplyOne(name, texts, &changed));
  }
  *overrides = changed;
  return OkStatus();
}

Shown Show(const Settings& settings, const std::string& file) {
  Texts level;
  if ((settings.level & kTimestamps) != 0) level.emplace_back("TIMESTAMPS");
  if ((settings.level & kTensors) != 0) level.emplace_back("TENSORS");
  if (level.empty()) level.emplace_back("OFF");
  return {{"trace_level", std::move(level)},
          {"trace_rate", {std::to_string(settings.rate)}},
          {"trace_count", {std::to_string(settings.count)}},
          {"log_frequency", {std::to_string(settings.log_frequency)}},
          {"trace_file", {file}},
          {"trace_mode", {"triton"}}};
}

}  // namespace mlos::trace
