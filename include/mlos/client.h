/* SPDX-License-Identifier: Apache-2.0
 *
 * libmlos: calls models that an mlosd on this machine serves, through shared
 * memory, without the daemon in the way.  Link with -lmlos (pkg-config mlos, or
 * find_package(mlos) and mlos::client).
 *
 * How it is used
 *   mlos_connect -> mlos_model_open -> mlos_call_create -> mlos_call_prepare,
 *   which lays the request out in shared memory and says where its inputs lie.
 *   Then, again and again: fill the inputs, mlos_call_run, read the outputs where
 *   they lie.  While both ends are awake a run makes no system call, allocates
 *   nothing and copies nothing.
 *
 *   When the plugin host dies, the model is replaced by another version or moved,
 *   or the daemon is restarted, a call goes on by itself as long as its time
 *   lasts: what was not answered is run by the successor.
 *
 * Conventions of this binary interface
 *   1. C11 and <stdbool.h>, <stdint.h> only.  Compiles as C++.
 *   2. Every struct begins with `uint32_t struct_size`, set by the caller to
 *      sizeof(struct).  Structs grow at their end only.  Array elements are as far
 *      apart as the struct_size of their first element says.
 *   3. Functions return an mlos_code.  On any but MLOS_OK they have written a
 *      sentence into the mlos_error they were given: what is wrong, with names and
 *      values, and what to do.
 *   4. Times are microseconds from now; 0 is a minute, a negative number no end.
 *   5. Threads: a client, its models and their calls are used by one thread at a
 *      time.  Different clients have nothing to do with each other.
 *   6. After fork() a child must not use its parent's clients.
 */
#ifndef MLOS_CLIENT_H_
#define MLOS_CLIENT_H_

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MLOS_EXPORT __attribute__((visibility("default")))
#else
#define MLOS_EXPORT
#endif

#define MLOS_MAX_RANK 16u

/* ------------------------------------------------------------------ codes */

/* gRPC's canonical codes. */
typedef int32_t mlos_code;
enum {
  MLOS_OK = 0,
  MLOS_CANCELLED = 1,
  MLOS_UNKNOWN = 2,
  MLOS_INVALID_ARGUMENT = 3,
  MLOS_DEADLINE_EXCEEDED = 4,
  MLOS_NOT_FOUND = 5,
  MLOS_ALREADY_EXISTS = 6,
  MLOS_PERMISSION_DENIED = 7,
  MLOS_RESOURCE_EXHAUSTED = 8,
  MLOS_FAILED_PRECONDITION = 9,
  MLOS_ABORTED = 10,
  MLOS_OUT_OF_RANGE = 11,
  MLOS_UNIMPLEMENTED = 12,
  MLOS_INTERNAL = 13,
  MLOS_UNAVAILABLE = 14,
  MLOS_DATA_LOSS = 15,
  MLOS_UNAUTHENTICATED = 16
};

/* "NOT_FOUND"; "UNKNOWN" for a number that is none. */
MLOS_EXPORT const char* mlos_code_name(mlos_code code);
/* "0.1.0", of this library. */
MLOS_EXPORT const char* mlos_version(void);

/* Where a reason goes.  Owned by the caller; `text` has room for `capacity` bytes,
 * the final NUL included.  May be NULL. */
typedef struct mlos_error {
  uint32_t struct_size;
  uint32_t capacity;
  char* text;
} mlos_error;

/* -------------------------------------------------------------- datatypes */

/* Numbered as smi_datatype: DLPack's type code in the high byte, bits in the low. */
typedef uint32_t mlos_datatype;
enum {
  MLOS_INT8 = 0x0008,
  MLOS_INT16 = 0x0010,
  MLOS_INT32 = 0x0020,
  MLOS_INT64 = 0x0040,
  MLOS_UINT8 = 0x0108,
  MLOS_UINT16 = 0x0110,
  MLOS_UINT32 = 0x0120,
  MLOS_UINT64 = 0x0140,
  MLOS_FP16 = 0x0210,
  MLOS_FP32 = 0x0220,
  MLOS_FP64 = 0x0240,
  MLOS_BF16 = 0x0410,
  MLOS_BOOL = 0x0608, /* one byte, 0 or 1 */
  MLOS_BYTES = 0x0300 /* per element: uint32_t length (little-endian), bytes */
};

/* "FP32"; "INVALID" for a number that is none. */
MLOS_EXPORT const char* mlos_datatype_name(mlos_datatype datatype);

/* ----------------------------------------------------------------- client */

typedef struct mlos_client mlos_client;

typedef struct mlos_client_options {
  uint32_t struct_size;
  const char* token;  /* for a daemon with access control; may be NULL */
  const char* name;   /* of this program, for the daemon's log; may be NULL */
  int64_t timeout_us; /* for connecting */
} mlos_client_options;

/* `address` is "unix:///path/to/the/socket".  NULL: what MLOS_HOST says, where that is
 * such an address; else $XDG_RUNTIME_DIR/mlos/mlos.sock, for root
 * /run/mlos/mlos.sock.  `options` may be NULL.  UNAVAILABLE: nobody listens there. */
MLOS_EXPORT mlos_code mlos_connect(const char* address, const mlos_client_options* options,
                                   mlos_client** client, mlos_error* error);
/* Ends its models and their calls too.  May be NULL. */
MLOS_EXPORT void mlos_disconnect(mlos_client* client);

typedef struct mlos_server {
  uint32_t struct_size;
  bool ready;
  const char* not_ready; /* what is not; the texts are valid until the client's next use */
  const char* name;
  const char* version;
} mlos_server;

