// SPDX-License-Identifier: Apache-2.0
//
// For tests of the scheduler: a plugin whose models do what the test says, an
// application at the other end of a channel, and gates to stop models at.
//
// Threads: a Gate any; the others the test's.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "channel/producer.h"
#include "plugin_host/scheduler.h"
#include "tensor/message.h"

namespace mlos::plugin_host::testing {

constexpr uint64_t kPatienceNanos = 60 * kNanosPerSecond;  // a busy machine is no hang

// Models arrive and wait until it is opened.
class Gate {
 public:
  void Pass() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::nanoseconds(kPatienceNanos), [&] { return open_; });
  }
  bool WaitFor(int arrived) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::nanoseconds(kPatienceNanos),
                             [&] { return arrived_ >= arrived; });
  }
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  bool open_ = false;
};

}  // namespace mlos::plugin_host::testing

// The SMI's opaque types are these, as in any plugin.
struct smi_plugin {
  const smi_host_api* host = nullptr;
  // The next model that is loaded.
  std::function<smi_code(const smi_host_api&, const smi_request&, smi_error*)> run;
  smi_datatype datatype = SMI_FP32;
};
struct smi_model {
  const smi_host_api* host = nullptr;
  std::function<smi_code(const smi_host_api&, const smi_request&, smi_error*)> run;
  int64_t any = -1;
  smi_tensor_spec input{};
  smi_tensor_spec output{};
  smi_model_info info{};
};

namespace mlos::plugin_host::testing {

using Behaviour = std::function<smi_code(const smi_host_api&, const smi_request&, smi_error*)>;

inline const smi_plugin_api& TestTable() {
  static const smi_plugin_api table = {
      .struct_size = sizeof(smi_plugin_api),
      .version_major = SMI_VERSION_MAJOR,
      .version_minor = SMI_VERSION_MINOR,
      .name = "test",
      .version = "1",
      .create = [](const smi_host_api* host, const char*, smi_plugin** plugin,
                   smi_error*) -> smi_code {
        *plugin = new smi_plugin{host, {}, SMI_FP32};
        return SMI_OK;
      },
      .destroy = [](smi_plugin* plugin) { delete plugin; },
      .load = [](smi_plugin* plugin, const smi_load_params*, smi_model** out,
                 smi_error*) -> smi_code {
        auto* model = new smi_model;
        model->host = plugin->host;
        model->run = plugin->run;
        const auto spec = [&](const char* name) {
          smi_tensor_spec s{};
          s.struct_size = sizeof s;
          s.name = name;
          s.datatype = plugin->datatype;
          s.rank = 1;
          s.shape = &model->any;
          return s;
        };
        model->input = spec("in");
        model->output = spec("out");
        model->info.struct_size = sizeof model->info;
        model->info.input_count = model->info.output_count = 1;
        model->info.inputs = &model->input;
        model->info.outputs = &model->output;
        model->info.max_concurrency = 8;
        *out = model;
        return SMI_OK;
      },
      .unload = [](smi_plugin*, smi_model* model) { delete model; },
      .describe = [](const smi_model* model) { return &model->info; },
      .execute = [](smi_model* model, const smi_request* const* requests, uint32_t,
                    smi_error* error) { return model->run(*model->host, **requests, error); },
      .get_extension = nullptr,
  };
  return table;
}

class TestPlugin {
 public:
  TestPlugin() {
    hostlink::StartPlugin start;
    start.name = "test";
    plugin_ = Plugin::Create(&TestTable(), start).value();
  }
  // One input and one output, both vectors of `datatype`.
  std::unique_ptr<Model> Load(Behaviour run, smi_datatype datatype = SMI_FP32) {
    plugin_->instance()->run = std::move(run);
    plugin_->instance()->datatype = datatype;
    hostlink::LoadModel load;
    load.name = "m";
    load.version = "1";
    return plugin_->Load(load, {}).value();
  }

 private:
  std::unique_ptr<Plugin> plugin_;
};

// Answers with the input plus `more`; stops at `gate` before it reads.
inline Behaviour Add(float more, Gate* gate = nullptr) {
  return [=](const smi_host_api& host, const smi_request& request, smi_error* error) -> smi_code {
    const smi_tensor& in = request.inputs[0];
    void* out = nullptr;
    const smi_code code = host.allocate_output(&request, 0, in.datatype, in.rank, in.shape,
                                               in.byte_size, &out, error);
    if (code != SMI_OK) return code;
    if (gate != nullptr) gate->Pass();
    for (uint64_t at = 0; at + sizeof(float) <= in.byte_size; at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, static_cast<const char*>(in.data) + at, sizeof value);
      value += more;
      std::memcpy(static_cast<char*>(out) + at, &value, sizeof value);
    }
    return host.respond(&request, error);
  };
}

struct Answer {
  StatusCode code = StatusCode::kUnknown;
  std::string text;
  std::vector<float> values;
  bool came = false;
};

// What a local application does, or the core for a lane of its own.
class Application {
 public:
  explicit Application(uint32_t entries = 64) {
    channel::Options options;
    options.entries = entries;
    options.request_bytes = 1 << 20;
    options.prefault_bytes = 0;
    options.rung_by = channel::EventKind::kSocket;  // a host may write to it as to an eventfd too
    producer_ = channel::Producer::Create(options).value();
  }

