// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/name.h"

namespace mlos::catalog {
namespace {

StatusOr<FileIdentity> Identify(const std::string& path, std::string_view what) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return ErrnoStatus(what);
  FileIdentity id;
  id.device = st.st_dev;
  id.inode = st.st_ino;
  id.bytes = static_cast<uint64_t>(st.st_size);
  id.modified_ns = int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
  return id;
}

// The same path written in one way: "/a//b/./" -> "/a/b".  ".." stays: what it
// means is for the file system to say.
std::string TidyPath(const std::string& path) {
  std::string out;
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view part(path.data() + at, slash - at);
    if (!part.empty() && part != ".") out.append("/").append(part);
    at = slash + 1;
  }
  return out.empty() ? "/" : out;
}

bool SameManifest(const Manifest& a, const Manifest& b) {
  return a.name == b.name && a.version == b.version && a.library == b.library &&
         a.formats == b.formats;
}

template <typename Map>
std::string Names(const Map& map) {
  std::string out;
  for (const auto& [name, value] : map) {
    if (!out.empty()) out += ", ";
    out += name;
    if (out.size() > 200) return out + ", …";
  }
  return out.empty() ? "none" : out;
}

bool Loaded(State state) {
  return state == State::kLoading || state == State::kReady || state == State::kDraining;
}

// "default_model_filename" of a ModelConfig, or empty.
std::string WantedFile(const boost::json::object& config) {
  const auto* value = config.if_contains("default_model_filename");
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace

std::string_view StateName(State state) {
  switch (state) {
    case State::kRegistered:
      return "registered";
    case State::kLoading:
      return "loading";
    case State::kReady:
      return "ready";
    case State::kDraining:
      return "draining";
    case State::kUnloaded:
      return "unloaded";
    case State::kFailed:
      return "failed";
  }
  return "failed";
}

StatusOr<uint64_t> ParseModelVersion(std::string_view text) {
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version == 0 ||
      version > INT64_MAX || text[0] == '0') {
    return InvalidArgument(
        fmt::format("a model's version is a whole number from 1 on, not {}", Quoted(text)));
  }
  return version;
}

StatusOr<Registered<PluginVersion>> Catalog::RegisterPlugin(const std::string& given) {
  if (given.empty() || given[0] != '/' || given.size() >= 4096 ||
      given.find('\0') != std::string::npos) {
    return InvalidArgument(
        fmt::format("\"path\" must be the absolute path of a plugin package (a directory), not {}",
                    Quoted(given)));
  }
  const std::string path = TidyPath(given);
  MLOS_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(path));
  MLOS_ASSIGN_OR_RETURN(const FileIdentity library,
                        Identify(path + "/" + manifest.library, "the plugin's library"));
  PluginVersions& versions = plugins_[manifest.name];
  const auto it = versions.find(manifest.semantic_version);
  if (it != versions.end()) {
    PluginVersion& known = *it->second;
    if (known.directory == path && known.library == library &&
        SameManifest(known.manifest, manifest)) {
      return Registered<PluginVersion>{&known, false};
    }
    return AlreadyExists(fmt::format(
        "plugin {} {} is registered with other content: raise `version` in plugin.yaml, or remove "
        "the registered one first",
        manifest.name, manifest.version));
  }
  auto record = std::make_unique<PluginVersion>();
  record->directory = path;
  record->library = library;
  record->manifest = std::move(manifest);
  PluginVersion* raw = record.get();
  versions.emplace(raw->manifest.semantic_version, std::move(record));
  return Registered<PluginVersion>{raw, true};
}

std::vector<std::string> Catalog::Formats(const std::string& plugin) const {
  std::set<std::string> formats;
  for (const auto& [name, versions] : plugins_) {
    if (!plugin.empty() && name != plugin) continue;
    for (const auto& [version, record] : versions) {
      formats.insert(record->manifest.formats.begin(), record->manifest.formats.end());
    }
  }
  return {formats.begin(), formats.end()};
}

StatusOr<std::string> Catalog::PluginFor(const Artefact& artefact, const std::string& path) const {
  std::vector<std::string> claim;
  for (const auto& [name, versions] : plugins_) {
    for (const auto& [version, record] : versions) {
      const auto& formats = record->manifest.formats;
      if (std::find(formats.begin(), formats.end(), artefact.format) != formats.end()) {
        claim.push_back(name);
        break;
      }
    }
  }
  if (claim.size() == 1) return claim.front();
  if (claim.empty()) {
    return InvalidArgument(fmt::format(
        "no registered plugin claims the format of {} (registered: {}): register one, or name it "
        "with \"plugin\"",
        Quoted(path, 200), Names(plugins_)));
  }
  return InvalidArgument(
      fmt::format("plugins {} and {} both claim the format \"{}\": name one with "
                  "\"plugin\"",
                  claim[0], claim[1], artefact.format));
}

