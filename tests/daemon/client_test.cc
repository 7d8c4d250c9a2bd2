// SPDX-License-Identifier: Apache-2.0
//
// libmlos and the real daemon: direct channels through everything that happens to
// models, plugin hosts and daemons.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>

#include "fixture.h"
#include "metrics/exposition_parser.h"
#include "mlos/client.h"
#include "restartable.h"
#include "traffic.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kLimitUs = 20'000'000;

// The C interface with its errors as texts: "CODE: text", empty where all is well.
class Program {
 public:
  explicit Program(const std::string& path) {
    const std::string address = "unix://" + path;
    mlos_client_options options{sizeof(options), nullptr, "test", kLimitUs};
    connected = Say(mlos_connect(address.c_str(), &options, &client, error()));
  }
  ~Program() { mlos_disconnect(client); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  std::string Open(const char* name, mlos_model** model, const char* version = nullptr) {
    return Say(mlos_model_open(client, name, version, kLimitUs, model, error()));
  }
  mlos_error* error() {
    text_[0] = '\0';
    return &error_;
  }
  std::string Say(mlos_code code) const {
    return code == MLOS_OK ? "" : std::string(mlos_code_name(code)) + ": " + text_;
  }

  mlos_client* client = nullptr;
  std::string connected;

 private:
  char text_[1024] = {};
  mlos_error error_{sizeof(mlos_error), sizeof(text_), text_};
};

// A prepared call with one input.
class OneCall {
 public:
  OneCall(Program& program, mlos_model* model, std::vector<int64_t> dims) : program_(program) {
    EXPECT_EQ("", program.Say(mlos_call_create(model, &call, program.error())));
    prepared = Prepare(std::move(dims));
  }
  ~OneCall() { mlos_call_destroy(call); }
  OneCall(const OneCall&) = delete;
  OneCall& operator=(const OneCall&) = delete;

  std::string Prepare(std::vector<int64_t> dims, uint64_t bytes = 0) {
    input_ = {sizeof(mlos_tensor)};
    input_.rank = static_cast<uint32_t>(dims.size());
    std::copy(dims.begin(), dims.end(), input_.dims);
    input_.bytes = bytes;
    mlos_request request{sizeof(request), 1, &input_, nullptr, 0, nullptr};
    return program_.Say(mlos_call_prepare(call, &request, kLimitUs, program_.error()));
  }
  template <typename T>
  void Fill(const std::vector<T>& values) {
    ASSERT_EQ(input_.bytes, values.size() * sizeof(T));
    std::memcpy(input_.data, values.data(), input_.bytes);
  }
  std::string Run(int64_t limit_us = kLimitUs) {
    return program_.Say(mlos_call_run(call, limit_us, program_.error()));
  }
  std::string Submit(int64_t limit_us = kLimitUs) {
    return program_.Say(mlos_call_submit(call, limit_us, program_.error()));
  }
  std::string Wait() { return program_.Say(mlos_call_wait(call, program_.error())); }
  template <typename T>
  std::vector<T> Output(uint32_t index = 0) const {
    mlos_tensor output{sizeof(output)};
    if (mlos_call_output(call, index, &output) != MLOS_OK) return {};
    std::vector<T> values(output.bytes / sizeof(T));
    std::memcpy(values.data(), output.data, output.bytes);
    return values;
  }
  void* data() const { return input_.data; }

  mlos_call* call = nullptr;
  std::string prepared;

 private:
  Program& program_;
  mlos_tensor input_{};
};

class ClientTest : public testing::Test {
 protected:
  std::string path() const { return dir_ / "mlos.sock"; }
  std::unique_ptr<Daemon> Start(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--ipc-socket", path()});
    return std::make_unique<Daemon>(more);
  }

  const TempDir dir_;
};

TEST_F(ClientTest, AnswersAsTheModelDoes) {
  const Digits digits = HeldOutDigits();
  const auto daemon = Start();
  daemon->BringDigits();
  Program program(path());
  ASSERT_EQ("", program.connected);
  mlos_server server{sizeof(server)};
  ASSERT_EQ(MLOS_OK, mlos_server_state(program.client, kLimitUs, &server, program.error()));
  EXPECT_TRUE(server.ready) << server.not_ready;
  EXPECT_STREQ("mlos", server.name);

  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("digits", &model));
  mlos_model_info info{sizeof(info)};
  mlos_model_describe(model, &info);
  EXPECT_STREQ("digits", info.name);
  EXPECT_STREQ("1", info.version);
  ASSERT_EQ(1u, info.input_count);
  ASSERT_EQ(2u, info.output_count);
  mlos_tensor_info image{sizeof(image)};
  ASSERT_EQ(MLOS_OK, mlos_model_input(model, 0, &image));
  EXPECT_STREQ("image", image.name);
  EXPECT_STREQ("FP32", mlos_datatype_name(image.datatype));
  EXPECT_EQ(MLOS_OUT_OF_RANGE, mlos_model_input(model, 1, &image));
  uint32_t label = 0;
  for (; label < info.output_count; ++label) {
    mlos_tensor_info output{sizeof(output)};
    ASSERT_EQ(MLOS_OK, mlos_model_output(model, label, &output));
    if (output.name == std::string("label")) break;
  }

