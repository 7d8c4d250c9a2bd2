// SPDX-License-Identifier: Apache-2.0
#include "testing/fake_host.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace mlos::onnxrt::testing {
namespace {

uint32_t CountFiles(const smi_artefact* artefact) {
  return static_cast<uint32_t>(Artefact::Of(artefact).files().size());
}

const char* FileName(const smi_artefact* artefact, uint32_t index) {
  const auto& files = Artefact::Of(artefact).files();
  if (index >= files.size()) return nullptr;
  return std::next(files.begin(), index)->first.c_str();
}

smi_code OpenFile(const smi_artefact* artefact, const char* name, smi_blob* blob,
                  smi_error* error) {
  const auto& files = Artefact::Of(artefact).files();
  const auto file = files.find(name == nullptr ? "" : name);
  if (file == files.end()) {
    if (error != nullptr) std::snprintf(error->text, error->capacity, "no such file");
    return SMI_NOT_FOUND;
  }
  blob->fd = -1;
  blob->data = file->second.bytes.get();
  blob->size = file->second.size;
  return SMI_OK;
}

const void* NoExtension(void* /*context*/, const char* /*id*/) { return nullptr; }

}  // namespace

AlignedBytes MakeAligned(size_t size) {
  const size_t rounded = std::max<size_t>((size + 63) / 64 * 64, 64);
  auto* bytes = static_cast<char*>(std::aligned_alloc(64, rounded));
  std::memset(bytes, 0, rounded);
  return AlignedBytes(bytes, std::free);
}

void Artefact::Add(const std::string& name, const std::string& content) {
  File& file = files_[name];
  file.bytes = MakeAligned(content.size());
  file.size = content.size();
  std::memcpy(file.bytes.get(), content.data(), content.size());
}

Artefact Artefact::FromDirectory(const std::string& directory, const std::string& main,
                                 const std::vector<std::string>& others) {
  Artefact artefact;
  artefact.Add("", ReadFile(directory + "/" + main));
  artefact.Add(main, ReadFile(directory + "/" + main));
  for (const std::string& other : others) {
    std::string path = directory;
    artefact.Add(other, ReadFile(path.append("/").append(other)));
  }
  return artefact;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

Plugin::Plugin(const std::string& library, const smi_host_api* requests) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    error_ = dlerror();  // NOLINT(concurrency-mt-unsafe): set-up has one thread
    return;
  }
  const auto entry = reinterpret_cast<smi_plugin_entry_fn>(dlsym(handle, SMI_PLUGIN_ENTRY_SYMBOL));
  if (entry == nullptr) {
    error_ = "no entry point";
    return;
  }
  api_ = entry();
  if (requests != nullptr) host_ = *requests;
  host_.struct_size = sizeof(host_);
  host_.version_minor = SMI_VERSION_MINOR;
  host_.context = this;
  host_.log = Log;
  host_.artefact_count = CountFiles;
  host_.artefact_name = FileName;
  host_.open_artefact = OpenFile;
  host_.get_extension = NoExtension;
  if (requests == nullptr) FakeRequest::FillApi(&host_);
  char text[1024] = "";
  smi_error error = {sizeof(error), sizeof(text), text};
  if (api_->create(&host_, "{}", &instance_, &error) != SMI_OK) error_ = text;
}

Plugin::~Plugin() {
  if (instance_ != nullptr) api_->destroy(instance_);
}

std::vector<std::string> Plugin::log() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return log_;
}

void Plugin::Log(void* context, smi_log_level /*level*/, const char* text) {
  auto* self = static_cast<Plugin*>(context);
  const std::lock_guard<std::mutex> lock(self->mutex_);
  self->log_.emplace_back(text);
}

LoadedModel::LoadedModel(const Plugin& plugin, const Artefact& artefact, const std::string& config,
                         uint32_t threads)
    : plugin_(plugin) {
  smi_load_params params = {};
  params.struct_size = sizeof(params);
  params.name = "m";
  params.version = "1";
  params.config = config.c_str();
  params.artefact = artefact.handle();
  params.threads = threads;
  char text[1024] = "";
  smi_error error = {sizeof(error), sizeof(text), text};
  code_ = plugin.api().load(plugin.instance(), &params, &model_, &error);
  error_ = text;
}

LoadedModel::~LoadedModel() {
  if (model_ != nullptr) plugin_.api().unload(plugin_.instance(), model_);
}

