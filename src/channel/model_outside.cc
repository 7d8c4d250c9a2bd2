// SPDX-License-Identifier: Apache-2.0
//
// The model's world around the actors: deaths, reaping, hand-overs, starts.
#include "channel/model_explorer.h"

namespace mlos::channel::model {

namespace {

// A control message wakes the producer's loop.
void Tell(State* state) {
  for (ProducerState& p : state->producers) {
    p.told = 1;
    if (!p.asleep) continue;
    p.asleep = 0;
    p.op = Start(OpKind::kFinishSleep);
  }
}

bool AllTold(const State& state) {
  return state.producers[0].told == 0 && state.producers[1].told == 0;
}

bool HasWork(const HostState& host) {
  for (const uint8_t sequence : host.working) {
    if (sequence != 0) return true;
  }
  return false;
}

// The predecessor of a hand-over has ended: what is claimed now and was not by
// this host is nobody's.
void LookAgain(HostState* host) {
  if (host->attached >= kChannels) host->attached = kChannels;
  if (host->asleep) host->op = Start(OpKind::kFinishSleep);
  host->asleep = 0;
}

bool HasReplays(const HostState& host) {
  for (const uint8_t sequence : host.replay_sequence) {
    if (sequence != 0) return true;
  }
  return false;
}

void Clear(HostState* host) { std::memset(host, 0, sizeof(*host)); }

}  // namespace

// The event's state is the last of the list, to be changed by the caller.
State& Actors::Happens(const char* name, const State& state, std::vector<Event>* events) {
  events->push_back({name, state});
  return events->back().next;
}

void Actors::Dies(const State& state, int h, std::vector<Event>* events) {
  State& next = Happens("a host dies", state, events);
  Clear(&next.hosts[h]);
  next.hosts[h].life = Life::kDead;
  next.hosts[h].epoch = state.hosts[h].epoch;
  --next.deaths_left;
}

// All producers are told.  Its successor starts when they have listened, unless
// there is one already.
void Actors::IsReaped(const State& state, int h, std::vector<Event>* events) {
  State& next = Happens("a dead host is reaped", state, events);
  HostState& other = next.hosts[1 - h];
  Clear(&next.hosts[h]);
  Tell(&next);
  if (other.life == Life::kAlive && !other.draining) {
    LookAgain(&other);
  } else {
    next.starting = 1;
    ++next.epoch;
  }
}

void Actors::HandsOver(const State& state, int h, std::vector<Event>* events) {
  State& next = Happens("a hand-over begins", state, events);
  --next.hand_overs_left;
  next.hosts[h].draining = 1;
  next.hosts[h].asleep = 0;
  if (state.hosts[h].asleep) next.hosts[h].op = Start(OpKind::kFinishSleep);
  Tell(&next);
  next.starting = 1;
  ++next.epoch;
}

void Actors::HappensToHost(const State& state, int h, std::vector<Event>* events) {
  const HostState& host = state.hosts[h];
  const HostState& other = state.hosts[1 - h];
  const bool idle = host.op.kind == OpKind::kNone;
  if (host.life == Life::kAlive && state.deaths_left > 0) Dies(state, h, events);
  // Messages reach the other host between its operations.
  if (host.life == Life::kDead && !state.starting && AllTold(state) &&
      other.op.kind == OpKind::kNone) {
    IsReaped(state, h, events);
  }
  if (host.life == Life::kAlive && host.draining && !HasWork(host) && idle &&
      other.op.kind == OpKind::kNone) {
    State& next = Happens("the old host of a hand-over ends", state, events);
    Clear(&next.hosts[h]);
    if (other.life == Life::kAlive) LookAgain(&next.hosts[1 - h]);
  }
  if (host.asleep && (state.event[0] || state.event[1])) {
    State& next = Happens("a host is woken", state, events);
    next.hosts[h].asleep = 0;
    next.hosts[h].op = Start(OpKind::kFinishSleep);
  }
  const bool settled = idle && host.attached == kChannels + kSlots && !HasReplays(host);
  if (state.hand_overs_left > 0 && host.life == Life::kAlive && !host.draining && settled &&
      other.life == Life::kNone && !state.starting) {
    HandsOver(state, h, events);
  }
}

void Actors::OutsideEvents(const State& state, std::vector<Event>* events) {
  for (int h = 0; h < kHosts; ++h) HappensToHost(state, h, events);
  if (!state.starting || !AllTold(state)) return;
  for (const HostState& host : state.hosts) {
    // Who has handed over does not touch the flag that it slept with any more.
    if (host.op.kind == OpKind::kFinishSleep) return;
  }
  for (int h = 0; h < kHosts; ++h) {
    if (state.hosts[h].life != Life::kNone) continue;
    State& next = Happens("the next host starts", state, events);
    next.hosts[h].life = Life::kAlive;
    next.hosts[h].epoch = state.epoch;
    next.starting = 0;
    return;
  }
}

bool Actors::IsEnd(const State& state) const {
  for (int c = 0; c < kChannels; ++c) {
    for (int i = 0; i < config_.submissions[c]; ++i) {
      if (state.fate[c][i] != Fate::kAnswered && state.fate[c][i] != Fate::kTakenBack) {
        return false;
      }
    }
    if (state.producers[c].op.kind != OpKind::kNone || state.producers[c].told) return false;
    for (int e = 0; e < config_.entries; ++e) {
      if (state.producers[c].holder[e] != Holder::kNobody) return false;
    }
  }
  return true;
}

}  // namespace mlos::channel::model