  OneCall call(program, model, {1, 64});
  ASSERT_EQ("", call.prepared);
  size_t right = 0;
  for (size_t i = 0; i < digits.count(); ++i) {
    std::memcpy(call.data(), digits.image(i).data(), 256);
    ASSERT_EQ("", call.Run());
    right += call.Output<int64_t>(label) == std::vector<int64_t>{digits.labels[i]} ? 1 : 0;
  }
  EXPECT_GT(right, digits.count() * 9 / 10);
  EXPECT_EQ(MLOS_OUT_OF_RANGE,
            mlos_call_output(call.call, 2, std::make_unique<mlos_tensor>().get()));
}

TEST_F(ClientTest, IsCountedAsOtherRequestsAre) {
  const auto daemon = Start();
  daemon->BringTestModel("echo");
  Program program(path());
  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("m-echo", &model));
  const auto counted = [&] {
    HttpClient scraper(daemon->metrics_address());
    return metrics::ParsedExposition::Parse(scraper.Send("GET", "/metrics").body,
                                            metrics::Format::kPrometheus)
        .Value("mlos_requests_total", {{"model", "m-echo"}, {"protocol", "ipc"}, {"code", "OK"}});
  };
  {
    OneCall call(program, model, {1});
    call.Fill<float>({1});
    for (int i = 0; i < 5; ++i) ASSERT_EQ("", call.Run());
  }
  EXPECT_TRUE(WaitUntil([&] { return counted() == 5; })) << counted();
}

TEST_F(ClientTest, LargeTensorsFindMemoryBothWays) {
  const auto daemon = Start();
  daemon->BringTestModel("echo");
  Program program(path());
  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("m-echo", &model));
  for (const size_t n : {3u, 3'000'000u, 10u, 9'000'000u}) {
    std::vector<float> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i % 1000);
    OneCall call(program, model, {static_cast<int64_t>(n)});
    ASSERT_EQ("", call.prepared);
    call.Fill(values);
    ASSERT_EQ("", call.Run()) << n;
    EXPECT_TRUE(call.Output<float>() == values) << n;
  }
}

TEST_F(ClientTest, WhatIsWrongIsSaid) {
  EXPECT_THAT(Program(dir_ / "nowhere").connected, HasSubstr("UNAVAILABLE: cannot connect to"));
  const auto daemon = Start();
  daemon->BringDigits();
  Program program(path());
  mlos_model* model = nullptr;
  EXPECT_THAT(program.Open("absent", &model), HasSubstr("NOT_FOUND"));
  EXPECT_EQ(nullptr, model);
  ASSERT_EQ("", program.Open("digits", &model));
  EXPECT_THAT(OneCall(program, model, {1, 63}).prepared,
              HasSubstr("INVALID_ARGUMENT: input \"image\" has the shape [-1,64], not [1,63]"));
  mlos_call* call = nullptr;
  ASSERT_EQ(MLOS_OK, mlos_call_create(model, &call, nullptr));
  EXPECT_EQ(MLOS_FAILED_PRECONDITION, mlos_call_run(call, 0, nullptr)) << "not prepared";
  EXPECT_EQ(MLOS_FAILED_PRECONDITION, mlos_call_wait(call, nullptr)) << "not submitted";
  mlos_request empty{sizeof(empty)};
  EXPECT_THAT(program.Say(mlos_call_prepare(call, &empty, 0, program.error())),
              HasSubstr("input \"image\" is missing"));
  mlos_request old{4};
  EXPECT_EQ(MLOS_INVALID_ARGUMENT, mlos_call_prepare(call, &old, 0, nullptr));
  const char* json = nullptr;
  EXPECT_THAT(program.Say(mlos_control(program.client, "model.load", "absent", "1", nullptr, true,
                                       kLimitUs, &json, program.error())),
              HasSubstr("NOT_FOUND"));
  EXPECT_EQ(MLOS_OK, mlos_control(program.client, "model.unload", "digits", "1", nullptr, true,
                                  kLimitUs, &json, program.error()));
  EXPECT_THAT(json, HasSubstr("unloaded"));
}

