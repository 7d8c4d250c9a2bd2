// SPDX-License-Identifier: Apache-2.0
//
// Loads that bring along a configuration, and files, in place of a repository's.
#include <csignal>
#include <filesystem>
#include <optional>

#include "fixture.h"
#include "repository_fixture.h"
#include "restartable.h"

namespace mlos::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string Base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t b = 0; b < 3; ++b) {
      bits = bits << 8 | (b < count ? static_cast<uint8_t>(bytes[i + b]) : 0U);
    }
    for (size_t d = 0; d < 4; ++d) out += d <= count ? kDigits[bits >> (18 - 6 * d) & 63] : '=';
  }
  return out;
}

// "m" multiplies by `scale` in version `version`; base64 as the protocol has it.
std::string GivenFile(int version, int scale) {
  return "\"file:" + std::to_string(version) + "/model.affine\":\"" +
         Base64(Repository::Content(scale)) + "\"";
}

Reply LoadWith(Daemon& daemon, const std::string& model, const std::string& parameters) {
  return daemon.Post("/v2/repository/models/" + model + "/load",
                     R"({"parameters":{)" + parameters + "}}");
}

std::string Indexed(Daemon& daemon) { return daemon.Post("/v2/repository/index", "").body; }

// Directories of files that are kept for loads.
size_t KeptFor(Daemon& daemon) {
  std::error_code none;
  return static_cast<size_t>(std::distance(
      fs::directory_iterator(daemon.data_dir() + "/given", none), fs::directory_iterator()));
}

class RepositoryGivenTest : public testing::Test {
 protected:
  void Start(const std::string& mode = "explicit") {
    daemon_.emplace(Args(repository_, {"--model-control-mode", mode}));
    ASSERT_TRUE(Ready(*daemon_));
  }
  Reply Load(const std::string& parameters, const std::string& model = "m") {
    return LoadWith(*daemon_, model, parameters);
  }
  std::string Config(const std::string& model = "m") {
    return daemon_->Get("/v2/models/" + model + "/config").body;
  }
  const Repository repository_;
  std::optional<Daemon> daemon_;
};

TEST_F(RepositoryGivenTest, AConfigurationServesUntilTheNextLoad) {
  repository_.Affine("m", 1, 2);
  repository_.Affine("m", 2, 3);
  Start();
  EXPECT_STATUS(200, Load(""));
  EXPECT_EQ(3, ScaleOf(*daemon_, "m"));
  // What is served beside it when it comes is what the new configuration says.
  const Reply loaded = Load(R"("config":"{\"version_policy\":{\"specific\":{\"versions\":[1]}},)"
                            R"(\"parameters\":{\"said\":\"by the load\"}}")");
  EXPECT_STATUS(200, loaded);
  EXPECT_EQ("", loaded.body);
  EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
  EXPECT_THAT(Config(), HasSubstr("by the load"));
  EXPECT_TRUE(Becomes(*daemon_, "unloaded", "m", 2));
  EXPECT_STATUS(200, Load(""));
  EXPECT_EQ(3, ScaleOf(*daemon_, "m"));
  EXPECT_THAT(Config(), testing::Not(HasSubstr("by the load")));
}

TEST_F(RepositoryGivenTest, TheConfigurationThatIsShownCanBeGiven) {
  repository_.Affine("m", 1, 2);
  Start();
  EXPECT_STATUS(200, Load(""));
  std::string config = Config();
  std::string text;
  for (const char c : config)
    text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  EXPECT_STATUS(200, Load("\"config\":\"" + text + "\""));
  EXPECT_EQ(config, Config());
  EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
}

TEST_F(RepositoryGivenTest, FilesStandForTheRepositorys) {
  repository_.Affine("m", 3, 2);
  Start();
  EXPECT_STATUS(200, Load(""));
  EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
  EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(1, 7)));
  EXPECT_EQ(7, ScaleOf(*daemon_, "m"));
  EXPECT_TRUE(WaitUntil(
      [&] { return daemon_->Post("/v2/models/m/versions/3/infer", kOnX).status == 404; }));
  // The same version with other content, and both at once.
  EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(1, 8)));
  EXPECT_EQ(8, ScaleOf(*daemon_, "m"));
  EXPECT_TRUE(WaitUntil([&] { return KeptFor(*daemon_) == 1; }));
  EXPECT_EQ("null", At(daemon_->Get("/api/v1/models/m/versions/1"), "/path"));
  EXPECT_STATUS(200, Load(R"("config":"{\"version_policy\":{\"all\":{}}}",)" + GivenFile(1, 5) +
                          "," + GivenFile(2, 6)));
  EXPECT_EQ(5, ScaleOf(*daemon_, "m", "/versions/1"));
  EXPECT_EQ(6, ScaleOf(*daemon_, "m"));
  // The repository is as it was.
  EXPECT_STATUS(200, Load(""));
  EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
  EXPECT_TRUE(WaitUntil(
      [&] { return daemon_->Post("/v2/models/m/versions/1/infer", kOnX).status == 404; }));
  EXPECT_TRUE(WaitUntil([&] { return KeptFor(*daemon_) == 0; }));
}

