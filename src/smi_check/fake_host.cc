// SPDX-License-Identifier: Apache-2.0
#include "smi_check/fake_host.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/name.h"
#include "base/owned_fd.h"
#include "smi_check/child.h"
#include "smi_check/test_request.h"

namespace mlos {
namespace {

constexpr int kRubbish = 0xa5;

// The content as a file of its own, read-only.
OwnedFd FileOf(std::string_view bytes) {
  const OwnedFd memory(::memfd_create("model", MFD_CLOEXEC));
  size_t written = 0;
  while (memory && written < bytes.size()) {
    const ssize_t n = ::write(memory.get(), bytes.data() + written, bytes.size() - written);
    if (n <= 0) return {};
    written += static_cast<size_t>(n);
  }
  return OwnedFd(
      ::open(fmt::format("/proc/self/fd/{}", memory.get()).c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace

struct FakeHost::OpenFile {
  const smi_artefact* artefact;
  Guarded bytes;
  OwnedFd fd;
};

// The functions of the table.  Those of requests are in test_request.cc.
struct FakeHost::Callbacks {
  static void Log(void* context, smi_log_level level, const char* text) {
    auto* host = static_cast<FakeHost*>(context);
    if (level > SMI_LOG_ERROR) host->Breach(fmt::format("log was called with level {}", level));
    if (text == nullptr) {
      host->Breach("log was called without a text");
      return;
    }
    // To the output of the check, which --verbose shows.
    std::fprintf(stderr, "log %u: %s\n", level, text);
  }

  static uint32_t ArtefactCount(const smi_artefact* artefact) {
    if (!artefact->host->CheckInsideLoad(artefact, "artefact_count")) return 0;
    return static_cast<uint32_t>(artefact->files->files.size());
  }

  static const char* ArtefactName(const smi_artefact* artefact, uint32_t index) {
    if (!artefact->host->CheckInsideLoad(artefact, "artefact_name")) return nullptr;
    const auto& files = artefact->files->files;
    return index < files.size() ? files[index].name.c_str() : nullptr;
  }

  static smi_code OpenArtefact(const smi_artefact* artefact, const char* name, smi_blob* blob,
                               smi_error* error) {
    return artefact->host->Open(artefact, name, blob, error);
  }

  static const void* GetExtension(void* context, const char* id) {
    if (id == nullptr) static_cast<FakeHost*>(context)->Breach("get_extension without an id");
    return nullptr;
  }
};

FakeHost::FakeHost(HostShape shape)
    : shape_(shape),
      table_(shape.table_size > 0 ? shape.table_size : sizeof(smi_host_api) + shape.extra),
      control_thread_(std::this_thread::get_id()) {
  smi_host_api full = {};
  full.version_minor = shape.extra > 0 ? SMI_VERSION_MINOR + 1 : SMI_VERSION_MINOR;
  full.struct_size = static_cast<uint32_t>(table_.size());
  full.context = this;
  full.log = Callbacks::Log;
  full.artefact_count = Callbacks::ArtefactCount;
  full.artefact_name = Callbacks::ArtefactName;
  full.open_artefact = Callbacks::OpenArtefact;
  full.allocate_output = TestRequest::AllocateOutput;
  full.respond = TestRequest::Respond;
  full.fail = TestRequest::FailRequest;
  full.is_cancelled = TestRequest::IsCancelled;
  full.get_extension = Callbacks::GetExtension;
  std::memset(table_.data(), kRubbish, table_.size());
  std::memcpy(table_.data(), &full, std::min(sizeof full, table_.size()));
  table_.MakeReadOnly();
}

FakeHost::~FakeHost() = default;

void FakeHost::Breach(std::string_view what) {
  const MutexLock lock(mutex_);
  if (breach_.empty()) breach_ = what;
}

Status FakeHost::breach() const {
  const MutexLock lock(mutex_);
  return breach_.empty() ? OkStatus() : Fail(breach_);
}

Guarded FakeHost::NewStructs(size_t size, size_t count) const {
  const size_t stride = size + shape_.extra;
  Guarded memory(stride * count);
  std::memset(memory.data(), kRubbish, memory.size());
  for (size_t i = 0; i < count; ++i) {
    auto* at = memory.as<std::byte>() + i * stride;
    const auto struct_size = static_cast<uint32_t>(stride);
    std::memset(at, 0, size);
    std::memcpy(at, &struct_size, sizeof struct_size);
  }
  return memory;
}

smi_artefact* FakeHost::BeginLoad(const Artefact& artefact) {
  artefacts_.push_back(std::make_unique<smi_artefact>(smi_artefact{this, &artefact}));
  loading_ = artefacts_.back().get();
  return loading_;
}

void FakeHost::EndLoad() {
  if (loading_ != nullptr) loading_->files = nullptr;
  loading_ = nullptr;
}

void FakeHost::CloseFiles(const smi_artefact* artefact) {
  std::erase_if(open_files_, [artefact](const auto& file) { return file->artefact == artefact; });
}

bool FakeHost::CheckInsideLoad(const smi_artefact* artefact, const char* function) {
  if (std::this_thread::get_id() != control_thread_) {
    Breach(
        fmt::format("{} was called on another thread than the one that runs load; it is tagged "
                    "[control, inside load]",
                    function));
    return false;
  }
  if (artefact != loading_) {
    Breach(
        fmt::format("{} was called after load had returned; the artefact is valid during the "
                    "call of load",
                    function));
    return false;
  }
  return true;
}

smi_code FakeHost::Open(const smi_artefact* artefact, const char* name, smi_blob* blob,
                        smi_error* error) {
  if (!CheckInsideLoad(artefact, "open_artefact")) {
    WriteError(error, "open_artefact outside of load");
    return SMI_FAILED_PRECONDITION;
  }
  if (blob == nullptr || blob->struct_size < sizeof(smi_blob)) {
    Breach("open_artefact was given an smi_blob whose struct_size is not set to its size");
    return SMI_INVALID_ARGUMENT;
  }
  const auto& files = artefact->files->files;
  size_t index = artefact->files->main;
  if (name != nullptr) {
    for (index = 0; index < files.size() && files[index].name != name;) ++index;
  }
  if (index >= files.size()) {
    WriteError(error, fmt::format("the artefact has no file {}",
                                  name == nullptr ? "at all" : Quoted(name)));
    return SMI_NOT_FOUND;
  }
  auto file = std::make_unique<OpenFile>(
      OpenFile{artefact, Guarded::CopyOf(files[index].bytes, 64), FileOf(files[index].bytes)});
  file->bytes.MakeReadOnly();
  blob->fd = file->fd.get();
  blob->data = file->bytes.data();
  blob->size = file->bytes.size();
  open_files_.push_back(std::move(file));
  return SMI_OK;
}

void WriteError(smi_error* error, std::string_view text) {
  if (error == nullptr || error->struct_size < sizeof(smi_error) || error->text == nullptr ||
      error->capacity == 0) {
    return;
  }
  const size_t n = std::min<size_t>(text.size(), error->capacity - 1);
  std::memcpy(error->text, text.data(), n);
  error->text[n] = '\0';
}

ErrorBuffer::ErrorBuffer(uint32_t capacity) : text_(capacity, 1), error_(sizeof(smi_error)) {
  std::memset(text_.data(), 0x7f, text_.size());
  if (capacity > 0) *text_.as<char>() = '\0';
  *get() = {sizeof(smi_error), capacity, capacity > 0 ? text_.as<char>() : nullptr};
}

StatusOr<std::string> ErrorBuffer::Text() const {
  const std::string_view bytes = text_.bytes();
  if (bytes.empty()) return std::string();
  const size_t end = bytes.find('\0');
  if (end == std::string_view::npos) {
    return Fail(fmt::format("an error text of {} bytes does not end with NUL within its capacity",
                            bytes.size()));
  }
  return std::string(bytes.substr(0, end));
}

}  // namespace mlos
