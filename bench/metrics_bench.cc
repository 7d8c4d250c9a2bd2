// SPDX-License-Identifier: Apache-2.0
//
// What observing a request costs, piece by piece, beside the two clock
// readings that its times need anyway.  Contestants take turns within a round;
// reported is the median of the rounds, in nanoseconds of one thread.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "frontends/common/request_context.h"
#include "frontends/http/response.h"
#include "metrics/http_counters.h"
#include "metrics/model_counters.h"

namespace {

constexpr int kRounds = 200;
constexpr int kTimes = 10'000;  // in a round

struct Contestant {
  const char* name;
  std::function<void(uint64_t)> run;  // the argument varies
  std::vector<double> nanos;
};

void Race(std::vector<Contestant> contestants) {
  for (int round = -5; round < kRounds; ++round) {
    for (Contestant& c : contestants) {
      const uint64_t begin = mlos::NowNanos();
      for (int i = 0; i < kTimes; ++i) c.run(static_cast<uint64_t>(i));
      const uint64_t end = mlos::NowNanos();
      if (round >= 0) c.nanos.push_back(static_cast<double>(end - begin) / kTimes);
    }
  }
  for (Contestant& c : contestants) {
    std::sort(c.nanos.begin(), c.nanos.end());
    std::printf("  %-56s %7.1f ns\n", c.name, c.nanos[c.nanos.size() / 2]);
  }
}

}  // namespace

int main() {
  using namespace mlos;
  metrics::ModelBook book;
  for (uint64_t id = 1; id <= 1000; ++id) book.Of(id, "model", std::to_string(id));
  metrics::Histogram histogram;
  const auto http = std::make_unique<metrics::HttpCounters>();
  frontend::IdSource ids;
  frontend::RequestContext made;
  frontend::RequestContext given;
  http::Response response;
  response.body.Append("{}");
  Buffer head;
  volatile uint64_t sink = 0;
  const auto format = [&](const frontend::RequestContext* context) {
    head.Clear();
    http::FormatHead(response, {.context = context}, &head);
    sink = head.size();
  };
  made.Begin({}, {}, {}, ids);
  Race({{"nothing (the loop itself)", [&](uint64_t i) { sink = i; }, {}},
        {"one clock reading", [&](uint64_t) { sink = NowNanos(); }, {}},
        {"a histogram", [&](uint64_t i) { histogram.Record(i << (i % 32)); }, {}},
        {"finding a model's counters among 1000",
         [&](uint64_t i) { sink = book.Of(i % 1000 + 1, {}, {})->id(); },
         {}},
        {"an inference: found, begun, counted with all times, ended",
         [&](uint64_t i) {
           metrics::ModelCounters* c = book.Of(i % 8 + 1, {}, {});
           c->Begin();
           c->Count({.arrived_ns = i,
                     .submitted_ns = i + 1000,
                     .started_ns = i + 9000 + (i << 4),
                     .finished_ns = i + 10'000 + (i << 6),
                     .answered_ns = i + 20'000 + (i << 6)});
           c->End();
         },
         {}},
        {"HTTP: status, bytes in, bytes out",
         [&](uint64_t i) {
           http->CountAnswer(metrics::RouteClass::kInfer, 200 + static_cast<int>(i & 1));
           http->received_bytes.Add(i);
           http->sent_bytes.Add(i);
         },
         {}},
        {"a request's id made", [&](uint64_t) { made.Begin({}, {}, {}, ids); }, {}},
        {"id and trace taken over",
         [&](uint64_t) {
           given.Begin("job-17", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", {},
                       ids);
         },
         {}},
        {"a response's head without the id", [&](uint64_t) { format(nullptr); }, {}},
        {"a response's head with the id", [&](uint64_t) { format(&made); }, {}}});
  return sink == 0 ? 1 : 0;
}
