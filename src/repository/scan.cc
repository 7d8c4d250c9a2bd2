// SPDX-License-Identifier: Apache-2.0
#include "repository/scan.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <map>
#include <set>

#include "base/name.h"
#include "modelconfig/fields.h"
#include "modelconfig/json.h"
#include "modelconfig/text.h"
#include "repository/files.h"

namespace mlos::repository {
namespace {

using inference::ModelConfig;

enum class Entry { kDirectory, kLink, kOther, kGone, kUnknown };

Entry EntryOf(int beneath, const std::string& name) {
  struct stat st;
  if (fstatat(beneath, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? Entry::kGone : Entry::kUnknown;
  }
  if (S_ISDIR(st.st_mode)) return Entry::kDirectory;
  return S_ISLNK(st.st_mode) ? Entry::kLink : Entry::kOther;
}

// What cannot be looked at may be a directory: opening it says what is wrong.
bool MayBeDirectory(Entry entry) { return entry != Entry::kOther && entry != Entry::kGone; }

// Of a text that may be large, what stands for it in a fingerprint.
std::string Digest(std::string_view text) {
  return fmt::format("{} {:x}", text.size(), std::hash<std::string_view>()(text));
}

// A version is a whole number from 1 on, written in one way; 0: it is none.
uint64_t VersionNumber(const std::string& name) {
  if (name.empty() || name.size() > 18 || name[0] == '0') return 0;
  if (name.find_first_not_of("0123456789") != std::string::npos) return 0;
  return std::stoull(name);
}

StatusOr<ModelConfig> ReadConfig(int directory) {
  if (EntryOf(directory, kConfigFile) == Entry::kGone) return ModelConfig();
  MLOS_ASSIGN_OR_RETURN(const std::string text,
                        ReadFile(directory, kConfigFile, modelconfig::kMaxTextBytes));
  StatusOr<ModelConfig> config = modelconfig::ParseText(text);
  if (config.ok()) return config;
  return Annotate(config.status(), kConfigFile);
}

StatusOr<catalog::VersionPolicy> PolicyOf(const ModelConfig& config) {
  using Policy = catalog::VersionPolicy;
  const inference::ModelVersionPolicy& said = config.version_policy();
  Policy policy{.kind = Policy::Kind::kLatest};
  if (said.has_all()) {
    policy.kind = Policy::Kind::kAll;
  } else if (said.has_latest()) {
    policy.latest = said.latest().num_versions();
    if (policy.latest == 0) {
      return InvalidArgument("version_policy.latest.num_versions must be from 1 on");
    }
  } else if (said.has_specific()) {
    policy.kind = Policy::Kind::kSpecific;
    for (const int64_t version : said.specific().versions()) {
      if (version < 1) {
        return InvalidArgument(fmt::format(
            "version_policy.specific names version {}: versions are from 1 on", version));
      }
      policy.versions.insert(static_cast<uint64_t>(version));
    }
    if (policy.versions.empty() || policy.versions.size() > kMaxVersions) {
      return InvalidArgument(fmt::format("version_policy.specific names {} versions: 1 to {}",
                                         policy.versions.size(), kMaxVersions));
    }
  }
  return policy;
}

// The plugin that the configuration names; empty: it names none.
StatusOr<std::string> NamedPlugin(const ModelConfig& config, const std::vector<Claim>& claims) {
  std::string known;
  for (const Claim& claim : claims) {
    known += (known.empty() ? "" : ", ") + claim.plugin;
    if (!config.backend().empty() ? claim.plugin == config.backend()
                                  : config.platform() == claim.plugin ||
                                        config.platform().rfind(claim.plugin + "_", 0) == 0) {
      return claim.plugin;
    }
  }
  if (config.backend().empty() && config.platform().empty()) return std::string();
  const bool backend = !config.backend().empty();
  return InvalidArgument(fmt::format(
      "no plugin of its {} {} is registered (registered: {})", backend ? "backend" : "platform",
      Quoted(backend ? config.backend() : config.platform()), known.empty() ? "none" : known));
}

std::vector<std::string> FormatsOf(const std::string& plugin, const std::vector<Claim>& claims) {
  std::set<std::string> formats;
  for (const Claim& claim : claims) {
    if (plugin.empty() || claim.plugin == plugin) {
      formats.insert(claim.formats.begin(), claim.formats.end());
    }
  }
  return {formats.begin(), formats.end()};
}

StatusOr<std::string> PluginOf(const std::string& format, const std::vector<Claim>& claims) {
  std::vector<std::string> claiming;
  for (const Claim& claim : claims) {
    if (std::find(claim.formats.begin(), claim.formats.end(), format) == claim.formats.end()) {
      continue;
    }
    claiming.push_back(claim.plugin);
  }
  if (claiming.size() == 1) return claiming.front();
  if (claiming.empty()) {
    return InvalidArgument(fmt::format("no registered plugin claims the format \"{}\"", format));
  }
  return InvalidArgument(
      fmt::format("plugins {} and {} both claim the format \"{}\": name one as "
                  "backend in {}",
                  claiming[0], claiming[1], format, kConfigFile));
}

class ModelScan {
 public:
  // `given`: the configuration in place of its own; may be null.
  ModelScan(int directory, const std::vector<Claim>& claims, const ModelConfig* given,
            FoundModel* out)
      : directory_(directory), claims_(claims), given_(given), out_(*out) {}

  void Run() {
    const StatusOr<ModelConfig> config = given_ != nullptr ? *given_ : ReadConfig(directory_);
    Status status = config.ok() ? TakeConfig(*config) : config.status();
    // Which versions there are is worth knowing also where none can be loaded.
    const Status versions = FindVersions(config.ok() ? *config : ModelConfig());
    if (status.ok()) status = versions;
    if (!status.ok()) out_.fault = Message(status);
    out_.unread = !versions.ok() && versions.code() != StatusCode::kNotFound;
    AddMissing();
    // What can fail is known of each version by its fingerprint.
    const std::string common = fmt::format("{}\n{}\n{}\n{}\n{}", out_.repository, out_.fault,
                                           Digest(boost::json::serialize(*out_.config)),
                                           LabelText(), config.ok() ? SampleText(*config) : "");
    for (FoundVersion& version : out_.versions) {
      version.fingerprint = common + version.fault + "\n" + version.plugin;
      for (size_t i = 0; i < version.artefact.files.size(); ++i) {
        const catalog::FileIdentity& id = version.artefact.identities[i];
        version.fingerprint +=
            fmt::format("\n{} {} {}", version.artefact.files[i], id.bytes, id.modified_ns);
      }
    }
  }

 private:
  Status TakeConfig(const ModelConfig& config) {
    out_.config = modelconfig::ToJson(config, modelconfig::Form::kGiven);
    if (!config.name().empty() && config.name() != out_.name) {
      return InvalidArgument(fmt::format(
          "{} is for a model of the name {}",
          given_ != nullptr ? "the given configuration" : kConfigFile, Quoted(config.name())));
    }
    MLOS_RETURN_IF_ERROR(modelconfig::Examine(config).refused);
    MLOS_ASSIGN_OR_RETURN(out_.policy, PolicyOf(config));
    MLOS_ASSIGN_OR_RETURN(plugin_, NamedPlugin(config, claims_));
    MLOS_ASSIGN_OR_RETURN(Labels labels, ReadLabels(directory_, config));
    if (!labels.empty()) out_.labels = std::make_shared<const Labels>(std::move(labels));
    return OkStatus();
  }

  Status FindVersions(const ModelConfig& config) {
    MLOS_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          ListNames(directory_, 2 * kMaxVersions));
    for (const std::string& name : names) {
      const uint64_t number = VersionNumber(name);
      if (number == 0) continue;
      if (MayBeDirectory(EntryOf(directory_, name))) AddVersion(number, name, config);
      if (out_.versions.size() > kMaxVersions) {
        return ResourceExhausted(fmt::format("it has more than {} versions", kMaxVersions));
      }
    }
    std::sort(out_.versions.begin(), out_.versions.end(),
              [](const FoundVersion& a, const FoundVersion& b) { return a.number < b.number; });
    if (!out_.versions.empty()) return OkStatus();
    return NotFound("it has no version: directories named 1, 2 and so on, with the model's files");
  }

  void AddFault(uint64_t number, std::string fault) {
    FoundVersion version;
    version.number = number;
    version.fault = std::move(fault);
    out_.versions.push_back(std::move(version));
  }

  void AddVersion(uint64_t number, const std::string& name, const ModelConfig& config) {
    FoundVersion version;
    version.number = number;
    const Status status = [&]() -> Status {
      MLOS_ASSIGN_OR_RETURN(const OwnedFd directory, OpenDirectory(directory_, name));
      MLOS_ASSIGN_OR_RETURN(version.artefact,
                            catalog::FindArtefactIn(directory.get(), FormatsOf(plugin_, claims_),
                                                    config.default_model_filename()));
      version.artefact.directory = fmt::format("{}/{}/{}", out_.repository, out_.name, name);
      version.artefact.root = out_.repository;
      version.plugin = plugin_;
      if (plugin_.empty()) {
        MLOS_ASSIGN_OR_RETURN(version.plugin, PluginOf(version.artefact.format, claims_));
      }
      return OkStatus();
    }();
    if (!status.ok()) version.fault = Message(status);
    out_.versions.push_back(std::move(version));
  }

  // Versions that the policy names and that are not there are to be seen.
  void AddMissing() {
    if (out_.policy.kind != catalog::VersionPolicy::Kind::kSpecific) return;
    for (const uint64_t number : out_.policy.versions) {
      const bool there =
          std::any_of(out_.versions.begin(), out_.versions.end(),
                      [&](const FoundVersion& version) { return version.number == number; });
      if (!there) AddFault(number, "the repository has no such version of the model");
    }
    std::sort(out_.versions.begin(), out_.versions.end(),
              [](const FoundVersion& a, const FoundVersion& b) { return a.number < b.number; });
  }

  std::string LabelText() const {
    size_t hash = 0;
    if (out_.labels == nullptr) return {};
    for (const auto& [output, labels] : *out_.labels) {
      for (const std::string& label : labels) {
        hash = hash * 31 + std::hash<std::string>()(label) + labels.size();
      }
    }
    return std::to_string(hash);
  }

  // Of the data of samples: which files, and when they were written.
  std::string SampleText(const ModelConfig& config) const {
    std::set<std::string> lines;  // a map has no order of its own
    for (const inference::ModelWarmup& sample : config.model_warmup()) {
      for (const auto& [name, input] : sample.inputs()) {
        const std::string file = fmt::format("{}/{}", kWarmUpFolder, input.input_data_file());
        struct stat st;
        if (fstatat(directory_, file.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        const catalog::FileIdentity id = catalog::IdentityOf(st);
        lines.insert(fmt::format("{} {} {}\n", file, id.bytes, id.modified_ns));
      }
    }
    std::string out;
    for (const std::string& line : lines) out += line;
    return out;
  }

  const int directory_;
  const std::vector<Claim>& claims_;
  const ModelConfig* const given_;
  FoundModel& out_;
  std::string plugin_;
};

StatusOr<OwnedFd> OpenRoot(const std::string& directory) {
  OwnedFd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return ErrnoStatus(fmt::format("the model repository {}", Quoted(directory, 200)));
  return root;
}

// NOT_FOUND: it was there a moment ago.
StatusOr<FoundModel> ScanIn(int root, const std::string& directory, const std::string& name,
                            const std::vector<Claim>& claims, const ModelConfig* given) {
  FoundModel model;
  model.name = name;
  model.repository = directory;
  const StatusOr<OwnedFd> own = OpenDirectory(root, name);
  if (own.ok()) {
    ModelScan(own->get(), claims, given, &model).Run();
  } else if (own.status().code() == StatusCode::kNotFound) {
    return own.status();
  } else {
    model.fault = Message(own.status());
    model.unread = true;
  }
  return model;
}

}  // namespace

std::vector<uint64_t> FoundModel::Wanted() const {
  std::vector<uint64_t> present;
  present.reserve(versions.size());
  for (const FoundVersion& version : versions) present.push_back(version.number);
  std::vector<uint64_t> out;
  for (const uint64_t number : present) {
    if (policy.Covers(number, present)) out.push_back(number);
  }
  return out;
}

void MergeInto(std::map<std::string, FoundModel>* models, FoundModel found) {
  const auto [it, added] = models->try_emplace(found.name, found);
  if (added) return;
  FoundModel& first = it->second;
  first.fault = fmt::format("it is in two model repositories, {} and {}",
                            Quoted(first.repository, 200), Quoted(found.repository, 200));
  for (FoundVersion& version : first.versions) version.fingerprint += "\n" + first.fault;
}

StatusOr<FoundModel> ScanModel(const std::string& directory, const std::string& name,
                               const std::vector<Claim>& claims,
                               const inference::ModelConfig* given) {
  MLOS_RETURN_IF_ERROR(ValidateName("model name", name));
  MLOS_ASSIGN_OR_RETURN(const OwnedFd root, OpenRoot(directory));
  if (!MayBeDirectory(EntryOf(root.get(), name))) {
    return NotFound(fmt::format("no model repository has a model {}", Quoted(name)));
  }
  return ScanIn(root.get(), directory, name, claims, given);
}

StatusOr<FoundModel> FindModel(const std::vector<std::string>& directories, const std::string& name,
                               const std::vector<Claim>& claims,
                               const inference::ModelConfig* given) {
  std::map<std::string, FoundModel> models;
  Status status = NotFound(fmt::format("no model repository has a model {}", Quoted(name)));
  for (const std::string& directory : directories) {
    StatusOr<FoundModel> found = ScanModel(directory, name, claims, given);
    if (found.ok()) {
      MergeInto(&models, *std::move(found));
    } else if (found.status().code() != StatusCode::kNotFound) {
      status = found.status();
    }
  }
  if (models.empty()) return status;
  return std::move(models.begin()->second);
}

StatusOr<FoundRepository> ScanRepository(const std::string& directory,
                                         const std::vector<Claim>& claims,
                                         const catalog::Stop& stop) {
  MLOS_ASSIGN_OR_RETURN(const OwnedFd root, OpenRoot(directory));
  const StatusOr<std::vector<std::string>> names = ListNames(root.get(), kMaxModels);
  if (!names.ok()) {
    return Annotate(names.status(), fmt::format("the model repository {}", Quoted(directory, 200)));
  }
  FoundRepository out;
  for (const std::string& name : *names) {
    if (stop) return Cancelled("the daemon is being stopped");
    if (!MayBeDirectory(EntryOf(root.get(), name))) continue;  // a README, say
    if (const Status valid = ValidateName("model name", name); !valid.ok()) {
      out.complaints.emplace_back(Message(valid));
      continue;
    }
    StatusOr<FoundModel> model = ScanIn(root.get(), directory, name, claims, nullptr);
    if (model.ok()) out.models.push_back(*std::move(model));
  }
  return out;
}

}  // namespace mlos::repository
