// SPDX-License-Identifier: Apache-2.0
//
// Inference requests and answers as bytes, written out by hand: the tests must
// not share a coder with what they test.  Values; any thread.
#pragma once

#include <boost/json.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "http_client.h"

namespace mlos::test {

struct Tensor {
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;
  std::string bytes;
};

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
std::vector<T> ValuesOf(std::string_view bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  std::copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(out.size() * sizeof(T)),
            reinterpret_cast<char*>(out.data()));
  return out;
}

// The elements of a BYTES tensor, each with its length before it.
std::string BytesTensor(const std::vector<std::string>& elements);

// A whole binary request: the JSON part, its size, and the tensors behind it.
struct BinaryRequest {
  std::string body;
  size_t json_size = 0;
  HttpClient::Headers headers() const;
};
BinaryRequest MakeBinary(const std::vector<Tensor>& inputs);

// The outputs of a binary answer, by name; `error` says what is wrong with it.
struct BinaryAnswer {
  std::map<std::string, Tensor> outputs;
  std::string error;
};
BinaryAnswer ReadBinary(const Reply& reply);

// Of a JSON text; null when it is none.
boost::json::value ParseJson(std::string_view text);
// The text at a JSON pointer ("/error/message"), or what stands there as JSON.
std::string At(const boost::json::value& value, std::string_view pointer);
std::string At(const Reply& reply, std::string_view pointer);

// The numbers of the array at a JSON pointer; none where there is no array.
std::vector<double> Numbers(const Reply& reply, std::string_view pointer);

// The error text of either surface.
std::string ErrorText(const Reply& reply);

}  // namespace mlos::test
