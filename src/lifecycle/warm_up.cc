// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/warm_up.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/name.h"
#include "modelconfig/complete.h"
#include "modelconfig/json.h"
#include "repository/files.h"
#include "repository/scan.h"

namespace mlos::lifecycle {
namespace {

using catalog::ModelVersion;
using hostlink::WarmUpInput;
using hostlink::WarmUpSample;

// Of a repository's model the directory of all its versions, reached through no link.
StatusOr<OwnedFd> OpenHome(const ModelVersion& model) {
  const std::string& path = model.repository.empty() ? model.artefact.directory : model.repository;
  OwnedFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ErrnoStatus("the model's directory cannot be opened");
  if (model.repository.empty()) return directory;
  return repository::OpenDirectory(directory.get(), model.name);
}

class Collector {
 public:
  Collector(const ModelVersion& model, int max_batch_size, backend::ModelFiles* files)
      : model_(model), max_batch_size_(max_batch_size), files_(*files) {}

  Status Add(const inference::ModelWarmup& said) {
    WarmUpSample sample;
    sample.name = said.name();
    sample.count = std::max(said.count(), 1U);
    if (sample.count > kMaxSampleCount) {
      return InvalidArgument(
          fmt::format("count is {}, more than {}", sample.count, kMaxSampleCount));
    }
    const uint32_t batch = std::max(said.batch_size(), 1U);
    if (batch > static_cast<uint32_t>(std::max(max_batch_size_, 1))) {
      return InvalidArgument(
          fmt::format("batch_size is {}, max_batch_size is {}", batch, max_batch_size_));
    }
    for (const auto& [name, input] : said.inputs()) {
      WarmUpInput out;
      out.name = name;
      MLOS_RETURN_IF_ERROR(
          Annotate(AddInput(input, batch, &out), fmt::format("input {}", Quoted(name))));
      sample.inputs.push_back(std::move(out));
    }
    files_.load.warm_up.push_back(std::move(sample));
    return OkStatus();
  }

 private:
  Status AddInput(const inference::ModelWarmup::Input& said, uint32_t batch, WarmUpInput* out) {
    out->datatype = tensor::DatatypeName(modelconfig::DatatypeOf(said.data_type()));
    if (max_batch_size_ > 0) out->shape.push_back(batch);
    for (const int64_t dim : said.dims()) {
      if (dim < 1) return InvalidArgument(fmt::format("dims has {}: sizes from 1 on", dim));
      out->shape.push_back(dim);
    }
    switch (said.input_data_type_case()) {
      case inference::ModelWarmup::Input::kRandomData:
        out->data = WarmUpInput::Data::kRandom;
        return OkStatus();
      case inference::ModelWarmup::Input::kInputDataFile:
        out->data = WarmUpInput::Data::kFile;
        return AddFile(said.input_data_file(), out);
      default:
        return OkStatus();
    }
  }

  Status AddFile(const std::string& name, WarmUpInput* out) {
    if (files_.load.warm_up_files == kMaxSampleFiles) {
      return InvalidArgument(fmt::format("there are more than {} files", kMaxSampleFiles));
    }
    MLOS_ASSIGN_OR_RETURN(const OwnedFd home, OpenHome(model_));
    MLOS_ASSIGN_OR_RETURN(const OwnedFd folder,
                          repository::OpenDirectory(home.get(), repository::kWarmUpFolder));
    MLOS_ASSIGN_OR_RETURN(OwnedFd file, repository::OpenFile(folder.get(), name));
    out->file = files_.load.warm_up_files++;
    files_.fds.push_back(std::move(file));
    return OkStatus();
  }

  const ModelVersion& model_;
  const int max_batch_size_;
  backend::ModelFiles& files_;
};

}  // namespace

Status AddSamples(const ModelVersion& model, backend::ModelFiles* files) {
  if (!model.config->contains("model_warmup") && !model.config->contains("modelWarmup")) {
    return OkStatus();
  }
  MLOS_ASSIGN_OR_RETURN(const inference::ModelConfig config, modelconfig::FromJson(*model.config));
  if (config.model_warmup_size() > kMaxSamples) {
    return FailedPrecondition(
        fmt::format("its configuration has more than {} warm-up samples", kMaxSamples));
  }
  Collector collector(model, config.max_batch_size(), files);
  for (const inference::ModelWarmup& sample : config.model_warmup()) {
    const Status status = collector.Add(sample);
    if (status.ok()) continue;
    return FailedPrecondition(
        fmt::format("its warm-up sample {}: {}", Quoted(sample.name()), Message(status)));
  }
  return OkStatus();
}

}  // namespace mlos::lifecycle