  hostlink::AttachChannel Attach(uint32_t number,
                                 std::optional<hostlink::ChannelTerms> terms = std::nullopt) {
    EXPECT_TRUE(producer_->BeginEpoch().ok());
    return {number, terms, producer_->Grant().value()};
  }

  // `shift` more bytes before the data than needed.
  uint32_t Send(const std::vector<float>& values, channel::Submission submission = {},
                smi_datatype datatype = SMI_FP32, uint64_t shift = 0) {
    tensor::RequestPlan plan;
    plan.inputs.emplace_back();
    plan.inputs[0].datatype = datatype;
    plan.inputs[0].rank = 1;
    plan.inputs[0].dims[0] = static_cast<int64_t>(values.size());
    plan.inputs[0].bytes = values.size() * sizeof(float);
    uint64_t bytes = 0;
    EXPECT_TRUE(tensor::LayOutRequest(&plan, &bytes));
    plan.inputs[0].offset += shift;
    channel::RequestSlot slot;
    EXPECT_EQ(producer_->Begin(0, bytes + shift, &slot), channel::BeginResult::kOk);
    tensor::WriteRequest(plan, slot.block.segment, slot.block.offset, slot.memory);
    data_[slot.entry] = slot.memory.data() + plan.inputs[0].offset;
    std::memcpy(data_[slot.entry], values.data(), plan.inputs[0].bytes);
    if (submission.deadline_ns == 0) submission.deadline_ns = NowNanos() + kPatienceNanos;
    producer_->Submit(slot, submission);
    return slot.entry;
  }

  // The memory of a request's input, which the host was given to read.
  void Rewrite(uint32_t entry, const std::vector<float>& values) {
    std::memcpy(data_.at(entry), values.data(), values.size() * sizeof(float));
  }

  Answer Wait(uint32_t entry) {
    const uint64_t until = NowNanos() + kPatienceNanos;
    while (!answers_[entry].came && NowNanos() < until) {
      Collect();
      if (answers_[entry].came) break;
      if (producer_->PrepareSleep(channel::Sleep::kFutex)) producer_->FutexSleep(until);
      producer_->FinishSleep();
    }
    EXPECT_TRUE(answers_[entry].came) << "no answer in time";
    return std::exchange(answers_[entry], {});
  }
  std::vector<float> Call(const std::vector<float>& values, channel::Submission submission = {}) {
    return Wait(Send(values, submission)).values;
  }

  channel::Producer& producer() { return *producer_; }
  bool Came(uint32_t entry) { return answers_[entry].came; }
  void ForgetAnswers() { answers_.clear(); }

  void Collect() {
    producer_->Poll([this](const channel::Completion& done) {
      answers_[done.entry] = Read(done);
      producer_->Release(done.entry);
    });
  }

 private:
  Answer Read(const channel::Completion& done) {
    Answer answer;
    answer.came = true;
    const auto block = producer_->ResponseMemory(done.entry, done.response);
    tensor::ResponseView view;
    if (!block.ok() || !tensor::ReadResponse(*block, &view).ok()) return answer;
    answer.code = view.code;
    answer.text = view.text;
    for (const tensor::TensorDesc& output : view.outputs) {
      const auto data =
          producer_->ResponseMemory(done.entry, {output.segment, 0, output.offset, output.bytes});
      if (!data.ok()) return {StatusCode::kDataLoss, "outputs lie nowhere", {}, true};
      answer.values.resize(output.bytes / sizeof(float));
      std::memcpy(answer.values.data(), data->data(), output.bytes);
    }
    return answer;
  }

  std::unique_ptr<channel::Producer> producer_;
  std::map<uint32_t, std::byte*> data_;
  std::map<uint32_t, Answer> answers_;
};

// A scheduler and what it told.
class SchedulerTest : public ::testing::Test {
 protected:
  explicit SchedulerTest(uint32_t workers = 2)
      : scheduler_(
            workers,
            [this](uint32_t channel, uint64_t) {
              const std::lock_guard<std::mutex> lock(mutex_);
              ++asked_[channel];
              changed_.notify_all();
            },
            [this](const hostlink::Served& served) {
              const std::lock_guard<std::mutex> lock(mutex_);
              detached_.insert(served.channel);
              left_over_ = served;
              changed_.notify_all();
            }) {}

  bool IsDetached(uint32_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return detached_.count(number) > 0;
  }
  bool WaitDetached(uint32_t number) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::nanoseconds(kPatienceNanos),
                             [&] { return detached_.count(number) > 0; });
  }
  // How often memory was asked for, once that is at least `times`.
  int WaitAsked(uint32_t number, int times) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, std::chrono::nanoseconds(kPatienceNanos),
                      [&] { return asked_[number] >= times; });
    return asked_[number];
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<uint32_t> detached_;
  hostlink::Served left_over_;  // of the channel that was detached last
  std::map<uint32_t, int> asked_;
  TestPlugin plugin_;
  Scheduler scheduler_;  // stops before what its callbacks use goes
};

}  // namespace mlos::plugin_host::testing
