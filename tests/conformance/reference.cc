// SPDX-License-Identifier: Apache-2.0
//
// conformance_reference: runs models in this process with ONNX Runtime itself, the very library
// that is in the plugin's package and with the plugin's default settings, and with nothing of ours
// around it. What the daemon answers is compared with what this program answers, bit for bit.
//
// On standard input a line of JSON for each model, and behind it the bytes of its inputs:
//
//   {"model": PATH, "outputs": [NAME, ...],
//    "sets": [[{"name", "datatype", "shape", "bytes"}, ...], ...]}
//
// On standard output a line of JSON, and behind it the bytes of the outputs: {"load_error": TEXT},
// or for each set either the outputs' [{"datatype", "shape", "bytes"}, ...] or {"error": TEXT}.
// The first line of all is {"version": TEXT, "pid": NUMBER}. One thread.

#include <onnxruntime_cxx_api.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "settings.h"
#include "tensor_types.h"

namespace mlos::conformance {
namespace {

namespace json = boost::json;

struct TypeName {
  const char* name;
  ONNXTensorElementDataType type;
};
constexpr TypeName kTypes[] = {
    {"BOOL", ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL},
    {"UINT8", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},
    {"UINT16", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16},
    {"UINT32", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32},
    {"UINT64", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64},
    {"INT8", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8},
    {"INT16", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16},
    {"INT32", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},
    {"INT64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
    {"FP16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
    {"BF16", ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16},
    {"FP32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
    {"FP64", ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE},
    {"BYTES", ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING},
};

ONNXTensorElementDataType TypeOf(std::string_view name) {
  for (const TypeName& row : kTypes) {
    if (name == row.name) return row.type;
  }
  throw std::runtime_error("no such datatype: " + std::string(name));
}

const char* NameOf(ONNXTensorElementDataType type) {
  for (const TypeName& row : kTypes) {
    if (type == row.type) return row.name;
  }
  throw std::runtime_error("an output has a datatype that the protocol lacks");
}

std::string Text(const json::value& value) {
  const json::string& text = value.as_string();
  return {text.data(), text.size()};
}

// The numbers come from the plugin's own table of defaults; a plugin host grants one thread.
Ort::SessionOptions DefaultOptions() {
  const onnxrt::Settings settings;
  const char* spin = settings.allow_spinning ? "1" : "0";
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1)
      .SetInterOpNumThreads(static_cast<int>(settings.inter_op_threads))
      .SetExecutionMode(settings.parallel_execution ? ORT_PARALLEL : ORT_SEQUENTIAL)
      .SetGraphOptimizationLevel(settings.optimization)
      .AddConfigEntry("session.intra_op.allow_spinning", spin)
      .AddConfigEntry("session.inter_op.allow_spinning", spin);
  if (!settings.cpu_mem_arena) options.DisableCpuMemArena();
  if (!settings.mem_pattern) options.DisableMemPattern();
  return options;
}

// One tensor of a request, with the memory that it lies in.
class Input {
 public:
  explicit Input(const json::object& described)
      : name_(Text(described.at("name"))),
        type_(TypeOf(Text(described.at("datatype")))),
        bytes_(described.at("bytes").to_number<size_t>()) {
    for (const json::value& dim : described.at("shape").as_array()) {
      shape_.push_back(dim.to_number<int64_t>());
    }
    memory_.resize(bytes_ / sizeof(std::max_align_t) + 1);
    std::cin.read(reinterpret_cast<char*>(memory_.data()), static_cast<std::streamsize>(bytes_));
  }

  const char* name() const { return name_.c_str(); }

  Ort::Value Value() {
    if (type_ == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) return Strings();
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
    return Ort::Value::CreateTensor(memory, memory_.data(), bytes_, shape_.data(), shape_.size(),
                                    type_);
  }

 private:
  Ort::Value Strings() {
    Ort::AllocatorWithDefaultOptions allocator;
    auto value = Ort::Value::CreateTensor(allocator, shape_.data(), shape_.size(), type_);
    const char* at = reinterpret_cast<const char*>(memory_.data());
    const char* const end = at + bytes_;
    for (size_t i = 0; at < end; ++i) {
      uint32_t length = 0;
      std::memcpy(&length, at, sizeof(length));
      at += sizeof(length);
      char* const to = value.GetResizedStringTensorElementBuffer(i, length);
      if (length > 0) std::memcpy(to, at, length);
      at += length;
    }
    return value;
  }

  std::string name_;
  ONNXTensorElementDataType type_;
  size_t bytes_;
  std::vector<int64_t> shape_;
  std::vector<std::max_align_t> memory_;
};

// The binary form of an output, and its description.
json::object Describe(const Ort::Value& value, std::string* blobs) {
  if (!value.IsTensor()) throw std::runtime_error("an output is no tensor");
  const auto info = value.GetTensorTypeAndShapeInfo();
  const ONNXTensorElementDataType type = info.GetElementType();
  const size_t before = blobs->size();
  if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
    const size_t count = info.GetElementCount();
    for (size_t i = 0; i < count; ++i) {
      const std::string element = value.GetStringTensorElement(i);
      const auto length = static_cast<uint32_t>(element.size());
      blobs->append(reinterpret_cast<const char*>(&length), sizeof(length));
      blobs->append(element);
    }
  } else {
    const uint64_t size = onnxrt::ElementSize(onnxrt::FromOrt(type)) * info.GetElementCount();
    blobs->append(static_cast<const char*>(value.GetTensorRawData()), size);
  }
  json::array shape;
  for (const int64_t dim : info.GetShape()) shape.emplace_back(dim);
  return {{"datatype", NameOf(type)}, {"shape", shape}, {"bytes", blobs->size() - before}};
}

json::value RunSet(Ort::Session& session, std::vector<Input>& inputs,
                   const std::vector<const char*>& outputs, std::string* blobs) {
  const size_t before = blobs->size();
  try {
    std::vector<const char*> names;
    std::vector<Ort::Value> values;
    names.reserve(inputs.size());
    values.reserve(inputs.size());
    for (Input& input : inputs) {
      names.push_back(input.name());
      values.push_back(input.Value());
    }
    const auto results = session.Run(Ort::RunOptions(), names.data(), values.data(), values.size(),
                                     outputs.data(), outputs.size());
    json::array described;
    for (const Ort::Value& result : results) described.push_back(Describe(result, blobs));
    return described;
  } catch (const std::exception& error) {
    blobs->resize(before);
    return json::object{{"error", error.what()}};
  }
}

json::object RunModel(Ort::Env& env, const json::object& command, std::string* blobs) {
  // Everything is read before anything can go wrong, so that the next command is found.
  std::vector<std::vector<Input>> sets;
  for (const json::value& set : command.at("sets").as_array()) {
    std::vector<Input>& inputs = sets.emplace_back();
    for (const json::value& input : set.as_array()) inputs.emplace_back(input.as_object());
  }
  std::vector<std::string> names;
  std::vector<const char*> outputs;
  for (const json::value& name : command.at("outputs").as_array()) names.push_back(Text(name));
  outputs.reserve(names.size());
  for (const std::string& name : names) outputs.push_back(name.c_str());

  std::unique_ptr<Ort::Session> session;
  try {
    session =
        std::make_unique<Ort::Session>(env, Text(command.at("model")).c_str(), DefaultOptions());
  } catch (const std::exception& error) {
    return {{"load_error", error.what()}};
  }
  json::array answers;
  for (std::vector<Input>& inputs : sets) {
    answers.push_back(RunSet(*session, inputs, outputs, blobs));
  }
  return {{"sets", answers}};
}

int Main() {
  std::ios::sync_with_stdio(false);
  Ort::Env env(ORT_LOGGING_LEVEL_FATAL, "reference");
  std::cout << json::serialize(
                   json::object{{"version", Ort::GetVersionString()}, {"pid", ::getpid()}})
            << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::string blobs;
    const json::object answer = RunModel(env, json::parse(line).as_object(), &blobs);
    std::cout << json::serialize(answer) << '\n' << blobs << std::flush;
  }
  return 0;
}

}  // namespace
}  // namespace mlos::conformance

int main() {
  try {
    return mlos::conformance::Main();
  } catch (const std::exception& error) {
    std::cerr << "conformance_reference: " << error.what() << '\n';
    return 1;
  }
}
