// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/call_planner.h"

#include <algorithm>
#include <string>

#include "frontends/common/classification.h"
#include "frontends/common/element_checker.h"

namespace mlos::frontend {
namespace {

using tensor::Datatype;

Datatype TypeOf(const tensor::TensorDesc& desc) { return static_cast<Datatype>(desc.datatype); }

std::string PrefixOf(std::string_view model) { return "model " + Quote(model) + ": "; }

}  // namespace

std::string CallPlanner::Prefix() const { return PrefixOf(model_); }

Status CallPlanner::Begin(std::string_view model, const ModelInfo& info, bool in_sequence,
                          tensor::RequestPlan* plan) {
  model_ = model;
  info_ = &info;
  plan_ = plan;
  region_bytes_ = 0;
  builder_.Begin(model, info, plan);
  // An answer as if there were no sequence would be a wrong result.
  if (!in_sequence) return OkStatus();
  return InvalidArgument(Prefix() +
                         "has no sequence batching: leave out parameter \"sequence_id\"");
}

Status CallPlanner::AddInput(GivenInput* input) {
  MLOS_RETURN_IF_ERROR(builder_.AddInput(input->name, &input->desc));
  if (input->form == Form::kElements || input->form == Form::kUnset) return OkStatus();
  MLOS_RETURN_IF_ERROR(CheckSize(model_, input));
  if (input->form != Form::kRegion) return OkStatus();
  MLOS_RETURN_IF_ERROR(FindRegion("input", input->name, &input->place));
  // As if it had come in the body, which takes the loop no longer.
  region_bytes_ += input->given_bytes;
  if (region_bytes_ <= most_region_bytes_) return OkStatus();
  return InvalidArgument(Prefix() + "inputs in shared memory have more than the " +
                         std::to_string(most_region_bytes_) + " bytes that a request may have");
}

Status CallPlanner::AddOutput(AskedOutput* output) {
  MLOS_RETURN_IF_ERROR(builder_.AddOutput(output->name, &output->index));
  if (output->form == Form::kRegion) {
    MLOS_RETURN_IF_ERROR(FindRegion("output", output->name, &output->place));
  }
  if (output->classes == 0) return OkStatus();
  const Status possible = CheckClassifiable(info_->outputs[output->index]);
  return possible.ok() ? possible : Annotate(possible, Prefix() + "output " + Quote(output->name));
}

Status CallPlanner::Finish(std::span<const tensor::TensorDesc> inputs,
                           std::string_view parameters) {
  MLOS_RETURN_IF_ERROR(builder_.Finish(inputs));
  plan_->parameters = parameters;
  return OkStatus();
}

Status CallPlanner::FindRegion(std::string_view what, std::string_view name,
                               RegionPlace* place) const {
  const auto found = regions_ != nullptr ? regions_->Find(kAnonymous, *place->name)
                                         : RegionTable({}).Find(kAnonymous, *place->name);
  const Status status =
      found.ok() ? (*found)->CheckRange(place->offset.value_or(0), *place->bytes) : found.status();
  if (!status.ok()) {
    return Annotate(status, Prefix() + std::string(what) + " " + Quote(name));
  }
  place->pin = *found;
  return OkStatus();
}

Status CheckSize(std::string_view model, GivenInput* input) {
  if (TypeOf(input->desc) == Datatype::kBytes) {
    input->desc.bytes = input->given_bytes;
    return OkStatus();
  }
  if (input->desc.bytes == input->given_bytes) return OkStatus();
  return InvalidArgument(PrefixOf(model) + "input " + Quote(input->name) + " has " +
                         std::to_string(input->given_bytes) +
                         (input->form == Form::kRegion ? " bytes of shared memory but "
                                                       : " bytes of binary data but ") +
                         std::string(tensor::DatatypeName(TypeOf(input->desc))) + " " +
                         tensor::ShapeText(input->desc.shape()) + " takes " +
                         std::to_string(input->desc.bytes));
}

std::span<std::byte> PlaceOf(const tensor::RequestPlan& plan, uint32_t index,
                             std::span<std::byte> block) {
  const auto at =
      std::lower_bound(plan.inputs.begin(), plan.inputs.end(), index,
                       [](const tensor::TensorDesc& desc, uint32_t i) { return desc.index < i; });
  return block.subspan(at->offset, at->bytes);
}

Status CopyRegion(const GivenInput& input, std::span<std::byte> to) {
  MLOS_RETURN_IF_ERROR(input.place.pin->Read(input.place.offset.value_or(0), to));
  return CheckElements(input.desc, to);
}

}  // namespace mlos::frontend
