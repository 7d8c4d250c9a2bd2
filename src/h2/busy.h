// SPDX-License-Identifier: Apache-2.0
//
// Sets a flag for as long as it lives, unless it is set already.  One thread.
#pragma once

namespace mlos::h2 {

class Busy {
 public:
  explicit Busy(bool& flag) : flag_(flag), was_(flag) { flag_ = true; }
  ~Busy() { flag_ = was_; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  bool& flag_;
  const bool was_;
};

}  // namespace mlos::h2
