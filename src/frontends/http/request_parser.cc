// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/request_parser.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace mlos::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using beast::iequals;
using beast::http::field;
using beast::http::verb;

std::string_view View(beast::string_view s) { return {s.data(), s.size()}; }

Method ToMethod(verb v) {
  switch (v) {
    case verb::get:
      return Method::kGet;
    case verb::head:
      return Method::kHead;
    case verb::post:
      return Method::kPost;
    case verb::put:
      return Method::kPut;
    case verb::delete_:
      return Method::kDelete;
    case verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

constexpr std::string_view kJsonLengthField = "Inference-Header-Content-Length";

// Digits only: "-0" would be a second way to say 0.
bool ParseLength(std::string_view text, int64_t* value) {
  if (text.empty() || text.front() == '-') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

constexpr std::string_view kFolded = "folded header lines are not accepted";

// A line that goes on with the one before it.  The parser would take it away
// where that one has nothing behind its colon.
bool HasFolding(std::string_view head) {
  for (size_t at = 0; (at = head.find('\n', at)) != std::string_view::npos;) {
    if (++at < head.size() && (head[at] == ' ' || head[at] == '\t')) return true;
  }
  return false;
}

// One message.  Beast's parser cannot be reset, so it is made anew in place.
class Message : public beast::http::basic_parser<true> {
 public:
  explicit Message(uint32_t max_chunks) : max_chunks_(max_chunks) {
    // Limits are kept outside: the parser's own for the header depends on how
    // the bytes arrive, and only who routes the request knows the body's.
    header_limit(std::numeric_limits<uint32_t>::max());
    body_limit(boost::none);
  }

  RequestHead head;
  size_t head_consumed = 0;
  std::string_view input;    // what is being parsed
  std::string_view refusal;  // ours; empty: the parser's
  int refusal_status = 400;
  Buffer* body = nullptr;
  uint64_t max_body = 0;

  bool in_first_chunk() const { return chunks_ == 0; }

 private:
  void Refuse(int status, std::string_view text, error_code& ec) {
    refusal_status = status;
    refusal = text;
    ec = beast::http::error::bad_value;
  }

  void on_request_impl(verb method, beast::string_view, beast::string_view target, int version,
                       error_code&) override {
    head.method = ToMethod(method);
    head.target = View(target);
    head.http10 = version == 10;
  }
  void on_response_impl(int, beast::string_view, int, error_code&) override {}

  void on_field_impl(field name, beast::string_view name_string, beast::string_view value,
                     error_code& ec) override {
    if (in_body_) return;  // a trailer: nothing that we read may come that late
    // A folded value is put together on the parser's stack: it has no bytes of
    // its own in the input.  Folding is obsolete and a way to hide things.
    if (!value.empty() &&
        (value.data() < input.data() || value.data() >= input.data() + input.size())) {
      return Refuse(400, kFolded, ec);
    }
    switch (name) {
      case field::content_length:
        if (head.has_length || value.find(',') != beast::string_view::npos) {
          return Refuse(400, "Content-Length is given more than once", ec);
        }
        head.has_length = true;
        break;
      case field::transfer_encoding:
        if (!iequals(value, "chunked")) {
          return Refuse(501, "the only Transfer-Encoding that is understood is 'chunked'", ec);
        }
        break;
      case field::expect:
        head.expects_continue = iequals(value, "100-continue");
        head.bad_expectation = !head.expects_continue && !value.empty();
        break;
      case field::content_encoding:
        // A second one would be a coding on top of the first.
        head.coding = head.coding == compress::Coding::kIdentity
                          ? compress::ParseCoding(View(value))
                          : compress::Coding::kUnknown;
        break;
      case field::host:
        head.host = View(value);
        ++head.host_count;
        break;
      case field::origin:
        head.origin = View(value);
        break;
      case field::authorization:
        head.authorization = View(value);
        break;
      case field::accept_encoding:
        head.accept_encoding = View(value);
        break;
      case field::accept:
        head.accept = View(value);
        break;
      case field::unknown:
        if (name_string.size() == kJsonLengthField.size() &&
            iequals(name_string,
                    beast::string_view(kJsonLengthField.data(), kJsonLengthField.size()))) {
          TakeJsonLength(View(value), &head);
        } else {
          TakeContext(View(name_string), View(value));
        }
        break;
      default:
        break;
    }
  }

  // Who the request is.  Of each at most one.
  void TakeContext(std::string_view name, std::string_view value) {
    const auto take = [&](std::string_view field, std::string_view* to, bool* seen) {
      if (name.size() != field.size() ||
          !iequals({name.data(), name.size()}, {field.data(), field.size()})) {
        return;
      }
      *to = std::exchange(*seen, true) ? std::string_view() : value;
    };
    take("x-request-id", &head.request_id, &request_id_seen_);
    take("traceparent", &head.traceparent, &traceparent_seen_);
    take("tracestate", &head.tracestate, &tracestate_seen_);
  }

  void on_header_impl(error_code& ec) override {
    if (head.http10 && chunked()) {
      return Refuse(400, "Transfer-Encoding is not part of HTTP/1.0", ec);
    }
    head.keep_alive = keep_alive();
    head.chunked = chunked();
    head.content_length = content_length().value_or(0);
    in_body_ = true;
  }
  void on_body_init_impl(const boost::optional<uint64_t>&, error_code&) override {}
  size_t on_body_impl(beast::string_view, error_code&) override { return 0; }

  void on_chunk_header_impl(uint64_t size, beast::string_view, error_code& ec) override {
    if (++chunks_ > max_chunks_) {
      return Refuse(413, "the body comes in too many chunks", ec);
    }
    if (size > max_body - body->size()) {
      return Refuse(413, "the body is larger than allowed", ec);
    }
  }
  size_t on_chunk_body_impl(uint64_t, beast::string_view piece, error_code&) override {
    body->Append(View(piece));
    return piece.size();
  }
  void on_finish_impl(error_code&) override {}

  const uint32_t max_chunks_;
  uint32_t chunks_ = 0;
  bool in_body_ = false;
  bool request_id_seen_ = false;
  bool traceparent_seen_ = false;
  bool tracestate_seen_ = false;
};

}  // namespace

void TakeJsonLength(std::string_view value, RequestHead* head) {
  int64_t length = -1;
  if (!ParseLength(value, &length) || (head->json_length >= 0 && head->json_length != length)) {
    head->bad_json_length = true;
  }
  head->json_length = length;
}

class RequestParser::Parser {
 public:
  Parser(uint32_t max_header_bytes, uint32_t max_chunks)
      : max_header_bytes_(max_header_bytes), max_chunks_(max_chunks) {
    Reset();
  }

  void Reset() {
    message_.emplace(max_chunks_);
    status_ = 400;
    text_ = {};
  }

  Message& message() { return *message_; }

  Result Put(std::string_view data, size_t* consumed) {
    error_code ec;
    message_->input = data;
    *consumed = message_->put({data.data(), data.size()}, ec);
    if (!ec) return Result::kDone;
    if (ec == beast::http::error::need_more) return Result::kNeedMore;
    status_ = message_->refusal_status;
    text_ = message_->refusal;
    if (text_.empty()) Explain(ec);
    return Result::kError;
  }

  Result RefuseHeader() {
    status_ = 431;
    text_ = "the request's header is larger than allowed";
    return Result::kError;
  }

  Result RefuseFolding() {
    status_ = 400;
    text_ = kFolded;
    return Result::kError;
  }

  uint32_t max_header_bytes() const { return max_header_bytes_; }
  int status() const { return status_; }
  std::string_view text() const { return text_; }

 private:
  void Explain(const error_code& ec) {
    using beast::http::error;
    if (ec == error::bad_version) {
      status_ = 505;
      text_ = "only HTTP/1.0 and HTTP/1.1 are spoken here";
    } else if (ec == error::bad_content_length || ec == error::multiple_content_length) {
      text_ = "bad Content-Length";
    } else if (ec == error::bad_transfer_encoding) {
      text_ = "bad Transfer-Encoding, or Transfer-Encoding beside Content-Length";
    } else if (ec == error::bad_chunk || ec == error::bad_chunk_extension) {
      text_ = "bad chunk in the body";
    } else {
      text_ = "not an HTTP/1.1 request";
    }
  }

  const uint32_t max_header_bytes_;
  const uint32_t max_chunks_;
  std::optional<Message> message_;
  int status_ = 400;
  std::string_view text_;
};

RequestParser::RequestParser(uint32_t max_header_bytes, uint32_t max_chunks)
    : parser_(std::make_unique<Parser>(max_header_bytes, max_chunks)) {}

RequestParser::~RequestParser() = default;

void RequestParser::Reset() { parser_->Reset(); }

RequestParser::Result RequestParser::ReadHead(std::string_view data, size_t* consumed) {
  *consumed = 0;
  // The parser consumes the request line before it waits for the fields; the
  // caller keeps all of the head, so what was consumed is remembered here.
  Message& message = parser_->message();
  const size_t skip = message.head_consumed;
  size_t taken = 0;
  const Result result = parser_->Put(data.substr(skip), &taken);
  message.head_consumed += taken;
  *consumed = message.head_consumed;
  const size_t header = result == Result::kDone ? *consumed : data.size();
  if (result != Result::kError && header > parser_->max_header_bytes()) {
    return parser_->RefuseHeader();
  }
  if (result == Result::kDone && HasFolding(data.substr(0, header))) {
    return parser_->RefuseFolding();
  }
  return result;
}

const RequestHead& RequestParser::head() const { return parser_->message().head; }

RequestParser::Result RequestParser::ReadChunks(std::string_view data, uint64_t max_body,
                                                Buffer* body, size_t* consumed) {
  Message& message = parser_->message();
  message.body = body;
  message.max_body = max_body;
  *consumed = 0;
  // Beast asserts that a last chunk which is also the first comes whole.
  constexpr size_t kShortestBody = std::string_view("0\r\n\r\n").size();
  if (message.in_first_chunk() && data.size() < kShortestBody && data.substr(0, 1) == "0") {
    return Result::kNeedMore;
  }
  while (!message.is_done()) {
    size_t taken = 0;
    const Result result = parser_->Put(data.substr(*consumed), &taken);
    *consumed += taken;
    if (result != Result::kDone) return result;
    if (*consumed == data.size() && !message.is_done()) return Result::kNeedMore;
  }
  return Result::kDone;
}

int RequestParser::error_status() const { return parser_->status(); }
std::string_view RequestParser::error_text() const { return parser_->text(); }

}  // namespace mlos::http
