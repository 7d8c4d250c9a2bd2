// SPDX-License-Identifier: Apache-2.0
//
// Model repositories: what is in the directory serves, and nothing else of it
// is known anywhere.
#include <unistd.h>

#include <filesystem>

#include "fixture.h"
#include "repository_fixture.h"
#include "restartable.h"

namespace mlos::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(RepositoryTest, ServesAsItIs) {
  const Repository repository;
  repository.Write("digits/1/model.onnx", ReadWhole(SourcePath("examples/digits/model.onnx")));
  repository.Affine("twice", 3, 2);
  repository.Write("README.md", "models");
  Daemon daemon(Args(repository));
  ASSERT_TRUE(Ready(daemon));
  const Digits digits = HeldOutDigits();
  const BinaryAnswer answer =
      daemon.InferBinary("digits", {{"image", "FP32", {1, 64}, digits.image(0)}});
  ASSERT_EQ("", answer.error);
  EXPECT_EQ(digits.labels[0], ValuesOf<int64_t>(answer.outputs.at("label").bytes)[0]);
  EXPECT_EQ(2, ScaleOf(daemon, "twice"));
  EXPECT_EQ("onnxruntime", At(daemon.Get("/api/v1/models/digits/versions/1"), "/plugin"));
  EXPECT_EQ("3", At(daemon.Get("/api/v1/models/twice"), "/models/0/version"));
}

TEST(RepositoryTest, ThePolicySaysWhichVersionsServe) {
  const Repository repository;
  for (const char* model : {"latest", "all", "some"}) {
    for (const int version : {1, 2, 3}) repository.Affine(model, version, version);
  }
  repository.Write("all/config.pbtxt", "version_policy { all {} }");
  repository.Write("some/config.pbtxt", "version_policy { specific { versions: [1, 2] } }");
  Daemon daemon(Args(repository));
  ASSERT_TRUE(Ready(daemon));
  EXPECT_EQ(3, ScaleOf(daemon, "latest"));
  EXPECT_REFUSED(503, "version", daemon.Post("/v2/models/latest/versions/2/infer", kOnX));
  EXPECT_EQ(1, ScaleOf(daemon, "all", "/versions/1"));
  EXPECT_EQ(3, ScaleOf(daemon, "all"));
  EXPECT_EQ(2, ScaleOf(daemon, "some"));
  EXPECT_EQ(1, ScaleOf(daemon, "some", "/versions/1"));
  EXPECT_EQ("unloaded", StateOf(daemon, "some", 3));
}

TEST(RepositoryTest, ABrokenModelIsItsOwnAffair) {
  const Repository repository;
  repository.Affine("good", 1, 7);
  repository.Affine("typo", 1, 1);
  repository.Write("typo/config.pbtxt", "max_batch: 8");
  repository.Affine("misfit", 1, 1);
  repository.Write("misfit/config.pbtxt", R"(input { name: "Z" })");
  repository.Affine("ensemble", 1, 1);
  repository.Write("ensemble/config.pbtxt", R"(platform: "ensemble" ensemble_scheduling {})");
  repository.Write("noise/1/model.onnx", "this is no model");
  repository.Write("empty/config.pbtxt", "");
  repository.Affine("wrong name", 1, 1);
  Daemon daemon(Args(repository));
  ASSERT_TRUE(Becomes(daemon, "ready", "good"));
  EXPECT_EQ(7, ScaleOf(daemon, "good"));
  const std::pair<const char*, const char*> broken[] = {
      {"typo", "config.pbtxt: line 1, column 1"},
      {"misfit", "input 'Z'"},
      {"ensemble", "ensemble_scheduling"},
      {"noise", "not an ONNX model"},
  };
  for (const auto& [model, reason] : broken) {
    ASSERT_TRUE(Becomes(daemon, "failed", model)) << model;
    EXPECT_THAT(ReasonOf(daemon, model), HasSubstr(reason));
    EXPECT_REFUSED(503, reason, daemon.Post(std::string("/v2/models/") + model + "/infer", kOnX));
    EXPECT_THAT(daemon.process().log(), HasSubstr(reason));
  }
  EXPECT_EQ("failed", At(daemon.Get("/api/v1/models/empty"), "/models/0/state"));
  EXPECT_THAT(At(daemon.Get("/api/v1/models/empty"), "/models/0/reason"), HasSubstr("no version"));
  EXPECT_EQ("null", At(daemon.Get("/api/v1/models/empty"), "/models/0/version"));
  EXPECT_THAT(daemon.process().log(), HasSubstr("wrong name"));
  EXPECT_STATUS(400, daemon.Get("/v2/health/ready"));  // not all of what should be there is
}

