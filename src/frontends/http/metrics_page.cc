// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/metrics_page.h"

#include <utility>

namespace mlos::http {
namespace {

using metrics::Format;
using metrics::RouteClass;

class MetricsSession final : public Session {
 public:
  MetricsSession(EventLoop& loop, MetricsSource& source, Exchange& exchange)
      : loop_(loop),
        source_(source),
        exchange_(exchange),
        self_(std::make_shared<MetricsSession*>(this)) {}

  uint64_t OnHead(const RequestHead& head) override {
    const std::string_view path = head.target.substr(0, head.target.find('?'));
    known_ = path == "/metrics";
    head_only_ = head.method == Method::kHead;
    allowed_ = head_only_ || head.method == Method::kGet;
    format_ = metrics::ChooseFormat(head.accept);
    return 0;
  }
  void RefuseBody(Response& response) override { response.Error(413, "this takes no body"); }

  void OnBody(const Body&) override {
    Response& response = exchange_.response();
    if (!known_) {
      response.Error(404, "there is only /metrics here");
      return exchange_.Send();
    }
    if (!allowed_) {
      response.Error(405, "/metrics takes GET and HEAD");
      response.allow = "GET, HEAD";
      return exchange_.Send();
    }
    // The answer comes when this connection may be gone.
    awaited_ = ++number_;
    source_.Write(format_, [&loop = loop_, session = std::weak_ptr<MetricsSession*>(self_),
                            number = awaited_](std::string text) {
      loop.Post([session, number, text = std::move(text)] {
        const auto alive = session.lock();
        if (alive != nullptr) (*alive)->OnText(number, text);
      });
    });
  }

  void Sent() override { awaited_ = 0; }
  void Abandon() override { awaited_ = 0; }
  RouteClass route_class() const override {
    return known_ ? RouteClass::kManagement : RouteClass::kUnknown;
  }
  bool head_only() const override { return head_only_; }

 private:
  void OnText(uint64_t number, const std::string& text) {
    if (awaited_ != number) return;
    awaited_ = 0;
    Response& response = exchange_.response();
    response.content_type = metrics::ContentType(format_);
    response.body.Append(text);
    exchange_.Send();
  }

  EventLoop& loop_;
  MetricsSource& source_;
  Exchange& exchange_;
  std::shared_ptr<MetricsSession*> self_;  // expires with the session
  bool known_ = false;
  bool allowed_ = false;
  bool head_only_ = false;
  Format format_ = Format::kPrometheus;
  uint64_t number_ = 0;
  uint64_t awaited_ = 0;  // 0: nothing is
};

class MetricsService final : public Service {
 public:
  MetricsService(EventLoop& loop, MetricsSource& source) : loop_(loop), source_(source) {}
  std::unique_ptr<Session> NewSession(Exchange& exchange) override {
    return std::make_unique<MetricsSession>(loop_, source_, exchange);
  }

 private:
  EventLoop& loop_;
  MetricsSource& source_;
};

}  // namespace

std::unique_ptr<Service> NewMetricsService(EventLoop& loop, MetricsSource& source) {
  return std::make_unique<MetricsService>(loop, source);
}

}  // namespace mlos::http
