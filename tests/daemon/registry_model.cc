// SPDX-License-Identifier: Apache-2.0
#include "registry_model.h"

#include <algorithm>
#include <set>

#include "wire.h"

namespace mlos::test {
namespace json = boost::json;
namespace {

constexpr char kPlugin[] = "echo";  // of all models
constexpr const char* kPolicies[] = {R"({"all":{}})", R"({"latest":{"num_versions":1}})",
                                     R"({"specific":{"versions":[1]}})"};
constexpr const char* kLabels[] = {"stable", "next"};

const World::Plugin* Find(const World& world, const Change& change) {
  const auto name = world.plugins.find(change.name);
  if (name == world.plugins.end()) return nullptr;
  const auto it = name->second.find(change.version);
  return it == name->second.end() ? nullptr : &it->second;
}

const std::string* FindModel(const World& world, const Change& change) {
  const auto name = world.models.find(change.name);
  if (name == world.models.end()) return nullptr;
  const auto it = name->second.find(change.version);
  return it == name->second.end() ? nullptr : &it->second;
}

std::string PolicyOf(const World& world, const std::string& model) {
  const auto it = world.groups.find(model);
  return it == world.groups.end() ? "" : it->second.policy;
}

// Whether the policy admits `version` beside the `loaded` ones.
bool Admits(const std::string& policy, const std::string& version,
            const std::set<std::string>& loaded) {
  if (policy == kPolicies[1]) return loaded.empty() || *loaded.rbegin() <= version;
  if (policy == kPolicies[2]) return version == "1";
  return true;
}

std::set<std::string> Loaded(const World& world, const std::string& model) {
  std::set<std::string> out;
  const auto it = world.models.find(model);
  if (it == world.models.end()) return out;
  for (const auto& [version, desired] : it->second) {
    if (desired == "loaded") out.insert(version);
  }
  return out;
}

// What the policy leaves out is unloaded.
void Settle(World* world, const std::string& model) {
  const std::set<std::string> loaded = Loaded(*world, model);
  for (const std::string& version : loaded) {
    if (!Admits(PolicyOf(*world, model), version, loaded)) {
      world->models[model][version] = "unloaded";
      world->left_out.emplace(model, version);
    }
  }
}

bool RunsModels(const World& world, const Change& change) {
  if (change.name != kPlugin || world.Active(kPlugin) != change.version) return false;
  return std::any_of(world.models.begin(), world.models.end(),
                     [&](const auto& m) { return !Loaded(world, m.first).empty(); });
}

const std::string* Previous(const World& world, const std::string& name) {
  const auto it = world.plugins.find(name);
  if (it == world.plugins.end()) return nullptr;
  for (const auto& [version, plugin] : it->second) {
    if (plugin.previous) return &version;
  }
  return nullptr;
}

void Want(World* world, const Change& change, bool wanted) {
  auto& versions = world->plugins[change.name];
  World::Plugin& plugin = versions[change.version];
  const bool other = std::any_of(versions.begin(), versions.end(), [&](const auto& v) {
    return v.first != change.version && v.second.wanted && v.second.preferred;
  });
  plugin.wanted = wanted;
  plugin.preferred = wanted && !other;
  if (wanted || other) return;
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {  // its heir
    if (!it->second.wanted) continue;
    it->second.preferred = true;
    return;
  }
}

void Swap(World* world, const std::string& name, const std::string& to) {
  const std::string from = world->Active(name);
  if (from == to) return;
  for (auto& [version, plugin] : world->plugins[name]) {
    plugin.previous = version == from;
    plugin.preferred = version == to;
    if (version == from) plugin.wanted = false;
    if (version == to) plugin.wanted = true;
  }
}

void Remove(World* world, const Change& change) {
  auto& versions = world->models[change.name];
  versions.erase(change.version);
  world->left_out.erase({change.name, change.version});
  if (versions.empty()) {
    world->models.erase(change.name);
    world->groups.erase(change.name);
  } else if (const auto group = world->groups.find(change.name); group != world->groups.end()) {
    std::erase_if(group->second.labels, [&](const auto& l) { return l.second == change.version; });
  }
}

}  // namespace

std::string Change::method() const {
  return kind == kRemovePlugin || kind == kRemoveModel ? "DELETE" : "POST";
}

std::string Change::target() const {
  const std::string plugin = "/api/v1/plugins/" + name;
  const std::string model = "/api/v1/models/" + name;
  switch (kind) {
    case kRegisterPlugin:
    case kInstallPlugin:
      return "/api/v1/plugins";
    case kLoadPlugin:
      return plugin + "/versions/" + version + "/load";
    case kUnloadPlugin:
      return plugin + "/versions/" + version + "/unload";
    case kRemovePlugin:
      return plugin + "/versions/" + version;
    case kSwapPlugin:
      return plugin + "/swap";
    case kRollBackPlugin:
      return plugin + "/rollback";
    case kRegisterModel:
      return "/api/v1/models";
    case kLoadModel:
      return model + "/versions/" + version + "/load";
    case kUnloadModel:
      return model + "/versions/" + version + "/unload";
    case kRemoveModel:
      return model + "/versions/" + version;
    case kSetLabel:
    case kDropLabel:
      return model + "/labels";
    default:
      return model + "/policy";
  }
}

std::string Change::Text() const {
  return method() + " " + target() + " " + std::to_string(kind) + " " + name + " " + version + " " +
         label + " " + policy;
}

std::string Places::Body(const Change& c) const {
  const std::string package = packages + "/" + c.name + "/" + c.version;
  switch (c.kind) {
    case Change::kRegisterPlugin:
      return json::serialize(json::object{{"path", package}});
    case Change::kInstallPlugin:
      return json::serialize(json::object{{"path", package}, {"install", true}});
    case Change::kSwapPlugin:
      return json::serialize(json::object{{"to", c.version}});
    case Change::kRegisterModel:
      return json::serialize(json::object{
          {"name", c.name}, {"path", model}, {"version", c.version}, {"plugin", kPlugin}});
    case Change::kSetLabel:
      return json::serialize(json::object{{"label", c.label}, {"version", c.version}});
    case Change::kDropLabel:
      return json::serialize(json::object{{"label", c.label}});
    case Change::kSetPolicy:
      return R"({"version_policy":)" + c.policy + "}";
    default:
      return {};
  }
}

std::string World::Active(const std::string& plugin) const {
  const auto it = plugins.find(plugin);
  if (it == plugins.end()) return {};
  for (const auto& [version, p] : it->second) {
    if (p.wanted && p.preferred) return version;
  }
  return {};
}

std::string World::Text() const {
  std::string out;
  for (const auto& [name, versions] : plugins) {
    for (const auto& [version, p] : versions) {
      out += "plugin " + name + " " + version + (p.installed ? " installed" : "") +
             (p.wanted ? " wanted" : "") + (Active(name) == version ? " active" : "") + "\n";
    }
  }
  for (const auto& [name, versions] : models) {
    const auto group = groups.find(name);
    for (const auto& [version, desired] : versions) {
      out += "model " + name + " " + version + " " + desired;
      if (group != groups.end()) {
        for (const auto& [label, v] : group->second.labels) out += v == version ? " " + label : "";
      }
      out += "\n";
    }
    if (const std::string policy = PolicyOf(*this, name); !policy.empty() && policy != kPolicies[0])
      out += "policy " + name + " " + policy + "\n";
  }
  return out;
}

std::string SeenText(const json::value& plugins, const json::value& models,
                     const std::map<std::string, std::string>& policies) {
  std::string out;
  for (const json::value& p : plugins.at("plugins").as_array()) {
    out += "plugin " + At(p, "/name") + " " + At(p, "/version") +
           (p.at("source").is_null() ? "" : " installed") +
           (p.at("wanted").as_bool() ? " wanted" : "") +
           (p.at("active").as_bool() ? " active" : "") + "\n";
  }
  std::string last;
  const auto end_of = [&] {
    const auto policy = policies.find(last);
    if (policy == policies.end() || policy->second == kPolicies[0]) return;
    out += "policy " + last + " " + policy->second + "\n";
  };
  for (const json::value& m : models.at("models").as_array()) {
    const std::string name = At(m, "/name");
    if (name != last) end_of();
    last = name;
    out += "model " + name + " " + At(m, "/version") + " " + At(m, "/desired");
    for (const json::value& label : m.at("labels").as_array()) out += " " + At(label, "");
    out += "\n";
  }
  end_of();
  return out;
}

bool Allowed(const World& world, const Change& c) {
  const World::Plugin* plugin = Find(world, c);
  const std::string* model = FindModel(world, c);
  const auto group = world.groups.find(c.name);
  switch (c.kind) {
    case Change::kRegisterPlugin:
    case Change::kInstallPlugin:
      return plugin == nullptr || plugin->installed == (c.kind == Change::kInstallPlugin);
    case Change::kLoadPlugin:
      return plugin != nullptr;
    case Change::kUnloadPlugin:
      return plugin != nullptr && !RunsModels(world, c);
    case Change::kRemovePlugin:
      return plugin != nullptr && !plugin->wanted;
    case Change::kSwapPlugin:
      return plugin != nullptr && !world.Active(c.name).empty();
    case Change::kRollBackPlugin:
      return Previous(world, c.name) != nullptr && !world.Active(c.name).empty();
    case Change::kRegisterModel:
      return world.plugins.count(kPlugin) != 0;
    case Change::kLoadModel: {
      if (model == nullptr || world.Active(kPlugin).empty()) return false;
      return *model == "loaded" ||
             Admits(PolicyOf(world, c.name), c.version, Loaded(world, c.name));
    }
    case Change::kUnloadModel:
    case Change::kSetLabel:
      return model != nullptr;
    case Change::kRemoveModel:
      return model != nullptr && *model != "loaded";
    case Change::kDropLabel:
      return world.models.count(c.name) != 0 && group != world.groups.end() &&
             group->second.labels.count(c.label) != 0;
    case Change::kSetPolicy: {
      const auto versions = world.models.find(c.name);
      return versions != world.models.end() &&
             (c.policy != kPolicies[2] || versions->second.count("1") != 0);
    }
    default:
      return world.models.count(c.name) != 0;
  }
}

World After(World world, const Change& c) {
  switch (c.kind) {
    case Change::kRegisterPlugin:
    case Change::kInstallPlugin:
      world.plugins[c.name].try_emplace(c.version).first->second.installed =
          c.kind == Change::kInstallPlugin;
      break;
    case Change::kLoadPlugin:
    case Change::kUnloadPlugin:
      Want(&world, c, c.kind == Change::kLoadPlugin);
      break;
    case Change::kRemovePlugin:
      world.plugins[c.name].erase(c.version);
      if (world.plugins[c.name].empty()) world.plugins.erase(c.name);
      break;
    case Change::kSwapPlugin:
      Swap(&world, c.name, c.version);
      break;
    case Change::kRollBackPlugin:
      Swap(&world, c.name, std::string(*Previous(world, c.name)));
      break;
    case Change::kRegisterModel:
      world.models[c.name].try_emplace(c.version, "on_demand");
      break;
    case Change::kLoadModel:
    case Change::kUnloadModel:
      world.models[c.name][c.version] = c.kind == Change::kLoadModel ? "loaded" : "unloaded";
      world.left_out.erase({c.name, c.version});
      Settle(&world, c.name);
      break;
    case Change::kRemoveModel:
      Remove(&world, c);
      break;
    case Change::kSetLabel:
      world.groups[c.name].labels[c.label] = c.version;
      break;
    case Change::kDropLabel:
      world.groups[c.name].labels.erase(c.label);
      break;
    default:
      world.groups[c.name].policy = c.policy;
      Settle(&world, c.name);
  }
  return world;
}

std::vector<World> Outcomes(const World& world) {
  std::vector<World> outcomes{world};
  // Also what a policy took out in an earlier run: it may have done so after that run's end only,
  // in this one, which then remembers it.
  for (const auto& [model, version] : world.left_out) {
    const size_t so_far = outcomes.size();
    for (size_t i = 0; i < so_far; ++i) {
      World readmitted = outcomes[i];
      readmitted.models[model][version] = "on_demand";
      readmitted.left_out.erase({model, version});
      outcomes.push_back(std::move(readmitted));
    }
  }
  return outcomes;
}

Change AnyChange(const World& world, std::mt19937& random) {
  const auto below = [&](size_t n) { return random() % n; };
  Change change;
  for (int tries = 0; tries < 20; ++tries) {
    change.kind = static_cast<Change::Kind>(below(Change::kCount));
    if (change.kind <= Change::kRollBackPlugin) {
      change.name = below(3) == 0 ? "counts" : kPlugin;
      change.version = below(2) == 0 ? "1.0.0" : "2.0.0";
    } else {
      change.name = "m" + std::to_string(below(3));
      change.version = std::to_string(1 + below(2));
    }
    change.label = kLabels[below(std::size(kLabels))];
    change.policy = kPolicies[below(std::size(kPolicies))];
    if (Allowed(world, change) || below(8) == 0) break;
  }
  return change;
}

}  // namespace mlos::test
