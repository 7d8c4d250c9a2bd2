// SPDX-License-Identifier: Apache-2.0
//
// A unary echo of any message: on our rooms h2 and rpc, on the gRPC library, or
// on next to nothing.  bench/grpc_bench compares them, and mlosd with them.
//
//   grpc_echo rooms|library|floor   prints its address and serves until killed
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "base/event_loop.h"
#include "grpc_floor.h"
#include "h2/server.h"
#include "rpc/dispatcher.h"

namespace {

void Say(std::string_view address) {
  std::printf("%s\n", std::string(address).c_str());
  std::fflush(stdout);
}

// --------------------------------------------------------------------- on our rooms

class Echo final : public mlos::rpc::Method {
 public:
  mlos::rpc::Handler* Begin(mlos::rpc::Call& call) override {
    std::unique_ptr<Handler> handler;
    if (spare_.empty()) {
      handler = std::make_unique<Handler>(*this);
    } else {
      handler = std::move(spare_.back());
      spare_.pop_back();
    }
    handler->call = &call;
    return handler.release();
  }

 private:
  struct Handler final : public mlos::rpc::Handler {
    explicit Handler(Echo& method) : echo(method) {}
    void OnMessage(std::optional<uint64_t> size) override {
      text.Clear();
      if (size) text.Reserve(*size);
    }
    size_t OnData(std::span<const std::byte> data) override {
      text.Append({reinterpret_cast<const char*>(data.data()), data.size()});
      return data.size();
    }
    void OnMessageEnd() override {
      const iovec piece = {text.data(), text.size()};
      call->Send({&piece, 1});
      call->Finish(mlos::OkStatus());
    }
    void OnCancel() override {}
    void OnDone() override { echo.spare_.emplace_back(this); }

    Echo& echo;
    mlos::rpc::Call* call = nullptr;
    mlos::Buffer text;
  };

  std::vector<std::unique_ptr<Handler>> spare_;
};

int Rooms() {
  mlos::EventLoop loop;
  Echo echo;
  mlos::rpc::Dispatcher dispatcher(mlos::rpc::Options{});
  dispatcher.Add("/bench.Echo/Echo", echo);
  mlos::h2::Server server(loop, dispatcher, {});
  const auto address = server.Listen("127.0.0.1:0");
  if (!address.ok()) return 1;
  Say(*address);
  loop.Run();
  return 0;
}

// ------------------------------------------------------------------- on the library

class Reactor final : public grpc::ServerGenericBidiReactor {
 public:
  Reactor() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status(grpc::StatusCode::INTERNAL, "no message"));
    StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer message_;
};

class LibraryEcho final : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new Reactor();
  }
};

int Library() {
  LibraryEcho echo;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(64 << 20);
  builder.RegisterCallbackGenericService(&echo);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  Say("127.0.0.1:" + std::to_string(port));
  server->Wait();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string_view which = argc == 2 ? argv[1] : "";
  if (which == "rooms") return Rooms();
  if (which == "library") return Library();
  if (which == "floor") return mlos::bench::ServeFloor();
  std::fprintf(stderr, "usage: grpc_echo rooms|library|floor\n");
  return 2;
}
