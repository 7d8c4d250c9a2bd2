// SPDX-License-Identifier: Apache-2.0
#include "trace/record.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cstring>

#include "base/log.h"

namespace mlos::trace {
namespace {

using tensor::Datatype;

// Names and ids are words of clients: what is no UTF-8 is written as \xNN.
std::string Quote(std::string_view text) {
  const std::string safe = EscapeForLog(text, 1024);
  return boost::json::serialize(boost::json::string(safe));
}

template <typename T>
void AppendNumbers(const Record::Tensor& tensor, std::string* out) {
  for (size_t at = 0; at + sizeof(T) <= tensor.data.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, tensor.data.data() + at, sizeof(T));
    *out += fmt::format("{}{}", at == 0 ? "" : ",", value);
  }
}

// Half precision has no printable type here: its bits.
void AppendBits(const Record::Tensor& tensor, std::string* out) {
  for (size_t at = 0; at + sizeof(uint16_t) <= tensor.data.size(); at += sizeof(uint16_t)) {
    uint16_t value = 0;
    std::memcpy(&value, tensor.data.data() + at, sizeof(value));
    *out += fmt::format("{}0x{:04x}", at == 0 ? "" : ",", value);
  }
}

void AppendStrings(const Record::Tensor& tensor, std::string* out) {
  const auto* data = reinterpret_cast<const char*>(tensor.data.data());
  for (size_t at = 0; tensor.data.size() - at > sizeof(uint32_t);) {
    uint32_t length = 0;
    std::memcpy(&length, data + at, sizeof(length));
    if (at > 0) *out += ',';
    at += sizeof(length);
    const size_t there = std::min<size_t>(length, tensor.data.size() - at);
    *out += EscapeForLog({data + at, there});
    at += there;
  }
}

std::string DataText(const Record::Tensor& tensor) {
  std::string out;
  switch (tensor.datatype) {
    case Datatype::kBool:
    case Datatype::kUint8:
      AppendNumbers<uint8_t>(tensor, &out);
      break;
    case Datatype::kInt8:
      AppendNumbers<int8_t>(tensor, &out);
      break;
    case Datatype::kInt16:
      AppendNumbers<int16_t>(tensor, &out);
      break;
    case Datatype::kInt32:
      AppendNumbers<int32_t>(tensor, &out);
      break;
    case Datatype::kInt64:
      AppendNumbers<int64_t>(tensor, &out);
      break;
    case Datatype::kUint16:
      AppendNumbers<uint16_t>(tensor, &out);
      break;
    case Datatype::kUint32:
      AppendNumbers<uint32_t>(tensor, &out);
      break;
    case Datatype::kUint64:
      AppendNumbers<uint64_t>(tensor, &out);
      break;
    case Datatype::kFp32:
      AppendNumbers<float>(tensor, &out);
      break;
    case Datatype::kFp64:
      AppendNumbers<double>(tensor, &out);
      break;
    case Datatype::kFp16:
    case Datatype::kBf16:
      AppendBits(tensor, &out);
      break;
    case Datatype::kBytes:
      AppendStrings(tensor, &out);
      break;
    case Datatype::kInvalid:
      break;
  }
  return out;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string out;
  for (const int64_t dim : shape) out += (out.empty() ? "" : ",") + std::to_string(dim);
  return out;
}

}  // namespace

void Record::Note(std::string_view activity, std::string_view name, Datatype datatype,
                  std::span<const int64_t> shape, std::span<const std::byte> data) {
  const size_t kept = std::min({data.size(), kMostTensorBytes, kMostRecordBytes - tensor_bytes});
  tensor_bytes += kept;
  tensors.push_back({activity,
                     std::string(name),
                     datatype,
                     {shape.begin(), shape.end()},
                     {data.begin(), data.begin() + static_cast<std::ptrdiff_t>(kept)},
                     kept < data.size()});
}

std::string Text(const Record& r) {
  // A version is a decimal number.
  std::string out = fmt::format(R"({{"id":{},"model_name":{},"model_version":{})", r.id,
                                Quote(r.model), r.version.empty() ? "-1" : r.version);
  if (!r.request_id.empty()) out += ",\"request_id\":" + Quote(r.request_id);
  if (!r.traceparent.empty()) out += ",\"traceparent\":" + Quote(r.traceparent);
  out += '}';
  if (!r.stamps.empty()) {
    out += fmt::format(R"(,{{"id":{},"timestamps":[)", r.id);
    const char* separator = "";
    for (const Record::Stamp& stamp : r.stamps) {
      out += fmt::format(R"({}{{"name":"{}","ns":{}}})", separator, stamp.name, stamp.ns);
      separator = ",";
    }
    out += "]}";
  }
  for (const Record::Tensor& tensor : r.tensors) {
    out += fmt::format(
        R"(,{{"id":{},"activity":"{}","tensor":{{"name":{},"data":{},"shape":"{}","dtype":"{}"{}}}}})",
        r.id, tensor.activity, Quote(tensor.name),
        boost::json::serialize(boost::json::string(DataText(tensor))), ShapeText(tensor.shape),
        tensor::DatatypeName(tensor.datatype), tensor.cut ? ",\"truncated\":true" : "");
  }
  return out;
}

}  // namespace mlos::trace
