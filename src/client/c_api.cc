// SPDX-License-Identifier: Apache-2.0
//
// The binary interface of libmlos (mlos/client.h) over the classes of this room.
// Nothing but codes and texts crosses: what is thrown ends here.
#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "client/call.h"
#include "client/client.h"
#include "client/model.h"
#include "ipc/message.h"
#include "mlos/client.h"

using mlos::Message;
using mlos::NowNanos;
using mlos::OkStatus;
using mlos::Status;
using mlos::StatusCode;
namespace client = mlos::client;
namespace ipc = mlos::ipc;
namespace tensor = mlos::tensor;

struct mlos_call {
  mlos_call(mlos_model& of, client::Model& model) : owner(&of), call(model) {}
  mlos_model* owner;
  client::Call call;
  std::vector<client::Call::Input> inputs;  // of one preparation
};

struct mlos_model {
  mlos_client* owner = nullptr;
  std::unique_ptr<client::Model> model;
  std::vector<std::unique_ptr<mlos_call>> calls;  // end before it
};

struct mlos_client {
  std::optional<client::Client> client;
  std::vector<std::unique_ptr<mlos_model>> models;
  client::Socket::Reply reply;  // whose texts were given out
  std::string text[3];
};

namespace {

constexpr int64_t kDefaultMicros = 60'000'000;

uint64_t DeadlineOf(int64_t timeout_us) {
  if (timeout_us < 0) return client::kNever;
  if (timeout_us == 0) timeout_us = kDefaultMicros;
  const uint64_t now = NowNanos();
  const auto micros = static_cast<uint64_t>(timeout_us);
  return micros > (client::kNever - now) / mlos::kNanosPerMicro
             ? client::kNever
             : now + micros * mlos::kNanosPerMicro;
}

std::string_view TextOf(const char* text) { return text == nullptr ? "" : text; }

void Say(mlos_error* error, std::string_view text) {
  if (error == nullptr || error->text == nullptr || error->capacity == 0) return;
  const size_t n = std::min<size_t>(text.size(), error->capacity - 1);
  std::memcpy(error->text, text.data(), n);
  error->text[n] = '\0';
}

template <typename F>
mlos_code Guarded(mlos_error* error, F&& f) noexcept {
  try {
    const Status status = f();
    if (!status.ok()) Say(error, Message(status));
    return static_cast<mlos_code>(status.code());
  } catch (const std::bad_alloc&) {
    Say(error, "out of memory");
    return MLOS_RESOURCE_EXHAUSTED;
  } catch (const std::exception& e) {
    Say(error, e.what());
    return MLOS_INTERNAL;
  }
}

// Whether the caller's struct has this field.
template <typename T, typename F>
bool Has(const T* s, F T::*field) {
  const auto* at = reinterpret_cast<const char*>(&(s->*field));
  const auto offset = static_cast<size_t>(at - reinterpret_cast<const char*>(s));
  return s->struct_size >= offset + sizeof(F);
}

template <typename T>
void Fill(T* out, T value) {
  value.struct_size = std::min<uint32_t>(out->struct_size, sizeof(T));
  std::memcpy(out, &value, value.struct_size);
}

mlos_tensor* At(const mlos_request& request, uint32_t i) {
  auto* const first = reinterpret_cast<char*>(request.inputs);
  return reinterpret_cast<mlos_tensor*>(first + size_t{i} * request.inputs->struct_size);
}

// What has the sizes of this version, at least: there are no older ones.
Status CheckRequest(const mlos_request* request) {
  if (request == nullptr || request->struct_size < sizeof(mlos_request)) {
    return mlos::InvalidArgument("set struct_size of the request to sizeof(mlos_request)");
  }
  if (request->input_count > 0 &&
      (request->inputs == nullptr || request->inputs->struct_size < sizeof(mlos_tensor))) {
    return mlos::InvalidArgument("set struct_size of each input to sizeof(mlos_tensor)");
  }
  if (request->output_count > 0 && request->outputs == nullptr) {
    return mlos::InvalidArgument("output_count says that outputs are wanted, and none is named");
  }
  for (uint32_t i = 0; i < request->input_count; ++i) {
    if (At(*request, i)->rank > MLOS_MAX_RANK) {
      return mlos::InvalidArgument(fmt::format("a tensor has at most {} dimensions, not {}",
                                               MLOS_MAX_RANK, At(*request, i)->rank));
    }
  }
  return OkStatus();
}

Status Prepare(mlos_call& call, mlos_request& request, uint64_t deadline_ns) {
  call.inputs.clear();
  for (uint32_t i = 0; i < request.input_count; ++i) {
    const mlos_tensor& input = *At(request, i);
    call.inputs.push_back({input.index, {input.dims, input.rank}, input.bytes, nullptr});
  }
  const std::span<const uint32_t> outputs(request.outputs, request.output_count);
  MLOS_RETURN_IF_ERROR(
      call.call.Prepare(call.inputs, outputs, TextOf(request.parameters), deadline_ns));
  const auto& declared = call.owner->model->description().inputs;
  for (uint32_t i = 0; i < request.input_count; ++i) {
    mlos_tensor& input = *At(request, i);
    input.datatype = static_cast<uint32_t>(declared[input.index].datatype);
    input.bytes = call.inputs[i].bytes;
    input.data = call.inputs[i].data;
  }
  return OkStatus();
}

mlos_code Describe(const std::vector<mlos::TensorInfo>& tensors, uint32_t index,
                   mlos_tensor_info* info) {
  if (index >= tensors.size()) return MLOS_OUT_OF_RANGE;
  const mlos::TensorInfo& tensor = tensors[index];
  Fill(info, {0, static_cast<uint32_t>(tensor.datatype), tensor.name.c_str(), tensor.shape.data(),
              static_cast<uint32_t>(tensor.shape.size()), tensor.optional});
  return MLOS_OK;
}

template <typename T>
void EraseFrom(std::vector<std::unique_ptr<T>>& list, const T* one) {
  const auto it =
      std::find_if(list.begin(), list.end(), [&](const auto& p) { return p.get() == one; });
  if (it != list.end()) list.erase(it);
}

}  // namespace

