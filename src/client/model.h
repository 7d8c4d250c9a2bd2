// SPDX-License-Identifier: Apache-2.0
//
// An open model: its channel, and whom its answers are for.  Opens the channel anew
// where the model has moved or the daemon was restarted; the requests in it stay.
//
// One thread.  Its client outlives it, and it its calls.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "channel/waiting.h"
#include "client/client.h"
#include "client/description.h"
#include "client/lane.h"

namespace mlos::client {

class Call;

class Model {
 public:
  static StatusOr<std::unique_ptr<Model>> Open(Client& client, std::string name,
                                               std::string version, uint64_t deadline_ns);
  ~Model();

  const Description& description() const { return description_; }
  channel::Producer& producer() { return lane_->producer(); }

  // Memory for a request of `call`, of so many bytes; it gets the entry's completions.
  Status Begin(Call* call, uint64_t bytes, uint64_t deadline_ns, channel::RequestSlot* slot);
  // Whom completions of an entry are for; null: nobody, it is released.
  void SetOwner(uint32_t entry, Call* call) { owners_[entry] = call; }

  // Hands out what is answered.  Never blocks.
  void Collect();
  // Serves the channel until `ready()`.  DEADLINE_EXCEEDED; or why nobody will answer.
  template <typename Ready>
  Status Drive(uint64_t deadline_ns, Ready&& ready);
  // Serves the link without blocking, at most once in a while.  False: it is over, and
  // Drive has to see about that.
  bool Glance();
  // One of the submitted calls whose Wait returns at once.  FAILED_PRECONDITION: none is
  // under way.
  StatusOr<Call*> WaitAny(uint64_t deadline_ns);
  // A new request is a reason to try once more, where the channel was given up.
  void TryAgain();

 private:
  Model(Client& client, std::string name, std::string version)
      : client_(client), name_(std::move(name)), version_(std::move(version)) {}

  Status Establish(uint64_t deadline_ns);
  Status AskOnce(uint64_t deadline_ns);
  // One step of Drive: waits for something to happen.  `slept`: it has slept before.
  Status Step(uint64_t deadline_ns, bool* slept);
  void OnCompletion(const channel::Completion& completion);
  // Serves the link now and then where others wait whose answers may need it: Step, which
  // does else, is never reached while something is always answered already.
  void Attend();
  // Null: none yet.  Until when one is, at the latest, is written to `*until_ns`.  Those
  // that are found take turns.
  Call* FindRipe(uint64_t* until_ns);

  Client& client_;
  const std::string name_;
  const std::string version_;
  Description description_;
  bool described_ = false;
  std::unique_ptr<Lane> lane_;
  channel::Spinner spinner_{channel::Calibrate()};
  uint64_t glanced_ns_ = 0;
  size_t turn_ = 0;  // where FindRipe begins
  std::array<Call*, 64> owners_{};
};

template <typename Ready>
Status Model::Drive(uint64_t deadline_ns, Ready&& ready) {
  bool slept = false;
  for (;;) {
    Collect();
    if (ready()) {
      Attend();
      return OkStatus();
    }
    MLOS_RETURN_IF_ERROR(Step(deadline_ns, &slept));
  }
}

}  // namespace mlos::client
