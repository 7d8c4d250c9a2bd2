// SPDX-License-Identifier: Apache-2.0
#include "catalog/state.h"

#include <fmt/core.h>

namespace mlos::catalog {
namespace {

constexpr Answer Do(std::string_view what) { return {Verdict::kDo, StatusCode::kOk, what}; }
constexpr Answer Already() { return {Verdict::kAlready, StatusCode::kOk, "nothing to do"}; }
constexpr Answer Join(std::string_view what) { return {Verdict::kJoin, StatusCode::kOk, what}; }
constexpr Answer Conflict(std::string_view why) {
  return {Verdict::kRefuse, StatusCode::kFailedPrecondition, why};
}
constexpr Answer Taken(std::string_view why) {
  return {Verdict::kRefuse, StatusCode::kAlreadyExists, why};
}
constexpr Answer Down(std::string_view why) {
  return {Verdict::kRefuse, StatusCode::kUnavailable, why};
}

constexpr std::string_view kBeingLoaded = "is being loaded: try again when that is done";
constexpr std::string_view kBeingUnloaded = "is being unloaded: try again when that is done";
constexpr std::string_view kUnloadFirst = "is loaded: unload it first";
constexpr std::string_view kOtherContent =
    "is registered with other content: register it as another version, or remove the registered "
    "one first";

// In the order of State: registered, loading, ready, draining, unloaded, failed.
constexpr ChangeRow kPluginChanges[] = {
    {Change::kRegisterSame,
     "register, same content",
     {Already(), Already(), Already(), Already(), Already(), Already()}},
    {Change::kRegisterOther,
     "register, other content",
     {Taken(kOtherContent), Taken(kOtherContent), Taken(kOtherContent), Taken(kOtherContent),
      Taken(kOtherContent), Taken(kOtherContent)}},
    {Change::kLoad,
     "load",
     {Do("starts its host"), Join("ends with the load that runs"), Already(),
      Conflict(kBeingUnloaded), Do("starts its host"), Do("starts its host anew")}},
    {Change::kUnload,
     "unload",
     {Do("is marked as not wanted"), Conflict(kBeingLoaded),
      Do("ends its host; refused while models are loaded in it"),
      Join("ends with the unload that runs"), Already(), Do("forgets the failure")}},
    {Change::kRemove,
     "remove",
     {Do("forgets it"), Conflict(kBeingLoaded), Conflict(kUnloadFirst), Conflict(kBeingUnloaded),
      Do("forgets it"), Do("forgets it")}},
    {Change::kSwapTo,
     "swap to it",
     {Do("loads it and all models, then switches"), Conflict(kBeingLoaded),
      Do("loads all models into it, then switches; nothing to do for the active version"),
      Conflict(kBeingUnloaded), Do("loads it and all models, then switches"),
      Do("loads it anew and all models, then switches")}},
};

constexpr ChangeRow kModelChanges[] = {
    {Change::kRegisterSame,
     "register, same content",
     {Already(), Already(), Already(), Already(), Already(), Already()}},
    {Change::kRegisterOther,
     "register, other content",
     {Taken(kOtherContent), Taken(kOtherContent), Taken(kOtherContent), Taken(kOtherContent),
      Taken(kOtherContent), Taken(kOtherContent)}},
    {Change::kLoad,
     "load",
     {Do("loads it into the active plugin version"), Join("ends with the load that runs"),
      Already(), Conflict(kBeingUnloaded), Do("loads it into the active plugin version"),
      Do("tries again")}},
    {Change::kUnload,
     "unload",
     {Do("is marked as not wanted"), Conflict(kBeingLoaded),
      Do("takes no new request, answers those that it has, then goes"),
      Join("ends with the unload that runs"), Already(), Do("forgets the failure")}},
    {Change::kRemove,
     "remove",
     {Do("forgets it"), Conflict(kBeingLoaded), Conflict(kUnloadFirst), Conflict(kBeingUnloaded),
      Do("forgets it"), Do("forgets it")}},
    {Change::kInfer,
     "infer",
     {Do("loads it first"), Join("waits for the load that runs"), Do("runs"),
      Down("is being unloaded"), Down("is unloaded"), Down("has failed")}},
};

constexpr size_t Index(State state) { return static_cast<size_t>(state); }

constexpr bool Ordered(std::span<const ChangeRow> rows) {
  for (size_t i = 1; i < rows.size(); ++i) {
    if (rows[i - 1].change >= rows[i].change) return false;
  }
  return true;
}
static_assert(Ordered(kPluginChanges) && Ordered(kModelChanges), "each change has one row");

Answer Find(std::span<const ChangeRow> rows, Change change, State state) {
  for (const ChangeRow& row : rows) {
    if (row.change == change) return row.answers[Index(state)];
  }
  return Conflict("is no object of this change");
}

std::string Cell(const Answer& answer) {
  switch (answer.verdict) {
    case Verdict::kDo:
      return std::string(answer.text);
    case Verdict::kAlready:
      return "nothing to do: success";
    case Verdict::kJoin:
      return std::string(answer.text);
    case Verdict::kRefuse:
      return fmt::format("`{}`: {}", CodeName(answer.code), answer.text);
  }
  return {};
}

void Describe(std::string_view title, std::span<const ChangeRow> rows, std::string* out) {
  *out += fmt::format("## {}\n\n| change |", title);
  for (size_t s = 0; s < kStates; ++s) {
    *out += fmt::format(" {} |", StateName(static_cast<State>(s)));
  }
  *out += "\n|---|---|---|---|---|---|---|\n";
  for (const ChangeRow& row : rows) {
    *out += fmt::format("| {} |", row.name);
    for (const Answer& answer : row.answers) *out += fmt::format(" {} |", Cell(answer));
    *out += "\n";
  }
  *out += "\n";
}

}  // namespace

std::string_view StateName(State state) {
  constexpr std::string_view kNames[] = {"registered", "loading",  "ready",
                                         "draining",   "unloaded", "failed"};
  return kNames[Index(state)];
}

std::span<const ChangeRow> PluginChanges() { return kPluginChanges; }
std::span<const ChangeRow> ModelChanges() { return kModelChanges; }

Answer PluginAnswer(Change change, State state) { return Find(kPluginChanges, change, state); }
Answer ModelAnswer(Change change, State state) { return Find(kModelChanges, change, state); }

Status Refusal(const Answer& answer, const std::string& label) {
  if (answer.verdict != Verdict::kRefuse) return OkStatus();
  return MakeStatus(answer.code, fmt::format("{} {}", label, answer.text));
}

bool IsLoaded(State state) {
  return state == State::kLoading || state == State::kReady || state == State::kDraining;
}

std::string DescribeChanges() {
  std::string out;
  Describe("Plugin versions", kPluginChanges, &out);
  Describe("Model versions", kModelChanges, &out);
  return out;
}

}  // namespace mlos::catalog