TEST(RepositoryTest, LenientReadinessMindsNoModel) {
  const Repository repository;
  repository.Affine("typo", 1, 1);
  repository.Write("typo/config.pbtxt", "max_batch: 8");
  Daemon daemon(Args(repository, {"--strict-readiness=false"}));
  EXPECT_TRUE(Ready(daemon));
  EXPECT_TRUE(Becomes(daemon, "failed", "typo"));
}

TEST(RepositoryPollTest, FollowsTheDirectoryWithoutAFailedRequest) {
  const Repository repository;
  repository.Affine("m", 1, 1);
  repository.Affine("other", 1, 9);
  Daemon daemon(Args(repository, {"--model-control-mode", "poll", "--repository-poll", "100ms"}));
  ASSERT_TRUE(Ready(daemon));
  Watchers watchers(daemon.address(), {1, 2, 3, 4});
  const auto answers = [&](double scale) {
    return WaitUntil([&] { return ScaleOf(daemon, "m") == scale; });
  };
  repository.Affine("m", 2, 2);  // a new version takes over from the old one
  EXPECT_TRUE(answers(2));
  EXPECT_TRUE(Becomes(daemon, "unloaded", "m", 1));
  repository.Write("m/2/model.affine", Repository::Content(3));  // other content of the version
  EXPECT_TRUE(answers(3));
  repository.Affine("m", 3, 4);  // a new version, and the one that serves goes
  repository.Remove("m/2");
  EXPECT_TRUE(answers(4));
  repository.Remove("m/3");  // back to the one before, which the policy had left out
  EXPECT_TRUE(answers(1));
  repository.Affine("m", 3, 4);
  EXPECT_TRUE(answers(4));
  EXPECT_TRUE(WaitUntil([&] { return daemon.Get("/api/v1/models/m/versions/2").status == 404; }));
  // What cannot be served leaves what serves as it was.
  repository.Write("m/3/model.affine", "nonsense");
  EXPECT_TRUE(WaitUntil([&] { return ReasonOf(daemon, "m", 3) != ""; }));
  EXPECT_EQ("ready", StateOf(daemon, "m", 3));
  repository.Write("m/config.pbtxt", "max_batch: 8");
  EXPECT_TRUE(WaitUntil(
      [&] { return ReasonOf(daemon, "m", 3).find("config.pbtxt") != std::string::npos; }));
  EXPECT_EQ(4, ScaleOf(daemon, "m"));
  // Models come and go as versions do.
  repository.Affine("more", 1, 5);
  EXPECT_TRUE(WaitUntil([&] { return ScaleOf(daemon, "more") == 5; }));
  repository.Remove("other");
  EXPECT_TRUE(WaitUntil([&] { return daemon.Get("/v2/models/other").status == 404; }));
  watchers.Stop();
  EXPECT_THAT(watchers.failures(), testing::IsEmpty());
  EXPECT_GT(watchers.answers(), 20u);
}

TEST(RepositoryPollTest, AModelThatIsMendedServes) {
  const Repository repository;
  repository.Write("m/1/model.affine", "nonsense");
  Daemon daemon(Args(repository, {"--model-control-mode", "poll", "--repository-poll", "100ms"}));
  ASSERT_TRUE(Becomes(daemon, "failed", "m"));
  repository.Write("m/1/model.affine", Repository::Content(6));
  EXPECT_TRUE(Becomes(daemon, "ready", "m"));
  EXPECT_EQ(6, ScaleOf(daemon, "m"));
  EXPECT_TRUE(Ready(daemon));
}

TEST(RepositoryPollTest, ARepositoryThatIsGoneUnloadsNothing) {
  const Repository repository;
  repository.Affine("m", 1, 2);
  Daemon daemon(Args(repository, {"--model-control-mode", "poll", "--repository-poll", "100ms"}));
  ASSERT_TRUE(Ready(daemon));
  fs::rename(repository.root(), repository.root() + ".away");
  EXPECT_TRUE(WaitUntil(
      [&] { return daemon.process().log().find("stays as it is") != std::string::npos; }));
  EXPECT_EQ(2, ScaleOf(daemon, "m"));
  fs::rename(repository.root() + ".away", repository.root());
}

