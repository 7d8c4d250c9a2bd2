// SPDX-License-Identifier: Apache-2.0
#include "client/description.h"

#include <fmt/core.h>

#include <algorithm>

namespace mlos::client {
namespace {

Status Copy(const std::vector<ipc::DescribedTensor>& told, std::vector<TensorInfo>* out) {
  for (const ipc::DescribedTensor& tensor : told) {
    TensorInfo& info = out->emplace_back();
    info.name = tensor.name;
    info.datatype = static_cast<tensor::Datatype>(tensor.datatype);
    info.shape.assign(tensor.shape().begin(), tensor.shape().end());
    info.optional = tensor.optional;
    if (!tensor::IsKnown(info.datatype)) {
      return Internal(fmt::format("the daemon names a datatype {} for \"{}\" that there is not",
                                  tensor.datatype, info.name));
    }
  }
  return OkStatus();
}

bool Same(const std::vector<TensorInfo>& a, const std::vector<TensorInfo>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const TensorInfo& x, const TensorInfo& y) {
                      return x.name == y.name && x.datatype == y.datatype && x.shape == y.shape &&
                             x.optional == y.optional;
                    });
}

}  // namespace

StatusOr<Description> Description::From(const ipc::ModelDescription& told) {
  Description description;
  description.name = told.name;
  description.version = told.version;
  description.platform = told.platform;
  description.max_batch_size = told.max_batch_size;
  MLOS_RETURN_IF_ERROR(Copy(told.inputs, &description.inputs));
  MLOS_RETURN_IF_ERROR(Copy(told.outputs, &description.outputs));
  return description;
}

bool Description::TakesTheSame(const Description& other) const {
  return Same(inputs, other.inputs) && Same(outputs, other.outputs);
}

}  // namespace mlos::client
