// SPDX-License-Identifier: Apache-2.0
#include "control/objects.h"

#include <sched.h>

#include <map>

#include "base/clock.h"
#include "base/process_memory.h"

namespace mlos::control {
namespace json = boost::json;
namespace {

json::string Text(std::string_view text) { return json::string(text.data(), text.size()); }

json::value TextOrNull(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

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
          {"models", catalog.ModelsOn(p)},
          {"wanted", p.wanted},
          {"path", p.directory},
          {"source", TextOrNull(p.source)},
          {"sha256", TextOrNull(p.library.sha256)}};
}

json::object ModelObject(const catalog::Catalog& catalog, const catalog::ModelVersion& m) {
  json::array labels;
  for (const auto& [label, version] : catalog.Group(m.name).labels) {
    if (version == m.version) labels.emplace_back(label);
  }
  json::array files;
  for (size_t i = 0; i < m.artefact.files.size(); ++i) {
    const catalog::FileIdentity& file = m.artefact.identities[i];
    files.push_back({{"name", m.artefact.files[i]},
                     {"bytes", file.bytes},
                     {"sha256", TextOrNull(file.sha256)}});
  }
  return {
      {"name", m.name},
      // Of a repository's model no version may be known.
      {"version", m.version == 0 ? json::value(nullptr) : json::value(std::to_string(m.version))},
      {"state", Text(StateName(m.state))},
      {"reason", m.reason},
      {"plugin", m.plugin},
      {"plugin_version", m.plugin_version},
      {"desired", Text(DesiredName(m.desired))},
      {"path", TextOrNull(m.path)},
      {"format", m.artefact.format},
      {"owner", m.owner},
      {"labels", std::move(labels)},
      {"metadata", m.metadata},
      {"files", std::move(files)}};
}

json::object GroupObject(std::string_view name, const catalog::ModelGroup& group) {
  json::object labels;
  for (const auto& [label, version] : group.labels) labels[label] = version;
  return {{"name", Text(name)},
          {"labels", std::move(labels)},
          {"version_policy", VersionPolicyObject(group.policy)}};
}

json::object ResourcesObject(const lifecycle::Manager& manager) {
  uint64_t hosts = 0;
  for (const auto& row : manager.Hosts()) hosts += row.host->rss_bytes();
  const MachineMemory memory = ReadMachineMemory();
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  return {{"cpus", CPU_COUNT(&cpus)},
          {"memory_bytes", memory.total},
          {"memory_available_bytes", memory.available},
          {"core_rss_bytes", ReadProcessMemory().resident},
          {"hosts_rss_bytes", hosts}};
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
    for (const auto& [version, record] : versions) out.push_back(ModelObject(catalog, *record));
  }
  for (const auto& [model, record] : catalog.shadowed()) {
    if (name.empty() || model == name) out.push_back(ModelObject(catalog, record));
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

json::array UsageList(const catalog::Catalog& catalog, const metrics::ModelBook* book) {
  std::map<uint64_t, std::shared_ptr<const metrics::ModelCounters>> counters;
  if (book != nullptr) {
    for (auto& one : book->Read()) counters[one->id()] = std::move(one);
  }
  json::array out;
  for (const auto& [name, versions] : catalog.models()) {
    for (const auto& [version, model] : versions) {
      if (version == 0) continue;  // stands for a model of which none is known
      metrics::InferStatistics s;
      const auto counted = counters.find(model->id);  // none: nobody has asked for it yet
      if (counted != counters.end()) metrics::AddTo(*counted->second, &s);
      out.push_back(
          {{"name", name},
           {"version", std::to_string(version)},
           {"in_flight", counted != counters.end() ? counted->second->in_flight.value() : 0},
           {"requests", s.success.count + s.fail.count},
           {"errors", s.fail.count},
           {"total_us", (s.success.ns + s.fail.ns) / kNanosPerMicro},
           {"run_us", s.compute_infer.ns / kNanosPerMicro}});
    }
  }
  return out;
}

}  // namespace mlos::control
