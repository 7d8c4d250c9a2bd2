// SPDX-License-Identifier: Apache-2.0
//
// What the host answers about channels over its control link.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <map>
#include <thread>

#include "plugin_host/host.h"
#include "plugin_host/test_util.h"

namespace mlos::plugin_host::testing {
namespace {

constexpr hostlink::ChannelTerms kTerms = {1, 7, false};

class HostLinkTest : public ::testing::Test {
 protected:
  HostLinkTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    core_ = std::make_unique<hostlink::Link>(OwnedFd(ends[0]));
    thread_ = std::thread([fd = ends[1], this] { status_ = Host(OwnedFd(fd)).Run(); });
  }
  ~HostLinkTest() override {
    hostlink::Frame stop;
    stop.type = hostlink::kStop;
    EXPECT_TRUE(core_->Send(std::move(stop)).ok());
    thread_.join();
    EXPECT_EQ(status_, 0);
  }

  Status Ask(hostlink::Frame frame) {
    const uint64_t id = ++last_;
    frame.id = id;
    EXPECT_TRUE(core_->Send(std::move(frame)).ok());
    EXPECT_TRUE(Receive([&] { return replies_.count(id) > 0; }));
    return replies_[id];
  }

  bool Receive(const std::function<bool()>& enough) {
    const uint64_t until = NowNanos() + kPatienceNanos;
    while (!enough()) {
      const uint64_t now = NowNanos();
      if (now >= until) return false;
      pollfd p{core_->fd(), POLLIN, 0};
      poll(&p, 1, static_cast<int>((until - now) / kNanosPerMilli) + 1);
      std::vector<hostlink::Frame> frames;
      if (!core_->Receive(&frames).ok()) return false;
      for (const hostlink::Frame& frame : frames) Take(frame);
    }
    return true;
  }

  std::map<uint64_t, Status> replies_;
  std::set<uint32_t> detached_;

 private:
  void Take(const hostlink::Frame& frame) {
    if (frame.type == hostlink::kReply) {
      replies_[frame.id] = hostlink::DecodeReply(frame).status();
    } else if (frame.type == hostlink::kDetached) {
      detached_.insert(hostlink::DecodeChannel(frame).value());
    }
  }

  std::unique_ptr<hostlink::Link> core_;
  std::thread thread_;
  int status_ = -1;
  uint64_t last_ = 0;
};

TEST_F(HostLinkTest, ChannelsComeAndGo) {
  // There is no such plugin; channels do not need one.
  hostlink::StartPlugin start;
  start.directory = "/nowhere";
  start.library = "none.so";
  start.name = "none";
  start.version = "1";
  EXPECT_EQ(Ask(hostlink::EncodeStart(start)).code(), StatusCode::kFailedPrecondition);

  Application application;
  const auto attach = [&](uint32_t number) {
    hostlink::AttachChannel channel = application.Attach(number);
    return hostlink::EncodeAttach(number, std::move(channel.grant), &kTerms);
  };
  EXPECT_TRUE(Ask(attach(16)).ok());
  EXPECT_EQ(Ask(attach(16)).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Ask(attach(3)).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Ask(hostlink::EncodeDetach(17)).code(), StatusCode::kNotFound);
  EXPECT_TRUE(detached_.empty());
  EXPECT_TRUE(Ask(hostlink::EncodeDetach(16)).ok());
  EXPECT_TRUE(Receive([&] { return detached_.count(16) > 0; }));
  EXPECT_EQ(Ask(hostlink::EncodeDetach(16)).code(), StatusCode::kNotFound);

  // The same while workers watch.
  hostlink::Frame serve;
  serve.type = hostlink::kServe;
  EXPECT_TRUE(Ask(std::move(serve)).ok());
  EXPECT_TRUE(Ask(attach(17)).ok());
  EXPECT_TRUE(Ask(hostlink::EncodeDetach(17)).ok());
  EXPECT_TRUE(Receive([&] { return detached_.count(17) > 0; }));
}

}  // namespace
}  // namespace mlos::plugin_host::testing
