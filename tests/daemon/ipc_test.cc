// SPDX-License-Identifier: Apache-2.0
//
// The local socket of the real daemon: a model's whole life over it, whom it
// refuses, and what becomes of it at the end.
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "fixture.h"
#include "ipc/test_client.h"
#include "metrics/exposition_parser.h"

namespace mlos::test {
namespace {

using ipc::Ask;
using ipc::Client;
using ipc::FailureOf;
using ipc::Frame;
using ipc::Tell;
using testing::HasSubstr;
using testing::StartsWith;

std::string JsonText(const std::string& text) {
  return boost::json::serialize(boost::json::string(text));
}

// What the operation gave, or why it did not.
std::string Outcome(Client& client, const ipc::AskControl& ask) {
  const std::optional<Frame> frame = client.Ask1(Ask::kControl, ask);
  if (!frame || frame->type() != Tell::kOutcome) return FailureOf(frame);
  ipc::ControlOutcome outcome;
  EXPECT_TRUE(Decode(frame->payload, &outcome).ok());
  return std::string(outcome.body);
}

std::string Affine(std::string_view model, const std::vector<float>& values) {
  ipc::AskInfer ask;
  ask.model = model;
  ask.inputs = {ipc::Input("X", tensor::Datatype::kFp32, {static_cast<int64_t>(values.size())},
                           values.size() * sizeof(float))};
  Buffer head;
  EXPECT_TRUE(EncodeHead(ask, &head));
  return std::string(head.view()) + BytesOf(values);
}

// Of twice a value plus one; else what went wrong.
testing::AssertionResult Serves(Client& client, std::string_view model,
                                const std::vector<float>& values = {1, 2}) {
  client.SendFrame(Ask::kInfer, client.next(), Affine(model, values));
  std::vector<float> wanted;
  for (const float value : values) wanted.push_back(2 * value + 1);
  const std::string data = ipc::DataOf(client.Read());
  if (data == BytesOf(wanted)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << data.substr(0, 300);
}

// ---------------------------------------------------------------- a whole life

class IpcDaemonTest : public testing::Test {
 protected:
  std::string path() const { return dir_ / "mlos.sock"; }
  std::unique_ptr<Daemon> Start(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--ipc-socket", path()});
    return std::make_unique<Daemon>(more);
  }

  const TempDir dir_;
};

TEST_F(IpcDaemonTest, AModelsWholeLife) {
  {
    const auto daemon = Start();
    Client client(path());
    EXPECT_THAT(Outcome(client, {.operation = "plugin.register",
                                 .body = R"({"path":)" + JsonText(TemplatePlugin()) + "}"}),
                HasSubstr(R"("state":"registered")"));
    EXPECT_THAT(
        Outcome(client, {.operation = "plugin.load", .name = "template", .version = "1.0.0"}),
        HasSubstr(R"("state":"ready")"));
    EXPECT_THAT(
        Outcome(client, {.operation = "model.register",
                         .body = R"({"name":"m","path":)" +
                                 JsonText(SourcePath("plugins/template/model.affine")) + "}"}),
        HasSubstr(R"("name":"m")"));
    EXPECT_THAT(Outcome(client, {.operation = "model.load", .name = "m", .version = "1"}),
                HasSubstr(R"("state":"ready")"));
    EXPECT_TRUE(Serves(client, "m"));
    EXPECT_TRUE(Serves(client, "m", std::vector<float>(3'000'000, 1.5f))) << "in many pieces";
    EXPECT_THAT(Outcome(client, {.operation = "model.unload", .name = "m", .version = "1"}),
                HasSubstr(R"("state":"unloaded")"));
    client.SendFrame(Ask::kInfer, client.next(), Affine("m", {1, 2}));
    EXPECT_THAT(FailureOf(client.Read()), StartsWith("UNAVAILABLE"));
    EXPECT_THAT(Outcome(client, {.operation = "model.load", .name = "absent", .version = "1"}),
                StartsWith("NOT_FOUND"));
    // The other protocols see the same.
    EXPECT_EQ("unloaded", At(daemon->Get("/api/v1/models/m/versions/1"), "/state"));
  }
  EXPECT_FALSE(std::filesystem::exists(path())) << "it is removed at the end";
}

TEST_F(IpcDaemonTest, IsForItsOwnerAndKnowsHim) {
  const auto daemon = Start();
  struct stat st {};
  ASSERT_EQ(0, ::lstat(path().c_str(), &st));
  EXPECT_EQ(0600u, st.st_mode & 07777);
  Client client(path(), false);
  client.Send(Ask::kHello, 1, ipc::Hello{.client = "test"});
  const auto frame = client.Read();
  ASSERT_TRUE(frame && frame->type() == Tell::kWelcome) << FailureOf(frame);
  ipc::Welcome welcome;
  ASSERT_TRUE(Decode(frame->payload, &welcome).ok());
  EXPECT_EQ(::geteuid(), welcome.uid);
  EXPECT_EQ(static_cast<uint32_t>(daemon->pid()), welcome.server_pid);
}

TEST_F(IpcDaemonTest, IsCounted) {
  const auto daemon = Start();
  Client client(path());
  client.SendFrame(Ask::kServer, 1, "");
  const auto frame = client.Read();
  ASSERT_TRUE(frame);
  const auto scrape = [&] {
    return metrics::ParsedExposition::Parse(
        std::string(HttpClient(daemon->metrics_address()).Send("GET", "/metrics").body),
        metrics::Format::kPrometheus);
  };
  // An answer is counted after it is sent.
  EXPECT_TRUE(WaitUntil([&] {
    return scrape().Value("mlos_ipc_calls_total", {{"kind", "server"}, {"code", "OK"}}) == 1;
  }));
  const auto page = scrape();
  EXPECT_EQ(1, page.Value("mlos_ipc_connections_open"));
  EXPECT_EQ(1, page.Value("mlos_ipc_connections_accepted_total"));
  EXPECT_GE(page.Value("mlos_ipc_received_bytes_total"), 2 * sizeof(ipc::FrameHeader));
  EXPECT_GE(page.Value("mlos_ipc_sent_bytes_total"), frame->payload.size());
}

TEST_F(IpcDaemonTest, TheSocketOfAnotherDaemonIsLeftAlone) {
  const auto first = Start();
  const Ended told = RunMlosd({"--auth", "off", "--data-dir", dir_ / "told", "--http-address",
                               "127.0.0.1:0", "--metrics-address", "off", "--ipc-socket", path()});
  EXPECT_EQ(1, told.status) << told.output;
  EXPECT_THAT(told.output, testing::AllOf(HasSubstr("another program"), HasSubstr("--ipc-socket")));
  Client client(path());
  EXPECT_EQ(Tell::kServer, (client.SendFrame(Ask::kServer, 1, ""), client.Read())->type());
}

// ------------------------------------------------------------ the default path

// Daemons that are not told where the socket is to be.
class IpcDefaultPathTest : public testing::Test {
 protected:
  // Of another user than root it is in a directory of the test's own.  Root has but
  // one, which a daemon that is no test's may have: then both here go without.
  std::string path() const {
    return ::geteuid() == 0 ? "/run/mlos/mlos.sock" : dir_ / "mlos/mlos.sock";
  }
  std::vector<std::string> environment() const {
    return {"MLOS_IPC_SOCKET=", "XDG_RUNTIME_DIR=" + dir_.path()};
  }
  std::vector<std::string> Arguments(const std::string& name) const {
    return {"--auth",
            "off",
            "--data-dir",
            dir_ / name,
            "--http-address",
            "127.0.0.1:0",
            "--metrics-address",
            "off",
            "--print-addresses",
            dir_ / (name + ".json")};
  }
  std::unique_ptr<DaemonProcess> Start(const std::string& name) const {
    auto process =
        std::make_unique<DaemonProcess>(Arguments(name), dir_ / (name + ".log"), environment());
    EXPECT_TRUE(WaitUntil([&] { return !Addresses(name).empty() || !process->Running(); }));
    EXPECT_TRUE(process->Running()) << process->log();
    return process;
  }
  // The log has a thread of its own.
  static void ExpectLogged(const DaemonProcess& daemon, const std::vector<std::string>& texts) {
    EXPECT_TRUE(WaitUntil([&] {
      const std::string log = daemon.log();
      return std::all_of(texts.begin(), texts.end(), [&](const std::string& text) {
        return log.find(text) != std::string::npos;
      });
    })) << daemon.log();
  }
  std::string Addresses(const std::string& name) const {
    return ReadWhole(dir_ / (name + ".json"));
  }

  const TempDir dir_;
};

// Who says where it is to be gets it or an error; who does not goes without.
TEST_F(IpcDefaultPathTest, ASecondDaemonGoesWithoutOrDoesNotStart) {
  const auto first = Start("first");
  if (At(boost::json::parse(Addresses("first")), "/ipc") == path()) {
    ExpectLogged(*first, {"local programs on " + path()});
  } else {
    EXPECT_EQ(0u, ::geteuid()) << first->log();
  }
  const auto second = Start("second");
  EXPECT_EQ("null", At(boost::json::parse(Addresses("second")), "/ipc"));
  ExpectLogged(*second,
               {"no socket for local programs", "another program", path(), "--ipc-socket"});
  auto arguments = Arguments("told");
  arguments.insert(arguments.end(), {"--ipc-socket", path()});
  const Ended told = RunMlosd(arguments, environment());
  EXPECT_EQ(1, told.status) << told.output;
  EXPECT_THAT(told.output, testing::AllOf(HasSubstr("another program"), HasSubstr(path()),
                                          HasSubstr("--ipc-socket")));
  EXPECT_EQ("", Addresses("told"));
  first->Signal(SIGTERM);  // takes its socket away
  EXPECT_EQ(0, first->WaitExit().value_or(-1)) << first->log();
}

// ----------------------------------------------------------------- the end

TEST_F(IpcDaemonTest, DrainingAnswersWhatRuns) {
  const auto daemon = Start();
  daemon->Forget();
  daemon->BringTestModel("slow");
  Client busy(path());
  Client idle(path());
  ipc::AskInfer ask;
  ask.model = "m-slow";
  ask.inputs = {ipc::Input("X", tensor::Datatype::kInt64, {1}, sizeof(int64_t))};
  Buffer head;
  ASSERT_TRUE(EncodeHead(ask, &head));
  busy.SendFrame(Ask::kInfer, 7, std::string(head.view()) + BytesOf(std::vector<int64_t>{1000}));
  ASSERT_TRUE(WaitUntil([&] { return daemon->InFlight("m-slow") == 1; }));
  daemon->process().Signal(SIGTERM);
  EXPECT_EQ(BytesOf(std::vector<int64_t>{1000}), ipc::DataOf(busy.Read()));
  EXPECT_FALSE(busy.Read().has_value());
  EXPECT_FALSE(idle.Read().has_value());
  EXPECT_EQ(0, daemon->process().WaitExit().value_or(-1)) << daemon->process().log();
}

// ------------------------------------------------------------- hostile clients

class IpcAttackTest : public IpcDaemonTest {
 protected:
  IpcAttackTest() : daemon_(Start({"--ipc-max-message", "1MiB"})) {
    daemon_->BringPlugin(TemplatePlugin());
    EXPECT_STATUS(201, daemon_->RegisterModel("m", SourcePath("plugins/template/model.affine")));
    bystander_.emplace(path());
    EXPECT_TRUE(Serves(*bystander_, "m"));
    host_ = daemon_->HostOf("template");
  }
  // The same process, the same host, the same connection.
  ~IpcAttackTest() override {
    EXPECT_TRUE(daemon_->process().Running()) << daemon_->process().log();
    EXPECT_TRUE(Serves(*bystander_, "m"));
    EXPECT_EQ(host_.pid, daemon_->HostOf("template").pid);
  }

  std::unique_ptr<Daemon> daemon_;
  std::optional<Client> bystander_;
  Daemon::Host host_;
};

TEST_F(IpcAttackTest, OtherProtocolsAndGarbage) {
  for (const std::string& bytes :
       {std::string("GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), std::string(4096, '\xff'),
        std::string(4096, '\0'), Client::Framed(Ask::kServer, 1, ""),
        Client::Framed(Ask::kHello, 1, std::string(100, 'x'))}) {
    Client client(path(), false);
    client.SendBytes(bytes);
    EXPECT_THAT(FailureOf(client.Read()), StartsWith("INVALID_ARGUMENT")) << bytes.substr(0, 20);
    EXPECT_FALSE(client.Read().has_value());
  }
}

TEST_F(IpcAttackTest, WhatIsTooLargeIsPassedOver) {
  Client client(path());
  client.SendFrame(Ask::kInfer, 1, std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(FailureOf(client.Read()), HasSubstr("--ipc-max-message"));
  client.SendFrame(Ask::kInfer, 2, std::string(1000, '\xff'));
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("INVALID_ARGUMENT"));
  EXPECT_TRUE(Serves(client, "m")) << "the connection goes on";
}

TEST_F(IpcAttackTest, SizesThatWrap) {
  Client client(path());
  ipc::AskInfer ask;
  ask.model = "m";
  ask.inputs = {ipc::Input("X", tensor::Datatype::kFp32, {int64_t{1} << 62, 4}, 16)};
  Buffer head;
  ASSERT_TRUE(EncodeHead(ask, &head));
  client.SendFrame(Ask::kInfer, 1, std::string(head.view()) + std::string(16, '\0'));
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("INVALID_ARGUMENT"));
  ipc::FrameHeader header{.type = static_cast<uint32_t>(Ask::kInfer), .call = 2, .bytes = ~0ull};
  client.SendBytes({reinterpret_cast<const char*>(&header), sizeof(header)});
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("INVALID_ARGUMENT"));
  EXPECT_FALSE(client.Read().has_value()) << "nothing that follows can be found";
}

TEST_F(IpcAttackTest, OneThatDiesInMidRequestOrMidAnswer) {
  const size_t before = CountFds(daemon_->pid());
  const std::string request =
      Client::Framed(Ask::kInfer, 1, Affine("m", std::vector<float>(200'000, 1)));
  for (const size_t bytes : {size_t{3}, size_t{30}, request.size() / 2, request.size()}) {
    Client client(path());
    client.SendBytes(request.substr(0, bytes));
  }
  EXPECT_TRUE(WaitUntil([&] { return CountFds(daemon_->pid()) == before; }));
  EXPECT_TRUE(WaitUntil([&] { return daemon_->InFlight("m") == 0; }));
}

}  // namespace
}  // namespace mlos::test
