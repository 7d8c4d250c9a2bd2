// SPDX-License-Identifier: Apache-2.0
//
// What a client sends, as frames of HTTP/2 (behind its greeting) and, by the
// first byte, as the messages of one call with an encoding.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "rpc/fakes.h"

namespace mlos::rpc {
namespace {

void FuzzConnection(std::span<const std::byte> data) {
  EchoMethod unary(false);
  EchoMethod stream(true);
  {
    Dispatcher dispatcher(Options{.max_message_bytes = 1 << 20});
    dispatcher.Add("/t.T/Unary", unary);
    dispatcher.Add("/t.T/Stream", stream);
    Wire wire(dispatcher);
    wire.Send(wire.Open("/t.T/Stream"), Framed("x"), false);
    wire.Send(wire.Open("/t.T/Unary"), Framed("abc").substr(0, 6), false);
    wire.Pump();
    while (!data.empty()) {
      const size_t size = std::min<size_t>(data.size(), 100);
      wire.session().Feed(data.subspan(0, size));
      data = data.subspan(size);
      wire.PumpDown();
    }
    wire.CloseServer();
    if (wire.owner().reserved != 0) std::abort();
  }
  if (unary.seen.begun != unary.seen.done || stream.seen.begun != stream.seen.done) std::abort();
}

// Counts what it gets, and sometimes takes less than it is offered.
class Counter final : public MessageSink {
 public:
  void OnMessage(std::optional<uint64_t> size) override {
    if (inside_) std::abort();
    inside_ = true;
    size_ = size;
    got_ = 0;
  }
  size_t OnData(std::span<const std::byte> data) override {
    if (!inside_ || data.empty()) std::abort();
    const size_t take = ++calls_ % 3 == 0 ? data.size() / 2 : data.size();
    got_ += take;
    if (got_ > kMost) std::abort();
    return take;
  }
  void OnMessageEnd() override {
    if (!inside_ || (size_ && *size_ != got_)) std::abort();
    inside_ = false;
  }
  static constexpr uint64_t kMost = 64 << 10;

 private:
  bool inside_ = false;
  std::optional<uint64_t> size_;
  uint64_t got_ = 0;
  int calls_ = 0;
};

void FuzzMessages(std::span<const std::byte> data, Coding encoding) {
  Counter counter;
  MessageReader reader;
  reader.Begin(&counter, encoding, Options{.max_message_bytes = Counter::kMost});
  int idle = 0;
  while ((!data.empty() || reader.holds()) && idle < 4) {
    const size_t size = std::min<size_t>(data.size(), 50);
    const StatusOr<size_t> taken = reader.Take(data.subspan(0, size));
    if (!taken.ok()) return;
    if (*taken > size) std::abort();
    idle = *taken == 0 && !reader.paused() ? idle + 1 : 0;
    data = data.subspan(*taken);
  }
}

}  // namespace
}  // namespace mlos::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> rest(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  if (data[0] % 4 == 3) {
    mlos::rpc::FuzzConnection(rest);
  } else {
    mlos::rpc::FuzzMessages(rest, static_cast<mlos::rpc::Coding>(data[0] % 4));
  }
  return 0;
}
