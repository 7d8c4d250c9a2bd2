// SPDX-License-Identifier: Apache-2.0
//
// Breadth first through all states, so that a failure comes with a shortest
// way to it.
#include "channel/model_explorer.h"

#include <algorithm>
#include <deque>
#include <string_view>

namespace mlos::channel::model {

namespace {

const char* NameOf(OpKind kind) {
  static constexpr const char* kNames[] = {
      "-",        "submit",     "cancel", "poll",    "release",     "carry over",
      "sleep",    "futex wait", "attach", "scan",    "replay",      "claim",
      "complete", "sleep",      "wait",   "wake up", "finish sleep"};
  return kNames[static_cast<size_t>(kind)];
}

// All states seen, each once, with the step that led to it first.
class States {
 public:
  States() : table_(1 << 16, 0) {}

  // The state's number, and whether it is new.
  std::pair<uint32_t, bool> Add(const State& state, uint32_t from, std::string step) {
    if ((states_.size() + 1) * 2 > table_.size()) Grow();
    size_t at = Hash(state) & (table_.size() - 1);
    for (; table_[at] != 0; at = (at + 1) & (table_.size() - 1)) {
      if (std::memcmp(&states_[table_[at] - 1], &state, sizeof(state)) == 0) {
        return {table_[at] - 1, false};
      }
    }
    states_.push_back(state);
    origins_.push_back({from, NumberOf(std::move(step))});
    table_[at] = static_cast<uint32_t>(states_.size());
    return {table_[at] - 1, true};
  }
  const State& operator[](uint32_t i) const { return states_[i]; }
  uint32_t size() const { return static_cast<uint32_t>(states_.size()); }

  std::vector<std::string> WayTo(uint32_t i) const {
    std::vector<std::string> steps;
    for (; i != 0; i = origins_[i].from) steps.push_back(steps_[origins_[i].step]);
    std::reverse(steps.begin(), steps.end());
    return steps;
  }

 private:
  struct Origin {
    uint32_t from;
    uint32_t step;
  };

  static size_t Hash(const State& state) {
    return std::hash<std::string_view>()(
        std::string_view(reinterpret_cast<const char*>(&state), sizeof(state)));
  }
  uint32_t NumberOf(std::string step) {
    const auto [it, fresh] =
        step_numbers_.emplace(std::move(step), static_cast<uint32_t>(steps_.size()));
    if (fresh) steps_.push_back(it->first);
    return it->second;
  }
  void Grow() {
    table_.assign(table_.size() * 2, 0);
    for (size_t i = 0; i < states_.size(); ++i) {
      size_t at = Hash(states_[i]) & (table_.size() - 1);
      while (table_[at] != 0) at = (at + 1) & (table_.size() - 1);
      table_[at] = static_cast<uint32_t>(i + 1);
    }
  }

  std::deque<State> states_;
  std::deque<Origin> origins_;
  std::vector<uint32_t> table_;  // 1 + number
  std::vector<std::string> steps_;
  std::map<std::string, uint32_t> step_numbers_;
};

class Explorer {
 public:
  explicit Explorer(const Config& config) : actors_(config) {}

  Result Run() {
    states_.Add(actors_.Initial(), 0, "");
    for (uint32_t i = 0; i < states_.size() && result_.failure.empty(); ++i) {
      first_edge_.push_back(edges_.size());
      if (states_.size() > kMostStates) {
        Fail("the model has too many states", i);
      }
      Expand(i);
      if (actors_.IsEnd(states_[i])) {
        ends_.push_back(i);
      } else if (edges_.size() == first_edge_.back() && result_.failure.empty()) {
        Fail("nothing can happen any more, and not everything was answered", i);
      }
    }
    first_edge_.push_back(edges_.size());
    if (result_.failure.empty()) CheckThatAllEnd();
    result_.states = states_.size();
    result_.ends = ends_.size();
    return result_;
  }

 private:
  static constexpr uint32_t kMostStates = 4'000'000;

  void Fail(const std::string& what, uint32_t at) {
    result_.failure = what;
    result_.trace = states_.WayTo(at);
  }

  void Reach(uint32_t from, const State& next, std::string step, const std::string& failure) {
    if (!result_.failure.empty()) return;
    const uint32_t to = states_.Add(next, from, std::move(step)).first;
    edges_.push_back(to);
    if (!failure.empty()) Fail(failure, to);
  }

  void Expand(uint32_t i) {
    const State state = states_[i];
    for (int c = 0; c < kChannels; ++c) {
      Act(
          i, state, "producer " + std::to_string(c), state.producers[c].op,
          [&](std::vector<Op>* starts) { actors_.ProducerStarts(state, c, starts); },
          [&](State* next) -> Op& { return next->producers[c].op; },
          [&](State* next, std::string* failure) { actors_.StepProducer(next, c, failure); });
    }
    for (int h = 0; h < kHosts; ++h) {
      Act(
          i, state, "host of epoch " + std::to_string(state.hosts[h].epoch), state.hosts[h].op,
          [&](std::vector<Op>* starts) { actors_.HostStarts(state, h, starts); },
          [&](State* next) -> Op& { return next->hosts[h].op; },
          [&](State* next, std::string* failure) { actors_.StepHost(next, h, failure); });
    }
    events_.clear();
    actors_.OutsideEvents(state, &events_);
    for (const Actors::Event& event : events_) Reach(i, event.next, event.name, "");
  }

  // One actor's next step: of what it is doing, or of each thing that it may
  // begin.
  template <typename Starts, typename OpOf, typename Step>
  void Act(uint32_t i, const State& state, const std::string& who, const Op& doing, Starts&& starts,
           OpOf&& op_of, Step&& step) {
    starts_.clear();
    if (doing.kind != OpKind::kNone) {
      starts_.push_back(doing);
    } else {
      starts(&starts_);
    }
    for (const Op& op : starts_) {
      State next = state;
      op_of(&next) = op;
      std::string failure;
      step(&next, &failure);
      Reach(i, next,
            who + ": " + NameOf(op.kind) + " " + std::to_string(op.arg) + ", access " +
                std::to_string(op.count + 1),
            failure);
    }
  }

  // From every state an end can be reached: nothing goes round in circles.
  void CheckThatAllEnd() {
    std::vector<bool> ending(states_.size());
    for (const uint32_t end : ends_) ending[end] = true;
    for (bool changed = true; changed;) {
      changed = false;
      for (uint32_t i = states_.size(); i-- > 0;) {
        if (ending[i]) continue;
        for (uint64_t e = first_edge_[i]; e < first_edge_[i + 1] && !ending[i]; ++e) {
          ending[i] = ending[edges_[e]];
        }
        changed |= ending[i];
      }
    }
    const auto lost = std::find(ending.begin(), ending.end(), false);
    if (lost != ending.end()) {
      Fail("an answer will never come", static_cast<uint32_t>(lost - ending.begin()));
    }
  }

  Actors actors_;
  States states_;
  std::vector<uint64_t> first_edge_;
  std::vector<uint32_t> edges_;
  std::vector<uint32_t> ends_;
  std::vector<Op> starts_;
  std::vector<Actors::Event> events_;
  Result result_;
};

}  // namespace

Result Explore(const Config& config) { return Explorer(config).Run(); }

}  // namespace mlos::channel::model
