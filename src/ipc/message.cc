// SPDX-License-Identifier: Apache-2.0
#include "ipc/message.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "ipc/cursor.h"

namespace mlos::ipc {
namespace {

constexpr size_t kMostExtensions = 256;
constexpr size_t kMostVersions = 65536;
// The least that one of them takes: a count that the bytes cannot hold is wrong.
constexpr size_t kLeastText = sizeof(uint32_t);

Status Damaged(std::string_view what) {
  return InvalidArgument("the message " + std::string(what) + " is damaged or cut off");
}

Status Check(const Reader& in, std::string_view what) {
  return in.whole() ? OkStatus() : Damaged(what);
}

// How many follow; false: more than there may be, or than there are bytes for.
bool ReadCount(Reader& in, size_t most, size_t least_bytes, uint32_t* count) {
  *count = in.U32();
  return in.ok() && *count <= most && *count <= in.left() / least_bytes;
}

bool ReadTexts(Reader& in, size_t most, std::vector<std::string_view>* texts) {
  uint32_t count = 0;
  if (!ReadCount(in, most, kLeastText, &count)) return false;
  texts->clear();
  texts->reserve(count);
  for (uint32_t i = 0; i < count; ++i) texts->push_back(in.Text());
  return in.ok();
}

void WriteTexts(Writer& out, const std::vector<std::string_view>& texts) {
  out.U32(static_cast<uint32_t>(texts.size()));
  for (const std::string_view text : texts) out.Text(text);
}

bool ReadShape(Reader& in, uint32_t* rank, int64_t* dims) {
  *rank = in.U32();
  if (!in.ok() || *rank > tensor::kMaxRank) {
    *rank = 0;
    return false;
  }
  for (uint32_t i = 0; i < *rank; ++i) dims[i] = in.I64();
  return in.ok();
}

void WriteShape(Writer& out, std::span<const int64_t> shape) {
  out.U32(static_cast<uint32_t>(shape.size()));
  for (const int64_t dim : shape) out.I64(dim);
}

bool ReadDescribed(Reader& in, std::vector<DescribedTensor>* tensors) {
  constexpr size_t kLeast = kLeastText + 3 * sizeof(uint32_t);
  uint32_t count = 0;
  if (!ReadCount(in, tensor::kMaxTensors, kLeast, &count)) return false;
  tensors->clear();
  tensors->reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    DescribedTensor& tensor = tensors->emplace_back();
    tensor.name = in.Text();
    tensor.datatype = in.U32();
    tensor.optional = (in.U32() & kOptional) != 0;
    if (!ReadShape(in, &tensor.rank, tensor.dims)) return false;
  }
  return in.ok();
}

void WriteDescribed(Writer& out, const std::vector<DescribedTensor>& tensors) {
  out.U32(static_cast<uint32_t>(tensors.size()));
  for (const DescribedTensor& tensor : tensors) {
    out.Text(tensor.name);
    out.U32(tensor.datatype);
    out.U32(tensor.optional ? kOptional : 0);
    WriteShape(out, tensor.shape());
  }
}

// Of what carries data: the descriptions, without the data.
bool ReadTensors(Reader& in, std::vector<WireTensor>* tensors) {
  constexpr size_t kLeast = kLeastText + 2 * sizeof(uint32_t) + sizeof(uint64_t);
  uint32_t count = 0;
  if (!ReadCount(in, tensor::kMaxTensors, kLeast, &count)) return false;
  tensors->clear();
  tensors->reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    WireTensor& tensor = tensors->emplace_back();
    tensor.name = in.Text();
    tensor.datatype = in.U32();
    if (!ReadShape(in, &tensor.rank, tensor.dims)) return false;
    tensor.bytes = in.U64();
  }
  return in.ok();
}

