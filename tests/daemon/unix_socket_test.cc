// SPDX-License-Identifier: Apache-2.0
//
// HTTP over a Unix socket: who may, what becomes of the file, and of files that
// were there before.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "fixture.h"
#include "raw_peer.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;

class UnixSocketTest : public testing::Test {
 protected:
  std::string path() const { return dir_ / "mlos.sock"; }
  std::string address() const { return "unix:" + path(); }
  std::unique_ptr<Daemon> Start() const {
    return std::make_unique<Daemon>(std::vector<std::string>{"--http-address", address()});
  }
  // A daemon that listens there and nowhere else, and is expected to give up.
  Ended Run(const std::string& address) const {
    return RunMlosd({"--auth", "off", "--data-dir", dir_ / "other", "--metrics-address", "off",
                     "--http-address", address});
  }

  const TempDir dir_;
};

TEST_F(UnixSocketTest, ServesLikeAnyOther) {
  {
    const auto daemon = Start();
    daemon->BringPlugin(TemplatePlugin());
    ASSERT_EQ(201, daemon->RegisterModel("m", SourcePath("plugins/template/model.affine")).status);
    HttpClient client(address());
    for (int i = 0; i < 3; ++i) {
      const Reply reply =
          client.Send("POST", "/v2/models/m/infer",
                      R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1,2]}]})");
      EXPECT_EQ((std::vector<double>{3, 5}), Numbers(reply, "/outputs/0/data")) << Show(reply);
    }
    const std::vector<float> values(300'000, 1.0f);
    const BinaryRequest large = MakeBinary({{"X", "FP32", {300'000}, BytesOf(values)}});
    const BinaryAnswer answer =
        ReadBinary(client.Send("POST", "/v2/models/m/infer", large.body, large.headers()));
    ASSERT_EQ("", answer.error);
    EXPECT_EQ(std::vector<float>(300'000, 3.0f), ValuesOf<float>(answer.outputs.at("Y").bytes));
    EXPECT_STATUS(200, client.Send("GET", "/api/v1/status"));
    EXPECT_STATUS(400, client.Send("POST", "/v2/models/m/infer", "{", {{"Content-Length", "x"}}));
  }
  EXPECT_FALSE(std::filesystem::exists(path())) << "it is removed at the end";
}

TEST_F(UnixSocketTest, IsForItsOwnerAlone) {
  const auto daemon = Start();
  struct stat st {};
  ASSERT_EQ(0, lstat(path().c_str(), &st));
  EXPECT_TRUE(S_ISSOCK(st.st_mode));
  EXPECT_EQ(0600u, st.st_mode & 07777);
  EXPECT_EQ(geteuid(), st.st_uid);
  if (geteuid() != 0) GTEST_SKIP() << "only the superuser can become somebody else";
  ASSERT_EQ(0, chmod(dir_.path().c_str(), 0755));
  const pid_t other = fork();
  if (other == 0) {
    const bool became = setgid(12345) == 0 && setuid(12345) == 0;
    _exit(!became ? 2 : RawPeer(address()).connected() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(other, waitpid(other, &status, 0));
  EXPECT_EQ(0, WEXITSTATUS(status)) << "1: somebody else could connect";
}

TEST_F(UnixSocketTest, AFileThatAKilledDaemonLeftIsReplaced) {
  {
    const auto daemon = Start();
    daemon->Forget();
    daemon->process().Signal(SIGKILL);
    daemon->process().WaitExit();
  }
  ASSERT_TRUE(std::filesystem::exists(path()));
  const auto daemon = Start();
  EXPECT_STATUS(200, HttpClient(address()).Send("GET", "/v2/health/live"));
}

TEST_F(UnixSocketTest, WhatAnotherDaemonListensOnIsLeftAlone) {
  const auto daemon = Start();
  const Ended second = Run(address());
  EXPECT_EQ(1, second.status) << second.output;
  EXPECT_THAT(second.output, testing::AllOf(HasSubstr(path()), HasSubstr("another program")));
  EXPECT_STATUS(200, HttpClient(address()).Send("GET", "/v2/health/live"));
}

// The first one's file was removed by hand, a second daemon made one of the same name.
TEST_F(UnixSocketTest, TheFileOfASuccessorIsNotRemoved) {
  auto first = Start();
  ASSERT_EQ(0, unlink(path().c_str()));
  const auto second = Start();
  first.reset();
  EXPECT_STATUS(200, HttpClient(address()).Send("GET", "/v2/health/live"));
}

TEST_F(UnixSocketTest, WhatIsNoSocketIsLeftAlone) {
  WriteWhole(path(), "precious");
  const Ended over_file = Run(address());
  EXPECT_EQ(1, over_file.status) << over_file.output;
  EXPECT_THAT(over_file.output, HasSubstr("a file of that name exists"));
  EXPECT_EQ("precious", ReadWhole(path()));

  ASSERT_EQ(0, symlink(path().c_str(), (dir_ / "link.sock").c_str()));
  EXPECT_EQ(1, Run("unix:" + (dir_ / "link.sock")).status);
  EXPECT_EQ(1, Run("unix:" + dir_.path()).status);
  EXPECT_EQ("precious", ReadWhole(path()));

  const Ended nowhere = Run("unix:" + (dir_ / "missing/x.sock"));
  EXPECT_EQ(1, nowhere.status) << nowhere.output;
  EXPECT_THAT(nowhere.output, HasSubstr("missing/x.sock"));
}

TEST_F(UnixSocketTest, APathThatIsTooLongIsAnErrorInTheConfiguration) {
  const Ended ended = Run("unix:" + (dir_ / std::string(120, 'x')));
  EXPECT_EQ(2, ended.status) << ended.output;
  EXPECT_THAT(ended.output,
              testing::AllOf(HasSubstr("longer than 107"), HasSubstr("http-address")));
}

}  // namespace
}  // namespace mlos::test
