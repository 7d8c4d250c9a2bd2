// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/request_port.h"

#include <fmt/core.h>

#include "plugin_host/artefact.h"
#include "tensor/datatype.h"

namespace mlos::plugin_host {

using tensor::DatatypeName;
using tensor::ShapeText;

smi_code CheckOutput(const TensorInfo& declared, const std::string& label, smi_datatype datatype,
                     uint32_t rank, const int64_t* shape, uint64_t byte_size, smi_error* error) {
  if (rank > SMI_MAX_RANK || (rank > 0 && shape == nullptr) ||
      static_cast<tensor::Datatype>(datatype) != declared.datatype ||
      !tensor::Matches(declared.shape, {shape, rank})) {
    SetError(error, fmt::format(
                        "{}: output \"{}\" is {} {}, the plugin allocates {} {}", label,
                        declared.name, DatatypeName(declared.datatype), ShapeText(declared.shape),
                        DatatypeName(static_cast<tensor::Datatype>(datatype)),
                        rank > SMI_MAX_RANK ? "of too many dimensions" : ShapeText({shape, rank})));
    return SMI_INVALID_ARGUMENT;
  }
  uint64_t bytes = 0;
  const bool strings = declared.datatype == tensor::Datatype::kBytes;
  const bool counted = strings ? tensor::ElementCount({shape, rank}, &bytes)
                               : tensor::ByteSize(declared.datatype, {shape, rank}, &bytes);
  const bool fits = strings ? byte_size / 4 >= bytes : bytes == byte_size;
  if (counted && fits) return SMI_OK;
  SetError(error, fmt::format("{}: output \"{}\" of shape {} cannot have {} bytes", label,
                              declared.name, ShapeText({shape, rank}), byte_size));
  return SMI_INVALID_ARGUMENT;
}

}  // namespace mlos::plugin_host