// --------------------------------------------------------------------- names

const char* mlos_version(void) { return MLOS_VERSION; }

const char* mlos_code_name(mlos_code code) {
  constexpr const char* kNames[] = {"OK",
                                    "CANCELLED",
                                    "UNKNOWN",
                                    "INVALID_ARGUMENT",
                                    "DEADLINE_EXCEEDED",
                                    "NOT_FOUND",
                                    "ALREADY_EXISTS",
                                    "PERMISSION_DENIED",
                                    "RESOURCE_EXHAUSTED",
                                    "FAILED_PRECONDITION",
                                    "ABORTED",
                                    "OUT_OF_RANGE",
                                    "UNIMPLEMENTED",
                                    "INTERNAL",
                                    "UNAVAILABLE",
                                    "DATA_LOSS",
                                    "UNAUTHENTICATED"};
  return code >= 0 && code <= MLOS_UNAUTHENTICATED ? kNames[code] : "UNKNOWN";
}

// The names are constants that end with NUL.
const char* mlos_datatype_name(mlos_datatype datatype) {
  return tensor::DatatypeName(static_cast<tensor::Datatype>(datatype)).data();
}

// -------------------------------------------------------------------- client

mlos_code mlos_connect(const char* address, const mlos_client_options* options,
                       mlos_client** result, mlos_error* error) {
  *result = nullptr;
  return Guarded(error, [&]() -> Status {
    const auto text = [&](const char* mlos_client_options::*field) {
      return options != nullptr && Has(options, field) ? std::string(TextOf(options->*field)) : "";
    };
    const int64_t timeout = options != nullptr && Has(options, &mlos_client_options::timeout_us)
                                ? options->timeout_us
                                : 0;
    MLOS_ASSIGN_OR_RETURN(std::string path, client::SocketPath(TextOf(address)));
    auto made = std::make_unique<mlos_client>();
    made->client.emplace(std::move(path), text(&mlos_client_options::token),
                         text(&mlos_client_options::name));
    MLOS_RETURN_IF_ERROR(made->client->Connect(DeadlineOf(timeout)));
    *result = made.release();
    return OkStatus();
  });
}

void mlos_disconnect(mlos_client* client) { delete client; }

mlos_code mlos_server_state(mlos_client* client, int64_t timeout_us, mlos_server* server,
                            mlos_error* error) {
  return Guarded(error, [&]() -> Status {
    MLOS_RETURN_IF_ERROR(client->client->Ask(ipc::Ask::kServer, {}, ipc::Tell::kServer,
                                             DeadlineOf(timeout_us), &client->reply));
    ipc::ServerState state;
    MLOS_RETURN_IF_ERROR(Decode(client->reply.payload.view(), &state));
    client->text[0] = state.not_ready;
    client->text[1] = state.name;
    client->text[2] = state.version;
    Fill(server, {0, state.ready, client->text[0].c_str(), client->text[1].c_str(),
                  client->text[2].c_str()});
    return OkStatus();
  });
}

mlos_code mlos_control(mlos_client* client, const char* operation, const char* name,
                       const char* version, const char* body, bool wait, int64_t timeout_us,
                       const char** json, mlos_error* error) {
  *json = "";
  return Guarded(error, [&]() -> Status {
    ipc::AskControl ask;
    ask.wait = wait;
    ask.operation = TextOf(operation);
    ask.name = TextOf(name);
    ask.version = TextOf(version);
    ask.body = TextOf(body);
    mlos::Buffer payload;
    Encode(ask, &payload);
    MLOS_RETURN_IF_ERROR(client->client->Ask(ipc::Ask::kControl, payload.view(),
                                             ipc::Tell::kOutcome, DeadlineOf(timeout_us),
                                             &client->reply));
    ipc::ControlOutcome outcome;
    MLOS_RETURN_IF_ERROR(Decode(client->reply.payload.view(), &outcome));
    client->text[0] = outcome.body;
    *json = client->text[0].c_str();
    return OkStatus();
  });
}

