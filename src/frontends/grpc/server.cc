// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/server.h"

#include <utility>

#include "frontends/grpc/services.h"
#include "h2/server.h"

namespace mlos::grpc {

GrpcOptions OptionsFrom(const options::Settings& settings) {
  GrpcOptions o;
  o.limits = h2::LimitsFrom(settings);
  o.calls = rpc::OptionsFrom(settings);
  o.max_management_bytes = settings.Number(options::Id::kHttpMaxManagementBody);
  o.default_deadline_ns = settings.Nanos(options::Id::kDefaultDeadline);
  o.max_deadline_ns = settings.Nanos(options::Id::kMaxDeadline);
  return o;
}

class GrpcServer::Impl {
 public:
  Impl(const Parts& parts, GrpcOptions options)
      : options_(std::move(options)),
        services_(parts, options_),
        server_(parts.loop, services_.dispatcher(), options_.limits) {}

  h2::Server& server() { return server_; }
  const metrics::GrpcCounters& calls() const { return services_.counters(); }

  void Leave() {
    services_.set_leaving();
    server_.Leave();
  }
  void Drain(std::function<void()> done) {
    Leave();
    server_.Drain([this] { services_.set_draining(); }, std::move(done));
  }

 private:
  const GrpcOptions options_;
  Services services_;
  h2::Server server_;
};

GrpcServer::GrpcServer(const Parts& parts, GrpcOptions options)
    : impl_(std::make_unique<Impl>(parts, std::move(options))) {}

GrpcServer::~GrpcServer() = default;

StatusOr<std::string> GrpcServer::Listen(std::string_view address) {
  return impl_->server().Listen(address);
}

void GrpcServer::Leave() { impl_->Leave(); }

void GrpcServer::Drain(std::function<void()> done) { impl_->Drain(std::move(done)); }

size_t GrpcServer::connections() const { return impl_->server().connections(); }

const metrics::H2Counters& GrpcServer::counters() const { return impl_->server().counters(); }

const metrics::GrpcCounters& GrpcServer::calls() const { return impl_->calls(); }

}  // namespace mlos::grpc
