// SPDX-License-Identifier: Apache-2.0
//
// What the server of the local socket counts.  Threads: its loop writes, any
// thread reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "metrics/instruments.h"

namespace mlos::metrics {

// Why a connection was not taken; the order is net::ConnectionSetOwner::Refusal's.
constexpr std::string_view kIpcRefusals[] = {"full", "user", "not_made"};
constexpr size_t kIpcRefusalCount = sizeof kIpcRefusals / sizeof kIpcRefusals[0];

// Why a connection ended.
enum class IpcEnd : uint8_t {
  kDrained,
  kPeer,       // the client ended it
  kHandshake,  // it did not begin as the protocol does, or knows no version of it
  kProtocol,   // afterwards: nothing that followed could be understood
  kSlow,
  kCount,
};
constexpr size_t kIpcEnds = static_cast<size_t>(IpcEnd::kCount);

constexpr std::string_view IpcEndName(IpcEnd end) {
  constexpr std::string_view kNames[kIpcEnds] = {"drained", "peer", "handshake", "protocol",
                                                 "slow"};
  return kNames[static_cast<size_t>(end)];
}

// What a call asks.  Few and fixed, whatever clients send.
enum class IpcKind : uint8_t { kServer, kModel, kControl, kInfer, kOpen, kUnknown, kCount };
constexpr size_t kIpcKinds = static_cast<size_t>(IpcKind::kCount);

constexpr std::string_view IpcKindName(IpcKind kind) {
  constexpr std::string_view kNames[kIpcKinds] = {"server", "model", "control",
                                                  "infer",  "open",  "unknown"};
  return kNames[static_cast<size_t>(kind)];
}

class IpcCounters {
 public:
  static constexpr size_t kCodes = 17;  // canonical ones: 0 (OK) to 16

  void CountAnswer(IpcKind kind, size_t code) {
    if (code < kCodes) answers[static_cast<size_t>(kind)][code].Add();
  }
  void CountEnd(IpcEnd why) { ended[static_cast<size_t>(why)].Add(); }

  Gauge open;
  Counter accepted;
  Counter refused[kIpcRefusalCount];
  Counter ended[kIpcEnds];
  Counter received_bytes;
  Counter sent_bytes;
  Counter answers[kIpcKinds][kCodes];
};

}  // namespace mlos::metrics