void WriteTensors(Writer& out, const std::vector<WireTensor>& tensors) {
  out.U32(static_cast<uint32_t>(tensors.size()));
  for (const WireTensor& tensor : tensors) {
    out.Text(tensor.name);
    out.U32(tensor.datatype);
    WriteShape(out, tensor.shape());
    out.U64(tensor.bytes);
  }
}

// The head is over, and the rest of the payload are the tensors' data.
bool PlaceData(const Reader& in, uint32_t head_bytes, size_t payload_bytes,
               std::vector<WireTensor>* tensors) {
  if (!in.ok() || in.at() != head_bytes) return false;
  uint64_t at = head_bytes;
  for (WireTensor& tensor : *tensors) {
    tensor.at = at;
    if (tensor.bytes > payload_bytes - at) return false;
    at += tensor.bytes;
  }
  return at == payload_bytes;
}

// A head begins with its length.
size_t BeginHead(Writer& writer, const Buffer& out) {
  const size_t begin = out.size();
  writer.U32(0);
  return begin;
}

bool EndHead(size_t begin, Buffer* out) {
  const size_t bytes = out->size() - begin;
  if (bytes > kMostHeadBytes) return false;
  const auto length = static_cast<uint32_t>(bytes);
  std::memcpy(out->data() + begin, &length, sizeof(length));
  return true;
}

// What is read of a head: no more than its length says.
Status OpenHead(std::string_view payload, std::string_view what, Reader* in, uint32_t* bytes) {
  *bytes = Reader(payload).U32();
  if (*bytes < sizeof(uint32_t) || *bytes > payload.size()) return Damaged(what);
  if (*bytes > kMostHeadBytes) {
    return InvalidArgument("the head of the message " + std::string(what) + " has " +
                           std::to_string(*bytes) + " bytes, of at most " +
                           std::to_string(kMostHeadBytes));
  }
  in->Bytes(sizeof(uint32_t));
  return OkStatus();
}

}  // namespace

Status CheckHeader(const FrameHeader& header, uint32_t most_descriptors) {
  if (header.bytes > kMostFrameBytes) return InvalidArgument("a frame is larger than any can be");
  if (header.descriptors > most_descriptors)
    return InvalidArgument("a frame has descriptors, which none takes");
  return OkStatus();
}

// ----------------------------------------------------------------- handshake

void Encode(const Hello& hello, Buffer* out) {
  out->Append(kMagic);
  Writer w(out);
  w.U32(hello.lowest);
  w.U32(hello.highest);
  w.Text(hello.token);
  w.Text(hello.client);
}

Status Decode(std::string_view payload, Hello* hello) {
  Reader in(payload);
  if (in.Bytes(kMagic.size()) != kMagic) {
    return InvalidArgument("this is the socket of mlOS's local protocol, which begins otherwise");
  }
  hello->lowest = in.U32();
  hello->highest = in.U32();
  hello->token = in.Text();
  hello->client = in.Text();
  // Whatever a later version has behind these is its own affair.
  if (!in.ok() || hello->lowest > hello->highest) return Damaged("hello");
  if (hello->token.size() > kMostTokenBytes || hello->client.size() > kMostClientNameBytes) {
    return InvalidArgument("the message hello has a token or a name that is too long");
  }
  return OkStatus();
}

StatusOr<uint32_t> AgreeOnVersion(const Hello& hello) {
  const uint32_t version = std::min(hello.highest, kHighestVersion);
  if (version >= hello.lowest && version >= kLowestVersion) return version;
  return FailedPrecondition("the client speaks versions " + std::to_string(hello.lowest) + " to " +
                            std::to_string(hello.highest) + " of the local protocol, the daemon " +
                            std::to_string(kLowestVersion) + " to " +
                            std::to_string(kHighestVersion) + ": update the older of the two");
}

void Encode(const Welcome& welcome, Buffer* out) {
  Writer w(out);
  w.U32(welcome.version);
  w.U32(welcome.max_calls);
  w.U64(welcome.max_message);
  w.U32(welcome.uid);
  w.U32(welcome.server_pid);
  w.Text(welcome.server_version);
}