StatusOr<Registered<ModelVersion>> Catalog::RegisterModel(ModelSpec spec) {
  MLOS_RETURN_IF_ERROR(ValidateName("model name", spec.name));
  if (!spec.plugin.empty()) {
    MLOS_RETURN_IF_ERROR(ValidateName("plugin name", spec.plugin));
    const auto it = plugins_.find(spec.plugin);
    if (it == plugins_.end() || it->second.empty()) {
      return InvalidArgument(
          fmt::format("there is no plugin \"{}\" (registered: {})", spec.plugin, Names(plugins_)));
    }
  }
  if (!spec.path.empty() && spec.path[0] == '/') spec.path = TidyPath(spec.path);
  MLOS_ASSIGN_OR_RETURN(Artefact artefact,
                        FindArtefact(spec.path, Formats(spec.plugin), WantedFile(spec.config)));
  if (spec.plugin.empty()) {
    MLOS_ASSIGN_OR_RETURN(spec.plugin, PluginFor(artefact, spec.path));
  }
  ModelVersions& versions = models_[spec.name];
  const auto it = versions.find(spec.version);
  if (it != versions.end()) {
    ModelVersion& known = *it->second;
    if (known.path == spec.path && known.plugin == spec.plugin && known.config == spec.config) {
      return Registered<ModelVersion>{&known, false};
    }
    return AlreadyExists(fmt::format(
        "model {} version {} is registered with another path, plugin or configuration: choose "
        "another version, or remove the registered one first",
        spec.name, spec.version));
  }
  auto record = std::make_unique<ModelVersion>();
  record->name = std::move(spec.name);
  record->version = spec.version;
  record->path = std::move(spec.path);
  record->artefact = std::move(artefact);
  record->plugin = std::move(spec.plugin);
  record->config = std::move(spec.config);
  record->id = next_id_++;
  ModelVersion* raw = record.get();
  versions.emplace(raw->version, std::move(record));
  return Registered<ModelVersion>{raw, true};
}

StatusOr<PluginVersion*> Catalog::FindPlugin(std::string_view name, std::string_view version) {
  const auto it = plugins_.find(name);
  if (it == plugins_.end() || it->second.empty()) {
    return NotFound(
        fmt::format("there is no plugin {} (registered: {})", Quoted(name), Names(plugins_)));
  }
  for (const auto& [number, record] : it->second) {
    if (record->manifest.version == version) return record.get();
  }
  return NotFound(fmt::format("plugin \"{}\" has no version {}", name, Quoted(version)));
}

StatusOr<ModelVersion*> Catalog::FindModel(std::string_view name, std::string_view version) {
  const auto it = models_.find(name);
  if (it == models_.end() || it->second.empty()) {
    return NotFound(
        fmt::format("there is no model {} (registered: {})", Quoted(name), Names(models_)));
  }
  const StatusOr<uint64_t> number = ParseModelVersion(version);
  const auto found = number.ok() ? it->second.find(*number) : it->second.end();
  if (found == it->second.end()) {
    return NotFound(fmt::format("model \"{}\" has no version {}", name, Quoted(version)));
  }
  return found->second.get();
}

PluginVersion* Catalog::ActivePlugin(std::string_view name) {
  const auto it = plugins_.find(name);
  if (it == plugins_.end()) return nullptr;
  for (const auto& [number, record] : it->second) {
    if (record->active) return record.get();
  }
  return nullptr;
}

Status Catalog::RemovePlugin(std::string_view name, std::string_view version) {
  MLOS_ASSIGN_OR_RETURN(const PluginVersion* record, FindPlugin(name, version));
  if (Loaded(record->state)) {
    return FailedPrecondition(fmt::format("plugin {} {} is {}: unload it first", name, version,
                                          StateName(record->state)));
  }
  const auto it = plugins_.find(name);
  it->second.erase(record->manifest.semantic_version);
  if (it->second.empty()) plugins_.erase(it);
  return OkStatus();
}

Status Catalog::RemoveModel(std::string_view name, std::string_view version) {
  MLOS_ASSIGN_OR_RETURN(const ModelVersion* record, FindModel(name, version));
  if (Loaded(record->state)) {
    return FailedPrecondition(fmt::format("model {} version {} is {}: unload it first", name,
                                          version, StateName(record->state)));
  }
  const auto it = models_.find(name);
  it->second.erase(record->version);
  if (it->second.empty()) models_.erase(it);
  return OkStatus();
}

size_t Catalog::ModelsOn(const PluginVersion& plugin) const {
  size_t count = 0;
  for (const auto& [name, versions] : models_) {
    for (const auto& [number, model] : versions) {
      if (Loaded(model->state) && model->plugin == plugin.manifest.name &&
          model->plugin_version == plugin.manifest.version) {
        ++count;
      }
    }
  }
  return count;
}

}  // namespace mlos::catalog
