// SPDX-License-Identifier: Apache-2.0
#include "wire.h"

#include <charconv>

namespace mlos::test {
namespace json = boost::json;

std::string BytesTensor(const std::vector<std::string>& elements) {
  std::string out;
  for (const std::string& element : elements) {
    out += BytesOf(std::vector<uint32_t>{static_cast<uint32_t>(element.size())});
    out += element;
  }
  return out;
}

HttpClient::Headers BinaryRequest::headers() const {
  return {{"Inference-Header-Content-Length", std::to_string(json_size)}};
}

BinaryRequest MakeBinary(const std::vector<Tensor>& inputs) {
  json::array list;
  std::string blobs;
  for (const Tensor& input : inputs) {
    list.push_back({{"name", input.name},
                    {"datatype", input.datatype},
                    {"shape", json::array(input.shape.begin(), input.shape.end())},
                    {"parameters", {{"binary_data_size", input.bytes.size()}}}});
    blobs += input.bytes;
  }
  BinaryRequest request;
  request.body = json::serialize(
      json::object{{"inputs", list}, {"parameters", {{"binary_data_output", true}}}});
  request.json_size = request.body.size();
  request.body += blobs;
  return request;
}

BinaryAnswer ReadBinary(const Reply& reply) {
  BinaryAnswer answer;
  if (reply.status != 200) {
    answer.error = "status " + std::to_string(reply.status) + ": " + reply.body;
    return answer;
  }
  const std::string length = reply.Header("inference-header-content-length");
  size_t at = reply.body.size();  // no blobs: all of it is JSON
  std::from_chars(length.data(), length.data() + length.size(), at);
  const json::value head = ParseJson(std::string_view(reply.body).substr(0, at));
  const auto* outputs = head.is_object() ? head.as_object().if_contains("outputs") : nullptr;
  if (outputs == nullptr || !outputs->is_array()) {
    answer.error = "no outputs in " + reply.body.substr(0, at);
    return answer;
  }
  for (const json::value& output : outputs->as_array()) {
    Tensor tensor;
    tensor.name = At(output, "/name");
    tensor.datatype = At(output, "/datatype");
    for (const json::value& dim : output.at("shape").as_array()) {
      tensor.shape.push_back(dim.to_number<int64_t>());
    }
    const std::string size_text = At(output, "/parameters/binary_data_size");
    size_t size = 0;
    std::from_chars(size_text.data(), size_text.data() + size_text.size(), size);
    if (size_text.empty() || reply.body.size() - at < size) {
      answer.error = "output " + tensor.name + " has no blob";
      return answer;
    }
    tensor.bytes = reply.body.substr(at, size);
    at += size;
    answer.outputs[tensor.name] = tensor;
  }
  if (at != reply.body.size()) answer.error = "bytes are left over behind the outputs";
  return answer;
}

json::value ParseJson(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error);
  return error ? json::value(nullptr) : value;
}

std::string At(const json::value& value, std::string_view pointer) {
  boost::system::error_code error;
  const json::value* found = value.find_pointer({pointer.data(), pointer.size()}, error);
  if (found == nullptr) return {};
  return found->is_string() ? std::string(found->get_string()) : json::serialize(*found);
}

std::string At(const Reply& reply, std::string_view pointer) {
  return At(ParseJson(reply.body), pointer);
}

std::vector<double> Numbers(const Reply& reply, std::string_view pointer) {
  const json::value body = ParseJson(reply.body);
  boost::system::error_code error;
  const json::value* found = body.find_pointer({pointer.data(), pointer.size()}, error);
  std::vector<double> out;
  if (found == nullptr || !found->is_array()) return out;
  for (const json::value& number : found->as_array()) out.push_back(number.to_number<double>());
  return out;
}

std::string ErrorText(const Reply& reply) {
  const json::value body = ParseJson(reply.body);
  const std::string management = At(body, "/error/message");
  return management.empty() ? At(body, "/error") : management;
}

}  // namespace mlos::test
