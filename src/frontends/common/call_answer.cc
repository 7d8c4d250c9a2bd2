// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/call_answer.h"

#include <algorithm>

#include "frontends/common/infer_plan.h"

namespace mlos::frontend {
namespace {

// Of a call that had more, nothing is kept for the next.
constexpr size_t kKeptTensors = 64;

Status WriteToRegion(const engine::OutputTensor& output, const RegionPlace& place) {
  if (output.data.size() > *place.bytes) {
    return Internal("needs " + std::to_string(output.data.size()) +
                    " bytes of shared memory, and \"shared_memory_byte_size\" is " +
                    std::to_string(*place.bytes));
  }
  return place.pin->Write(place.offset.value_or(0), output.data);
}

}  // namespace

void CallAnswer::Clear() {
  tensors_.clear();
  if (tensors_.capacity() > kKeptTensors) tensors_ = {};
  if (!classified_.empty()) classified_ = {};
  looked_at_ = results_ = 0;
}

Status CallAnswer::Make(std::string_view model, const engine::ModelRoute& route,
                        std::span<const AskedOutput> asked, std::span<engine::OutputTensor> outputs,
                        Classifier& classifier) {
  Clear();
  if (asked.empty()) {
    for (const engine::OutputTensor& output : outputs) tensors_.push_back({&output, nullptr});
  }
  for (const AskedOutput& wanted : asked) {
    // The outputs come in ascending order; the client gets them in its own.
    const auto at = std::lower_bound(
        outputs.begin(), outputs.end(), wanted.index,
        [](const engine::OutputTensor& o, uint32_t index) { return o.desc.index < index; });
    if (at == outputs.end() || at->desc.index != wanted.index) {
      return Internal("the model left out an output that was asked for");
    }
    Status status;
    if (wanted.classes > 0) {
      // The outputs point into these texts: they stay where they are.
      if (classified_.empty()) classified_.reserve(asked.size());
      status = Classify(route, wanted, classifier, &*at);
    } else if (wanted.form == Form::kRegion) {
      status = WriteToRegion(*at, wanted.place);
    }
    if (!status.ok()) {
      return Annotate(status, "model " + Quote(model) + ": output " + Quote(wanted.name));
    }
    tensors_.push_back({&*at, &wanted});
  }
  for (const AnswerTensor& made : tensors_) {
    if (made.tensor->desc.index >= route.info->outputs.size()) {
      return Internal("the model has given an output that it does not have");
    }
  }
  return OkStatus();
}

// Puts the greatest elements in the place of the output that they were asked of.
Status CallAnswer::Classify(const engine::ModelRoute& route, const AskedOutput& asked,
                            Classifier& classifier, engine::OutputTensor* output) {
  std::span<const std::string> labels;
  if (route.settings != nullptr && asked.index < route.settings->labels.size()) {
    labels = route.settings->labels[asked.index];
  }
  // What bounds one output bounds all of a request's: the loop has others to serve.
  uint64_t count = 0;
  tensor::ElementCount(output->desc.shape(), &count);
  looked_at_ += std::min(count, kMostClassified);
  if (looked_at_ > kMostClassified) {
    return InvalidArgument("classification of more than " + std::to_string(kMostClassified) +
                           " elements in one request: ask for fewer outputs, or for themselves");
  }
  std::string& elements = classified_.emplace_back();
  MLOS_RETURN_IF_ERROR(classifier.Classify(*output, route.info->max_batch_size > 0, asked.classes,
                                           labels, &elements, &output->desc));
  output->data = std::as_bytes(std::span(elements));
  tensor::ElementCount(output->desc.shape(), &count);
  results_ += count;
  if (results_ > kMostResults) {
    return InvalidArgument("classification gives more than " + std::to_string(kMostResults) +
                           " results in one request: ask for fewer classes");
  }
  return OkStatus();
}

}  // namespace mlos::frontend
