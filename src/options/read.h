// SPDX-License-Identifier: Apache-2.0
//
// From command line, environment and configuration file to Settings.  All that
// is wrong is reported, not the first thing only.
//
// Reads the file that --config names: untrusted text, bounded (64 KiB, few
// levels, no aliases).  Values; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "options/settings.h"

namespace mlos::options {

// What a process is started with.
struct Inputs {
  std::vector<std::string> arguments;    // without the program's name
  std::vector<std::string> environment;  // "NAME=value"

  static Inputs Of(int argc, const char* const* argv, const char* const* environment);
};

// Instead of running: what the command line asks to be printed.
enum class Action : uint8_t { kRun, kHelp, kVersion, kPrintConfig, kManual, kManualMarkdown };

struct Fault {
  std::string source;  // "FILE:LINE:COLUMN", "MLOS_WORKERS", "--workers"
  std::string text;
};

struct Reading {
  Action action = Action::kRun;
  Settings settings;            // what could be read
  std::vector<Fault> faults;    // not empty: do not run with it
  std::vector<Fault> warnings;  // likely slips that harm nothing
};

Reading Read(const Inputs& inputs);

// Each fault on a line, under a line with their number.
std::string Report(std::string_view program, const std::vector<Fault>& faults);

constexpr size_t kMaxConfigBytes = 64 << 10;

// The parts of Read; each sets what it finds over what is there.
void ReadCommandLine(const std::vector<std::string>& arguments, Reading* reading);
void ReadEnvironment(const std::vector<std::string>& environment, Reading* reading);
// `text` is the content of the file `name`.
void ReadConfigText(std::string_view name, std::string_view text, Reading* reading);

}  // namespace mlos::options