Status Decode(std::string_view payload, Welcome* welcome) {
  Reader in(payload);
  welcome->version = in.U32();
  welcome->max_calls = in.U32();
  welcome->max_message = in.U64();
  welcome->uid = in.U32();
  welcome->server_pid = in.U32();
  welcome->server_version = in.Text();
  return in.ok() ? OkStatus() : Damaged("welcome");
}

void Encode(const Failure& failure, Buffer* out) {
  Writer w(out);
  w.U32(static_cast<uint32_t>(failure.code));
  w.Text(failure.text);
  w.Text(failure.hint);
}

Status Decode(std::string_view payload, Failure* failure) {
  Reader in(payload);
  const uint32_t code = in.U32();
  failure->text = in.Text();
  failure->hint = in.Text();
  if (code == 0 || code > static_cast<uint32_t>(StatusCode::kUnauthenticated)) {
    return Damaged("failure");
  }
  failure->code = static_cast<StatusCode>(code);
  return Check(in, "failure");
}

// -------------------------------------------------------------- descriptions

void Encode(const ServerState& state, Buffer* out) {
  Writer w(out);
  w.U32(state.ready ? kReady : 0);
  w.Text(state.not_ready);
  w.Text(state.name);
  w.Text(state.version);
  WriteTexts(w, state.extensions);
}

Status Decode(std::string_view payload, ServerState* state) {
  Reader in(payload);
  state->ready = (in.U32() & kReady) != 0;
  state->not_ready = in.Text();
  state->name = in.Text();
  state->version = in.Text();
  if (!ReadTexts(in, kMostExtensions, &state->extensions)) return Damaged("server");
  return Check(in, "server");
}

void Encode(const AskModel& ask, Buffer* out) {
  Writer w(out);
  w.U32(ask.with_config ? kWithConfig : 0);
  w.Text(ask.model);
  w.Text(ask.version);
}

Status Decode(std::string_view payload, AskModel* ask) {
  Reader in(payload);
  const uint32_t flags = in.U32();
  ask->with_config = (flags & kWithConfig) != 0;
  ask->model = in.Text();
  ask->version = in.Text();
  if ((flags & ~kWithConfig) != 0) return Damaged("model");
  return Check(in, "model");
}

DescribedTensor Describe(const TensorInfo& info) {
  DescribedTensor out;
  out.name = info.name;
  out.datatype = static_cast<uint32_t>(info.datatype);
  out.optional = info.optional;
  out.rank = static_cast<uint32_t>(std::min<size_t>(info.shape.size(), tensor::kMaxRank));
  std::copy_n(info.shape.begin(), out.rank, out.dims);
  return out;
}

void Encode(const ModelDescription& model, Buffer* out) {
  Writer w(out);
  w.Text(model.name);
  w.Text(model.version);
  w.Text(model.platform);
  w.U32(model.max_batch_size);
  WriteTexts(w, model.versions);
  WriteDescribed(w, model.inputs);
  WriteDescribed(w, model.outputs);
  w.Text(model.config);
}

Status Decode(std::string_view payload, ModelDescription* model) {
  Reader in(payload);
  model->name = in.Text();
  model->version = in.Text();
  model->platform = in.Text();
  model->max_batch_size = in.U32();
  if (!ReadTexts(in, kMostVersions, &model->versions) || !ReadDescribed(in, &model->inputs) ||
      !ReadDescribed(in, &model->outputs)) {
    return Damaged("model");
  }
  model->config = in.Text();
  return Check(in, "model");
}

// ------------------------------------------------------------------- control

void Encode(const AskControl& ask, Buffer* out) {
  Writer w(out);
  w.U32(ask.wait ? 0 : kDoNotWait);
  w.Text(ask.operation);
  w.Text(ask.name);
  w.Text(ask.version);
  w.Text(ask.body);
}

