// SPDX-License-Identifier: Apache-2.0
//
// Model: a loaded model as SMI knows it: its session, its description and one
// SlotRunner per slot that was ever used.  Made and freed on the control
// thread; Execute may run on as many threads at once as info() says.

#ifndef MLOS_PLUGINS_ONNXRUNTIME_MODEL_H_
#define MLOS_PLUGINS_ONNXRUNTIME_MODEL_H_

#include <array>
#include <atomic>
#include <memory>

#include "error.h"
#include "session.h"
#include "slot_runner.h"

namespace mlos::onnxrt {

// Runners by slot number.  Grows on demand in pages; entries are never removed.
// Get may be called on any thread, for one slot by one thread at a time.
class SlotTable {
 public:
  static constexpr uint32_t kSlots = 65536;

  SlotTable() = default;
  ~SlotTable();
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;

  // The entry of `slot`, which is below kSlots.
  std::unique_ptr<SlotRunner>& Get(uint32_t slot);

 private:
  static constexpr uint32_t kPageSize = 256;
  using Page = std::array<std::unique_ptr<SlotRunner>, kPageSize>;

  std::array<std::atomic<Page*>, kSlots / kPageSize> pages_ = {};
};

class Model {
 public:
  static Error Load(const OrtRuntime& ort, const smi_host_api& host, const smi_load_params& params,
                    std::unique_ptr<Model>* model);

  const smi_model_info& info() const { return info_; }

  // Runs one request and answers it, whatever happens.
  void Execute(const smi_request& request);

  // Runs the model once on made-up data, so that the first request does not pay
  // for what the library sets up lazily.  Data that the model cannot take is no
  // failure.
  void WarmUp();

 private:
  Model() = default;

  Error RunRequest(const smi_request& request);
  void Fail(const smi_request& request, smi_code code, const std::string& text) const;

  std::unique_ptr<Session> session_;
  SlotTable slots_;  // after session_: runners go first
  smi_model_info info_ = {};
};

}  // namespace mlos::onnxrt

#endif  // MLOS_PLUGINS_ONNXRUNTIME_MODEL_H_
