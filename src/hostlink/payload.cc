// SPDX-License-Identifier: Apache-2.0
#include "hostlink/payload.h"

#include <fmt/core.h>

#include <boost/json/serialize.hpp>

namespace mlos::hostlink {
namespace json = boost::json;

Frame Make(uint32_t type, const json::object& payload) {
  Frame frame;
  frame.type = type;
  frame.payload = json::serialize(payload);
  return frame;
}

Status Reader::status() const {
  if (missing_.empty()) return OkStatus();
  return InvalidArgument(
      fmt::format("a control message lacks \"{}\" or carries it in another form", missing_));
}

namespace {

json::array EncodeSegments(const std::vector<channel::SegmentGrant>& segments) {
  json::array out;
  for (const auto& s : segments) out.push_back({{"id", s.id}, {"bytes", s.bytes}});
  return out;
}

// Takes one descriptor of the frame per segment.
Status DecodeSegments(const json::array& array, Frame& frame, size_t* next_fd,
                      std::vector<channel::SegmentGrant>* out) {
  for (const json::value& v : array) {
    if (!v.is_object() || *next_fd >= frame.fds.size()) {
      return InvalidArgument("a channel's segments and descriptors do not fit");
    }
    Reader r(v.get_object());
    channel::SegmentGrant segment;
    segment.id = r.Number32("id");
    segment.bytes = r.Number("bytes", INT64_MAX);
    MLOS_RETURN_IF_ERROR(r.status());
    segment.fd = std::move(frame.fds[(*next_fd)++]);
    out->push_back(std::move(segment));
  }
  return OkStatus();
}

}  // namespace

Frame MakeGrant(uint32_t type, json::object payload, channel::ConsumerGrant grant) {
  payload["entries"] = grant.entries;
  payload["epoch"] = grant.epoch;
  payload["requests"] = EncodeSegments(grant.requests);
  payload["responses"] = EncodeSegments(grant.responses);
  Frame frame = Make(type, payload);
  frame.fds.push_back(std::move(grant.control));
  frame.fds.push_back(std::move(grant.consumer_event));
  frame.fds.push_back(std::move(grant.producer_event));
  for (auto& s : grant.requests) frame.fds.push_back(std::move(s.fd));
  for (auto& s : grant.responses) frame.fds.push_back(std::move(s.fd));
  return frame;
}

StatusOr<channel::ConsumerGrant> TakeGrant(const json::object& payload, Frame* frame) {
  if (frame->fds.size() < 3) return InvalidArgument("a channel came without its descriptors");
  Reader r(payload);
  channel::ConsumerGrant grant;
  grant.entries = r.Number32("entries");
  grant.epoch = r.Number32("epoch");
  grant.control = std::move(frame->fds[0]);
  grant.consumer_event = std::move(frame->fds[1]);
  grant.producer_event = std::move(frame->fds[2]);
  size_t next = 3;
  MLOS_RETURN_IF_ERROR(DecodeSegments(r.Array("requests"), *frame, &next, &grant.requests));
  MLOS_RETURN_IF_ERROR(DecodeSegments(r.Array("responses"), *frame, &next, &grant.responses));
  MLOS_RETURN_IF_ERROR(r.status());
  return grant;
}

}  // namespace mlos::hostlink
