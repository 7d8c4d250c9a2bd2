// SPDX-License-Identifier: Apache-2.0
//
// The built plugin, driven through SMI as a host drives it: what models are
// taken and refused, and what is said about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "testing/fake_host.h"

namespace mlos::onnxrt::testing {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<int64_t> ShapeOf(const smi_tensor_spec& spec) {
  return {spec.shape, spec.shape + spec.rank};
}

class PluginTest : public ::testing::Test {
 protected:
  // One for all tests, as in a plugin host.
  static void SetUpTestSuite() { plugin_ = new Plugin(MLOS_PLUGIN_LIBRARY); }
  static void TearDownTestSuite() { delete plugin_; }
  void SetUp() override { ASSERT_TRUE(plugin_->ok()) << plugin_->error(); }

  static Artefact File(const std::string& name, const std::vector<std::string>& others = {}) {
    return Artefact::FromDirectory(MLOS_TESTDATA, name, others);
  }
  static std::string LoadError(const Artefact& artefact, const std::string& config = "{}") {
    const LoadedModel model(*plugin_, artefact, config);
    return model.ok() ? "loaded" : model.error();
  }

  static Plugin* plugin_;
};
Plugin* PluginTest::plugin_ = nullptr;

TEST_F(PluginTest, TableIsComplete) {
  const smi_plugin_api& api = plugin_->api();
  EXPECT_EQ(api.struct_size, sizeof(smi_plugin_api));
  EXPECT_EQ(api.version_major, SMI_VERSION_MAJOR);
  EXPECT_STREQ(api.name, "onnxruntime");
  EXPECT_EQ(api.get_extension("mlos.plugin.unknown/1"), nullptr);
}

TEST_F(PluginTest, PropertiesNameVersionAndLoadableProviders) {
  const auto* extension =
      static_cast<const smi_ext_properties*>(plugin_->api().get_extension(SMI_EXT_PROPERTIES));
  ASSERT_NE(extension, nullptr);
  const std::string text = extension->properties(plugin_->instance());
  EXPECT_THAT(text, HasSubstr("\"onnxruntime\":\"1."));
  EXPECT_THAT(text, HasSubstr("\"CPUExecutionProvider\""));
  EXPECT_THAT(text, Not(HasSubstr("Azure")));
}

TEST_F(PluginTest, DescribesModel) {
  const LoadedModel model(*plugin_, File("classifier.onnx"));
  ASSERT_TRUE(model.ok()) << model.error();
  const smi_model_info& info = model.info();
  ASSERT_EQ(info.input_count, 1u);
  EXPECT_STREQ(info.inputs[0].name, "x");
  EXPECT_EQ(info.inputs[0].datatype, static_cast<smi_datatype>(SMI_FP32));
  EXPECT_THAT(ShapeOf(info.inputs[0]), ElementsAre(-1, 64));
  EXPECT_FALSE(info.inputs[0].optional);
  ASSERT_EQ(info.output_count, 1u);
  EXPECT_STREQ(info.outputs[0].name, "p");
  EXPECT_THAT(ShapeOf(info.outputs[0]), ElementsAre(-1, 10));
  EXPECT_EQ(info.max_batch_size, 0u);
  EXPECT_GE(info.max_concurrency, 1u);
  EXPECT_EQ(info.replay, static_cast<smi_replay>(SMI_REPLAY_SAFE));
  EXPECT_STREQ(info.platform, "onnxruntime_onnx");
}

TEST_F(PluginTest, InputWithDefaultIsNoInput) {
  const LoadedModel model(*plugin_, File("default_input.onnx"));
  ASSERT_TRUE(model.ok()) << model.error();
  ASSERT_EQ(model.info().input_count, 1u);
  EXPECT_STREQ(model.info().inputs[0].name, "a");
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {2}, {1, 2});
  ASSERT_EQ(request.Run(model), SMI_OK) << request.error();
  EXPECT_THAT(request.values<float>(0), ElementsAre(11, 22));
}

TEST_F(PluginTest, ConfigurationReachesTheModel) {
  const LoadedModel model(*plugin_, File("classifier.onnx"),
                          R"({"max_batch_size": 8, "instance_group": [{"count": 3}],
                              "parameters": {"stateful": {"string_value": "true"},
                                             "intra_op_thread_count": {"string_value": "2"},
                                             "enable_cpu_mem_arena": {"string_value": "0"},
                                             "colour": {"string_value": "blue"}}})");
  ASSERT_TRUE(model.ok()) << model.error();
  EXPECT_EQ(model.info().max_batch_size, 8u);
  EXPECT_EQ(model.info().max_concurrency, 3u);
  EXPECT_EQ(model.info().replay, static_cast<smi_replay>(SMI_REPLAY_NEVER));
  EXPECT_THAT(plugin_->log(), Contains(HasSubstr("'colour'")));
}

