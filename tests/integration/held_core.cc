// SPDX-License-Identifier: Apache-2.0
#include "held_core.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catalog/codec.h"

namespace mlos::test {
namespace fs = std::filesystem;
using K = OperationKind;
namespace {

std::string MakeRoot() {
  std::string root = testing::TempDir() + "mlos-held-XXXXXX";
  if (mkdtemp(root.data()) == nullptr) ADD_FAILURE() << "no directory " << root;
  return root;
}

void RemoveMarks(const fs::path& package, const std::string& kind) {
  for (const char* step : {"create", "load", "execute", "unload", "destroy"}) {
    fs::remove(package / (kind + "-" + step));
  }
}

}  // namespace

HeldCore::HeldCore()
    : root_(MakeRoot()), control_(core_.control(), core_.catalog(), core_.manager(), "1.0.0") {}

HeldCore::~HeldCore() {
  for (const auto& entry : fs::directory_iterator(root_)) {
    if (entry.is_directory()) RemoveMarks(entry.path(), "hold");
  }
  // The packages go before the hosts that have mapped them, which keeps the library alive.
  fs::remove_all(root_);
}

std::string HeldCore::Copy(const std::string& name, const std::string& version) {
  const fs::path package = fs::path(root_) / name;
  if (fs::exists(package)) return package;
  fs::create_directory(package);
  fs::copy_file(MLOS_TEST_PLUGINS "/held/1.0.0/libheld.so", package / "libheld.so");
  std::ofstream(package / "plugin.yaml")
      << "name: held\nversion: " << version << "\nlibrary: libheld.so\nformats: [test]\n";
  return package;
}

std::string HeldCore::Package(const std::string& version) {
  return Copy("held-" + version, version);
}
std::string HeldCore::OtherPackage(const std::string& version) {
  return Copy("other-" + version, version);
}

std::string HeldCore::File(const std::string& name, const std::string& text) {
  const fs::path path = fs::path(root_) / name;
  std::ofstream(path) << text;
  return path;
}

void HeldCore::Hold(const std::string& step, const std::string& version) {
  std::ofstream(fs::path(Package(version)) / ("hold-" + step));
}
void HeldCore::Fail(const std::string& step, const std::string& version) {
  std::ofstream(fs::path(Package(version)) / ("fail-" + step));
}
void HeldCore::Release(const std::string& version) { RemoveMarks(Package(version), "hold"); }
void HeldCore::GoOn(const std::string& version) {
  RemoveMarks(Package(version), "fail");
  Release(version);
}

// -------------------------------------------------------------------- changes

std::future<Outcome> HeldCore::Apply(control::Operation operation) {
  const auto promise = std::make_shared<std::promise<Outcome>>();
  std::future<Outcome> outcome = promise->get_future();
  control_.Apply(std::move(operation), [promise](const Outcome& out) { promise->set_value(out); });
  return outcome;
}

std::future<Outcome> HeldCore::Plugin(K kind, const std::string& version, bool wait) {
  return Apply({.kind = kind, .name = "held", .version = version, .wait = wait});
}
std::future<Outcome> HeldCore::Model(K kind, const std::string& version, bool wait) {
  return Apply({.kind = kind, .name = "m", .version = version, .wait = wait});
}
std::future<Outcome> HeldCore::RegisterPlugin(const std::string& package) {
  return Apply({.kind = K::kRegisterPlugin, .body = {{"path", package}}});
}
std::future<Outcome> HeldCore::RegisterModel(uint64_t version, const std::string& config,
                                             const std::string& path) {
  return Apply({.kind = K::kRegisterModel,
                .body = {{"name", "m"},
                         {"path", path},
                         {"version", std::to_string(version)},
                         {"plugin", "held"},
                         {"config", boost::json::parse(config)}}});
}
std::future<Outcome> HeldCore::Swap(const std::string& to, bool wait) {
  return Apply({.kind = K::kSwapPlugin, .name = "held", .body = {{"to", to}}, .wait = wait});
}

std::future<Outcome> HeldCore::Infer(const std::string& model) {
  auto answer = core_.Start(model, {MakeInput(tensor::Datatype::kFp32, std::vector<float>{1})});
  return std::async(std::launch::async, [answer = std::move(answer)]() mutable {
    Outcome out;
    out.status = answer.get().status;
    return out;
  });
}

void HeldCore::KnowPlugin(const std::string& version) {
  const Outcome out = Await(RegisterPlugin(Package(version)));
  ASSERT_TRUE(out.status.ok()) << out.status;
  ASSERT_TRUE(WaitUntil([&] {
    return core_.OnControl(
        [&] { return !(*core_.catalog().FindPlugin("held", version))->library.sha256.empty(); });
  }));
}

void HeldCore::KnowModel(uint64_t version) {
  const Outcome out = Await(RegisterModel(version));
  ASSERT_TRUE(out.status.ok()) << out.status;
  ASSERT_TRUE(WaitUntil([&] {
    return core_.OnControl([&] {
      const auto model = core_.catalog().FindModel("m", std::to_string(version));
      return !(*model)->artefact.identities[0].sha256.empty();
    });
  }));
}

void HeldCore::BringPlugin(const std::string& version) {
  KnowPlugin(version);
  const Outcome out = Await(Plugin(K::kLoadPlugin, version));
  ASSERT_TRUE(out.status.ok()) << out.status;
}

void HeldCore::BringModel(uint64_t version) {
  KnowModel(version);
  const Outcome out = Await(Model(K::kLoadModel, std::to_string(version)));
  ASSERT_TRUE(out.status.ok()) << out.status;
}

// ------------------------------------------------------------------- what is

std::string HeldCore::PluginState(const std::string& version) {
  return core_.OnControl([&] {
    const auto found = core_.catalog().FindPlugin("held", version);
    return std::string(found.ok() ? StateName((*found)->state) : "none");
  });
}

std::string HeldCore::ModelState(const std::string& version) {
  return core_.OnControl([&] {
    const auto found = core_.catalog().FindModel("m", version);
    return std::string(found.ok() ? StateName((*found)->state) : "none");
  });
}

std::string HeldCore::ActiveVersion() {
  return core_.OnControl([&] {
    const auto* active = core_.catalog().ActivePlugin("held");
    return active == nullptr ? std::string("none") : active->manifest.version;
  });
}

std::string HeldCore::HostState(const std::string& version) {
  return core_.OnControl([&]() -> std::string {
    for (const auto& row : core_.manager().Hosts()) {
      if (row.version == version) return std::string(HostStateName(row.host->state()));
    }
    return "none";
  });
}

pid_t HeldCore::HostPid(const std::string& version) {
  return core_.OnControl([&]() -> pid_t {
    for (const auto& row : core_.manager().Hosts()) {
      if (row.version == version) return row.host->pid();
    }
    return -1;
  });
}

std::string HeldCore::DesiredOf(const std::string& version) {
  return core_.OnControl([&] {
    return std::string(DesiredName((*core_.catalog().FindModel("m", version))->desired));
  });
}

bool HeldCore::Wanted(const std::string& version) {
  return core_.OnControl([&] { return (*core_.catalog().FindPlugin("held", version))->wanted; });
}

std::vector<state::Record> HeldCore::Stored() {
  return core_.OnControl([&] {
    (void)core_.catalog().SaveChecksums();  // as happens now and then
    return *core_.store().Load();
  });
}

std::vector<state::Record> HeldCore::Known() {
  return core_.OnControl([&] {
    std::vector<state::Record> out;
    for (const auto& [name, versions] : core_.catalog().models()) {
      for (const auto& [number, m] : versions) {
        out.push_back({std::string(catalog::kModelKind), KeyOf(*m), Encode(*m)});
      }
    }
    for (const auto& [name, versions] : core_.catalog().models()) {
      const catalog::ModelGroup& group = core_.catalog().Group(name);
      if (group == catalog::ModelGroup()) continue;
      out.push_back({std::string(catalog::kGroupKind), name, Encode(group)});
    }
    for (const auto& [name, versions] : core_.catalog().plugins()) {
      for (const auto& [number, p] : versions) {
        out.push_back({std::string(catalog::kPluginKind), KeyOf(*p), Encode(*p)});
      }
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
      return std::tie(a.kind, a.key) < std::tie(b.kind, b.key);
    });
    return out;
  });
}

void HeldCore::Settle() {
  for (int i = 0; i < 2; ++i) {
    core_.OnFront([] { return 0; });
    core_.OnControl([] { return 0; });
  }
}

Outcome Await(std::future<Outcome>& future) {
  if (future.wait_for(std::chrono::seconds(20)) == std::future_status::ready) return future.get();
  ADD_FAILURE() << "no answer";
  Outcome none;
  none.status = DeadlineExceeded("no answer");
  return none;
}

bool IsAnswered(const std::future<Outcome>& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::string Text(const Outcome& outcome) { return std::string(Message(outcome.status)); }

}  // namespace mlos::test
