// SPDX-License-Identifier: Apache-2.0
//
// Handshake, descriptions, operations, and clients that do not keep to the
// protocol.
#include <sys/stat.h>
#include <unistd.h>

#include "frontends/ipc/ipc_fixture.h"
#include "operations/operations.h"

namespace mlos::ipc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// Of the greeting of a Client.
uint64_t HelloBytes() {
  Buffer hello;
  Encode(Hello{.client = "test"}, &hello);
  return hello.view().size();
}

class ServerIpc : public IpcTest {
 protected:
  ServerIpc() : IpcTest(Small()) {}
  static IpcOptions Small() {
    IpcOptions options;
    options.max_connections = 6;
    options.max_calls = 4;
    options.sweep_ns = 10 * kNanosPerMilli;
    return options;
  }
};

// For who is to be late; who is not has to greet within this.
class ImpatientIpc : public IpcTest {
 protected:
  ImpatientIpc() : IpcTest(Impatient()) {}
  static IpcOptions Impatient() {
    IpcOptions options;
    options.max_message_bytes = 100;
    options.transfer_timeout_ns = kNanosPerSecond;
    options.sweep_ns = 10 * kNanosPerMilli;
    return options;
  }
};

TEST_F(ServerIpc, WelcomesAndSaysWhomItSees) {
  Client client(path_, false);
  client.Send(Ask::kHello, 9, Hello{.lowest = 1, .highest = 7, .token = "secret"});
  const auto frame = client.Read();
  ASSERT_TRUE(frame);
  ASSERT_EQ(Tell::kWelcome, frame->type()) << FailureOf(frame);
  EXPECT_EQ(9u, frame->header.call);
  Welcome welcome;
  ASSERT_TRUE(Decode(frame->payload, &welcome).ok());
  EXPECT_EQ(kHighestVersion, welcome.version);
  EXPECT_EQ(4u, welcome.max_calls);
  EXPECT_EQ(::getuid(), welcome.uid);
  EXPECT_EQ(static_cast<uint32_t>(::getpid()), welcome.server_pid);
  EXPECT_EQ("1.2.3", welcome.server_version);
}

TEST_F(ServerIpc, OnlyItsUserMayConnect) {
  struct stat info {};
  ASSERT_EQ(0, ::stat(path_.c_str(), &info));
  EXPECT_EQ(0600u, info.st_mode & 0777);
  ASSERT_EQ(0, ::stat((directory_ + "/sub").c_str(), &info));
  EXPECT_EQ(0700u, info.st_mode & 0777);
}

TEST_F(ServerIpc, TellsHowItIs) {
  Client client(path_);
  client.SendFrame(Ask::kServer, 2, "");
  auto frame = client.Read();
  ServerState state;
  ASSERT_TRUE(frame && Decode(frame->payload, &state).ok());
  EXPECT_TRUE(state.ready);
  EXPECT_EQ("1.2.3", state.version);
  EXPECT_THAT(state.extensions, testing::Contains("model_repository"));
  OnLoop([this] { server_->Leave(); });
  client.SendFrame(Ask::kServer, 3, "");
  frame = client.Read();
  ASSERT_TRUE(frame && Decode(frame->payload, &state).ok());
  EXPECT_FALSE(state.ready);
  EXPECT_THAT(std::string(state.not_ready), HasSubstr("shutting down"));
}

