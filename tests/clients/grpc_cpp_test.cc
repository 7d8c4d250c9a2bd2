// SPDX-License-Identifier: Apache-2.0
//
// The C++ client of gRPC, with the stubs that its generator makes of our pages,
// against a real daemon.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "proto/health.grpc.pb.h"
#include "proto/inference.grpc.pb.h"
#include "proto/mlos/v1/management.grpc.pb.h"

namespace mlos::test {
namespace {

using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using mlos::v1::Management;
using testing::HasSubstr;

constexpr auto kLimit = std::chrono::seconds(60);
constexpr size_t kMostBytes = size_t{64} << 20;  // grpc-max-message

class GrpcCppTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    daemon_ = new Daemon();
    daemon_->BringTestModel("echo");
    daemon_->BringTestModel("slow");
  }
  static void TearDownTestSuite() {
    delete daemon_;
    daemon_ = nullptr;
  }

  GrpcCppTest() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(daemon_->grpc_address(),
                                         grpc::InsecureChannelCredentials(), arguments);
    stub_ = GRPCInferenceService::NewStub(channel_);
    management_ = Management::NewStub(channel_);
  }

  static std::unique_ptr<grpc::ClientContext> Context(std::chrono::milliseconds limit = kLimit) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + limit);
    return context;
  }
  static ModelInferRequest Request(const std::string& model, const std::string& datatype,
                                   int64_t count, std::string raw) {
    ModelInferRequest request;
    request.set_model_name(model);
    auto* input = request.add_inputs();
    input->set_name("X");
    input->set_datatype(datatype);
    input->add_shape(count);
    *request.add_raw_input_contents() = std::move(raw);
    return request;
  }
  static ModelInferRequest Echo(const std::string& raw) {
    return Request("m-echo", "FP32", static_cast<int64_t>(raw.size() / sizeof(float)), raw);
  }
  // Takes so long, unless nobody waits for it.
  static ModelInferRequest Slow(int64_t ms) {
    return Request("m-slow", "INT64", 1,
                   std::string(reinterpret_cast<const char*>(&ms), sizeof ms));
  }
  static std::string InFlight() { return At(daemon_->Get("/api/v1/usage"), "/usage/1/in_flight"); }

  static Daemon* daemon_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<GRPCInferenceService::Stub> stub_;
  std::unique_ptr<Management::Stub> management_;
};
Daemon* GrpcCppTest::daemon_ = nullptr;

TEST_F(GrpcCppTest, Unary) {
  ModelInferRequest request = Echo(std::string(8, '\0'));
  request.clear_raw_input_contents();
  for (const float value : {1.5F, -2.F}) {
    request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(value);
  }
  request.set_id("an id");
  ModelInferResponse response;
  const grpc::Status status = stub_->ModelInfer(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ("an id", response.id());
  ASSERT_EQ(1, response.raw_output_contents_size());
  const float wanted[] = {1.5F, -2.F};
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(wanted), sizeof wanted),
            response.raw_output_contents(0));
  EXPECT_EQ(
      grpc::StatusCode::NOT_FOUND,
      stub_->ModelInfer(Context().get(), Request("nobody", "FP32", 0, ""), &response).error_code());
}

TEST_F(GrpcCppTest, AMessageOf64Megabytes) {
  std::string raw(kMostBytes - 4096, 'x');
  for (size_t i = 0; i < raw.size(); i += 4096) raw[i] = static_cast<char>(i >> 12);
  ModelInferResponse response;
  const grpc::Status status = stub_->ModelInfer(Context().get(), Echo(raw), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(response.raw_output_contents(0) == raw);
  EXPECT_EQ(grpc::StatusCode::RESOURCE_EXHAUSTED,
            stub_->ModelInfer(Context().get(), Echo(std::string(kMostBytes, 'x')), &response)
                .error_code());
}

TEST_F(GrpcCppTest, Gzip) {
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    const auto context = Context();
    context->set_compression_algorithm(algorithm);
    std::string raw(1 << 20, 'x');  // not so regular that it looks like a bomb
    for (size_t i = 0; i < raw.size(); i += 16) raw[i] = static_cast<char>(i * i >> 8);
    ModelInferResponse response;
    const grpc::Status status = stub_->ModelInfer(context.get(), Echo(raw), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.raw_output_contents(0) == raw);
  }
}

