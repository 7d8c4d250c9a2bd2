// SPDX-License-Identifier: Apache-2.0
#include "test_core.h"

#include <boost/json/parse.hpp>
#include <cstring>
#include <filesystem>

#include "base/clock.h"
#include "channel/waiting.h"

namespace mlos::test {
namespace {

// One inference on the front loop; deletes itself when it is answered.
class TestCall : public engine::Call {
 public:
  TestCall(engine::Engine& engine, std::string model, std::vector<Input> inputs,
           std::vector<uint32_t> outputs, uint64_t timeout_ms)
      : engine_(engine), model_(std::move(model)), inputs_(std::move(inputs)) {
    deadline_ns = NowNanos() + timeout_ms * kNanosPerMilli;
    for (const Input& in : inputs_) {
      tensor::TensorDesc desc;
      desc.index = in.index;
      desc.datatype = static_cast<uint32_t>(in.datatype);
      desc.rank = static_cast<uint32_t>(in.shape.size());
      std::copy(in.shape.begin(), in.shape.end(), desc.dims);
      desc.bytes = in.bytes.size();
      plan_.inputs.push_back(desc);
    }
    plan_.outputs = std::move(outputs);
  }

  std::future<Answer> answer() { return promise_.get_future(); }

  void Begin() {
    if (engine_.Resolve(*this, model_, "")) OnProgress();
  }

  void OnProgress() override {
    for (;;) {
      if (!status.ok() || stage_ == 3) {
        Deliver();
        return;
      }
      ++stage_;
      if (stage_ == 1) {
        if (!engine_.Allocate(*this, &plan_)) return;
      } else if (stage_ == 2) {
        for (size_t i = 0; i < inputs_.size(); ++i) {
          std::memcpy(slot.memory.data() + plan_.inputs[i].offset, inputs_[i].bytes.data(),
                      inputs_[i].bytes.size());
        }
        ++stage_;
        if (!engine_.Submit(*this)) return;
      }
    }
  }

 private:
  void Deliver() {
    Answer answer;
    answer.status = status;
    answer.times = times;
    answer.progress_calls = 1;
    for (const engine::OutputTensor& out : outputs) {
      answer.descs.push_back(out.desc);
      answer.data.emplace_back(reinterpret_cast<const char*>(out.data.data()), out.data.size());
    }
    engine_.Finish(*this);
    promise_.set_value(std::move(answer));
    delete this;
  }

  engine::Engine& engine_;
  std::string model_;
  std::vector<Input> inputs_;
  tensor::RequestPlan plan_;
  std::promise<Answer> promise_;
  int stage_ = 0;
};

EventLoop::Spin MakeSpin() {
  const auto spinner = std::make_shared<channel::Spinner>(channel::Calibrate());
  return [spinner](const std::function<bool()>& ready) { return spinner->Spin(ready); };
}

}  // namespace

TestCore::TestCore(uint32_t workers, channel::Options channel_options)
    : front_(MakeSpin()),
      manager_(control_, catalog_, {.host_program = MLOS_TEST_HOST_PROGRAM, .workers = workers}) {
  engine_ = std::make_unique<engine::ChannelEngine>(
      front_, control_, channel_options,
      [this](std::string name, std::string version, std::function<void(Status)> done) {
        ++loads_asked_;
        control_.Post([this, name = std::move(name), version = std::move(version),
                       done = std::move(done)] { manager_.EnsureLoaded(name, version, done); });
      });
  manager_.AddEngine(engine_.get());
  control_thread_ = std::thread([this] { control_.Run(); });
  front_thread_ = std::thread([this] { front_.Run(); });
}

TestCore::~TestCore() {
  std::promise<void> stopped;
  control_.Post([&] { manager_.StopAll([&] { stopped.set_value(); }); });
  stopped.get_future().wait();
  front_.Stop();
  control_.Stop();
  front_thread_.join();
  control_thread_.join();
}

Status TestCore::RegisterPlugin(const std::string& name_or_path) {
  const std::string path = name_or_path[0] == '/'
                               ? name_or_path
                               : std::string(MLOS_TEST_PLUGINS) + "/" + name_or_path + "/1.0.0";
  return OnControl([&] { return catalog_.RegisterPlugin(path).status(); });
}

Status TestCore::Change(Action action, const std::string& name, const std::string& version) {
  std::promise<Status> done;
  control_.Post([&] {
    (manager_.*action)(name, version, [&](const Status& status) { done.set_value(status); });
  });
  return done.get_future().get();
}

Status TestCore::LoadPlugin(const std::string& name, const std::string& version) {
  return Change(&lifecycle::Manager::LoadPlugin, name, version);
}
Status TestCore::UnloadPlugin(const std::string& name, const std::string& version) {
  return Change(&lifecycle::Manager::UnloadPlugin, name, version);
}
Status TestCore::LoadModel(const std::string& name, const std::string& version) {
  return Change(&lifecycle::Manager::LoadModel, name, version);
}
Status TestCore::UnloadModel(const std::string& name, const std::string& version) {
  return Change(&lifecycle::Manager::UnloadModel, name, version);
}

Status TestCore::RegisterModel(const std::string& name, const std::string& plugin,
                               const std::string& config, uint64_t version) {
  catalog::ModelSpec spec;
  spec.name = name;
  spec.version = version;
  spec.plugin = plugin;
  spec.path = MLOS_TEST_MODEL;
  spec.config = boost::json::parse(config).as_object();
  return OnControl([&] {
    const Status status = catalog_.RegisterModel(spec).status();
    manager_.Publish(spec.name);
    return status;
  });
}

Status TestCore::Bring(const std::string& plugin, const std::string& config) {
  MLOS_RETURN_IF_ERROR(RegisterPlugin(plugin));
  MLOS_RETURN_IF_ERROR(LoadPlugin(plugin));
  MLOS_RETURN_IF_ERROR(RegisterModel("m-" + plugin, plugin, config));
  return LoadModel("m-" + plugin);
}

std::future<Answer> TestCore::Start(const std::string& model, std::vector<Input> inputs,
                                    uint64_t timeout_ms, std::vector<uint32_t> outputs) {
  auto* call = new TestCall(*engine_, model, std::move(inputs), std::move(outputs), timeout_ms);
  std::future<Answer> answer = call->answer();
  front_.Post([call] { call->Begin(); });
  return answer;
}

Answer TestCore::Infer(const std::string& model, std::vector<Input> inputs, uint64_t timeout_ms,
                       std::vector<uint32_t> outputs) {
  return Start(model, std::move(inputs), timeout_ms, std::move(outputs)).get();
}

pid_t TestCore::HostPid(const std::string& plugin) {
  return OnControl([&]() -> pid_t {
    for (const auto& row : manager_.Hosts()) {
      if (row.plugin == plugin) return row.host->pid();
    }
    return -1;
  });
}

uint32_t TestCore::Restarts(const std::string& plugin) {
  return OnControl([&]() -> uint32_t {
    for (const auto& row : manager_.Hosts()) {
      if (row.plugin == plugin) return row.host->restarts();
    }
    return 0;
  });
}

std::string TestCore::ModelState(const std::string& name) {
  return OnControl([&] {
    const auto found = catalog_.FindModel(name, "1");
    return std::string(found.ok() ? catalog::StateName((*found)->state) : "none");
  });
}

}  // namespace mlos::test
