// SPDX-License-Identifier: Apache-2.0
#include "cli/infer_message.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "base/json.h"
#include "base/name.h"
#include "base/protobuf_writer.h"
#include "tensor/datatype.h"

namespace mlos::cli {
namespace json = boost::json;

using tensor::Datatype;

namespace {

// The numbers of the fields in inference.proto.
namespace request_field {
constexpr uint32_t kModel = 1;
constexpr uint32_t kVersion = 2;
constexpr uint32_t kId = 3;
constexpr uint32_t kParameters = 4;
constexpr uint32_t kInputs = 5;
constexpr uint32_t kOutputs = 6;
constexpr uint32_t kRaw = 7;
}  // namespace request_field
namespace input_field {
constexpr uint32_t kName = 1;
constexpr uint32_t kDatatype = 2;
constexpr uint32_t kShape = 3;
constexpr uint32_t kParameters = 4;
}  // namespace input_field
namespace output_field {
constexpr uint32_t kName = 1;
constexpr uint32_t kParameters = 2;
}  // namespace output_field
namespace parameter_field {
constexpr uint32_t kBoolean = 1;
constexpr uint32_t kInteger = 2;
constexpr uint32_t kText = 3;
constexpr uint32_t kDouble = 4;
constexpr uint32_t kUnsigned = 5;
}  // namespace parameter_field

std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

// The member, if it is there and a text.
std::string_view TextIn(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? View(value->get_string()) : std::string_view();
}

Status AppendParameter(const json::value& value, Buffer* out) {
  using namespace parameter_field;  // NOLINT(google-build-using-namespace): its own
  if (value.is_bool()) {
    AppendNumber(kBoolean, value.get_bool() ? 1 : 0, out);
  } else if (value.is_int64()) {
    AppendNumber(kInteger, static_cast<uint64_t>(value.get_int64()), out);
  } else if (value.is_uint64()) {
    AppendNumber(kUnsigned, value.get_uint64(), out);
  } else if (value.is_double()) {
    AppendDouble(kDouble, value.get_double(), out);
  } else if (value.is_string()) {
    AppendMessage(kText, View(value.get_string()), out);
  } else {
    return InvalidArgument("a parameter is not a string, a number, true or false");
  }
  return OkStatus();
}

// A map of them; how tensors are sent is another matter over gRPC.
Status AppendParameters(uint32_t field, const json::object& object, Buffer* out) {
  const json::value* parameters = object.if_contains("parameters");
  if (parameters == nullptr) return OkStatus();
  if (!parameters->is_object()) return InvalidArgument("\"parameters\" is not an object");
  for (const auto& member : parameters->get_object()) {
    const std::string_view name = View(member.key());
    if (name == "binary_data_size" || name == "binary_data_output" || name == "binary_data" ||
        name == "headers") {
      continue;
    }
    Buffer value;
    MLOS_RETURN_IF_ERROR(AppendParameter(member.value(), &value));
    Buffer entry;
    AppendString(1, name, &entry);
    AppendMessage(2, value.view(), &entry);
    AppendMessage(field, entry.view(), out);
  }
  return OkStatus();
}

template <typename T>
Status AppendNumberElement(const json::value& value, Buffer* out) {
  T element = 0;
  json::error_code error;
  if constexpr (std::is_floating_point_v<T>) {
    const auto wide = value.to_number<double>(error);
    if (!error && std::fabs(wide) > std::numeric_limits<T>::max()) {
      return InvalidArgument("an element is out of range");
    }
    element = static_cast<T>(wide);
  } else {
    element = value.to_number<T>(error);
  }
  if (error) return InvalidArgument("an element is no number, or out of range");
  out->Append(std::string_view(reinterpret_cast<const char*>(&element), sizeof element));
  return OkStatus();
}

Status AppendText(const json::value& value, Buffer* out) {
  if (!value.is_string()) return InvalidArgument("an element is no string");
  const std::string_view text = View(value.get_string());
  const auto size = static_cast<uint32_t>(text.size());
  out->Append(std::string_view(reinterpret_cast<const char*>(&size), sizeof size));
  out->Append(text);
  return OkStatus();
}

Status AppendElement(Datatype datatype, const json::value& value, Buffer* out) {
  switch (datatype) {
    case Datatype::kBool:
      if (!value.is_bool()) return InvalidArgument("an element is neither true nor false");
      out->Append(value.get_bool() ? '\1' : '\0');
      return OkStatus();
    case Datatype::kInt8:
      return AppendNumberElement<int8_t>(value, out);
    case Datatype::kInt16:
      return AppendNumberElement<int16_t>(value, out);
    case Datatype::kInt32:
      return AppendNumberElement<int32_t>(value, out);
    case Datatype::kInt64:
      return AppendNumberElement<int64_t>(value, out);
    case Datatype::kUint8:
      return AppendNumberElement<uint8_t>(value, out);
    case Datatype::kUint16:
      return AppendNumberElement<uint16_t>(value, out);
    case Datatype::kUint32:
      return AppendNumberElement<uint32_t>(value, out);
    case Datatype::kUint64:
      return AppendNumberElement<uint64_t>(value, out);
    case Datatype::kFp32:
      return AppendNumberElement<float>(value, out);
    case Datatype::kFp64:
      return AppendNumberElement<double>(value, out);
    case Datatype::kBytes:
      return AppendText(value, out);
    case Datatype::kFp16:
    case Datatype::kBf16:
    case Datatype::kInvalid:
      break;
  }
  return InvalidArgument(std::string(tensor::DatatypeName(datatype)) + " has no JSON form");
}

Status AppendElements(Datatype datatype, const json::value& value, Buffer* out) {
  if (!value.is_array()) return AppendElement(datatype, value, out);
  for (const json::value& each : value.get_array()) {
    MLOS_RETURN_IF_ERROR(AppendElements(datatype, each, out));
  }
  return OkStatus();
}

// What the inputs' tensors are made of: JSON, or the bytes behind it.
class RawContents {
 public:
  explicit RawContents(std::string_view blobs) : blobs_(blobs) {}

