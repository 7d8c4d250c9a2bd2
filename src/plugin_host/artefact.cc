// SPDX-License-Identifier: Apache-2.0
#include "plugin_host/artefact.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace mlos::plugin_host {

void SetError(smi_error* error, const std::string& text) {
  if (error == nullptr || error->text == nullptr || error->capacity == 0) return;
  const size_t n = std::min<size_t>(text.size(), error->capacity - 1);
  std::memcpy(error->text, text.data(), n);
  error->text[n] = '\0';
}

}  // namespace mlos::plugin_host

smi_artefact::~smi_artefact() {
  for (const File& f : files) {
    if (f.data != nullptr) munmap(f.data, f.size);
  }
}

smi_code smi_artefact::Open(const char* name, smi_blob* blob, smi_error* error) {
  const std::string_view wanted = name != nullptr ? name : std::string_view(main_file);
  const auto it =
      std::find_if(files.begin(), files.end(), [&](const File& f) { return f.name == wanted; });
  if (it == files.end()) {
    mlos::plugin_host::SetError(
        error,
        fmt::format("the model has no file \"{}\": register the directory that holds it", wanted));
    return SMI_NOT_FOUND;
  }
  if (!it->mapped) {
    struct stat st;
    if (fstat(it->fd.get(), &st) != 0 || st.st_size < 0) {
      mlos::plugin_host::SetError(error, fmt::format("cannot read the size of \"{}\"", wanted));
      return SMI_INTERNAL;
    }
    if (st.st_size > 0) {
      void* data =
          mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_PRIVATE, it->fd.get(), 0);
      if (data == MAP_FAILED) {
        mlos::plugin_host::SetError(error, fmt::format("cannot map \"{}\" ({} bytes)", wanted,
                                                       static_cast<int64_t>(st.st_size)));
        return SMI_RESOURCE_EXHAUSTED;
      }
      it->data = data;
      it->size = static_cast<uint64_t>(st.st_size);
    }
    it->mapped = true;
  }
  static const char kEmpty = 0;
  blob->fd = it->fd.get();
  blob->data = it->data != nullptr ? it->data : &kEmpty;
  blob->size = it->size;
  return SMI_OK;
}
