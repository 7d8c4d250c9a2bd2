// SPDX-License-Identifier: Apache-2.0
//
// Checks of the library, its table, and the instance.
#include <fmt/core.h>

#include <boost/json.hpp>
#include <cstddef>
#include <cstring>

#include "base/json.h"
#include "base/name.h"
#include "smi_check/checks.h"

namespace mlos {
namespace {

// The table of version 1.0, without which nothing works.  get_extension may be
// absent in what a table holds, not in its size.
constexpr size_t kFirstTableSize =
    offsetof(smi_plugin_api, get_extension) + sizeof(smi_plugin_api::get_extension);

bool HasExtensions(const smi_plugin_api* api) { return api->get_extension != nullptr; }

Status CheckProperties(Session& session, const void* extension, std::string* note) {
  const auto* properties = static_cast<const smi_ext_properties*>(extension);
  if (properties->struct_size < sizeof *properties || properties->properties == nullptr) {
    return Fail(fmt::format("{} is not whole: struct_size {}, function {}", SMI_EXT_PROPERTIES,
                            properties->struct_size,
                            properties->properties == nullptr ? "NULL" : "set"));
  }
  const char* text = nullptr;
  MLOS_RETURN_IF_ERROR(
      session.Guard("properties", [&] { text = properties->properties(session.instance()); }));
  if (text == nullptr) return Fail(SMI_EXT_PROPERTIES " returned NULL");
  const StatusOr<boost::json::value> value = ParseJson(text);
  if (!value.ok() || !value->is_object()) {
    return Fail(fmt::format("{} returned {}, which is not a JSON object", SMI_EXT_PROPERTIES,
                            Quoted(text)));
  }
  *note += " " SMI_EXT_PROPERTIES;
  return OkStatus();
}

}  // namespace

CheckResult CheckLibrary(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Map());
  return "";
}

CheckResult CheckTable(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Map());
  if (session.api()->struct_size < kFirstTableSize) {
    return Fail(
        fmt::format("the table's struct_size is {}; version 1.0 has {}: set it to "
                    "sizeof(smi_plugin_api)",
                    session.api()->struct_size, kFirstTableSize));
  }
  if (session.api()->struct_size > 65536) {
    return Fail(fmt::format("the table's struct_size is {}; set it to sizeof(smi_plugin_api)",
                            session.api()->struct_size));
  }
  return "";
}

CheckResult CheckVersion(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Map());
  const smi_plugin_api* api = session.api();
  if (api->version_major != SMI_VERSION_MAJOR) {
    return Fail(
        fmt::format("the table says SMI major version {}, this host speaks {}; set "
                    "version_major to SMI_VERSION_MAJOR and build against this mlos/smi.h",
                    api->version_major, SMI_VERSION_MAJOR));
  }
  return fmt::format("SMI {}.{}, host {}.{}", api->version_major, api->version_minor,
                     SMI_VERSION_MAJOR, SMI_VERSION_MINOR);
}

CheckResult CheckName(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Map());
  const smi_plugin_api* api = session.api();
  if (api->name == nullptr || api->version == nullptr) {
    return Fail(fmt::format("the table's {} is NULL", api->name == nullptr ? "name" : "version"));
  }
  if (subject.manifest.name != api->name) {
    return Fail(fmt::format("the table says {}, plugin.yaml says {}; they must be equal",
                            Quoted(api->name), Quoted(subject.manifest.name)));
  }
  return "";
}

CheckResult CheckFunctions(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Map());
  const smi_plugin_api* api = session.api();
  const struct {
    const char* name;
    bool is_set;
  } functions[] = {{"create", api->create != nullptr},     {"destroy", api->destroy != nullptr},
                   {"load", api->load != nullptr},         {"unload", api->unload != nullptr},
                   {"describe", api->describe != nullptr}, {"execute", api->execute != nullptr}};
  for (const auto& function : functions) {
    if (!function.is_set) {
      return Fail(
          fmt::format("the function '{}' is NULL; only get_extension may be", function.name));
    }
  }
  return "";
}

CheckResult CheckCreate(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  MLOS_RETURN_IF_ERROR(session.Destroy());
  MLOS_RETURN_IF_ERROR(session.Breach());
  return "";
}

