// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/repository.h"

#include <chrono>
#include <utility>

#include "frontends/common/infer_plan.h"

namespace mlos::frontend {
namespace {

using engine::ModelState;
using K = control::OperationKind;

// A model that nobody uses is gone within milliseconds.
constexpr auto kUnloadPatience = std::chrono::seconds(1);

std::string_view IndexState(ModelState state) {
  switch (state) {
    case ModelState::kReady:
      return "READY";
    case ModelState::kLoading:
      return "LOADING";
    case ModelState::kDraining:
      return "UNLOADING";
    case ModelState::kRegistered:
    case ModelState::kUnloaded:
    case ModelState::kFailed:
      break;
  }
  return "UNAVAILABLE";
}

std::string Reason(const engine::ModelRoute& route) {
  if (!route.reason.empty()) return route.reason;
  if (route.state == ModelState::kUnloaded) return "unloaded";
  if (route.state == ModelState::kRegistered) {
    return route.on_demand ? "its first request loads it" : "not loaded";
  }
  return {};
}

control::Operation OperationOn(K kind, std::string_view model) {
  control::Operation operation;
  operation.kind = kind;
  operation.name = model;
  return operation;
}

}  // namespace

std::vector<IndexEntry> RepositoryIndex(const engine::RoutingTable& table, bool ready_only) {
  std::vector<IndexEntry> out;
  out.reserve(table.models.size());
  for (const auto& [name, model] : table.models) {
    for (const engine::RoutePin& route : model->versions) {
      if (ready_only && route->state != ModelState::kReady) continue;
      // Number 0 stands for a model of which no version is known.
      out.push_back({name, route->version_number == 0 ? std::string() : route->version,
                     IndexState(route->state), Reason(*route)});
    }
  }
  if (ready_only) return out;
  for (const auto& [name, why] : table.shadowed) out.push_back({name, "", "UNAVAILABLE", why});
  return out;
}

Status CheckRepositoryName(std::string_view name) {
  if (name.empty()) return OkStatus();
  return MakeStatus(StatusCode::kUnimplemented,
                    "there is no repository " + Quote(name) +
                        " to be named: leave the name out, all models are in one repository");
}

StatusOr<std::optional<std::string_view>> LoadParameter(std::string_view name) {
  constexpr std::string_view kFile = "file:";
  if (name == "config") return std::nullopt;
  if (name.substr(0, kFile.size()) == kFile) return name.substr(kFile.size());
  return InvalidArgument("unknown parameter " + Quote(name) +
                         " (known: config, file:VERSION/NAME)");
}

Status CheckUnloadParameter(std::string_view name) {
  // No model depends on another one: either value is met.
  if (name == "unload_dependents") return OkStatus();
  return InvalidArgument("unknown parameter " + Quote(name) + " (known: unload_dependents)");
}

void RepositoryCall::Load(std::string_view model, std::shared_ptr<const repository::Given> given,
                          Done done) {
  done_ = std::move(done);
  control::Operation operation = OperationOn(K::kLoadModelVersions, model);
  operation.given = std::move(given);
  call_.Apply(std::move(operation), [this](const auto& outcome) { Finish(outcome.status); });
}

// Only when it has begun there is something to be patient for.
void RepositoryCall::Unload(std::string_view model, Done done) {
  done_ = std::move(done);
  call_.Apply(
      OperationOn(K::kUnloadModelVersions, model),
      [this](const auto& outcome) { Finish(outcome.status); },
      [this](const auto&) { BePatient(); });
}

void RepositoryCall::BePatient() {
  patience_.expires_after(kUnloadPatience);
  // A timer that is out already may find another unload, or nobody.
  patience_.async_wait([this, turn = *turn_, current = std::weak_ptr<const uint64_t>(turn_)](
                           const boost::system::error_code& error) {
    const auto alive = current.lock();
    if (!error && alive != nullptr && turn == *alive) Finish(OkStatus());
  });
}

void RepositoryCall::Forget() {
  call_.Forget();
  patience_.cancel();
  ++*turn_;
  done_ = nullptr;
}

void RepositoryCall::Finish(const Status& status) {
  const Done done = std::exchange(done_, nullptr);
  Forget();
  if (done) done(status);
}

}  // namespace mlos::frontend
