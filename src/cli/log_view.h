// SPDX-License-Identifier: Apache-2.0
//
// A log as people read it: page by page, each line as the daemon's own text log
// has it, and what is missing between them.  Pure but for the time zone; one
// thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/format.h"

namespace mlos::cli {

// One line of a log, an object LogLine; with its end.  Escaped.
std::string LogLineText(const boost::json::object& line, const Look& look);

class LogView {
 public:
  struct Options {
    bool all_levels = true;         // the pages leave no level out, so numbers that jump are a gap
    std::optional<uint64_t> after;  // the first page was asked for behind this number
  };
  struct Shown {
    std::string text;
    std::vector<std::string> notes;  // on what is missing; escaped by whoever prints them
    size_t lines = 0;
  };

  LogView(const Look& look, const Options& options)
      : look_(look), all_levels_(options.all_levels), after_(options.after) {}

  // `body`: an object LogLines.  `limit`: so many lines it may have although
  // nobody asked for so few; 0: somebody did.
  Shown Show(const boost::json::value& body, uint64_t limit);

  // What the next page is to be asked for behind; nothing before the first.
  std::optional<uint64_t> after() const { return after_; }

 private:
  // What is missing before the first of `lines`.
  void NoteMissing(const boost::json::array& lines, uint64_t oldest, uint64_t limit, Shown* shown);

  const Look look_;
  const bool all_levels_;
  std::optional<uint64_t> after_;
};

}  // namespace mlos::cli