TEST_F(RepositoryGivenTest, AModelThatIsInNoRepository) {
  Start();
  EXPECT_STATUS(404, Load(R"("config":"{}")", "new"));
  EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(4, 9), "new"));
  EXPECT_EQ(9, ScaleOf(*daemon_, "new"));
  EXPECT_STATUS(404, Load("", "new"));
  EXPECT_EQ(9, ScaleOf(*daemon_, "new"));
  EXPECT_STATUS(200, daemon_->Post("/v2/repository/models/new/unload", "{}"));
  EXPECT_EQ(R"([{"name":"new","version":"4","state":"UNAVAILABLE","reason":"unloaded"}])",
            Indexed(*daemon_));
  EXPECT_TRUE(WaitUntil([&] { return KeptFor(*daemon_) == 0; }));
  // Its files are gone, and come again with the next load.
  EXPECT_STATUS(404, Load("", "new"));
  EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(4, 9), "new"));
  EXPECT_EQ(9, ScaleOf(*daemon_, "new"));
}

TEST_F(RepositoryGivenTest, AnUnloadEndsIt) {
  repository_.Affine("m", 1, 2);
  Start();
  EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(1, 7)));
  EXPECT_EQ(7, ScaleOf(*daemon_, "m"));
  EXPECT_STATUS(200, daemon_->Post("/v2/repository/models/m/unload", "{}"));
  EXPECT_TRUE(WaitUntil([&] { return KeptFor(*daemon_) == 0; }));
  EXPECT_TRUE(WaitUntil([&] {
    return At(daemon_->Get("/api/v1/models/m/versions/1"), "/path") == repository_.root() + "/m";
  }));
  EXPECT_STATUS(200, daemon_->ModelAction("m", "load"));
  EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
}