TEST_F(ServerIpc, DescribesModels) {
  Client client(path_);
  const auto frame =
      client.Ask1(Ask::kModel, AskModel{.with_config = true, .model = "pair", .version = "7"});
  ModelDescription model;
  ASSERT_TRUE(frame && Decode(frame->payload, &model).ok()) << FailureOf(frame);
  EXPECT_EQ("pair", model.name);
  EXPECT_EQ("7", model.version);
  EXPECT_THAT(model.versions, ElementsAre("7"));
  ASSERT_EQ(3u, model.inputs.size());
  EXPECT_EQ("b", model.inputs[1].name);
  EXPECT_THAT(model.inputs[1].shape(), ElementsAre(-1, 2));
  EXPECT_TRUE(model.inputs[2].optional);
  EXPECT_EQ(R"({"name":"pair"})", model.config);

  const auto any = client.Ask1(Ask::kModel, AskModel{.model = "pair"});
  ASSERT_TRUE(any && Decode(any->payload, &model).ok());
  EXPECT_THAT(model.versions, ElementsAre("1", "7"));
  EXPECT_EQ("", model.config);

  EXPECT_THAT(FailureOf(client.Ask1(Ask::kModel, AskModel{.model = "none"})),
              StartsWith("NOT_FOUND"));
  EXPECT_TRUE(Eventually([this] { return engine_->running == 0; }));
}

TEST_F(ServerIpc, AppliesOperationsOfTheTable) {
  Client client(path_);
  const auto frame = client.Ask1(
      Ask::kControl,
      AskControl{.wait = false, .operation = "model.load", .name = "m", .version = "3"});
  ControlOutcome outcome;
  ASSERT_TRUE(frame && frame->type() == Tell::kOutcome) << FailureOf(frame);
  ASSERT_TRUE(Decode(frame->payload, &outcome).ok());
  EXPECT_EQ(R"({"state":"ready"})", outcome.body);
  const auto operations = control_.operations();
  ASSERT_EQ(1u, operations.size());
  EXPECT_EQ(control::OperationKind::kLoadModel, operations[0].kind);
  EXPECT_EQ("m", operations[0].name);
  EXPECT_EQ("3", operations[0].version);
  EXPECT_FALSE(operations[0].wait);
}

TEST_F(ServerIpc, EveryOperationOfTheTableCanBeAskedFor) {
  Client client(path_);
  for (const auto& row : operations::Operations()) {
    const bool named = row.http_path.find("{name}") != std::string_view::npos;
    const bool versioned = row.http_path.find("{version}") != std::string_view::npos;
    const auto frame = client.Ask1(
        Ask::kControl,
        AskControl{.operation = row.name,
                   .name = named ? std::string_view("n") : std::string_view(),
                   .version = versioned ? std::string_view("1") : std::string_view(),
                   .body = row.takes_body() ? std::string_view("{}") : std::string_view()});
    ASSERT_TRUE(frame && frame->type() == Tell::kOutcome) << row.name << ": " << FailureOf(frame);
    EXPECT_EQ(row.kind, control_.operations().back().kind);
  }
}

TEST_F(ServerIpc, RefusesOperationsThatMakeNoSense) {
  Client client(path_);
  const auto fails = [&](const AskControl& ask) {
    return FailureOf(client.Ask1(Ask::kControl, ask));
  };
  EXPECT_THAT(fails({.operation = "model.explode"}), StartsWith("NOT_FOUND"));
  EXPECT_THAT(fails({.operation = "model.load", .version = "1"}), HasSubstr("needs a name"));
  EXPECT_THAT(fails({.operation = "model.list", .name = "m"}), HasSubstr("takes no name"));
  EXPECT_THAT(fails({.operation = "model.register", .body = "{"}), HasSubstr("JSON"));
  EXPECT_THAT(fails({.operation = "model.register", .body = "[]"}), HasSubstr("JSON object"));
  EXPECT_TRUE(control_.operations().empty());

  control_.answer = [](const control::Operation&) {
    control::Outcome outcome;
    outcome.status = FailedPrecondition("no");
    outcome.hint = "wait";
    return outcome;
  };
  EXPECT_EQ("FAILED_PRECONDITION: no (wait)", fails({.operation = "status.get"}));
}

// -------------------------------------------------------- hostile or careless

