// SPDX-License-Identifier: Apache-2.0
#include "modelconfig/text.h"

#include <fmt/core.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include "base/name.h"
#include "base/utf8.h"

namespace mlos::modelconfig {
namespace {

namespace pb = google::protobuf;

// The messages nest eight deep at most.
constexpr int kMaxNesting = 16;

class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!text_.empty()) return;
    text_ =
        line < 0 ? message : fmt::format("line {}, column {}: {}", line + 1, column + 1, message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class Validator {
 public:
  Status Walk(const pb::Message& message, const std::string& path) {
    std::vector<const pb::FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const pb::FieldDescriptor* field : fields) {
      const std::string name = path.empty() ? field->name() : path + "." + field->name();
      if (!field->is_repeated()) {
        MLOS_RETURN_IF_ERROR(Look(message, *field, -1, name));
        continue;
      }
      const int count = message.GetReflection()->FieldSize(message, field);
      for (int i = 0; i < count; ++i) {
        MLOS_RETURN_IF_ERROR(Look(message, *field, i, fmt::format("{}[{}]", name, i)));
      }
    }
    return OkStatus();
  }

 private:
  // `index`: -1 for a field that is not repeated.
  Status Look(const pb::Message& message, const pb::FieldDescriptor& field, int index,
              const std::string& path) {
    const pb::Reflection& r = *message.GetReflection();
    switch (field.cpp_type()) {
      case pb::FieldDescriptor::CPPTYPE_MESSAGE:
        return Walk(index < 0 ? r.GetMessage(message, &field)
                              : r.GetRepeatedMessage(message, &field, index),
                    path);
      case pb::FieldDescriptor::CPPTYPE_STRING: {
        const std::string text =
            index < 0 ? r.GetString(message, &field) : r.GetRepeatedString(message, &field, index);
        if (IsUtf8(text)) return OkStatus();
        return InvalidArgument(fmt::format("{} is not UTF-8: {}", path, Quoted(text)));
      }
      case pb::FieldDescriptor::CPPTYPE_ENUM: {
        const int number = index < 0 ? r.GetEnumValue(message, &field)
                                     : r.GetRepeatedEnumValue(message, &field, index);
        if (field.enum_type()->FindValueByNumber(number) != nullptr) return OkStatus();
        return InvalidArgument(fmt::format("{} is {}, which {} does not know", path, number,
                                           field.enum_type()->name()));
      }
      default:
        return OkStatus();
    }
  }
};

}  // namespace

Status Validate(const pb::Message& message) { return Validator().Walk(message, ""); }

StatusOr<inference::ModelConfig> ParseText(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return InvalidArgument(
        fmt::format("it has {} bytes, more than {}", text.size(), kMaxTextBytes));
  }
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxNesting);
  pb::io::ArrayInputStream in(text.data(), static_cast<int>(text.size()));
  inference::ModelConfig config;
  if (!parser.Parse(&in, &config)) {
    return InvalidArgument(error.text().empty() ? "it is no configuration" : error.text());
  }
  MLOS_RETURN_IF_ERROR(Validate(config));
  return config;
}

}  // namespace mlos::modelconfig
