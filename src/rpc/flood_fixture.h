// SPDX-License-Identifier: Apache-2.0
//
// What tests of hostile and of leaving clients share: a client in memory, and
// methods that see who was let go.  One thread.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "base/clock.h"
#include "rpc/fakes.h"

namespace mlos::rpc {

using h2::End;

class FloodTest : public testing::Test {
 protected:
  FloodTest() {
    dispatcher_.Add("/t.T/Unary", unary_);
    dispatcher_.Add("/t.T/Stream", stream_);
  }

  // A client that has said hello.
  std::unique_ptr<Wire> Connect(h2::Limits limits = {}) {
    // However slow the machine is.
    limits.reset_rate = limits.idle_frame_rate = 1;
    auto wire = std::make_unique<Wire>(dispatcher_, limits);
    wire->Pump();
    return wire;
  }
  // Repeats it until the session ends; how often that took.
  static int UntilOver(Wire& wire, const std::function<void(int)>& once, int most = 100'000) {
    for (int i = 0; i < most; ++i) {
      if (wire.session().over()) return i;
      once(i);
    }
    return most;
  }
  static void ExpectCalmed(Wire& wire, End why, std::string_view text) {
    EXPECT_EQ(why, wire.session().end());
    wire.PumpDown();
    EXPECT_EQ(NGHTTP2_ENHANCE_YOUR_CALM, static_cast<int>(wire.goaway_code));
    EXPECT_EQ(text, wire.goaway_text);
  }
  // Every handler was let go.
  void ExpectNothingLeft() {
    EXPECT_EQ(unary_.seen.begun, unary_.seen.done);
    EXPECT_EQ(stream_.seen.begun, stream_.seen.done);
  }

  EchoMethod unary_{false};
  EchoMethod stream_{true};
  Dispatcher dispatcher_{Options{}};
};

}  // namespace mlos::rpc
