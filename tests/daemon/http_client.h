// SPDX-License-Identifier: Apache-2.0
//
// A small blocking HTTP/1.1 client for tests: one connection, kept open between
// requests, made anew when the server has closed it.  Plain sockets, so that a
// test sends exactly the bytes that it says.  One thread at a time.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlos::test {

struct Reply {
  int status = 0;                                            // 0: no answer came; `body` says why
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  // The value of a header, or empty.
  std::string Header(std::string_view name) const;
};

class HttpClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // `address`: HOST:PORT in numbers, or unix:PATH.
  explicit HttpClient(std::string address) : address_(std::move(address)) {}
  ~HttpClient() { Close(); }
  HttpClient(HttpClient&& other) noexcept;
  HttpClient& operator=(HttpClient&&) = delete;

  // One exchange.  Content-Length is added unless `headers` has one.
  Reply Send(std::string_view method, std::string_view target, std::string_view body = {},
             const Headers& headers = {});

  // The same in halves, for a request that is to be under way.
  bool Write(std::string_view method, std::string_view target, std::string_view body = {},
             const Headers& headers = {});
  // After `Expect: 100-continue`: true when the server has read the head, and wants the body.
  bool ReadContinue();
  // What was left of a body that `headers` had announced.
  bool WriteMore(std::string_view bytes) { return WriteAll(bytes); }
  Reply Read(bool head_only = false);

  void Close();

 private:
  bool Connect();
  bool WriteAll(std::string_view bytes);
  bool ReadMore();  // appends to buffer_; false at the end or on an error
  Reply Failed(std::string why);

  std::string address_;
  int fd_ = -1;
  std::string buffer_;
};

}  // namespace mlos::test