TEST_F(ServerIpc, WhatIsNotTheProtocolIsToldSo) {
  Client http(path_, false);
  http.SendBytes("GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(FailureOf(http.Read()), HasSubstr("local protocol"));
  EXPECT_FALSE(http.Read());
  Client early(path_, false);
  early.SendFrame(Ask::kServer, 1, "");
  EXPECT_THAT(FailureOf(early.Read()), HasSubstr("not hello"));
  Client newer(path_, false);
  newer.Send(Ask::kHello, 1, Hello{.lowest = 99, .highest = 99});
  EXPECT_THAT(FailureOf(newer.Read()), HasSubstr("update the older"));
  EXPECT_FALSE(newer.Read());
  EXPECT_TRUE(Eventually([this] { return Connections() == 0; }));
}

TEST_F(ServerIpc, BrokenFramesEndTheConnection) {
  for (const FrameHeader& header :
       {FrameHeader{.type = 5, .call = 1, .bytes = ~uint64_t{0}},
        FrameHeader{.type = 5, .descriptors = 2, .call = 1}, FrameHeader{.type = 2, .call = 0}}) {
    Client client(path_);
    client.SendBytes({reinterpret_cast<const char*>(&header), sizeof(header)});
    const auto frame = client.Read();
    EXPECT_THAT(FailureOf(frame), StartsWith("INVALID_ARGUMENT"));
    EXPECT_EQ(0u, frame->header.call);
    EXPECT_FALSE(client.Read());
  }
}

TEST_F(ServerIpc, UnknownAndDamagedMessagesFailAlone) {
  Client client(path_);
  client.SendFrame(static_cast<Ask>(77), 1, "anything");
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("UNIMPLEMENTED"));
  client.SendFrame(Ask::kModel, 2, "xx");
  EXPECT_THAT(FailureOf(client.Read()), HasSubstr("damaged"));
  client.SendFrame(Ask::kInfer, 3, "xxxxxxxxxxxxxxxx");
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("INVALID_ARGUMENT"));
  client.SendFrame(Ask::kControl, 4, std::string((1 << 20) + 1, 'x'));
  EXPECT_THAT(FailureOf(client.Read()), HasSubstr("of at most"));
  client.SendFrame(Ask::kServer, 5, "");
  EXPECT_EQ(Tell::kServer, client.Read()->type());
}

TEST_F(ServerIpc, TwoCallsOfOneNumberEndTheConnection) {
  control_.hold = true;
  Client client(path_);
  client.Send(Ask::kControl, 7, AskControl{.operation = "status.get"});
  client.Send(Ask::kControl, 7, AskControl{.operation = "status.get"});
  EXPECT_THAT(FailureOf(client.Read()), HasSubstr("number 7"));
  EXPECT_FALSE(client.Read());
  control_.LetGo();
}

// The number is looked at first: only the header is sent of what is too large.
TEST_F(ServerIpc, NumbersOfMessagesThatAreTooLargeCount) {
  control_.hold = true;
  for (const uint64_t number : {0u, 7u}) {
    Client client(path_);
    client.Send(Ask::kControl, 7, AskControl{.operation = "status.get"});
    const FrameHeader header{
        .type = static_cast<uint32_t>(Ask::kControl), .call = number, .bytes = kMostHeadBytes + 1};
    client.SendBytes({reinterpret_cast<const char*>(&header), sizeof(header)});
    const auto frame = client.Read();
    EXPECT_THAT(FailureOf(frame), HasSubstr("the number " + std::to_string(number)));
    EXPECT_EQ(0u, frame ? frame->header.call : 1u);
    EXPECT_FALSE(client.Read());
  }
  control_.LetGo();
}

