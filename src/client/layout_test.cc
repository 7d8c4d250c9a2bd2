// SPDX-License-Identifier: Apache-2.0
//
// The binary interface of mlos/client.h as programs were built against it: nothing here
// is ever changed, and what is appended to a struct is added here.  The numbers are those
// of a 64-bit machine.  (A compiler is the whole test.)
#include <cstddef>

#include "mlos/client.h"
#include "mlos/smi.h"

static_assert(sizeof(mlos_error) == 16);
static_assert(offsetof(mlos_error, struct_size) == 0);
static_assert(offsetof(mlos_error, capacity) == 4);
static_assert(offsetof(mlos_error, text) == 8);
static_assert(sizeof(mlos_client_options) == 32);
static_assert(offsetof(mlos_client_options, struct_size) == 0);
static_assert(offsetof(mlos_client_options, token) == 8);
static_assert(offsetof(mlos_client_options, name) == 16);
static_assert(offsetof(mlos_client_options, timeout_us) == 24);
static_assert(sizeof(mlos_server) == 32);
static_assert(offsetof(mlos_server, struct_size) == 0);
static_assert(offsetof(mlos_server, ready) == 4);
static_assert(offsetof(mlos_server, not_ready) == 8);
static_assert(offsetof(mlos_server, name) == 16);
static_assert(offsetof(mlos_server, version) == 24);
static_assert(sizeof(mlos_model_info) == 48);
static_assert(offsetof(mlos_model_info, struct_size) == 0);
static_assert(offsetof(mlos_model_info, name) == 8);
static_assert(offsetof(mlos_model_info, version) == 16);
static_assert(offsetof(mlos_model_info, platform) == 24);
static_assert(offsetof(mlos_model_info, max_batch_size) == 32);
static_assert(offsetof(mlos_model_info, input_count) == 36);
static_assert(offsetof(mlos_model_info, output_count) == 40);
static_assert(sizeof(mlos_tensor_info) == 32);
static_assert(offsetof(mlos_tensor_info, struct_size) == 0);
static_assert(offsetof(mlos_tensor_info, datatype) == 4);
static_assert(offsetof(mlos_tensor_info, name) == 8);
static_assert(offsetof(mlos_tensor_info, dims) == 16);
static_assert(offsetof(mlos_tensor_info, rank) == 24);
static_assert(offsetof(mlos_tensor_info, optional) == 28);
static_assert(sizeof(mlos_tensor) == 160);
static_assert(offsetof(mlos_tensor, struct_size) == 0);
static_assert(offsetof(mlos_tensor, index) == 4);
static_assert(offsetof(mlos_tensor, datatype) == 8);
static_assert(offsetof(mlos_tensor, rank) == 12);
static_assert(offsetof(mlos_tensor, dims) == 16);
static_assert(offsetof(mlos_tensor, bytes) == 144);
static_assert(offsetof(mlos_tensor, data) == 152);
static_assert(sizeof(mlos_request) == 40);
static_assert(offsetof(mlos_request, struct_size) == 0);
static_assert(offsetof(mlos_request, input_count) == 4);
static_assert(offsetof(mlos_request, inputs) == 8);
static_assert(offsetof(mlos_request, outputs) == 16);
static_assert(offsetof(mlos_request, output_count) == 24);
static_assert(offsetof(mlos_request, parameters) == 32);

static_assert(sizeof(mlos_code) == 4 && sizeof(mlos_datatype) == 4);
static_assert(MLOS_OK == 0 && MLOS_CANCELLED == 1 && MLOS_UNKNOWN == 2);
static_assert(MLOS_INVALID_ARGUMENT == 3 && MLOS_DEADLINE_EXCEEDED == 4 && MLOS_NOT_FOUND == 5);
static_assert(MLOS_ALREADY_EXISTS == 6 && MLOS_PERMISSION_DENIED == 7);
static_assert(MLOS_RESOURCE_EXHAUSTED == 8 && MLOS_FAILED_PRECONDITION == 9 && MLOS_ABORTED == 10);
static_assert(MLOS_OUT_OF_RANGE == 11 && MLOS_UNIMPLEMENTED == 12 && MLOS_INTERNAL == 13);
static_assert(MLOS_UNAVAILABLE == 14 && MLOS_DATA_LOSS == 15 && MLOS_UNAUTHENTICATED == 16);

namespace {
constexpr bool Same(mlos_datatype mine, smi_datatype smis) { return mine == smis; }
}  // namespace
// Both headers number datatypes alike, and as the protocol inside does.
static_assert(Same(MLOS_INT8, SMI_INT8) && Same(MLOS_INT16, SMI_INT16) &&
              Same(MLOS_INT32, SMI_INT32));
static_assert(Same(MLOS_INT64, SMI_INT64) && Same(MLOS_UINT8, SMI_UINT8) &&
              Same(MLOS_UINT16, SMI_UINT16));
static_assert(Same(MLOS_UINT32, SMI_UINT32) && Same(MLOS_UINT64, SMI_UINT64) &&
              Same(MLOS_FP16, SMI_FP16));
static_assert(Same(MLOS_FP32, SMI_FP32) && Same(MLOS_FP64, SMI_FP64) && Same(MLOS_BF16, SMI_BF16));
static_assert(Same(MLOS_BOOL, SMI_BOOL) && Same(MLOS_BYTES, SMI_BYTES));
static_assert(MLOS_MAX_RANK == SMI_MAX_RANK);
