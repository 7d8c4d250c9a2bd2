// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/generate_request.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstring>
#include <limits>
#include <utility>

#include "base/json.h"

namespace mlos::http {
namespace {

namespace json = boost::json;
using frontend::Quote;
using tensor::Datatype;

std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

template <typename T>
void AppendBytes(const T& value, std::vector<std::byte>* out) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  out->insert(out->end(), from, from + sizeof(value));
}

template <typename T>
bool AppendInteger(const json::value& value, std::vector<std::byte>* out) {
  if (!value.is_int64() && !value.is_uint64()) return false;
  json::error_code error;
  const T number = value.to_number<T>(error);
  if (error) return false;
  AppendBytes(number, out);
  return true;
}

template <typename T>
bool AppendFloat(const json::value& value, std::vector<std::byte>* out) {
  if (!value.is_number()) return false;
  const auto number = value.to_number<double>();
  constexpr double kMost = std::numeric_limits<T>::max();
  if (number > kMost || number < -kMost) return false;
  AppendBytes(static_cast<T>(number), out);
  return true;
}

bool AppendText(const json::value& value, std::vector<std::byte>* out) {
  if (!value.is_string()) return false;
  const json::string& text = value.get_string();
  AppendBytes(static_cast<uint32_t>(text.size()), out);
  const auto* from = reinterpret_cast<const std::byte*>(text.data());
  out->insert(out->end(), from, from + text.size());
  return true;
}

// False: it is no value of the datatype.
bool AppendElement(Datatype datatype, const json::value& value, std::vector<std::byte>* out) {
  switch (datatype) {
    case Datatype::kBool:
      if (value.is_bool()) AppendBytes(static_cast<uint8_t>(value.get_bool()), out);
      return value.is_bool();
    case Datatype::kInt8:
      return AppendInteger<int8_t>(value, out);
    case Datatype::kInt16:
      return AppendInteger<int16_t>(value, out);
    case Datatype::kInt32:
      return AppendInteger<int32_t>(value, out);
    case Datatype::kInt64:
      return AppendInteger<int64_t>(value, out);
    case Datatype::kUint8:
      return AppendInteger<uint8_t>(value, out);
    case Datatype::kUint16:
      return AppendInteger<uint16_t>(value, out);
    case Datatype::kUint32:
      return AppendInteger<uint32_t>(value, out);
    case Datatype::kUint64:
      return AppendInteger<uint64_t>(value, out);
    case Datatype::kFp32:
      return AppendFloat<float>(value, out);
    case Datatype::kFp64:
      return AppendFloat<double>(value, out);
    case Datatype::kBytes:
      return AppendText(value, out);
    case Datatype::kFp16:
    case Datatype::kBf16:
    case Datatype::kInvalid:
      break;
  }
  return false;
}

// Fixed dimensions as they are, the innermost open one takes the rest, others
// and the batch are 1.  False: so many elements do not fit.
bool ShapeToFit(const ModelInfo& info, const TensorInfo& declared, uint64_t count,
                tensor::TensorDesc* desc) {
  if (declared.shape.size() > tensor::kMaxRank) return false;
  desc->rank = static_cast<uint32_t>(declared.shape.size());
  int open = -1;
  uint64_t known = 1;
  for (uint32_t i = 0; i < desc->rank; ++i) {
    const bool batch = i == 0 && info.max_batch_size > 0;
    desc->dims[i] = declared.shape[i] == -1 ? 1 : declared.shape[i];
    if (declared.shape[i] == -1 && !batch) open = static_cast<int>(i);
    if (__builtin_mul_overflow(known, static_cast<uint64_t>(desc->dims[i]), &known)) return false;
  }
  if (open < 0) return known == count;
  if (known == 0 || count % known != 0) return false;
  desc->dims[open] = static_cast<int64_t>(count / known);
  return true;
}

// The client means a stateful model: to answer as if there were no sequence
// would be a wrong result.
Status CheckSequence(std::string_view name, const json::value& value) {
  const bool none = (value.is_bool() && !value.get_bool()) ||
                    (value.is_int64() && value.get_int64() == 0) ||
                    (value.is_string() && value.get_string().empty());
  if (none) return OkStatus();
  return Unimplemented("parameter " + Quote(name) +
                       ": this server does not offer the sequence extension");
}

Status TooLong() {
  return InvalidArgument("the parameters are longer than " +
                         std::to_string(tensor::kMaxParameterBytes) + " bytes");
}

const TensorInfo* FindInput(const ModelInfo& info, std::string_view name) {
  const auto at = std::find_if(info.inputs.begin(), info.inputs.end(),
                               [&](const TensorInfo& input) { return input.name == name; });
  return at == info.inputs.end() ? nullptr : &*at;
}

}  // namespace