TEST_F(ServerIpc, ACancelCarriesNothing) {
  control_.hold = true;
  for (const size_t bytes : {size_t{1}, size_t{40} << 10, kMostHeadBytes + 1}) {
    Client client(path_);
    client.Send(Ask::kControl, 7, AskControl{.operation = "status.get"});
    client.SendFrame(Ask::kCancel, 7, std::string(bytes, 'x'));
    const auto frame = client.Read();
    EXPECT_THAT(FailureOf(frame), StartsWith("INVALID_ARGUMENT")) << bytes;
    EXPECT_EQ(0u, frame ? frame->header.call : 1u) << bytes;
    EXPECT_FALSE(client.Read());
  }
  EXPECT_TRUE(Eventually([this] { return Ended(metrics::IpcEnd::kProtocol) == 3; }));
  EXPECT_EQ(0u, Buffered());
  control_.LetGo();
}

TEST_F(ServerIpc, DescriptorsThatNobodyAskedForAreNotKept) {
  Client client(path_);
  int pipe[2] = {-1, -1};
  ASSERT_EQ(0, ::pipe(pipe));
  const OwnedFd out(pipe[0]);
  OwnedFd in(pipe[1]);
  const std::string frame = Client::Framed(Ask::kServer, 2, "");
  iovec iov{const_cast<char*>(frame.data()), frame.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = in.get();
  std::memcpy(CMSG_DATA(c), &fd, sizeof(fd));
  ASSERT_EQ(static_cast<ssize_t>(frame.size()), ::sendmsg(client.fd(), &message, 0));
  ASSERT_TRUE(client.Read());
  in.Reset();
  char end = 0;
  EXPECT_EQ(0, ::read(out.get(), &end, 1));  // nobody else has it
}

// The last of them: half a frame behind one that is refused.
TEST_F(ImpatientIpc, SlowHandshakesAndMessagesEnd) {
  const std::string half_a_frame = Client::Framed(Ask::kServer, 1, "").substr(0, 10);
  Client half(path_);
  half.SendBytes(half_a_frame);
  Client behind(path_);
  behind.SendBytes(Client::Framed(Ask::kInfer, 1, std::string(200, 'x')) + half_a_frame);
  EXPECT_THAT(FailureOf(behind.Read()), HasSubstr("of at most"));
  Client silent(path_, false);
  for (Client* slow : {&half, &behind, &silent}) {
    EXPECT_THAT(FailureOf(slow->Read()), StartsWith("DEADLINE_EXCEEDED"));
    EXPECT_FALSE(slow->Read());
  }
}

TEST_F(ServerIpc, ConnectionsAreBounded) {
  std::vector<std::unique_ptr<Client>> clients;
  clients.reserve(6);
  for (int i = 0; i < 6; ++i) clients.push_back(std::make_unique<Client>(path_));
  Client more(path_, false);
  EXPECT_FALSE(more.Read());
  EXPECT_EQ(1u, counters().refused[0].value()) << "full";
  clients.pop_back();
  EXPECT_TRUE(Eventually([this] { return Connections() == 5; }));
  Client again(path_);
}

class OnePerUserIpc : public IpcTest {
 protected:
  OnePerUserIpc() : IpcTest(IpcOptions{.max_connections_per_user = 1}) {}
};

TEST_F(OnePerUserIpc, ConnectionsOfAUserAreBounded) {
  Client first(path_);
  Client more(path_, false);
  EXPECT_FALSE(more.Read());
  EXPECT_EQ(1u, counters().refused[1].value()) << "user";
  EXPECT_EQ(1u, counters().accepted.value());
}

// No more than four run; the rest waits in the socket, and all are answered.
TEST_F(ServerIpc, CallsOfOneConnectionAreBounded) {
  control_.hold = true;
  Client client(path_);
  for (uint64_t i = 1; i <= 10; ++i) {
    client.Send(Ask::kControl, i, AskControl{.operation = "status.get"});
  }
  ASSERT_TRUE(Eventually([this] { return control_.operations().size() == 4; }));
  Client other(path_);  // others go on
  other.SendFrame(Ask::kServer, 1, "");
  EXPECT_TRUE(other.Read());
  EXPECT_EQ(4u, control_.operations().size());
  control_.hold = false;
  control_.LetGo();
  for (uint64_t i = 1; i <= 10; ++i) EXPECT_EQ(Tell::kOutcome, client.Read()->type());
}

TEST_F(ServerIpc, WhoGoesWhileHeldUpIsNoticed) {
  Client client(path_);
  const std::string payload = InferOf("hang", tensor::Datatype::kFp32, 1, "1234");
  for (uint64_t i = 1; i <= 6; ++i) client.SendFrame(Ask::kInfer, i, payload);
  ASSERT_TRUE(Eventually([this] { return engine_->submitted == 4; }));
  client.Close();
  EXPECT_TRUE(Eventually([this] { return Ended(metrics::IpcEnd::kPeer) == 1; }));
  EXPECT_EQ(0, engine_->running);
  EXPECT_EQ(0u, Buffered());
}

// One behind a call that is held up is read after it.
TEST_F(ServerIpc, ACancelIsHeardWhileAllCallsRun) {
  Client client(path_);
  const std::string payload = InferOf("hang", tensor::Datatype::kFp32, 1, "1234");
  for (uint64_t i = 1; i <= 4; ++i) client.SendFrame(Ask::kInfer, i, payload);
  ASSERT_TRUE(Eventually([this] { return engine_->submitted == 4; }));
  client.SendFrame(Ask::kCancel, 3, "");
  auto frame = client.Read();
  ASSERT_TRUE(frame);
  EXPECT_THAT(FailureOf(frame), StartsWith("CANCELLED"));
  EXPECT_EQ(3u, frame->header.call);

  client.SendFrame(Ask::kInfer, 5, payload);
  ASSERT_TRUE(Eventually([this] { return engine_->submitted == 5; }));
  client.SendFrame(Ask::kServer, 6, "");  // held up
  client.SendFrame(Ask::kCancel, 5, "");
  OnLoop([] {});
  EXPECT_EQ(4, engine_->running);
}

TEST_F(ServerIpc, ACancelledOperationIsAnsweredOnce) {
  control_.hold = true;
  Client client(path_);
  client.Send(Ask::kControl, 1, AskControl{.operation = "status.get"});
  ASSERT_TRUE(Eventually([this] { return control_.operations().size() == 1; }));
  client.SendFrame(Ask::kCancel, 1, "");
  client.SendFrame(Ask::kCancel, 1, "");  // of what is over: nothing
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("CANCELLED"));
  control_.LetGo();
  client.SendFrame(Ask::kServer, 2, "");
  EXPECT_EQ(2u, client.Read()->header.call);
}

