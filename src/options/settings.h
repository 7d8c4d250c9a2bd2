// SPDX-License-Identifier: Apache-2.0
//
// The value of every option, and where each came from.
// Values; any thread.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "options/table.h"

namespace mlos::options {

// Flags win over variables, those over the file, that over defaults.
enum class Origin : uint8_t { kDefault, kFile, kEnvironment, kFlag };

struct Value {
  uint64_t number = 0;             // kInteger, kDuration (ms), kSize, kBoolean
  std::vector<std::string> texts;  // the others; one that is not a list has at most one

  friend bool operator==(const Value& a, const Value& b) {
    return a.number == b.number && a.texts == b.texts;
  }
};

struct Setting {
  Value value;
  Origin origin = Origin::kDefault;
  std::string place;  // of kFile: "FILE:LINE:COLUMN"
  bool good = true;   // false: what was given could not be read, and is reported

  // A value of this origin follows, through Add: it replaces what is there.
  void Begin(const Row& row, Origin from);
  // What is wrong with the text, or empty.
  std::string Add(const Row& row, std::string_view text);
};

// Reads one text as a value of the row's type.  Empty, and `value` has it (a
// list grows by it); or what is wrong: "is '0': give a whole number …".
std::string ReadValue(const Row& row, std::string_view text, Value* value);

// As a user would write it in the file: "75s", "\"/path\"", "[\"a\", \"b\"]".
std::string WriteValue(const Row& row, const Value& value);

class Settings {
 public:
  Settings();  // the defaults

  const Setting& at(Id id) const { return settings_[static_cast<size_t>(id)]; }
  Setting& at(Id id) { return settings_[static_cast<size_t>(id)]; }

  uint64_t Number(Id id) const { return at(id).value.number; }
  uint64_t Nanos(Id id) const { return Number(id) * kNanosPerMilli; }
  std::chrono::milliseconds Duration(Id id) const { return std::chrono::milliseconds(Number(id)); }
  bool Boolean(Id id) const { return Number(id) != 0; }
  std::string Text(Id id) const;  // empty: not set
  const std::vector<std::string>& List(Id id) const { return at(id).value.texts; }

  // "--workers", "MLOS_WORKERS", "/etc/mlosd.yaml:3:10" or "default".
  std::string Source(Id id) const;

 private:
  std::vector<Setting> settings_;  // by Id
};

}  // namespace mlos::options
