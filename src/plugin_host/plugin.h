// SPDX-License-Identifier: Apache-2.0
//
// The SMI from the host's side: maps the one plugin of this process, checks
// its table, loads models.  Everything the plugin says is checked before it is
// believed.
//
// Threads: Open, Load and the destructors on the control thread; Run on worker
// threads, as the model's concurrency allows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"
#include "hostlink/messages.h"
#include "mlos/smi.h"
#include "plugin_host/artefact.h"
#include "tensor/model_info.h"

namespace mlos::plugin_host {

class Plugin;

// One loaded model; unloads itself.  The plugin outlives it.
class Model {
 public:
  Model(const Plugin& plugin, smi_model* model, std::unique_ptr<smi_artefact> artefact,
        ModelInfo info, std::string label);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelInfo& info() const { return info_; }
  const std::string& label() const { return label_; }  // "digits version 1", for messages

  // Calls the plugin's execute.  The text of a failure goes to `error`.
  smi_code Run(const smi_request* const* requests, uint32_t count, smi_error* error) const;

 private:
  const Plugin& plugin_;
  smi_model* model_;
  std::unique_ptr<smi_artefact> artefact_;
  ModelInfo info_;
  std::string label_;
};

class Plugin {
 public:
  // Maps the library and makes the plugin's instance.
  static StatusOr<std::unique_ptr<Plugin>> Open(const hostlink::StartPlugin& start);
  // The same with the table of a library that is mapped already.
  static StatusOr<std::unique_ptr<Plugin>> Create(const smi_plugin_api* api,
                                                  const hostlink::StartPlugin& start);
  ~Plugin();

  StatusOr<std::unique_ptr<Model>> Load(const hostlink::LoadModel& load, std::vector<OwnedFd> fds);

  const smi_plugin_api& api() const { return *api_; }
  smi_plugin* instance() const { return instance_; }
  // JSON object text from the properties extension, or "{}".
  std::string Properties() const;

 private:
  Plugin(std::string name, const smi_plugin_api* api) : name_(std::move(name)), api_(api) {}
  Status WarmUp(smi_model* model, const std::string& label) const;

  std::string name_;
  const smi_plugin_api* api_;
  smi_plugin* instance_ = nullptr;
};

// The functions that the host offers to its plugin.
const smi_host_api& HostApi();

}  // namespace mlos::plugin_host
