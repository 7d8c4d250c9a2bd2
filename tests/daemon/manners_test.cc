// SPDX-License-Identifier: Apache-2.0
//
// How the daemon gets on with who started it: readiness, the watchdog,
// reloading, and the order in which it stops.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>

#include "fixture.h"

namespace mlos::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

// A service manager's end.  `name`: a path, or @ and a name of the abstract kind.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(0, bind(fd_, reinterpret_cast<const sockaddr*>(&address), length));
    const timeval patience{30, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~NotifySocket() { close(fd_); }

  std::string Next() {
    char text[4096];
    const ssize_t n = recv(fd_, text, sizeof text, 0);
    return n < 0 ? "nothing came" : std::string(text, static_cast<size_t>(n));
  }
  // The next that is not for the watchdog.
  std::string NextNews() {
    std::string text;
    do {
      text = Next();
    } while (text == "WATCHDOG=1\n");
    return text;
  }

 private:
  int fd_ = -1;
};

std::vector<std::string> Arguments(const TempDir& dir) {
  return {"--auth", "off",        "--http-address", "127.0.0.1:0",       "--metrics-address",
          "off",    "--data-dir", dir / "data",     "--print-addresses", dir / "addresses"};
}

TEST(NotifyTest, TheServiceManagerIsToldWhatHappens) {
  const TempDir dir;
  NotifySocket manager(dir / "notify");
  DaemonProcess daemon(Arguments(dir), dir / "log",
                       {"NOTIFY_SOCKET=" + (dir / "notify"), "WATCHDOG_USEC=100000"});
  EXPECT_THAT(manager.NextNews(), HasSubstr("READY=1\nSTATUS=Serving HTTP on 127.0.0.1:"));
  const std::string address = At(ParseJson(ReadWhole(dir / "addresses")), "/http");
  EXPECT_STATUS(200, HttpClient(address).Send("GET", "/v2/health/ready"));
  EXPECT_EQ("WATCHDOG=1\n", manager.Next());
  EXPECT_EQ("WATCHDOG=1\n", manager.Next());
  daemon.Signal(SIGHUP);
  EXPECT_THAT(manager.NextNews(), HasSubstr("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_THAT(manager.NextNews(), HasSubstr("READY=1\n"));
  daemon.Signal(SIGTERM);
  EXPECT_THAT(manager.NextNews(), HasSubstr("STOPPING=1\nSTATUS="));
  EXPECT_EQ(0, daemon.WaitExit().value_or(-1)) << daemon.log();
}

TEST(NotifyTest, AnAbstractSocketAndSomebodyElsesWatchdog) {
  const TempDir dir;
  const std::string name = "@mlosd-test-" + std::to_string(getpid());
  NotifySocket manager(name);
  DaemonProcess daemon(Arguments(dir), dir / "log",
                       {"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=1000", "WATCHDOG_PID=1"});
  EXPECT_THAT(manager.Next(), HasSubstr("READY=1"));
  daemon.Signal(SIGTERM);
  EXPECT_THAT(manager.Next(), HasSubstr("STOPPING=1"));
  EXPECT_EQ(0, daemon.WaitExit().value_or(-1)) << daemon.log();
}

TEST(NotifyTest, NobodyListensAndNothingIsLost) {
  const TempDir dir;
  DaemonProcess daemon(Arguments(dir), dir / "log",
                       {"NOTIFY_SOCKET=" + (dir / "none"), "WATCHDOG_USEC=1000"});
  ASSERT_TRUE(WaitUntil([&] { return !ReadWhole(dir / "addresses").empty(); }));
  daemon.Signal(SIGTERM);
  EXPECT_EQ(0, daemon.WaitExit().value_or(-1)) << daemon.log();
}

TEST(ReloadTest, TakesWhatItMayAndNamesTheRest) {
  const TempDir dir;
  const std::string file = dir / "mlosd.yaml";
  WriteWhole(file, "log-level: info\nworkers: 3\n");
  std::vector<std::string> args = Arguments(dir);
  args.insert(args.end(), {"--config", file});
  DaemonProcess daemon(args, dir / "log");
  ASSERT_TRUE(WaitUntil([&] { return !ReadWhole(dir / "addresses").empty(); })) << daemon.log();
  const auto logs = [&](const std::string& text) {
    return WaitUntil([&] { return daemon.log().find(text) != std::string::npos; });
  };
  WriteWhole(file, "log-level: error\nworkers: 4\ndrain-timeout: 7s\n");
  daemon.Signal(SIGHUP);
  EXPECT_TRUE(logs("log-level was info and is error (" + file + ":1:12)")) << daemon.log();
  EXPECT_TRUE(logs("workers is 3 and stays so; 4 (" + file + ":2:10) needs a restart"));
  EXPECT_TRUE(logs("drain-timeout was 20s and is 7s"));
  WriteWhole(file, "log-level: info\nworkers: lots\n");
  daemon.Signal(SIGHUP);
  EXPECT_TRUE(logs("reload: " + file + ":2:10: workers is 'lots'")) << daemon.log();
  EXPECT_TRUE(logs("nothing is changed"));
  WriteWhole(file, "log-level: error\nworkers: 3\ndrain-timeout: 7s\n");
  daemon.Signal(SIGHUP);
  EXPECT_TRUE(logs("nothing has changed")) << daemon.log();
  const std::string address = At(ParseJson(ReadWhole(dir / "addresses")), "/http");
  EXPECT_STATUS(200, HttpClient(address).Send("GET", "/v2/health/live"));
  daemon.Signal(SIGTERM);
  EXPECT_EQ(0, daemon.WaitExit().value_or(-1));
  EXPECT_THAT(daemon.log(), Not(HasSubstr("finishing what runs")));  // the level is error
}

constexpr char kEchoBody[] =
    R"({"inputs":[{"name":"X","datatype":"INT64","shape":[1],"data":[1]}]})";

TEST(DrainTest, NotReadyFirstWhileItStillAnswers) {
  Daemon daemon({"--drain-grace", "10m"});
  daemon.Forget();
  daemon.BringTestModel("slow");
  daemon.process().Signal(SIGTERM);
  EXPECT_TRUE(WaitUntil(
      [&] { return HttpClient(daemon.address()).Send("GET", "/v2/health/ready").status == 503; }));
  const Reply reply =
      HttpClient(daemon.address()).Send("POST", "/v2/models/m-slow/infer", kEchoBody);
  EXPECT_EQ(200, reply.status) << Show(reply);
  EXPECT_EQ("close", reply.Header("connection"));
  EXPECT_STATUS(200, HttpClient(daemon.address()).Send("GET", "/v2/health/live"));
  EXPECT_STATUS(200, HttpClient(daemon.address()).Send("GET", "/api/v1/status"));
  daemon.process().Signal(SIGTERM);
  EXPECT_EQ(0, daemon.process().WaitExit(seconds(5)).value_or(-1)) << daemon.process().log();
}

TEST(DrainTest, WhatHasBegunIsFinishedAndWhatIsNewRefused) {
  Daemon daemon({"--drain-timeout", "10m"});
  daemon.Forget();
  daemon.BringTestModel("slow");
  const std::string body = kEchoBody;
  HttpClient begun(daemon.address());
  ASSERT_TRUE(
      begun.Write("POST", "/v2/models/m-slow/infer", {},
                  {{"Content-Length", std::to_string(body.size())}, {"Expect", "100-continue"}}));
  ASSERT_TRUE(begun.ReadContinue());  // the daemon has seen it
  ASSERT_TRUE(begun.WriteMore(body.substr(0, 10)));
  daemon.process().Signal(SIGTERM);
  EXPECT_TRUE(WaitUntil(
      [&] { return HttpClient(daemon.address()).Send("GET", "/v2/health/ready").status == 503; }));
  const Reply refused = HttpClient(daemon.address()).Send("POST", "/v2/models/m-slow/infer", body);
  EXPECT_EQ(503, refused.status) << Show(refused);
  EXPECT_EQ("close", refused.Header("connection"));
  EXPECT_THAT(ErrorText(refused), HasSubstr("shutting down"));
  EXPECT_STATUS(503, HttpClient(daemon.address()).Send("GET", "/api/v1/models"));
  EXPECT_STATUS(200, HttpClient(daemon.address()).Send("GET", "/v2/health/live"));
  EXPECT_TRUE(daemon.process().Running());
  ASSERT_TRUE(begun.WriteMore(body.substr(10)));
  const Reply finished = begun.Read();
  EXPECT_EQ(200, finished.status) << Show(finished);
  EXPECT_EQ("close", finished.Header("connection"));
  EXPECT_EQ(0, daemon.process().WaitExit().value_or(-1)) << daemon.process().log();
  const std::string log = daemon.process().log();
  const size_t last = log.rfind('\n', log.size() - 2) + 1;
  EXPECT_THAT(log.substr(last), HasSubstr("stopped, "));
}

TEST(DrainTest, ASecondSignalDoesNotWaitForABusyHost) {
  Daemon daemon({"--drain-timeout", "10m"});
  daemon.Forget();
  daemon.BringTestModel("hang_in_execute");
  const pid_t host = daemon.HostOf("hang_in_execute").pid;
  HttpClient busy(daemon.address());
  ASSERT_TRUE(busy.Write("POST", "/v2/models/m-hang_in_execute/infer",
                         R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})"));
  ASSERT_TRUE(WaitUntil([&] { return daemon.InFlight("m-hang_in_execute") == 1; }));
  daemon.process().Signal(SIGTERM);
  EXPECT_TRUE(WaitUntil(
      [&] { return daemon.process().log().find("finishing what runs") != std::string::npos; }));
  daemon.process().Signal(SIGTERM);
  // A host gets ten seconds to end by itself; this one would take them.
  EXPECT_EQ(0, daemon.process().WaitExit(seconds(5)).value_or(-1)) << daemon.process().log();
  EXPECT_FALSE(IsAlive(host));
  const Reply cut_off = busy.Read();
  EXPECT_EQ(503, cut_off.status);
  EXPECT_THAT(ErrorText(cut_off), HasSubstr("shut down before the request was answered"));
}

TEST(DrainTest, TheDrainTimeoutIsTheEndOfABusyHostToo) {
  Daemon daemon({"--drain-timeout", "100ms"});
  daemon.Forget();
  daemon.BringTestModel("hang_in_execute");
  HttpClient busy(daemon.address());
  ASSERT_TRUE(busy.Write("POST", "/v2/models/m-hang_in_execute/infer",
                         R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[1]}]})"));
  ASSERT_TRUE(WaitUntil([&] { return daemon.InFlight("m-hang_in_execute") == 1; }));
  daemon.process().Signal(SIGTERM);
  EXPECT_EQ(0, daemon.process().WaitExit(seconds(5)).value_or(-1)) << daemon.process().log();
  EXPECT_THAT(daemon.process().log(), HasSubstr("requests still run after 100ms"));
  EXPECT_EQ(503, busy.Read().status);
}

}  // namespace
}  // namespace mlos::test
