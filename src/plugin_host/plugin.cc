// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/select.h>

#include <cstring>
#include <exception>

#include "base/log.h"
#include "plugin_host/warm_up.h"
#include "tensor/message.h"

namespace mlos::plugin_host {
namespace {

// Room for the text of a failure, and the smi_error that points to it.
struct ErrorText {
  char buffer[tensor::kMaxTextBytes] = {};
  smi_error error{sizeof(smi_error), sizeof buffer, buffer};

  std::string text() const { return std::string(buffer, strnlen(buffer, sizeof buffer)); }
};

// Files of models may be thousands, and are nothing to wait for: the numbers that
// select() can take are for what the plugin opens.
OwnedFd BeyondSelect(OwnedFd fd) {
  OwnedFd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, FD_SETSIZE));
  return high ? std::move(high) : std::move(fd);  // none where the limit is lower
}

// A plugin must not throw; one that does gets this instead of ending the host.
template <typename F>
smi_code Guarded(smi_error* error, F&& f) {
  try {
    return f();
  } catch (const std::exception& e) {
    SetError(error,
             fmt::format("the plugin threw an exception across its interface: {}", e.what()));
  } catch (...) {
    SetError(error, "the plugin threw an exception across its interface");
  }
  return SMI_INTERNAL;
}

Status FromSmi(smi_code code, const ErrorText& error, std::string_view what) {
  const auto canonical =
      code > 0 && code <= 16 ? static_cast<StatusCode>(code) : StatusCode::kInternal;
  const std::string text = EscapeForLog(error.text());  // a message of the link is UTF-8
  return MakeStatus(canonical,
                    fmt::format("{}: {}", what, text.empty() ? "the plugin gave no reason" : text));
}

Status CheckTable(const smi_plugin_api* api, const hostlink::StartPlugin& start) {
  const std::string who = fmt::format("plugin {} {}", start.name, start.version);
  if (api == nullptr) {
    return FailedPrecondition(fmt::format("{}: its entry point returned no table", who));
  }
  if (api->struct_size < sizeof(smi_plugin_api)) {
    return FailedPrecondition(fmt::format(
        "{}: its function table has {} bytes, the interface needs {}: build it with smi.h {}.{}",
        who, api->struct_size, sizeof(smi_plugin_api), SMI_VERSION_MAJOR, SMI_VERSION_MINOR));
  }
  if (api->version_major != SMI_VERSION_MAJOR) {
    return FailedPrecondition(
        fmt::format("{}: it was built for major version {} of the plugin interface, this host has "
                    "{}: build it with this release's smi.h",
                    who, api->version_major, SMI_VERSION_MAJOR));
  }
  if (api->name == nullptr || start.name != api->name) {
    return FailedPrecondition(
        fmt::format("{}: its library says that it is \"{}\": correct `name` in plugin.yaml", who,
                    api->name == nullptr ? "" : api->name));
  }
  if (api->create == nullptr || api->destroy == nullptr || api->load == nullptr ||
      api->unload == nullptr || api->describe == nullptr || api->execute == nullptr) {
    return FailedPrecondition(fmt::format("{}: its function table lacks a required function", who));
  }
  return OkStatus();
}

// Copies the specs of one direction; the plugin's array is strided by what its
// first element says.
Status CopySpecs(const smi_tensor_spec* specs, uint32_t count, const char* direction,
                 std::vector<TensorInfo>* out) {
  if (count > tensor::kMaxTensors || (count > 0 && specs == nullptr)) {
    return Internal(fmt::format("the plugin describes a model with {} {}", count, direction));
  }
  const uint32_t stride = count > 0 ? specs->struct_size : 0;
  if (count > 0 && stride < sizeof(smi_tensor_spec)) {
    return Internal("the plugin describes tensors in a struct that is too small");
  }
  for (uint32_t i = 0; i < count; ++i) {
    const auto* spec = reinterpret_cast<const smi_tensor_spec*>(
        reinterpret_cast<const char*>(specs) + size_t{i} * stride);
    TensorInfo info;
    info.name = spec->name != nullptr ? spec->name : "";
    info.datatype = static_cast<tensor::Datatype>(spec->datatype);
    info.optional = spec->optional;
    if (spec->rank > SMI_MAX_RANK || (spec->rank > 0 && spec->shape == nullptr) ||
        info.name.empty() || !tensor::IsKnown(info.datatype)) {
      return Internal(fmt::format(
          "the plugin describes a tensor (\"{}\") without a name, with rank {} or datatype {:#x}",
          info.name, spec->rank, spec->datatype));
    }
    info.shape.assign(spec->shape, spec->shape + spec->rank);
    out->push_back(std::move(info));
  }
  return OkStatus();
}

StatusOr<ModelInfo> CopyInfo(const smi_model_info* info) {
  if (info == nullptr || info->struct_size < sizeof(smi_model_info)) {
    return Internal("the plugin does not describe the model it loaded");
  }
  ModelInfo out;
  MLOS_RETURN_IF_ERROR(CopySpecs(info->inputs, info->input_count, "inputs", &out.inputs));
  MLOS_RETURN_IF_ERROR(CopySpecs(info->outputs, info->output_count, "outputs", &out.outputs));
  out.max_batch_size = info->max_batch_size;
  out.max_concurrency = info->max_concurrency == 0 ? 1 : info->max_concurrency;
  out.replay_safe = info->replay == SMI_REPLAY_SAFE;
  out.memory_bytes = info->memory_bytes;
  out.platform = info->platform != nullptr ? info->platform : "";
  return out;
}

}  // namespace

