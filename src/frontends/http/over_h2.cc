// SPDX-License-Identifier: Apache-2.0
#include "frontends/http/over_h2.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <charconv>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/clock.h"
#include "compress/content_coding.h"
#include "frontends/http/answer_packer.h"
#include "frontends/http/request_parser.h"
#include "h2/session.h"

namespace mlos::http {
namespace {

using compress::Coding;
using compress::Inflater;

// What a request keeps for the next one; not accounted for.  Whether there is
// any use in a larger body is asked before it is taken.
constexpr size_t kKept = 64 << 10;
constexpr size_t kSpareRequests = 64;
// As over HTTP/1.1: decompressed in one turn, and what may have any ratio.
constexpr uint64_t kPlainSlice = 64 << 10;
constexpr uint64_t kFreeBytes = 1 << 20;

Method ToMethod(std::string_view name) {
  constexpr std::pair<std::string_view, Method> kMethods[] = {
      {"GET", Method::kGet}, {"HEAD", Method::kHead},     {"POST", Method::kPost},
      {"PUT", Method::kPut}, {"DELETE", Method::kDelete}, {"OPTIONS", Method::kOptions}};
  for (const auto& [text, method] : kMethods) {
    if (text == name) return method;
  }
  return Method::kOther;
}

// Of those that may come once: a second one leaves none.
void TakeOnce(std::string_view value, std::string_view* to, bool* seen) {
  *to = std::exchange(*seen, true) ? std::string_view() : value;
}

RequestHead HeadOf(const h2::Head& from) {
  RequestHead head;
  head.method = ToMethod(from.method);
  head.target = from.path;
  head.host = from.authority;
  head.host_count = from.authority.empty() ? 0 : 1;
  bool request_id = false;
  bool traceparent = false;
  bool tracestate = false;
  for (const auto& [name, value] : from.fields) {
    if (name == "content-length") {
      // HTTP/2's own rules see to it that it is a number, once, and true.
      head.has_length = true;
      std::from_chars(value.data(), value.data() + value.size(), head.content_length);
    } else if (name == "content-encoding") {
      head.coding =
          head.coding == Coding::kIdentity ? compress::ParseCoding(value) : Coding::kUnknown;
    } else if (name == "host") {
      if (value == head.host) continue;
      head.host = value;
      ++head.host_count;
    } else if (name == "origin") {
      head.origin = value;
    } else if (name == "authorization") {
      head.authorization = value;
    } else if (name == "accept") {
      head.accept = value;
    } else if (name == "accept-encoding") {
      head.accept_encoding = value;
    } else if (name == "expect") {
      head.expects_continue = boost::beast::iequals(value, "100-continue");
      head.bad_expectation = !head.expects_continue && !value.empty();
    } else if (name == "inference-header-content-length") {
      TakeJsonLength(value, &head);
    } else if (name == "x-request-id") {
      TakeOnce(value, &head.request_id, &request_id);
    } else if (name == "traceparent") {
      TakeOnce(value, &head.traceparent, &traceparent);
    } else if (name == "tracestate") {
      TakeOnce(value, &head.tracestate, &tracestate);
    }
  }
  return head;
}

}  // namespace

class OverH2::Request final : public Exchange, public h2::StreamHandler {
 public:
  explicit Request(OverH2& owner) : owner_(owner) {}

  void Start(h2::Stream& stream);

  // Exchange
  Response& response() override { return response_; }
  void Send() override { Answer(); }

  // StreamHandler
  void OnData(std::span<const std::byte> data) override;
  void OnEnd() override;
  void OnWritten() override { EndSession(); }
  void OnReleased() override { EndSession(); }
  void OnTurn() override;
  void OnAborted() override;
  void OnSweep(uint64_t now_ns) override;
  void OnDone() override;

  size_t index = 0;  // the owner's

 private:
  enum class Stage : uint8_t { kBody, kUnpacking, kHandling, kPacking, kAnswered };

  bool Grow(Buffer& buffer, uint64_t room, uint64_t most);
  bool Account(uint64_t more = 0);
  void Unpack();
  void Dispatch(const Buffer& body);
  bool TurnedAway();
  void Refuse(int status, std::string_view text);
  void RefuseBody();
  void Answer();
  bool BeginPacking();
  void Pack();
  void EndPacking(bool use);
  void WriteAnswer();
  void WriteHead(bool end);
  void AddField(std::string_view name, std::string_view value);
  void AddNumber(std::string_view name, uint64_t value);
  void AddLines(std::string_view lines);
  void EndSession();