// -------------------------------------------------------------------- models

mlos_code mlos_model_open(mlos_client* client, const char* name, const char* version,
                          int64_t timeout_us, mlos_model** model, mlos_error* error) {
  *model = nullptr;
  return Guarded(error, [&]() -> Status {
    auto made = std::make_unique<mlos_model>();
    made->owner = client;
    MLOS_ASSIGN_OR_RETURN(
        made->model, client::Model::Open(*client->client, std::string(TextOf(name)),
                                         std::string(TextOf(version)), DeadlineOf(timeout_us)));
    client->models.push_back(std::move(made));
    *model = client->models.back().get();
    return OkStatus();
  });
}

void mlos_model_close(mlos_model* model) {
  if (model != nullptr) EraseFrom(model->owner->models, model);
}

void mlos_model_describe(const mlos_model* model, mlos_model_info* info) {
  const client::Description& of = model->model->description();
  Fill(info, {0, of.name.c_str(), of.version.c_str(), of.platform.c_str(), of.max_batch_size,
              static_cast<uint32_t>(of.inputs.size()), static_cast<uint32_t>(of.outputs.size())});
}

mlos_code mlos_model_input(const mlos_model* model, uint32_t index, mlos_tensor_info* info) {
  return Describe(model->model->description().inputs, index, info);
}

mlos_code mlos_model_output(const mlos_model* model, uint32_t index, mlos_tensor_info* info) {
  return Describe(model->model->description().outputs, index, info);
}

mlos_code mlos_model_wait_any(mlos_model* model, int64_t timeout_us, mlos_call** call,
                              mlos_error* error) {
  *call = nullptr;
  return Guarded(error, [&]() -> Status {
    MLOS_ASSIGN_OR_RETURN(const client::Call* const ripe,
                          model->model->WaitAny(DeadlineOf(timeout_us)));
    for (const auto& one : model->calls) {
      if (&one->call == ripe) *call = one.get();
    }
    return OkStatus();
  });
}

// --------------------------------------------------------------------- calls

mlos_code mlos_call_create(mlos_model* model, mlos_call** call, mlos_error* error) {
  *call = nullptr;
  return Guarded(error, [&] {
    model->calls.push_back(std::make_unique<mlos_call>(*model, *model->model));
    *call = model->calls.back().get();
    return OkStatus();
  });
}

void mlos_call_destroy(mlos_call* call) {
  if (call != nullptr) EraseFrom(call->owner->calls, call);
}

mlos_code mlos_call_prepare(mlos_call* call, mlos_request* request, int64_t timeout_us,
                            mlos_error* error) {
  return Guarded(error, [&]() -> Status {
    MLOS_RETURN_IF_ERROR(CheckRequest(request));
    return Prepare(*call, *request, DeadlineOf(timeout_us));
  });
}

mlos_code mlos_call_run(mlos_call* call, int64_t timeout_us, mlos_error* error) {
  return Guarded(error, [&]() -> Status {
    MLOS_RETURN_IF_ERROR(call->call.Submit(DeadlineOf(timeout_us)));
    return call->call.Wait();
  });
}

mlos_code mlos_call_submit(mlos_call* call, int64_t timeout_us, mlos_error* error) {
  return Guarded(error, [&] { return call->call.Submit(DeadlineOf(timeout_us)); });
}

mlos_code mlos_call_wait(mlos_call* call, mlos_error* error) {
  return Guarded(error, [&] { return call->call.Wait(); });
}

bool mlos_call_done(mlos_call* call) {
  bool done = false;
  const mlos_code code = Guarded(nullptr, [&] {
    done = call->call.Done();
    return OkStatus();
  });
  return done || code != MLOS_OK;
}

void mlos_call_cancel(mlos_call* call) {
  Guarded(nullptr, [&] {
    call->call.Cancel();
    return OkStatus();
  });
}

bool mlos_call_idle(mlos_call* call) {
  bool idle = false;
  Guarded(nullptr, [&] {
    idle = call->call.Idle();
    return OkStatus();
  });
  return idle;
}

mlos_code mlos_call_output(const mlos_call* call, uint32_t index, mlos_tensor* output) {
  const client::Call::Output* const found = call->call.output(index);
  if (found == nullptr) return MLOS_OUT_OF_RANGE;
  mlos_tensor filled{};
  filled.index = index;
  filled.datatype = found->desc.datatype;
  filled.rank = found->desc.rank;
  std::copy_n(found->desc.dims, filled.rank, filled.dims);
  filled.bytes = found->desc.bytes;
  // Memory of the channel, which a caller may scribble on as much as the host may.
  filled.data = const_cast<std::byte*>(found->data.data());
  Fill(output, filled);
  return MLOS_OK;
}
