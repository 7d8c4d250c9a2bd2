// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/name.h"
#include "catalog/codec.h"

namespace mlos::catalog {
namespace {

StatusOr<FileIdentity> Identify(const std::string& path, std::string_view what) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0) return ErrnoStatus(what);
  return IdentityOf(st);
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

// What is certain without reading them: names and sizes.  Where only a time
// differs, the content is for a load to compare.
bool SameFiles(const Artefact& a, const Artefact& b) {
  return a.main_file == b.main_file && a.files == b.files &&
         std::equal(
             a.identities.begin(), a.identities.end(), b.identities.begin(), b.identities.end(),
             [](const FileIdentity& x, const FileIdentity& y) { return x.bytes == y.bytes; });
}

// What could not be read again must not be kept: the next start would end there.
template <typename Record>
Status CheckReadable(const StatusOr<Record>& decoded, const std::string& label) {
  if (decoded.ok()) return OkStatus();
  return InvalidArgument(fmt::format("{} cannot be kept ({}): all names and texts must be UTF-8",
                                     label, Message(decoded.status())));
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

// "default_model_filename" of a ModelConfig, or empty.
std::string WantedFile(const boost::json::object& config) {
  const auto* value = config.if_contains("default_model_filename");
  if (value == nullptr) value = config.if_contains("defaultModelFilename");
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace

std::string_view DesiredName(Desired desired) {
  switch (desired) {
    case Desired::kOnDemand:
      return "on_demand";
    case Desired::kLoaded:
      return "loaded";
    case Desired::kUnloaded:
      return "unloaded";
  }
  return "unloaded";
}

std::string Label(const PluginVersion& p) {
  return fmt::format("plugin {} {}", p.manifest.name, p.manifest.version);
}

std::string Label(const ModelVersion& m) {
  if (m.version == 0) return "model " + m.name;  // of a repository, without any version
  return fmt::format("model {} version {}", m.name, m.version);
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

StatusOr<Registered<PluginVersion>> Catalog::RegisterPlugin(const std::string& given,
                                                            const std::string& source) {
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
  const auto name = plugins_.find(manifest.name);
  if (name != plugins_.end()) {
    const auto it = name->second.find(manifest.semantic_version);
    if (it != name->second.end()) {
      PluginVersion& known = *it->second;
      const bool same = known.directory == path && known.library.SameStat(library) &&
                        SameManifest(known.manifest, manifest);
      const Answer answer =
          PluginAnswer(same ? Change::kRegisterSame : Change::kRegisterOther, known.state);
      MLOS_RETURN_IF_ERROR(Refusal(answer, Label(known)));
      return Registered<PluginVersion>{&known, false};
    }
  }
  auto record = std::make_unique<PluginVersion>();
  record->directory = path;
  record->source = source;
  record->library = library;
  record->manifest = std::move(manifest);
  std::string text = Encode(*record);
  MLOS_RETURN_IF_ERROR(CheckReadable(DecodePlugin(text), Label(*record)));
  MLOS_RETURN_IF_ERROR(Put(kPluginKind, KeyOf(*record), std::move(text)));
  PluginVersion* raw = record.get();
  plugins_[raw->manifest.name].emplace(raw->manifest.semantic_version, std::move(record));
  return Registered<PluginVersion>{raw, true};
}

StatusOr<Registered<PluginVersion>> Catalog::AdoptPlugin(const std::string& given) {
  const std::string path = TidyPath(given);
  MLOS_ASSIGN_OR_RETURN(Manifest manifest, ReadManifest(path));
  const auto found = FindPlugin(manifest.name, manifest.version);
  if (!found.ok() || (*found)->directory != path || IsLoaded((*found)->state)) {
    return RegisterPlugin(path);
  }
  PluginVersion& known = **found;
  MLOS_ASSIGN_OR_RETURN(FileIdentity library,
                        Identify(path + "/" + manifest.library, "the plugin's library"));
  if (library.SameStat(known.library)) library.sha256 = known.library.sha256;
  PluginVersion anew = known;
  anew.manifest = manifest;
  MLOS_RETURN_IF_ERROR(CheckReadable(DecodePlugin(Encode(anew)), Label(known)));
  MLOS_RETURN_IF_ERROR(Store(known, [&](PluginVersion& p) {
    p.manifest = manifest;
    p.library = library;
  }));
  return Registered<PluginVersion>{&known, false};
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
    std::string formats;
    for (const std::string& f : Formats("")) formats += (formats.empty() ? "" : ", ") + f;
    return InvalidArgument(fmt::format(
        "no registered plugin claims the format \"{}\" of {} (plugins: {}; formats: {}): register "
        "one that does, or name one with \"plugin\"",
        artefact.format, Quoted(path, 200), Names(plugins_), formats.empty() ? "none" : formats));
  }
  return InvalidArgument(
      fmt::format("plugins {} and {} both claim the format \"{}\": name one with "
                  "\"plugin\"",
                  claim[0], claim[1], artefact.format));
}

StatusOr<Registered<ModelVersion>> Catalog::RegisterModel(ModelSpec spec) {
  MLOS_RETURN_IF_ERROR(ValidateName("model name", spec.name));
  if (IsHeld(spec.name)) {
    return AlreadyExists(fmt::format(
        "model {} comes from a model repository: register this one under another name", spec.name));
  }
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
  const auto name = models_.find(spec.name);
  if (name != models_.end() && name->second.count(spec.version) != 0) {
    ModelVersion& known = *name->second.at(spec.version);
    const bool same = known.path == spec.path && known.plugin == spec.plugin &&
                      *known.config == spec.config && known.metadata == spec.metadata &&
                      SameFiles(known.artefact, artefact);
    const Answer answer =
        ModelAnswer(same ? Change::kRegisterSame : Change::kRegisterOther, known.state);
    MLOS_RETURN_IF_ERROR(Refusal(answer, Label(known)));
    return Registered<ModelVersion>{&known, false};
  }
  auto record = std::make_unique<ModelVersion>();
  record->name = std::move(spec.name);
  record->version = spec.version;
  record->path = std::move(spec.path);
  record->artefact = std::move(artefact);
  record->plugin = std::move(spec.plugin);
  record->config = std::move(spec.config);
  record->metadata = std::move(spec.metadata);
  record->owner = std::move(spec.owner);
  std::string text = Encode(*record);
  MLOS_RETURN_IF_ERROR(CheckReadable(DecodeModel(text), Label(*record)));
  MLOS_RETURN_IF_ERROR(Put(kModelKind, KeyOf(*record), std::move(text)));
  ModelVersion* raw = record.get();
  Insert(std::move(record));
  return Registered<ModelVersion>{raw, true};
}

void Catalog::Insert(std::unique_ptr<ModelVersion> record) {
  record->id = next_id_++;
  by_id_.emplace(record->id, record.get());
  models_[record->name].emplace(record->version, std::move(record));
}

Status Catalog::HasPlugin(std::string_view name) const {
  if (plugins_.find(name) != plugins_.end()) return OkStatus();
  return NotFound(
      fmt::format("there is no plugin {} (registered: {})", Quoted(name), Names(plugins_)));
}

StatusOr<PluginVersion*> Catalog::FindPlugin(std::string_view name, std::string_view version) {
  MLOS_RETURN_IF_ERROR(HasPlugin(name));
  const auto it = plugins_.find(name);
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
  const ModelGroup& group = Group(name);
  const auto label = group.labels.find(version);
  const StatusOr<uint64_t> number =
      label != group.labels.end() ? label->second : ParseModelVersion(version);
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

ModelVersion* Catalog::FindModel(uint64_t id) {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

PluginVersion* Catalog::PreviousPlugin(std::string_view name) {
  const auto it = plugins_.find(name);
  if (it == plugins_.end()) return nullptr;
  for (const auto& [number, record] : it->second) {
    if (record->previous) return record.get();
  }
  return nullptr;
}

Status Catalog::RemovePlugin(std::string_view name, std::string_view version) {
  MLOS_ASSIGN_OR_RETURN(const PluginVersion* record, FindPlugin(name, version));
  MLOS_RETURN_IF_ERROR(Refusal(PluginAnswer(Change::kRemove, record->state), Label(*record)));
  const state::Change change{std::string(kPluginKind), KeyOf(*record), std::nullopt};
  MLOS_RETURN_IF_ERROR(Commit({&change, 1}));
  const auto it = plugins_.find(name);
  it->second.erase(record->manifest.semantic_version);
  if (it->second.empty()) plugins_.erase(it);
  return OkStatus();
}

Status Catalog::RemoveModel(std::string_view name, std::string_view version) {
  MLOS_ASSIGN_OR_RETURN(const ModelVersion* record, FindModel(name, version));
  MLOS_RETURN_IF_ERROR(CheckNotHeld(name, "removed with its directory there"));
  MLOS_RETURN_IF_ERROR(Refusal(ModelAnswer(Change::kRemove, record->state), Label(*record)));
  const auto it = models_.find(name);
  // What is said of the model goes with its last version, labels with theirs.
  ModelGroup group = Group(name);
  std::erase_if(group.labels, [&](const auto& l) { return l.second == record->version; });
  const bool last = it->second.size() == 1;
  std::vector<state::Change> changes{{std::string(kModelKind), KeyOf(*record), std::nullopt}};
  if (last || group != Group(name)) {
    changes.push_back({std::string(kGroupKind), std::string(name), std::nullopt});
    if (!last) changes.back().value = Encode(group);
  }
  MLOS_RETURN_IF_ERROR(Commit(changes));
  if (const auto known = groups_.find(name); known != groups_.end()) {
    known->second = std::move(group);
    if (last) groups_.erase(known);
  }
  Erase(*record);
  return OkStatus();
}

void Catalog::Erase(const ModelVersion& record) {
  by_id_.erase(record.id);
  const auto it = models_.find(record.name);
  it->second.erase(record.version);
  if (it->second.empty()) models_.erase(it);
}

void Catalog::ChooseActive(std::string_view name) {
  const auto it = plugins_.find(name);
  if (it == plugins_.end()) return;
  PluginVersion* choice = nullptr;
  for (auto& [number, record] : it->second) {
    record->active = false;
    if (record->state != State::kReady) continue;
    if (choice == nullptr || !choice->preferred) choice = record.get();
  }
  if (choice != nullptr) choice->active = true;
}

size_t Catalog::ModelsOn(const PluginVersion& plugin) const {
  size_t count = 0;
  for (const auto& [name, versions] : models_) {
    for (const auto& [number, model] : versions) {
      if (IsLoaded(model->state) && model->plugin == plugin.manifest.name &&
          model->plugin_version == plugin.manifest.version) {
        ++count;
      }
    }
  }
  return count;
}

}  // namespace mlos::catalog