TEST_F(RepositoryGivenTest, WhatFailsLeavesWhatServes) {
  repository_.Affine("m", 3, 2);
  repository_.Affine("idle", 1, 4);
  Start();
  EXPECT_STATUS(200, Load(""));
  const std::string index = Indexed(*daemon_);
  const std::string config = Config();
  const std::string nonsense = "\"file:5/model.affine\":\"" + Base64("nonsense") + "\"";
  const std::string same = "\"file:3/model.affine\":\"" + Base64("nonsense") + "\"";
  const std::pair<int, std::string> bad[] = {
      {400, R"("config":"{\"max_batch\":8}")"},
      {400, R"("config":"{\"name\":\"other\"}")"},
      {400, R"("config":"{\"backend\":\"none\"}")"},
      {400, R"("config":"{\"ensemble_scheduling\":{}}")"},
      {400, R"("config":"{}","file:x/model.affine":"AAAA")"},
      {400, R"("config":"{}","file:5/model.affine":"A*AA")"},
      {400, R"("config":"{}","file:1/../../../model.affine":"AAAA")"},
      {503, R"("config":"{\"input\":[{\"name\":\"Z\"}]}")"},
      {503, R"("config":"{}",)" + nonsense},
      {503, R"("config":"{}",)" + same},
      {503, R"("config":"{\"version_policy\":{\"all\":{}}}",)" + nonsense + "," + GivenFile(6, 1)},
  };
  for (const auto& [status, parameters] : bad) {
    EXPECT_STATUS(status, Load(parameters));
    EXPECT_STATUS(status, Load(parameters, "idle"));
    EXPECT_TRUE(WaitUntil([&] { return Indexed(*daemon_) == index; })) << parameters << "\n"
                                                                       << Indexed(*daemon_) << "\n"
                                                                       << index;
    EXPECT_EQ(2, ScaleOf(*daemon_, "m")) << parameters;
    EXPECT_EQ(config, Config());
    EXPECT_TRUE(WaitUntil([&] { return KeptFor(*daemon_) == 0; })) << parameters;
  }
  EXPECT_STATUS(200, Load("", "idle"));
  EXPECT_EQ(4, ScaleOf(*daemon_, "idle"));
  // A repository's model that serves from one plugin does not go to another by this.
  EXPECT_REFUSED(400, "plugin onnxruntime",
                 Load(R"("config":"{}","file:3/model.onnx":")" +
                      Base64(ReadWhole(SourcePath("examples/digits/model.onnx"))) + "\""));
  EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
}

TEST_F(RepositoryGivenTest, WhatFailsLeavesWhatHadFailed) {
  repository_.Write("m/1/model.affine", "nonsense");
  daemon_.emplace(Args(repository_, {"--model-control-mode", "explicit", "--load-model", "m"}));
  ASSERT_TRUE(Becomes(*daemon_, "failed", "m"));
  const std::string reason = ReasonOf(*daemon_, "m");
  EXPECT_STATUS(503, Load(R"("config":"{}","file:1/model.affine":")" + Base64("bad") + "\""));
  EXPECT_EQ("failed", StateOf(*daemon_, "m"));
  EXPECT_EQ(reason, ReasonOf(*daemon_, "m"));
}

// What the load brought along goes with it, also where nothing else serves.
TEST_F(RepositoryGivenTest, WhatLoadedOfALoadThatFailsDoesNotStay) {
  repository_.Write("m/1/model.affine", "nonsense");
  daemon_.emplace(Args(repository_, {"--model-control-mode", "explicit", "--load-model", "m"}));
  ASSERT_TRUE(Becomes(*daemon_, "failed", "m"));
  EXPECT_STATUS(503,
                Load(R"("config":"{\"version_policy\":{\"all\":{}}}","file:1/model.affine":")" +
                     Base64("bad") + "\"," + GivenFile(2, 5)));
  EXPECT_TRUE(WaitUntil([&] { return daemon_->Get("/api/v1/models/m/versions/2").status == 404; }));
  EXPECT_TRUE(WaitUntil([&] { return KeptFor(*daemon_) == 0; }));
  EXPECT_EQ("failed", StateOf(*daemon_, "m"));
}

// What a repository has no more serves on, as long as nothing else does.
TEST_F(RepositoryGivenTest, ALoadThatFailsTakesNothingOutOfService) {
  repository_.Affine("m", 1, 2);
  repository_.Write("m/2/model.affine", "nonsense");
  repository_.Write("m/config.pbtxt", "version_policy: { all: {} }\n");
  daemon_.emplace(Args(repository_, {"--model-control-mode", "explicit", "--load-model", "m"}));
  ASSERT_TRUE(Becomes(*daemon_, "ready", "m", 1));
  ASSERT_TRUE(Becomes(*daemon_, "failed", "m", 2));
  repository_.Remove("m/1");
  EXPECT_STATUS(503, Load(""));
  EXPECT_EQ("ready", StateOf(*daemon_, "m", 1));
  EXPECT_STATUS(503,
                Load(R"("config":"{\"version_policy\":{\"all\":{}}}","file:2/model.affine":")" +
                     Base64("bad") + "\""));
  EXPECT_EQ("ready", StateOf(*daemon_, "m", 1));
  EXPECT_STATUS(200, daemon_->InferJson("m", kOnX));
}

// A version that loads in the middle of it pushes out none before all of them have.
TEST_F(RepositoryGivenTest, WhatAPolicyWouldLeaveOutServesUntilAllIsLoaded) {
  repository_.Affine("m", 1, 2);
  Start();
  EXPECT_STATUS(200, Load(""));
  const std::string index = Indexed(*daemon_);
  const std::string bad = ",\"file:3/model.affine\":\"" + Base64("nonsense") + "\"";
  for (const char* policy :
       {R"({\"specific\":{\"versions\":[2,3]}})", R"({\"latest\":{\"num_versions\":2}})"}) {
    const std::string config = R"("config":"{\"version_policy\":)" + std::string(policy) + "}\",";
    EXPECT_STATUS(503, Load(config + GivenFile(2, 5) + bad));
    EXPECT_TRUE(WaitUntil([&] { return Indexed(*daemon_) == index; })) << Indexed(*daemon_);
    EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
    EXPECT_STATUS(200, Load(config + GivenFile(2, 5) + "," + GivenFile(3, 6)));
    EXPECT_EQ(6, ScaleOf(*daemon_, "m"));
    EXPECT_STATUS(200, Load(""));
    EXPECT_TRUE(WaitUntil([&] { return Indexed(*daemon_) == index; })) << Indexed(*daemon_);
  }
}

// What such a load would undo is its own: while it runs there is no other, nor
// does it begin while another one runs.
TEST_F(RepositoryGivenTest, NoOtherLoadOfTheModelMeanwhile) {
  const TempDir dir;
  const std::string package = dir / "held";
  fs::copy(TestPlugin("held"), package);
  daemon_.emplace(Args(repository_, {"--model-control-mode", "explicit"}));
  ASSERT_TRUE(Ready(*daemon_));
  daemon_->BringPlugin(package);
  const auto file = [](int version) {
    return R"("config":"{\"backend\":\"held\"}","file:)" + std::to_string(version) +
           R"(/model.test":")" + Base64("text") + "\"";
  };
  ASSERT_EQ(200, Load(file(1)).status);
  const std::string hold = package + "/hold-load";
  WriteWhole(hold, "");
  HttpClient other(daemon_->address());
  ASSERT_TRUE(
      other.Write("POST", "/v2/repository/models/m/load", R"({"parameters":{)" + file(2) + "}}"));
  ASSERT_TRUE(Becomes(*daemon_, "loading", "m", 2));
  EXPECT_REFUSED(503, "try again", Load(file(3)));
  EXPECT_REFUSED(503, "try again", Load(""));
  EXPECT_REFUSED(503, "try again", daemon_->ModelAction("m", "load"));
  WriteWhole(package + "/fail-load", "");
  fs::remove(hold);
  EXPECT_EQ(503, other.Read().status);
  fs::remove(package + "/fail-load");
  EXPECT_EQ("ready", StateOf(*daemon_, "m"));
  EXPECT_STATUS(200, Load(file(2)));
  // A plain load that runs keeps one that could be undone from beginning.
  EXPECT_STATUS(200, daemon_->Post("/v2/repository/models/m/unload", "{}"));
  repository_.Write("m/7/model.test", "text");
  WriteWhole(hold, "");
  ASSERT_TRUE(other.Write("POST", "/v2/repository/models/m/load", "{}"));
  ASSERT_TRUE(Becomes(*daemon_, "loading", "m", 7));
  EXPECT_REFUSED(503, "try again", Load(file(2)));
  fs::remove(hold);
  EXPECT_EQ(200, other.Read().status);
  EXPECT_STATUS(200, Load(file(2)));
}

// The version alone, by the management path.
TEST_F(RepositoryGivenTest, AnUnloadOfItsLastVersionEndsItToo) {
  repository_.Affine("m", 1, 2);
  Start();
  EXPECT_STATUS(200, Load(R"("config":"{\"version_policy\":{\"all\":{}}}",)" + GivenFile(1, 7) +
                          "," + GivenFile(4, 8)));
  EXPECT_STATUS(200, daemon_->ModelAction("m", "unload", "4"));
  EXPECT_EQ(7, ScaleOf(*daemon_, "m", "/versions/1"));
  EXPECT_STATUS(200, daemon_->ModelAction("m", "unload", "1"));
  EXPECT_TRUE(WaitUntil([&] { return KeptFor(*daemon_) == 0; }));
  EXPECT_TRUE(WaitUntil([&] {
    return At(daemon_->Get("/api/v1/models/m/versions/1"), "/path") == repository_.root() + "/m";
  }));
}

TEST_F(RepositoryGivenTest, NoRequestFailsWhileLoadsComeAndGo) {
  repository_.Affine("m", 3, 2);
  Start();
  EXPECT_STATUS(200, Load(""));
  Watchers watchers(daemon_->address(), {2, 4, 5});
  for (int round = 0; round < 5; ++round) {
    EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(1, 4)));
    EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(1, 5)));
    EXPECT_STATUS(503, Load(R"("config":"{}","file:9/model.affine":"AAAA")"));
    EXPECT_STATUS(200, Load(""));
  }
  watchers.Stop();
  EXPECT_THAT(watchers.failures(), testing::IsEmpty());
  EXPECT_GT(watchers.answers(), 20u);
}

TEST_F(RepositoryGivenTest, AHostThatDiesLoadsThemAgain) {
  Start();
  EXPECT_STATUS(200, Load(R"("config":"{}",)" + GivenFile(1, 7)));
  ASSERT_EQ(0, kill(daemon_->HostOf("template").pid, SIGKILL));
  EXPECT_EQ(7, ScaleOf(*daemon_, "m"));
}

TEST_F(RepositoryGivenTest, OnlyModelsOfARepositoryThatIsLoadedOnDemand) {
  repository_.Affine("m", 1, 2);
  for (const char* mode : {"none", "poll"}) {
    Start(mode);
    EXPECT_REFUSED(503, "explicit", Load(R"("config":"{}")"));
    EXPECT_REFUSED(503, "explicit", Load(R"("config":"{}",)" + GivenFile(1, 7), "new"));
    EXPECT_EQ(2, ScaleOf(*daemon_, "m"));
  }
  Start();
  ASSERT_EQ(201, daemon_->RegisterModel("own", SourcePath("plugins/template/model.affine")).status);
  EXPECT_REFUSED(400, "registered", Load(R"("config":"{}")", "own"));
  EXPECT_REFUSED(400, "registered", Load(R"("config":"{}",)" + GivenFile(1, 7), "own"));
}

TEST_F(RepositoryGivenTest, NothingOfThemOutlivesTheDaemon) {
  Restartable daemon(Args(repository_, {"--model-control-mode", "explicit"}));
  std::string why;
  ASSERT_TRUE(daemon.Start(std::chrono::seconds(30), &why)) << why;
  ASSERT_EQ(200, daemon.client()
                     .Send("POST", "/v2/repository/models/m/load",
                           R"({"parameters":{"config":"{}",)" + GivenFile(1, 7) + "}}")
                     .status);
  const std::string kept = daemon.data_dir() + "/given";
  EXPECT_FALSE(fs::is_empty(kept));
  ASSERT_TRUE(daemon.KillAndSeeAllGone());
  ASSERT_TRUE(daemon.Start(std::chrono::seconds(30), &why)) << why;
  EXPECT_FALSE(fs::exists(kept));
  EXPECT_EQ("[]", At(daemon.client().Send("GET", "/api/v1/models"), "/models"));
  EXPECT_EQ(0, daemon.Stop());
}

}  // namespace
}  // namespace mlos::test
