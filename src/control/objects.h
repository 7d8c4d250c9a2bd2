// SPDX-License-Identifier: Apache-2.0
//
// The objects of the management interface as JSON, in the form that users see
// on every protocol.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string_view>

#include "catalog/catalog.h"
#include "lifecycle/manager.h"
#include "metrics/model_counters.h"

namespace mlos::control {

boost::json::object PluginObject(const catalog::Catalog& catalog,
                                 const catalog::PluginVersion& plugin);
boost::json::object ModelObject(const catalog::Catalog& catalog,
                                const catalog::ModelVersion& model);
boost::json::object GroupObject(std::string_view name, const catalog::ModelGroup& group);
boost::json::object ResourcesObject(const lifecycle::Manager& manager);
// All versions; with a name, of that one only.
boost::json::array PluginList(const catalog::Catalog& catalog, std::string_view name);
boost::json::array ModelList(const catalog::Catalog& catalog, std::string_view name);
boost::json::array HostList(const lifecycle::Manager& manager);
// Of every registered model version; `book` may be null.
boost::json::array UsageList(const catalog::Catalog& catalog, const metrics::ModelBook* book);

}  // namespace mlos::control
