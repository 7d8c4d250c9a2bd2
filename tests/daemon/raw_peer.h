// SPDX-License-Identifier: Apache-2.0
//
// A peer that says exactly the bytes it is told and no others, at the time it
// is told to, and hears what comes until the server hangs up: what an attacker
// has in his hands.  One connection each; one thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlos::test {

class RawPeer {
 public:
  // `address`: HOST:PORT in numbers, or unix:PATH.  `receive_buffer`: of the socket, where it
  // should be small; 0: as the system makes it.
  explicit RawPeer(const std::string& address, int receive_buffer = 0);
  ~RawPeer() { Close(); }
  RawPeer(RawPeer&& other) noexcept;
  RawPeer& operator=(RawPeer&&) = delete;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // All of it; waits for the server to take it.  False once the server has hung up.
  bool Send(std::string_view bytes);
  // What goes at once, perhaps nothing.  False once the server has hung up.
  bool Trickle(std::string_view bytes);
  // All that comes until the server hangs up, or for a minute.
  std::string ReadToEnd();
  // Some more of what comes; empty at the end.
  std::string ReadSome();
  // Whether the server has hung up; what it said before stays to be read.
  bool HungUp() const;
  void Close();

 private:
  int fd_ = -1;
};

// The statuses of the answers that a stream consists of, each with the body that its
// Content-Length announces; behind the last one -1 if something else is left over.
std::vector<int> Statuses(std::string_view stream);

}  // namespace mlos::test