  Status Add(Datatype datatype, const json::object& input) {
    const json::value* parameters = input.if_contains("parameters");
    const json::object* given = parameters != nullptr ? parameters->if_object() : nullptr;
    const json::value* size = given != nullptr ? given->if_contains("binary_data_size") : nullptr;
    const json::value* data = input.if_contains("data");
    if (size != nullptr) return AddBlob(*size);
    if (data == nullptr) return OkStatus();  // in shared memory, or missing: the daemon knows
    if (!data->is_array()) return InvalidArgument("\"data\" is not a list");
    Buffer elements;
    MLOS_RETURN_IF_ERROR(AppendElements(datatype, *data, &elements));
    AppendMessage(request_field::kRaw, elements.view(), &out_);
    return OkStatus();
  }
  std::string_view view() const { return out_.view(); }

 private:
  Status AddBlob(const json::value& size) {
    if (!size.is_int64() || size.get_int64() < 0 ||
        static_cast<uint64_t>(size.get_int64()) > blobs_.size()) {
      return InvalidArgument("binary_data_size is not how many bytes follow");
    }
    const auto bytes = static_cast<size_t>(size.get_int64());
    AppendFieldHead(request_field::kRaw, bytes, &out_);
    out_.Append(blobs_.substr(0, bytes));
    blobs_.remove_prefix(bytes);
    return OkStatus();
  }

  std::string_view blobs_;
  Buffer out_;
};

Status AppendInput(const json::object& input, RawContents* raw, Buffer* out) {
  const Datatype datatype = tensor::ParseDatatype(TextIn(input, "datatype"));
  Buffer tensor;
  AppendString(input_field::kName, TextIn(input, "name"), &tensor);
  AppendString(input_field::kDatatype, TextIn(input, "datatype"), &tensor);
  const json::value* shape = input.if_contains("shape");
  if (shape == nullptr || !shape->is_array()) return InvalidArgument("\"shape\" is no list");
  Buffer dims;
  for (const json::value& dim : shape->get_array()) {
    if (!dim.is_int64()) return InvalidArgument("\"shape\" has what is no whole number");
    AppendVarint(static_cast<uint64_t>(dim.get_int64()), &dims);
  }
  if (!dims.empty()) AppendMessage(input_field::kShape, dims.view(), &tensor);
  MLOS_RETURN_IF_ERROR(AppendParameters(input_field::kParameters, input, &tensor));
  AppendMessage(request_field::kInputs, tensor.view(), out);
  return raw->Add(datatype, input);
}

Status AppendOutputs(const json::object& body, Buffer* out) {
  const json::value* outputs = body.if_contains("outputs");
  if (outputs == nullptr) return OkStatus();
  if (!outputs->is_array()) return InvalidArgument("\"outputs\" is not a list");
  for (const json::value& each : outputs->get_array()) {
    if (!each.is_object()) return InvalidArgument("an output is not an object");
    Buffer output;
    AppendString(output_field::kName, TextIn(each.get_object(), "name"), &output);
    MLOS_RETURN_IF_ERROR(AppendParameters(output_field::kParameters, each.get_object(), &output));
    AppendMessage(request_field::kOutputs, output.view(), out);
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::string> EncodeInfer(const Request& request) {
  const std::string_view whole = request.body;
  const size_t json_size = request.json_size < 0
                               ? whole.size()
                               : std::min(whole.size(), static_cast<size_t>(request.json_size));
  StatusOr<json::value> parsed = ParseJson(whole.substr(0, json_size));
  if (!parsed.ok()) return Annotate(parsed.status(), "the request is not valid JSON");
  const json::object* body = parsed->if_object();
  const json::value* inputs = body != nullptr ? body->if_contains("inputs") : nullptr;
  if (inputs == nullptr || !inputs->is_array()) {
    return InvalidArgument("the request has no \"inputs\": a list of tensors");
  }
  Buffer out;
  AppendString(request_field::kModel, request.model, &out);
  AppendString(request_field::kVersion, request.version, &out);
  AppendString(request_field::kId, TextIn(*body, "id"), &out);
  MLOS_RETURN_IF_ERROR(AppendParameters(request_field::kParameters, *body, &out));
  RawContents raw(whole.substr(json_size));
  for (const json::value& input : inputs->get_array()) {
    if (!input.is_object()) return InvalidArgument("an input is not an object");
    const Status appended = AppendInput(input.get_object(), &raw, &out);
    if (!appended.ok()) {
      return Annotate(appended, "input " + Quoted(TextIn(input.get_object(), "name")));
    }
  }
  MLOS_RETURN_IF_ERROR(AppendOutputs(*body, &out));
  out.Append(raw.view());
  return std::string(out.view());
}

std::string EncodeDescribe(const Request& request) {
  Buffer out;
  AppendString(1, request.model, &out);
  AppendString(2, request.version, &out);
  return std::string(out.view());
}

}  // namespace mlos::cli
