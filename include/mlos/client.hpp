// SPDX-License-Identifier: Apache-2.0
//
// libmlos for C++20: mlos/client.h with owners, spans and exceptions.  Header only.
//
//   mlos::Client client;
//   mlos::Model model = client.Open("digits");
//   mlos::Call call = model.Prepare({{"image", {1, 64}}});
//   std::ranges::copy(pixels, call.Input<float>("image").begin());
//   call.Run();
//   for (float p : call.Output<float>("probabilities")) ...
//
// A client owns the connection; models keep it, and calls their model.
// One thread at a time for a client and all that belongs to it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mlos/client.h"

namespace mlos {

// What goes wrong is thrown; what() has the name of the code and the text.
class Error : public std::runtime_error {
 public:
  Error(mlos_code code, const std::string& text)
      : std::runtime_error(std::string(mlos_code_name(code)) + ": " + text), code_(code) {}
  mlos_code code() const { return code_; }

 private:
  mlos_code code_;
};

namespace detail {

// Room for the text of one call.
class Reason {
 public:
  mlos_error* get() { return &error_; }
  void Check(mlos_code code) const {
    if (code != MLOS_OK) throw Error(code, text_.data());
  }

 private:
  std::array<char, 2048> text_{};
  mlos_error error_{sizeof(mlos_error), static_cast<uint32_t>(text_.size()), text_.data()};
};

template <typename T>
constexpr mlos_datatype kDatatype = 0;
template <>
inline constexpr mlos_datatype kDatatype<int8_t> = MLOS_INT8;
template <>
inline constexpr mlos_datatype kDatatype<int16_t> = MLOS_INT16;
template <>
inline constexpr mlos_datatype kDatatype<int32_t> = MLOS_INT32;
template <>
inline constexpr mlos_datatype kDatatype<int64_t> = MLOS_INT64;
template <>
inline constexpr mlos_datatype kDatatype<uint8_t> = MLOS_UINT8;
template <>
inline constexpr mlos_datatype kDatatype<uint16_t> = MLOS_UINT16;
template <>
inline constexpr mlos_datatype kDatatype<uint32_t> = MLOS_UINT32;
template <>
inline constexpr mlos_datatype kDatatype<uint64_t> = MLOS_UINT64;
template <>
inline constexpr mlos_datatype kDatatype<float> = MLOS_FP32;
template <>
inline constexpr mlos_datatype kDatatype<double> = MLOS_FP64;
template <>
inline constexpr mlos_datatype kDatatype<bool> = MLOS_BOOL;

// std::byte takes any datatype.
template <typename T>
std::span<T> ElementsOf(const mlos_tensor& tensor, std::string_view name) {
  if constexpr (!std::is_same_v<T, std::byte>) {
    if (kDatatype<T> != tensor.datatype) {
      throw Error(MLOS_INVALID_ARGUMENT, "tensor \"" + std::string(name) + "\" is of " +
                                             mlos_datatype_name(tensor.datatype));
    }
  }
  return {static_cast<T*>(tensor.data), tensor.bytes / sizeof(T)};
}

}  // namespace detail

// So long a call may take; the default of mlos/client.h is a minute.
using Micros = std::chrono::microseconds;
constexpr Micros kDefaultTime{0};
constexpr Micros kNoEnd{-1};

struct TensorInfo {
  std::string name;
  mlos_datatype datatype = 0;
  std::vector<int64_t> dims;  // -1: any size
  bool optional = false;
};

class Model;

class Call {
 public:
  Call(Call&&) = default;
  Call& operator=(Call&&) = default;

  // To be written; stays where it is as long as the call.
  template <typename T>
  std::span<T> Input(std::string_view name) const;
  // Of the last run, which succeeded; valid until the next.
  template <typename T>
  std::span<const T> Output(std::string_view name) const;
  std::vector<int64_t> OutputDims(std::string_view name) const;

  void Run(Micros limit = kDefaultTime) {
    detail::Reason why;
    why.Check(mlos_call_run(call_.get(), limit.count(), why.get()));
  }
  void Submit(Micros limit = kDefaultTime) {
    detail::Reason why;
    why.Check(mlos_call_submit(call_.get(), limit.count(), why.get()));
  }
  void Wait() {
    detail::Reason why;
    why.Check(mlos_call_wait(call_.get(), why.get()));
  }
  bool Done() const { return mlos_call_done(call_.get()); }
  void Cancel() { mlos_call_cancel(call_.get()); }
  mlos_call* get() const { return call_.get(); }

 private:
  friend class Model;
  struct Names {
    std::vector<TensorInfo> inputs;
    std::vector<TensorInfo> outputs;
  };
  // Whoever is destroyed or assigned first, a call keeps its model, and that its client.
  Call(std::shared_ptr<const Names> names, std::shared_ptr<mlos_model> model, mlos_call* call)
      : names_(std::move(names)),
        call_(call, [model = std::move(model)](mlos_call* one) { mlos_call_destroy(one); }) {}
  mlos_tensor OutputOf(std::string_view name) const;

  std::shared_ptr<const Names> names_;
  std::shared_ptr<mlos_call> call_;
  std::vector<mlos_tensor> inputs_;
};

class Model {
 public:
  Model(Model&&) = default;
  Model& operator=(Model&&) = default;

  struct Input {
    std::string name;
    std::vector<int64_t> dims;
    uint64_t bytes = 0;  // of BYTES, which have no size of their own
  };

  const std::vector<TensorInfo>& inputs() const { return names_->inputs; }
  const std::vector<TensorInfo>& outputs() const { return names_->outputs; }
  std::string version() const {
    mlos_model_info info{};
    info.struct_size = sizeof(info);
    mlos_model_describe(model_.get(), &info);
    return info.version;
  }