TEST(RepositoryPollTest, AVersionThatIsGoneServesUntilAnotherDoes) {
  const Repository repository;
  repository.Affine("m", 1, 2);
  Daemon daemon(Args(repository, {"--model-control-mode", "poll", "--repository-poll", "100ms"}));
  ASSERT_TRUE(Ready(daemon));
  repository.Write("m/2/model.affine", "nonsense");
  repository.Remove("m/1");
  ASSERT_TRUE(Becomes(daemon, "failed", "m", 2));
  EXPECT_EQ(2, ScaleOf(daemon, "m", "/versions/1"));
  EXPECT_STATUS(200, daemon.Get("/v2/health/ready"));
  repository.Write("m/2/model.affine", Repository::Content(3));
  EXPECT_TRUE(WaitUntil([&] { return ScaleOf(daemon, "m") == 3; }));
  EXPECT_TRUE(WaitUntil([&] { return daemon.Get("/api/v1/models/m/versions/1").status == 404; }));
}

// Nothing was read yet that could be kept.
TEST(RepositoryModesTest, WhatCouldNotBeReadAtTheStartIsReadAgain) {
  const Repository repository;
  repository.Affine("m", 1, 2);
  const TempDir many("/dev/shm");  // much quicker than a disk
  for (int i = 0; i < 10001; ++i) std::filesystem::create_directory(many / std::to_string(i));
  const TempDir dir;
  std::filesystem::create_directory_symlink(many.path(), dir / "models");
  std::filesystem::create_directory_symlink(repository.root(), dir / "next");
  Daemon daemon({"--plugin-dir", Packages(), "--model-repository", dir / "models",
                 "--repository-poll", "100ms"});
  EXPECT_TRUE(WaitUntil([&] {
    return daemon.Get("/v2/health/ready").body.find("more than 10000") != std::string::npos;
  })) << daemon.Get("/v2/health/ready").body;
  EXPECT_STATUS(400, daemon.Get("/v2/health/ready"));
  std::filesystem::rename(dir / "next", dir / "models");
  EXPECT_TRUE(Ready(daemon));
  EXPECT_EQ(2, ScaleOf(daemon, "m"));
}

TEST(RepositoryPollTest, AModelThatCannotBeReadServesOn) {
  const Repository repository;
  repository.Affine("m", 1, 2);
  Daemon daemon(Args(repository, {"--model-control-mode", "poll", "--repository-poll", "100ms"}));
  ASSERT_TRUE(Ready(daemon));
  fs::create_directories(repository.root() + "/m/part");
  for (int i = 0; i <= 2000; ++i) {
    fs::create_directory(repository.root() + "/m/part" + std::to_string(i));
  }
  ASSERT_TRUE(WaitUntil([&] { return ReasonOf(daemon, "m") != ""; }));
  EXPECT_THAT(ReasonOf(daemon, "m"), HasSubstr("entries"));
  EXPECT_EQ(2, ScaleOf(daemon, "m"));
  for (int i = 0; i <= 2000; ++i) {
    fs::remove(repository.root() + "/m/part" + std::to_string(i));
  }
  EXPECT_TRUE(WaitUntil([&] { return ReasonOf(daemon, "m") == ""; }));
  // What it goes back to is what serves, and no reason is left.
  repository.Write("m/config.pbtxt", "max_batch: 8");
  ASSERT_TRUE(WaitUntil([&] { return ReasonOf(daemon, "m") != ""; }));
  repository.Remove("m/config.pbtxt");
  EXPECT_TRUE(WaitUntil([&] { return ReasonOf(daemon, "m") == ""; }));
  EXPECT_EQ(2, ScaleOf(daemon, "m"));
}

TEST(RepositoryPollTest, AModelThatMovesToAnotherRepositoryServes) {
  const Repository one;
  const Repository two;
  one.Affine("m", 1, 2);
  Daemon daemon(Args(one, {"--model-repository", two.root(), "--model-control-mode", "poll",
                           "--repository-poll", "100ms"}));
  ASSERT_TRUE(Ready(daemon));
  const auto path = [&] { return At(daemon.Get("/api/v1/models/m/versions/1"), "/path"); };
  EXPECT_EQ(one.root() + "/m", path());
  fs::rename(one.root() + "/m", two.root() + "/m");
  EXPECT_TRUE(WaitUntil([&] { return path() == two.root() + "/m"; }));
  EXPECT_EQ(2, ScaleOf(daemon, "m"));
}

