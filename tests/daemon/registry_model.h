// SPDX-License-Identifier: Apache-2.0
//
// What the registries of a daemon should hold, kept by a test beside the
// daemon: the operations that the tests send, whether each is allowed, and what
// is there after it.  Written from the outside contract alone.  Values; pure
// functions.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "http_client.h"

namespace mlos::test {

struct Change {
  enum Kind {
    kRegisterPlugin,
    kInstallPlugin,  // register with "install"
    kLoadPlugin,
    kUnloadPlugin,
    kRemovePlugin,
    kSwapPlugin,
    kRollBackPlugin,
    kRegisterModel,
    kLoadModel,
    kUnloadModel,
    kRemoveModel,
    kSetLabel,
    kDropLabel,
    kSetPolicy,
    kCount,
  };
  Kind kind = kRegisterPlugin;
  std::string name;
  std::string version;
  std::string label;
  std::string policy;  // as the request has it

  std::string target() const;
  std::string method() const;
  std::string Text() const;  // for messages
};

// The requests' bodies need to know where things lie.
struct Places {
  std::string packages;  // NAME/VERSION below it
  std::string model;
  std::string Body(const Change& change) const;
};

struct World {
  struct Plugin {
    bool installed = false;
    bool wanted = false;
    bool preferred = false;  // of those that are wanted
    bool previous = false;
  };
  struct Group {
    std::map<std::string, std::string> labels;
    std::string policy;  // empty: none was set
  };
  std::map<std::string, std::map<std::string, Plugin>> plugins;
  std::map<std::string, std::map<std::string, std::string>> models;  // what is desired
  std::map<std::string, Group> groups;
  // Versions that a policy took out, in this run or one before.  Once it admits them again, their
  // next request may load them; whether it does so at once depends on whether they had gone by
  // then.
  std::set<std::pair<std::string, std::string>> left_out;

  // The version that models are loaded into; empty when there is none.
  std::string Active(const std::string& plugin) const;
  // All that can be seen, one line for each thing.
  std::string Text() const;
};

bool Allowed(const World& world, const Change& change);
World After(World world, const Change& change);  // of an allowed one
// What it may look like after a restart, which forgets what was left out.
std::vector<World> Outcomes(const World& world);

// What `Text` should be, from the answers of a daemon and the policies by model.
std::string SeenText(const boost::json::value& plugins, const boost::json::value& models,
                     const std::map<std::string, std::string>& policies);

// Any change, allowed or not, more often one that is.
Change AnyChange(const World& world, std::mt19937& random);

}  // namespace mlos::test
