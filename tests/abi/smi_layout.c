/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the layout of everything in mlos/smi.h, one fact a line, for
 * comparison with the golden file.  A field or a number that is added to the
 * header is added here; abi_test fails while it is missing.
 */
#include <inttypes.h>
#include <stdio.h>

#include "mlos/smi.h"

#define STRUCT(s) printf("struct %s size %zu align %zu\n", #s, sizeof(s), _Alignof(s))
#define FIELD(s, f) \
  printf("field %s.%s offset %zu size %zu\n", #s, #f, offsetof(s, f), sizeof(((s*)0)->f))
#define NUMBER(n) printf("number %s %" PRId64 "\n", #n, (int64_t)(n))
#define SIZE(t) printf("type %s size %zu signed %d\n", #t, sizeof(t), (t)-1 < (t)1)
#define TEXT(t) printf("text %s %s\n", #t, t)

static void PrintNumbers(void) {
  NUMBER(SMI_VERSION_MAJOR);
  NUMBER(SMI_VERSION_MINOR);
  NUMBER(SMI_MAX_RANK);
  SIZE(smi_code);
  NUMBER(SMI_OK);
  NUMBER(SMI_CANCELLED);
  NUMBER(SMI_INVALID_ARGUMENT);
  NUMBER(SMI_DEADLINE_EXCEEDED);
  NUMBER(SMI_NOT_FOUND);
  NUMBER(SMI_RESOURCE_EXHAUSTED);
  NUMBER(SMI_FAILED_PRECONDITION);
  NUMBER(SMI_UNIMPLEMENTED);
  NUMBER(SMI_INTERNAL);
  NUMBER(SMI_UNAVAILABLE);
  SIZE(smi_datatype);
  NUMBER(SMI_INVALID);
  NUMBER(SMI_INT8);
  NUMBER(SMI_INT16);
  NUMBER(SMI_INT32);
  NUMBER(SMI_INT64);
  NUMBER(SMI_UINT8);
  NUMBER(SMI_UINT16);
  NUMBER(SMI_UINT32);
  NUMBER(SMI_UINT64);
  NUMBER(SMI_FP16);
  NUMBER(SMI_FP32);
  NUMBER(SMI_FP64);
  NUMBER(SMI_BF16);
  NUMBER(SMI_BOOL);
  NUMBER(SMI_BYTES);
  SIZE(smi_replay);
  NUMBER(SMI_REPLAY_SAFE);
  NUMBER(SMI_REPLAY_NEVER);
  SIZE(smi_log_level);
  NUMBER(SMI_LOG_DEBUG);
  NUMBER(SMI_LOG_INFO);
  NUMBER(SMI_LOG_WARNING);
  NUMBER(SMI_LOG_ERROR);
  TEXT(SMI_PLUGIN_ENTRY_SYMBOL);
  TEXT(SMI_EXT_WARM_UP);
  TEXT(SMI_EXT_PROPERTIES);
}

static void PrintTensors(void) {
  STRUCT(smi_error);
  FIELD(smi_error, struct_size);
  FIELD(smi_error, capacity);
  FIELD(smi_error, text);
  STRUCT(smi_tensor_spec);
  FIELD(smi_tensor_spec, struct_size);
  FIELD(smi_tensor_spec, datatype);
  FIELD(smi_tensor_spec, name);
  FIELD(smi_tensor_spec, rank);
  FIELD(smi_tensor_spec, optional);
  FIELD(smi_tensor_spec, shape);
  STRUCT(smi_tensor);
  FIELD(smi_tensor, struct_size);
  FIELD(smi_tensor, index);
  FIELD(smi_tensor, datatype);
  FIELD(smi_tensor, rank);
  FIELD(smi_tensor, shape);
  FIELD(smi_tensor, data);
  FIELD(smi_tensor, byte_size);
  STRUCT(smi_request);
  FIELD(smi_request, struct_size);
  FIELD(smi_request, slot);
  FIELD(smi_request, input_count);
  FIELD(smi_request, output_count);
  FIELD(smi_request, inputs);
  FIELD(smi_request, outputs);
  FIELD(smi_request, parameters);
  FIELD(smi_request, deadline_ns);
  FIELD(smi_request, host_data);
}

static void PrintModels(void) {
  STRUCT(smi_model_info);
  FIELD(smi_model_info, struct_size);
  FIELD(smi_model_info, input_count);
  FIELD(smi_model_info, inputs);
  FIELD(smi_model_info, output_count);
  FIELD(smi_model_info, max_batch_size);
  FIELD(smi_model_info, outputs);
  FIELD(smi_model_info, max_concurrency);
  FIELD(smi_model_info, replay);
  FIELD(smi_model_info, memory_bytes);
  FIELD(smi_model_info, platform);
  STRUCT(smi_blob);
  FIELD(smi_blob, struct_size);
  FIELD(smi_blob, fd);
  FIELD(smi_blob, data);
  FIELD(smi_blob, size);
  STRUCT(smi_load_params);
  FIELD(smi_load_params, struct_size);
  FIELD(smi_load_params, name);
  FIELD(smi_load_params, version);
  FIELD(smi_load_params, config);
  FIELD(smi_load_params, artefact);
  FIELD(smi_load_params, threads);
}

static void PrintTables(void) {
  STRUCT(smi_host_api);
  FIELD(smi_host_api, struct_size);
  FIELD(smi_host_api, version_minor);
  FIELD(smi_host_api, context);
  FIELD(smi_host_api, log);
  FIELD(smi_host_api, artefact_count);
  FIELD(smi_host_api, artefact_name);
  FIELD(smi_host_api, open_artefact);
  FIELD(smi_host_api, allocate_output);
  FIELD(smi_host_api, respond);
  FIELD(smi_host_api, fail);
  FIELD(smi_host_api, is_cancelled);
  FIELD(smi_host_api, get_extension);
  STRUCT(smi_plugin_api);
  FIELD(smi_plugin_api, struct_size);
  FIELD(smi_plugin_api, version_major);
  FIELD(smi_plugin_api, version_minor);
  FIELD(smi_plugin_api, name);
  FIELD(smi_plugin_api, version);
  FIELD(smi_plugin_api, create);
  FIELD(smi_plugin_api, destroy);
  FIELD(smi_plugin_api, load);
  FIELD(smi_plugin_api, unload);
  FIELD(smi_plugin_api, describe);
  FIELD(smi_plugin_api, execute);
  FIELD(smi_plugin_api, get_extension);
  STRUCT(smi_ext_warm_up);
  FIELD(smi_ext_warm_up, struct_size);
  FIELD(smi_ext_warm_up, reserved);
  FIELD(smi_ext_warm_up, warm_up);
  STRUCT(smi_ext_properties);
  FIELD(smi_ext_properties, struct_size);
  FIELD(smi_ext_properties, reserved);
  FIELD(smi_ext_properties, properties);
}

int main(void) {
  PrintNumbers();
  PrintTensors();
  PrintModels();
  PrintTables();
  return 0;
}
