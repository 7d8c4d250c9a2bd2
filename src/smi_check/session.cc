// SPDX-License-Identifier: Apache-2.0
#include "smi_check/session.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include <exception>
#include <thread>

#include "base/log.h"
#include "base/name.h"

namespace mlos {
namespace {

std::string ErrorSentence(const char* text) { return text == nullptr ? "no reason given" : text; }

// The numbers are those of the canonical codes.
bool IsCanonical(smi_code code) { return code >= 0 && code <= 16; }

}  // namespace

std::string SmiCodeName(smi_code code) {
  return IsCanonical(code) ? CodeName(static_cast<StatusCode>(code)) : fmt::format("code {}", code);
}

std::string Answer::ToString() const {
  return text.empty() ? SmiCodeName(code) + " without a text"
                      : fmt::format("{}: {}", SmiCodeName(code), EscapeForLog(text, 400));
}

Status Session::Catch(const std::string& what, const std::function<void()>& call) {
  try {
    call();
    return OkStatus();
  } catch (const std::exception& e) {
    return Fail(fmt::format("a C++ exception left {}: {}", what, EscapeForLog(e.what(), 400)));
  } catch (...) {
    return Fail(fmt::format("a C++ exception left {}", what));
  }
}

Status Session::Guard(const std::string& what, const std::function<void()>& call) {
  phase_.Set(what);
  Status status = Catch(what, call);
  phase_.Set("the check, after " + what);
  return status;
}

Status Session::Map() {
  const std::string path = subject_.directory + "/" + subject_.manifest.library;
  void* library = nullptr;
  std::string reason;
  MLOS_RETURN_IF_ERROR(Guard("the library's constructors", [&] {
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps this text per thread.
    if (library == nullptr) reason = ErrorSentence(::dlerror());
  }));
  if (library == nullptr) {
    return Fail(fmt::format("the library {} cannot be mapped: {}",
                            Quoted(subject_.manifest.library), reason));
  }
  const auto entry =
      reinterpret_cast<smi_plugin_entry_fn>(::dlsym(library, SMI_PLUGIN_ENTRY_SYMBOL));
  if (entry == nullptr) {
    return Fail(
        fmt::format("the library {} exports no symbol {}; define the function as in "
                    "mlos/smi.h, with SMI_EXPORT and, in C++, extern \"C\"",
                    Quoted(subject_.manifest.library), SMI_PLUGIN_ENTRY_SYMBOL));
  }
  const smi_plugin_api* again = nullptr;
  MLOS_RETURN_IF_ERROR(Guard(SMI_PLUGIN_ENTRY_SYMBOL, [&] {
    api_ = entry();
    again = entry();
  }));
  if (api_ == nullptr) return Fail(SMI_PLUGIN_ENTRY_SYMBOL " returned NULL");
  if (again != api_) {
    return Fail(SMI_PLUGIN_ENTRY_SYMBOL " returned another table the second time");
  }
  return OkStatus();
}

Status Session::Begin(HostShape shape) {
  MLOS_RETURN_IF_ERROR(Map());
  StatusOr<Answer> created = Create(shape, "{}");
  if (!created.ok()) return created.status();
  if (!created->ok()) return Fail("create refused: " + created->ToString());
  return OkStatus();
}

Status Session::BeginWithModel(HostShape shape) {
  MLOS_RETURN_IF_ERROR(Begin(shape));
  StatusOr<Load> load = LoadModel(*subject_.model, subject_.config);
  if (!load.ok()) return load.status();
  if (!load->answer.ok()) return Fail("load refused the model: " + load->answer.ToString());
  loaded_ = load->model;
  MLOS_ASSIGN_OR_RETURN(model_, Describe(loaded_));
  return OkStatus();
}

StatusOr<Answer> Session::Create(HostShape shape, const std::string& config,
                                 uint32_t error_capacity) {
  host_ = std::make_unique<FakeHost>(shape);
  ErrorBuffer error(error_capacity);
  const Guarded text = Guarded::CopyOf({config.c_str(), config.size() + 1});
  Answer answer;
  instance_ = nullptr;
  MLOS_RETURN_IF_ERROR(Guard("create", [&] {
    answer.code = api_->create(host_->table(), text.as<char>(), &instance_,
                               error_capacity > 0 ? error.get() : nullptr);
  }));
  MLOS_ASSIGN_OR_RETURN(answer.text, error.Text());
  if (answer.ok() && instance_ == nullptr) {
    return Fail("create returned SMI_OK, but set no instance");
  }
  return answer;
}

Status Session::Destroy() {
  return Guard("destroy", [this] { api_->destroy(instance_); });
}

StatusOr<Session::Load> Session::LoadModel(const Artefact& artefact, const std::string& config,
                                           uint32_t error_capacity) {
  ErrorBuffer error(error_capacity);
  const Guarded text = Guarded::CopyOf({config.c_str(), config.size() + 1});
  const Guarded memory = host_->NewStructs(sizeof(smi_load_params), 1);
  auto* params = memory.as<smi_load_params>();
  params->name = "smi-check";
  params->version = "1";
  params->config = text.as<const char>();
  params->artefact = host_->BeginLoad(artefact);
  params->threads = 1;
  Load load;
  load.artefact = params->artefact;
  const Status called = Guard("load", [&] {
    load.answer.code =
        api_->load(instance_, params, &load.model, error_capacity > 0 ? error.get() : nullptr);
  });
  host_->EndLoad();
  MLOS_RETURN_IF_ERROR(called);
  MLOS_ASSIGN_OR_RETURN(load.answer.text, error.Text());
  if (!load.answer.ok()) {
    load.model = nullptr;
    host_->CloseFiles(load.artefact);
  } else if (load.model == nullptr) {
    return Fail("load returned SMI_OK, but set no model");
  }
  MLOS_RETURN_IF_ERROR(host_->breach());
  return load;
}

Status Session::UnloadModel(const Load& load) {
  MLOS_RETURN_IF_ERROR(Guard("unload", [&] { api_->unload(instance_, load.model); }));
  host_->CloseFiles(load.artefact);
  return OkStatus();
}

StatusOr<ModelView> Session::Describe(smi_model* model) {
  const smi_model_info* info = nullptr;
  const smi_model_info* again = nullptr;
  MLOS_RETURN_IF_ERROR(Guard("describe", [&] {
    info = api_->describe(model);
    again = api_->describe(model);
  }));
  if (info != again) return Fail("describe returned another description the second time");
  return ReadInfo(info);
}

Status Session::Execute(smi_model* model, const std::vector<TestRequest*>& requests) {
  std::vector<const smi_request*> handles;
  handles.reserve(requests.size());
  for (const TestRequest* request : requests) handles.push_back(request->handle());
  // The array of pointers is guarded like everything else.
  using Handle = const smi_request*;
  const Guarded array = Guarded::CopyOf(
      {reinterpret_cast<const char*>(handles.data()), handles.size() * sizeof(Handle)},
      alignof(Handle));
  ErrorBuffer error(512);
  smi_code code = SMI_OK;
  Status called;
  std::thread([&] {
    for (TestRequest* request : requests) request->Start();
    called = Catch("execute", [&] {
      code = api_->execute(model, array.as<const smi_request* const>(),
                           static_cast<uint32_t>(handles.size()), error.get());
    });
  }).join();
  MLOS_RETURN_IF_ERROR(called);
  MLOS_RETURN_IF_ERROR(host_->breach());
  MLOS_ASSIGN_OR_RETURN(const std::string text, error.Text());
  for (TestRequest* request : requests) MLOS_RETURN_IF_ERROR(request->Finish(code, text));
  return OkStatus();
}

std::unique_ptr<TestRequest> Session::NewRequest(const std::vector<TensorValue>& inputs,
                                                 RequestOptions options) {
  return std::make_unique<TestRequest>(*host_, model_, inputs, std::move(options));
}

StatusOr<std::unique_ptr<TestRequest>> Session::Run(smi_model* model,
                                                    const std::vector<TensorValue>& inputs,
                                                    RequestOptions options) {
  auto request = NewRequest(inputs, std::move(options));
  phase_.Set("execute");
  MLOS_RETURN_IF_ERROR(Execute(model, {request.get()}));
  phase_.Set("the check, after execute");
  return request;
}

}  // namespace mlos
