// SPDX-License-Identifier: Apache-2.0
//
// What the service has beside inference itself, and the extensions of that.
#include <boost/json/serialize.hpp>
#include <fstream>

#include "frontends/grpc/grpc_fixture.h"
#include "repository/given.h"

namespace mlos::grpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class ServicesGrpcTest : public GrpcTest {
 protected:
  void Object(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name) << content;
  }
  std::string Content(const std::string& name) {
    std::ifstream in(directory_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void Register(const std::string& name, const std::string& key, uint64_t bytes) {
    inference::SystemSharedMemoryRegisterRequest request;
    request.set_name(name);
    request.set_key(key);
    request.set_byte_size(bytes);
    Call<inference::SystemSharedMemoryRegisterResponse>("SystemSharedMemoryRegister", request);
  }
};

template <typename T>
void Place(T* tensor, const std::string& region, int64_t bytes, int64_t offset = 0) {
  auto& parameters = *tensor->mutable_parameters();
  parameters["shared_memory_region"].set_string_param(region);
  parameters["shared_memory_byte_size"].set_int64_param(bytes);
  if (offset != 0) parameters["shared_memory_offset"].set_int64_param(offset);
}

TEST_F(ServicesGrpcTest, TellsOfTheServer) {
  const auto metadata =
      Call<inference::ServerMetadataResponse>("ServerMetadata", inference::ServerMetadataRequest());
  EXPECT_EQ("mlos", metadata.name());
  EXPECT_THAT(metadata.extensions(), Contains("statistics"));
  EXPECT_THAT(metadata.extensions(), Contains("system_shared_memory"));
  EXPECT_TRUE(
      Call<inference::ServerLiveResponse>("ServerLive", inference::ServerLiveRequest()).live());
  const inference::ServerReadyRequest ask;
  EXPECT_TRUE(Call<inference::ServerReadyResponse>("ServerReady", ask).ready());
  engine_.SetReady(false);
  EXPECT_FALSE(Call<inference::ServerReadyResponse>("ServerReady", ask).ready());
  EXPECT_EQ("3", Ask("\xff", std::string(kService) + "ModelReady").status());
  ExpectNothingLeft();
}

TEST_F(ServicesGrpcTest, TellsOfModels) {
  inference::ModelMetadataRequest which;
  which.set_name("pair");
  const auto metadata = Call<inference::ModelMetadataResponse>("ModelMetadata", which);
  EXPECT_THAT(metadata.versions(), ElementsAre("1", "7"));
  EXPECT_EQ("fakeplugin", metadata.platform());
  ASSERT_EQ(3, metadata.inputs_size());
  EXPECT_THAT(metadata.inputs(1).shape(), ElementsAre(-1, 2));
  which.set_name("ondemand");
  Call<inference::ModelMetadataResponse>("ModelMetadata", which);
  which.set_version("3");
  EXPECT_EQ("5", StatusOf("ModelMetadata", which));

  inference::ModelConfigRequest config;
  config.set_name("pair");
  EXPECT_EQ("pair", Call<inference::ModelConfigResponse>("ModelConfig", config).config().name());
  config.set_name("nothing");
  EXPECT_EQ("5", StatusOf("ModelConfig", config));

  inference::ModelReadyRequest ready;
  ready.set_name("unloaded");
  EXPECT_FALSE(Call<inference::ModelReadyResponse>("ModelReady", ready).ready());
  ready.set_name("nothing");
  EXPECT_EQ("5", StatusOf("ModelReady", ready));
  ExpectNothingLeft();
}

TEST_F(ServicesGrpcTest, CountsRequests) {
  for (int i = 0; i < 3; ++i) Response(Ask(Floats("id_FP32", {1})));
  Ask(Floats("id_FP32", {1, 2}).SerializeAsString().substr(0, 20));
  inference::ModelStatisticsRequest which;
  which.set_name("id_FP32");
  const auto answer = Call<inference::ModelStatisticsResponse>("ModelStatistics", which);
  ASSERT_EQ(1, answer.model_stats_size());
  const inference::ModelStatistics& stats = answer.model_stats(0);
  EXPECT_EQ("1", stats.version());
  EXPECT_EQ(3u, stats.inference_count());
  EXPECT_GT(stats.last_inference(), 0u);
  EXPECT_EQ(3u, stats.inference_stats().success().count());
  EXPECT_EQ(3u, stats.inference_stats().queue().count());
  EXPECT_EQ(3u, stats.inference_stats().compute_infer().count());
  EXPECT_TRUE(stats.inference_stats().has_cache_hit());
  EXPECT_EQ(3u, stats.response_stats().at("0").success().count());
  which.set_name("nothing");
  EXPECT_EQ("3", StatusOf("ModelStatistics", which));
}

TEST_F(ServicesGrpcTest, ListsLoadsAndUnloads) {
  inference::RepositoryIndexRequest ask;
  ask.set_ready(true);
  const auto index = Call<inference::RepositoryIndexResponse>("RepositoryIndex", ask);
  EXPECT_GT(index.models_size(), 10);
  for (const auto& model : index.models()) EXPECT_EQ("READY", model.state()) << model.name();
  ask.set_repository_name("other");
  EXPECT_EQ("12", StatusOf("RepositoryIndex", ask));

  inference::RepositoryModelLoadRequest load;
  load.set_model_name("digits");
  Call<inference::RepositoryModelLoadResponse>("RepositoryModelLoad", load);
  ASSERT_EQ(1u, control_.operations.size());
  EXPECT_EQ(control::OperationKind::kLoadModelVersions, control_.operations[0].kind);
  EXPECT_EQ("digits", control_.operations[0].name);
  // Another server's clients put the name first.
  load.clear_model_name();
  load.set_repository_name("digits");
  Call<inference::RepositoryModelLoadResponse>("RepositoryModelLoad", load);
  EXPECT_EQ("digits", control_.operations.back().name);
  load.clear_repository_name();
  EXPECT_EQ("3", StatusOf("RepositoryModelLoad", load));
  load.set_model_name("digits");
  load.set_repository_name("other");
  EXPECT_EQ("12", StatusOf("RepositoryModelLoad", load));
  load.clear_repository_name();
  (*load.mutable_parameters())["speed"].set_bool_param(true);
  EXPECT_EQ("3", StatusOf("RepositoryModelLoad", load));

  inference::RepositoryModelUnloadRequest unload;
  unload.set_model_name("digits");
  (*unload.mutable_parameters())["unload_dependents"].set_bool_param(true);
  Call<inference::RepositoryModelUnloadResponse>("RepositoryModelUnload", unload);
  EXPECT_EQ(control::OperationKind::kUnloadModelVersions, control_.operations.back().kind);
  control_.answer = [](const auto&) {
    control::Outcome outcome;
    outcome.status = NotFound("there is no such model");
    return outcome;
  };
  EXPECT_EQ("5", StatusOf("RepositoryModelUnload", unload));
  ExpectNothingLeft();
}

TEST_F(ServicesGrpcTest, LoadsWithWhatTheCallBringsAlong) {
  inference::RepositoryModelLoadRequest load;
  load.set_model_name("m");
  auto& parameters = *load.mutable_parameters();
  const std::string content("\0\xff", 2);
  parameters["config"].set_string_param("{}");
  parameters["file:2/model.onnx"].set_bytes_param(content);
  Call<inference::RepositoryModelLoadResponse>("RepositoryModelLoad", load);
  ASSERT_EQ(1u, control_.operations.size());
  const auto given = control_.operations[0].given;
  ASSERT_NE(nullptr, given);
  EXPECT_EQ("{}", given->config);
  ASSERT_EQ(1u, given->files.size());
  EXPECT_EQ("2/model.onnx", given->files[0].path);
  EXPECT_EQ(content, given->files[0].content);
  EXPECT_FALSE(given->files[0].base64);
  // As large as a request of management may be, which is not what it is counted
  // as once it is parsed.
  parameters["file:2/model.onnx"].set_bytes_param(std::string(900'000, 'x'));
  wire_.owner().limit = 4 << 20;
  Call<inference::RepositoryModelLoadResponse>("RepositoryModelLoad", load);
  EXPECT_EQ(900'000u, control_.operations.back().given->files[0].content.size());
  parameters["file:2/model.onnx"].set_bytes_param(std::string(2'000'000, 'x'));
  EXPECT_EQ("8", StatusOf("RepositoryModelLoad", load));
  parameters["file:2/model.onnx"].set_string_param("x");
  EXPECT_EQ("3", StatusOf("RepositoryModelLoad", load));
  EXPECT_THAT(text_, HasSubstr("file:2/model.onnx"));
  parameters["file:2/model.onnx"].set_bytes_param("x");
  parameters["config"].set_bytes_param("{}");
  EXPECT_EQ("3", StatusOf("RepositoryModelLoad", load));
  parameters.erase("config");  // files need one
  EXPECT_EQ("3", StatusOf("RepositoryModelLoad", load));
  parameters["config"].set_string_param("{}");
  parameters["file:../model.onnx"].set_bytes_param("x");
  EXPECT_EQ("3", StatusOf("RepositoryModelLoad", load));
  for (int i = 0; i < 5000; ++i) parameters["file:" + std::to_string(i)];
  EXPECT_EQ("3", StatusOf("RepositoryModelLoad", load));
  EXPECT_THAT(text_, HasSubstr("too many"));
  EXPECT_EQ(2u, control_.operations.size());
  ExpectNothingLeft();
}

TEST_F(ServicesGrpcTest, SetsTracing) {
  control_.answer = [](const control::Operation& operation) {
    control::Outcome outcome;
    outcome.body = boost::json::object{
        {"model", nullptr},
        {"settings",
         {{"trace_rate", "7"}, {"trace_level", boost::json::array{"TIMESTAMPS", "TENSORS"}}}}};
    if (operation.kind == control::OperationKind::kGetTraceSettings) return outcome;
    const boost::json::object& settings = operation.body.at("settings").as_object();
    EXPECT_EQ(2u, settings.size());
    EXPECT_TRUE(settings.at("trace_count").is_null());
    EXPECT_EQ(R"(["7"])", boost::json::serialize(settings.at("trace_rate")));
    EXPECT_EQ("digits", operation.body.at("model").as_string());
    return outcome;
  };
  inference::TraceSettingRequest request;
  const auto shown = Call<inference::TraceSettingResponse>("TraceSetting", request);
  EXPECT_THAT(shown.settings().at("trace_rate").value(), ElementsAre("7"));
  EXPECT_THAT(shown.settings().at("trace_level").value(), ElementsAre("TIMESTAMPS", "TENSORS"));
  EXPECT_EQ(control::OperationKind::kGetTraceSettings, control_.operations.back().kind);
  (*request.mutable_settings())["trace_rate"].add_value("7");
  (*request.mutable_settings())["trace_count"];
  request.set_model_name("digits");
  Call<inference::TraceSettingResponse>("TraceSetting", request);
  EXPECT_EQ(control::OperationKind::kSetTraceSettings, control_.operations.back().kind);
}

TEST_F(ServicesGrpcTest, SetsTheLog) {
  inference::LogSettingsRequest request;
  auto shown = Call<inference::LogSettingsResponse>("LogSettings", request);
  EXPECT_TRUE(shown.settings().at("log_error").bool_param());
  EXPECT_EQ("", shown.settings().at("log_file").string_param());
  EXPECT_TRUE(control_.operations.empty());
  (*request.mutable_settings())["log_verbose_level"].set_uint32_param(2);
  (*request.mutable_settings())["log_info"].set_bool_param(false);
  Call<inference::LogSettingsResponse>("LogSettings", request);
  ASSERT_EQ(1u, control_.operations.size());
  EXPECT_EQ(2, control_.operations[0].body.at("verbose").to_number<int>());
  EXPECT_EQ("off", control_.operations[0].body.at("info").as_string());
  (*request.mutable_settings())["log_info"].set_uint32_param(1);
  EXPECT_EQ("3", StatusOf("LogSettings", request));
  request.clear_settings();
  (*request.mutable_settings())["log_file"].set_string_param("/tmp/x");
  EXPECT_EQ("12", StatusOf("LogSettings", request));
}

TEST_F(ServicesGrpcTest, TracesRequests) {
  ASSERT_TRUE(
      tracer_->Set("", {{"trace_level", {"TIMESTAMPS", "TENSORS"}}, {"trace_rate", {"1"}}}).ok());
  ModelInferRequest request = Floats("id_FP32", {1, 2});
  request.set_id("mine");
  Response(Ask(request));
  Ask(Floats("fail_INTERNAL", {1}));
  tracer_.reset();
  const std::string written = Content("trace.json");
  for (const char* word : {"\"mine\"", "fail_INTERNAL", "GRPC_WAITREAD_START", "GRPC_SEND_END",
                           "COMPUTE_START", "TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT"}) {
    EXPECT_THAT(written, HasSubstr(word));
  }
}

TEST_F(ServicesGrpcTest, Classifies) {
  ModelInferRequest request = Floats("scores", {-1, 5, 2, 3, 4, 0, -3, -2, -0.5, -1});
  request.mutable_inputs(0)->clear_shape();
  request.mutable_inputs(0)->add_shape(2);
  request.mutable_inputs(0)->add_shape(5);
  auto* output = request.add_outputs();
  output->set_name("out");
  (*output->mutable_parameters())["classification"].set_int64_param(1);
  const ModelInferResponse response = Response(Ask(request));
  ASSERT_EQ(1, response.outputs_size());
  EXPECT_EQ("BYTES", response.outputs(0).datatype());
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(2, 1));
  EXPECT_THAT(response.raw_output_contents(),
              ElementsAre(std::string("\x0e\0\0\0", 4) + "5.000000:1:one" +
                          std::string("\x0f\0\0\0", 4) + "0.000000:0:zero"));
  // 0 asks for nothing, a text is no number.
  (*output->mutable_parameters())["classification"].set_int64_param(0);
  EXPECT_EQ("FP32", Response(Ask(request)).outputs(0).datatype());
  (*output->mutable_parameters())["classification"].set_string_param("3");
  EXPECT_EQ("3", Ask(request).status());
  ExpectNothingLeft();
}

TEST_F(ServicesGrpcTest, ReadsFromAndWritesToSharedMemory) {
  Object("in", "xxxx" + BytesOf({1, 2, 3}));
  Object("out", std::string(16, '.'));
  Register("a", "/in", 16);
  Register("b", "out", 16);
  ModelInferRequest request;
  request.set_model_name("id_FP32");
  auto* input = request.add_inputs();
  input->set_name("in");
  input->set_datatype("FP32");
  input->add_shape(3);
  Place(input, "a", 12, 4);
  auto* output = request.add_outputs();
  output->set_name("out");
  Place(output, "b", 14, 2);
  const ModelInferResponse response = Response(Ask(request));
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(3));
  EXPECT_THAT(response.raw_output_contents(), ElementsAre(""));
  EXPECT_EQ(".." + BytesOf({1, 2, 3}) + "..", Content("out"));

  (*output->mutable_parameters())["shared_memory_byte_size"].set_int64_param(11);
  EXPECT_EQ("13", Ask(request).status());
  request.clear_outputs();
  (*input->mutable_parameters())["shared_memory_byte_size"].set_int64_param(8);
  EXPECT_EQ("3", Ask(request).status());  // not what the shape takes
  (*input->mutable_parameters())["shared_memory_offset"].set_uint64_param(UINT64_MAX);
  EXPECT_EQ("3", Ask(request).status());
  (*input->mutable_parameters())["shared_memory_region"].set_string_param("c");
  (*input->mutable_parameters())["shared_memory_byte_size"].set_int64_param(12);
  EXPECT_EQ("5", Ask(request).status());
  input->mutable_parameters()->erase("shared_memory_byte_size");
  EXPECT_EQ("3", Ask(request).status());
  Place(input, "a", 12, 4);
  input->mutable_contents()->add_fp32_contents(1);
  EXPECT_EQ("3", Ask(request).status());
  ExpectNothingLeft();
}

// Raw contents are there for the inputs that are not in shared memory.
TEST_F(ServicesGrpcTest, MixesSharedMemoryAndRawContents) {
  Object("in", std::string("\7\0\0\0", 4));
  Register("a", "in", 4);
  ModelInferRequest request;
  request.set_model_name("pair");
  auto* a = request.add_inputs();
  a->set_name("a");
  a->set_datatype("INT32");
  a->add_shape(1);
  Place(a, "a", 4);
  auto* b = request.add_inputs();
  b->set_name("b");
  b->set_datatype("FP32");
  b->add_shape(1);
  b->add_shape(2);
  request.add_raw_input_contents(BytesOf({5, 6}));
  const ModelInferResponse response = Response(Ask(request));
  EXPECT_EQ(std::string("\7\0\0\0", 4), response.raw_output_contents(0));
  EXPECT_EQ(BytesOf({5, 6}), response.raw_output_contents(1));
  request.add_raw_input_contents("more");
  EXPECT_EQ("3", Ask(request).status());
  ExpectNothingLeft();
}

TEST_F(ServicesGrpcTest, KeepsRegions) {
  Object("in", "0123456789");
  Register("a", "in", 10);
  inference::SystemSharedMemoryStatusRequest ask;
  auto shown = Call<inference::SystemSharedMemoryStatusResponse>("SystemSharedMemoryStatus", ask);
  EXPECT_EQ("in", shown.regions().at("a").key());
  EXPECT_EQ(10u, shown.regions().at("a").byte_size());
  ask.set_name("b");
  EXPECT_EQ("5", StatusOf("SystemSharedMemoryStatus", ask));
  inference::SystemSharedMemoryRegisterRequest again;
  again.set_name("a");
  again.set_key("in");
  again.set_byte_size(10);
  EXPECT_EQ("6", StatusOf("SystemSharedMemoryRegister", again));
  again.set_name("b");
  again.set_byte_size(11);
  EXPECT_EQ("3", StatusOf("SystemSharedMemoryRegister", again));
  Call<inference::SystemSharedMemoryUnregisterResponse>(
      "SystemSharedMemoryUnregister", inference::SystemSharedMemoryUnregisterRequest());
  EXPECT_TRUE(regions_.List(frontend::kAnonymous).empty());
}

TEST_F(ServicesGrpcTest, HasNoGpu) {
  inference::CudaSharedMemoryStatusRequest ask;
  EXPECT_TRUE(Call<inference::CudaSharedMemoryStatusResponse>("CudaSharedMemoryStatus", ask)
                  .regions()
                  .empty());
  Call<inference::CudaSharedMemoryUnregisterResponse>(
      "CudaSharedMemoryUnregister", inference::CudaSharedMemoryUnregisterRequest());
  EXPECT_EQ("3",
            StatusOf("CudaSharedMemoryRegister", inference::CudaSharedMemoryRegisterRequest()));
  EXPECT_THAT(text_, HasSubstr("GPU"));
}

TEST_F(ServicesGrpcTest, TakesNoLargeRequests) {
  inference::ModelReadyRequest request;
  request.set_name(std::string(2 << 20, 'x'));
  EXPECT_EQ("8", StatusOf("ModelReady", request));
  ExpectNothingLeft();
}

}  // namespace
}  // namespace mlos::grpc
