// SPDX-License-Identifier: Apache-2.0
#include "engine/fake_engine.h"

#include <algorithm>

#include "base/clock.h"

namespace mlos::engine {
namespace {

using tensor::Datatype;

std::shared_ptr<ModelInfo> Identity(Datatype datatype) {
  auto info = std::make_shared<ModelInfo>();
  info->inputs = {{"in", datatype, {-1}, false}};
  info->outputs = {{"out", datatype, {-1}, false}};
  info->platform = "fake";
  return info;
}

void Add(RoutingTable* table, const std::string& name, std::shared_ptr<const ModelInfo> info,
         ModelState state = ModelState::kReady, uint64_t version = 1,
         std::shared_ptr<const ModelSettings> settings = nullptr) {
  auto route = std::make_shared<ModelRoute>();
  route->name = name;
  route->version = std::to_string(version);
  route->version_number = version;
  route->id = std::hash<std::string>()(name + "/" + route->version);
  route->state = state;
  route->on_demand = state == ModelState::kRegistered;
  route->info = std::move(info);
  if (settings == nullptr) {
    auto made = std::make_shared<ModelSettings>();
    made->config = R"({"name":")" + name + R"("})";
    settings = std::move(made);
  }
  route->settings = std::move(settings);
  route->plugin = "fakeplugin";
  table->Add(std::move(route));
}

std::shared_ptr<RoutingTable> Models() {
  auto table = std::make_shared<RoutingTable>();
  table->ready = true;
  for (const auto t :
       {Datatype::kInt8, Datatype::kInt16, Datatype::kInt32, Datatype::kInt64, Datatype::kUint8,
        Datatype::kUint16, Datatype::kUint32, Datatype::kUint64, Datatype::kFp16, Datatype::kFp32,
        Datatype::kFp64, Datatype::kBf16, Datatype::kBool, Datatype::kBytes}) {
    Add(table.get(), "id_" + std::string(tensor::DatatypeName(t)), Identity(t));
  }
  auto pair = std::make_shared<ModelInfo>();
  pair->inputs = {{"a", Datatype::kInt32, {-1}, false},
                  {"b", Datatype::kFp32, {-1, 2}, false},
                  {"c", Datatype::kBytes, {-1}, true}};
  pair->outputs = {{"a", Datatype::kInt32, {-1}, false},
                   {"b", Datatype::kFp32, {-1, 2}, false},
                   {"c", Datatype::kBytes, {-1}, false}};
  Add(table.get(), "pair", pair);
  Add(table.get(), "pair", pair, ModelState::kReady, 7);
  Add(table.get(), "pair", pair, ModelState::kFailed, 9);
  auto batch = std::make_shared<ModelInfo>();
  batch->inputs = {{"in", Datatype::kFp32, {-1, 2}, false}};
  batch->outputs = {{"out", Datatype::kFp32, {-1, 2}, false}};
  batch->max_batch_size = 4;
  batch->platform = "fake";
  Add(table.get(), "batch", batch);
  auto word = Identity(Datatype::kBytes);
  word->inputs[0].shape = {1};
  word->outputs[0].shape = {1};
  Add(table.get(), "word", word);
  auto scores = std::make_shared<ModelInfo>();
  scores->inputs = {{"in", Datatype::kFp32, {-1, 5}, false}};
  scores->outputs = {{"out", Datatype::kFp32, {-1, 5}, false}};
  scores->max_batch_size = 8;
  auto settings = std::make_shared<ModelSettings>();
  settings->labels = {{"zero", "one", "", "three"}};
  Add(table.get(), "scores", scores, ModelState::kReady, 1, settings);
  auto loose = Identity(Datatype::kFp32);
  loose->inputs[0].shape = {-1, -1};
  loose->outputs[0].shape = {-1, -1};
  Add(table.get(), "loose", loose);
  for (const char* name : {"later", "hang", "odd name/\xc3\xa9"}) {
    Add(table.get(), name, Identity(Datatype::kFp32));
  }
  for (int code = 1; code <= 16; ++code) {
    Add(table.get(), "fail_" + CodeName(static_cast<StatusCode>(code)), Identity(Datatype::kFp32));
  }
  Add(table.get(), "ondemand", Identity(Datatype::kFp32), ModelState::kRegistered);
  Add(table.get(), "unloaded", nullptr, ModelState::kUnloaded);
  return table;
}

}  // namespace

FakeEngine::FakeEngine(EventLoop& loop) : loop_(loop), table_(Models()) {}

void FakeEngine::SetReady(bool ready) {
  auto table = std::make_shared<RoutingTable>(*table_);
  table->ready = ready;
  if (!ready) table->not_ready = "model m version 1 is loading";
  table_ = std::move(table);
}

void FakeEngine::Later(Call& call, std::function<void()> f) {
  const uint64_t serial = memory_[&call].serial;
  loop_.Post([this, &call, serial, f = std::move(f)] {
    const auto it = memory_.find(&call);
    if (it == memory_.end() || it->second.serial != serial) return;
    f();
    call.OnProgress();
  });
}

bool FakeEngine::Resolve(Call& call, std::string_view model, std::string_view version) {
  ++resolved;
  call.status = OkStatus();
  memory_[&call].serial = ++serial_;
  ++running;
  last_deadline_ns = call.deadline_ns;
  const RoutePin route = table_->Find(model, version);
  if (route == nullptr) {
    call.status = NotFound("there is no model " + std::string(model));
    return true;
  }
  call.counters = book_.Of(route->id, route->name, route->version);
  if (route->state == ModelState::kRegistered) {
    Later(call, [&call, route] { call.route = route; });
    return false;
  }
  if (route->state != ModelState::kReady) {
    call.status = Unavailable("model " + std::string(model) + " is " +
                              std::string(ModelStateName(route->state)));
    return true;
  }
  call.route = route;
  return true;
}

bool FakeEngine::Allocate(Call& call, tensor::RequestPlan* plan) {
  Memory& memory = memory_[&call];
  call.status = OkStatus();
  if (!tensor::LayOutRequest(plan, &memory.bytes) || memory.bytes > max_request_bytes) {
    call.status = ResourceExhausted("the request is larger than a channel can be");
    return true;
  }
  // Exactly as large as planned, so that a sanitizer sees what goes beyond.
  memory.block.reset(new std::byte[memory.bytes]);
  memory.wanted = plan->outputs;
  call.slot.memory = {memory.block.get(), memory.bytes};
  tensor::WriteRequest(*plan, 0, 0, call.slot.memory);
  if (!allocate_later) return true;
  Later(call, [] {});
  return false;
}

bool FakeEngine::Submit(Call& call) {
  ++submitted;
  call.submitted_ns = NowNanos();
  call.status = OkStatus();
  const std::string& name = call.route->name;
  if (name == "hang") return false;
  if (name == "later") {
    Later(call, [this, &call] { Answer(call); });
    return false;
  }
  Answer(call);
  return true;
}

void FakeEngine::Answer(Call& call) {
  call.outputs.clear();
  call.times = {call.submitted_ns, call.submitted_ns, NowNanos()};
  const std::string& name = call.route->name;
  for (int code = 1; code <= 16; ++code) {
    if (name == "fail_" + CodeName(static_cast<StatusCode>(code))) {
      call.status = MakeStatus(static_cast<StatusCode>(code), "this model fails");
      return;
    }
  }
  Memory& memory = memory_[&call];
  call.status = tensor::ReadRequest({memory.block.get(), memory.bytes}, &memory.view);
  if (!call.status.ok()) return;
  {
    const std::lock_guard lock(mutex_);
    last_parameters_ =
        memory.view.has_parameters ? std::string(memory.view.parameter_text.data()) : "";
  }
  const size_t all = call.route->info->outputs.size();
  for (uint32_t i = 0; i < all; ++i) {
    const auto& wanted = memory.wanted;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), i) == wanted.end()) continue;
    OutputTensor out;
    out.desc.index = i;
    out.desc.datatype = static_cast<uint32_t>(call.route->info->outputs[i].datatype);
    out.desc.rank = static_cast<uint32_t>(call.route->info->outputs[i].shape.size());
    for (const tensor::TensorDesc& in : memory.view.inputs) {
      if (in.index != i) continue;
      out.desc = in;
      out.data =
          std::span<const std::byte>(memory.block.get(), memory.bytes).subspan(in.offset, in.bytes);
    }
    call.outputs.push_back(out);
  }
}

Status FakeEngine::Admits(std::string_view, std::string_view) const {
  return full ? Unavailable("too many requests are in flight") : OkStatus();
}

void FakeEngine::Finish(Call& call) {
  if (memory_.erase(&call) > 0) --running;
  call.route.reset();
  call.outputs.clear();
}

std::string FakeEngine::last_parameters() const {
  const std::lock_guard lock(mutex_);
  return last_parameters_;
}

}  // namespace mlos::engine
