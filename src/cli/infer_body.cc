// SPDX-License-Identifier: Apache-2.0
#include "cli/infer_body.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <set>

#include "base/json.h"
#include "base/name.h"
#include "base/near_miss.h"
#include "cli/npy.h"
#include "tensor/datatype.h"

namespace mlos::cli {
namespace json = boost::json;

using tensor::Datatype;

namespace {

struct Declared {
  std::string name;
  Datatype datatype = Datatype::kInvalid;
  std::vector<int64_t> shape;
};

// A tensor as it goes into the request.
struct Sent {
  std::vector<int64_t> shape;
  json::array data;    // in JSON, or
  std::string binary;  // behind it
  bool is_binary = false;
};

StatusOr<std::vector<Declared>> ReadMetadata(const json::value& metadata) {
  const Status bad = Internal("the daemon's description of the model is not understood");
  const json::value* list =
      metadata.is_object() ? metadata.get_object().if_contains("inputs") : nullptr;
  if (list == nullptr || !list->is_array()) return bad;
  std::vector<Declared> out;
  for (const json::value& value : list->get_array()) {
    const json::object* object = value.if_object();
    const json::value* name = object == nullptr ? nullptr : object->if_contains("name");
    const json::value* type = object == nullptr ? nullptr : object->if_contains("datatype");
    const json::value* shape = object == nullptr ? nullptr : object->if_contains("shape");
    if (name == nullptr || type == nullptr || shape == nullptr || !name->is_string() ||
        !type->is_string() || !shape->is_array()) {
      return bad;
    }
    Declared& declared = out.emplace_back();
    declared.name = std::string(name->get_string());
    declared.datatype = tensor::ParseDatatype(std::string(type->get_string()));
    for (const json::value& dim : shape->get_array()) {
      if (!dim.is_int64()) return bad;
      declared.shape.push_back(dim.get_int64());
    }
  }
  return out;
}

// Nested lists as their elements, and the lengths of the lists.
Status Flatten(const json::value& value, size_t depth, std::vector<int64_t>* shape,
               json::array* out) {
  if (!value.is_array()) {
    if (depth != shape->size()) return InvalidArgument("its lists are not of one depth");
    if (value.is_object() || value.is_null()) {
      return InvalidArgument("its elements must be numbers, booleans or strings, not " +
                             Quoted(json::serialize(value)));
    }
    out->push_back(value);
    return OkStatus();
  }
  const auto length = static_cast<int64_t>(value.get_array().size());
  if (depth == shape->size()) {
    if (!out->empty()) return InvalidArgument("its lists are not of one depth");
    shape->push_back(length);
  }
  if ((*shape)[depth] != length) return InvalidArgument("its lists are not of one length");
  for (const json::value& v : value.get_array()) {
    MLOS_RETURN_IF_ERROR(Flatten(v, depth + 1, shape, out));
  }
  return OkStatus();
}

// A flat list for a model of more dimensions: the model's shape, where that
// leaves one choice.
void TakeShapeOfModel(const Declared& declared, uint64_t count, std::vector<int64_t>* shape) {
  if (shape->size() > 1 || tensor::Matches(declared.shape, *shape)) return;
  std::vector<int64_t> guess = declared.shape;
  uint64_t known = 1;
  size_t open = 0;
  for (const int64_t dim : guess) {
    open += dim < 0 ? 1 : 0;
    if (dim > 0) known *= static_cast<uint64_t>(std::min<int64_t>(dim, 1 << 30));
    if (dim == 0 || known > count) return;
  }
  if (open > 1 || count % known != 0 || (open == 0 && count != known)) return;
  for (int64_t& dim : guess) {
    if (dim < 0) dim = static_cast<int64_t>(count / known);
  }
  *shape = guess;
}

// The number where it is a float; else of the two floats beside it the one with
// an odd last bit, which is never half way between two numbers of 16 bits: what
// is rounded from it is what the number itself would be rounded to.
float NarrowToOdd(double number) {
  const auto narrow = static_cast<float>(number);
  const auto bits = std::bit_cast<uint32_t>(narrow);
  const auto wide = static_cast<double>(narrow);
  if (wide == number || (bits & 1U) != 0 || !std::isfinite(narrow)) return narrow;
  return std::bit_cast<float>(std::abs(number) > std::abs(wide) ? bits + 1 : bits - 1);
}

// FP16 and BF16 have no JSON form on the wire.
Status EncodeHalves(Datatype datatype, Sent* sent) {
  for (const json::value& value : sent->data) {
    json::error_code error;
    const double number = value.to_number<double>(error);
    if (error) return InvalidArgument("an element is no number");
    const float narrow = NarrowToOdd(number);
    const uint16_t bits = datatype == Datatype::kFp16 ? HalfOf(narrow) : BrainOf(narrow);
    sent->binary.push_back(static_cast<char>(bits & 0xffU));
    sent->binary.push_back(static_cast<char>(bits >> 8U));
  }
  sent->data.clear();
  sent->is_binary = true;
  return OkStatus();
}

StatusOr<Sent> FromJson(std::string_view text, const Declared& declared) {
  const StatusOr<json::value> value = ParseJson(text);
  if (!value.ok()) {
    return InvalidArgument("it is neither JSON nor @FILE.npy: " + Quoted(text, 40) +
                           (declared.datatype == Datatype::kBytes
                                ? "; a string is written with its quotes, as in '\"text\"'"
                                : fmt::format(" ({})", Message(value.status()))));
  }
  Sent sent;
  MLOS_RETURN_IF_ERROR(Flatten(*value, 0, &sent.shape, &sent.data));
  TakeShapeOfModel(declared, sent.data.size(), &sent.shape);
  if (declared.datatype == Datatype::kFp16 || declared.datatype == Datatype::kBf16) {
    MLOS_RETURN_IF_ERROR(EncodeHalves(declared.datatype, &sent));
  }
  return sent;
}

StatusOr<Sent> FromNpy(const std::string& path, const Declared& declared) {
  MLOS_ASSIGN_OR_RETURN(const std::string file, ReadFile(path));
  MLOS_ASSIGN_OR_RETURN(Array array, ParseNpy(file));
  if (array.datatype != declared.datatype) {
    return FailedPrecondition(fmt::format("{} has {}, and the model takes {}: convert the array",
                                          Quoted(path), tensor::DatatypeName(array.datatype),
                                          tensor::DatatypeName(declared.datatype)));
  }
  Sent sent;
  sent.shape = std::move(array.shape);
  sent.binary = std::move(array.data);
  sent.is_binary = true;
  return sent;
}

StatusOr<const Declared*> FindInput(const std::vector<Declared>& declared,
                                    const std::string& name) {
  std::vector<std::string_view> known;
  std::string list;
  for (const Declared& input : declared) {
    if (input.name == name) return &input;
    known.push_back(input.name);
    list += fmt::format("{}{} {} {}", list.empty() ? "" : ", ", input.name,
                        tensor::DatatypeName(input.datatype), tensor::ShapeText(input.shape));
  }
  return FailedPrecondition(fmt::format("the model has no input {}{}; it has: {}", Quoted(name),
                                        DidYouMean(name, known), list));
}

}  // namespace

StatusOr<InferBody> BuildInferBody(const std::vector<std::string>& inputs,
                                   const json::value& metadata) {
  MLOS_ASSIGN_OR_RETURN(const std::vector<Declared> declared, ReadMetadata(metadata));
  json::array list;
  std::string blobs;
  bool binary = false;
  std::set<std::string> given;
  for (const std::string& input : inputs) {
    const size_t equals = input.find('=');
    if (equals == std::string::npos) {
      return InvalidArgument("--input " + Quoted(input, 40) + " is not T=JSON or T=@FILE.npy");
    }
    const std::string name = input.substr(0, equals);
    const std::string value = input.substr(equals + 1);
    if (!given.insert(name).second) {
      return InvalidArgument("--input " + Quoted(name) + " is given twice");
    }
    MLOS_ASSIGN_OR_RETURN(const Declared* wanted, FindInput(declared, name));
    StatusOr<Sent> sent = !value.empty() && value[0] == '@' ? FromNpy(value.substr(1), *wanted)
                                                            : FromJson(value, *wanted);
    if (!sent.ok()) return Annotate(sent.status(), "input " + Quoted(name));
    json::object tensor{{"name", name},
                        {"datatype", std::string(tensor::DatatypeName(wanted->datatype))},
                        {"shape", json::array(sent->shape.begin(), sent->shape.end())}};
    if (sent->is_binary) {
      tensor["parameters"] = {{"binary_data_size", sent->binary.size()}};
      blobs += sent->binary;
      binary = true;
    } else {
      tensor["data"] = std::move(sent->data);
    }
    list.push_back(std::move(tensor));
  }
  InferBody body;
  body.text = json::serialize(json::object{{"inputs", std::move(list)}});
  if (binary) {
    body.json_size = static_cast<long>(body.text.size());
    body.text += blobs;
  }
  return body;
}

StatusOr<std::string> ReadFile(const std::string& path) {
  const bool standard = path == "-";
  std::FILE* file = standard ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) return ErrnoStatus(Quoted(path));
  std::string out;
  char buffer[64 << 10];
  size_t count = 0;
  while ((count = std::fread(buffer, 1, sizeof buffer, file)) > 0) out.append(buffer, count);
  const int error = std::ferror(file) != 0 ? errno : 0;
  if (!standard) std::fclose(file);
  if (error != 0) return ErrnoStatus(Quoted(path), error);
  return out;
}

uint16_t BrainOf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
}

uint16_t HalfOf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16U) & 0x8000U);
  const uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return sign | 0x7e00U;   // not a number
  if (magnitude >= 0x477ff000U) return sign | 0x7c00U;  // rounds to infinity
  if (magnitude < 0x33000001U) return sign;             // rounds to zero
  uint32_t shift = 13;
  uint32_t mantissa = magnitude - (uint32_t{112} << 23U);
  if (magnitude < 0x38800000U) {  // a subnormal half
    shift = 13 + (113 - (magnitude >> 23U));
    mantissa = (magnitude & 0x7fffffU) | 0x800000U;
  }
  const uint32_t half = uint32_t{1} << (shift - 1);
  const uint32_t odd = (mantissa >> shift) & 1U;
  return static_cast<uint16_t>(sign | ((mantissa + half - 1 + odd) >> shift));
}

}  // namespace mlos::cli