TEST_F(ServerIpc, DrainsWhatRuns) {
  control_.hold = true;
  Client client(path_);
  client.Send(Ask::kControl, 1, AskControl{.operation = "status.get"});
  ASSERT_TRUE(Eventually([this] { return control_.operations().size() == 1; }));
  std::atomic<bool> drained{false};
  OnLoop([&] { server_->Drain([&] { drained = true; }); });
  client.SendFrame(Ask::kModel, 2, "");
  EXPECT_THAT(FailureOf(client.Read()), StartsWith("UNAVAILABLE"));
  EXPECT_FALSE(drained);
  control_.LetGo();
  EXPECT_EQ(Tell::kOutcome, client.Read()->type());
  EXPECT_FALSE(client.Read().has_value());
  EXPECT_TRUE(Eventually([&] { return drained.load(); }));
}

// The server has looked at neither: its loop is busy with something else.
TEST_F(ServerIpc, DrainingBeginsWhatWasSentBefore) {
  std::optional<Client> fresh;
  Client known(path_);
  std::atomic<bool> drained{false};
  OnLoop([&] {
    fresh.emplace(path_, false);
    fresh->Send(Ask::kHello, 1, Hello{});
    fresh->Send(Ask::kControl, 2, AskControl{.operation = "status.get"});
    known.Send(Ask::kControl, 3, AskControl{.operation = "status.get"});
    server_->Drain([&] { drained = true; });
  });
  EXPECT_EQ(Tell::kWelcome, fresh->Read()->type());
  for (Client* client : {&*fresh, &known}) {
    EXPECT_EQ(Tell::kOutcome, client->Read()->type());
    EXPECT_FALSE(client->Read().has_value());
  }
  EXPECT_TRUE(Eventually([&] { return drained.load(); }));
}