  // Lays a request out.  `wanted`: names of outputs; empty: all.
  Call Prepare(const std::vector<Input>& inputs, const std::vector<std::string>& wanted = {},
               const std::string& parameters = {}) const {
    detail::Reason why;
    mlos_call* made = nullptr;
    why.Check(mlos_call_create(model_.get(), &made, why.get()));
    Call call(names_, model_, made);
    for (const Input& input : inputs) {
      mlos_tensor& tensor = call.inputs_.emplace_back();
      tensor.struct_size = sizeof(tensor);
      tensor.index = IndexOf(names_->inputs, input.name, "input");
      tensor.rank = static_cast<uint32_t>(input.dims.size());
      if (tensor.rank > MLOS_MAX_RANK) throw Error(MLOS_INVALID_ARGUMENT, "too many dimensions");
      for (size_t i = 0; i < input.dims.size(); ++i) tensor.dims[i] = input.dims[i];
      tensor.bytes = input.bytes;
    }
    std::vector<uint32_t> outputs;
    for (const std::string& name : wanted) {
      outputs.push_back(IndexOf(names_->outputs, name, "output"));
    }
    mlos_request request{};
    request.struct_size = sizeof(request);
    request.input_count = static_cast<uint32_t>(call.inputs_.size());
    request.inputs = call.inputs_.data();
    request.outputs = outputs.data();
    request.output_count = static_cast<uint32_t>(outputs.size());
    request.parameters = parameters.empty() ? nullptr : parameters.c_str();
    why.Check(mlos_call_prepare(made, &request, 0, why.get()));
    return call;
  }

  mlos_model* get() const { return model_.get(); }

 private:
  friend class Client;
  friend class Call;
  Model(std::shared_ptr<mlos_client> client, mlos_model* model)
      : model_(model, [client = std::move(client)](mlos_model* one) { mlos_model_close(one); }) {
    auto names = std::make_shared<Call::Names>();
    mlos_tensor_info info{};
    info.struct_size = sizeof(info);
    for (uint32_t i = 0; mlos_model_input(model, i, &info) == MLOS_OK; ++i) {
      names->inputs.push_back(Copy(info));
    }
    for (uint32_t i = 0; mlos_model_output(model, i, &info) == MLOS_OK; ++i) {
      names->outputs.push_back(Copy(info));
    }
    names_ = std::move(names);
  }
  static TensorInfo Copy(const mlos_tensor_info& info) {
    return {info.name, info.datatype, {info.dims, info.dims + info.rank}, info.optional};
  }
  static uint32_t IndexOf(const std::vector<TensorInfo>& tensors, std::string_view name,
                          const char* what) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].name == name) return static_cast<uint32_t>(i);
    }
    throw Error(MLOS_NOT_FOUND,
                "the model has no " + std::string(what) + " \"" + std::string(name) + "\"");
  }

  std::shared_ptr<mlos_model> model_;
  std::shared_ptr<const Call::Names> names_;
};

class Client {
 public:
  // Empty: this user's daemon, or what MLOS_HOST says.
  explicit Client(const std::string& address = {}, const std::string& token = {}) {
    detail::Reason why;
    mlos_client_options options{};
    options.struct_size = sizeof(options);
    options.token = token.empty() ? nullptr : token.c_str();
    mlos_client* made = nullptr;
    why.Check(
        mlos_connect(address.empty() ? nullptr : address.c_str(), &options, &made, why.get()));
    client_ = std::shared_ptr<mlos_client>(made, mlos_disconnect);
  }

  Model Open(const std::string& name, const std::string& version = {},
             Micros limit = kDefaultTime) const {
    detail::Reason why;
    mlos_model* model = nullptr;
    why.Check(mlos_model_open(client_.get(), name.c_str(),
                              version.empty() ? nullptr : version.c_str(), limit.count(), &model,
                              why.get()));
    return Model(client_, model);
  }

  // An operation of the management interface; gives its JSON.
  std::string Control(const std::string& operation, const std::string& name = {},
                      const std::string& version = {}, const std::string& body = {},
                      Micros limit = kDefaultTime) const {
    detail::Reason why;
    const char* json = "";
    why.Check(mlos_control(client_.get(), operation.c_str(), name.c_str(), version.c_str(),
                           body.c_str(), true, limit.count(), &json, why.get()));
    return json;
  }

  mlos_client* get() const { return client_.get(); }

 private:
  std::shared_ptr<mlos_client> client_;
};

template <typename T>
std::span<T> Call::Input(std::string_view name) const {
  const uint32_t index = Model::IndexOf(names_->inputs, name, "input");
  for (const mlos_tensor& tensor : inputs_) {
    if (tensor.index == index) return detail::ElementsOf<T>(tensor, name);
  }
  throw Error(MLOS_NOT_FOUND, "the call was prepared without input \"" + std::string(name) + "\"");
}

inline mlos_tensor Call::OutputOf(std::string_view name) const {
  mlos_tensor tensor{};
  tensor.struct_size = sizeof(tensor);
  const uint32_t index = Model::IndexOf(names_->outputs, name, "output");
  if (mlos_call_output(call_.get(), index, &tensor) != MLOS_OK) {
    throw Error(MLOS_OUT_OF_RANGE, "the last run gave no output \"" + std::string(name) + "\"");
  }
  return tensor;
}

template <typename T>
std::span<const T> Call::Output(std::string_view name) const {
  return detail::ElementsOf<T>(OutputOf(name), name);
}

inline std::vector<int64_t> Call::OutputDims(std::string_view name) const {
  const mlos_tensor tensor = OutputOf(name);
  return {tensor.dims, tensor.dims + tensor.rank};
}

}  // namespace mlos