TEST_F(GrpcCppTest, AStreamKeepsItsOrder) {
  const auto context = Context();
  const auto stream = stub_->ModelStreamInfer(context.get());
  constexpr int kRequests = 100;
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      ModelInferRequest request = Echo(std::string(4, static_cast<char>(i)));
      if (i % 10 == 9) request.set_model_name("nobody");
      request.set_id(std::to_string(i));
      if (!stream->Write(request)) break;
    }
    stream->WritesDone();
  });
  inference::ModelStreamInferResponse response;
  int read = 0;
  for (; stream->Read(&response); ++read) {
    EXPECT_EQ(std::to_string(read), response.infer_response().id());
    EXPECT_EQ(read % 10 == 9, !response.error_message().empty());
  }
  writer.join();
  EXPECT_EQ(kRequests, read);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(GrpcCppTest, ADeadlineEndsTheWork) {
  ModelInferResponse response;
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(
      grpc::StatusCode::DEADLINE_EXCEEDED,
      stub_->ModelInfer(Context(std::chrono::milliseconds(300)).get(), Slow(50'000), &response)
          .error_code());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
  EXPECT_TRUE(stub_->ModelInfer(Context().get(), Slow(0), &response).ok());
}

TEST_F(GrpcCppTest, ACancelEndsTheWork) {
  const auto context = Context();
  ModelInferResponse response;
  std::thread canceller([&] {
    EXPECT_TRUE(WaitUntil([] { return InFlight() == "1"; }));
    context->TryCancel();
  });
  EXPECT_EQ(grpc::StatusCode::CANCELLED,
            stub_->ModelInfer(context.get(), Slow(50'000), &response).error_code());
  canceller.join();
  EXPECT_TRUE(WaitUntil([] { return InFlight() == "0"; }));
  EXPECT_TRUE(stub_->ModelInfer(Context().get(), Slow(0), &response).ok());
  // The same of a stream.
  const auto other = Context();
  const auto stream = stub_->ModelStreamInfer(other.get());
  ASSERT_TRUE(stream->Write(Slow(50'000)));
  EXPECT_TRUE(WaitUntil([] { return InFlight() == "1"; }));
  other->TryCancel();
  EXPECT_EQ(grpc::StatusCode::CANCELLED, stream->Finish().error_code());
  EXPECT_TRUE(stub_->ModelInfer(Context().get(), Slow(0), &response).ok());
}

TEST_F(GrpcCppTest, Health) {
  const auto stub = grpc::health::v1::Health::NewStub(channel_);
  grpc::health::v1::HealthCheckRequest request;
  grpc::health::v1::HealthCheckResponse response;
  for (const char* service : {"", "inference.GRPCInferenceService", "mlos.v1.Management"}) {
    request.set_service(service);
    EXPECT_TRUE(stub->Check(Context().get(), request, &response).ok()) << service;
    EXPECT_EQ(grpc::health::v1::HealthCheckResponse::SERVING, response.status()) << service;
  }
  request.set_service("nobody");
  EXPECT_EQ(grpc::StatusCode::NOT_FOUND,
            stub->Check(Context().get(), request, &response).error_code());
}

TEST_F(GrpcCppTest, Management) {
  v1::RegisterModelRequest request;
  request.set_name("managed");
  request.set_path(SourcePath("tests/plugins/model.test"));
  request.set_plugin("echo");
  auto& fields = *request.mutable_metadata()->mutable_fields();
  fields["team"].set_string_value("vision");
  fields["size"].set_number_value(3);
  v1::Model model;
  grpc::Status status = management_->RegisterModel(Context().get(), request, &model);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ("registered", model.state());
  EXPECT_EQ(3, model.metadata().fields().at("size").number_value());
  // A map has no order.
  const Reply registered = daemon_->Get("/api/v1/models/managed/versions/1");
  EXPECT_EQ("vision", At(registered, "/metadata/team"));
  EXPECT_EQ("3", At(registered, "/metadata/size"));

  v1::LoadModelRequest load;
  load.set_name("managed");
  load.set_version("1");
  const auto context = Context();
  const auto stream = management_->LoadModel(context.get(), load);
  std::vector<std::pair<bool, std::string>> seen;
  for (v1::ModelProgress progress; stream->Read(&progress);) {
    seen.emplace_back(progress.done(), progress.object().state());
  }
  status = stream->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(std::pair(true, std::string("ready")), seen.back());

  v1::GetModelRequest nobody;
  nobody.set_name("nobody");
  nobody.set_version("1");
  const auto failing = Context();
  status = management_->GetModel(failing.get(), nobody, &model);
  EXPECT_EQ(grpc::StatusCode::NOT_FOUND, status.error_code());
  EXPECT_THAT(status.error_message(), HasSubstr("nobody"));
  EXPECT_EQ(1u, failing->GetServerTrailingMetadata().count("mlos-hint"));
}

}  // namespace
}  // namespace mlos::test