  OverH2& owner_;
  h2::Stream* stream_ = nullptr;
  std::unique_ptr<Session> session_;  // null: the last one was abandoned
  Stage stage_ = Stage::kBody;
  bool head_done_ = false;     // the session knows the request's head
  bool with_session_ = false;  // OnBody was called, neither Sent nor Abandon yet
  bool asked_ = false;         // whether there is any use in a large body
  bool held_ = false;          // the answer counts among those that are held
  uint64_t began_ns_ = 0;
  uint64_t handling_since_ns_ = 0;
  uint64_t limit_ = 0;
  Coding coding_ = Coding::kIdentity;
  Buffer body_;
  Buffer plain_;
  std::unique_ptr<Inflater> inflater_;
  uint64_t reserved_ = 0;
  Response response_;
  AnswerPacker packer_;
  std::vector<h2::Field> fields_;
  Buffer texts_;  // of fields whose value is made here
  std::vector<iovec> pieces_;
};

// --------------------------------------------------------------------- the body

void OverH2::Request::Start(h2::Stream& stream) {
  stream_ = &stream;
  stage_ = Stage::kBody;
  head_done_ = with_session_ = asked_ = held_ = false;
  began_ns_ = NowNanos();
  if (session_ == nullptr) session_ = owner_.service_.NewSession(*this);
  response_.Clear();
  if (stream.head().too_large) return Refuse(431, "the request's header is larger than allowed");
  const RequestHead head = HeadOf(stream.head());
  if (head.host_count != 1) return Refuse(400, "a request names exactly one host");
  if (head.bad_expectation) return Refuse(417, "the only Expect that is met is 100-continue");
  limit_ = session_->OnHead(head);
  head_done_ = true;
  coding_ = session_->takes_compressed() ? head.coding : Coding::kIdentity;
  if (head.content_length > limit_) return RefuseBody();
  if (stream.ended()) return;  // it has no body
  if ((head.expects_continue || head.content_length > kKept) && TurnedAway()) return;
  if (head.expects_continue) stream.Continue();
}

// There is no room for what the body is sent for: that is said before memory
// and the client's time are spent on it.
bool OverH2::Request::TurnedAway() {
  if (std::exchange(asked_, true)) return false;
  response_.Clear();
  if (!session_->TurnAway(response_)) return false;
  Answer();
  return true;
}

void OverH2::Request::OnData(std::span<const std::byte> data) {
  // Of what is refused no more is taken than the window lets in.
  if (stage_ != Stage::kBody) return;
  if (data.size() > limit_ - body_.size()) return RefuseBody();
  if (body_.size() + data.size() > kKept && TurnedAway()) return;
  if (!Grow(body_, data.size(), limit_)) {
    return Refuse(503, "too many large requests at once: try again");
  }
  body_.Append({reinterpret_cast<const char*>(data.data()), data.size()});
  stream_->Consume(data.size());
}

void OverH2::Request::OnEnd() {
  if (stage_ != Stage::kBody) return;
  if (!Grow(body_, 0, limit_)) return Refuse(503, "too many large requests at once: try again");
  if (coding_ == Coding::kIdentity) return Dispatch(body_);
  stage_ = Stage::kUnpacking;
  inflater_ = std::make_unique<Inflater>(coding_, body_.view());
  Unpack();
}

void OverH2::Request::OnTurn() {
  if (stage_ == Stage::kUnpacking) return Unpack();
  if (stage_ == Stage::kPacking) return Pack();
}

void OverH2::Request::Unpack() {
  // A byte more than is allowed tells that there is more.
  const uint64_t room = std::min(kPlainSlice, limit_ + 1 - plain_.size());
  if (!Grow(plain_, room, limit_ + 1)) {
    return Refuse(503, "too many large requests at once: try again");
  }
  size_t written = 0;
  const auto result = inflater_->Step(plain_.Tail(room), room, &written);
  plain_.Advance(written);
  if (!result.ok()) {
    const std::string why(Message(result.status()));
    if (result.status().code() != StatusCode::kInvalidArgument) return Refuse(503, why);
    return Refuse(400, "the body is not in the Content-Encoding " + why);
  }
  if (plain_.size() > limit_) {
    return Refuse(413, "the body, decompressed, is larger than the " + std::to_string(limit_) +
                           " bytes that are allowed");
  }
  const uint64_t ratio = owner_.options_.max_ratio;
  if (plain_.size() > kFreeBytes && plain_.size() / ratio > body_.size()) {
    return Refuse(413, "the body, decompressed, is more than " + std::to_string(ratio) +
                           " times its size: send it as it is");
  }
  if (*result == Inflater::Result::kMore) return stream_->Later();
  inflater_.reset();
  Dispatch(plain_);
}

// Room for so much more and the padding, accounted for.  Grows by doubling, so
// that what is there is never more than twice what was sent for it.
bool OverH2::Request::Grow(Buffer& buffer, uint64_t room, uint64_t most) {
  const uint64_t need = buffer.size() + room + kBodyPadding;
  if (need > buffer.capacity()) {
    buffer.Reserve(std::min(most + kBodyPadding, std::max<uint64_t>(need, 2 * buffer.capacity())));
  }
  return Account();
}

// What there is, and so much more.
bool OverH2::Request::Account(uint64_t more) {
  uint64_t bytes = more + packer_.memory() + (inflater_ != nullptr ? Inflater::kMemory : 0);
  const std::initializer_list<const Buffer*> kept = {&body_, &plain_, &response_.body,
                                                     &packer_.packed()};
  for (const Buffer* buffer : kept) {
    if (buffer->capacity() > kKept) bytes += buffer->capacity();
  }
  h2::SessionOwner& connection = stream_->session().owner();
  if (bytes > reserved_) {
    if (!connection.Reserve(bytes - reserved_)) return false;
  } else {
    connection.Release(reserved_ - bytes);
  }
  reserved_ = bytes;
  return true;
}

void OverH2::Request::Dispatch(const Buffer& body) {
  stage_ = Stage::kHandling;
  handling_since_ns_ = NowNanos();
  with_session_ = true;
  response_.Clear();
  session_->OnBody({body.data(), body.size()});
}

// ------------------------------------------------------------------- the answer

void OverH2::Request::Refuse(int status, std::string_view text) {
  response_.Error(status, text);
  response_.retry_after = status == 503;
  Answer();
}

void OverH2::Request::RefuseBody() {
  response_.Clear();
  session_->RefuseBody(response_);
  Answer();
}

void OverH2::Request::AddField(std::string_view name, std::string_view value) {
  fields_.push_back({name, value});
}

// The views of texts_ stay good because there is room for all of them.
void OverH2::Request::AddNumber(std::string_view name, uint64_t value) {
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  const std::string_view text(digits, static_cast<size_t>(end - digits));
  const char* at = texts_.Tail(text.size());
  texts_.Append(text);
  AddField(name, {at, text.size()});
}

// "Name: value\r\n" ...; names are in lower case here.
void OverH2::Request::AddLines(std::string_view lines) {
  while (!lines.empty()) {
    const size_t end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 2, lines.size()));
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    char* name = texts_.Tail(colon);
    texts_.Append(line.substr(0, colon));
    std::transform(name, name + colon, name, [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    AddField({name, colon}, line.substr(colon + 2));
  }
}

void OverH2::Request::WriteHead(bool end) {
  constexpr size_t kNumbers = 2 * 20;
  fields_.clear();
  texts_.Clear();
  texts_.Reserve(response_.extra.size() + kNumbers);
  const uint64_t length = response_.content_length();
  if (!response_.content_type.empty()) {
    AddField("content-type", response_.content_type);
  } else if (response_.binary) {
    AddField("content-type", "application/octet-stream");
  } else if (length > 0) {
    AddField("content-type", "application/json");
  }
  if (response_.coding != Coding::kIdentity) {
    AddField("content-encoding", compress::CodingName(response_.coding));
  }
  AddNumber("content-length", length);
  if (response_.json_length >= 0) {
    AddNumber("inference-header-content-length", static_cast<uint64_t>(response_.json_length));
  }
  if (!response_.allow.empty()) AddField("allow", response_.allow);
  if (response_.retry_after) AddField("retry-after", "1");
  AddLines(response_.extra);
  if (const auto* context = head_done_ ? session_->context() : nullptr) {
    AddField("x-request-id", context->request_id());
    if (const auto trace = context->traceparent(); !trace.empty()) AddField("traceparent", trace);
  }
  AddField("date", owner_.Date());
  stream_->Respond(response_.status, fields_, end);
}

void OverH2::Request::Answer() {
  inflater_.reset();
  if (!Account()) {
    response_.body.Trim(0);
    response_.Error(503, "too many large answers at once: try again");
    response_.retry_after = true;
  }
  if (BeginPacking()) return stream_->Later();
  WriteAnswer();
}

// False: the answer goes as it is.
bool OverH2::Request::BeginPacking() {
  if (response_.coding == Coding::kIdentity) return false;
  const uint64_t from = owner_.options_.compress_from_bytes;
  const bool wanted =
      from != 0 && response_.content_length() >= from && !(head_done_ && session_->head_only());
  // Meanwhile the outputs stay in the model's memory: there are only so many places.
  if (wanted && !response_.blobs.empty() && owner_.held_answers_ < kMostHeldAnswers) {
    held_ = true;
    ++owner_.held_answers_;
  }
  if (!wanted || (!response_.blobs.empty() && !held_) || !packer_.Begin(response_) || !Account()) {
    EndPacking(false);
    return false;
  }
  stage_ = Stage::kPacking;
  return true;
}

void OverH2::Request::Pack() {
  const auto result = packer_.Step([this](uint64_t more) { return Account(more); });
  if (result == AnswerPacker::Result::kMore) return stream_->Later();
  EndPacking(result == AnswerPacker::Result::kDone);
  WriteAnswer();
  if (response_.blobs.empty()) EndSession();  // all of it is ours
}

void OverH2::Request::EndPacking(bool use) {
  if (use) {
    packer_.Take(&response_);
  } else {
    response_.coding = Coding::kIdentity;
  }
  packer_.End();
  if (std::exchange(held_, false)) --owner_.held_answers_;
  Account();
}

void OverH2::Request::WriteAnswer() {
  stage_ = Stage::kAnswered;
  owner_.counters_.CountAnswer(head_done_ ? session_->route_class() : metrics::RouteClass::kNone,
                               response_.status);
  if (head_done_) session_->Answering(response_, with_session_ ? handling_since_ns_ : 0);
  pieces_.clear();
  if (!head_done_ || !session_->head_only()) {
    if (!response_.body.empty()) pieces_.push_back({response_.body.data(), response_.body.size()});
    for (const auto& blob : response_.blobs) {
      if (!blob.empty()) pieces_.push_back({const_cast<std::byte*>(blob.data()), blob.size()});
    }
  }
  WriteHead(pieces_.empty());
  if (pieces_.empty()) return EndSession();
  stream_->Write(pieces_);
  stream_->Finish({});
}

void OverH2::Request::EndSession() {
  if (std::exchange(with_session_, false)) session_->Sent();
}

// ------------------------------------------------------------------ end and time

void OverH2::Request::OnAborted() {
  // Of an answer the memory may be on its way yet: OnDone.
  if (stage_ == Stage::kAnswered) return;
  if (stage_ == Stage::kPacking) EndPacking(false);
  stage_ = Stage::kAnswered;
  inflater_.reset();
  if (!std::exchange(with_session_, false)) return;
  session_->Abandon();
  session_.reset();
}

void OverH2::Request::OnSweep(uint64_t now_ns) {
  if (stage_ != Stage::kBody) return;
  const HttpOptions& options = owner_.options_;
  const uint64_t allowed =
      options.transfer_timeout_ns +
      body_.size() * kNanosPerSecond / std::max<uint64_t>(options.min_bytes_per_second, 1);
  if (now_ns > began_ns_ + allowed) Refuse(408, "the request took too long to arrive");
}

void OverH2::Request::OnDone() {
  EndSession();
  response_.Clear();
  for (Buffer* buffer : {&body_, &plain_, &response_.body}) {
    buffer->Clear();
    buffer->Trim(kKept);
  }
  packer_.Trim(kKept);
  Account();
  owner_.Done(*this);
}

// -------------------------------------------------------------------------- all

OverH2::OverH2(Service& service, const HttpOptions& options, metrics::HttpCounters& counters)
    : service_(service), options_(options), counters_(counters) {}

OverH2::~OverH2() = default;

h2::StreamHandler* OverH2::OnRequest(h2::Stream& stream) {
  std::unique_ptr<Request> request;
  if (spare_.empty()) {
    request = std::make_unique<Request>(*this);
  } else {
    request = std::move(spare_.back());
    spare_.pop_back();
  }
  Request& started = *request;
  started.index = running_.size();
  running_.push_back(std::move(request));
  started.Start(stream);
  return &started;
}

void OverH2::Done(Request& request) {
  const size_t index = request.index;
  std::unique_ptr<Request> done = std::move(running_[index]);
  if (index + 1 != running_.size()) {
    running_[index] = std::move(running_.back());
    running_[index]->index = index;
  }
  running_.pop_back();
  if (spare_.size() < kSpareRequests) spare_.push_back(std::move(done));
}

std::string_view OverH2::Date() {
  const time_t now = ::time(nullptr);
  if (now != date_of_) {
    date_of_ = now;
    tm parts{};
    ::gmtime_r(&now, &parts);
    date_size_ = std::strftime(date_, sizeof date_, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  }
  return {date_, date_size_};
}

}  // namespace mlos::http
