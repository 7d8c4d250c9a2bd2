// SPDX-License-Identifier: Apache-2.0
//
// How the daemon ends: told to, killed, and what is left of it.
#include <algorithm>
#include <csignal>
#include <filesystem>

#include "fixture.h"

namespace mlos::test {
namespace {

std::string Millis(int64_t take) {
  return R"({"inputs":[{"name":"X","datatype":"INT64","shape":[1],"data":[)" +
         std::to_string(take) + "]}]}";
}

std::vector<pid_t> HostPids(Daemon& daemon) {
  std::vector<pid_t> pids;
  for (const auto& [name, host] : daemon.Hosts()) pids.push_back(host.pid);
  return pids;
}

bool AllGone(const std::vector<pid_t>& pids) {
  return WaitUntil([&] { return std::none_of(pids.begin(), pids.end(), IsAlive); });
}

TEST(StopTest, TerminatedItFinishesWhatRunsAndLeavesNothing) {
  Daemon daemon;
  daemon.Forget();
  daemon.BringTestModel("slow");
  daemon.BringPlugin(TemplatePlugin());
  const std::vector<pid_t> hosts = HostPids(daemon);
  ASSERT_EQ(2u, hosts.size());
  HttpClient busy(daemon.address());
  ASSERT_TRUE(busy.Write("POST", "/v2/models/m-slow/infer", Millis(1000)));
  ASSERT_TRUE(WaitUntil([&] { return daemon.InFlight("m-slow") == 1; }));
  daemon.process().Signal(SIGTERM);
  const Reply reply = busy.Read();
  EXPECT_EQ(200, reply.status) << Show(reply);
  EXPECT_EQ(std::vector<double>{1000}, Numbers(reply, "/outputs/0/data"));
  EXPECT_EQ(0, daemon.process().WaitExit().value_or(-1)) << daemon.process().log();
  EXPECT_TRUE(AllGone(hosts));
  EXPECT_STATUS(0, HttpClient(daemon.address()).Send("GET", "/v2/health/live"));
}

TEST(StopTest, WhatRunsTooLongIsLeftBehindByTheDrainTimeout) {
  Daemon daemon({"--drain-timeout", "1"});
  daemon.Forget();
  daemon.BringTestModel("hang_in_execute");
  const std::vector<pid_t> hosts = HostPids(daemon);
  HttpClient busy(daemon.address());
  ASSERT_TRUE(busy.Write("POST", "/v2/models/m-hang_in_execute/infer",
                         R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})"));
  ASSERT_TRUE(WaitUntil([&] { return daemon.InFlight("m-hang_in_execute") == 1; }));
  daemon.process().Signal(SIGTERM);
  EXPECT_EQ(0, daemon.process().WaitExit().value_or(-1)) << daemon.process().log();
  EXPECT_TRUE(AllGone(hosts));
}

TEST(StopTest, ASecondSignalEndsTheWaiting) {
  Daemon daemon({"--drain-timeout", "600"});
  daemon.Forget();
  daemon.BringTestModel("slow");
  HttpClient busy(daemon.address());
  ASSERT_TRUE(busy.Write("POST", "/v2/models/m-slow/infer", Millis(600'000)));
  ASSERT_TRUE(WaitUntil([&] { return daemon.InFlight("m-slow") == 1; }));
  daemon.process().Signal(SIGTERM);
  EXPECT_TRUE(WaitUntil(
      [&] { return daemon.process().log().find("finishing what runs") != std::string::npos; }));
  daemon.process().Signal(SIGINT);
  EXPECT_EQ(0, daemon.process().WaitExit().value_or(-1)) << daemon.process().log();
}

TEST(StopTest, KilledItsHostsGoWithIt) {
  Daemon daemon;
  daemon.Forget();
  daemon.BringDigits();
  daemon.BringPlugin(TemplatePlugin());
  daemon.BringTestModel("hang_in_execute");
  HttpClient busy(daemon.address());
  ASSERT_TRUE(busy.Write("POST", "/v2/models/m-hang_in_execute/infer",
                         R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})"));
  const std::vector<pid_t> hosts = HostPids(daemon);
  ASSERT_EQ(3u, hosts.size());
  daemon.process().Signal(SIGKILL);
  EXPECT_EQ(128 + SIGKILL, daemon.process().WaitExit().value_or(-1));
  EXPECT_TRUE(AllGone(hosts));
}

TEST(StopTest, AKilledDaemonsDataDirectoryServesTheNext) {
  const TempDir dir;
  const auto args = [&](const char* addresses) {
    return std::vector<std::string>{"--auth",
                                    "off",
                                    "--http-address",
                                    "127.0.0.1:0",
                                    "--data-dir",
                                    dir / "data",
                                    "--print-addresses",
                                    dir / addresses,
                                    "--metrics-address",
                                    "off"};
  };
  DaemonProcess first(args("1"), dir / "log1");
  ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(dir / "1"); }));
  first.Signal(SIGKILL);
  EXPECT_EQ(128 + SIGKILL, first.WaitExit().value_or(-1));
  DaemonProcess second(args("2"), dir / "log2");
  EXPECT_TRUE(WaitUntil([&] { return std::filesystem::exists(dir / "2"); })) << second.log();
  second.Signal(SIGINT);
  EXPECT_EQ(0, second.WaitExit().value_or(-1));
}

}  // namespace
}  // namespace mlos::test
