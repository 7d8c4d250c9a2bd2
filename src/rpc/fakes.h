// SPDX-License-Identifier: Apache-2.0
//
// For tests: a server session and a client session of nghttp2 that are joined
// in memory, and methods that do simple things.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "h2/session.h"
#include "rpc/dispatcher.h"

namespace mlos::rpc {

// What a client saw of one stream.
struct Answer {
  std::vector<std::map<std::string, std::string>> heads;  // header, then trailers
  std::string data;
  bool closed = false;
  bool end_on_head = false;  // the first header ended the stream
  uint32_t error_code = 0;

  std::string status() const;   // grpc-status, or empty
  std::string message() const;  // grpc-message as sent
  std::string header(const std::string& name) const;
  // The body's messages; flags as '0' or '1' in `flags`.
  std::vector<std::string> messages(std::string* flags = nullptr) const;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

// "\0" + length + bytes
std::string Framed(std::string_view message, bool compressed = false);
// By the library in one go, so that our own code is not tested by itself.
std::string Zip(std::string_view data, Coding encoding);
std::string Unzip(std::string_view data, Coding encoding);

class FakeOwner final : public h2::SessionOwner {
 public:
  void WantWrite() override { ++wanted; }
  void WantTurn() override { turn = true; }
  bool Reserve(uint64_t bytes) override {
    if (bytes > limit - reserved) return false;
    reserved += bytes;
    most = std::max(most, reserved);
    return true;
  }
  void Release(uint64_t bytes) override { reserved -= bytes; }

  int wanted = 0;
  bool turn = false;
  uint64_t limit = uint64_t{1} << 40;
  uint64_t reserved = 0;
  uint64_t most = 0;
};

// A client and a session, without a socket.
class Wire {
 public:
  explicit Wire(h2::Acceptor& acceptor, const h2::Limits& limits = {},
                uint32_t client_window = 65535, bool auto_window = true);
  ~Wire();

  // Moves bytes both ways until nothing moves and nobody wants a turn.
  void Pump(bool turns = true);
  // Only from the client, which reads nothing.
  void PumpUp();
  // From the server; returns how much there was.
  size_t PumpDown();

  // A request; `end`: nothing follows its head.
  int32_t Open(std::string_view path, const Fields& more = {}, bool end = false);
  void Send(int32_t id, std::string data, bool end);
  // One message and the end; pumps, and gives turns to who waits for them.
  Answer& Ask(std::string_view path, std::string_view message, const Fields& more = {},
              bool turns = true);
  void Reset(int32_t id, uint32_t code = NGHTTP2_CANCEL);
  // Bytes that no library would send.
  void Raw(std::string_view bytes);
  static std::string Frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload);
  // What a client begins a connection with, before its settings.
  static constexpr std::string_view kHello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  // One call as stream 1: a head, a message and the end.
  static std::string Request(std::string_view path, std::string_view message);

  Answer& answer(int32_t id) { return answers_[id]; }
  h2::Session& session() { return *session_; }
  FakeOwner& owner() { return owner_; }
  nghttp2_session* client() { return client_; }
  void CloseServer() { session_.reset(); }

  // Of the last GOAWAY.
  int goaways = 0;
  uint32_t goaway_code = 0;
  std::string goaway_text;
  int32_t goaway_last = 0;

 private:
  struct Body {
    std::deque<std::string> parts;
    size_t at = 0;  // of the first
    bool end = false;
  };
  friend struct WireCallbacks;

  FakeOwner owner_;
  const h2::Limits limits_;
  std::unique_ptr<h2::Session> session_;
  nghttp2_session* client_ = nullptr;
  std::map<int32_t, Answer> answers_;
  std::map<int32_t, Body> bodies_;
};

// Calls that tests look at.
struct Seen {
  int begun = 0;
  int cancelled = 0;
  int done = 0;
  int half_closed = 0;
  int released = 0;
  uint64_t deadline_ns = 0;
  std::string binary;  // of the metadata seen-bin
  std::string text;
  std::vector<Call*> calls;  // not done yet
};

// Gives back each message as it came; at the end, OK.
class EchoMethod final : public Method {
 public:
  explicit EchoMethod(bool streams) : streams_(streams) {}
  Handler* Begin(Call& call) override;
  bool client_streams() const override { return streams_; }

  Seen seen;
  bool take_nothing = false;  // waits
  size_t budget = SIZE_MAX;   // takes so many bytes, then waits
  std::string header;         // sent as x-header if not empty
  int repeat = 1;             // answers per request

 private:
  class Echo;
  const bool streams_;
};

}  // namespace mlos::rpc
