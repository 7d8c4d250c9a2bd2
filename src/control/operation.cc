// SPDX-License-Identifier: Apache-2.0
#include "control/operation.h"

namespace mlos::control {
namespace {

using K = OperationKind;
constexpr bool kBody = true;
constexpr bool kNoBody = false;
constexpr bool kWait = true;
constexpr bool kNow = false;

constexpr OperationRow kOperations[] = {
    {K::kGetStatus, "status.get", "GET", "/api/v1/status", kNoBody, kNow,
     "What this daemon is and whether it is ready"},
    {K::kListHosts, "host.list", "GET", "/api/v1/hosts", kNoBody, kNow, "The plugin hosts"},
    {K::kListPlugins, "plugin.list", "GET", "/api/v1/plugins", kNoBody, kNow,
     "All plugins, every version"},
    {K::kRegisterPlugin, "plugin.register", "POST", "/api/v1/plugins", kBody, kNow,
     "Register the plugin package at {\"path\"}"},
    {K::kGetPlugin, "plugin.versions", "GET", "/api/v1/plugins/{name}", kNoBody, kNow,
     "The versions of one plugin"},
    {K::kGetPluginVersion, "plugin.get", "GET", "/api/v1/plugins/{name}/versions/{version}",
     kNoBody, kNow, "One version of a plugin"},
    {K::kRemovePlugin, "plugin.remove", "DELETE", "/api/v1/plugins/{name}/versions/{version}",
     kNoBody, kNow, "Forget a plugin version that is not loaded"},
    {K::kLoadPlugin, "plugin.load", "POST", "/api/v1/plugins/{name}/versions/{version}/load",
     kNoBody, kWait, "Start the plugin's host"},
    {K::kUnloadPlugin, "plugin.unload", "POST", "/api/v1/plugins/{name}/versions/{version}/unload",
     kNoBody, kWait, "Stop the plugin's host"},
    {K::kListModels, "model.list", "GET", "/api/v1/models", kNoBody, kNow,
     "All models, every version"},
    {K::kRegisterModel, "model.register", "POST", "/api/v1/models", kBody, kNow,
     "Register a model: {\"name\",\"path\",\"version\"?,\"plugin\"?,\"config\"?}"},
    {K::kGetModel, "model.versions", "GET", "/api/v1/models/{name}", kNoBody, kNow,
     "The versions of one model"},
    {K::kGetModelVersion, "model.get", "GET", "/api/v1/models/{name}/versions/{version}", kNoBody,
     kNow, "One version of a model"},
    {K::kRemoveModel, "model.remove", "DELETE", "/api/v1/models/{name}/versions/{version}", kNoBody,
     kNow, "Forget a model version that is not loaded"},
    {K::kLoadModel, "model.load", "POST", "/api/v1/models/{name}/versions/{version}/load", kNoBody,
     kWait, "Load a model version"},
    {K::kUnloadModel, "model.unload", "POST", "/api/v1/models/{name}/versions/{version}/unload",
     kNoBody, kWait, "Unload a model version"},
};

}  // namespace

std::span<const OperationRow> Operations() { return kOperations; }

}  // namespace mlos::control
