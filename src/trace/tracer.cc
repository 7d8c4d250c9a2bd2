// SPDX-License-Identifier: Apache-2.0
#include "trace/tracer.h"

namespace mlos::trace {

std::unique_ptr<Record> Tracer::Sample(std::string_view model, std::string_view version) {
  if (!enabled()) return nullptr;
  MutexLock lock(mutex_);
  const auto own = models_.find(model);
  const bool has_own = own != models_.end();
  Scope& scope = has_own ? own->second : all_;
  const Settings all = all_.overrides.Over({});
  const Settings settings = has_own ? own->second.overrides.Over(all) : all;
  if (!Traces(settings)) return nullptr;
  if (++scope.seen % settings.rate != 0) return nullptr;
  if (settings.count > 0) {
    auto& count =
        has_own && own->second.overrides.count ? own->second.overrides.count : all_.overrides.count;
    *count -= 1;
    if (*count == 0) Note();
  }
  auto record = std::make_unique<Record>();
  record->id = next_id_++;
  record->level = settings.level;
  record->log_frequency = settings.log_frequency;
  record->model = model;
  record->version = version;
  return record;
}

Status Tracer::Set(std::string_view model, const Change& change) {
  MutexLock lock(mutex_);
  if (model.empty()) {
    MLOS_RETURN_IF_ERROR(Apply(change, &all_.overrides));
    all_.seen = 0;
  } else {
    const auto own = models_.find(model);
    Scope scope = own != models_.end() ? own->second : Scope{};
    MLOS_RETURN_IF_ERROR(Apply(change, &scope.overrides));
    scope.seen = 0;
    if (scope.overrides.empty()) {
      models_.erase(std::string(model));
    } else if (own == models_.end() && models_.size() >= kMostModels) {
      return ResourceExhausted(
          "as many models as may have trace settings of their own: clear "
          "those of another one");
    } else {
      models_[std::string(model)] = scope;
    }
  }
  Note();
  return OkStatus();
}

Shown Tracer::Get(std::string_view model) const {
  MutexLock lock(mutex_);
  const Settings all = all_.overrides.Over({});
  const auto own = models_.find(model);
  return Show(own == models_.end() ? all : own->second.overrides.Over(all), writer_.file());
}

// Some request may be traced, or none.
void Tracer::Note() {
  const Settings all = all_.overrides.Over({});
  bool any = Traces(all);
  for (const auto& [name, scope] : models_) any = any || Traces(scope.overrides.Over(all));
  enabled_.store(any, std::memory_order_relaxed);
}

}  // namespace mlos::trace
