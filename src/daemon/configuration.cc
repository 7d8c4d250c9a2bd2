// SPDX-License-Identifier: Apache-2.0
#include "daemon/configuration.h"

#include <fmt/core.h>

#include "daemon/users.h"
#include "frontends/http/server.h"

namespace mlos::daemon {
namespace {

using options::Id;
using options::Row;

class Checks {
 public:
  explicit Checks(options::Reading* reading) : reading_(reading), settings_(reading->settings) {}

  void Run() {
    if (Good(Id::kAuth) && settings_.Text(Id::kAuth) != "off") {
      Fail(
          Id::kAuth,
          "this release has no access control yet: start it with --auth off, which listens on "
          "loopback addresses and Unix sockets only; put a proxy that knows its clients before it");
    }
    for (const Row& row : options::Table()) {
      if (row.type == options::Type::kAddresses && Good(row.id)) CheckAddresses(row.id);
    }
    if (Good(Id::kClientShmOwners)) {
      const auto users = ReadUsers(settings_.Text(Id::kClientShmOwners));
      if (!users.ok()) Fail(Id::kClientShmOwners, std::string(Message(users.status())));
    }
    CheckModelsToLoad();
    CheckOrder(Id::kDefaultDeadline, Id::kMaxDeadline);
    CheckOrder(Id::kHttpMaxBody, Id::kHttpMaxBuffered);
    CheckOrder(Id::kGrpcMaxMessage, Id::kGrpcMaxBuffered);
    CheckOrder(Id::kIpcMaxMessage, Id::kIpcMaxBuffered);
  }

 private:
  bool Good(Id id) const { return settings_.at(id).good; }

  void CheckAddresses(Id id) {
    for (const std::string& address : settings_.List(id)) {
      if (address == "off") continue;
      const Status local = http::CheckLocalAddress(address);
      if (!local.ok()) Fail(id, fmt::format("{}: {}", address, Message(local)));
    }
  }

  void CheckModelsToLoad() {
    if (!Good(Id::kLoadModel) || settings_.List(Id::kLoadModel).empty()) return;
    if (!Good(Id::kModelControlMode) || settings_.Text(Id::kModelControlMode) == "explicit") return;
    Fail(Id::kLoadModel,
         "names a model to load, but all of the repositories are loaded: give "
         "--model-control-mode explicit as well");
  }

  void CheckOrder(Id smaller, Id larger) {
    if (!Good(smaller) || !Good(larger)) return;
    if (settings_.Number(smaller) <= settings_.Number(larger)) return;
    Fail(smaller,
         fmt::format("{} is {}, more than {}, which is {} ({}): lower it or raise that",
                     options::RowOf(smaller).name, Written(smaller), options::RowOf(larger).name,
                     Written(larger), settings_.Source(larger)));
  }

  std::string Written(Id id) const {
    return options::WriteValue(options::RowOf(id), settings_.at(id).value);
  }

  void Fail(Id id, std::string text) {
    const bool is_default = settings_.at(id).origin == options::Origin::kDefault;
    reading_->faults.push_back({is_default
                                    ? fmt::format("--{}, by default", options::RowOf(id).name)
                                    : settings_.Source(id),
                                std::move(text)});
  }

  options::Reading* reading_;
  const options::Settings& settings_;
};

}  // namespace

void CheckConfiguration(options::Reading* reading) { Checks(reading).Run(); }

}  // namespace mlos::daemon
