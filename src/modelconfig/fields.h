// SPDX-License-Identifier: Apache-2.0
//
// The one table of what each field of a model's configuration does here: it
// acts, it is ignored with a warning, or it is refused; each with what it does
// or why not.  docs/model-config.md is written from it.  Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/model_config.pb.h"

namespace mlos::modelconfig {

enum class Effect { kActs, kIgnored, kRefused };
std::string_view EffectName(Effect effect);  // "acts", "ignored", "refused"

struct FieldRow {
  std::string_view field;  // "instance_group.count"
  Effect effect;
  // What it does, or why it does nothing; a sentence without its full stop.
  std::string_view text;
};

// A message that has rows beneath it stands for these; others are one row.
std::span<const FieldRow> FieldTable();

struct Examined {
  std::vector<std::string> warnings;  // "max_queue_size is ignored: …", for the log
  // OK, or FAILED_PRECONDITION naming all fields that are refused, with the reasons.
  Status refused;
};
Examined Examine(const inference::ModelConfig& config);

// The table as Markdown.
std::string DescribeFields();

}  // namespace mlos::modelconfig
