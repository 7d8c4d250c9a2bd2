// SPDX-License-Identifier: Apache-2.0
//
// The local protocol: what is said over the daemon's own socket (docs/ipc.md
// has the bytes).  Frames of a fixed header and a payload; the numbers and
// texts of a payload stand one behind the other, in the machine's byte order,
// because both ends are on one machine.  A text is its length (uint32) and its
// bytes.
//
// Constants and the header as a value; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlos::ipc {

constexpr std::string_view kMagic = "mlOS-IPC";
// What this build speaks; a client says which versions it knows, and the
// highest of both is spoken.
constexpr uint32_t kLowestVersion = 1;
constexpr uint32_t kHighestVersion = 1;

// What a client sends.
enum class Ask : uint32_t {
  kHello = 1,    // first, and once
  kServer = 2,   // how the server is, and what it is
  kModel = 3,    // what a model takes and gives
  kControl = 4,  // an operation of the table
  kInfer = 5,
  kCancel = 6,  // nobody waits for the call of this number any more
  kOpen = 7,    // a direct channel to a model: asks as kModel does
};

// What it gets: one answer to each but kCancel, which has the number of what it answers.
enum class Tell : uint32_t {
  kWelcome = 0x101,
  kFailure = 0x102,  // of a call; of the connection, which ends, where the number is 0
  kServer = 0x103,
  kModel = 0x104,
  kOutcome = 0x105,
  kOutputs = 0x106,
  kChannel = 0x107,  // says what kModel says; its one descriptor is the channel's link
};

struct FrameHeader {
  uint32_t type = 0;
  uint32_t descriptors = 0;  // that come with it: 1 with kChannel, else none
  uint64_t call = 0;         // chosen by the client, other than 0 and those that run
  uint64_t bytes = 0;        // of the payload
};
static_assert(sizeof(FrameHeader) == 24);

// Larger is no frame at all.
constexpr uint64_t kMostFrameBytes = uint64_t{1} << 48;
constexpr uint64_t kMostHelloBytes = 8 << 10;
// Of what is not tensors' data: names, shapes, parameters.
constexpr uint64_t kMostHeadBytes = 1 << 20;
constexpr size_t kMostTokenBytes = 4096;
constexpr size_t kMostClientNameBytes = 128;

// Control::flags
constexpr uint32_t kDoNotWait = 1;
// Outcome::flags
constexpr uint32_t kCreated = 1;
constexpr uint32_t kAccepted = 2;
// AskModel::flags
constexpr uint32_t kWithConfig = 1;
// Server::flags
constexpr uint32_t kReady = 1;
// Tensor::flags, of a model's description
constexpr uint32_t kOptional = 1;

}  // namespace mlos::ipc
