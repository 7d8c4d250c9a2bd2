// SPDX-License-Identifier: Apache-2.0
//
// Writes lines to a descriptor on a thread of its own, so that whoever reads a
// log cannot hold up those who write it.  What is not written yet is bounded;
// lines that find no room are dropped and counted.
//
// Threads: any may add; one makes and ends it, when nobody adds any more.
// Lifetime: takes a duplicate of the descriptor.  Its end writes what there is,
// and waits little more than a second for the reader to take it: a thread that
// the system still holds then is left behind, with what it uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>

namespace mlos {

class LogWriter {
 public:
  explicit LogWriter(int fd, size_t max_bytes = 1 << 20);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Without the line's end.  False: there is no room, it is dropped.  Where it
  // was taken, `untold` gets how many were dropped that nobody was told of yet:
  // for whoever added this one to say so.
  bool Add(std::string_view line, uint64_t* untold = nullptr);
  // They could not be told of: whoever asks next is to.
  void GiveBack(uint64_t untold);
  uint64_t dropped() const;

 private:
  class Shared;
  const std::shared_ptr<Shared> shared_;  // with the thread
  std::thread thread_;
};

}  // namespace mlos