TEST_F(ServerIpc, WhoComesLateIsToldAndHoldsNothingUp) {
  Client idle(path_);
  std::atomic<bool> drained{false};
  OnLoop([&] { server_->Drain([&] { drained = true; }); });
  EXPECT_FALSE(idle.Read().has_value());
  EXPECT_TRUE(Eventually([&] { return drained.load(); }));
  Client late(path_);
  EXPECT_THAT(FailureOf(late.Ask1(Ask::kModel, AskModel{.model = "m"})), StartsWith("UNAVAILABLE"));
  EXPECT_EQ(Tell::kServer, (late.SendFrame(Ask::kServer, 1, ""), late.Read())->type());
}

// Thousands of frames that carry nothing do not keep the loop from others, and
// what was read of them is not forgotten when their turn is over.
TEST_F(ServerIpc, OthersHaveTheirTurnBetweenSmallFrames) {
  Client many(path_);
  Client one(path_);
  const auto load = [](std::string_view name) {
    Buffer payload;
    Encode(AskControl{.operation = "model.load", .name = name, .version = "1"}, &payload);
    return Client::Framed(Ask::kControl, 1, payload.view());
  };
  std::string frames;
  for (int i = 0; i < 4000; ++i) frames += Client::Framed(Ask::kCancel, 7, "");
  OnLoop([&] {
    many.SendBytes(frames + load("many"));
    one.SendBytes(load("one"));
  });
  EXPECT_EQ(Tell::kOutcome, many.Read()->type());
  EXPECT_EQ(Tell::kOutcome, one.Read()->type());
  EXPECT_EQ("one", control_.operations()[0].name);
}

// ---------------------------------------------------- answers that nobody reads

class GatheringIpc : public IpcTest {
 protected:
  static constexpr uint64_t kCalls = 16;

