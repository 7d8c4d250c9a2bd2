// SPDX-License-Identifier: Apache-2.0
//
// A model's configuration when the model is loaded: examined before, compared
// with the model and completed after.  Pure but for the log; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <memory>

#include "base/status.h"
#include "catalog/record.h"
#include "tensor/model_info.h"
#include "tensor/model_settings.h"

namespace mlos::lifecycle {

// INVALID_ARGUMENT where what somebody gives is no configuration, or one that
// cannot be served whatever the model is.
Status CheckGivenConfig(const boost::json::object& config);

// FAILED_PRECONDITION where the configuration cannot be served, whatever the
// model is.  Warns of what is ignored.
Status ExamineConfig(const catalog::ModelVersion& model);

// Whether its configuration names files of labels.
bool NamesLabels(const catalog::ModelVersion& model);
// Reads the labels of a registered model's outputs, which lie beside its files.
Status TakeLabels(catalog::ModelVersion* model);

// What the routes to the model carry: FAILED_PRECONDITION where configuration
// and model contradict each other.
StatusOr<std::shared_ptr<const ModelSettings>> Configure(const catalog::ModelVersion& model,
                                                         const ModelInfo& info);

}  // namespace mlos::lifecycle