Status GenerateRequest::Parse(const Body& body) {
  id_.clear();
  timeout_us_ = 0;
  inputs_.clear();
  rest_.clear();
  rest_bytes_ = 0;
  members_.clear();
  if (body.size == 0) return InvalidArgument("the body is empty");
  StatusOr<json::value> value = ParseJson({body.data, body.size});
  if (!value.ok()) return Annotate(value.status(), "the request is not valid JSON");
  if (!value->is_object()) return InvalidArgument("the request is not a JSON object");
  members_ = std::move(value->get_object());
  if (const json::value* id = members_.if_contains("id"); id != nullptr) {
    if (!id->is_string()) return InvalidArgument("\"id\" is not a string");
    id_ = View(id->get_string());
    members_.erase("id");
  }
  json::value* parameters = members_.if_contains("parameters");
  if (parameters == nullptr) return OkStatus();
  if (!parameters->is_object()) return InvalidArgument("\"parameters\" is not an object");
  if (const json::value* timeout = parameters->get_object().if_contains("timeout")) {
    if (!timeout->is_int64() || timeout->get_int64() < 0) {
      return InvalidArgument("\"timeout\" is not a number of microseconds");
    }
    timeout_us_ = static_cast<uint64_t>(timeout->get_int64());
    parameters->get_object().erase("timeout");
  }
  return OkStatus();
}

Status GenerateRequest::Take(const ModelInfo& info, std::string_view name,
                             const json::value& value) {
  const TensorInfo* declared = FindInput(info, name);
  if (declared == nullptr) {
    if (name == "priority" || name == "headers") return OkStatus();  // one class for all, so far
    if (name.substr(0, 9) == "sequence_") return CheckSequence(name, value);
    if (name.substr(0, 7) == "triton_") {
      return InvalidArgument("parameter " + Quote(name) +
                             ": names that begin with 'triton_' are reserved");
    }
    if (!value.is_primitive() || value.is_null()) {
      return InvalidArgument(Quote(name) +
                             " is no input of the model, and as a parameter it is not a string, a "
                             "number, true or false");
    }
    rest_bytes_ += name.size() + (value.is_string() ? value.get_string().size() : 1);
    if (rest_bytes_ >= tensor::kMaxParameterBytes) return TooLong();
    rest_[json::string_view(name.data(), name.size())] = value;
    return OkStatus();
  }
  Input input;
  input.name = name;
  input.desc.datatype = static_cast<uint32_t>(declared->datatype);
  const json::array single(value.is_array() ? 0 : 1, value);
  const json::array& elements = value.is_array() ? value.get_array() : single;
  for (const json::value& element : elements) {
    if (AppendElement(declared->datatype, element, &input.data)) continue;
    return InvalidArgument("input " + Quote(name) + " has an element that is not " +
                           std::string(tensor::DatatypeName(declared->datatype)));
  }
  if (!ShapeToFit(info, *declared, elements.size(), &input.desc)) {
    return InvalidArgument("input " + Quote(name) + " has " + std::to_string(elements.size()) +
                           " elements, which do not fit its shape " +
                           tensor::ShapeText(declared->shape));
  }
  input.desc.bytes = input.data.size();
  inputs_.push_back(std::move(input));
  return OkStatus();
}

Status GenerateRequest::Plan(std::string_view model, const ModelInfo& info,
                             tensor::RequestPlan* plan) {
  const auto about = [&](const Status& status) {
    return status.ok() ? status : Annotate(status, "model " + Quote(model));
  };
  for (const auto& member : members_) {
    const std::string_view name = View(member.key());
    // A model may have an input of that name.
    if (name == "parameters" && FindInput(info, name) == nullptr) {
      for (const auto& inner : member.value().get_object()) {
        MLOS_RETURN_IF_ERROR(about(Take(info, View(inner.key()), inner.value())));
      }
      continue;
    }
    MLOS_RETURN_IF_ERROR(about(Take(info, name, member.value())));
  }
  builder_.Begin(model, info, plan);
  std::vector<tensor::TensorDesc> descs;
  descs.reserve(inputs_.size());
  for (Input& input : inputs_) {
    MLOS_RETURN_IF_ERROR(builder_.AddInput(input.name, &input.desc));
    descs.push_back(input.desc);
  }
  MLOS_RETURN_IF_ERROR(builder_.Finish(descs));
  parameters_ = rest_.empty() ? std::string() : json::serialize(rest_);
  if (parameters_.size() >= tensor::kMaxParameterBytes) return about(TooLong());
  members_ = json::object();  // it may take a while now, and all of it is copied
  plan->parameters = parameters_;
  return OkStatus();
}

void GenerateRequest::Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) const {
  for (const Input& input : inputs_) {
    const auto at = std::find_if(
        plan.inputs.begin(), plan.inputs.end(),
        [&](const tensor::TensorDesc& desc) { return desc.index == input.desc.index; });
    if (at == plan.inputs.end() || input.data.empty()) continue;
    std::memcpy(block.subspan(at->offset, at->bytes).data(), input.data.data(), input.data.size());
  }
}

}  // namespace mlos::http
