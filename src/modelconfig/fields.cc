// SPDX-License-Identifier: Apache-2.0
#include "modelconfig/fields.h"

#include <fmt/core.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>

namespace mlos::modelconfig {
namespace {

namespace pb = google::protobuf;
using E = Effect;

constexpr FieldRow kTable[] = {
    {"name", E::kActs, "must be the name of the model where it is there"},
    {"platform", E::kActs,
     "picks the plugin where `backend` does not: `onnxruntime_onnx` is plugin `onnxruntime`"},
    {"backend", E::kActs, "picks the plugin: its name"},
    {"runtime", E::kIgnored, "a plugin has one library, which its manifest names"},
    {"version_policy", E::kActs,
     "which versions of a repository's model serve, by default the latest; a registered model's "
     "policy is set by an operation of its own and not by this"},
    {"max_batch_size", E::kActs,
     "goes to the plugin; where it is above 0, the first dimension of every tensor is a batch"},
    {"input.name", E::kActs, "must be one of the model's"},
    {"input.data_type", E::kActs, "must be the model's"},
    {"input.format", E::kActs, "is told to clients; nothing is converted"},
    {"input.dims", E::kActs, "must fit the model's; requests are checked against the model's own"},
    {"input.reshape", E::kRefused, "clients would send a shape that the model does not take"},
    {"input.is_shape_tensor", E::kRefused, "no plugin here has shape tensors"},
    {"input.allow_ragged_batch", E::kRefused, "requests are not put together to ragged batches"},
    {"input.optional", E::kActs, "must be so in the model"},
    {"input.is_non_linear_format_io", E::kRefused, "tensors are dense and row by row"},
    {"output.name", E::kActs, "must be one of the model's"},
    {"output.data_type", E::kActs, "must be the model's"},
    {"output.dims", E::kActs, "must fit the model's"},
    {"output.reshape", E::kRefused, "clients would expect a shape that the model does not give"},
    {"output.label_filename", E::kActs,
     "the names of the classes, a line for each; beneath the model's directory, of a registered "
     "model beside its file"},
    {"output.is_shape_tensor", E::kRefused, "no plugin here has shape tensors"},
    {"output.is_non_linear_format_io", E::kRefused, "tensors are dense and row by row"},
    {"batch_input", E::kRefused, "the model would miss an input: requests are not put together"},
    {"batch_output", E::kRefused,
     "the model's answers would be wrong: requests are not put together"},
    {"optimization.graph.level", E::kActs, "goes to the plugin; `onnxruntime` takes -1, 0, 1, 2"},
    {"optimization.priority", E::kIgnored, "all models are served alike"},
    {"optimization.cuda", E::kIgnored, "what it tunes is not used"},
    {"optimization.execution_accelerators", E::kIgnored,
     "the plugin runs the model with what it has; the answers are the same"},
    {"optimization.input_pinned_memory", E::kIgnored, "tensors lie in memory that is shared"},
    {"optimization.output_pinned_memory", E::kIgnored, "tensors lie in memory that is shared"},
    {"optimization.gather_kernel_buffer_threshold", E::kIgnored, "there is no such kernel"},
    {"optimization.eager_batching", E::kIgnored, "requests are not put together"},
    {"dynamic_batching", E::kIgnored,
     "each request is run by itself; the answers are the same, and its queue, priorities and "
     "limits are not there"},
    {"sequence_batching", E::kRefused,
     "requests of a sequence would meet instances that know nothing of each other"},
    {"ensemble_scheduling", E::kRefused, "a model is one artefact: its steps are not run"},
    {"instance_group.name", E::kIgnored, "instances have no names"},
    {"instance_group.kind", E::kActs,
     "goes to the plugin; `onnxruntime` takes KIND_AUTO, KIND_CPU and KIND_MODEL"},
    {"instance_group.count", E::kActs,
     "goes to the plugin: so many requests run at once, summed over the groups, as far as the "
     "host has workers"},
    {"instance_group.rate_limiter", E::kIgnored, "instances wait for nothing but workers"},
    {"instance_group.gpus", E::kIgnored, "instances run on processors"},
    {"instance_group.secondary_devices", E::kIgnored, "instances run on processors"},
    {"instance_group.profile", E::kIgnored, "no plugin here has profiles"},
    {"instance_group.passive", E::kRefused, "an instance that nobody calls has no use"},
    {"instance_group.host_policy", E::kIgnored, "where instances run is the daemon's choice"},
    {"default_model_filename", E::kActs, "which file of the version is the model"},
    {"cc_model_filenames", E::kIgnored, "instances run on processors"},
    {"metric_tags", E::kIgnored, "metrics have the labels of docs/metrics.md"},
    {"parameters", E::kActs, "goes to the plugin, which says what it knows"},
    {"model_warmup", E::kActs,
     "each sample is run before the model is ready, `count` times; one that fails fails the load. "
     "Data files lie in `warmup` of the model's directory, of a registered model beside its file"},
    {"model_operations.op_library_filename", E::kRefused,
     "a configuration does not name code to map; a plugin brings its own"},
    {"model_transaction_policy.decoupled", E::kRefused, "a request has exactly one answer"},
    {"model_repository_agents", E::kRefused,
     "the files would not be what the model is made of: no agent is run"},
    {"response_cache.enable", E::kIgnored, "answers are computed, not kept"},
    {"model_metrics", E::kIgnored, "histograms have the buckets of docs/metrics.md"},
};

const FieldRow* FindRow(std::string_view field) {
  const auto* it = std::find_if(std::begin(kTable), std::end(kTable),
                                [&](const FieldRow& row) { return row.field == field; });
  return it == std::end(kTable) ? nullptr : it;
}

class Examiner {
 public:
  void Walk(const pb::Message& message, const std::string& prefix) {
    std::vector<const pb::FieldDescriptor*> fields;
    const pb::Reflection& r = *message.GetReflection();
    r.ListFields(message, &fields);
    for (const pb::FieldDescriptor* field : fields) {
      const std::string path = prefix + field->name();
      if (const FieldRow* row = FindRow(path); row != nullptr) {
        Note(*row);
      } else if (field->is_repeated()) {
        const int count = r.FieldSize(message, field);
        for (int i = 0; i < count; ++i) Walk(r.GetRepeatedMessage(message, field, i), path + ".");
      } else {
        Walk(r.GetMessage(message, field), path + ".");
      }
    }
  }

