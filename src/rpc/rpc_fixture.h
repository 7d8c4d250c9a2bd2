// SPDX-License-Identifier: Apache-2.0
//
// Two methods that echo, behind a dispatcher.  One thread.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/clock.h"
#include "rpc/fakes.h"

namespace mlos::rpc {

class RpcTest : public testing::Test {
 protected:
  RpcTest() : RpcTest(Options{}) {}
  explicit RpcTest(Options options) : dispatcher_(options) {
    dispatcher_.Add("/t.T/Unary", unary_);
    dispatcher_.Add("/t.T/Stream", stream_);
  }
  EchoMethod unary_{false};
  EchoMethod stream_{true};
  Dispatcher dispatcher_;
};

}  // namespace mlos::rpc
