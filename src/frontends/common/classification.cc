// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/classification.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numeric>
#include <type_traits>

namespace mlos::frontend {
namespace {

using tensor::Datatype;

// Memory that is kept for the next one.
constexpr size_t kKeptElements = 64 << 10;

// Up to so many are kept in order while the others pass by; more are set apart
// first, which takes the same time whatever order they come in.
constexpr uint64_t kFewClasses = 32;

// The longest is -DBL_MAX with six decimals: 317 characters.
constexpr size_t kMostDigits = 352;

template <typename T>
T Load(const std::byte* from, uint64_t index) {
  T value;
  std::memcpy(&value, from + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
bool Greater(T a, T b, uint32_t index_a, uint32_t index_b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) {
      return std::isnan(a) == std::isnan(b) ? index_a < index_b : std::isnan(b);
    }
  }
  return a != b ? a > b : index_a < index_b;
}

// Six decimals, as printf has them, in every locale.
template <typename T>
char* Print(char* p, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::to_chars(p, p + kMostDigits, static_cast<double>(value), std::chars_format::fixed,
                         6)
        .ptr;
  } else {
    return std::to_chars(p, p + kMostDigits, value).ptr;
  }
}

void AppendElement(std::string_view number, uint32_t index, std::string_view label,
                   std::string* out) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof(digits), index).ptr;
  const std::string_view at(digits, static_cast<size_t>(end - digits));
  const auto length =
      static_cast<uint32_t>(number.size() + 1 + at.size() + (label.empty() ? 0 : 1 + label.size()));
  out->append(reinterpret_cast<const char*>(&length), sizeof(length));
  out->append(number);
  *out += ':';
  out->append(at);
  if (label.empty()) return;
  *out += ':';
  out->append(label);
}

// Calls `f` with a zero of the datatype's kind, if it is one that has an order
// worth telling.
template <typename F>
Status WithType(Datatype datatype, F f) {
  switch (datatype) {
    case Datatype::kInt8:
      return f(int8_t{}), OkStatus();
    case Datatype::kInt16:
      return f(int16_t{}), OkStatus();
    case Datatype::kInt32:
      return f(int32_t{}), OkStatus();
    case Datatype::kInt64:
      return f(int64_t{}), OkStatus();
    case Datatype::kUint8:
      return f(uint8_t{}), OkStatus();
    case Datatype::kUint16:
      return f(uint16_t{}), OkStatus();
    case Datatype::kUint32:
      return f(uint32_t{}), OkStatus();
    case Datatype::kUint64:
      return f(uint64_t{}), OkStatus();
    case Datatype::kFp32:
      return f(float{}), OkStatus();
    case Datatype::kFp64:
      return f(double{}), OkStatus();
    default:
      return InvalidArgument("classification is not there for " +
                             std::string(tensor::DatatypeName(datatype)) +
                             ": ask for the output itself");
  }
}

}  // namespace

Status CheckClassifiable(const TensorInfo& output) {
  return WithType(output.datatype, [](auto) {});
}

template <typename T>
void Classifier::Rank(uint64_t rows, uint64_t row, uint64_t most,
                      std::span<const std::string> labels, std::string* elements) {
  char digits[kMostDigits];
  for (uint64_t r = 0; r < rows; ++r) {
    const std::byte* values = values_.data() + r * row * sizeof(T);
    order_.resize(row);
    std::iota(order_.begin(), order_.end(), 0U);
    const auto end = order_.begin() + static_cast<std::ptrdiff_t>(most);
    const auto before = [values](uint32_t a, uint32_t b) {
      return Greater(Load<T>(values, a), Load<T>(values, b), a, b);
    };
    if (most <= kFewClasses) {
      std::partial_sort(order_.begin(), end, order_.end(), before);
    } else {
      std::nth_element(order_.begin(), end, order_.end(), before);
      std::sort(order_.begin(), end, before);
    }
    for (auto it = order_.begin(); it != end; ++it) {
      const auto printed = Print(digits, Load<T>(values, *it));
      AppendElement({digits, static_cast<size_t>(printed - digits)}, *it,
                    *it < labels.size() ? std::string_view(labels[*it]) : std::string_view(),
                    elements);
    }
  }
}

Status Classifier::Classify(const engine::OutputTensor& output, bool batches, uint64_t classes,
                            std::span<const std::string> labels, std::string* elements,
                            tensor::TensorDesc* desc) {
  elements->clear();
  const auto shape = output.desc.shape();
  const auto datatype = static_cast<Datatype>(output.desc.datatype);
  const bool by_row = batches && !shape.empty();
  uint64_t count = 0;
  uint64_t row = 0;
  if (!tensor::ElementCount(shape, &count) ||
      !tensor::ElementCount(by_row ? shape.subspan(1) : shape, &row) ||
      output.data.size() / std::max(tensor::ElementSize(datatype), 1U) < count) {
    return Internal("the output is shorter than its shape");
  }
  if (count > kMostClassified || row > kMostClassified) {
    return InvalidArgument("classification of " + std::to_string(std::max(count, row)) +
                           " elements: at most " + std::to_string(kMostClassified) +
                           " are looked at; ask for the output itself");
  }
  const uint64_t rows = by_row ? static_cast<uint64_t>(shape[0]) : 1;
  const uint64_t most = std::min(classes, row);
  if (most > 0 && rows > kMostResults / most) {
    return InvalidArgument("classification gives " + std::to_string(rows) + " times " +
                           std::to_string(most) + " results: at most " +
                           std::to_string(kMostResults) + " are allowed; ask for fewer classes");
  }
  values_.assign(
      output.data.begin(),
      output.data.begin() + static_cast<std::ptrdiff_t>(count * tensor::ElementSize(datatype)));
  if (most > 0) {
    MLOS_RETURN_IF_ERROR(WithType(
        datatype, [&](auto zero) { Rank<decltype(zero)>(rows, row, most, labels, elements); }));
  }
  tensor::TensorDesc made;  // `desc` may be the output's own
  made.index = output.desc.index;
  made.datatype = static_cast<uint32_t>(Datatype::kBytes);
  made.bytes = elements->size();
  if (by_row) made.dims[made.rank++] = shape[0];
  made.dims[made.rank++] = static_cast<int64_t>(most);
  *desc = made;
  if (order_.capacity() > kKeptElements) {
    values_ = {};
    order_ = {};
  }
  return OkStatus();
}

}  // namespace mlos::frontend
