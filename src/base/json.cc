// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <fmt/core.h>

#include <boost/json/array.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "base/name.h"

namespace mlos {
namespace json = boost::json;
namespace {

// Takes what the parser finds and builds the value.  The library's own handler
// takes doubles as the parser computes them, which may be off by a unit in the
// last place, and keeps the last of members with one name.
class Builder {
 public:
  // The parser asks for them by these names.
  // NOLINTBEGIN(readability-identifier-naming)
  static constexpr size_t max_object_size = json::object::max_size();
  static constexpr size_t max_array_size = json::array::max_size();
  static constexpr size_t max_key_size = json::string::max_size();
  static constexpr size_t max_string_size = json::string::max_size();
  // NOLINTEND(readability-identifier-naming)

  json::value Take() { return std::move(root_); }
  const std::string& refusal() const { return refusal_; }

  static bool on_document_begin(json::error_code& /*error*/) { return true; }
  static bool on_document_end(json::error_code& /*error*/) { return true; }
  bool on_object_begin(json::error_code& /*error*/) { return Open(json::object()); }
  bool on_array_begin(json::error_code& /*error*/) { return Open(json::array()); }
  bool on_object_end(size_t /*size*/, json::error_code& error) { return Close(error); }
  bool on_array_end(size_t /*size*/, json::error_code& error) { return Close(error); }

  bool on_key_part(json::string_view part, size_t /*size*/, json::error_code& /*error*/) {
    return Collect(part);
  }
  bool on_key(json::string_view part, size_t /*size*/, json::error_code& /*error*/) {
    Collect(part);
    open_.back().key = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, size_t /*size*/, json::error_code& /*error*/) {
    return Collect(part);
  }
  bool on_string(json::string_view part, size_t /*size*/, json::error_code& error) {
    Collect(part);
    json::string text(text_.data(), text_.size());
    text_.clear();
    return Add(std::move(text), error);
  }

  bool on_number_part(json::string_view part, json::error_code& /*error*/) { return Collect(part); }
  bool on_int64(int64_t number, json::string_view /*text*/, json::error_code& error) {
    text_.clear();
    return Add(number, error);
  }
  bool on_uint64(uint64_t number, json::string_view /*text*/, json::error_code& error) {
    text_.clear();
    return Add(number, error);
  }
  bool on_double(double rough, json::string_view part, json::error_code& error) {
    Collect(part);
    double number = 0;
    const auto read = std::from_chars(text_.data(), text_.data() + text_.size(), number);
    if (read.ec == std::errc::result_out_of_range) {
      if (std::abs(rough) > 1) {
        return Refuse("the number " + Quoted(text_, 40) + " is larger than a double can be", error);
      }
      number = std::copysign(0.0, rough);  // the double nearest to it
    } else if (read.ec != std::errc() || read.ptr != text_.data() + text_.size()) {
      return Refuse("the number " + Quoted(text_, 40) + " cannot be read", error);
    }
    text_.clear();
    return Add(number, error);
  }
  bool on_bool(bool value, json::error_code& error) { return Add(value, error); }
  bool on_null(json::error_code& error) { return Add(nullptr, error); }
  static bool on_comment_part(json::string_view /*text*/, json::error_code& /*error*/) {
    return true;
  }
  static bool on_comment(json::string_view /*text*/, json::error_code& /*error*/) { return true; }

 private:
  struct Level {
    json::value value;
    std::string key;  // of an object: of the member whose value comes next
  };

  bool Open(json::value empty) {
    open_.push_back({std::move(empty), {}});
    return true;
  }
  bool Close(json::error_code& error) {
    json::value whole = std::move(open_.back().value);
    open_.pop_back();
    return Add(std::move(whole), error);
  }
  bool Collect(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool Add(json::value value, json::error_code& error) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Level& level = open_.back();
    if (json::array* array = level.value.if_array()) {
      array->push_back(std::move(value));
      return true;
    }
    const bool fresh = level.value.get_object().emplace(level.key, std::move(value)).second;
    return fresh || Refuse("the member " + Quoted(level.key, 40) + " is given twice", error);
  }
  bool Refuse(std::string why, json::error_code& error) {
    refusal_ = std::move(why);
    error = json::error::input_error;
    return false;
  }

  json::value root_;
  std::vector<Level> open_;
  std::string text_;  // of a key, a string or a number that comes in parts
  std::string refusal_;
};

std::string Reason(const json::error_code& error, size_t at, size_t max_depth) {
  if (error == json::error::too_deep) {
    return fmt::format("it is nested deeper than {} levels", max_depth);
  }
  if (error == json::error::incomplete) return "it ends too early";
  return fmt::format("{} at byte {}", error.message(), at + 1);
}

}  // namespace

StatusOr<json::value> ParseJson(std::string_view text, size_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::basic_parser<Builder> parser(options);
  json::error_code error;
  size_t at = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().refusal().empty()) return InvalidArgument(parser.handler().refusal());
  if (!error && at < text.size()) error = json::error::extra_data;
  if (error) return InvalidArgument(Reason(error, at, max_depth));
  return parser.handler().Take();
}

}  // namespace mlos
