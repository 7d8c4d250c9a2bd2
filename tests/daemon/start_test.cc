// SPDX-License-Identifier: Apache-2.0
//
// The daemon's command line: what it refuses, with which exit status and text.
#include <filesystem>

#include "fixture.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;

struct Refusal {
  std::vector<std::string> args;
  int status;
  std::vector<const char*> texts;
};

TEST(StartTest, RefusesWithAStatusAndAReason) {
  const TempDir dir;
  WriteWhole(dir / "file", "x");
  const std::string data = dir / "data";
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> args{"--auth", "off", "--data-dir", data, "--metrics-address", "off"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  const Refusal refusals[] = {
      {{"--data-dir", data}, 2, {"--auth off"}},
      {{"--data-dir", data, "--auth", "required"}, 2, {"--auth off"}},
      {{"--data-dir", data, "--auth", "maybe"}, 2, {"--auth", "maybe"}},
      {with({"--nonsense"}), 2, {"--nonsense"}},
      {with({"stray"}), 2, {"stray"}},
      {with({"--workers", "0"}), 2, {"--workers"}},
      {with({"--workers", "many"}), 2, {"--workers", "many"}},
      {with({"--drain-timeout", "-1"}), 2, {"--drain-timeout"}},
      {with({"--log-level", "loud"}), 2, {"--log-level", "loud"}},
      {with({"--data-dir"}), 2, {"--data-dir"}},
      {with({"--http-address", "0.0.0.0:0"}), 2, {"0.0.0.0:0", "loopback"}},
      {with({"--http-address", "[::]:0"}), 2, {"[::]:0", "loopback"}},
      {with({"--http-address", "*:0"}), 2, {"*:0", "loopback"}},
      {with({"--http-address", "192.0.2.1:80"}), 2, {"192.0.2.1:80", "loopback"}},
      {with({"--http-address", "nonsense"}), 2, {"nonsense", "HOST:PORT"}},
      {with({"--http-address", "no.such.host.invalid:80"}), 2, {"no.such.host.invalid"}},
      {with({"--http-address", "127.0.0.1:99999"}), 2, {"127.0.0.1:99999", "HOST:PORT"}},
      {with({"--http-address", "127.0.0.1:"}), 2, {"127.0.0.1:", "HOST:PORT"}},
      {with({"--http-address", "unix:" + dir.path() + "/file"}), 1, {"file"}},
      {with({"--plugin-host", "/no/such/program"}), 1, {"--plugin-host", "/no/such/program"}},
      {with({"--log-format", "xml"}), 2, {"--log-format", "xml"}},
      {with({"--grpc-address", "0.0.0.0:0"}), 2, {"--grpc-address: 0.0.0.0:0", "loopback"}},
      {with({"--grpc-address", "nonsense"}), 2, {"--grpc-address: nonsense", "HOST:PORT"}},
      {with({"--metrics-address", "0.0.0.0:0"}), 2, {"--metrics-address: 0.0.0.0:0", "loopback"}},
      {with({"--metrics-address", "nonsense"}), 2, {"--metrics-address: nonsense", "HOST:PORT"}},
      {{"--auth", "off", "--data-dir", dir / "file"}, 1, {"data directory", dir.path().c_str()}},
      {{"--auth", "off", "--data-dir", dir / "file/below"}, 1, {"data directory"}},
      {with({"--http-address", "127.0.0.1:0", "--print-addresses", dir / "no/where"}),
       1,
       {"no/where"}},
  };
  for (const Refusal& refusal : refusals) {
    const Ended ended = RunMlosd(refusal.args);
    EXPECT_EQ(refusal.status, ended.status) << refusal.args.back() << ": " << ended.output;
    for (const char* text : refusal.texts) EXPECT_THAT(ended.output, HasSubstr(text));
  }
}

TEST(StartTest, HelpAndVersionAreNoErrors) {
  const Ended help = RunMlosd({"--help"});
  EXPECT_EQ(0, help.status);
  for (const char* flag : {"--auth", "--data-dir", "--http-address", "--plugin-dir"}) {
    EXPECT_THAT(help.output, HasSubstr(flag));
  }
  const Ended version = RunMlosd({"--version"});
  EXPECT_EQ(0, version.status);
  EXPECT_THAT(version.output, HasSubstr("mlosd "));
}

TEST(StartTest, ATakenPortIsNamed) {
  Daemon daemon;
  const TempDir dir;
  const Ended ended =
      RunMlosd({"--auth", "off", "--data-dir", dir / "data", "--http-address", daemon.address()});
  EXPECT_EQ(1, ended.status) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(daemon.address()));
  EXPECT_THAT(ended.output, HasSubstr("in use"));
  EXPECT_THAT(ended.output, HasSubstr("--http-address"));
  EXPECT_STATUS(200, daemon.Get("/v2/health/live"));
}

TEST(StartTest, TheGrpcPortIsNamedToo) {
  Daemon daemon;
  EXPECT_THAT(daemon.grpc_address(), testing::StartsWith("127.0.0.1:"));
  const TempDir dir;
  const Ended ended =
      RunMlosd({"--auth", "off", "--data-dir", dir / "data", "--http-address", "127.0.0.1:0",
                "--metrics-address", "off", "--grpc-address", daemon.grpc_address()});
  EXPECT_EQ(1, ended.status) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(daemon.grpc_address()));
  EXPECT_THAT(ended.output, HasSubstr("--grpc-address"));
  Daemon off({"--grpc-address", "off"});
  EXPECT_EQ("null", off.grpc_address());
}

TEST(StartTest, ASecondDaemonOnADataDirectoryIsRefused) {
  Daemon daemon;
  const Ended ended = RunMlosd({"--auth", "off", "--data-dir", daemon.data_dir(), "--http-address",
                                "127.0.0.1:0", "--metrics-address", "off"});
  EXPECT_EQ(3, ended.status) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(daemon.data_dir()));
  EXPECT_STATUS(200, daemon.Get("/v2/health/live"));
}

TEST(StartTest, TheDataDirectoryIsMadeForItsOwnerOnly) {
  Daemon daemon;
  const auto permissions = std::filesystem::status(daemon.data_dir()).permissions();
  EXPECT_EQ(std::filesystem::perms::owner_all, permissions);
}

}  // namespace
}  // namespace mlos::test
