// SPDX-License-Identifier: Apache-2.0
//
// A plugin, mapped and called with suspicion: exceptions caught, error texts
// checked, every step named for the case that it is the last.
//
// A method's Status is about the contract: an error is a breach.  What the
// plugin answered is an Answer, and may be a refusal.
// Ownership: a Session owns the host, the instance and the models; its end
// does not unload them, for the process ends with the check.  Threads: one
// control thread; Execute may be called on several at once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "manifest/manifest.h"
#include "mlos/smi.h"
#include "smi_check/artefact.h"
#include "smi_check/child.h"
#include "smi_check/fake_host.h"
#include "smi_check/model_view.h"
#include "smi_check/test_request.h"

namespace mlos {

// What the tool was asked to check; the same for all checks.
struct Subject {
  std::string directory;
  Manifest manifest;
  const Artefact* model = nullptr;  // null: none was given
  std::string config = "{}";
};

// Code and text that a function of the plugin answered.
struct Answer {
  smi_code code = SMI_OK;
  std::string text;

  bool ok() const { return code == SMI_OK; }
  std::string ToString() const;  // "INVALID_ARGUMENT: text"
};

class Session {
 public:
  Session(const Subject& subject, Phase& phase) : subject_(subject), phase_(phase) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // dlopen, entry symbol, the table.
  Status Map();
  // Map, and create with a host of `shape`; a refusal is a failure.
  Status Begin(HostShape shape = {});
  // Begin, load the given model, describe it.
  Status BeginWithModel(HostShape shape = {});
  // What the host's callbacks saw; ask last.
  Status Breach() const { return host_->breach(); }

  const smi_plugin_api* api() const { return api_; }
  const ModelView& model() const { return model_; }
  smi_model* loaded() const { return loaded_; }
  smi_plugin* instance() const { return instance_; }

  StatusOr<Answer> Create(HostShape shape, const std::string& config,
                          uint32_t error_capacity = 512);
  Status Destroy();

  struct Load {
    Answer answer;
    smi_model* model = nullptr;  // null unless the answer is SMI_OK
    const smi_artefact* artefact = nullptr;
  };
  // `error_capacity` 0: no smi_error at all.
  StatusOr<Load> LoadModel(const Artefact& artefact, const std::string& config,
                           uint32_t error_capacity = 512);
  Status UnloadModel(const Load& load);
  StatusOr<ModelView> Describe(smi_model* model);

  // Runs the requests in one call of execute, on a thread of its own, and
  // checks that each was answered.
  Status Execute(smi_model* model, const std::vector<TestRequest*>& requests);
  // A request for the loaded model, to be given to Execute.
  std::unique_ptr<TestRequest> NewRequest(const std::vector<TensorValue>& inputs,
                                          RequestOptions options = {});
  // One request with these inputs; the answer may be a refusal.
  StatusOr<std::unique_ptr<TestRequest>> Run(smi_model* model,
                                             const std::vector<TensorValue>& inputs,
                                             RequestOptions options = {});

  // Calls `call`, turning an exception into a failure that names `what`.
  Status Guard(const std::string& what, const std::function<void()>& call);
  // Guard without naming the phase: from other threads.
  static Status Catch(const std::string& what, const std::function<void()>& call);

 private:
  const Subject& subject_;
  Phase& phase_;
  const smi_plugin_api* api_ = nullptr;
  std::unique_ptr<FakeHost> host_;
  smi_plugin* instance_ = nullptr;
  smi_model* loaded_ = nullptr;
  ModelView model_;
};

// "INVALID_ARGUMENT"; "code 77" for what is none.
std::string SmiCodeName(smi_code code);

}  // namespace mlos
