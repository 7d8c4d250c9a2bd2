// SPDX-License-Identifier: Apache-2.0
//
// A model's files as the core passed them: names and descriptors.  A plugin
// opens them through the host and nowhere else.  Files are mapped when they
// are first opened and stay mapped until the model is unloaded.
#pragma once

#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "mlos/smi.h"

// The SMI's opaque type is this.
struct smi_artefact {
  struct File {
    std::string name;
    mlos::OwnedFd fd;
    void* data = nullptr;
    uint64_t size = 0;
    bool mapped = false;
  };

  smi_artefact() = default;
  ~smi_artefact();
  smi_artefact(const smi_artefact&) = delete;
  smi_artefact& operator=(const smi_artefact&) = delete;

  smi_code Open(const char* name, smi_blob* blob, smi_error* error);

  std::vector<File> files;
  std::string main_file;
};

namespace mlos::plugin_host {

// Writes `text` into an SMI error buffer, cut to its capacity.
void SetError(smi_error* error, const std::string& text);

}  // namespace mlos::plugin_host
