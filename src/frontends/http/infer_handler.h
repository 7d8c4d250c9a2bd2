// SPDX-License-Identifier: Apache-2.0
//
// One inference from body to answer: parse, resolve, plan, allocate, fill,
// submit, encode, finish.  One per connection, reused; each step either goes
// through at once or continues in OnProgress.
//
// Threads: the event loop's.  Lifetime: the session's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "frontends/common/classification.h"
#include "frontends/common/request_trace.h"
#include "frontends/http/exchange.h"
#include "frontends/http/infer_request.h"
#include "frontends/http/options.h"

namespace mlos::http {

class InferHandler final : public engine::Call {
 public:
  InferHandler(engine::Engine& engine, InferDecoder& decoder, frontend::Classifier& classifier,
               const HttpOptions& options, Exchange& exchange)
      : engine_(engine),
        decoder_(decoder),
        classifier_(classifier),
        options_(options),
        exchange_(exchange) {}

  // Ends in exchange.Send().  `model` and `version` stay until Sent or Abandon.
  void Start(std::string_view model, std::string_view version, const Body& body,
             int64_t json_length);
  // Where and as what the next request may be traced; its head came at `head_ns`.
  void SetTrace(trace::Tracer* tracer, std::string_view traceparent, uint64_t head_ns) {
    tracer_ = tracer;
    arrival_ = {.request_id = {}, .traceparent = traceparent, .began_ns = head_ns};
  }
  // The answer is out, or nobody wants it any more.
  void Release();

  void OnProgress() override;

  // How the client would take the answer; set before Start.
  compress::Coding answer_coding = compress::Coding::kIdentity;

 private:
  enum class Step : uint8_t { kIdle, kResolve, kAllocate, kSubmit, kAnswered };

  // Runs steps until one has to wait or the answer is ready.
  void Run(Step step);
  // What comes after a step: the next one, or an error that ends it.
  Status AfterResolve();
  Status AfterAllocate();
  Status AfterSubmit();
  Status Classify();
  void Answer(const Status& error);
  void Count(StatusCode code);
  void GiveBack();
  uint64_t BatchSize() const;

  engine::Engine& engine_;
  InferDecoder& decoder_;
  frontend::Classifier& classifier_;
  const HttpOptions& options_;
  Exchange& exchange_;

  Step step_ = Step::kIdle;
  uint64_t arrived_ns_ = 0;
  Status parsed_;  // the request
  std::string_view model_;
  std::string_view version_;
  InferRequest request_;
  trace::Tracer* tracer_ = nullptr;
  frontend::RequestTrace::Arrival arrival_;
  frontend::RequestTrace trace_;
  tensor::RequestPlan plan_;
  // Outputs of which only the greatest elements were asked for; until Release.
  std::vector<std::string> classified_;
};

}  // namespace mlos::http
