// SPDX-License-Identifier: Apache-2.0
#include "catalog/codec.h"

#include <fmt/core.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <functional>

#include "base/json.h"
#include "base/name.h"

namespace mlos::catalog {
namespace json = boost::json;
namespace {

constexpr Desired kDesired[] = {Desired::kOnDemand, Desired::kLoaded, Desired::kUnloaded};

Status Damaged(std::string_view what) { return MakeStatus(StatusCode::kDataLoss, what); }

// Reads the members of one object, each once, and notes what is wrong first.
class Reader {
 public:
  explicit Reader(const json::value& value) {
    if (value.is_object()) {
      object_ = &value.get_object();
    } else {
      status_ = Damaged("the record is no object");
    }
  }

  void Text(const char* key, std::string* out) {
    const json::value* value = Take(key);
    if (value == nullptr) return;
    if (!value->is_string()) return Wrong(key);
    *out = value->get_string();
  }
  void Bool(const char* key, bool* out) {
    const json::value* value = Take(key);
    if (value == nullptr) return;
    if (!value->is_bool()) return Wrong(key);
    *out = value->get_bool();
  }
  template <typename T>
  void Number(const char* key, T* out) {
    const json::value* value = Take(key);
    if (value == nullptr) return;
    boost::system::error_code error;
    *out = value->to_number<T>(error);
    if (error) Wrong(key);
  }
  void Object(const char* key, json::object* out) {
    const json::value* value = Take(key);
    if (value == nullptr) return;
    if (!value->is_object()) return Wrong(key);
    *out = value->get_object();
  }
  const json::array* Array(const char* key) {
    const json::value* value = Take(key);
    if (value == nullptr) return nullptr;
    if (value->is_array()) return &value->get_array();
    Wrong(key);
    return nullptr;
  }

  void Wrong(std::string_view key) {
    if (status_.ok()) status_ = Damaged(fmt::format("\"{}\" is missing or makes no sense", key));
  }
  Status Finish() {
    if (status_.ok() && taken_ != object_->size()) {
      status_ = Damaged("it has members that this version does not know: a newer one wrote it");
    }
    return status_;
  }

 private:
  const json::value* Take(const char* key) {
    const json::value* value = status_.ok() ? object_->if_contains(key) : nullptr;
    if (value == nullptr) {
      Wrong(key);
    } else {
      ++taken_;
    }
    return value;
  }

