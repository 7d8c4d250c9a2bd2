// SPDX-License-Identifier: Apache-2.0
//
// The generate extension: a JSON object's members are the model's inputs, by
// their names, and what is no input is a parameter.
//
// GenerateRequest is one per request; it owns what it was made from.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "frontends/common/infer_plan.h"
#include "frontends/http/request.h"
#include "tensor/message.h"
#include "tensor/model_info.h"

namespace mlos::http {

class GenerateRequest {
 public:
  // Only that it is an object, and what is not the model's: id and timeout.
  Status Parse(const Body& body);
  const std::string& id() const { return id_; }
  uint64_t timeout_us() const { return timeout_us_; }  // 0: none given

  // Finds the inputs, shapes them to fit, and puts their elements in order.
  Status Plan(std::string_view model, const ModelInfo& info, tensor::RequestPlan* plan);
  void Fill(const tensor::RequestPlan& plan, std::span<std::byte> block) const;

 private:
  struct Input {
    std::string name;
    tensor::TensorDesc desc;
    std::vector<std::byte> data;
  };
  Status Take(const ModelInfo& info, std::string_view name, const boost::json::value& value);

  boost::json::object members_;
  std::string id_;
  uint64_t timeout_us_ = 0;
  std::vector<Input> inputs_;
  boost::json::object rest_;  // the parameters for the model
  size_t rest_bytes_ = 0;     // their text is no shorter
  std::string parameters_;    // as text
  frontend::PlanBuilder builder_;
};

}  // namespace mlos::http