  Examined Finish() {
    if (!refused_.empty()) {
      out_.refused = FailedPrecondition("its configuration cannot be served: " + refused_);
    }
    return std::move(out_);
  }

 private:
  // Once, however often a field is there.
  void Note(const FieldRow& row) {
    if (row.effect == E::kActs) return;
    if (std::find(noted_.begin(), noted_.end(), &row) != noted_.end()) return;
    noted_.push_back(&row);
    if (row.effect == E::kIgnored) {
      out_.warnings.push_back(fmt::format("{} is ignored: {}", row.field, row.text));
    } else {
      refused_ += fmt::format("{}{}: {}", refused_.empty() ? "" : "; ", row.field, row.text);
    }
  }

  Examined out_;
  std::string refused_;
  std::vector<const FieldRow*> noted_;
};

}  // namespace

std::string_view EffectName(Effect effect) {
  constexpr std::string_view kNames[] = {"acts", "ignored", "refused"};
  return kNames[static_cast<size_t>(effect)];
}

std::span<const FieldRow> FieldTable() { return kTable; }

Examined Examine(const inference::ModelConfig& config) {
  Examiner examiner;
  examiner.Walk(config, "");
  return examiner.Finish();
}

std::string DescribeFields() {
  std::string out =
      "| field | here it is | what it does, or why it does nothing |\n|---|---|---|\n";
  for (const FieldRow& row : kTable) {
    out += fmt::format(
        "| `{}` | {} | {} |\n", row.field,
        row.effect == E::kRefused ? "**refused**" : std::string(EffectName(row.effect)), row.text);
  }
  return out;
}

}  // namespace mlos::modelconfig
