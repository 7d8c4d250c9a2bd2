// SPDX-License-Identifier: Apache-2.0
//
// Which requests are traced: one in so many, by settings that hold for all
// models and others that single models have instead.
//
// Threads: any.  Lifetime: outlives those who trace.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "base/status.h"
#include "trace/record.h"
#include "trace/settings.h"
#include "trace/writer.h"

namespace mlos::trace {

class Tracer {
 public:
  // Models that have settings of their own, at most.
  static constexpr size_t kMostModels = 1024;

  // Off until somebody switches it on.
  Tracer(std::string file, uint64_t max_bytes) : writer_(std::move(file), max_bytes) {}

  // Whether anything may be traced at all: a look that costs nothing.
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

  // A record, with its number, level and model, where this request is to be
  // traced; else null.  `version` is a decimal number.
  std::unique_ptr<Record> Sample(std::string_view model, std::string_view version);
  // Hands it over to be written.
  void Finish(std::unique_ptr<Record> record) { writer_.Offer(std::move(record)); }

  // Empty: the settings for all models.
  Status Set(std::string_view model, const Change& change);
  Shown Get(std::string_view model) const;

  uint64_t dropped() const { return writer_.dropped(); }

 private:
  struct Scope {
    Overrides overrides;
    uint64_t seen = 0;  // requests, since it was made
  };
  void Note() MLOS_REQUIRES(mutex_);
  static bool Traces(const Settings& s) { return s.level != 0 && s.count != 0; }

  std::atomic<bool> enabled_{false};
  mutable Mutex mutex_;
  Scope all_ MLOS_GUARDED_BY(mutex_);
  std::map<std::string, Scope, std::less<>> models_ MLOS_GUARDED_BY(mutex_);
  uint64_t next_id_ MLOS_GUARDED_BY(mutex_) = 1;
  Writer writer_;
};

}  // namespace mlos::trace
