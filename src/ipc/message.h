// SPDX-License-Identifier: Apache-2.0
//
// The messages of the local protocol as values, in both directions: the daemon
// reads what clients ask and writes what they are told, a client the other way
// round.
//
// Decode* takes a payload from outside: everything is bounded and checked
// before it is used, and what is left over is an error too, because a later
// version says so in the handshake.  Views point into the payload.  Vectors keep
// their memory from one message to the next.  Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/status.h"
#include "ipc/wire.h"
#include "tensor/message.h"
#include "tensor/model_info.h"

namespace mlos::ipc {

// INVALID_ARGUMENT: nothing that follows can be understood.  A client lets in the one
// descriptor that the daemon may send it.
Status CheckHeader(const FrameHeader& header, uint32_t most_descriptors = 0);

struct Hello {
  uint32_t lowest = kLowestVersion;  // versions that the client knows
  uint32_t highest = kHighestVersion;
  std::string_view token;   // who asks, where the system's word is not enough; may be empty
  std::string_view client;  // what to call it in the log; may be empty
};
void Encode(const Hello& hello, Buffer* out);
Status Decode(std::string_view payload, Hello* hello);
// The highest that both know.  FAILED_PRECONDITION: there is none.
StatusOr<uint32_t> AgreeOnVersion(const Hello& hello);

struct Welcome {
  uint32_t version = kHighestVersion;
  uint32_t max_calls = 0;    // at once on this connection; further ones wait in the socket
  uint64_t max_message = 0;  // bytes of a payload
  uint32_t uid = 0;          // whom the server takes the client for
  uint32_t server_pid = 0;   // another after a restart
  std::string_view server_version;
};
void Encode(const Welcome& welcome, Buffer* out);
Status Decode(std::string_view payload, Welcome* welcome);

struct Failure {
  StatusCode code = StatusCode::kUnknown;
  std::string_view text;
  std::string_view hint;  // what to do next; may be empty
};
void Encode(const Failure& failure, Buffer* out);
Status Decode(std::string_view payload, Failure* failure);

struct ServerState {
  bool ready = false;
  std::string_view not_ready;  // what is not
  std::string_view name;
  std::string_view version;
  std::vector<std::string_view> extensions;
};
void Encode(const ServerState& state, Buffer* out);
Status Decode(std::string_view payload, ServerState* state);

struct AskModel {
  bool with_config = false;
  std::string_view model;
  std::string_view version;  // empty: any
};
void Encode(const AskModel& ask, Buffer* out);
Status Decode(std::string_view payload, AskModel* ask);

struct DescribedTensor {
  std::string_view name;
  uint32_t datatype = 0;
  bool optional = false;
  uint32_t rank = 0;
  int64_t dims[tensor::kMaxRank] = {};  // -1: any size

  std::span<const int64_t> shape() const { return {dims, rank}; }
};

struct ModelDescription {
  std::string_view name;
  std::string_view version;  // that answers
  std::string_view platform;
  uint32_t max_batch_size = 0;
  std::vector<std::string_view> versions;  // that serve
  std::vector<DescribedTensor> inputs;
  std::vector<DescribedTensor> outputs;
  std::string_view config;  // JSON; empty: not asked for
};
void Encode(const ModelDescription& model, Buffer* out);
Status Decode(std::string_view payload, ModelDescription* model);
// As a message describes it; the name stays with `info`.
DescribedTensor Describe(const TensorInfo& info);

struct AskControl {
  bool wait = true;
  std::string_view operation;  // "model.load"
  std::string_view name;
  std::string_view version;
  std::string_view body;  // a JSON object, or empty
};
void Encode(const AskControl& ask, Buffer* out);
Status Decode(std::string_view payload, AskControl* ask);

struct ControlOutcome {
  bool created = false;
  bool accepted = false;  // it goes on
  std::string_view body;  // JSON
};
void Encode(const ControlOutcome& outcome, Buffer* out);
Status Decode(std::string_view payload, ControlOutcome* outcome);

// A tensor and its data, of an inference or of its answer.
struct WireTensor {
  std::string_view name;
  uint32_t datatype = 0;
  uint32_t rank = 0;
  int64_t dims[tensor::kMaxRank] = {};
  uint64_t bytes = 0;
  uint64_t at = 0;  // after decoding: where in the payload the data begin

  std::span<const int64_t> shape() const { return {dims, rank}; }
};

struct WantedOutput {
  std::string_view name;
  uint32_t classes = 0;  // so many of the greatest elements; 0: all
};

struct AskInfer {
  std::string_view model;
  std::string_view version;     // empty: any
  std::string_view id;          // the client's own word for it; may be empty
  std::string_view parameters;  // a JSON object, or empty
  uint64_t timeout_us = 0;      // 0: the server's default
  std::vector<WireTensor> inputs;
  std::vector<WantedOutput> outputs;  // empty: all

  void Clear();
};
// The head only: the data of the inputs follow in their order, without gaps.
// False: it is larger than kMostHeadBytes.
bool EncodeHead(const AskInfer& ask, Buffer* out);
// All of the payload is there.
Status Decode(std::string_view payload, AskInfer* ask);

struct InferAnswer {
  std::string_view version;  // of the model, that answered
  std::vector<WireTensor> outputs;
};
bool EncodeHead(const InferAnswer& answer, Buffer* out);
Status Decode(std::string_view payload, InferAnswer* answer);

}  // namespace mlos::ipc
