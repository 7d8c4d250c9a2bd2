// SPDX-License-Identifier: Apache-2.0
//
// One request in the hands of a worker: checks it against the model, shows it
// to the plugin as an smi_request, hands out output memory and publishes the
// answer.  One per worker, reused; nothing is allocated once it is warm.
//
// A request of an application's channel is shown to the plugin in memory of the
// execution's own, unless the channel's terms allow to use what lies in it: the
// application could rewrite that after it was checked.
//
// Threads: one worker at a time.  The SMI callbacks of a request arrive on
// whatever thread the plugin uses, but never two at once for one request.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "channel/consumer.h"
#include "mlos/smi.h"
#include "plugin_host/channels.h"
#include "plugin_host/plugin.h"
#include "plugin_host/private_memory.h"
#include "plugin_host/request_port.h"
#include "tensor/message.h"

namespace mlos::plugin_host {

// Gets more response memory for a channel; blocks until it is there.
class SegmentSource {
 public:
  virtual ~SegmentSource() = default;
  virtual Status NeedResponseSegment(AttachedChannel& channel, uint64_t bytes) = 0;
};

// A claimed request and where it came from.  The channel stays while it owes
// the answer.
struct Job {
  channel::Claim claim;
  channel::Consumer* consumer = nullptr;  // the channel's
  AttachedChannel* channel = nullptr;
};

class Execution : public RequestPort {
 public:
  explicit Execution(SegmentSource& segments);

  // Runs the job on the model and answers it, exactly once.  With `ring` false
  // the producer is not woken for it (Consumer::Complete).
  void Run(const Job& job, const Model& model, bool ring = true);
  // Answers it without running.
  void Fail(const Job& job, StatusCode code, std::string_view text);
  // What publishing the last answer took: whoever is woken by it may take this
  // processor at once, and that is not the model's time.
  uint64_t publish_ns() const { return publish_ns_; }
  // Of the last answer; and how many inferences were in its request, where it ran.
  StatusCode code() const { return code_; }
  uint64_t batch() const;

  // Behind the SMI callbacks of smi_host_api.
  smi_code AllocateOutput(uint32_t index, smi_datatype datatype, uint32_t rank,
                          const int64_t* shape, uint64_t byte_size, void** data,
                          smi_error* error) override;
  smi_code Respond(smi_error* error) override;
  void FailFromPlugin(smi_code code, const char* text) override;
  bool IsCancelled() const override;

 private:
  void CallPlugin();
  Status Prepare();
  Status CheckInput(const tensor::TensorDesc& desc, smi_tensor* input);
  bool MustCopy(const tensor::TensorDesc& desc) const;
  bool OwnOutputs() const;
  StatusOr<std::span<const std::byte>> InputMemory(const tensor::TensorDesc& desc);
  Status CheckAllInputsGiven() const;
  Status CheckOutputsWanted() const;
  bool Wanted(uint32_t output) const;
  StatusOr<channel::ResponseBlock> Allocate(uint32_t piece, uint64_t bytes);
  void Publish(StatusCode code, std::string_view text);

  SegmentSource& segments_;
  const Job* job_ = nullptr;
  const Model* model_ = nullptr;
  bool answered_ = false;
  bool ring_ = true;
  uint64_t started_ns_ = 0;
  uint64_t publish_ns_ = 0;
  StatusCode code_ = StatusCode::kOk;
  tensor::RequestView view_;
  std::vector<smi_tensor> inputs_;
  std::vector<tensor::TensorDesc> allocated_;  // one per output of the model
  std::vector<bool> has_output_;
  // Where the plugin writes an output, and where the answer has it; with
  // OwnOutputs only.
  struct OwnOutput {
    const std::byte* from = nullptr;
    std::byte* to = nullptr;
  };
  std::vector<OwnOutput> own_outputs_;
  PrivateMemory own_;
  std::vector<tensor::TensorDesc> answer_;
  smi_request request_{};
  char error_text_[tensor::kMaxTextBytes] = {};
};

}  // namespace mlos::plugin_host
