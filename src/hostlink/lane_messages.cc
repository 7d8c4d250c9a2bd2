// SPDX-License-Identifier: Apache-2.0
#include "hostlink/lane_messages.h"

#include "hostlink/messages.h"
#include "hostlink/payload.h"

namespace mlos::hostlink {
namespace json = boost::json;
namespace {

constexpr uint32_t kHighestDeath = static_cast<uint32_t>(channel::Death::kHung);
constexpr uint32_t kHighestCode = 16;  // UNAUTHENTICATED

json::object WhyObject(const Status& why) {
  const std::string_view text = Message(why);
  return {{"code", static_cast<int>(why.code())}, {"text", json::string(text.data(), text.size())}};
}

Status ReadWhy(Reader* r) {
  const uint32_t code = r->Number32("code");
  const std::string text = r->String("text");
  if (code == 0 || code > kHighestCode) r->Miss("code");
  MLOS_RETURN_IF_ERROR(r->status());
  return Status(static_cast<StatusCode>(code), text);
}

}  // namespace

Frame EncodeBeginEpoch(const channel::Ending& ending) {
  return Make(kBeginEpoch,
              {{"how", static_cast<uint32_t>(ending.how)}, {"late_before", ending.late_before_ns}});
}

StatusOr<channel::Ending> DecodeBeginEpoch(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint32_t how = r.Number32("how");
  if (how > kHighestDeath) r.Miss("how");
  channel::Ending ending;
  ending.how = static_cast<channel::Death>(how);
  ending.late_before_ns = r.Number("late_before", UINT64_MAX);
  MLOS_RETURN_IF_ERROR(r.status());
  return ending;
}

Frame EncodeMoreMemory(uint64_t bytes) { return Make(kMoreMemory, {{"bytes", bytes}}); }

StatusOr<uint64_t> DecodeMoreMemory(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint64_t bytes = r.Number("bytes", INT64_MAX);
  MLOS_RETURN_IF_ERROR(r.status());
  return bytes;
}

Frame EncodeHasSegment(uint32_t id) { return Make(kHasSegment, {{"id", id}}); }

StatusOr<uint32_t> DecodeHasSegment(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  const uint32_t id = r.Number32("id");
  MLOS_RETURN_IF_ERROR(r.status());
  return id;
}

Frame EncodeEnded(const LaneEnd& end) {
  json::object payload = WhyObject(end.why);
  payload["reopen"] = end.reopen;
  return Make(kEnded, payload);
}

StatusOr<LaneEnd> DecodeEnded(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  LaneEnd end;
  end.reopen = r.Bool("reopen");
  end.why = ReadWhy(&r);
  MLOS_RETURN_IF_ERROR(r.status());
  return end;
}

Frame EncodeGrant(channel::ConsumerGrant grant) { return MakeGrant(kGrant, {}, std::move(grant)); }

StatusOr<channel::ConsumerGrant> DecodeGrant(Frame frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  return TakeGrant(object, &frame);
}

Frame EncodeSegment(channel::SegmentGrant segment) {
  Frame frame = Make(kSegment, {{"id", segment.id}, {"bytes", segment.bytes}});
  frame.fds.push_back(std::move(segment.fd));
  return frame;
}

StatusOr<channel::SegmentGrant> DecodeSegment(Frame frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  channel::SegmentGrant segment;
  segment.id = r.Number32("id");
  segment.bytes = r.Number("bytes", INT64_MAX);
  MLOS_RETURN_IF_ERROR(r.status());
  if (frame.fds.size() != 1) return InvalidArgument("a segment came without its descriptor");
  segment.fd = std::move(frame.fds[0]);
  return segment;
}

Frame EncodeRefused(const Status& why) { return Make(kRefused, WhyObject(why)); }

Status DecodeRefused(const Frame& frame) {
  MLOS_ASSIGN_OR_RETURN(const json::object object, ParsePayload(frame.payload));
  Reader r(object);
  return ReadWhy(&r);
}

}  // namespace mlos::hostlink
