// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_parameters.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "frontends/common/infer_plan.h"
#include "frontends/http/json_read.h"
#include "frontends/http/json_text.h"

namespace mlos::http {
namespace {

namespace od = simdjson::ondemand;

// A JSON object is walked; `each` sees every key, unescaped, with its value.
template <typename F>
Status ForEachParameter(od::value value, F each) {
  od::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) {
    return InvalidArgument("\"parameters\" is not an object");
  }
  for (auto member : object) {
    od::field field;
    MLOS_RETURN_IF_ERROR(JsonOk(std::move(member).get(field)));
    std::string_view key;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS) {
      return InvalidArgument("a parameter's name is not a string of valid Unicode");
    }
    MLOS_RETURN_IF_ERROR(each(key, field.value()));
  }
  return OkStatus();
}

// The number or word as it was written, after a look that it is one.
Status ScalarText(std::string_view key, od::value value, std::string_view* text) {
  auto type = od::json_type::null;
  MLOS_RETURN_IF_ERROR(JsonOk(value.type().get(type)));
  bool valid = false;
  *text = value.raw_json_token();
  if (type == od::json_type::boolean) {
    bool ignored = false;
    valid = value.get_bool().get(ignored) == simdjson::SUCCESS;
  } else if (type == od::json_type::number) {
    double ignored = 0;
    valid = value.get_double().get(ignored) == simdjson::SUCCESS;
  }
  if (!valid) {
    return InvalidArgument("parameter " + frontend::Quote(key) +
                           " is not a string, a number, true or false");
  }
  while (!text->empty() && static_cast<unsigned char>(text->back()) <= ' ') text->remove_suffix(1);
  return OkStatus();
}

// `"key":value` behind what `out` has.
Status AppendCustom(std::string_view key, od::value value, std::string* out) {
  Buffer text;
  text.Append(out->empty() ? '{' : ',');
  AppendJsonString(key, &text);
  text.Append(':');
  std::string_view string;
  if (value.get_string().get(string) == simdjson::SUCCESS) {
    AppendJsonString(string, &text);
  } else {
    MLOS_RETURN_IF_ERROR(ScalarText(key, value, &string));
    text.Append(string);
  }
  out->append(text.view());
  if (out->size() >= tensor::kMaxParameterBytes) {
    return InvalidArgument("the parameters are longer than " +
                           std::to_string(tensor::kMaxParameterBytes) + " bytes");
  }
  return OkStatus();
}

// 0 and "" are no sequence.
Status ReadSequenceId(od::value value, bool* in_sequence) {
  uint64_t number = 0;
  std::string_view text;
  if (value.get_uint64().get(number) == simdjson::SUCCESS) {
    *in_sequence = number != 0;
  } else if (value.get_string().get(text) == simdjson::SUCCESS) {
    *in_sequence = !text.empty();
  } else {
    return InvalidArgument(
        "parameter \"sequence_id\" is neither a non-negative integer nor a string");
  }
  return OkStatus();
}

// Two readers of an object that has a name twice would not agree on what it
// says.  Names that are not known land in `parameters`, which is bounded, and
// the others are few: the list stays short.
Status MarkKey(std::string_view key, std::vector<size_t>* seen) {
  const size_t hash = std::hash<std::string_view>()(key);
  if (std::find(seen->begin(), seen->end(), hash) != seen->end()) {
    return InvalidArgument("parameter " + frontend::Quote(key) + " is given twice");
  }
  seen->push_back(hash);
  return OkStatus();
}

Status Twice(std::string_view key) {
  return InvalidArgument("parameter \"" + std::string(key) + "\" is given twice");
}

// The three that name a place in a client's shared memory; others are ignored.
Status ReadPlace(std::string_view key, od::value value, InferRequest* request,
                 frontend::RegionPlace* place) {
  if (key == "shared_memory_region") {
    if (place->name) return Twice(key);
    return ReadString(value, key, request, &place->name.emplace());
  }
  if (key == "shared_memory_byte_size") {
    if (place->bytes) return Twice(key);
    return ReadUint(value, key, &place->bytes.emplace());
  }
  if (key == "shared_memory_offset") {
    if (place->offset) return Twice(key);
    return ReadUint(value, key, &place->offset.emplace());
  }
  return OkStatus();
}

Status CheckPlace(const frontend::RegionPlace& place) {
  if (!place.given() || (place.name && place.bytes)) return OkStatus();
  return InvalidArgument(
      "shared memory needs \"shared_memory_region\" and \"shared_memory_byte_size\"");
}

}  // namespace

Status ParseRequestParameters(od::value value, InferRequest* request) {
  bool ignored = false;
  uint64_t number = 0;
  MLOS_RETURN_IF_ERROR(ForEachParameter(value, [&](std::string_view key, od::value v) -> Status {
    if (Status once = MarkKey(key, &request->parameter_keys); !once.ok()) return once;
    if (key == "binary_data_output") return ReadBool(v, key, &request->binary_default);
    if (key == "timeout") return ReadUint(v, key, &request->timeout_us);
    if (key == "priority") return ReadUint(v, key, &number);  // one class for all, so far
    if (key == "sequence_id") return ReadSequenceId(v, &request->in_sequence);
    if (key == "sequence_start" || key == "sequence_end") return ReadBool(v, key, &ignored);
    if (key == "headers") return OkStatus();
    if (key.substr(0, 7) == "triton_") {
      return InvalidArgument("parameter " + frontend::Quote(key) +
                             ": names that begin with 'triton_' are reserved");
    }
    return AppendCustom(key, v, &request->parameters);
  }));
  if (!request->parameters.empty()) request->parameters += '}';
  return OkStatus();
}

Status ParseInputParameters(od::value value, InferRequest* request, InferInput* input,
                            std::optional<uint64_t>* binary_size) {
  MLOS_RETURN_IF_ERROR(ForEachParameter(value, [&](std::string_view key, od::value v) -> Status {
    if (key == "binary_data_size") {
      if (binary_size->has_value()) return Twice(key);
      return ReadUint(v, key, &binary_size->emplace());
    }
    return ReadPlace(key, v, request, &input->place);
  }));
  return CheckPlace(input->place);
}

Status ParseOutputParameters(od::value value, InferRequest* request,
                             frontend::AskedOutput* output) {
  bool classified = false;
  MLOS_RETURN_IF_ERROR(ForEachParameter(value, [&](std::string_view key, od::value v) -> Status {
    if (key == "binary_data") {
      if (output->form != Form::kUnset) return Twice(key);
      bool binary = false;
      const Status read = ReadBool(v, key, &binary);
      output->form = binary ? Form::kBinary : Form::kElements;
      return read;
    }
    if (key == "classification") {
      // 0 asks for nothing: some clients always send it.
      if (std::exchange(classified, true)) return Twice(key);
      return ReadUint(v, key, &output->classes);
    }
    return ReadPlace(key, v, request, &output->place);
  }));
  if (!output->place.given()) return OkStatus();
  MLOS_RETURN_IF_ERROR(CheckPlace(output->place));
  if (output->form == Form::kBinary || output->classes > 0) {
    return InvalidArgument(
        std::string(output->classes > 0 ? "\"classification\"" : "\"binary_data\":true") +
        " does not go with shared memory");
  }
  output->form = Form::kRegion;
  return OkStatus();
}

}  // namespace mlos::http
