// SPDX-License-Identifier: Apache-2.0
//
// Tensors as people read them: nested brackets, numbers aligned, long
// dimensions cut in the middle.
#include <fmt/core.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <vector>

#include "cli/format.h"
#include "cli/terminal.h"

namespace mlos::cli {
namespace json = boost::json;

namespace {

constexpr uint64_t kShownWhole = 1000;  // elements
constexpr int64_t kShownAtEnds = 3;     // of a dimension that is cut

std::string Element(const json::value& value) {
  if (value.is_double()) return fmt::format("{:.6g}", value.get_double());
  if (value.is_string()) {
    return '"' + Escape(std::string_view(value.get_string().data(), value.get_string().size())) +
           '"';
  }
  return Escape(json::serialize(value));
}

class Printer {
 public:
  Printer(const json::array& data, std::vector<int64_t> shape)
      : data_(data), shape_(std::move(shape)), whole_(data.size() <= kShownWhole) {
    // What is not shown must not make columns wide, nor take time.
    Visit(0, 0, [this](size_t at) { width_ = std::max(width_, Width(Element(data_[at]))); });
  }

  std::string Print() {
    out_.clear();
    PrintDimension(0, 0);
    return out_ + "\n";
  }

 private:
  bool IsCut(int64_t length) const { return !whole_ && length > 2 * kShownAtEnds; }
  // The index behind `i` that is shown.
  int64_t Next(int64_t i, int64_t length) const {
    return IsCut(length) && i == kShownAtEnds - 1 ? length - kShownAtEnds : i + 1;
  }
  size_t Stride(size_t dimension) const {
    size_t stride = 1;
    for (size_t d = dimension + 1; d < shape_.size(); ++d) stride *= static_cast<size_t>(shape_[d]);
    return stride;
  }

  template <typename See>
  void Visit(size_t dimension, size_t at, const See& see) {
    if (dimension == shape_.size()) return see(at);
    for (int64_t i = 0; i < shape_[dimension]; i = Next(i, shape_[dimension])) {
      Visit(dimension + 1, at + static_cast<size_t>(i) * Stride(dimension), see);
    }
  }

  void PrintDimension(size_t dimension, size_t at) {
    if (dimension == shape_.size()) {
      const std::string text = Element(data_[at]);
      out_ += std::string(width_ - std::min(width_, Width(text)), ' ') + text;
      return;
    }
    const bool last = dimension + 1 == shape_.size();
    const std::string indent = last ? "" : "\n" + std::string(dimension + 3, ' ');
    out_ += "[";
    const int64_t length = shape_[dimension];
    for (int64_t i = 0; i < length; i = Next(i, length)) {
      if (i > 0) out_ += last ? " " : indent;
      PrintDimension(dimension + 1, at + static_cast<size_t>(i) * Stride(dimension));
      if (Next(i, length) > i + 1) out_ += last ? " …" : indent + "…";
    }
    out_ += "]";
  }

  const json::array& data_;
  std::vector<int64_t> shape_;
  const bool whole_;
  size_t width_ = 0;
  std::string out_;
};

// The shape, if it is one and fits the data: the body is not trusted.
bool ReadShape(const json::object& output, size_t count, std::vector<int64_t>* shape) {
  const json::value* given = output.if_contains("shape");
  if (given == nullptr || !given->is_array() || given->get_array().size() > 16) return false;
  size_t product = 1;
  for (const json::value& dim : given->get_array()) {
    if (!dim.is_int64() || dim.get_int64() < 0) return false;
    const auto length = static_cast<size_t>(dim.get_int64());
    if (length > 0 && product > count / length) return false;
    product *= length;
    shape->push_back(dim.get_int64());
  }
  return product == count;
}

std::string TextOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return {};
  return Escape(value->is_string() ? std::string(value->get_string()) : json::serialize(*value));
}

}  // namespace

std::string FormatOutputs(const json::value& body, const Look& look) {
  const json::value* outputs =
      body.is_object() ? body.get_object().if_contains("outputs") : nullptr;
  if (outputs == nullptr || !outputs->is_array()) return EscapeLines(json::serialize(body)) + "\n";
  const json::object& answer = body.get_object();
  std::string out =
      fmt::format("{} {}\n", TextOf(answer, "model_name"), TextOf(answer, "model_version"));
  for (const json::value& value : outputs->get_array()) {
    if (!value.is_object()) continue;
    const json::object& output = value.get_object();
    const std::string name = TextOf(output, "name");
    out += fmt::format("{}  {} {}\n", look.colour ? Coloured(name, Colour::kBold) : name,
                       TextOf(output, "datatype"), TextOf(output, "shape"));
    const json::value* data = output.if_contains("data");
    std::vector<int64_t> shape;
    if (data == nullptr || !data->is_array()) {
      out += "  (no data)\n";
    } else if (data->get_array().empty()) {  // whatever its shape says
      out += "  []\n";
    } else if (!ReadShape(output, data->get_array().size(), &shape)) {
      out += "  " + Escape(json::serialize(*data)) + "\n";
    } else {
      out += "  " + Printer(data->get_array(), shape).Print();
    }
  }
  return out;
}

}  // namespace mlos::cli
