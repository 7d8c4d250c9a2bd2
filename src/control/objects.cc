// SPDX-License-Identifier: Apache-2.0
#include "control/objects.h"

namespace mlos::control {
namespace json = boost::json;
namespace {

json::string Text(std::string_view text) { return json::string(text.data(), text.size()); }

// Null while there is no process: a script that hands -1 to kill(1) would end everything.
json::value Pid(pid_t pid) { return pid > 0 ? json::value(pid) : json::value(nullptr); }

}  // namespace

json::object PluginObject(const catalog::Catalog& catalog, const catalog::PluginVersion& p) {
  json::array formats(p.manifest.formats.begin(), p.manifest.formats.end());
  return {{"name", p.manifest.name},
          {"version", p.manifest.version},
          {"state", Text(StateName(p.state))},
          {"reason", p.reason},
          {"active", p.active},
          {"formats", std::move(formats)},
          {"models", catalog.ModelsOn(p)}};
}

json::object ModelObject(const catalog::ModelVersion& m) {
  return {{"name", m.name},
          {"version", std::to_string(m.version)},
          {"state", Text(StateName(m.state))},
          {"reason", m.reason},
          {"plugin", m.plugin},
          {"plugin_version", m.plugin_version}};
}

json::array PluginList(const catalog::Catalog& catalog, std::string_view name) {
  json::array out;
  for (const auto& [plugin, versions] : catalog.plugins()) {
    if (!name.empty() && plugin != name) continue;
    for (const auto& [version, record] : versions) out.push_back(PluginObject(catalog, *record));
  }
  return out;
}

json::array ModelList(const catalog::Catalog& catalog, std::string_view name) {
  json::array out;
  for (const auto& [model, versions] : catalog.models()) {
    if (!name.empty() && model != name) continue;
    for (const auto& [version, record] : versions) out.push_back(ModelObject(*record));
  }
  return out;
}

json::array HostList(const lifecycle::Manager& manager) {
  json::array out;
  for (const auto& row : manager.Hosts()) {
    out.push_back({{"plugin", row.plugin},
                   {"version", row.version},
                   {"pid", Pid(row.host->pid())},
                   {"state", Text(HostStateName(row.host->state()))},
                   {"tier", "none"},
                   {"restarts", row.host->restarts()},
                   {"rss_bytes", row.host->rss_bytes()}});
  }
  return out;
}

}  // namespace mlos::control
