// SPDX-License-Identifier: Apache-2.0
//
// What a plugin may do with a request that it was given: the smi_host_api's
// functions about requests end here.  smi_request.host_data points to one.
//
// Threads: whichever the plugin uses, never two at once for one request.
#pragma once

#include <cstdint>
#include <string>

#include "mlos/smi.h"
#include "tensor/model_info.h"

namespace mlos::plugin_host {

class RequestPort {
 public:
  virtual ~RequestPort() = default;
  virtual smi_code AllocateOutput(uint32_t index, smi_datatype datatype, uint32_t rank,
                                  const int64_t* shape, uint64_t byte_size, void** data,
                                  smi_error* error) = 0;
  virtual smi_code Respond(smi_error* error) = 0;
  virtual void FailFromPlugin(smi_code code, const char* text) = 0;
  virtual bool IsCancelled() const = 0;
};

// SMI_OK, or why an output that the model declares so cannot be allocated like
// this; `label` names the model.
smi_code CheckOutput(const TensorInfo& declared, const std::string& label, smi_datatype datatype,
                     uint32_t rank, const int64_t* shape, uint64_t byte_size, smi_error* error);

}  // namespace mlos::plugin_host