  const json::object* object_ = nullptr;
  size_t taken_ = 0;
  Status status_;
};

json::object FileObject(const FileIdentity& file) {
  return {{"bytes", file.bytes}, {"modified_ns", file.modified_ns}, {"sha256", file.sha256}};
}

void ReadFile(Reader* in, FileIdentity* file) {
  in->Number("bytes", &file->bytes);
  in->Number("modified_ns", &file->modified_ns);
  in->Text("sha256", &file->sha256);
}

StatusOr<json::value> Parse(std::string_view text) {
  StatusOr<json::value> value = ParseJson(text);
  if (!value.ok()) {
    return Damaged(fmt::format("the record is not JSON: {}", Message(value.status())));
  }
  return value;
}

Status ReadArtefact(Reader* in, Artefact* artefact) {
  in->Text("directory", &artefact->directory);
  in->Text("main_file", &artefact->main_file);
  in->Text("format", &artefact->format);
  const json::array* files = in->Array("files");
  if (files == nullptr) return OkStatus();  // noted
  for (const json::value& value : *files) {
    Reader file(value);
    std::string name;
    FileIdentity identity;
    file.Text("name", &name);
    ReadFile(&file, &identity);
    MLOS_RETURN_IF_ERROR(file.Finish());
    artefact->files.push_back(std::move(name));
    artefact->identities.push_back(std::move(identity));
  }
  return OkStatus();
}

}  // namespace

std::string KeyOf(const PluginVersion& p) { return p.manifest.name + "/" + p.manifest.version; }
std::string KeyOf(const ModelVersion& m) { return fmt::format("{}/{}", m.name, m.version); }

std::string Encode(const PluginVersion& p) {
  return json::serialize(json::object{{"manifest", p.manifest.text},
                                      {"directory", p.directory},
                                      {"source", p.source},
                                      {"library", FileObject(p.library)},
                                      {"wanted", p.wanted},
                                      {"preferred", p.preferred},
                                      {"previous", p.previous}});
}

std::string Encode(const ModelVersion& m) {
  json::array files;
  for (size_t i = 0; i < m.artefact.files.size(); ++i) {
    json::object file = FileObject(m.artefact.identities[i]);
    file["name"] = m.artefact.files[i];
    files.push_back(std::move(file));
  }
  return json::serialize(json::object{{"name", m.name},
                                      {"version", m.version},
                                      {"path", m.path},
                                      {"directory", m.artefact.directory},
                                      {"main_file", m.artefact.main_file},
                                      {"format", m.artefact.format},
                                      {"files", std::move(files)},
                                      {"plugin", m.plugin},
                                      {"config", *m.config},
                                      {"metadata", m.metadata},
                                      {"owner", m.owner},
                                      {"desired", static_cast<int>(m.desired)}});
}

std::string Encode(const ModelGroup& group) {
  json::object labels;
  for (const auto& [label, version] : group.labels) labels[label] = version;
  return json::serialize(
      json::object{{"labels", std::move(labels)}, {"policy", VersionPolicyObject(group.policy)}});
}

StatusOr<PluginVersion> DecodePlugin(std::string_view text) {
  MLOS_ASSIGN_OR_RETURN(const json::value value, Parse(text));
  Reader in(value);
  PluginVersion p;
  std::string manifest;
  in.Text("manifest", &manifest);
  in.Text("directory", &p.directory);
  in.Text("source", &p.source);
  json::object library;
  in.Object("library", &library);
  in.Bool("wanted", &p.wanted);
  in.Bool("preferred", &p.preferred);
  in.Bool("previous", &p.previous);
  MLOS_RETURN_IF_ERROR(in.Finish());
  const json::value library_value = std::move(library);
  Reader file(library_value);
  ReadFile(&file, &p.library);
  MLOS_RETURN_IF_ERROR(file.Finish());
  StatusOr<Manifest> read = ParseManifest(manifest);
  if (!read.ok()) return Damaged(Message(read.status()));
  p.manifest = *std::move(read);
  return p;
}

StatusOr<ModelVersion> DecodeModel(std::string_view text) {
  MLOS_ASSIGN_OR_RETURN(const json::value value, Parse(text));
  Reader in(value);
  ModelVersion m;
  int desired = 0;
  in.Text("name", &m.name);
  in.Number("version", &m.version);
  in.Text("path", &m.path);
  MLOS_RETURN_IF_ERROR(ReadArtefact(&in, &m.artefact));
  in.Text("plugin", &m.plugin);
  json::object config;
  in.Object("config", &config);
  m.config = std::move(config);
  in.Object("metadata", &m.metadata);
  in.Text("owner", &m.owner);
  in.Number("desired", &desired);
  if (desired < 0 || desired >= static_cast<int>(std::size(kDesired))) in.Wrong("desired");
  if (!IsValidName(m.name)) in.Wrong("name");
  if (m.version == 0) in.Wrong("version");
  MLOS_RETURN_IF_ERROR(in.Finish());
  m.desired = kDesired[desired];
  return m;
}

StatusOr<ModelGroup> DecodeGroup(std::string_view text) {
  MLOS_ASSIGN_OR_RETURN(const json::value value, Parse(text));
  Reader in(value);
  ModelGroup group;
  json::object labels;
  json::object policy;
  in.Object("labels", &labels);
  in.Object("policy", &policy);
  MLOS_RETURN_IF_ERROR(in.Finish());
  for (const auto& member : labels) {
    boost::system::error_code error;
    const auto version = member.value().to_number<uint64_t>(error);
    if (error || version == 0) return Damaged("a label names no version");
    group.labels.emplace(std::string(member.key()), version);
  }
  StatusOr<VersionPolicy> read = ParseVersionPolicy(policy);
  if (!read.ok()) return Damaged(Message(read.status()));
  group.policy = *std::move(read);
  return group;
}

}  // namespace mlos::catalog