FakeRequest::FakeRequest(uint32_t slot) {
  request_.struct_size = sizeof(request_);
  request_.slot = slot;
  request_.deadline_ns = UINT64_MAX;
  request_.host_data = this;
}

void FakeRequest::AddInput(uint32_t index, smi_datatype datatype, std::vector<int64_t> shape,
                           const void* data, size_t byte_size) {
  buffers_.push_back(MakeAligned(byte_size));
  if (byte_size > 0) std::memcpy(buffers_.back().get(), data, byte_size);
  shapes_.push_back(std::move(shape));
  smi_tensor tensor = {};
  tensor.struct_size = sizeof(tensor);
  tensor.index = index;
  tensor.datatype = datatype;
  tensor.data = buffers_.back().get();
  tensor.byte_size = byte_size;
  tensors_.push_back(tensor);
}

void FakeRequest::ClearInputs() {
  tensors_.clear();
  shapes_.clear();
  buffers_.clear();
}

const smi_request* FakeRequest::Prepare() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    tensors_[i].rank = static_cast<uint32_t>(shapes_[i].size());
    tensors_[i].shape = shapes_[i].data();
  }
  request_.input_count = static_cast<uint32_t>(tensors_.size());
  request_.inputs = tensors_.data();
  request_.output_count = static_cast<uint32_t>(asked_.size());
  request_.outputs = asked_.data();
  outputs_.clear();
  code_ = SMI_OK;
  error_.clear();
  answers_ = 0;
  allocations_ = 0;
  return &request_;
}

smi_code FakeRequest::Run(const LoadedModel& model) {
  const smi_request* request = Prepare();
  char text[256] = "";
  smi_error error = {sizeof(error), sizeof(text), text};
  const smi_code code = model.plugin().api().execute(model.get(), &request, 1, &error);
  if (answers_ == 0) {
    code_ = code;
    error_ = text;
  }
  return code_;
}

void FakeRequest::FillApi(smi_host_api* api) {
  api->allocate_output = Allocate;
  api->respond = Respond;
  api->fail = Fail;
  api->is_cancelled = IsCancelled;
}

smi_code FakeRequest::Allocate(const smi_request* request, uint32_t index, smi_datatype datatype,
                               uint32_t rank, const int64_t* shape, uint64_t byte_size, void** data,
                               smi_error* error) {
  FakeRequest& self = Of(request);
  ++self.allocations_;
  if (self.refuse_memory_ || (self.refuse_second_ && self.outputs_.count(index) != 0)) {
    if (error != nullptr) std::snprintf(error->text, error->capacity, "there is no more memory");
    return SMI_RESOURCE_EXHAUSTED;
  }
  Block& block = self.memory_[index];
  if (block.size < byte_size || block.bytes == nullptr) {
    block.bytes = MakeAligned(byte_size);
    block.size = byte_size;
  }
  FakeOutput& output = self.outputs_[index];
  output.datatype = datatype;
  output.shape.assign(shape, shape + rank);
  output.data = block.bytes.get();
  output.byte_size = byte_size;
  *data = output.data;
  return SMI_OK;
}

smi_code FakeRequest::Respond(const smi_request* request, smi_error* /*error*/) {
  FakeRequest& self = Of(request);
  ++self.answers_;
  self.code_ = SMI_OK;
  return SMI_OK;
}

void FakeRequest::Fail(const smi_request* request, smi_code code, const char* text) {
  FakeRequest& self = Of(request);
  ++self.answers_;
  self.code_ = code;
  self.error_ = text;
}

bool FakeRequest::IsCancelled(const smi_request* request) { return Of(request).cancelled_; }

std::string EncodeBytes(const std::vector<std::string>& values) {
  std::string encoded;
  for (const std::string& value : values) {
    const auto length = static_cast<uint32_t>(value.size());
    encoded.append(reinterpret_cast<const char*>(&length), sizeof(length));
    encoded += value;
  }
  return encoded;
}

std::vector<std::string> DecodeBytes(const FakeOutput& output) {
  std::vector<std::string> values;
  const auto* at = static_cast<const char*>(output.data);
  const char* end = at + output.byte_size;
  while (at < end) {
    uint32_t length = 0;
    std::memcpy(&length, at, sizeof(length));
    at += sizeof(length);
    values.emplace_back(at, length);
    at += length;
  }
  return values;
}

}  // namespace mlos::onnxrt::testing
