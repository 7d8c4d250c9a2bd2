// SPDX-License-Identifier: Apache-2.0
#include "frontends/ipc/server.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "frontends/ipc/connection.h"
#include "net/connection_set.h"

namespace mlos::ipc {

static_assert(static_cast<size_t>(net::ConnectionSetOwner::Refusal::kNotMade) + 1 ==
              metrics::kIpcRefusalCount);

IpcOptions OptionsFrom(const options::Settings& settings) {
  IpcOptions o;
  o.max_connections = static_cast<uint32_t>(settings.Number(Id::kIpcMaxConnections));
  o.max_connections_per_user =
      static_cast<uint32_t>(settings.Number(Id::kIpcMaxConnectionsPerUser));
  o.max_calls = static_cast<uint32_t>(settings.Number(Id::kIpcMaxCalls));
  o.max_message_bytes = settings.Number(Id::kIpcMaxMessage);
  o.max_buffered_bytes = settings.Number(Id::kIpcMaxBuffered);
  o.transfer_timeout_ns = settings.Nanos(Id::kIpcTransferTimeout);
  o.default_deadline_ns = settings.Nanos(Id::kDefaultDeadline);
  o.max_deadline_ns = settings.Nanos(Id::kMaxDeadline);
  return o;
}

class IpcServer::Impl final : public ConnectionOwner, private net::ConnectionSetOwner {
 public:
  Impl(const Parts& parts, IpcOptions options)
      : options_(std::move(options)),
        context_(parts, options_),
        connections_(parts.loop, *this,
                     {.connections = options_.max_connections,
                      .connections_per_peer = options_.max_connections_per_user,
                      .sweep_ns = options_.sweep_ns}) {}

  ~Impl() override { connections_.End(); }

  StatusOr<std::string> Listen(const std::string& path) {
    const std::string directory = std::filesystem::path(path).parent_path();
    if (!directory.empty() && ::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return ErrnoStatus("cannot make the directory " + directory);
    }
    MLOS_RETURN_IF_ERROR(connections_.Listen("unix:" + path).status());
    return path;
  }

  void Leave() { context_.leaving = true; }

  void Drain(std::function<void()> done) {
    context_.leaving = true;
    connections_.AcceptWaiting();
    connections_.Drain(std::move(done));  // each begins what was sent to it so far
    context_.draining = true;
  }

  size_t connections() const { return connections_.size(); }
  uint64_t buffered_bytes() const { return context_.buffered; }
  const metrics::IpcCounters& counters() const { return context_.counters; }

  // ConnectionOwner
  void OnClosed(Connection& connection, metrics::IpcEnd why) override {
    connections_.Remove(connection);
    context_.counters.open.Set(connections_.size());
    context_.counters.CountEnd(why);
  }

 private:
  // ConnectionSetOwner
  std::shared_ptr<net::Member> NewMember(net::Socket socket) override {
    const StatusOr<Identity> who = IdentityOf(socket.native_handle());
    if (!who.ok()) return nullptr;
    return std::make_shared<Connection>(std::move(socket), *who, context_, *this);
  }
  void OnAccepted() override {
    context_.counters.accepted.Add();
    context_.counters.open.Set(connections_.size());
  }
  void OnRefused(const OwnedFd&, Refusal why) override {
    context_.counters.refused[static_cast<size_t>(why)].Add();
  }
  void OnSwept(uint64_t, bool) override {}

  const IpcOptions options_;
  Context context_;
  net::ConnectionSet connections_;
};

IpcServer::IpcServer(const Parts& parts, IpcOptions options)
    : impl_(std::make_unique<Impl>(parts, std::move(options))) {}

IpcServer::~IpcServer() = default;

StatusOr<std::string> IpcServer::Listen(const std::string& path) { return impl_->Listen(path); }

void IpcServer::Leave() { impl_->Leave(); }

void IpcServer::Drain(std::function<void()> done) { impl_->Drain(std::move(done)); }

size_t IpcServer::connections() const { return impl_->connections(); }

uint64_t IpcServer::buffered_bytes() const { return impl_->buffered_bytes(); }

const metrics::IpcCounters& IpcServer::counters() const { return impl_->counters(); }

}  // namespace mlos::ipc
