// SPDX-License-Identifier: Apache-2.0
#include "frontends/ipc/small_calls.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/json.h"
#include "frontends/common/control_call.h"
#include "frontends/common/extensions.h"
#include "frontends/common/infer_plan.h"
#include "frontends/ipc/describe.h"
#include "operations/operations.h"

namespace mlos::ipc {
namespace {

constexpr uint32_t kMaxBodyDepth = 32;

// -------------------------------------------------------------------- server

class ServerCall final : public Pending {
 public:
  ServerCall(Context& context, CallOwner& owner) : Pending(owner), context_(context) {}

  void Begin(Buffer* payload) override {
    if (!payload->empty()) {
      return owner_.Fail(*this, InvalidArgument("the message server has nothing in it"), {});
    }
    const auto routes = context_.engine.routes();
    ServerState state;
    state.ready = routes->ready && !context_.leaving;
    state.not_ready = context_.leaving ? "the server is shutting down"
                      : !routes->ready ? std::string_view(routes->not_ready)
                                       : std::string_view();
    state.name = context_.options.server_name;
    state.version = context_.options.server_version;
    state.extensions = frontend::Extensions({.client_regions = context_.client_regions});
    Buffer out;
    Encode(state, &out);
    owner_.Answer(*this, Tell::kServer, out.view(), {});
  }
  void Release() override {}

 private:
  Context& context_;
};

// --------------------------------------------------------------------- model

// Loads it, where it is loaded on demand: before that nobody knows what it takes.
class ModelCall final : public Pending, private engine::Call {
 public:
  ModelCall(Context& context, CallOwner& owner) : Pending(owner), context_(context) {}
  ~ModelCall() override { Release(); }

  void Begin(Buffer* payload) override {
    payload_.Swap(*payload);
    const Status read = Decode(payload_.view(), &ask_);
    if (!read.ok()) return owner_.Fail(*this, read, {});
    deadline_ns = NowNanos() + context_.options.default_deadline_ns;
    active_ = true;
    if (context_.engine.Resolve(*this, ask_.model, ask_.version)) OnProgress();
  }

  void Release() override {
    if (std::exchange(active_, false)) context_.engine.Finish(*this);
  }

 private:
  void OnProgress() override {
    if (!status.ok()) return owner_.Fail(*this, Status(status), {});
    const auto routes = context_.engine.routes();
    Buffer out;
    Encode(DescriptionOf(*route, *routes, ask_), &out);
    owner_.Answer(*this, Tell::kModel, out.view(), {});
  }

  Context& context_;
  Buffer payload_;
  AskModel ask_;
  bool active_ = false;
};

// ------------------------------------------------------------------- control

const operations::OperationRow* FindOperation(std::string_view name) {
  const auto rows = operations::Operations();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const auto& candidate) { return candidate.name == name; });
  return row == rows.end() ? nullptr : &*row;
}

bool InPath(const operations::OperationRow& row, std::string_view parameter) {
  return row.http_path.find("{" + std::string(parameter) + "}") != std::string_view::npos;
}

// What stands in the path of HTTP stands in the message; a row has it or has not.
Status CheckPart(const operations::OperationRow& row, std::string_view what,
                 std::string_view value) {
  if (InPath(row, what) != value.empty()) return OkStatus();
  return InvalidArgument("operation " + std::string(row.name) +
                         (value.empty() ? " needs a " : " takes no ") + std::string(what));
}

StatusOr<control::Operation> ReadOperation(const AskControl& ask) {
  const operations::OperationRow* row = FindOperation(ask.operation);
  if (row == nullptr) {
    return NotFound("there is no operation " + frontend::Quote(ask.operation));
  }
  MLOS_RETURN_IF_ERROR(CheckPart(*row, "name", ask.name));
  MLOS_RETURN_IF_ERROR(CheckPart(*row, "version", ask.version));
  control::Operation operation;
  operation.kind = row->kind;
  operation.name = ask.name;
  operation.version = ask.version;
  operation.wait = ask.wait || !row->can_wait();
  if (!ask.body.empty()) {
    auto body = ParseJson(ask.body, kMaxBodyDepth);
    if (!body.ok()) return Annotate(body.status(), "the body is not valid JSON");
    if (!body->is_object()) return InvalidArgument("the body is not a JSON object");
    operation.body = std::move(body->get_object());
  }
  return operation;
}

class OperationCall final : public Pending {
 public:
  OperationCall(Context& context, CallOwner& owner)
      : Pending(owner), call_(context.loop, context.control) {}

  void Begin(Buffer* payload) override {
    AskControl ask;
    Status read = Decode(payload->view(), &ask);
    if (!read.ok()) return owner_.Fail(*this, read, {});
    StatusOr<control::Operation> operation = ReadOperation(ask);
    if (!operation.ok()) return owner_.Fail(*this, operation.status(), {});
    call_.ApplyForText(
        *std::move(operation),
        [](const control::Outcome& outcome) { return boost::json::serialize(outcome.body); },
        [this](const control::Outcome& outcome, const std::string& text) {
          OnOutcome(outcome, text);
        });
  }
  void Release() override { call_.Forget(); }

 private:
  void OnOutcome(const control::Outcome& outcome, const std::string& text) {
    if (!outcome.status.ok()) return owner_.Fail(*this, outcome.status, outcome.hint);
    Buffer out;
    Encode(ControlOutcome{.created = outcome.created, .accepted = outcome.accepted, .body = text},
           &out);
    owner_.Answer(*this, Tell::kOutcome, out.view(), {});
  }

  frontend::ControlCall call_;
};

}  // namespace

std::unique_ptr<Pending> NewSmallCall(Ask type, Context& context, CallOwner& owner) {
  switch (type) {
    case Ask::kServer:
      return std::make_unique<ServerCall>(context, owner);
    case Ask::kModel:
      return std::make_unique<ModelCall>(context, owner);
    case Ask::kControl:
      return std::make_unique<OperationCall>(context, owner);
    default:
      return nullptr;
  }
}

}  // namespace mlos::ipc
