/* SPDX-License-Identifier: Apache-2.0
 *
 * SMI, the Standard Model Interface: what a plugin implements so that mlOS can
 * run its framework's models.  This header is the whole contract; nothing else
 * of mlOS is needed to write, build or test a plugin.
 *
 * How it is used
 *   A plugin is a shared library that exports one symbol, smi_plugin_entry_v1,
 *   which returns a constant table of functions (struct smi_plugin_api).  The
 *   library is mapped by exactly one process, the plugin host, which runs one
 *   plugin version and nothing else.  The host calls, in this order:
 *
 *     create -> { load -> describe -> execute* -> unload }* -> destroy
 *
 *   Requests and results lie in memory shared with whoever asked.  The plugin
 *   reads inputs where they lie and writes outputs into memory that the host
 *   hands out (smi_host_api.allocate_output), so that a tensor is never copied
 *   on its way.
 *
 * Conventions of this binary interface
 *   1. C11 and <stddef.h>, <stdint.h>, <stdbool.h> only.  Compiles as C++.
 *   2. Every struct that crosses begins with `uint32_t struct_size`, set by
 *      whoever allocated it to sizeof(struct).  The reader uses the smaller of
 *      that and what it knows.  Structs grow at their end only; a field is
 *      never moved, resized or given another meaning within a major version.
 *   3. Arrays of structs are strided by struct_size of their first element.
 *   4. Functions return an smi_code.  On any code but SMI_OK the function may
 *      have written a sentence into the smi_error it was given: what is wrong,
 *      with names and values, and what to do.  The caller owns that buffer.
 *   5. Strings are UTF-8, end with NUL and live as long as the doc comment of
 *      their owner says.  Text from the host may come from a user: treat it as
 *      untrusted.
 *   6. Nothing may cross but calls: no exceptions, no longjmp, no fork, no
 *      exec, no signal handlers, no exit.  Standard output and error are
 *      captured as the plugin's log; use smi_host_api.log for levels.
 *   7. Threads.  Every function carries a tag:
 *        [control]    called on the control thread; never two at once
 *        [execute]    called on an execute thread; concurrent with other
 *                     [execute] calls on the same model only as far as
 *                     smi_model_info.max_concurrency allows, and concurrent
 *                     with [control] calls on *other* models
 *        [any-thread] may be called on any thread at any time between create
 *                     and destroy
 *      `unload` of a model is never concurrent with an `execute` of it.
 *   8. Numbers are in the machine's byte order, tensors are dense, row-major,
 *      and aligned to 64 bytes.
 */
#ifndef MLOS_SMI_H_
#define MLOS_SMI_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SMI_VERSION_MAJOR 1u
#define SMI_VERSION_MINOR 0u

/* Most dimensions a tensor can have. */
#define SMI_MAX_RANK 16u

#if defined(__GNUC__)
#define SMI_EXPORT __attribute__((visibility("default")))
#else
#define SMI_EXPORT
#endif

/* ------------------------------------------------------------------ codes */

/* Outcome of a call.  The numbers are those of gRPC's canonical codes; a
 * caller that meets a number it does not know treats it as SMI_INTERNAL. */
typedef int32_t smi_code;
enum {
  SMI_OK = 0,
  SMI_CANCELLED = 1,           /* the requester gave up */
  SMI_INVALID_ARGUMENT = 3,    /* the request or the artefact is wrong */
  SMI_DEADLINE_EXCEEDED = 4,   /* too late to be useful */
  SMI_NOT_FOUND = 5,           /* no such artefact file, tensor or extension */
  SMI_RESOURCE_EXHAUSTED = 8,  /* out of memory or another limit */
  SMI_FAILED_PRECONDITION = 9, /* not in this state */
  SMI_UNIMPLEMENTED = 12,      /* this plugin cannot do that */
  SMI_INTERNAL = 13,           /* a fault of the plugin or its framework */
  SMI_UNAVAILABLE = 14         /* try again later */
};

/* Where a callee puts the reason of a failure.  Owned by the caller; `text`
 * has room for `capacity` bytes, the final NUL included.  May be NULL. */
typedef struct smi_error {
  uint32_t struct_size;
  uint32_t capacity;
  char* text;
} smi_error;

/* -------------------------------------------------------------- datatypes */

/* Element types.  The value is DLPack's type code in the high byte and the
 * number of bits in the low byte, so that DLDataType is
 * {value >> 8, value & 0xff, 1}. */
typedef uint32_t smi_datatype;
enum {
  SMI_INVALID = 0,
  SMI_INT8 = 0x0008,
  SMI_INT16 = 0x0010,
  SMI_INT32 = 0x0020,
  SMI_INT64 = 0x0040,
  SMI_UINT8 = 0x0108,
  SMI_UINT16 = 0x0110,
  SMI_UINT32 = 0x0120,
  SMI_UINT64 = 0x0140,
  SMI_FP16 = 0x0210, /* IEEE 754 half */
  SMI_FP32 = 0x0220,
  SMI_FP64 = 0x0240,
  SMI_BF16 = 0x0410, /* the high half of an FP32 */
  SMI_BOOL = 0x0608, /* one byte, 0 or 1 */
  SMI_BYTES = 0x0300 /* per element: uint32_t length (little-endian), bytes */
};

