// SPDX-License-Identifier: Apache-2.0
//
// "loading … 3 s" on standard error while something is awaited, on terminals
// only, gone when it is over.  One thread.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include "cli/terminal.h"

namespace mlos::cli {

class Spinner {
 public:
  explicit Spinner(std::string what)
      : what_(std::move(what)), shown_(IsTerminal(fileno(stderr))), start_(Clock::now()) {}
  ~Spinner() { Clear(); }
  Spinner(const Spinner&) = delete;
  Spinner& operator=(const Spinner&) = delete;

  void Tick() {
    const auto waited = Clock::now() - start_;
    if (!shown_ || waited < std::chrono::milliseconds(300)) return;
    const long seconds = std::chrono::duration_cast<std::chrono::seconds>(waited).count();
    const std::string line =
        std::string(1, "|/-\\"[turn_++ % 4]) + " " + what_ + " … " + std::to_string(seconds) + " s";
    std::fprintf(stderr, "\r%s\x1b[K", Cut(line, TerminalColumns(fileno(stderr)) - 1).c_str());
    drawn_ = true;
  }
  void Clear() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
    drawn_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;
  const std::string what_;
  const bool shown_;
  const Clock::time_point start_;
  unsigned turn_ = 0;
  bool drawn_ = false;
};

}  // namespace mlos::cli
