// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/metrics_page.h"

#include <deque>
#include <map>
#include <utility>

namespace mlos::http {
namespace {

using metrics::Format;
using metrics::RouteClass;

class MetricsSession;

// The source is asked once for all scrapes of one format that wait, whoever
// comes and goes: what waits for it is bounded by the connections that there are.
class Scrapes {
 public:
  Scrapes(EventLoop& loop, MetricsSource& source)
      : loop_(loop), source_(source), self_(std::make_shared<Scrapes*>(this)) {}

  void Await(MetricsSession* session, Format format);
  void Leave(MetricsSession* session);

 private:
  void OnText(Format format, const std::string& text);

  EventLoop& loop_;
  MetricsSource& source_;
  std::shared_ptr<Scrapes*> self_;                         // expires with the service
  std::map<Format, std::deque<MetricsSession*>> waiting_;  // an entry: the source was asked
  std::deque<MetricsSession*> telling_;
};

class MetricsSession final : public Session {
 public:
  MetricsSession(Scrapes& scrapes, Exchange& exchange) : scrapes_(scrapes), exchange_(exchange) {}

  uint64_t OnHead(const RequestHead& head) override {
    const std::string_view path = head.target.substr(0, head.target.find('?'));
    known_ = path == "/metrics";
    head_only_ = head.method == Method::kHead;
    allowed_ = head_only_ || head.method == Method::kGet;
    format_ = metrics::ChooseFormat(head.accept);
    return 0;
  }
  void RefuseBody(Response& response) override { response.Error(413, "this takes no body"); }

  void OnBody(const Body& /*body*/) override {
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
    scrapes_.Await(this, format_);
  }
  void OnText(const std::string& text) {
    Response& response = exchange_.response();
    response.content_type = metrics::ContentType(format_);
    response.body.Append(text);
    exchange_.Send();
  }

  void Sent() override {}
  void Abandon() override { scrapes_.Leave(this); }
  RouteClass route_class() const override {
    return known_ ? RouteClass::kManagement : RouteClass::kUnknown;
  }
  bool head_only() const override { return head_only_; }

 private:
  Scrapes& scrapes_;
  Exchange& exchange_;
  bool known_ = false;
  bool allowed_ = false;
  bool head_only_ = false;
  Format format_ = Format::kPrometheus;
};

void Scrapes::Await(MetricsSession* session, Format format) {
  const auto [it, first] = waiting_.try_emplace(format);
  it->second.push_back(session);
  if (!first) return;
  source_.Write(
      format, [&loop = loop_, scrapes = std::weak_ptr<Scrapes*>(self_), format](std::string text) {
        loop.Post([scrapes, format, text = std::move(text)] {
          const auto alive = scrapes.lock();
          if (alive != nullptr) (*alive)->OnText(format, text);
        });
      });
}

void Scrapes::Leave(MetricsSession* session) {
  for (auto& [format, sessions] : waiting_) std::erase(sessions, session);
  std::erase(telling_, session);
}

void Scrapes::OnText(Format format, const std::string& text) {
  const auto it = waiting_.find(format);
  if (it == waiting_.end()) return;
  telling_ = std::move(it->second);
  waiting_.erase(it);
  while (!telling_.empty()) {  // one that is told may end others
    MetricsSession* const session = telling_.front();
    telling_.pop_front();
    session->OnText(text);
  }
}

class MetricsService final : public Service {
 public:
  MetricsService(EventLoop& loop, MetricsSource& source) : scrapes_(loop, source) {}
  std::unique_ptr<Session> NewSession(Exchange& exchange) override {
    return std::make_unique<MetricsSession>(scrapes_, exchange);
  }

 private:
  Scrapes scrapes_;
};

}  // namespace

std::unique_ptr<Service> NewMetricsService(EventLoop& loop, MetricsSource& source) {
  return std::make_unique<MetricsService>(loop, source);
}

}  // namespace mlos::http