/* ---------------------------------------------------------------- tensors */

/* What a model says about one of its inputs or outputs. */
typedef struct smi_tensor_spec {
  uint32_t struct_size;
  smi_datatype datatype;
  const char* name;
  uint32_t rank;        /* 0..SMI_MAX_RANK; 0 is a scalar */
  bool optional;        /* inputs only: may be left out */
  const int64_t* shape; /* `rank` numbers; -1 = any size */
} smi_tensor_spec;

/* One tensor of a request.  Everything in it is checked by the host before the
 * plugin sees it: rank and dims are in range, `byte_size` equals the product
 * of dims and element size (BYTES: every length prefix was walked), the
 * datatype is the declared one and fixed dimensions match.  The memory is
 * readable until the request is answered, must not be written, and may be
 * mapped read-only. */
typedef struct smi_tensor {
  uint32_t struct_size;
  uint32_t index; /* position in smi_model_info.inputs or .outputs */
  smi_datatype datatype;
  uint32_t rank;
  const int64_t* shape;
  const void* data;
  uint64_t byte_size;
} smi_tensor;

/* --------------------------------------------------------------- requests */

/* One inference request.  Valid from the call of `execute` until the request
 * is answered by respond() or fail(). */
typedef struct smi_request {
  uint32_t struct_size;
  /* A small number (below 65536) that is not shared by two running requests.
   * Requests with the same slot tend to use the same memory again, so a plugin
   * may keep framework values per slot; it must compare pointer and shape. */
  uint32_t slot;
  uint32_t input_count;
  uint32_t output_count;    /* 0: all outputs */
  const smi_tensor* inputs; /* in ascending order of index */
  const uint32_t* outputs;  /* indices of the outputs asked for, ascending */
  /* JSON object with the request's custom parameters, or NULL for none. */
  const char* parameters;
  /* CLOCK_MONOTONIC nanoseconds after which the answer is of no use. */
  uint64_t deadline_ns;
  void* host_data; /* the host's; do not touch */
} smi_request;

/* ------------------------------------------------------------------ model */

/* May a request be run again when the host died while running it? */
typedef uint32_t smi_replay;
enum {
  SMI_REPLAY_SAFE = 0, /* stateless: same inputs, same outputs, no effects */
  SMI_REPLAY_NEVER = 1 /* stateful: a second run could count twice */
};

/* What a loaded model is.  Owned by the model; valid until unload. */
typedef struct smi_model_info {
  uint32_t struct_size;
  uint32_t input_count;
  const smi_tensor_spec* inputs;
  uint32_t output_count;
  /* Largest leading dimension that the model takes as a batch; 0: the model
   * has no batch dimension.  Where it is above 0 every input and output has
   * a leading -1. */
  uint32_t max_batch_size;
  const smi_tensor_spec* outputs;
  /* How many `execute` calls on this model may run at once; 0 reads as 1. */
  uint32_t max_concurrency;
  smi_replay replay;
  /* Bytes of memory the loaded model takes beyond the artefact's mapped
   * pages; 0: not known. */
  uint64_t memory_bytes;
  /* What runs it, for metadata: "onnxruntime_onnx". */
  const char* platform;
} smi_model_info;

/* A model's files as the host gives them to `load`. */
typedef struct smi_artefact smi_artefact; /* the host's */

/* One opened file of an artefact.  The mapping is private and readable; it
 * lives until the model is unloaded. */
typedef struct smi_blob {
  uint32_t struct_size;
  int32_t fd; /* the same file, read-only; the host closes it */
  const void* data;
  uint64_t size;
} smi_blob;

/* What `load` is given.  Valid during the call. */
typedef struct smi_load_params {
  uint32_t struct_size;
  const char* name;    /* the model's name, for messages */
  const char* version; /* decimal */
  /* The model's configuration: JSON object in the form of ModelConfig ({} for
   * none).  A plugin takes its settings from "parameters" and
   * "instance_group", and ignores members that it does not know. */
  const char* config;
  const smi_artefact* artefact;
  /* Threads that were granted to one execute of this model; at least 1. */
  uint32_t threads;
} smi_load_params;

/* -------------------------------------------------------------- host side */

typedef uint32_t smi_log_level;
enum { SMI_LOG_DEBUG = 0, SMI_LOG_INFO = 1, SMI_LOG_WARNING = 2, SMI_LOG_ERROR = 3 };