Model::Model(const Plugin& plugin, smi_model* model, std::unique_ptr<smi_artefact> artefact,
             ModelInfo info, std::string label)
    : plugin_(plugin),
      model_(model),
      artefact_(std::move(artefact)),
      info_(std::move(info)),
      label_(std::move(label)) {}

Model::~Model() {
  Guarded(nullptr, [&] {
    plugin_.api().unload(plugin_.instance(), model_);
    return SMI_OK;
  });
}

smi_code Model::Run(const smi_request* const* requests, uint32_t count, smi_error* error) const {
  return Guarded(error, [&] { return plugin_.api().execute(model_, requests, count, error); });
}

StatusOr<std::unique_ptr<Plugin>> Plugin::Open(const hostlink::StartPlugin& start) {
  const std::string path = start.directory + "/" + start.library;
  // Everything is resolved now, so that nothing is looked up later.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    // The loader's text names the path; what matters is the end of it.
    // On the control thread, the only one that loads.  NOLINTNEXTLINE(concurrency-mt-unsafe)
    std::string reason = dlerror();
    for (size_t at; (at = reason.find(start.directory + "/")) != std::string::npos;) {
      reason.erase(at, start.directory.size() + 1);
    }
    return FailedPrecondition(fmt::format("plugin {} {}: its library cannot be loaded: {}",
                                          start.name, start.version, reason));
  }
  const auto entry = reinterpret_cast<smi_plugin_entry_fn>(dlsym(library, SMI_PLUGIN_ENTRY_SYMBOL));
  if (entry == nullptr) {
    return FailedPrecondition(fmt::format("plugin {} {}: {} does not export {}", start.name,
                                          start.version, start.library, SMI_PLUGIN_ENTRY_SYMBOL));
  }
  return Create(entry(), start);
}

StatusOr<std::unique_ptr<Plugin>> Plugin::Create(const smi_plugin_api* api,
                                                 const hostlink::StartPlugin& start) {
  MLOS_RETURN_IF_ERROR(CheckTable(api, start));

  std::unique_ptr<Plugin> plugin(new Plugin(start.name, api));
  ErrorText error;
  const smi_code code = Guarded(&error.error, [&] {
    return api->create(&HostApi(), start.config.c_str(), &plugin->instance_, &error.error);
  });
  if (code != SMI_OK) {
    plugin->instance_ = nullptr;
    return FromSmi(code, error,
                   fmt::format("plugin {} {} failed to start", start.name, start.version));
  }
  return plugin;
}

Plugin::~Plugin() {
  if (instance_ == nullptr) return;
  Guarded(nullptr, [&] {
    api_->destroy(instance_);
    return SMI_OK;
  });
}

StatusOr<std::unique_ptr<Model>> Plugin::Load(const hostlink::LoadModel& load,
                                              std::vector<OwnedFd> fds) {
  std::vector<OwnedFd> samples;  // of data to warm up with, behind the model's files
  samples.reserve(fds.size() - load.files.size());
  for (size_t i = load.files.size(); i < fds.size(); ++i) samples.push_back(std::move(fds[i]));
  auto artefact = std::make_unique<smi_artefact>();
  artefact->main_file = load.main_file;
  for (size_t i = 0; i < load.files.size(); ++i) {
    smi_artefact::File file;
    file.name = load.files[i];
    file.fd = BeyondSelect(std::move(fds[i]));
    artefact->files.push_back(std::move(file));
  }
  const std::string label = fmt::format("model {} version {}", load.name, load.version);
  smi_load_params params{};
  params.struct_size = sizeof params;
  params.name = load.name.c_str();
  params.version = load.version.c_str();
  params.config = load.config.c_str();
  params.artefact = artefact.get();
  params.threads = load.threads == 0 ? 1 : load.threads;

  smi_model* model = nullptr;
  ErrorText error;
  const smi_code code =
      Guarded(&error.error, [&] { return api_->load(instance_, &params, &model, &error.error); });
  if (code != SMI_OK) return FromSmi(code, error, label);

  StatusOr<ModelInfo> info = CopyInfo(api_->describe(model));
  Status status = info.ok() ? WarmUp(model, label) : Annotate(info.status(), label);
  if (!status.ok()) {
    api_->unload(instance_, model);
    return status;
  }
  auto loaded = std::make_unique<Model>(*this, model, std::move(artefact), *std::move(info), label);
  MLOS_RETURN_IF_ERROR(RunSamples(*loaded, load.warm_up, samples));
  return loaded;
}

Status Plugin::WarmUp(smi_model* model, const std::string& label) const {
  if (api_->get_extension == nullptr) return OkStatus();
  const auto* extension = static_cast<const smi_ext_warm_up*>(api_->get_extension(SMI_EXT_WARM_UP));
  if (extension == nullptr || extension->struct_size < sizeof(smi_ext_warm_up) ||
      extension->warm_up == nullptr) {
    return OkStatus();
  }
  ErrorText error;
  const smi_code code =
      Guarded(&error.error, [&] { return extension->warm_up(model, &error.error); });
  return code == SMI_OK ? OkStatus() : FromSmi(code, error, label + " failed to warm up");
}

std::string Plugin::Properties() const {
  if (api_->get_extension == nullptr) return "{}";
  const auto* extension =
      static_cast<const smi_ext_properties*>(api_->get_extension(SMI_EXT_PROPERTIES));
  if (extension == nullptr || extension->struct_size < sizeof(smi_ext_properties) ||
      extension->properties == nullptr) {
    return "{}";
  }
  const char* text = extension->properties(instance_);
  return text != nullptr ? text : "{}";
}

}  // namespace mlos::plugin_host