TEST(RepositoryModesTest, WhatFailedMayBeLoadedInEveryMode) {
  const Repository repository;
  repository.Write("m/1/model.affine", "nonsense");
  Daemon daemon(Args(repository));
  ASSERT_TRUE(Becomes(daemon, "failed", "m"));
  EXPECT_STATUS(503, daemon.ModelAction("m", "load"));
  repository.Write("m/1/model.affine", Repository::Content(6));
  EXPECT_STATUS(200, daemon.ModelAction("m", "load"));
  EXPECT_EQ(6, ScaleOf(daemon, "m"));
  EXPECT_REFUSED(503, "control mode", daemon.ModelAction("m", "load"));
}

TEST(RepositoryModesTest, InExplicitWhatHasComeMeanwhileIsLoaded) {
  const Repository repository;
  repository.Affine("a", 1, 2);
  Daemon daemon(Args(repository, {"--model-control-mode", "explicit"}));
  ASSERT_TRUE(Ready(daemon));
  EXPECT_STATUS(404, daemon.ModelAction("b", "load"));
  repository.Affine("b", 1, 3);
  EXPECT_STATUS(200, daemon.ModelAction("b", "load"));
  EXPECT_EQ(3, ScaleOf(daemon, "b"));
  repository.Affine("b", 2, 4);
  EXPECT_STATUS(200, daemon.ModelAction("b", "load", "2"));
  EXPECT_EQ(4, ScaleOf(daemon, "b"));
  EXPECT_STATUS(404, daemon.ModelAction("b", "load", "3"));
  // What is not served as it is now is no success, however often it is asked for.
  repository.Write("b/2/model.affine", "nonsense");
  EXPECT_REFUSED(503, "not served", daemon.ModelAction("b", "load", "2"));
  EXPECT_REFUSED(503, "not served", daemon.ModelAction("b", "load", "2"));
  EXPECT_EQ(4, ScaleOf(daemon, "b"));
}

TEST(RepositoryModesTest, InNoneAndPollOnlyTheDirectoryLoads) {
  const Repository repository;
  repository.Affine("m", 1, 2);
  for (const char* mode : {"none", "poll"}) {
    Daemon daemon(Args(repository, {"--model-control-mode", mode}));
    ASSERT_TRUE(Ready(daemon));
    EXPECT_REFUSED(503, "control mode", daemon.ModelAction("m", "unload"));
    EXPECT_THAT(At(daemon.ModelAction("m", "unload"), "/error/hint"), HasSubstr("explicit"));
    EXPECT_REFUSED(503, "control mode", daemon.ModelAction("m", "load"));
    EXPECT_EQ(2, ScaleOf(daemon, "m"));
    // Registered models are nobody's business but their owner's.
    ASSERT_EQ(201, daemon.RegisterModel("own", SourcePath("plugins/template/model.affine")).status);
    EXPECT_STATUS(200, daemon.ModelAction("own", "load"));
    EXPECT_STATUS(200, daemon.ModelAction("own", "unload"));
  }
}

TEST(RepositoryModesTest, InExplicitWhatIsAskedForIsLoaded) {
  const Repository repository;
  repository.Affine("a", 1, 2);
  repository.Affine("b", 1, 3);
  repository.Affine("b", 2, 4);
  Daemon daemon(Args(repository, {"--model-control-mode", "explicit", "--load-model", "a"}));
  ASSERT_TRUE(Ready(daemon));
  EXPECT_EQ(2, ScaleOf(daemon, "a"));
  EXPECT_EQ("unloaded", StateOf(daemon, "b", 2));
  EXPECT_REFUSED(503, "unloaded", daemon.Post("/v2/models/b/infer", kOnX));
  EXPECT_STATUS(200, daemon.ModelAction("b", "load", "2"));
  EXPECT_EQ(4, ScaleOf(daemon, "b"));
  EXPECT_REFUSED(409, "version policy", daemon.ModelAction("b", "load", "1"));
  // What it has become is what a load loads.
  repository.Write("b/2/model.affine", Repository::Content(5));
  EXPECT_EQ(4, ScaleOf(daemon, "b"));
  EXPECT_STATUS(200, daemon.ModelAction("b", "load", "2"));
  EXPECT_EQ(5, ScaleOf(daemon, "b"));
  EXPECT_STATUS(200, daemon.ModelAction("b", "unload", "2"));
  EXPECT_REFUSED(503, "unloaded", daemon.Post("/v2/models/b/infer", kOnX));
  EXPECT_STATUS(200, daemon.ModelAction("a", "unload"));
  EXPECT_TRUE(Ready(daemon));
}

