// SPDX-License-Identifier: Apache-2.0
//
// What core and plugin host say to each other over a Link, and the JSON form
// of it.  Every message from the core but kStop is answered by a kReply with
// the same id, whose payload is {"code": canonical number, "text": …, …}.
//
//   core -> host
//     kStart          plugin: directory, library, name, version, config,
//                     workers; protocol number
//     kAttachChannel  a channel's numbers; descriptors: control, consumer
//                     event, producer event, request segments, response
//                     segments.  Also while the host serves
//     kDetachChannel  nothing more is claimed from it; answered at once
//     kAddSegment     a further segment of a channel; its descriptor
//     kLoadModel      name, version, config, files, samples to warm up with; one
//                     descriptor per file, then those of the samples' data.  Answer: the model's
//                     description, and taken_bytes: the memory that the process got for it
//     kUnloadModel    answered when what was queued is done and it is gone,
//                     with released_bytes: the memory that the process gave back
//     kServe          models are loaded: replay, then take requests
//     kStop           finish what is claimed, destroy, exit
//   host -> core
//     kHello          protocol number, first
//     kReply
//     kNeedSegment    response memory is short: channel, bytes
//     kHeartbeat      while something runs: how much, for how long
//     kServed         what local applications were answered since the last, by channel:
//                     about once a second, and before kDetached
//     kDetached       what was claimed from a detached channel is answered, and its
//                     memory is let go: channel
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "channel/grant.h"
#include "hostlink/link.h"
#include "tensor/model_info.h"

namespace mlos::hostlink {

// Core and host of one build belong together; both check.  Raised with every change
// of a message, which messages_test sees.
constexpr uint32_t kProtocol = 4;

enum MessageType : uint32_t {
  kHello = 1,
  kReply = 2,
  kNeedSegment = 3,
  kHeartbeat = 4,
  kDetached = 5,
  kServed = 6,
  kStart = 16,
  kAttachChannel = 17,
  kAddSegment = 18,
  kLoadModel = 19,
  kUnloadModel = 20,
  kServe = 21,
  kStop = 22,
  kDetachChannel = 23,
};

struct StartPlugin {
  std::string directory;
  std::string library;
  std::string name;
  std::string version;
  std::string config = "{}";
  uint32_t workers = 1;
};

// A request that is run before the model is ready.
struct WarmUpInput {
  enum class Data { kZero, kRandom, kFile };
  std::string name;
  std::string datatype;  // "FP32"
  std::vector<int64_t> shape;
  Data data = Data::kZero;
  uint32_t file = 0;  // kFile: which of the descriptors behind those of the model's files
};
struct WarmUpSample {
  std::string name;
  uint32_t count = 1;
  std::vector<WarmUpInput> inputs;
};

struct LoadModel {
  uint32_t handle = 0;
  std::string name;
  std::string version;
  std::string config = "{}";
  uint32_t threads = 1;
  std::string main_file;           // which of `files`
  std::vector<std::string> files;  // relative names; descriptors in this order
  std::vector<WarmUpSample> warm_up;
  uint32_t warm_up_files = 0;  // so many further descriptors
};

struct Heartbeat {
  uint32_t running = 0;
  uint32_t queued = 0;
  uint64_t oldest_ms = 0;   // age of the oldest running request
  uint64_t overdue_ms = 0;  // how long the latest of them is past its deadline
};

// What a plugin host has answered on a local application's channel since it last said
// so: the core sees nothing else of that.
struct Served {
  uint32_t channel = 0;
  std::array<uint64_t, 17> answers{};  // by canonical code
  uint64_t executions = 0;             // answers that the plugin gave
  uint64_t inferences = 0;             // of those that succeeded, by their batches
  uint64_t queue_ns = 0;               // all executions together
  uint64_t run_ns = 0;

  void Count(StatusCode code) { ++answers[static_cast<size_t>(code) % answers.size()]; }
  bool any() const {
    for (const uint64_t n : answers) {
      if (n != 0) return true;
    }
    return false;
  }
};

// Payload of a frame as a JSON object; INVALID_ARGUMENT if it is none.
StatusOr<boost::json::object> ParsePayload(std::string_view payload);

Frame EncodeHello();
Status CheckHello(const Frame& frame);

Frame EncodeStart(const StartPlugin& start);
StatusOr<StartPlugin> DecodeStart(const Frame& frame);

// Of a channel whose producer is a local application and no part of the core:
// whatever stands in its entries, they are requests for this model by this
// principal.
struct ChannelTerms {
  uint32_t model = 0;  // handle
  uint32_t principal = 0;
  // The application may do to the host's models what it likes anyway: its memory is
  // used where it lies.
  bool in_place = false;
};
struct AttachChannel {
  uint32_t channel = 0;
  std::optional<ChannelTerms> terms;  // none: the core's own
  channel::ConsumerGrant grant;
};
Frame EncodeAttach(uint32_t channel, channel::ConsumerGrant grant,
                   const ChannelTerms* terms = nullptr);
StatusOr<AttachChannel> DecodeAttach(Frame frame);
Frame EncodeDetach(uint32_t channel);
Frame EncodeDetached(uint32_t channel);
StatusOr<uint32_t> DecodeChannel(const Frame& frame);  // of either

Frame EncodeAddSegment(uint32_t channel, bool response, channel::SegmentGrant segment);
struct AddSegment {
  uint32_t channel = 0;
  bool response = false;
  channel::SegmentGrant segment;
};
StatusOr<AddSegment> DecodeAddSegment(Frame frame);

Frame EncodeLoadModel(const LoadModel& load, std::vector<OwnedFd> fds);
StatusOr<LoadModel> DecodeLoadModel(const Frame& frame);
Frame EncodeUnloadModel(uint32_t handle);
StatusOr<uint32_t> DecodeUnloadModel(const Frame& frame);

Frame EncodeNeedSegment(uint32_t channel, uint64_t bytes);
Frame EncodeHeartbeat(const Heartbeat& heartbeat);
StatusOr<Heartbeat> DecodeHeartbeat(const Frame& frame);

// A reply: a status, and on success an object.
// With kHeartbeat, of channels on which something was answered; and before kDetached.
Frame EncodeServed(const std::vector<Served>& channels);
StatusOr<std::vector<Served>> DecodeServed(const Frame& frame);

Frame EncodeReply(uint64_t id, const Status& status, boost::json::object body = {});
StatusOr<boost::json::object> DecodeReply(const Frame& frame);

// A number of bytes in a reply; 0 where there is none that makes sense.
uint64_t MemoryIn(const boost::json::object& reply, std::string_view member);

boost::json::object EncodeModelInfo(const ModelInfo& info);
// Checked: names, datatypes, ranks, counts.
StatusOr<ModelInfo> DecodeModelInfo(const boost::json::object& object);

}  // namespace mlos::hostlink
