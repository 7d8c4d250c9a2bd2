// SPDX-License-Identifier: Apache-2.0
//
// Plugins that lie in their manifest or break the interface.
#include <filesystem>

#include "fixture.h"

namespace mlos::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kOnX =
    R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})";

class BadPluginTest : public UnharmedTest {};

TEST_F(BadPluginTest, ThatCannotBeLoadedSayWhy) {
  const struct {
    const char* name;
    const char* text;
  } cases[] = {{"abort_in_create", "Aborted"},         {"liar_abi", "major version 99"},
               {"liar_name", "somebody_else"},         {"no_symbol", "smi_plugin_entry_v1"},
               {"null_function", "required function"}, {"small_struct", "bytes"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_STATUS(201, daemon().RegisterPlugin(TestPlugin(c.name)));
    const Reply loaded = daemon().PluginAction(c.name, "load");
    EXPECT_EQ(503, loaded.status) << Show(loaded);
    EXPECT_THAT(ErrorText(loaded), AllOf(HasSubstr(c.name), HasSubstr(c.text)));
    const Reply plugin = daemon().Get("/api/v1/plugins/" + std::string(c.name) + "/versions/1.0.0");
    EXPECT_EQ("failed", At(plugin, "/state"));
    EXPECT_THAT(At(plugin, "/reason"), HasSubstr(c.text));
    EXPECT_EQ(0u, daemon().Hosts().count(std::string(c.name) + " 1.0.0"));
    EXPECT_STATUS(200,
                  daemon().Delete("/api/v1/plugins/" + std::string(c.name) + "/versions/1.0.0"));
  }
}

TEST_F(BadPluginTest, LibrariesThatAreNone) {
  const TempDir dir;
  const auto package = [&](const std::string& name, const std::string& library) {
    std::string at = dir / name;
    std::filesystem::create_directory(at);
    WriteWhole(at + "/lib.so", library);
    WriteWhole(at + "/plugin.yaml",
               "name: " + name + "\nversion: 1.0.0\nlibrary: lib.so\nformats: [" + name + "]\n");
    return at;
  };
  const std::string real = ReadWhole(TemplatePlugin() + "/libtemplate.so");
  for (const auto& [name, library] : {std::pair<std::string, std::string>{"empty", ""},
                                      {"text", "not a library"},
                                      {"cut", real.substr(0, real.size() / 3)},
                                      {"head", real.substr(0, 64)}}) {
    SCOPED_TRACE(name);
    EXPECT_STATUS(201, daemon().RegisterPlugin(package(name, library)));
    const Reply loaded = daemon().PluginAction(name, "load");
    EXPECT_EQ(503, loaded.status) << Show(loaded);
    EXPECT_THAT(ErrorText(loaded), HasSubstr(name));
  }
  // Another plugin's library under its own name.
  EXPECT_STATUS(201, daemon().RegisterPlugin(package("borrowed", real)));
  EXPECT_REFUSED(503, "\"template\"", daemon().PluginAction("borrowed", "load"));
}

TEST_F(BadPluginTest, ALibraryThatIsExchangedAfterRegisteringIsNotRegisteredAgain) {
  const TempDir dir;
  const std::string copy = dir / "package";
  std::filesystem::copy(TestPlugin("echo"), copy);
  ASSERT_EQ(201, daemon().RegisterPlugin(copy).status);
  WriteWhole(copy + "/libecho.so", "exchanged");
  EXPECT_REFUSED(409, "echo 1.0.0", daemon().RegisterPlugin(copy));
  EXPECT_REFUSED(409, "echo", daemon().PluginAction("echo", "load"));
  EXPECT_STATUS(200, daemon().Delete("/api/v1/plugins/echo/versions/1.0.0"));
}

TEST_F(BadPluginTest, ThatAnswerWronglyGetAnErrorOfTheirOwn) {
  const struct {
    const char* name;
    int status;
    const char* text;
  } cases[] = {{"never_answers", 500, "without answering"},
               {"throws", 500, "exception"},
               {"wrong_output", 500, "\"Y\""},
               {"double_answer", 200, ""},
               {"chatty", 200, ""}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    daemon().BringTestModel(c.name);
    for (int i = 0; i < 5; ++i) {
      const Reply reply = daemon().InferJson("m-" + std::string(c.name), kOnX);
      EXPECT_EQ(c.status, reply.status) << Show(reply);
      EXPECT_THAT(ErrorText(reply), HasSubstr(c.text));
    }
    EXPECT_EQ(0, daemon().HostOf(c.name).restarts);
  }
}

TEST_F(BadPluginTest, ErrorTextsOfAnyBytesBecomeJson) {
  daemon().BringTestModel("bad_text");
  const Reply run = daemon().InferJson("m-bad_text", kOnX);
  EXPECT_EQ(500, run.status) << Show(run);
  EXPECT_THAT(ErrorText(run), HasSubstr("caf"));
  EXPECT_STATUS(201, daemon().RegisterModel(
                         "refused", SourcePath("tests/plugins/model.test"),
                         R"(,"plugin":"bad_text","config":{"parameters":{"x":"refuse"}})"));
  const Reply load = daemon().ModelAction("refused", "load");
  EXPECT_EQ(503, load.status) << Show(load);
  EXPECT_THAT(ErrorText(load), AllOf(HasSubstr("refused"), HasSubstr("caf")));
  EXPECT_THAT(At(daemon().Get("/api/v1/models/refused/versions/1"), "/reason"), HasSubstr("caf"));
}

TEST_F(BadPluginTest, ThatDieLeaveTheOthersAlone) {
  for (const char* name : {"crash_in_load", "writes_input"}) MayDie(name);
  ASSERT_EQ(201, daemon().RegisterPlugin(TestPlugin("crash_in_load")).status);
  ASSERT_EQ(200, daemon().PluginAction("crash_in_load", "load").status);
  ASSERT_EQ(201, daemon()
                     .RegisterModel("crashes", SourcePath("tests/plugins/model.test"),
                                    R"(,"plugin":"crash_in_load")")
                     .status);
  const Reply loaded = daemon().ModelAction("crashes", "load");
  EXPECT_EQ(503, loaded.status) << Show(loaded);
  EXPECT_THAT(ErrorText(loaded), AllOf(HasSubstr("crash_in_load"), HasSubstr("signal 11")));
  EXPECT_REFUSED(503, "failed", daemon().InferJson("crashes", kOnX));

  daemon().BringTestModel("writes_input");  // which is mapped for reading only
  EXPECT_REFUSED(500, "died of this request", daemon().InferJson("m-writes_input", kOnX));
}

}  // namespace
}  // namespace mlos::test