TEST(RepositoryModesTest, InExplicitAModelThatIsNotThereKeepsTheDaemonFromBeingReady) {
  const Repository repository;
  repository.Affine("a", 1, 2);
  Daemon daemon(Args(repository, {"--model-control-mode", "explicit", "--load-model", "a",
                                  "--load-model", "nosuch"}));
  ASSERT_TRUE(Becomes(daemon, "ready", "a"));
  EXPECT_REFUSED(400, "no model 'nosuch'", daemon.Get("/v2/health/ready"));
  EXPECT_THAT(daemon.process().log(), HasSubstr("no model 'nosuch'"));
  repository.Affine("nosuch", 1, 3);
  EXPECT_STATUS(200, daemon.ModelAction("nosuch", "load"));
  EXPECT_TRUE(Ready(daemon));
}

TEST(RepositoryModesTest, InExplicitOneVersionIsLoadedAndNoOther) {
  const Repository repository;
  for (const int version : {1, 2, 3}) repository.Affine("m", version, version);
  repository.Write("m/config.pbtxt", "version_policy { specific { versions: [1, 2] } }");
  Daemon daemon(Args(repository, {"--model-control-mode", "explicit"}));
  ASSERT_TRUE(Ready(daemon));
  EXPECT_STATUS(200, daemon.ModelAction("m", "load", "1"));
  EXPECT_EQ("unloaded", StateOf(daemon, "m", 2));
  EXPECT_REFUSED(409, "policy", daemon.ModelAction("m", "load", "3"));
  EXPECT_EQ("unloaded", StateOf(daemon, "m", 2));
  const Reply reply = daemon.Post("/v2/models/m/versions/3/infer", kOnX);
  EXPECT_REFUSED(503, "policy", reply);
  EXPECT_THAT(ErrorText(reply), testing::Not(HasSubstr("load it")));
}

TEST(RepositoryModesTest, InExplicitALoadThatFailsIsNoChangeOfWhatIsWanted) {
  const Repository repository;
  repository.Affine("a", 1, 2);
  repository.Write("bad/1/model.affine", "nonsense");
  Daemon daemon(Args(repository, {"--model-control-mode", "explicit", "--load-model", "a"}));
  ASSERT_TRUE(Ready(daemon));
  EXPECT_REFUSED(503, "model bad version 1: ", daemon.ModelAction("bad", "load"));
  EXPECT_EQ("failed", StateOf(daemon, "bad"));
  EXPECT_STATUS(200, daemon.Get("/v2/health/ready"));
}

TEST(RepositoryModesTest, InExplicitAStarIsAll) {
  const Repository repository;
  repository.Affine("a", 1, 2);
  repository.Affine("b", 1, 3);
  Daemon daemon(Args(repository, {"--model-control-mode", "explicit", "--load-model", "*"}));
  ASSERT_TRUE(Ready(daemon));
  EXPECT_EQ(2, ScaleOf(daemon, "a"));
  EXPECT_EQ(3, ScaleOf(daemon, "b"));
}

