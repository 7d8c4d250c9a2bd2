// SPDX-License-Identifier: Apache-2.0
//
// A host that suspects its plugin: the other side of mlos/smi.h as smi-check
// plays it.
//
// Every struct lies at the end of guarded memory, so that reading past its
// struct_size kills; inputs are read-only; what the contract calls gone is
// made inaccessible or overwritten.  The first breach that a callback sees is
// kept and fails the check.
// Ownership: a FakeHost owns its table and the opened files; it outlives the
// plugin instance.  Threads: callbacks may come on any thread; the rest is for
// the control thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "mlos/smi.h"
#include "smi_check/artefact.h"
#include "smi_check/guarded.h"

namespace mlos {
class FakeHost;
}

// The contract leaves the type to the host.
struct smi_artefact {
  mlos::FakeHost* host;
  const mlos::Artefact* files;  // null: load is over
};

namespace mlos {

// What a host may look like to a plugin.
struct HostShape {
  // Bytes of a newer minor version behind every struct, filled with rubbish.
  uint32_t extra = 0;
  // Where above 0: the table ends here, before some of its functions.
  uint32_t table_size = 0;
};

class FakeHost {
 public:
  explicit FakeHost(HostShape shape);
  ~FakeHost();
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  const smi_host_api* table() const { return table_.as<const smi_host_api>(); }
  const HostShape& shape() const { return shape_; }

  // Keeps the first breach of the contract.
  void Breach(std::string_view what) MLOS_EXCLUDES(mutex_);
  // OK, or the breach as a failure.
  Status breach() const MLOS_EXCLUDES(mutex_);

  // Guarded memory for `count` structs with room for a newer version behind
  // each; `size` is set as struct_size in all, the room is rubbish.
  Guarded NewStructs(size_t size, size_t count) const;

  // Opens the window in which files may be opened; one at a time.
  smi_artefact* BeginLoad(const Artefact& artefact);
  // Closes it.  The files stay readable until CloseFiles when the load
  // succeeded.
  void EndLoad();
  // The model is unloaded or was never made: its files are gone.
  void CloseFiles(const smi_artefact* artefact);

 private:
  struct OpenFile;
  struct Callbacks;
  friend struct Callbacks;

  smi_code Open(const smi_artefact* artefact, const char* name, smi_blob* blob, smi_error* error);
  bool CheckInsideLoad(const smi_artefact* artefact, const char* function);

  const HostShape shape_;
  Guarded table_;
  const std::thread::id control_thread_;
  std::vector<std::unique_ptr<smi_artefact>> artefacts_;
  std::vector<std::unique_ptr<OpenFile>> open_files_;
  smi_artefact* loading_ = nullptr;
  mutable Mutex mutex_;
  std::string breach_ MLOS_GUARDED_BY(mutex_);
};

// Writes `text` as a callee of the contract does.
void WriteError(smi_error* error, std::string_view text);

// An smi_error of the host's with `capacity` bytes, all guarded.
class ErrorBuffer {
 public:
  explicit ErrorBuffer(uint32_t capacity);
  smi_error* get() const { return error_.as<smi_error>(); }
  // The text, or a failure: not ended by a NUL within its capacity.
  StatusOr<std::string> Text() const;

 private:
  Guarded text_;
  Guarded error_;
};

}  // namespace mlos
