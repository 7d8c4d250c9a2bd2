// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <malloc.h>

#include <algorithm>
#include <new>
#include <thread>

#include "settings.h"

namespace mlos::onnxrt {
namespace {

// Bytes that are handed out by the allocator of this process.  The difference
// around a load is what the model took, as far as no other model runs.
uint64_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return uint64_t{info.uordblks} + uint64_t{info.hblkhd};
}

void LogUnknown(const smi_host_api& host, const std::string& who, const Settings& settings) {
  for (const std::string& name : settings.unknown) {
    const std::string text = who + "parameter " + Quote(name) + " is not one of this plugin's";
    host.log(host.context, SMI_LOG_INFO, text.c_str());
  }
}

}  // namespace

SlotTable::~SlotTable() {
  for (std::atomic<Page*>& page : pages_) delete page.load();
}

std::unique_ptr<SlotRunner>& SlotTable::Get(uint32_t slot) {
  std::atomic<Page*>& entry = pages_[slot / kPageSize];
  Page* page = entry.load(std::memory_order_acquire);
  if (page == nullptr) {
    auto made = std::make_unique<Page>();
    if (entry.compare_exchange_strong(page, made.get(), std::memory_order_acq_rel)) {
      page = made.release();
    }
  }
  return (*page)[slot % kPageSize];
}

Error Model::Load(const OrtRuntime& ort, const smi_host_api& host, const smi_load_params& params,
                  std::unique_ptr<Model>* model) {
  const std::string who = "model " + Quote(params.name) + ": ";
  Settings settings;
  Error error = ParseSettings(params.config == nullptr ? "{}" : params.config, &settings);
  if (!error.ok()) return error.Prefixed(who);
  LogUnknown(host, who, settings);

  const uint64_t before = AllocatedBytes();
  std::unique_ptr<Model> made(new Model());
  error = Session::Load(ort, host, params, settings, &made->session_);
  if (!error.ok()) return error.Prefixed(who);

  smi_model_info& info = made->info_;
  info.struct_size = sizeof(info);
  made->session_->tensors().Publish(&info);
  info.max_batch_size = settings.max_batch_size;
  info.max_concurrency = settings.instances != 0
                             ? settings.instances
                             : std::max(std::thread::hardware_concurrency(), 1u);
  info.replay = settings.stateful ? SMI_REPLAY_NEVER : SMI_REPLAY_SAFE;
  const uint64_t after = AllocatedBytes();
  info.memory_bytes = after > before ? after - before : 0;
  info.platform = "onnxruntime_onnx";
  *model = std::move(made);
  return {};
}

void Model::Execute(const smi_request& request) {
  const smi_host_api& host = session_->host();
  if (host.is_cancelled(&request)) {
    Fail(request, SMI_CANCELLED, "nobody waits for the answer any more");
    return;
  }
  Error error;
  try {
    error = RunRequest(request);
  } catch (const std::bad_alloc&) {
    error = Error(SMI_RESOURCE_EXHAUSTED, "out of memory");
  } catch (...) {
    error = Error(SMI_INTERNAL, "an unexpected failure");
  }
  if (error.ok()) {
    // A refusal has answered the request already.
    (void)host.respond(&request, nullptr);
  } else {
    Fail(request, error.code(), error.text());
  }
}

Error Model::RunRequest(const smi_request& request) {
  if (request.slot >= SlotTable::kSlots) return Error(SMI_INTERNAL, "the slot is out of range");
  std::unique_ptr<SlotRunner>& runner = slots_.Get(request.slot);
  if (runner == nullptr) {
    if (Error error = SlotRunner::Create(*session_, &runner); !error.ok()) return error;
  }
  return runner->Run(request);
}

void Model::Fail(const smi_request& request, smi_code code, const std::string& text) const {
  std::string sentence;
  try {
    sentence = "model " + Quote(session_->name()) + ": " + text;
  } catch (...) {
  }
  session_->host().fail(&request, code, sentence.c_str());
}

void Model::WarmUp() {
  std::vector<Shape> shapes;
  const Error error = session_->TrialRun(&shapes);
  if (error.ok()) return;
  const std::string text = "model " + Quote(session_->name()) +
                           " was not warmed up, made-up data does not suit it: " + error.text();
  session_->host().log(session_->host().context, SMI_LOG_DEBUG, text.c_str());
}

}  // namespace mlos::onnxrt
