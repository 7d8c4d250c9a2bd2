// SPDX-License-Identifier: Apache-2.0
//
// Runs the samples that a model's configuration declares, before the model is
// ready.  A sample that cannot be made, or that the model does not answer, is
// an error of the load.
//
// Threads: the control thread, which waits; requests run on a thread of their own,
// as execute is entitled to.
#pragma once

#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"
#include "hostlink/messages.h"
#include "plugin_host/plugin.h"

namespace mlos::plugin_host {

Status RunSamples(const Model& model, const std::vector<hostlink::WarmUpSample>& samples,
                  const std::vector<OwnedFd>& files);

}  // namespace mlos::plugin_host
