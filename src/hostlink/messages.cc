// SPDX-License-Identifier: Apache-2.0
#include "hostlink/messages.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/value_to.hpp>
#include <set>

#include "base/json.h"
#include "hostlink/payload.h"
#include "tensor/message.h"

namespace mlos::hostlink {
namespace json = boost::json;
namespace {

json::array EncodeTensors(const std::vector<TensorInfo>& tensors) {
  json::array out;
  for (const TensorInfo& t : tensors) {
    json::array shape(t.shape.begin(), t.shape.end());
    const std::string_view datatype = tensor::DatatypeName(t.datatype);
    out.push_back({{"name", t.name},
                   {"datatype", json::string_view(datatype.data(), datatype.size())},
                   {"shape", std::move(shape)},
                   {"optional", t.optional}});
  }
  return out;
}

Status DecodeTensors(const json::array& array, std::vector<TensorInfo>* out) {
  std::set<std::string> names;
  if (array.size() > tensor::kMaxTensors) {
    return InvalidArgument(fmt::format("the plugin describes a model of {} tensors; at most {} fit",
                                       array.size(), tensor::kMaxTensors));
  }
  for (const json::value& v : array) {
    if (!v.is_object()) return InvalidArgument("the plugin's description of the model is broken");
    Reader r(v.get_object());
    TensorInfo info;
    info.name = r.String("name");
    info.datatype = tensor::ParseDatatype(r.String("datatype"));
    info.optional = r.Bool("optional");
    for (const json::value& d : r.Array("shape")) {
      if (!d.is_int64() || d.get_int64() < -1) r.Miss("shape");
      info.shape.push_back(d.is_int64() ? d.get_int64() : -1);
    }
    MLOS_RETURN_IF_ERROR(r.status());
    if (info.name.empty() || !names.insert(info.name).second) {
      return InvalidArgument(fmt::format(
          "the plugin describes a model whose tensor name \"{}\" is empty or used twice",
          info.name));
    }
    if (info.datatype == tensor::Datatype::kInvalid || info.shape.size() > tensor::kMaxRank) {
      return InvalidArgument(fmt::format(
          "the plugin describes tensor \"{}\" with a datatype or rank that the protocol "
          "does not have",
          info.name));
    }
    out->push_back(std::move(info));
  }
  return OkStatus();
}

}  // namespace

StatusOr<json::object> ParsePayload(std::string_view payload) {
  StatusOr<json::value> value = ParseJson(payload);
  if (!value.ok() || !value->is_object()) {
    return InvalidArgument("a control message is not a JSON object");
  }
  return std::move(value->get_object());
}

Frame EncodeHello() { return Make(kHello, {{"protocol", kProtocol}}); }

Status CheckHello(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint32_t protocol = r.Number32("protocol");
  MLOS_RETURN_IF_ERROR(r.status());
  if (frame.type != kHello || protocol != kProtocol) {
    return FailedPrecondition(
        fmt::format("the plugin host speaks protocol {}, this core {}: install both from one build",
                    protocol, kProtocol));
  }
  return OkStatus();
}

Frame EncodeStart(const StartPlugin& s) {
  return Make(kStart, {{"protocol", kProtocol},
                       {"directory", s.directory},
                       {"library", s.library},
                       {"name", s.name},
                       {"version", s.version},
                       {"config", s.config},
                       {"workers", s.workers}});
}

StatusOr<StartPlugin> DecodeStart(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint32_t protocol = r.Number32("protocol");
  if (protocol != kProtocol) {
    return FailedPrecondition(
        fmt::format("the core speaks protocol {}, this plugin host {}: install both from one build",
                    protocol, kProtocol));
  }
  StartPlugin s;
  s.directory = r.String("directory");
  s.library = r.String("library");
  s.name = r.String("name");
  s.version = r.String("version");
  s.config = r.String("config");
  s.workers = r.Number32("workers");
  MLOS_RETURN_IF_ERROR(r.status());
  return s;
}

Frame EncodeAttach(uint32_t channel, channel::ConsumerGrant grant, const ChannelTerms* terms) {
  json::object payload;
  payload["channel"] = channel;
  if (terms != nullptr) {
    payload["terms"] = {
        {"model", terms->model}, {"principal", terms->principal}, {"in_place", terms->in_place}};
  }
  return MakeGrant(kAttachChannel, std::move(payload), std::move(grant));
}

StatusOr<AttachChannel> DecodeAttach(Frame frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  AttachChannel attach;
  attach.channel = r.Number32("channel");
  if (const json::value* given = object.if_contains("terms"); given != nullptr) {
    if (!given->is_object()) return InvalidArgument("a channel's terms are no object");
    Reader t(given->get_object());
    ChannelTerms terms;
    terms.model = t.Number32("model");
    terms.principal = t.Number32("principal");
    terms.in_place = t.Bool("in_place");
    MLOS_RETURN_IF_ERROR(t.status());
    attach.terms = terms;
  }
  MLOS_RETURN_IF_ERROR(r.status());
  MLOS_ASSIGN_OR_RETURN(attach.grant, TakeGrant(object, &frame));
  return attach;
}

Frame EncodeDetach(uint32_t channel) { return Make(kDetachChannel, {{"channel", channel}}); }
Frame EncodeDetached(uint32_t channel) { return Make(kDetached, {{"channel", channel}}); }

StatusOr<uint32_t> DecodeChannel(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint32_t channel = r.Number32("channel");
  MLOS_RETURN_IF_ERROR(r.status());
  return channel;
}

Frame EncodeAddSegment(uint32_t channel, bool response, channel::SegmentGrant segment) {
  Frame frame = Make(
      kAddSegment,
      {{"channel", channel}, {"response", response}, {"id", segment.id}, {"bytes", segment.bytes}});
  frame.fds.push_back(std::move(segment.fd));
  return frame;
}

StatusOr<AddSegment> DecodeAddSegment(Frame frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  AddSegment add;
  add.channel = r.Number32("channel");
  add.response = r.Bool("response");
  add.segment.id = r.Number32("id");
  add.segment.bytes = r.Number("bytes", INT64_MAX);
  MLOS_RETURN_IF_ERROR(r.status());
  if (frame.fds.size() != 1) return InvalidArgument("a segment came without its descriptor");
  add.segment.fd = std::move(frame.fds[0]);
  return add;
}

namespace {

constexpr std::string_view kSampleData[] = {"zero", "random", "file"};

json::array SamplesArray(const std::vector<WarmUpSample>& samples) {
  json::array out;
  for (const WarmUpSample& sample : samples) {
    json::array inputs;
    for (const WarmUpInput& input : sample.inputs) {
      const std::string_view data = kSampleData[static_cast<size_t>(input.data)];
      inputs.push_back({{"name", input.name},
                        {"datatype", input.datatype},
                        {"shape", json::array(input.shape.begin(), input.shape.end())},
                        {"data", json::string(data.data(), data.size())},
                        {"file", input.file}});
    }
    out.push_back({{"name", sample.name}, {"count", sample.count}, {"inputs", std::move(inputs)}});
  }
  return out;
}

StatusOr<WarmUpInput> ReadSampleInput(const json::value& value, uint32_t files) {
  if (!value.is_object()) return InvalidArgument("a sample's input is no object");
  Reader r(value.get_object());
  WarmUpInput input;
  input.name = r.String("name");
  input.datatype = r.String("datatype");
  input.file = r.Number32("file");
  const std::string data = r.String("data");
  const auto* known = std::find(std::begin(kSampleData), std::end(kSampleData), data);
  if (known == std::end(kSampleData)) r.Miss("data");
  input.data = static_cast<WarmUpInput::Data>(known - std::begin(kSampleData));
  if (input.data == WarmUpInput::Data::kFile && input.file >= files) r.Miss("file");
  for (const json::value& dim : r.Array("shape")) {
    if (!dim.is_int64()) r.Miss("shape");
    if (dim.is_int64()) input.shape.push_back(dim.get_int64());
  }
  MLOS_RETURN_IF_ERROR(r.status());
  return input;
}

Status ReadSamples(const json::array& samples, LoadModel* load) {
  for (const json::value& value : samples) {
    if (!value.is_object()) return InvalidArgument("a sample is no object");
    Reader r(value.get_object());
    WarmUpSample sample;
    sample.name = r.String("name");
    sample.count = r.Number32("count");
    for (const json::value& input : r.Array("inputs")) {
      MLOS_ASSIGN_OR_RETURN(WarmUpInput read, ReadSampleInput(input, load->warm_up_files));
      sample.inputs.push_back(std::move(read));
    }
    MLOS_RETURN_IF_ERROR(r.status());
    load->warm_up.push_back(std::move(sample));
  }
  return OkStatus();
}

}  // namespace

Frame EncodeLoadModel(const LoadModel& load, std::vector<OwnedFd> fds) {
  json::array files(load.files.begin(), load.files.end());
  Frame frame = Make(kLoadModel, {{"handle", load.handle},
                                  {"name", load.name},
                                  {"version", load.version},
                                  {"config", load.config},
                                  {"threads", load.threads},
                                  {"main", load.main_file},
                                  {"files", std::move(files)},
                                  {"warm_up", SamplesArray(load.warm_up)},
                                  {"warm_up_files", load.warm_up_files}});
  frame.fds = std::move(fds);
  return frame;
}

StatusOr<LoadModel> DecodeLoadModel(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  LoadModel load;
  load.handle = r.Number32("handle");
  load.name = r.String("name");
  load.version = r.String("version");
  load.config = r.String("config");
  load.threads = r.Number32("threads");
  load.main_file = r.String("main");
  for (const json::value& v : r.Array("files")) {
    if (v.is_string()) load.files.emplace_back(v.get_string());
  }
  load.warm_up_files = r.Number32("warm_up_files");
  MLOS_RETURN_IF_ERROR(ReadSamples(r.Array("warm_up"), &load));
  MLOS_RETURN_IF_ERROR(r.status());
  if (load.files.size() + load.warm_up_files != frame.fds.size() || load.files.empty()) {
    return InvalidArgument("a model's files and descriptors do not fit");
  }
  return load;
}

Frame EncodeUnloadModel(uint32_t handle) { return Make(kUnloadModel, {{"handle", handle}}); }

StatusOr<uint32_t> DecodeUnloadModel(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint32_t handle = r.Number32("handle");
  MLOS_RETURN_IF_ERROR(r.status());
  return handle;
}

Frame EncodeNeedSegment(uint32_t channel, uint64_t bytes) {
  return Make(kNeedSegment, {{"channel", channel}, {"bytes", bytes}});
}

Frame EncodeHeartbeat(const Heartbeat& h) {
  return Make(kHeartbeat, {{"running", h.running},
                           {"queued", h.queued},
                           {"oldest_ms", h.oldest_ms},
                           {"overdue_ms", h.overdue_ms}});
}

StatusOr<Heartbeat> DecodeHeartbeat(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  Heartbeat h;
  h.running = r.Number32("running");
  h.queued = r.Number32("queued");
  h.oldest_ms = r.Number("oldest_ms", INT64_MAX);
  h.overdue_ms = r.Number("overdue_ms", INT64_MAX);
  MLOS_RETURN_IF_ERROR(r.status());
  return h;
}

Frame EncodeServed(const std::vector<Served>& channels) {
  json::array list;
  for (const Served& served : channels) {
    json::object one{{"channel", served.channel},
                     {"executions", served.executions},
                     {"inferences", served.inferences},
                     {"queue_ns", served.queue_ns},
                     {"run_ns", served.run_ns}};
    json::array& answers = one["answers"].emplace_array();
    for (const uint64_t n : served.answers) answers.emplace_back(n);
    list.push_back(std::move(one));
  }
  return Make(kServed, {{"channels", std::move(list)}});
}

StatusOr<std::vector<Served>> DecodeServed(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader all(object);
  std::vector<Served> channels;
  for (const json::value& value : all.Array("channels")) {
    if (!value.is_object()) return InvalidArgument("a channel of \"channels\" is no object");
    Reader r(value.get_object());
    Served& served = channels.emplace_back();
    served.channel = r.Number32("channel");
    served.executions = r.Number("executions", INT64_MAX);
    served.inferences = r.Number("inferences", INT64_MAX);
    served.queue_ns = r.Number("queue_ns", INT64_MAX);
    served.run_ns = r.Number("run_ns", INT64_MAX);
    const json::array& answers = r.Array("answers");
    for (size_t i = 0; i < answers.size() && i < served.answers.size(); ++i) {
      if (!answers[i].is_int64() || answers[i].get_int64() < 0) {
        return InvalidArgument("a count of \"answers\" is no number");
      }
      served.answers[i] = static_cast<uint64_t>(answers[i].get_int64());
    }
    MLOS_RETURN_IF_ERROR(r.status());
  }
  MLOS_RETURN_IF_ERROR(all.status());
  return channels;
}

Frame EncodeReply(uint64_t id, const Status& status, json::object body) {
  body["code"] = static_cast<int>(status.code());
  const std::string_view text = Message(status);
  body["text"] = json::string_view(text.data(), text.size());
  Frame frame = Make(kReply, body);
  frame.id = id;
  return frame;
}

StatusOr<json::object> DecodeReply(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint64_t code = r.Number("code", 16);
  const std::string text = r.String("text");
  MLOS_RETURN_IF_ERROR(r.status());
  if (code != 0) return MakeStatus(static_cast<StatusCode>(code), text);
  return object;
}

uint64_t MemoryIn(const boost::json::object& reply, std::string_view member) {
  const boost::json::value* value = reply.if_contains({member.data(), member.size()});
  if (value == nullptr) return 0;
  boost::system::error_code error;
  const auto bytes = value->to_number<uint64_t>(error);
  return error ? 0 : bytes;
}

json::object EncodeModelInfo(const ModelInfo& info) {
  return {{"inputs", EncodeTensors(info.inputs)},
          {"outputs", EncodeTensors(info.outputs)},
          {"max_batch_size", info.max_batch_size},
          {"max_concurrency", info.max_concurrency},
          {"replay_safe", info.replay_safe},
          {"memory_bytes", info.memory_bytes},
          {"platform", info.platform}};
}

StatusOr<ModelInfo> DecodeModelInfo(const json::object& object) {
  Reader r(object);
  ModelInfo info;
  info.max_batch_size = r.Number32("max_batch_size");
  info.max_concurrency = r.Number32("max_concurrency");
  info.replay_safe = r.Bool("replay_safe");
  info.memory_bytes = r.Number("memory_bytes", UINT64_MAX);
  info.platform = r.String("platform");
  MLOS_RETURN_IF_ERROR(DecodeTensors(r.Array("inputs"), &info.inputs));
  MLOS_RETURN_IF_ERROR(DecodeTensors(r.Array("outputs"), &info.outputs));
  MLOS_RETURN_IF_ERROR(r.status());
  return info;
}

}  // namespace mlos::hostlink
