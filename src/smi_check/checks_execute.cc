// SPDX-License-Identifier: Apache-2.0
//
// Checks of execute: requests of every kind, each answered once and whole.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "base/name.h"
#include "smi_check/checks.h"

namespace mlos {
namespace {

// A refusal of the input is a skip (zeros may make no sense to the model); any
// other error is the plugin's fault.
Status ExpectAnswer(const TestRequest& request, const char* what) {
  if (request.code() == SMI_OK) return OkStatus();
  const std::string text = fmt::format("{} was answered with {}", what,
                                       Answer{request.code(), request.text()}.ToString());
  return request.code() == SMI_INVALID_ARGUMENT ? Skip(text) : Fail(text);
}

// How the outputs differ, or "".
std::string Difference(const ModelView& model, const TestRequest& a, const TestRequest& b) {
  for (size_t i = 0; i < a.outputs().size(); ++i) {
    if (a.outputs()[i] == b.outputs()[i]) continue;
    return fmt::format("output {} differs", Quoted(model.outputs[a.outputs()[i].index].name));
  }
  return "";
}

// Maps, creates, loads, and makes inputs.
struct Ready {
  Ready(const Subject& subject, Phase& phase) : session(subject, phase) {}
  Status Begin(HostShape shape = {}) {
    MLOS_RETURN_IF_ERROR(session.BeginWithModel(shape));
    MLOS_ASSIGN_OR_RETURN(zeros, MakeInputs(session.model(), Fill::kZeros));
    return OkStatus();
  }
  Session session;
  std::vector<TensorValue> zeros;
};

}  // namespace

CheckResult CheckExecute(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  MLOS_ASSIGN_OR_RETURN(const auto request, ready.session.Run(ready.session.loaded(), ready.zeros));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*request, "a request with zeros"));
  return "";
}

CheckResult CheckNewerHost(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin(HostShape{24, 0}));
  MLOS_ASSIGN_OR_RETURN(const auto request, ready.session.Run(ready.session.loaded(), ready.zeros));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*request, "a request with zeros"));
  return ready.zeros.size() > 1 ? "" : "one input: the stride of arrays was not seen";
}

CheckResult CheckSubset(const Subject& subject, Phase& phase) {
  constexpr uint32_t kMostOutputs = 32;
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  const auto count = static_cast<uint32_t>(ready.session.model().outputs.size());
  for (uint32_t i = 0; i < std::min(count, kMostOutputs); ++i) {
    RequestOptions options;
    options.outputs = {i};
    MLOS_ASSIGN_OR_RETURN(const auto request,
                          ready.session.Run(ready.session.loaded(), ready.zeros, options));
    MLOS_RETURN_IF_ERROR(ExpectAnswer(*request, "a request for one output"));
  }
  return count > 1 ? "" : "one output: nothing could be left out";
}

CheckResult CheckOptional(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  MLOS_ASSIGN_OR_RETURN(const auto inputs,
                        MakeInputs(ready.session.model(), Fill::kZeros, 1, 1, false));
  if (inputs.size() == ready.zeros.size()) return Skip("no input is optional");
  MLOS_ASSIGN_OR_RETURN(const auto request, ready.session.Run(ready.session.loaded(), inputs));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*request, "a request without its optional inputs"));
  return "";
}

// The same slot with other memory, other content and another shape, against a
// slot that was never used.
CheckResult CheckSlots(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  Session& session = ready.session;
  uint32_t fresh_slot = 100;
  for (const int64_t size : {1, 1, 3, 1}) {
    for (const Fill fill : {Fill::kZeros, Fill::kOnes}) {
      MLOS_ASSIGN_OR_RETURN(const auto inputs, MakeInputs(session.model(), fill, size));
      RequestOptions used, fresh;
      used.slot = 7;
      fresh.slot = fresh_slot++;
      MLOS_ASSIGN_OR_RETURN(const auto a, session.Run(session.loaded(), inputs, used));
      MLOS_ASSIGN_OR_RETURN(const auto b, session.Run(session.loaded(), inputs, fresh));
      if (a->code() != b->code()) {
        return Fail(
            fmt::format("the same request is answered with {} in a slot that was used "
                        "before and with {} in a new one",
                        Answer{a->code(), a->text()}.ToString(), SmiCodeName(b->code())));
      }
      const std::string difference = Difference(session.model(), *a, *b);
      if (session.model().is_replay_safe() && !difference.empty()) {
        return Fail(difference +
                    " between a slot that was used before and a new one: what is "
                    "kept per slot must be compared by pointer and shape");
      }
    }
  }
  return "";
}