TEST(RepositoryNamesTest, ARegisteredModelKeepsItsName) {
  const Repository repository;
  repository.Affine("held", 1, 2);
  Daemon daemon(Args(repository, {"--model-control-mode", "poll", "--repository-poll", "100ms"}));
  ASSERT_TRUE(Ready(daemon));
  const std::string own = SourcePath("plugins/template/model.affine");  // 2 X + 1
  EXPECT_REFUSED(409, "repository", daemon.RegisterModel("held", own, R"(,"version":5)"));
  ASSERT_EQ(201, daemon.RegisterModel("mine", own).status);
  EXPECT_EQ(3, ScaleOf(daemon, "mine"));
  repository.Affine("mine", 1, 4);
  repository.Affine("next", 1, 5);
  EXPECT_TRUE(WaitUntil([&] { return ScaleOf(daemon, "next") == 5; }));
  EXPECT_EQ(3, ScaleOf(daemon, "mine"));
  EXPECT_THAT(daemon.process().log(), HasSubstr("model mine of the repository is not served"));
  // It is to be seen beside the one that has the name, and goes when it goes.
  const auto listed = [&] { return At(daemon.Get("/api/v1/models/mine"), "/models/1/reason"); };
  const auto indexed = [&] { return daemon.Post("/v2/repository/index").body; };
  EXPECT_THAT(listed(), HasSubstr("registered"));
  EXPECT_THAT(indexed(), HasSubstr(R"({"name":"mine","state":"UNAVAILABLE","reason":"a model of)"));
  EXPECT_THAT(indexed(), HasSubstr(R"({"name":"mine","version":"1","state":"READY"})"));
  EXPECT_THAT(daemon.Post("/v2/repository/index", R"({"ready":true})").body,
              testing::Not(HasSubstr("UNAVAILABLE")));
  EXPECT_EQ("null", At(daemon.Get("/api/v1/models/mine"), "/models/1/version"));
  repository.Remove("mine");
  EXPECT_TRUE(WaitUntil([&] { return indexed().find("UNAVAILABLE") == std::string::npos; }));
  repository.Affine("mine", 1, 4);
  EXPECT_TRUE(WaitUntil([&] { return indexed().find("UNAVAILABLE") != std::string::npos; }));
  EXPECT_STATUS(200, daemon.ModelAction("mine", "unload"));
  EXPECT_STATUS(200, daemon.Delete("/api/v1/models/mine/versions/1"));
  EXPECT_TRUE(WaitUntil([&] { return ScaleOf(daemon, "mine") == 4; }));
  EXPECT_THAT(indexed(), testing::Not(HasSubstr("UNAVAILABLE")));
  // What is the repository's cannot be changed past it.
  EXPECT_REFUSED(409, "repository", daemon.Delete("/api/v1/models/held/versions/1"));
  EXPECT_REFUSED(409, "repository",
                 daemon.Post("/api/v1/models/held/labels", R"({"label":"x","version":1})"));
  EXPECT_REFUSED(409, "repository",
                 daemon.Post("/api/v1/models/held/policy", R"({"version_policy":{"all":{}}})"));
}

TEST(RepositoryNamesTest, WhatIsInTwoRepositoriesIsServedFromNeither) {
  const Repository one;
  const Repository two;
  one.Affine("m", 1, 1);
  two.Affine("m", 1, 2);
  two.Affine("n", 1, 3);
  Daemon daemon(Args(one, {"--model-repository", two.root()}));
  ASSERT_TRUE(Becomes(daemon, "failed", "m"));
  EXPECT_THAT(ReasonOf(daemon, "m"), HasSubstr("two model repositories"));
  EXPECT_TRUE(WaitUntil([&] { return ScaleOf(daemon, "n") == 3; }));
}

TEST(RepositoryTest, NothingOfItIsKept) {
  const Repository repository;
  repository.Affine("m", 1, 1);
  Restartable daemon(Args(repository));
  std::string why;
  ASSERT_TRUE(daemon.Start(std::chrono::seconds(30), &why)) << why;
  EXPECT_EQ("ready", At(daemon.client().Send("GET", "/api/v1/models/m/versions/1"), "/state"));
  repository.Remove("m");
  ASSERT_TRUE(daemon.KillAndSeeAllGone());
  ASSERT_TRUE(daemon.Start(std::chrono::seconds(30), &why)) << why;
  EXPECT_EQ("[]", At(daemon.client().Send("GET", "/api/v1/models"), "/models"));
  // Neither is that the plugin was needed.
  EXPECT_EQ("registered",
            At(daemon.client().Send("GET", "/api/v1/plugins/template/versions/1.0.0"), "/state"));
  EXPECT_EQ(0, daemon.Stop());
}

TEST(RepositoryAttackTest, NothingOutsideIsRead) {
  const Repository repository;
  const TempDir outside;
  WriteWhole(outside / "model.affine", Repository::Content(66));
  fs::create_directory(outside / "1");
  WriteWhole(outside / "1/model.affine", Repository::Content(66));
  repository.Affine("good", 1, 2);
  fs::create_directory_symlink(outside.path(), repository.root() + "/linked");
  fs::create_directory(repository.root() + "/version");
  fs::create_directory_symlink(outside / "1", repository.root() + "/version/1");
  fs::create_directories(repository.root() + "/file/1");
  fs::create_symlink(outside / "model.affine", repository.root() + "/file/1/model.affine");
  fs::create_directories(repository.root() + "/hard/1");
  if (geteuid() == 0) {  // of another owner; only root can give files away
    ASSERT_EQ(0, chown((outside / "model.affine").c_str(), 1, 1));
    fs::create_hard_link(outside / "model.affine", repository.root() + "/hard/1/model.affine");
  }
  repository.Affine("named", 1, 3);
  repository.Write("named/config.pbtxt", R"(default_model_filename: "../../../model.affine")");
  repository.Affine("labels", 1, 3);
  repository.Write("labels/config.pbtxt",
                   R"(output { name: "Y" label_filename: "../../../../etc/hostname" })");
  for (const char* data : {"external_parent", "external_absolute", "external_address"}) {
    repository.Write(std::string(data) + "/1/model.onnx",
                     ReadWhole(TestData(std::string(data) + ".onnx")));
  }
  Daemon daemon(Args(repository));
  ASSERT_TRUE(Becomes(daemon, "ready", "good"));
  for (const char* model : {"version", "file", "hard", "named", "labels", "external_parent",
                            "external_absolute", "external_address"}) {
    EXPECT_TRUE(Becomes(daemon, "failed", model)) << model;
    EXPECT_NE("", ReasonOf(daemon, model)) << model;
    EXPECT_NE(66, ScaleOf(daemon, model)) << model;
  }
  EXPECT_THAT(At(daemon.Get("/api/v1/models/linked"), "/models/0/reason"),
              HasSubstr("symbolic link"));
  for (const char* name : {"..%2Fgood", "%2e%2e", "..", "good%00", "good%2F..%2Fgood", "%2Fetc"}) {
    const Reply reply = daemon.Post("/v2/models/" + std::string(name) + "/infer", kOnX);
    EXPECT_GE(reply.status, 400) << name;
    EXPECT_LT(reply.status, 500) << name;
  }
  EXPECT_EQ(2, ScaleOf(daemon, "good"));
}

TEST(RepositoryTest, AConfigurationReachesThePlugin) {
  const Repository repository;
  repository.Write("digits/1/model.onnx", ReadWhole(SourcePath("examples/digits/model.onnx")));
  repository.Write("digits/config.pbtxt", R"(
      backend: "onnxruntime" max_batch_size: 4
      input [ { name: "image" data_type: TYPE_FP32 dims: [64] } ]
      instance_group [ { count: 1 kind: KIND_CPU } ]
      parameters { key: "intra_op_thread_count" value { string_value: "1" } })");
  Daemon daemon(Args(repository));
  ASSERT_TRUE(Ready(daemon)) << ReasonOf(daemon, "digits");
  const Digits digits = HeldOutDigits();
  const auto infer = [&](size_t count) {
    return daemon.InferBinary("digits", {{"image",
                                          "FP32",
                                          {static_cast<int64_t>(count), 64},
                                          digits.pixels.substr(0, count * 256)}});
  };
  EXPECT_EQ("", infer(4).error);
  EXPECT_THAT(infer(5).error, HasSubstr("batch"));
}

TEST(RepositoryTest, ClassesHaveTheNamesOfTheLabelFile) {
  const Repository repository;
  repository.Affine("m", 1, 2);
  repository.Write("m/names.txt", "cat\ndog\nbird\n");
  repository.Write("m/config.pbtxt", R"(output { name: "Y" label_filename: "names.txt" })");
  Daemon daemon(Args(repository));
  ASSERT_TRUE(Ready(daemon));
  const Reply reply =
      daemon.Post("/v2/models/m/infer",
                  R"({"inputs":[{"name":"X","datatype":"FP32","shape":[3],"data":[1,3,2]}],)"
                  R"("outputs":[{"name":"Y","parameters":{"classification":2}}]})");
  EXPECT_EQ(R"(["6.000000:1:dog","4.000000:2:bird"])", At(reply, "/outputs/0/data")) << Show(reply);
}

// Its plugin answers how many requests it has had.
std::vector<std::string> CountingArgs(const Repository& repository) {
  return {"--plugin-dir", fs::path(TestPlugin("counts")).parent_path(), "--model-repository",
          repository.root()};
}

TEST(RepositoryWarmUpTest, SamplesRunBeforeTheModelIsReady) {
  const Repository repository;
  repository.Write("m/1/model.test", "a model");
  repository.Write("m/warmup/x.raw", std::string(8, '\0'));
  repository.Write("m/config.pbtxt", R"(
      backend: "counts"
      model_warmup [
        { name: "zero" count: 3
          inputs { key: "X" value { data_type: TYPE_FP32 dims: [2] zero_data: true } } },
        { name: "random" inputs { key: "X" value { data_type: TYPE_FP32 dims: [5] random_data: true } } },
        { name: "file" inputs { key: "X" value { data_type: TYPE_FP32 dims: [2] input_data_file: "x.raw" } } }
      ])");
  Daemon daemon(CountingArgs(repository));
  ASSERT_TRUE(Ready(daemon)) << ReasonOf(daemon, "m");
  EXPECT_EQ(6, ScaleOf(daemon, "m"));  // five before it
}

TEST(RepositoryWarmUpTest, ASampleThatFailsFailsTheLoad) {
  const Repository repository;
  repository.Write("secret.raw", std::string(8, 's'));
  const auto input = [](const std::string& value) {
    return R"(inputs { key: "X" value { )" + value + " } }";
  };
  const std::pair<std::string, std::string> bad[] = {
      {input("data_type: TYPE_INT8 dims: [2] zero_data: true"), "INT8"},
      {input("data_type: TYPE_FP32 dims: [2, 2] zero_data: true"), "[2,2]"},
      {input("data_type: TYPE_FP32 dims: [-1] zero_data: true"), "-1"},
      {input("data_type: TYPE_FP32 dims: [4611686018427387904] zero_data: true"), "too large"},
      {R"(inputs { key: "Z" value { data_type: TYPE_FP32 dims: [1] zero_data: true } })", "'Z'"},
      {"", "'X'"},
      {input("data_type: TYPE_FP32 dims: [3] input_data_file: \"x.raw\""), "12"},
      {input("data_type: TYPE_FP32 dims: [2] input_data_file: \"none\""), "'none'"},
      {input("data_type: TYPE_FP32 dims: [2] input_data_file: \"../../secret.raw\""), "leaves"},
      {"batch_size: 2 " + input("data_type: TYPE_FP32 dims: [2] zero_data: true"), "batch_size"},
  };
  for (size_t i = 0; i < std::size(bad); ++i) {
    const std::string model = "m" + std::to_string(i);
    repository.Write(model + "/1/model.test", "a model");
    repository.Write(model + "/warmup/x.raw", std::string(8, '\0'));
    repository.Write(model + "/config.pbtxt",
                     "backend: \"counts\" model_warmup { name: \"w\" " + bad[i].first + " }");
  }
  Daemon daemon(CountingArgs(repository));
  for (size_t i = 0; i < std::size(bad); ++i) {
    const std::string model = "m" + std::to_string(i);
    EXPECT_TRUE(Becomes(daemon, "failed", model)) << bad[i].first;
    EXPECT_THAT(ReasonOf(daemon, model),
                testing::AllOf(HasSubstr("warm-up sample 'w'"), HasSubstr(bad[i].second)));
  }
}

TEST(RepositoryTest, ADirectoryThatIsNotThereEndsTheStart) {
  const TempDir dir;
  const Ended ended =
      RunMlosd({"--auth", "off", "--http-address", "127.0.0.1:0", "--metrics-address", "off",
                "--data-dir", dir / "data", "--model-repository", dir / "none"});
  EXPECT_NE(0, ended.status);
  EXPECT_THAT(ended.output, HasSubstr("--model-repository"));
}

TEST(RepositoryModesTest, OnlyInExplicitAreModelsNamed) {
  const TempDir dir;
  const Ended ended =
      RunMlosd({"--auth", "off", "--http-address", "127.0.0.1:0", "--metrics-address", "off",
                "--data-dir", dir / "data", "--load-model", "m"});
  EXPECT_NE(0, ended.status);
  EXPECT_THAT(ended.output, HasSubstr("--model-control-mode explicit"));
}

}  // namespace
}  // namespace mlos::test