Status Decode(std::string_view payload, AskControl* ask) {
  Reader in(payload);
  const uint32_t flags = in.U32();
  ask->wait = (flags & kDoNotWait) == 0;
  ask->operation = in.Text();
  ask->name = in.Text();
  ask->version = in.Text();
  ask->body = in.Text();
  if ((flags & ~kDoNotWait) != 0) return Damaged("control");
  return Check(in, "control");
}

void Encode(const ControlOutcome& outcome, Buffer* out) {
  Writer w(out);
  w.U32((outcome.created ? kCreated : 0) | (outcome.accepted ? kAccepted : 0));
  w.Text(outcome.body);
}

Status Decode(std::string_view payload, ControlOutcome* outcome) {
  Reader in(payload);
  const uint32_t flags = in.U32();
  outcome->created = (flags & kCreated) != 0;
  outcome->accepted = (flags & kAccepted) != 0;
  outcome->body = in.Text();
  return Check(in, "outcome");
}

// ----------------------------------------------------------------- inference

void AskInfer::Clear() {
  model = version = id = parameters = {};
  timeout_us = 0;
  inputs.clear();
  outputs.clear();
}

bool EncodeHead(const AskInfer& ask, Buffer* out) {
  Writer w(out);
  const size_t begin = BeginHead(w, *out);
  w.Text(ask.model);
  w.Text(ask.version);
  w.Text(ask.id);
  w.Text(ask.parameters);
  w.U64(ask.timeout_us);
  WriteTensors(w, ask.inputs);
  w.U32(static_cast<uint32_t>(ask.outputs.size()));
  for (const WantedOutput& output : ask.outputs) {
    w.Text(output.name);
    w.U32(output.classes);
  }
  return EndHead(begin, out);
}

Status Decode(std::string_view payload, AskInfer* ask) {
  constexpr std::string_view kWhat = "infer";
  constexpr size_t kLeastOutput = kLeastText + sizeof(uint32_t);
  ask->Clear();
  Reader in(payload);
  uint32_t head_bytes = 0;
  MLOS_RETURN_IF_ERROR(OpenHead(payload, kWhat, &in, &head_bytes));
  ask->model = in.Text();
  ask->version = in.Text();
  ask->id = in.Text();
  ask->parameters = in.Text();
  ask->timeout_us = in.U64();
  uint32_t count = 0;
  if (!ReadTensors(in, &ask->inputs) || !ReadCount(in, tensor::kMaxTensors, kLeastOutput, &count)) {
    return Damaged(kWhat);
  }
  ask->outputs.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    WantedOutput& output = ask->outputs.emplace_back();
    output.name = in.Text();
    output.classes = in.U32();
  }
  if (!PlaceData(in, head_bytes, payload.size(), &ask->inputs)) return Damaged(kWhat);
  if (ask->parameters.size() > tensor::kMaxParameterBytes) {
    return InvalidArgument("the parameters have " + std::to_string(ask->parameters.size()) +
                           " bytes, of at most " + std::to_string(tensor::kMaxParameterBytes));
  }
  return OkStatus();
}

bool EncodeHead(const InferAnswer& answer, Buffer* out) {
  Writer w(out);
  const size_t begin = BeginHead(w, *out);
  w.Text(answer.version);
  WriteTensors(w, answer.outputs);
  return EndHead(begin, out);
}

Status Decode(std::string_view payload, InferAnswer* answer) {
  constexpr std::string_view kWhat = "outputs";
  Reader in(payload);
  uint32_t head_bytes = 0;
  MLOS_RETURN_IF_ERROR(OpenHead(payload, kWhat, &in, &head_bytes));
  answer->version = in.Text();
  if (!ReadTensors(in, &answer->outputs) ||
      !PlaceData(in, head_bytes, payload.size(), &answer->outputs)) {
    return Damaged(kWhat);
  }
  return OkStatus();
}

}  // namespace mlos::ipc
