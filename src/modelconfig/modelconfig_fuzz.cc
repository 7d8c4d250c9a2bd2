// SPDX-License-Identifier: Apache-2.0
//
// Any text is a configuration or refused with a reason; what was read is the
// same after either form of JSON, and can be compared with a model.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "modelconfig/complete.h"
#include "modelconfig/fields.h"
#include "modelconfig/json.h"
#include "modelconfig/text.h"

namespace {

using mlos::modelconfig::Form;

mlos::ModelInfo Model() {
  mlos::ModelInfo info;
  info.inputs = {{"x", mlos::tensor::Datatype::kFp32, {-1, 3}, false}};
  info.outputs = {{"y", mlos::tensor::Datatype::kBytes, {-1}, false}};
  info.max_batch_size = 4;
  return info;
}

// Maps have no order: JSON, which sorts them, is what is compared.
void MustBeTheSame(const inference::ModelConfig& config) {
  const boost::json::object given = ToJson(config, Form::kGiven);
  for (const Form form : {Form::kGiven, Form::kFull}) {
    const auto again = mlos::modelconfig::FromJson(ToJson(config, form));
    if (!again.ok() || ToJson(*again, Form::kGiven) != given) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = mlos::modelconfig::ParseText(text);
  if (!config.ok()) {
    if (mlos::Message(config.status()).empty()) std::abort();
    config = mlos::modelconfig::ParseJson(text);
    if (!config.ok()) {
      if (mlos::Message(config.status()).empty()) std::abort();
      return 0;
    }
  }
  MustBeTheSame(*config);
  (void)mlos::modelconfig::Examine(*config);
  const mlos::ModelInfo model = Model();
  if (mlos::modelconfig::Check(*config, model).ok()) {
    mlos::modelconfig::Complete("m", "p", model, &*config);
    if (!mlos::modelconfig::Check(*config, model).ok()) std::abort();
    MustBeTheSame(*config);
  }
  return 0;
}
