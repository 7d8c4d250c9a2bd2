// SPDX-License-Identifier: Apache-2.0
//
// How messages are put into frames and taken out again: members of a JSON object,
// and a channel's grant.  For messages.cc and lane_messages.cc.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/status.h"
#include "channel/grant.h"
#include "hostlink/link.h"

namespace mlos::hostlink {

Frame Make(uint32_t type, const boost::json::object& payload);

// Reads members of an object, and remembers the first that is missing or of
// another type: one check at the end instead of one per member.
class Reader {
 public:
  explicit Reader(const boost::json::object& object) : object_(object) {}

  std::string String(std::string_view key) {
    const boost::json::value* v = Find(key);
    if (v != nullptr && v->is_string()) return std::string(v->get_string());
    Miss(key);
    return {};
  }
  uint64_t Number(std::string_view key, uint64_t max) {
    const boost::json::value* v = Find(key);
    uint64_t n = 0;
    if (v != nullptr && v->is_int64() && v->get_int64() >= 0) {
      n = static_cast<uint64_t>(v->get_int64());
    } else if (v != nullptr && v->is_uint64()) {
      n = v->get_uint64();
    } else {
      Miss(key);
    }
    if (n > max) Miss(key);
    return n;
  }
  uint32_t Number32(std::string_view key) { return static_cast<uint32_t>(Number(key, UINT32_MAX)); }
  bool Bool(std::string_view key) {
    const boost::json::value* v = Find(key);
    if (v != nullptr && v->is_bool()) return v->get_bool();
    Miss(key);
    return false;
  }
  const boost::json::array& Array(std::string_view key) {
    static const boost::json::array kEmpty;
    const boost::json::value* v = Find(key);
    if (v != nullptr && v->is_array()) return v->get_array();
    Miss(key);
    return kEmpty;
  }
  void Miss(std::string_view key) {
    if (missing_.empty()) missing_ = key;
  }
  Status status() const;

 private:
  const boost::json::value* Find(std::string_view key) { return object_.if_contains(key); }
  const boost::json::object& object_;
  std::string missing_;
};

// A consumer's grant: its numbers are added to `payload`, its descriptors follow.
Frame MakeGrant(uint32_t type, boost::json::object payload, channel::ConsumerGrant grant);
// The same, of a peer: INVALID_ARGUMENT where numbers and descriptors do not fit.
StatusOr<channel::ConsumerGrant> TakeGrant(const boost::json::object& payload, Frame* frame);

}  // namespace mlos::hostlink
