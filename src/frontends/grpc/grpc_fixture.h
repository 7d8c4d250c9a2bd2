// SPDX-License-Identifier: Apache-2.0
//
// For tests: the services before an engine and a control path that are made up,
// called over a connection in memory.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/fake_engine.h"
#include "frontends/grpc/services.h"
#include "proto/inference.pb.h"
#include "rpc/fakes.h"

namespace mlos::grpc {

// Remembers operations and answers at once, with what `answer` gives.
class FakeControl final : public control::Control {
 public:
  void Apply(control::Operation operation, std::function<void(control::Outcome)> done) override {
    operations.push_back(operation);
    if (begun && operation.begun) operation.begun(begun(operation));
    if (answer) return done(answer(operation));
    control::Outcome outcome;
    outcome.body = boost::json::object{};
    done(std::move(outcome));
  }

  std::vector<control::Operation> operations;
  std::function<control::Outcome(const control::Operation&)> answer;
  std::function<control::Outcome(const control::Operation&)> begun;  // null: nothing goes on
};

// Stands where the machine's directory of shared memory is.
class Directory {
 public:
  Directory() {
    char name[] = "/tmp/grpc_regions_XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string BytesOf(std::vector<float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

inline inference::ModelInferRequest Floats(std::string_view model,
                                           const std::vector<float>& values) {
  inference::ModelInferRequest request;
  request.set_model_name(std::string(model));
  auto* input = request.add_inputs();
  input->set_name("in");
  input->set_datatype("FP32");
  input->add_shape(static_cast<int64_t>(values.size()));
  request.add_raw_input_contents(BytesOf(values));
  return request;
}

constexpr std::string_view kService = "/inference.GRPCInferenceService/";
constexpr std::string_view kInfer = "/inference.GRPCInferenceService/ModelInfer";
constexpr std::string_view kStream = "/inference.GRPCInferenceService/ModelStreamInfer";

class GrpcTest : public testing::Test {
 protected:
  // What is posted runs, until nothing moves.
  void Settle() {
    do {
      wire_.Pump();
      loop_.io().restart();
    } while (loop_.io().poll() > 0);
    wire_.Pump();
  }
  rpc::Answer& Ask(const std::string& message, std::string_view path = kInfer) {
    const int32_t id = wire_.Open(path);
    wire_.Send(id, rpc::Framed(message), true);
    Settle();
    return wire_.answer(id);
  }
  rpc::Answer& Ask(const inference::ModelInferRequest& request) {
    return Ask(request.SerializeAsString());
  }
  // Another method of the service; the answer has to be OK.
  template <typename Answer>
  Answer Call(std::string_view method, const google::protobuf::MessageLite& request) {
    const rpc::Answer& answer =
        Ask(request.SerializeAsString(), std::string(kService) + std::string(method));
    EXPECT_EQ("0", answer.status()) << method << ": " << answer.message();
    Answer message;
    if (answer.messages().size() == 1) {
      EXPECT_TRUE(message.ParseFromString(answer.messages()[0]));
    }
    return message;
  }
  // The status of one that fails.
  std::string StatusOf(std::string_view method, const google::protobuf::MessageLite& request) {
    const rpc::Answer& answer =
        Ask(request.SerializeAsString(), std::string(kService) + std::string(method));
    EXPECT_TRUE(answer.messages().empty());
    text_ = answer.message();
    return answer.status();
  }
  static inference::ModelInferResponse Response(const rpc::Answer& answer) {
    inference::ModelInferResponse response;
    EXPECT_EQ("0", answer.status()) << answer.message();
    if (answer.messages().size() == 1) response.ParseFromString(answer.messages()[0]);
    return response;
  }
  void ExpectNothingLeft() {
    EXPECT_EQ(0, engine_.running);
    EXPECT_EQ(0u, services_.context().fills.count());
    EXPECT_EQ(0u, services_.context().fills.bytes());
    EXPECT_EQ(0u, wire_.owner().reserved);
  }

  EventLoop loop_;
  const Directory directory_;
  engine::FakeEngine engine_{loop_};
  FakeControl control_;
  frontend::RegionTable regions_{
      {.allowed = true, .owners = {}, .most = 4, .directory = directory_.path()}};
  // Writes all of it when it ends, which a test may bring about when no call runs.
  std::optional<trace::Tracer> tracer_{std::in_place, directory_ / "trace.json", 1 << 20};
  const GrpcOptions options_ = {};
  Services services_{{loop_, engine_, control_, regions_, &*tracer_}, options_};
  rpc::Wire wire_{services_.dispatcher()};
  std::string text_;  // of the last status
};

}  // namespace mlos::grpc
