// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/configure.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "base/log.h"
#include "modelconfig/complete.h"
#include "modelconfig/fields.h"
#include "modelconfig/json.h"
#include "repository/labels.h"

namespace mlos::lifecycle {

using catalog::ModelVersion;

namespace {

StatusOr<inference::ModelConfig> Read(const ModelVersion& model) {
  StatusOr<inference::ModelConfig> config = modelconfig::FromJson(*model.config);
  if (config.ok()) return config;
  return FailedPrecondition("its configuration makes no sense: " +
                            std::string(Message(config.status())));
}

}  // namespace

Status CheckGivenConfig(const boost::json::object& config) {
  const StatusOr<inference::ModelConfig> read = modelconfig::FromJson(config);
  const Status sound = read.ok() ? modelconfig::Examine(*read).refused : read.status();
  return sound.ok() ? sound : InvalidArgument(fmt::format("\"config\": {}", Message(sound)));
}

bool NamesLabels(const ModelVersion& model) {
  const StatusOr<inference::ModelConfig> config = Read(model);
  return config.ok() && std::any_of(config->output().begin(), config->output().end(),
                                    [](const inference::ModelOutput& output) {
                                      return !output.label_filename().empty();
                                    });
}

Status TakeLabels(ModelVersion* model) {
  MLOS_ASSIGN_OR_RETURN(const inference::ModelConfig config, Read(*model));
  model->labels.reset();
  const OwnedFd directory(
      open(model->artefact.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return OkStatus();  // the load will say so
  MLOS_ASSIGN_OR_RETURN(repository::Labels labels, repository::ReadLabels(directory.get(), config));
  model->labels = std::make_shared<const repository::Labels>(std::move(labels));
  return OkStatus();
}

Status ExamineConfig(const ModelVersion& model) {
  MLOS_ASSIGN_OR_RETURN(const inference::ModelConfig config, Read(model));
  const modelconfig::Examined examined = modelconfig::Examine(config);
  MLOS_RETURN_IF_ERROR(examined.refused);
  for (const std::string& warning : examined.warnings) {
    Log(LogLevel::kWarning, "{}: its configuration: {}", Label(model), warning);
  }
  return modelconfig::CheckIdentity(config, model.name, model.plugin);
}

StatusOr<std::shared_ptr<const ModelSettings>> Configure(const ModelVersion& model,
                                                         const ModelInfo& info) {
  MLOS_ASSIGN_OR_RETURN(inference::ModelConfig config, Read(model));
  if (const Status sound = modelconfig::Check(config, info); !sound.ok()) {
    return FailedPrecondition("its configuration does not fit the model: " +
                              std::string(Message(sound)));
  }
  modelconfig::Complete(model.name, model.plugin, info, &config);
  auto settings = std::make_shared<ModelSettings>();
  settings->config = boost::json::serialize(modelconfig::ToJson(config, modelconfig::Form::kFull));
  if (model.labels != nullptr && !model.labels->empty()) {
    settings->labels.reserve(info.outputs.size());
    for (const TensorInfo& output : info.outputs) {
      const auto it = model.labels->find(output.name);
      settings->labels.push_back(it != model.labels->end() ? it->second
                                                           : std::vector<std::string>());
    }
  }
  return std::shared_ptr<const ModelSettings>(std::move(settings));
}

}  // namespace mlos::lifecycle