/* Functions the host offers.  The table outlives the plugin instance. */
typedef struct smi_host_api {
  uint32_t struct_size;
  uint32_t version_minor;
  void* context; /* first argument of log and get_extension */

  /* [any-thread] Writes one line to the plugin's log. */
  void (*log)(void* context, smi_log_level level, const char* text);

  /* [control, inside load] Number of files of the artefact, and the name of
   * one: relative to the artefact's root, '/'-separated, without "." or "..".
   * NULL when `index` is out of range.  The name lives as long as the call of
   * load. */
  uint32_t (*artefact_count)(const smi_artefact* artefact);
  const char* (*artefact_name)(const smi_artefact* artefact, uint32_t index);

  /* [control, inside load] Opens a file of the artefact.  NULL as `name` opens
   * the main file (what the model was registered with, or the one the
   * configuration names).  SMI_NOT_FOUND if there is no such file. */
  smi_code (*open_artefact)(const smi_artefact* artefact, const char* name, smi_blob* blob,
                            smi_error* error);

  /* [execute] Memory for one output of a request; `index` counts in
   * smi_model_info.outputs.  For BYTES `byte_size` is the length of the
   * encoded form; for other datatypes it is checked against the shape.  The
   * memory is aligned to 64 bytes, writable until the request is answered, and
   * its content is undefined.  Call it for outputs that were asked for, once
   * per output and request, or again when the shape turned out to be another:
   * the later call replaces the earlier, whose memory must not be touched any
   * more. */
  smi_code (*allocate_output)(const smi_request* request, uint32_t index, smi_datatype datatype,
                              uint32_t rank, const int64_t* shape, uint64_t byte_size, void** data,
                              smi_error* error);

  /* [execute] Answers the request with the outputs that were allocated.  The
   * request is gone afterwards.  Fails (and answers the request with an error)
   * when an output that was asked for was not allocated. */
  smi_code (*respond)(const smi_request* request, smi_error* error);

  /* [execute] Answers the request with an error.  The request is gone. */
  void (*fail)(const smi_request* request, smi_code code, const char* text);

  /* [execute] True when nobody waits for the answer any more: cancelled, or
   * past its deadline.  Cheap; long computations ask now and then. */
  bool (*is_cancelled)(const smi_request* request);

  /* [any-thread] A host extension by id ("mlos.host.NAME/REV"), or NULL. */
  const void* (*get_extension)(void* context, const char* id);
} smi_host_api;

/* ------------------------------------------------------------ plugin side */

typedef struct smi_plugin smi_plugin; /* the plugin's: one instance */
typedef struct smi_model smi_model;   /* the plugin's: one loaded model */

typedef struct smi_plugin_api {
  uint32_t struct_size;
  uint32_t version_major; /* SMI_VERSION_MAJOR it was built with */
  uint32_t version_minor;
  const char* name;    /* must equal `name` in plugin.yaml */
  const char* version; /* of the plugin's code; informative */

  /* [control] Makes the one instance.  `config` is a JSON object ({} for
   * none), valid during the call.  `host` outlives the instance. */
  smi_code (*create)(const smi_host_api* host, const char* config, smi_plugin** plugin,
                     smi_error* error);

  /* [control] Frees the instance.  All models are unloaded. */
  void (*destroy)(smi_plugin* plugin);

  /* [control] Makes a model ready to execute.  Checks the artefact; whatever
   * it contains, the answer is a model or an error. */
  smi_code (*load)(smi_plugin* plugin, const smi_load_params* params, smi_model** model,
                   smi_error* error);

  /* [control] Frees the model and gives its memory back. */
  void (*unload)(smi_plugin* plugin, smi_model* model);

  /* [any-thread, after load] What the model is.  Constant. */
  const smi_model_info* (*describe)(const smi_model* model);

  /* [execute] Runs `count` requests (1 or more; above 1 only when
   * max_batch_size is).  Each must be answered exactly once, by respond or
   * fail, before the function returns SMI_OK.  With any other code the host
   * answers those that were not answered with that code and text. */
  smi_code (*execute)(smi_model* model, const smi_request* const* requests, uint32_t count,
                      smi_error* error);

  /* [any-thread] A plugin extension by id ("mlos.plugin.NAME/REV"), or NULL.
   * May be NULL itself when there are none. */
  const void* (*get_extension)(const char* id);
} smi_plugin_api;

/* The one symbol that a plugin exports.  [control], may be called repeatedly,
 * must do no work: the table is constant and lives as long as the library is
 * mapped. */
typedef const smi_plugin_api* (*smi_plugin_entry_fn)(void);
#define SMI_PLUGIN_ENTRY_SYMBOL "smi_plugin_entry_v1"
SMI_EXPORT const smi_plugin_api* smi_plugin_entry_v1(void);

/* -------------------------------------------------------------- extensions */

/* Warm-up: run what a first request would otherwise pay for.  Called once
 * after load and before the model is ready; a failure fails the load. */
#define SMI_EXT_WARM_UP "mlos.plugin.warm-up/1"
typedef struct smi_ext_warm_up {
  uint32_t struct_size;
  uint32_t reserved;
  /* [control] */
  smi_code (*warm_up)(smi_model* model, smi_error* error);
} smi_ext_warm_up;

/* Facts about the plugin for operators, such as which execution providers
 * really load.  JSON object, owned by the instance, valid until destroy. */
#define SMI_EXT_PROPERTIES "mlos.plugin.properties/1"
typedef struct smi_ext_properties {
  uint32_t struct_size;
  uint32_t reserved;
  /* [control] */
  const char* (*properties)(smi_plugin* plugin);
} smi_ext_properties;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* MLOS_SMI_H_ */
