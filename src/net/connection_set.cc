// SPDX-License-Identifier: Apache-2.0
#include "net/connection_set.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "base/clock.h"

namespace mlos::net {
namespace {

// So many connections that went leave memory behind that is worth looking for.
constexpr size_t kCrowd = 256;
// Sockets that the loop learns of in one turn (Boost.Asio).
constexpr size_t kSeenAtOnce = 128;

}  // namespace

using Refusal = ConnectionSetOwner::Refusal;

ConnectionSet::ConnectionSet(EventLoop& loop, ConnectionSetOwner& owner, const Limits& limits)
    : loop_(loop),
      owner_(owner),
      limits_(limits),
      peers_(limits.connections_per_peer),
      sweep_(std::make_shared<boost::asio::steady_timer>(loop.io())) {}

ConnectionSet::~ConnectionSet() { End(); }

StatusOr<std::string> ConnectionSet::Listen(std::string_view text) {
  MLOS_ASSIGN_OR_RETURN(const Address address, Address::Parse(text));
  MLOS_ASSIGN_OR_RETURN(auto listener, Listener::Open(loop_.io(), address, [this](Accepted client) {
                          Accept(std::move(client));
                        }));
  std::string chosen = listener->address();
  listeners_.push_back(std::move(listener));
  return chosen;
}

void ConnectionSet::AcceptWaiting() {
  for (const auto& listener : listeners_) listener->AcceptWaiting();
}

// A turn of the loop sees that something is there, of so many sockets at once,
// and the next one reads it.
void ConnectionSet::DrainAfterReading(std::function<void()> begin, std::function<void()> done) {
  AcceptWaiting();
  DrainIn(2 + members_.size() / kSeenAtOnce, std::move(begin), std::move(done));
}

void ConnectionSet::DrainIn(size_t turns, std::function<void()> begin, std::function<void()> done) {
  loop_.Post([this, turns, alive = std::weak_ptr<int>(alive_), begin = std::move(begin),
              done = std::move(done)]() mutable {
    if (alive.expired()) return;
    if (turns > 1) return DrainIn(turns - 1, std::move(begin), std::move(done));
    begin();
    Drain(std::move(done));
  });
}

void ConnectionSet::Drain(std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  const auto present = members_;  // it may end
  for (const auto& member : present) member->Drain();
  CheckDrained();
}

void ConnectionSet::End() {
  sweep_->cancel();
  alive_.reset();
  drained_ = nullptr;
  listeners_.clear();
  while (!members_.empty()) members_.back()->Close();
}

void ConnectionSet::Accept(Accepted client) {
  if (members_.size() >= limits_.connections) return owner_.OnRefused(client.fd, Refusal::kFull);
  if (!peers_.Enter(client.peer)) return owner_.OnRefused(client.fd, Refusal::kPeerIsFull);
  const Peer peer = client.peer;
  std::shared_ptr<Member> member;
  try {
    member = Enter(std::move(client));
  } catch (const std::exception&) {  // no memory
  }
  if (member == nullptr) {
    peers_.Leave(peer);
    return owner_.OnRefused(OwnedFd(), Refusal::kNotMade);
  }
  most_ = std::max(most_, members_.size());
  if (!draining_) ++early_;
  owner_.OnAccepted();
  if (members_.size() == 1) StartSweeping();
  member->Start();
}

std::shared_ptr<Member> ConnectionSet::Enter(Accepted client) {
  Socket socket(loop_.io().get_executor());
  boost::system::error_code error;
  socket.assign(boost::asio::generic::stream_protocol(client.family, 0), client.fd.get(), error);
  if (error) return nullptr;
  client.fd.Release();
  std::shared_ptr<Member> member = owner_.NewMember(std::move(socket));
  if (member == nullptr) return nullptr;
  member->index_ = members_.size();
  member->peer_ = client.peer;
  member->late_ = draining_;
  members_.push_back(member);
  return member;
}

void ConnectionSet::MakeLate(Member& member) {
  if (std::exchange(member.late_, true)) return;
  --early_;
  CheckDrained();
}

void ConnectionSet::Remove(Member& member) {
  const size_t index = member.index_;
  std::shared_ptr<Member> gone = std::move(members_[index]);
  if (index + 1 != members_.size()) {
    members_[index] = std::move(members_.back());
    members_[index]->index_ = index;
  }
  members_.pop_back();
  peers_.Leave(member.peer_);
  if (!member.late_) --early_;
  // Somebody further up the stack may still be inside it.
  loop_.Post([gone = std::move(gone)] {});
  CheckDrained();
}

// While there are connections; an idle server does not wake up.
void ConnectionSet::StartSweeping() {
  if (std::exchange(sweeping_, true)) return;
  sweep_->expires_after(std::chrono::nanoseconds(limits_.sweep_ns));
  sweep_->async_wait(
      [this, alive = std::weak_ptr<int>(alive_), timer = sweep_](const boost::system::error_code&) {
        if (alive.expired()) return;
        sweeping_ = false;
        Sweep();
        if (!members_.empty()) StartSweeping();
      });
}

void ConnectionSet::Sweep() {
  const uint64_t now = NowNanos();
  // From the back: closing one moves the last into its place.
  for (size_t i = members_.size(); i-- > 0;) {
    if (i < members_.size()) members_[i]->Sweep(now);
  }
  owner_.OnSwept(now, members_.empty());
  GiveBackHeap();
}

// What a crowd had lies between what stays, and the allocator by itself gives
// back only what lies at the end of its memory.  Takes milliseconds, and a
// crowd that has gone: before it has stopped going, the last of it would be
// missed.
void ConnectionSet::GiveBackHeap() {
  const size_t open = members_.size();
  const bool fewer = open < std::exchange(swept_, open);
  if (most_ < open + kCrowd || (fewer && open > 0)) return;
  most_ = open;
  loop_.Post([] { ::malloc_trim(0); });  // after those that this sweep has closed are freed
}

void ConnectionSet::CheckDrained() {
  if (!draining_ || early_ > 0 || !drained_) return;
  loop_.Post([done = std::exchange(drained_, nullptr), alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) done();
  });
}

}  // namespace mlos::net