MLOS_EXPORT mlos_code mlos_server_state(mlos_client* client, int64_t timeout_us,
                                        mlos_server* server, mlos_error* error);

/* An operation of the management interface, "model.load": name, version and `body` (a
 * JSON object) may be NULL.  `json` is the answer's, valid until the client's next use.
 * With `wait` false it may be under way still when this returns. */
MLOS_EXPORT mlos_code mlos_control(mlos_client* client, const char* operation, const char* name,
                                   const char* version, const char* body, bool wait,
                                   int64_t timeout_us, const char** json, mlos_error* error);

/* ----------------------------------------------------------------- models */

typedef struct mlos_model mlos_model;

/* Opens a channel to the model, which is loaded where the daemon loads on demand.
 * `version` may be NULL: the one that the daemon's policy prefers, also later. */
MLOS_EXPORT mlos_code mlos_model_open(mlos_client* client, const char* name, const char* version,
                                      int64_t timeout_us, mlos_model** model, mlos_error* error);
/* Ends its calls too.  May be NULL. */
MLOS_EXPORT void mlos_model_close(mlos_model* model);

typedef struct mlos_model_info {
  uint32_t struct_size;
  const char* name; /* the texts are valid as long as the model is open and not reopened */
  const char* version;
  const char* platform;
  uint32_t max_batch_size; /* 0: no batch dimension */
  uint32_t input_count;
  uint32_t output_count;
} mlos_model_info;

MLOS_EXPORT void mlos_model_describe(const mlos_model* model, mlos_model_info* info);

typedef struct mlos_tensor_info {
  uint32_t struct_size;
  mlos_datatype datatype;
  const char* name;    /* valid as long as the model is open */
  const int64_t* dims; /* -1: any size */
  uint32_t rank;
  bool optional; /* inputs only */
} mlos_tensor_info;

/* OUT_OF_RANGE: there is no such input, or output. */
MLOS_EXPORT mlos_code mlos_model_input(const mlos_model* model, uint32_t index,
                                       mlos_tensor_info* info);
MLOS_EXPORT mlos_code mlos_model_output(const mlos_model* model, uint32_t index,
                                        mlos_tensor_info* info);

/* ------------------------------------------------------------------ calls */

/* A request, its memory and its answer.  A model has at most 64 of them. */
typedef struct mlos_call mlos_call;

typedef struct mlos_tensor {
  uint32_t struct_size;
  uint32_t index; /* among the model's inputs or outputs */
  mlos_datatype datatype;
  uint32_t rank;
  int64_t dims[MLOS_MAX_RANK];
  uint64_t bytes;
  void* data; /* aligned to 64 bytes */
} mlos_tensor;

typedef struct mlos_request {
  uint32_t struct_size;
  uint32_t input_count;
  /* Of each: index, rank, dims, and bytes where the datatype is BYTES, are asked;
   * datatype, bytes and data are answered: `data` is where the input is to be written.
   * It stays there until the call is prepared again or destroyed. */
  mlos_tensor* inputs;
  const uint32_t* outputs; /* indices of those that are wanted; output_count 0: all */
  uint32_t output_count;
  const char* parameters; /* for the model, a JSON object; may be NULL */
} mlos_request;

MLOS_EXPORT mlos_code mlos_call_create(mlos_model* model, mlos_call** call, mlos_error* error);
/* What is under way is cancelled.  May be NULL. */
MLOS_EXPORT void mlos_call_destroy(mlos_call* call);

/* INVALID_ARGUMENT: not what the model takes.  FAILED_PRECONDITION: it is under way. */
MLOS_EXPORT mlos_code mlos_call_prepare(mlos_call* call, mlos_request* request, int64_t timeout_us,
                                        mlos_error* error);

/* Submits and waits.  Gives the model's own error too.  After DEADLINE_EXCEEDED or
 * CANCELLED the model may still be at it: the next run waits for that, because the
 * inputs must not be changed meanwhile; mlos_call_idle says when they may. */
MLOS_EXPORT mlos_code mlos_call_run(mlos_call* call, int64_t timeout_us, mlos_error* error);

/* The same in two steps, so that several calls are under way at once. */
MLOS_EXPORT mlos_code mlos_call_submit(mlos_call* call, int64_t timeout_us, mlos_error* error);
MLOS_EXPORT mlos_code mlos_call_wait(mlos_call* call, mlos_error* error);
/* Whether mlos_call_wait would return at once.  Never blocks.  True as well where the
 * channel has ended: mlos_call_wait then has it opened again and waits for the answer,
 * within the call's time. */
MLOS_EXPORT bool mlos_call_done(mlos_call* call);
/* Nobody waits for the answer any more: mlos_call_wait gives CANCELLED at once. */
MLOS_EXPORT void mlos_call_cancel(mlos_call* call);
/* Whether its inputs may be written: nobody reads them.  Never blocks. */
MLOS_EXPORT bool mlos_call_idle(mlos_call* call);
/* Waits until one of the model's submitted calls is done and gives it; NULL with
 * FAILED_PRECONDITION when none is under way, with DEADLINE_EXCEEDED when the time is
 * up.  mlos_call_wait gives its outcome. */
MLOS_EXPORT mlos_code mlos_model_wait_any(mlos_model* model, int64_t timeout_us, mlos_call** call,
                                          mlos_error* error);

/* Of a call that succeeded.  `data` is valid until it is submitted again, prepared or
 * destroyed.  OUT_OF_RANGE: this output was not asked for, or there is none. */
MLOS_EXPORT mlos_code mlos_call_output(const mlos_call* call, uint32_t index, mlos_tensor* output);

#ifdef __cplusplus
}
#endif

#endif /* MLOS_CLIENT_H_ */
