// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/infer_parameters.h"

#include <utility>

#include "frontends/common/call_parameters.h"
#include "frontends/common/infer_plan.h"
#include "frontends/http/json_read.h"
#include "tensor/json_text.h"

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

// A value, for the rules that all protocols share.
class JsonValue {
 public:
  JsonValue(std::string_view key, od::value value, InferRequest* request)
      : key_(key), value_(value), request_(request) {}

  Status Uint(uint64_t* out) { return ReadUint(value_, key_, out); }
  Status Bool(bool* out) { return ReadBool(value_, key_, out); }
  Status Text(std::string_view* out) { return ReadString(value_, key_, request_, out); }
  Status SequenceId(bool* in_sequence) {
    uint64_t number = 0;
    std::string_view text;
    if (value_.get_uint64().get(number) == simdjson::SUCCESS) {
      *in_sequence = number != 0;
    } else if (value_.get_string().get(text) == simdjson::SUCCESS) {
      *in_sequence = !text.empty();
    } else {
      return InvalidArgument(
          "parameter \"sequence_id\" is neither a non-negative integer nor a string");
    }
    return OkStatus();
  }
  Status AddTo(InferRequest* request) {
    Buffer name;
    tensor::AppendJsonString(key_, &name);
    Buffer text;
    std::string_view string;
    if (value_.get_string().get(string) == simdjson::SUCCESS) {
      tensor::AppendJsonString(string, &text);
    } else {
      MLOS_RETURN_IF_ERROR(ScalarText(key_, value_, &string));
      text.Append(string);
    }
    return frontend::AddCustom(name.view(), text.view(), request);
  }

 private:
  const std::string_view key_;
  od::value value_;
  InferRequest* request_;
};

}  // namespace

Status ParseRequestParameters(od::value value, InferRequest* request) {
  MLOS_RETURN_IF_ERROR(ForEachParameter(value, [&](std::string_view key, od::value v) -> Status {
    if (Status once = frontend::MarkParameter(key, request); !once.ok()) return once;
    if (key == "binary_data_output") return ReadBool(v, key, &request->binary_default);
    JsonValue given(key, v, request);
    const StatusOr<bool> reserved = frontend::ReadReserved(key, given, request);
    return reserved.ok() && !*reserved ? given.AddTo(request) : reserved.status();
  }));
  frontend::EndCustom(request);
  return OkStatus();
}

Status ParseInputParameters(od::value value, InferRequest* request, InferInput* input,
                            std::optional<uint64_t>* binary_size) {
  MLOS_RETURN_IF_ERROR(ForEachParameter(value, [&](std::string_view key, od::value v) -> Status {
    if (key == "binary_data_size") {
      if (binary_size->has_value()) return frontend::GivenTwice(key);
      return ReadUint(v, key, &binary_size->emplace());
    }
    JsonValue given(key, v, request);
    return ReadPlace(key, given, &input->place);
  }));
  return CheckPlace(input->place);
}

Status ParseOutputParameters(od::value value, InferRequest* request,
                             frontend::AskedOutput* output) {
  bool classified = false;
  MLOS_RETURN_IF_ERROR(ForEachParameter(value, [&](std::string_view key, od::value v) -> Status {
    if (key == "binary_data") {
      if (output->form != Form::kUnset) return frontend::GivenTwice(key);
      bool binary = false;
      Status read = ReadBool(v, key, &binary);
      output->form = binary ? Form::kBinary : Form::kElements;
      return read;
    }
    if (key == "classification") {
      // 0 asks for nothing: some clients always send it.
      if (std::exchange(classified, true)) return frontend::GivenTwice(key);
      return ReadUint(v, key, &output->classes);
    }
    JsonValue given(key, v, request);
    return ReadPlace(key, given, &output->place);
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
