// SPDX-License-Identifier: Apache-2.0
//
// Channels of local applications: attached to every process that serves, each in its
// own time, because an application answers only while it is in a call.
#include <fmt/core.h>

#include "backend/plugin_host.h"
#include "base/log.h"

namespace mlos::backend {

uint32_t PluginHost::AddChannel(std::shared_ptr<ChannelPort> port,
                                const hostlink::ChannelTerms& terms) {
  const uint32_t number = next_application_++;
  port->send_request_segment = [weak = weak_from_this(), number](channel::SegmentGrant segment) {
    if (const auto self = weak.lock()) self->SendApplicationSegment(number, std::move(segment));
  };
  applications_.emplace(number, Application{std::move(port), terms});
  if (state_ == HostState::kReady) AttachApplication(number);
  return number;
}

ChannelPort* PluginHost::PortOf(uint64_t channel) {
  if (channel < ports_.size()) return ports_[channel].get();
  const auto number = static_cast<uint32_t>(channel);
  if (const auto it = applications_.find(number); it != applications_.end()) {
    return it->second.port.get();
  }
  // What was claimed before it was detached is still answered, and may need memory.
  const auto it = detaching_.find(number);
  return it == detaching_.end() ? nullptr : it->second.port.get();
}

void PluginHost::AttachApplications() {
  std::vector<uint32_t> numbers;  // attaching one may end it
  numbers.reserve(applications_.size());
  for (const auto& [number, application] : applications_) numbers.push_back(number);
  for (const uint32_t number : numbers) AttachApplication(number);
}

void PluginHost::AttachApplication(uint32_t number) {
  const auto it = applications_.find(number);
  if (it == applications_.end() || it->second.attachment != Attachment::kNone) return;
  it->second.port->BeginEpoch(
      ending_, [weak = weak_from_this(), process = std::weak_ptr<HostProcess>(process_),
                number](StatusOr<channel::ConsumerGrant> grant) {
        const auto self = weak.lock();
        const auto host = process.lock();
        // Meanwhile it may have died: its successor asks for a grant of its own.
        if (self == nullptr || host == nullptr || host != self->process_) return;
        const auto found = self->applications_.find(number);
        if (found == self->applications_.end() || self->state_ != HostState::kReady) return;
        if (!grant.ok()) return self->OnAttached(number, grant.status());
        found->second.attachment = Attachment::kSent;
        host->Request(hostlink::EncodeAttach(number, *std::move(grant), &found->second.terms),
                      self->spec_.start_limit_ms,
                      [weak, process, number](const StatusOr<boost::json::object>& reply) {
                        const auto still = weak.lock();
                        const auto same = process.lock();
                        if (still == nullptr || same == nullptr || same != still->process_) return;
                        if (!same->ended()) still->OnAttached(number, reply.status());
                      });
      });
}

// What a host does not take, or an application does not give, ends that channel.
void PluginHost::OnAttached(uint32_t number, const Status& status) {
  const auto it = applications_.find(number);
  if (status.ok() || it == applications_.end()) return;
  Log(LogLevel::kDebug, "{}: a local application's channel was refused: {}", Label(),
      Message(status));
  it->second.attachment = Attachment::kNone;
  it->second.port->Fail(status);
}

void PluginHost::SendApplicationSegment(uint32_t number, channel::SegmentGrant segment) {
  const auto it = applications_.find(number);
  // What it made before its next grant is in that grant.
  if (it == applications_.end() || it->second.attachment == Attachment::kNone) return;
  const uint32_t id = segment.id;
  process_->Request(hostlink::EncodeAddSegment(number, false, std::move(segment)),
                    spec_.start_limit_ms,
                    [weak = weak_from_this(), process = std::weak_ptr<HostProcess>(process_),
                     number, id](const StatusOr<boost::json::object>& reply) {
                      const auto self = weak.lock();
                      const auto host = process.lock();
                      if (self == nullptr || host == nullptr || host != self->process_) return;
                      const auto found = self->applications_.find(number);
                      if (found == self->applications_.end() || host->ended()) return;
                      // The host still has the channel: its end is the application's, or
                      // the owner's, and then it is detached as any other.
                      if (!reply.ok()) return found->second.port->Fail(reply.status());
                      found->second.port->ActivateRequestSegment(id);
                    });
}

void PluginHost::RemoveChannel(uint32_t number, std::function<void()> done) {
  const auto it = applications_.find(number);
  const bool attached = it != applications_.end() && it->second.attachment == Attachment::kSent &&
                        process_ != nullptr;
  std::shared_ptr<ChannelPort> port;
  if (it != applications_.end()) {
    port = std::move(it->second.port);
    applications_.erase(it);
  }
  if (!attached || process_->ended()) return loop_.Post(std::move(done));
  detaching_.emplace(number, Detaching{std::move(port), std::move(done)});
  process_->Request(hostlink::EncodeDetach(number), spec_.detach_limit_ms,
                    [weak = weak_from_this(), number](const StatusOr<boost::json::object>& reply) {
                      // It had refused the channel, or it is gone; otherwise kDetached follows.
                      const auto self = weak.lock();
                      if (self != nullptr && !reply.ok()) self->OnDetached(number);
                    });
}

void PluginHost::OnDetached(uint32_t number) {
  const auto it = detaching_.find(number);
  if (it == detaching_.end()) return;
  loop_.Post(std::move(it->second.done));
  detaching_.erase(it);
}

void PluginHost::OnServed(const hostlink::Frame& frame) {
  const auto channels = hostlink::DecodeServed(frame);
  if (!channels.ok()) return process_->Kill("it counted its answers in a form unknown here");
  for (const hostlink::Served& served : *channels) {
    if (const auto it = applications_.find(served.channel); it != applications_.end()) {
      it->second.port->OnServed(served);
    } else if (const auto on = detaching_.find(served.channel); on != detaching_.end()) {
      on->second.port->OnServed(served);
    }
  }
}

// The process is gone, and with it what it had claimed.
void PluginHost::ForgetAttachments() {
  for (auto& [number, application] : applications_) application.attachment = Attachment::kNone;
  for (auto& [number, one] : std::exchange(detaching_, {})) loop_.Post(std::move(one.done));
}

void PluginHost::FailApplications(const Status& status) {
  for (auto& [number, application] : std::exchange(applications_, {})) {
    application.port->Fail(status);
  }
}

}  // namespace mlos::backend
