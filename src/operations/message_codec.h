// SPDX-License-Identifier: Apache-2.0
//
// Requests and answers of operations as the messages of proto_document.h, from
// the tables: mlosd reads what mlos writes, and the other way round, and neither
// has code for any message.
//
// As protocol buffers want it, what is not known is passed over: the other side
// may be newer.  Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/status.h"
#include "operations/operations.h"

namespace mlos::operations {

// Of a refusal: what to do about it, encoded as grpc-message is.  The text of the
// refusal ends with it, too, behind a colon.
inline constexpr std::string_view kHintTrailer = "mlos-hint";

struct RequestMessage {
  std::string name;             // {name}
  std::string version;          // {version}
  boost::json::object members;  // those of the body, and of the query
};

// The members are what CheckMembers finds right.
std::string EncodeRequest(const OperationRow& row, const RequestMessage& request);

// Members that are not there are absent, and CheckMembers says what is missing.
// INVALID_ARGUMENT: it is no such message.
StatusOr<RequestMessage> DecodeRequest(const OperationRow& row, std::string_view message);

struct AnswerMessage {
  boost::json::value body;  // the object
  bool done = true;         // of what takes long: nothing follows
};

std::string EncodeAnswer(const OperationRow& row, const AnswerMessage& answer);

// With every member of the object that the table has, as an answer over HTTP.
// INVALID_ARGUMENT: it is no such message.
StatusOr<AnswerMessage> DecodeAnswer(const OperationRow& row, std::string_view message);

}  // namespace mlos::operations