TEST_F(ClientTest, TimeRunsOutAndCallsAreCancelled) {
  const auto daemon = Start();
  daemon->BringTestModel("slow");
  Program program(path());
  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("m-slow", &model));
  OneCall call(program, model, {1});
  call.Fill<int64_t>({60'000});
  EXPECT_THAT(call.Run(50'000), HasSubstr("DEADLINE_EXCEEDED"));
  // The next run waits until the model has let go of the inputs, and then works.
  ASSERT_TRUE(WaitUntil([&] { return mlos_call_idle(call.call); }));
  call.Fill<int64_t>({0});
  EXPECT_EQ("", call.Run());
  call.Fill<int64_t>({60'000});
  ASSERT_EQ("", call.Submit());
  EXPECT_FALSE(mlos_call_done(call.call));
  mlos_call_cancel(call.call);
  EXPECT_THAT(call.Wait(), HasSubstr("CANCELLED"));
  ASSERT_TRUE(WaitUntil([&] { return mlos_call_idle(call.call); }));
  call.Fill<int64_t>({0});
  EXPECT_EQ("", call.Run());
}

TEST_F(ClientTest, ManyAreUnderWayAtOnce) {
  const auto daemon = Start();
  daemon->BringTestModel("echo");
  Program program(path());
  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("m-echo", &model));
  std::vector<std::unique_ptr<OneCall>> calls;
  calls.reserve(64);
  for (int i = 0; i < 64; ++i) {
    calls.push_back(std::make_unique<OneCall>(program, model, std::vector<int64_t>{2}));
    ASSERT_EQ("", calls.back()->prepared) << i;
  }
  EXPECT_THAT(OneCall(program, model, {2}).prepared, HasSubstr("RESOURCE_EXHAUSTED"));
  mlos_call* done = nullptr;
  EXPECT_EQ(MLOS_FAILED_PRECONDITION, mlos_model_wait_any(model, kLimitUs, &done, nullptr));
  for (int turn = 0; turn < 20; ++turn) {
    for (int i = 0; i < 64; ++i) {
      calls[i]->Fill<float>({static_cast<float>(turn), static_cast<float>(i)});
      ASSERT_EQ("", calls[i]->Submit());
    }
    for (int left = 64; left > 0; --left) {
      ASSERT_EQ(MLOS_OK, mlos_model_wait_any(model, kLimitUs, &done, nullptr));
      const auto it = std::find_if(calls.begin(), calls.end(),
                                   [&](const auto& call) { return call->call == done; });
      ASSERT_NE(it, calls.end());
      ASSERT_EQ("", (*it)->Wait());
      const std::vector<float> wanted = {static_cast<float>(turn),
                                         static_cast<float>(it - calls.begin())};
      ASSERT_EQ(wanted, (*it)->Output<float>());
    }
  }
}

TEST_F(ClientTest, GoesOnWhenThePluginHostDies) {
  const auto daemon = Start();
  daemon->BringTestModel("slow");
  Program program(path());
  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("m-slow", &model));
  OneCall call(program, model, {1});
  call.Fill<int64_t>({300});
  for (int i = 0; i < 2; ++i) {
    pid_t host = 0;
    ASSERT_TRUE(WaitUntil([&] { return (host = daemon->HostOf("slow").pid) != 0; }));
    ASSERT_EQ("", call.Submit());
    EXPECT_FALSE(mlos_call_done(call.call));
    ASSERT_EQ(0, ::kill(host, SIGKILL));
    EXPECT_EQ("", call.Wait()) << "its successor answers";
    EXPECT_EQ(std::vector<int64_t>{300}, call.Output<int64_t>());
  }
  // And when it was not looking.
  const pid_t host = daemon->HostOf("slow").pid;
  ASSERT_EQ(0, ::kill(host, SIGKILL));
  ASSERT_TRUE(WaitUntil([&] {
    const pid_t now = daemon->HostOf("slow").pid;
    return now != 0 && now != host;
  }));
  EXPECT_EQ("", call.Run());
}

TEST_F(ClientTest, NothingFailsWhileThePluginIsSwapped) {
  const Digits digits = HeldOutDigits();
  const auto daemon = Start();
  daemon->BringDigits();
  const std::string copy = CopyAsVersion(OnnxPlugin(), daemon->dir() / "copy", "1.1.0");
  ASSERT_EQ(201, daemon->RegisterPlugin(copy).status);
  std::atomic<bool> stop{false};
  std::atomic<size_t> answers{0};
  std::vector<std::string> failures;
  std::thread caller([&] {
    Program program(path());
    mlos_model* model = nullptr;
    if (std::string why = program.Open("digits", &model); !why.empty()) {
      failures.push_back(std::move(why));
      return;
    }
    OneCall call(program, model, {1, 64});
    std::memcpy(call.data(), digits.image(0).data(), 256);
    while (!stop && failures.size() < 3) {
      std::string why = call.Run();
      if (!why.empty()) failures.push_back(std::move(why));
      ++answers;
    }
  });
  for (int i = 0; i < 6; ++i) {
    const size_t before = answers;
    EXPECT_TRUE(WaitUntil([&] { return answers > before + 50; }));
    const std::string to = i % 2 == 0 ? "1.1.0" : "1.0.0";
    const Reply swapped =
        daemon->Post("/api/v1/plugins/onnxruntime/swap", R"({"to":")" + to + R"("})");
    EXPECT_EQ(200, swapped.status) << Show(swapped);
  }
  const size_t before = answers;
  EXPECT_TRUE(WaitUntil([&] { return answers > before + 50; }));
  stop = true;
  caller.join();
  EXPECT_THAT(failures, IsEmpty());
}

TEST_F(ClientTest, AModelThatIsUnloadedIsSaidToBe) {
  const auto daemon = Start();
  daemon->BringTestModel("echo");
  Program program(path());
  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("m-echo", &model));
  OneCall call(program, model, {1});
  call.Fill<float>({1});
  ASSERT_EQ("", call.Run());
  ASSERT_EQ(200, daemon->ModelAction("m-echo", "unload").status);
  EXPECT_THAT(call.Run(200'000), HasSubstr("m-echo"));
  ASSERT_EQ(200, daemon->ModelAction("m-echo", "load").status);
  EXPECT_EQ("", call.Run()) << "and is called again where it is back";
  EXPECT_EQ(std::vector<float>{1}, call.Output<float>());
}

// A program that dies in a call leaves nothing behind.
TEST_F(ClientTest, ThatIsKilledIsForgotten) {
  const auto daemon = Start();
  daemon->BringTestModel("slow");
  const pid_t host = daemon->HostOf("slow").pid;
  const auto held = [&] { return CountFds(host); };
  const size_t before = held();
  const pid_t child = ::fork();
  if (child == 0) {
    Program program(path());
    mlos_model* model = nullptr;
    if (!program.Open("m-slow", &model).empty()) ::_exit(1);
    OneCall call(program, model, {1});
    call.Fill<int64_t>({200});
    if (!call.Submit().empty()) ::_exit(1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(child, ::waitpid(child, &status, 0));
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(WaitUntil([&] { return held() <= before; })) << held() << " instead of " << before;
  EXPECT_EQ(host, daemon->HostOf("slow").pid);
}

TEST(ClientRestartTest, GoesOnWithTheNextDaemon) {
  const TempDir dir;
  const std::string path = dir / "mlos.sock";
  Restartable daemons({"--ipc-socket", path});
  std::string why;
  ASSERT_TRUE(daemons.Start(std::chrono::seconds(20), &why)) << why;
  Program program(path);
  const auto control = [&](const char* operation, const char* name, const char* version,
                           const std::string& body) {
    const char* json = nullptr;
    return program.Say(mlos_control(program.client, operation, name, version, body.c_str(), true,
                                    kLimitUs, &json, program.error()));
  };
  ASSERT_EQ("", control("plugin.register", nullptr, nullptr,
                        R"({"path":")" + TemplatePlugin() + R"("})"));
  ASSERT_EQ("", control("plugin.load", "template", "1.0.0", ""));
  ASSERT_EQ("", control("model.register", nullptr, nullptr,
                        R"({"name":"m","path":")" + SourcePath("plugins/template/model.affine") +
                            R"("})"));
  ASSERT_EQ("", control("model.load", "m", "1", ""));
  mlos_model* model = nullptr;
  ASSERT_EQ("", program.Open("m", &model));
  OneCall call(program, model, {2});
  ASSERT_EQ("", call.prepared);
  call.Fill<float>({1, 2});
  ASSERT_EQ("", call.Run());
  void* const data = call.data();
  ASSERT_TRUE(daemons.KillAndSeeAllGone());
  EXPECT_THAT(call.Run(100'000), HasSubstr("UNAVAILABLE")) << "as long as there is none";
  ASSERT_TRUE(daemons.Start(std::chrono::seconds(20), &why)) << why;
  EXPECT_EQ("", call.Run());
  EXPECT_EQ((std::vector<float>{3, 5}), call.Output<float>());
  EXPECT_EQ(data, call.data()) << "its inputs lie where they lay";
  EXPECT_EQ("", program.Open("m", &model)) << "the connection is made again too";
  EXPECT_EQ(0, daemons.Stop());
}

}  // namespace
}  // namespace mlos::test