  explicit GatheringIpc(IpcOptions options = {}) : IpcTest(With16Calls(std::move(options))) {
    control_.hold = true;
    control_.answer = [](const control::Operation&) {
      control::Outcome outcome;
      outcome.body = boost::json::object{{"text", std::string(60'000, 'x')}};
      return outcome;
    };
    for (uint64_t i = 1; i <= kCalls; ++i) {
      client_.Send(Ask::kControl, i, AskControl{.operation = "status.get"});
    }
    EXPECT_TRUE(Eventually([this] { return control_.operations().size() == kCalls; }));
    control_.LetGo();
    EXPECT_TRUE(Eventually([this] { return counters().sent_bytes.value() > 60'000; }));
    OnLoop([] {});  // all are answered
  }
  static IpcOptions With16Calls(IpcOptions options) {
    options.max_calls = kCalls;
    return options;
  }
  // How many were answered with what they asked for.
  uint64_t ReadAll() {
    uint64_t whole = 0;
    for (uint64_t i = 1; i <= kCalls; ++i) {
      const auto frame = client_.Read();
      if (frame && frame->type() == Tell::kOutcome) {
        ++whole;
      } else {
        EXPECT_THAT(FailureOf(frame), StartsWith("RESOURCE_EXHAUSTED"));
      }
    }
    return whole;
  }

  Client client_{path_};
};

TEST_F(GatheringIpc, SmallAnswersThatGatherAreCounted) {
  EXPECT_GT(Buffered(), uint64_t{400} << 10);
  EXPECT_EQ(kCalls, ReadAll());
  EXPECT_TRUE(Eventually([this] { return Buffered() == 0; }));
}

class LittleMemoryIpc : public GatheringIpc {
 protected:
  LittleMemoryIpc() : GatheringIpc(IpcOptions{.max_buffered_bytes = 128 << 10}) {}
};

TEST_F(LittleMemoryIpc, SmallAnswersThatGatherAreBounded) {
  EXPECT_GT(Buffered(), 0u);
  EXPECT_LT(Buffered(), uint64_t{256} << 10);
  EXPECT_LT(ReadAll(), kCalls);
  EXPECT_TRUE(Eventually([this] { return Buffered() == 0; }));
}

// ------------------------------------------------------------ what is counted

TEST_F(ServerIpc, CountsBytes) {
  Client client(path_);
  const metrics::IpcCounters& c = counters();
  EXPECT_EQ(1u, c.accepted.value());
  EXPECT_EQ(1u, c.open.value());
  EXPECT_EQ(sizeof(FrameHeader) + HelloBytes(), c.received_bytes.value());
  ASSERT_TRUE(Eventually([&] { return c.sent_bytes.value() > 0; }));
  const uint64_t welcome = c.sent_bytes.value();
  client.SendFrame(Ask::kServer, 2, "");
  const auto frame = client.Read();
  ASSERT_TRUE(frame);
  EXPECT_EQ(2 * sizeof(FrameHeader) + HelloBytes(), c.received_bytes.value());
  const uint64_t all = welcome + sizeof(FrameHeader) + frame->payload.size();
  EXPECT_TRUE(Eventually([&] { return c.sent_bytes.value() == all; }));
}

TEST_F(ServerIpc, CountsCallsByWhatTheyAskAndTheirCode) {
  using metrics::IpcKind;
  Client client(path_);
  client.SendFrame(Ask::kServer, 1, "");
  client.Read();
  client.Ask1(Ask::kModel, AskModel{.model = "none"});
  client.Ask1(Ask::kControl, AskControl{.operation = "status.get"});
  client.SendFrame(static_cast<Ask>(77), 2, "");
  client.Read();
  client.SendFrame(Ask::kControl, 3, std::string((1 << 20) + 1, 'x'));
  client.Read();
  client.SendFrame(Ask::kInfer, 4, InferOf("id_FP32", tensor::Datatype::kFp32, 1, "1234"));
  client.Read();
  EXPECT_TRUE(Eventually([&] { return Answers(IpcKind::kInfer, StatusCode::kOk) == 1; }));
  EXPECT_EQ(1u, Answers(IpcKind::kServer, StatusCode::kOk));
  EXPECT_EQ(1u, Answers(IpcKind::kModel, StatusCode::kNotFound));
  EXPECT_EQ(1u, Answers(IpcKind::kControl, StatusCode::kOk));
  EXPECT_EQ(1u, Answers(IpcKind::kUnknown, StatusCode::kUnimplemented));
  EXPECT_EQ(1u, Answers(IpcKind::kControl, StatusCode::kInvalidArgument));
}

TEST_F(ImpatientIpc, CountsWhyConnectionsEnd) {
  using metrics::IpcEnd;
  Client(path_).Close();
  Client http(path_, false);
  http.SendBytes("GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
  Client broken(path_);
  broken.SendFrame(Ask::kServer, 0, "");
  Client silent(path_, false);
  Client idle(path_);
  EXPECT_TRUE(Eventually([this] { return counters().open.value() == 1; }));
  OnLoop([this] { server_->Drain([] {}); });
  EXPECT_TRUE(Eventually([this] { return counters().open.value() == 0; }));
  for (size_t why = 0; why < metrics::kIpcEnds; ++why) {
    const auto end = static_cast<IpcEnd>(why);
    EXPECT_TRUE(Eventually([&] { return Ended(end) == 1; })) << IpcEndName(end);
  }
  EXPECT_EQ(5u, counters().accepted.value());
}

}  // namespace
}  // namespace mlos::ipc