CheckResult CheckRepeat(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  if (!ready.session.model().is_replay_safe()) return Skip("the model says replay: never");
  MLOS_ASSIGN_OR_RETURN(const auto first, ready.session.Run(ready.session.loaded(), ready.zeros));
  for (int i = 0; i < 8; ++i) {
    MLOS_ASSIGN_OR_RETURN(const auto next, ready.session.Run(ready.session.loaded(), ready.zeros));
    std::string difference = Difference(ready.session.model(), *first, *next);
    if (first->code() != next->code()) difference = "the code differs";
    if (!difference.empty()) {
      return Fail(difference +
                  " between two runs of one request; describe the model as "
                  "SMI_REPLAY_NEVER or make it repeatable");
    }
  }
  return "";
}

CheckResult CheckBatch(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  Session& session = ready.session;
  const ModelView& model = session.model();
  if (model.max_batch_size < 2) return Skip("max_batch_size is below 2");
  MLOS_ASSIGN_OR_RETURN(const auto two, MakeInputs(model, Fill::kZeros, 1, 2));
  MLOS_ASSIGN_OR_RETURN(const auto large, session.Run(session.loaded(), two));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*large, "a request with a batch of two"));
  for (const TensorValue& output : large->outputs()) {
    if (output.shape[0] != 2) {
      return Fail(fmt::format("output {} has shape {} for a batch of two",
                              Quoted(model.outputs[output.index].name), ShapeText(output.shape)));
    }
  }
  // Two requests in one call, in slots of their own.
  RequestOptions a_options, b_options;
  a_options.slot = 1;
  b_options.slot = 2;
  MLOS_ASSIGN_OR_RETURN(const auto ones, MakeInputs(model, Fill::kOnes));
  auto a = session.NewRequest(ready.zeros, a_options);
  auto b = session.NewRequest(ones, b_options);
  MLOS_RETURN_IF_ERROR(session.Execute(session.loaded(), {a.get(), b.get()}));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*a, "the first of two requests in one call"));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*b, "the second of two requests in one call"));
  return "";
}

CheckResult CheckConcurrency(const Subject& subject, Phase& phase) {
  constexpr uint32_t kMostThreads = 4;
  constexpr int kRounds = 25;
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  Session& session = ready.session;
  const uint32_t threads = std::min(session.model().max_concurrency, kMostThreads);
  if (threads < 2) return Skip("max_concurrency is 1");
  MLOS_ASSIGN_OR_RETURN(const auto alone, session.Run(session.loaded(), ready.zeros));
  std::vector<Status> results(threads);
  std::vector<std::thread> running;
  for (uint32_t t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      for (int i = 0; i < kRounds && results[t].ok(); ++i) {
        RequestOptions options;
        options.slot = t + 1;
        const auto request = session.NewRequest(ready.zeros, options);
        results[t] = session.Execute(session.loaded(), {request.get()});
        if (results[t].ok() && request->code() != alone->code()) {
          results[t] =
              Fail(fmt::format("a request was answered with {} among others and with {} "
                               "alone",
                               SmiCodeName(request->code()), SmiCodeName(alone->code())));
        }
      }
    });
  }
  phase.Set(fmt::format("execute on {} threads at once", threads));
  for (std::thread& thread : running) thread.join();
  for (const Status& result : results) MLOS_RETURN_IF_ERROR(result);
  return fmt::format("{} threads", threads);
}

CheckResult CheckNoMemory(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  RequestOptions options;
  options.refuse_memory = true;
  MLOS_ASSIGN_OR_RETURN(const auto request,
                        ready.session.Run(ready.session.loaded(), ready.zeros, options));
  if (request->code() == SMI_OK) {
    return Fail("the request was answered well although its outputs were refused");
  }
  // And the model goes on.
  MLOS_ASSIGN_OR_RETURN(const auto next, ready.session.Run(ready.session.loaded(), ready.zeros));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*next, "the next request"));
  return "";
}

CheckResult CheckCancelled(const Subject& subject, Phase& phase) {
  Ready ready(subject, phase);
  MLOS_RETURN_IF_ERROR(ready.Begin());
  RequestOptions options;
  options.is_cancelled = true;
  MLOS_ASSIGN_OR_RETURN(const auto request,
                        ready.session.Run(ready.session.loaded(), ready.zeros, options));
  MLOS_ASSIGN_OR_RETURN(const auto next, ready.session.Run(ready.session.loaded(), ready.zeros));
  MLOS_RETURN_IF_ERROR(ExpectAnswer(*next, "the next request"));
  return fmt::format("answered with {}", SmiCodeName(request->code()));
}

}  // namespace mlos
