// SPDX-License-Identifier: Apache-2.0
//
// The part of InferJob that goes from what was asked for to the model's tensors.
#include <algorithm>
#include <cstring>

#include "frontends/common/classification.h"
#include "frontends/grpc/infer_contents.h"
#include "frontends/grpc/infer_job.h"

namespace mlos::grpc {
namespace {

using frontend::Quote;
using tensor::Datatype;

// Who sends slowly must not take a channel's places and memory from others: so
// many requests, and so much, is held while contents arrive; those of others are
// kept until they are whole.
constexpr uint32_t kMostOpenFills = 64;
constexpr uint64_t kMostOpenFillBytes = 256 << 20;

Datatype TypeOf(const InferInput& input) { return static_cast<Datatype>(input.desc.datatype); }

uint64_t CountOf(const InferInput& input) {
  uint64_t count = 0;
  tensor::ElementCount(input.desc.shape(), &count);
  return count;
}

// What the datatype demands of elements in their binary form.
Status CheckElements(const InferInput& input, std::span<const std::byte> elements) {
  if (TypeOf(input) == Datatype::kBytes) {
    return tensor::CheckBytesTensor(elements, CountOf(input));
  }
  if (TypeOf(input) != Datatype::kBool) return OkStatus();
  const auto bad = std::find_if(elements.begin(), elements.end(),
                                [](std::byte element) { return element > std::byte{1}; });
  if (bad == elements.end()) return OkStatus();
  return InvalidArgument("element " + std::to_string(bad - elements.begin()) +
                         " of a BOOL is neither 0 nor 1");
}

}  // namespace

std::string InferJob::About(const InferInput& input) const {
  return "model " + Quote(request_.model) + ": input " + Quote(input.name);
}

Status InferJob::FindRegion(std::string_view what, std::string_view name,
                            RegionPlace* place) const {
  const auto found = context_.regions.Find(frontend::kAnonymous, place->name);
  const Status status =
      found.ok() ? (*found)->CheckRange(place->offset, place->bytes) : found.status();
  if (!status.ok()) {
    return Annotate(
        status, "model " + Quote(request_.model) + ": " + std::string(what) + " " + Quote(name));
  }
  place->pin = *found;
  return OkStatus();
}

// All that is known without the raw contents.
Status InferJob::PlanInputs() {
  // The client means a model that remembers: an answer as if there were no
  // sequence would be a wrong result.
  if (request_.in_sequence) {
    return InvalidArgument("model " + Quote(request_.model) +
                           " has no sequence batching: leave out parameter 'sequence_id'");
  }
  context_.builder.Begin(request_.model, info(), &plan_);
  uint64_t region_bytes = 0;
  for (InferInput& input : request_.inputs) {
    MLOS_RETURN_IF_ERROR(context_.builder.AddInput(input.name, &input.desc));
    if (raw_ && input.typed) {
      return InvalidArgument(About(input) +
                             " has contents although there are raw_input_contents: give all "
                             "inputs in one of the two forms");
    }
    if (input.place.given()) {
      MLOS_RETURN_IF_ERROR(FindRegion("input", input.name, &input.place));
      if (TypeOf(input) == Datatype::kBytes) input.desc.bytes = input.place.bytes;
      if (input.desc.bytes != input.place.bytes) {
        return InvalidArgument(About(input) + " has " + std::to_string(input.place.bytes) +
                               " bytes of shared memory but " +
                               std::string(tensor::DatatypeName(TypeOf(input))) + " " +
                               tensor::ShapeText(input.desc.shape()) + " takes " +
                               std::to_string(input.desc.bytes));
      }
      // As if it had come in the message, which takes the loop no longer.
      region_bytes += input.place.bytes;
      if (region_bytes > context_.options.calls.max_message_bytes) {
        return InvalidArgument("model " + Quote(request_.model) +
                               ": inputs in shared memory have more than the " +
                               std::to_string(context_.options.calls.max_message_bytes) +
                               " bytes that a request may have");
      }
    } else if (!raw_) {
      const Status measured =
          MeasureContents(input.contents, TypeOf(input), CountOf(input), &input.desc.bytes);
      if (!measured.ok()) return Annotate(measured, About(input));
    }
  }
  return OkStatus();
}

Status InferJob::PlanOutputs() {
  for (InferOutput& output : request_.outputs) {
    MLOS_RETURN_IF_ERROR(context_.builder.AddOutput(output.name, &output.index));
    if (output.place.given()) {
      MLOS_RETURN_IF_ERROR(FindRegion("output", output.name, &output.place));
    }
    if (output.classes == 0) continue;
    const Status possible = frontend::CheckClassifiable(info().outputs[output.index]);
    if (!possible.ok()) {
      return Annotate(possible,
                      "model " + Quote(request_.model) + ": output " + Quote(output.name));
    }
  }
  return OkStatus();
}

Status InferJob::FinishPlan() {
  context_.descs.clear();
  for (const InferInput& input : request_.inputs) context_.descs.push_back(input.desc);
  MLOS_RETURN_IF_ERROR(context_.builder.Finish(context_.descs));
  plan_.parameters = request_.parameters;
  return OkStatus();
}

Status InferJob::CheckRawSize(const InferInput& input, uint64_t bytes) const {
  if (bytes == input.desc.bytes) return OkStatus();
  return InvalidArgument(
      About(input) + " has " + std::to_string(bytes) + " bytes of raw contents but " +
      std::string(tensor::DatatypeName(TypeOf(input))) + " " +
      tensor::ShapeText(input.desc.shape()) + " takes " + std::to_string(input.desc.bytes));
}

// Which inputs the raw contents are of, and whether they can go into the channel
// as they arrive.  The first has begun, and is as large as it should be; the
// shapes of the others are claims, and a message that has not room for them gets
// no memory for them.
Status InferJob::PlaceRaw() {
  if (!raw_) return OkStatus();
  uint32_t unknown = 0;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < request_.inputs.size(); ++i) {
    InferInput& input = request_.inputs[i];
    if (input.place.given()) continue;
    const bool first = raw_inputs_.empty();
    raw_inputs_.push_back(i);
    if (TypeOf(input) == Datatype::kBytes) {
      unknown += first ? 0 : 1;
      if (first) input.desc.bytes = raw_sizes_.front();
    } else if (first) {
      MLOS_RETURN_IF_ERROR(CheckRawSize(input, raw_sizes_.front()));
    }
    bytes += std::min(input.desc.bytes, kMostOpenFillBytes + 1);
  }
  const uint64_t backed = expected_bytes_ > 0 ? expected_bytes_ : raw_sizes_.front();
  direct_ = unknown == 0 && bytes <= backed && context_.open_fills < kMostOpenFills &&
            bytes <= context_.options.calls.max_message_bytes &&
            context_.open_fill_bytes + bytes <= kMostOpenFillBytes;
  return OkStatus();
}