TEST_F(PluginTest, RefusesBatchingWhereTheModelHasNone) {
  EXPECT_THAT(LoadError(File("fixed.onnx"), R"({"max_batch_size": 4})"),
              AllOf(HasSubstr("max_batch_size is 4"), HasSubstr("'x'"), HasSubstr("[2,3]")));
}

TEST_F(PluginTest, BadConfigurationNamesParameterValueAndRange) {
  EXPECT_THAT(LoadError(File("fixed.onnx"),
                        R"({"parameters": {"intra_op_thread_count": {"string_value": "many"}}})"),
              AllOf(StartsWith("model 'm': "), HasSubstr("'intra_op_thread_count'"),
                    HasSubstr("'many'"), HasSubstr("256")));
}

TEST_F(PluginTest, RefusesWhatIsNoModel) {
  Artefact empty, text, cut;
  empty.Add("", "");
  text.Add("", "this is not a model, whatever its name says");
  const std::string whole = ReadFile(std::string(MLOS_TESTDATA) + "/classifier.onnx");
  cut.Add("", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(LoadError(empty), AllOf(HasSubstr("'m'"), HasSubstr("empty")));
  EXPECT_THAT(LoadError(text), HasSubstr("not an ONNX model"));
  EXPECT_THAT(LoadError(cut), HasSubstr("the model's file"));
  EXPECT_THAT(LoadError(Artefact()), HasSubstr("could not be opened"));
}

// No prefix of a model and no flipped byte may do more than fail to load.
TEST_F(PluginTest, DamagedModelsAreRefusedOrRun) {
  for (const char* name : {"branches.onnx", "external.onnx", "two_outputs.onnx"}) {
    const std::string whole = ReadFile(std::string(MLOS_TESTDATA) + "/" + name);
    const std::string weights = ReadFile(std::string(MLOS_TESTDATA) + "/weights.bin");
    for (size_t i = 0; i < whole.size(); ++i) {
      Artefact cut, flipped;
      cut.Add("", whole.substr(0, i));
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      flipped.Add("", changed);
      flipped.Add("weights.bin", weights);
      const LoadedModel short_model(*plugin_, cut);
      EXPECT_FALSE(short_model.ok()) << name << " cut after " << i;
      const LoadedModel model(*plugin_, flipped);
      EXPECT_TRUE(model.ok() || !model.error().empty());
    }
  }
}

TEST_F(PluginTest, RefusesWhatCannotBeServed) {
  EXPECT_THAT(LoadError(File("sequence.onnx")), AllOf(HasSubstr("'y'"), HasSubstr("a sequence")));
  EXPECT_THAT(LoadError(File("shapeless_input.onnx")),
              AllOf(HasSubstr("'x'"), HasSubstr("declares no shape")));
}

TEST_F(PluginTest, FindsRankOfShapelessOutputByTrial) {
  const LoadedModel model(*plugin_, File("found_rank.onnx"));
  ASSERT_TRUE(model.ok()) << model.error();
  EXPECT_THAT(ShapeOf(model.info().outputs[0]), ElementsAre(-1, -1));
  EXPECT_THAT(LoadError(File("unknown_rank.onnx")), HasSubstr("loaded"));
}

TEST_F(PluginTest, ExternalDataFromTheArtefact) {
  for (const char* name : {"external.onnx", "external_dot.onnx", "external_constant.onnx"}) {
    const LoadedModel model(*plugin_, File(name, {"weights.bin"}));
    ASSERT_TRUE(model.ok()) << name << ": " << model.error();
    FakeRequest request;
    request.AddInput<float>(0, SMI_FP32, {1, 4}, {1, 1, 1, 1});
    ASSERT_EQ(request.Run(model), SMI_OK) << name << ": " << request.error();
    EXPECT_THAT(request.values<float>(0), ElementsAre(24, 28, 32, 36)) << name;
  }
}

TEST_F(PluginTest, ExternalDataInSubgraphsAndShapes) {
  const LoadedModel inner(*plugin_, File("external_inner.onnx", {"weights.bin"}));
  ASSERT_TRUE(inner.ok()) << inner.error();
  FakeRequest request;
  request.AddInput<char>(0, SMI_BOOL, {}, {1});
  request.AddInput<float>(1, SMI_FP32, {1, 4}, {1, 1, 1, 1});
  ASSERT_EQ(request.Run(inner), SMI_OK) << request.error();
  EXPECT_THAT(request.values<float>(0), ElementsAre(24, 28, 32, 36));

  const LoadedModel shape(*plugin_, File("external_shape.onnx", {"shape.bin"}));
  ASSERT_TRUE(shape.ok()) << shape.error();
  EXPECT_THAT(ShapeOf(shape.info().outputs[0]), ElementsAre(2, 2));
}

TEST_F(PluginTest, LargeExternalDataFromTheArtefact) {
  const LoadedModel model(*plugin_, File("external_large.onnx", {"large.bin"}));
  ASSERT_TRUE(model.ok()) << model.error();
  FakeRequest request;
  request.AddInput<float>(0, SMI_FP32, {1, 4}, {1, 1, 1, 1});
  ASSERT_EQ(request.Run(model), SMI_OK) << request.error();
  for (int i = 0; i < 256; ++i) {
    ASSERT_EQ(request.values<float>(0)[i], static_cast<float>(4 * i + 256 * 6)) << i;
  }
}

TEST_F(PluginTest, ExternalDataElsewhereIsRefusedByName) {
  const std::vector<std::string> weights = {"weights.bin"};
  EXPECT_THAT(LoadError(File("external_missing.onnx", weights)),
              AllOf(HasSubstr("'w'"), HasSubstr("'absent.bin'"), HasSubstr("not among")));
  EXPECT_THAT(LoadError(File("external_parent.onnx", weights)),
              AllOf(HasSubstr("'../weights.bin'"), HasSubstr("not a name inside")));
  EXPECT_THAT(LoadError(File("external_absolute.onnx", weights)),
              AllOf(HasSubstr("'/etc/passwd'"), HasSubstr("not a name inside")));
  EXPECT_THAT(LoadError(File("external_address.onnx", weights)),
              AllOf(HasSubstr("'*/_ORT_MEM_ADDR_/*'"), HasSubstr("not among")));
  EXPECT_THAT(LoadError(File("external_beyond.onnx", weights)),
              AllOf(HasSubstr("'w'"), HasSubstr("64 bytes from offset 32")));
  EXPECT_THAT(LoadError(File("external_short.onnx", weights)),
              AllOf(HasSubstr("takes 64 bytes"), HasSubstr("said to have 32")));
}

TEST_F(PluginTest, WarmUpNeverFailsALoad) {
  const auto* extension =
      static_cast<const smi_ext_warm_up*>(plugin_->api().get_extension(SMI_EXT_WARM_UP));
  ASSERT_NE(extension, nullptr);
  for (const char* name : {"classifier.onnx", "identity_bytes.onnx", "unknown_rank.onnx"}) {
    const LoadedModel model(*plugin_, File(name));
    ASSERT_TRUE(model.ok()) << model.error();
    EXPECT_EQ(extension->warm_up(model.get(), nullptr), SMI_OK) << name;
  }
}

// A copy of the package in a directory of its own.
class PackageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // A place of its own for each test: libraries stay mapped under their path.
    const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    copy_ = fs::temp_directory_path() / ("mlos-" + test + "-" + std::to_string(getpid()));
    fs::remove_all(copy_);
    fs::copy(fs::path(MLOS_PLUGIN_LIBRARY).parent_path(), copy_, fs::copy_options::recursive);
  }
  void TearDown() override { fs::remove_all(copy_); }

  fs::path library() const { return copy_ / "libmlos_onnxruntime.so"; }
  fs::path framework() const { return copy_ / "libonnxruntime.so.1"; }

 private:
  fs::path copy_;
};

TEST_F(PackageTest, WorksFromAnotherPlace) {
  const Plugin plugin(library().string());
  ASSERT_TRUE(plugin.ok()) << plugin.error();
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the test has one thread.
  EXPECT_STREQ(getenv("ORT_DISABLE_TELEMETRY"), "1");
}

TEST_F(PackageTest, TooOldALibraryIsNamed) {
  fs::copy_file(MLOS_OLD_LIBRARY, framework(), fs::copy_options::overwrite_existing);
  const Plugin plugin(library().string());
  EXPECT_FALSE(plugin.ok());
  EXPECT_THAT(plugin.error(), AllOf(HasSubstr("version 1.5.2"), HasSubstr("or newer")));
}

TEST_F(PackageTest, BrokenLibraryIsNamed) {
  fs::resize_file(framework(), 100);
  const Plugin plugin(library().string());
  EXPECT_FALSE(plugin.ok());
  EXPECT_THAT(plugin.error(), AllOf(HasSubstr("libonnxruntime.so.1"), HasSubstr("beside")));
}

}  // namespace
}  // namespace mlos::onnxrt::testing