CheckResult CheckCreateErrors(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Map());
  // A configuration that no plugin can like, and little room to say so; what
  // the plugin makes of it is its own affair.
  MLOS_ASSIGN_OR_RETURN(const Answer answer, session.Create({}, R"({"": [[], {}, null]})", 4));
  if (answer.ok()) MLOS_RETURN_IF_ERROR(session.Destroy());
  MLOS_RETURN_IF_ERROR(session.Breach());
  return answer.ok() ? "" : "refused the configuration";
}

// Every prefix of the table that a plugin might be given: it refuses, or does
// without the rest.
CheckResult CheckTruncatedHost(const Subject& subject, Phase& phase) {
  constexpr size_t kPrefixes[] = {
      offsetof(smi_host_api, log),           offsetof(smi_host_api, artefact_count),
      offsetof(smi_host_api, open_artefact), offsetof(smi_host_api, allocate_output),
      offsetof(smi_host_api, respond),       offsetof(smi_host_api, is_cancelled)};
  // One per process: create makes the one instance.
  size_t refused = 0;
  for (const size_t prefix : kPrefixes) {
    const ChildReport report = RunInChild(
        [&](Phase& inner) -> CheckResult {
          Session session(subject, inner);
          MLOS_RETURN_IF_ERROR(session.Map());
          const HostShape shape{0, static_cast<uint32_t>(prefix)};
          MLOS_ASSIGN_OR_RETURN(const Answer answer, session.Create(shape, "{}"));
          if (!answer.ok()) return "refused";
          MLOS_ASSIGN_OR_RETURN(const auto load, session.LoadModel(ArtefactOf("model", ""), "{}"));
          if (load.answer.ok()) MLOS_RETURN_IF_ERROR(session.UnloadModel(load));
          MLOS_RETURN_IF_ERROR(session.Destroy());
          return "";
        },
        5000);
    phase.Set("truncated-host");
    if (report.verdict == Verdict::kFail) {
      return Fail(
          fmt::format("with a table of {} bytes: {}; look at host->struct_size before "
                      "using a function, or refuse in create",
                      prefix, report.reason));
    }
    if (report.reason == "refused") ++refused;
  }
  return fmt::format("{} of {} smaller tables refused", refused, std::size(kPrefixes));
}

CheckResult CheckExtensions(const Subject& subject, Phase& phase) {
  Session session(subject, phase);
  MLOS_RETURN_IF_ERROR(session.Begin());
  if (!HasExtensions(session.api())) return "none";
  const auto get = [&](const char* id, const void** extension) {
    return session.Guard(fmt::format("get_extension {}", Quoted(id)),
                         [&] { *extension = session.api()->get_extension(id); });
  };
  const void* extension = nullptr;
  for (const char* id : {"mlos.plugin.no-such-extension/1", "mlos.plugin.warm-up/999999",
                         "mlos.plugin.warm-up", "mlos.plugin.", ""}) {
    MLOS_RETURN_IF_ERROR(get(id, &extension));
    if (extension != nullptr) {
      return Fail(
          fmt::format("get_extension gave something for the unknown id {}; compare the "
                      "whole id and return NULL for what you do not know",
                      Quoted(id)));
    }
  }
  std::string note = "offers";
  MLOS_RETURN_IF_ERROR(get(SMI_EXT_WARM_UP, &extension));
  if (extension != nullptr) {
    const auto* warm_up = static_cast<const smi_ext_warm_up*>(extension);
    if (warm_up->struct_size < sizeof *warm_up || warm_up->warm_up == nullptr) {
      return Fail(SMI_EXT_WARM_UP " is not whole: set struct_size and the function");
    }
    note += " " SMI_EXT_WARM_UP;
  }
  MLOS_RETURN_IF_ERROR(get(SMI_EXT_PROPERTIES, &extension));
  if (extension != nullptr) MLOS_RETURN_IF_ERROR(CheckProperties(session, extension, &note));
  MLOS_RETURN_IF_ERROR(session.Destroy());
  return note == "offers" ? "none" : note;
}

}  // namespace mlos