// All raw contents are kept and their sizes known; another request may have
// been planned since.
Status InferJob::Collected() {
  context_.builder.Begin(request_.model, info(), &plan_);
  for (const InferInput& input : request_.inputs) {
    tensor::TensorDesc desc = input.desc;
    MLOS_RETURN_IF_ERROR(context_.builder.AddInput(input.name, &desc));
  }
  for (const InferOutput& output : request_.outputs) {
    uint32_t index = 0;
    MLOS_RETURN_IF_ERROR(context_.builder.AddOutput(output.name, &index));
  }
  return FinishPlan();
}

// The plan has them in the model's order.
std::span<std::byte> InferJob::MemoryOf(const InferInput& input) const {
  const auto at = std::lower_bound(
      plan_.inputs.begin(), plan_.inputs.end(), input.desc.index,
      [](const tensor::TensorDesc& desc, uint32_t index) { return desc.index < index; });
  return slot.memory.subspan(at->offset, at->bytes);
}

// What has not come to its place by itself, and a look at what has.
Status InferJob::Fill() {
  for (InferInput& input : request_.inputs) {
    if (const Status filled = FillOne(input); !filled.ok()) return Annotate(filled, About(input));
  }
  return OkStatus();
}

Status InferJob::FillOne(InferInput& input) {
  const std::span<std::byte> to = MemoryOf(input);
  if (input.place.given()) {
    // The client may write there at any time: what is looked at is the copy.
    MLOS_RETURN_IF_ERROR(input.place.pin->Read(input.place.offset, to));
  } else if (!raw_) {
    return WriteContents(input.contents, TypeOf(input), to);
  } else if (!direct_ && !to.empty()) {
    std::memcpy(to.data(), kept_.data() + input.raw_offset, to.size());
  }
  return CheckElements(input, to);
}

}  // namespace mlos::grpc
