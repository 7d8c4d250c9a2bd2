// SPDX-License-Identifier: Apache-2.0
#include "rpc/call.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "base/name.h"
#include "rpc/dispatcher.h"

namespace mlos::rpc {
namespace {

// What a call keeps for the next one.
constexpr size_t kKept = 4 << 10;
// Compressed in one turn of the loop: a third of a millisecond or so.
constexpr uint64_t kPackSlice = 16 << 10;
// So much of an answer tells whether the rest is worth it.
constexpr uint64_t kJudgedBytes = 128 << 10;
// What decompressing takes, with the output that waits.
constexpr uint64_t kUnpackBytes = compress::Inflater::kMemory + (16 << 10);
// The engine answers what is late itself; after this the layer does.
constexpr uint64_t kDeadlineGraceNs = 100 * kNanosPerMilli;
constexpr size_t kSpareCalls = 256;
// Of a status's text.  Encoded it may be three times that, and clients take no
// more than 8 KiB of metadata.
constexpr size_t kMostMessage = 2 << 10;

// Ends between two characters.
std::string_view Beginning(std::string_view text) {
  if (text.size() <= kMostMessage) return text;
  size_t end = kMostMessage;
  while (end > kMostMessage - 4 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

// ------------------------------------------------------------------ metadata

void Call::FieldList::Clear() {
  text.Clear();
  text.Trim(kKept);
  at.clear();
  views.clear();
}

void Call::FieldList::Add(std::string_view name, std::string_view value) {
  at.push_back({.name = static_cast<uint32_t>(text.size()),
                .name_size = static_cast<uint32_t>(name.size()),
                .value_size = static_cast<uint32_t>(value.size())});
  text.Append(name);
  text.Append(value);
}

std::span<const h2::Field> Call::FieldList::View() {
  views.clear();
  views.reserve(at.size());
  for (const TextAt& a : at) {
    const char* name = text.data() + a.name;
    views.push_back({{name, a.name_size}, {name + a.name_size, a.value_size}});
  }
  return views;
}

std::string_view Call::Metadata(std::string_view name) const {
  for (const h2::Field& field : head_->fields) {
    if (field.name == name) return field.value;
  }
  return {};
}

void Call::AddHeader(std::string_view name, std::string_view value) { headers_.Add(name, value); }

void Call::AddTrailer(std::string_view name, std::string_view value) { trailers_.Add(name, value); }

// --------------------------------------------------------------------- start

void Call::Clear() {
  stream_ = nullptr;
  head_ = nullptr;
  method_ = nullptr;
  handler_ = nullptr;
  reader_.Begin(nullptr, Coding::kIdentity, context_.options);
  arrived_ns_ = deadline_ns_ = upload_since_ns_ = upload_bytes_ = messages_ = 0;
  encoding_ = answer_encoding_ = Coding::kIdentity;
  feeding_ = unpacking_ = resume_later_ = turn_asked_ = false;
  half_closed_ = input_over_ = responded_ = finished_ = cancelled_ = finish_waits_ = false;
  packer_.reset();
  pending_.Clear();
  pending_.Trim(kKept);
  pending_at_ = reserved_ = 0;
  compressed_.Clear();
  compressed_.Trim(kKept);
  headers_.Clear();
  trailers_.Clear();
  message_.clear();
}

void Call::Start(h2::Stream& stream, Method* method, const Status& otherwise) {
  stream_ = &stream;
  head_ = &stream.head();
  method_ = method;
  arrived_ns_ = NowNanos();
  upload_since_ns_ = arrived_ns_;
  if (method == nullptr) return Finish(otherwise);
  if (!ReadHead()) return;
  handler_ = method_->Begin(*this);
  reader_.Begin(&sink_, encoding_, context_.options);
}

// The fields that are gRPC's own.  False: it is answered.
bool Call::ReadHead() {
  std::string_view encoding;
  std::string_view accepted;
  std::string_view timeout;
  for (const h2::Field& field : head_->fields) {
    if (field.name == "grpc-timeout") {
      timeout = field.value;
    } else if (field.name == "grpc-encoding") {
      encoding = field.value;
    } else if (field.name == "grpc-accept-encoding") {
      accepted = field.value;
    }
  }
  if (head_->too_large) {
    Finish(ResourceExhausted("the metadata is larger than allowed: send less of it"));
    return false;
  }
  encoding_ = compress::ParseCoding(encoding);
  if (encoding_ == Coding::kUnknown) {
    AddTrailer("grpc-accept-encoding", kAcceptEncoding);
    Finish(Unimplemented("grpc-encoding " + Quoted(encoding) + " is not one of " +
                         std::string(kAcceptEncoding)));
    return false;
  }
  if (encoding_ != Coding::kIdentity) {
    // Who pays for compressing is who asked: in the client's own way.
    if (ListHas(accepted, encoding)) answer_encoding_ = encoding_;
  }
  if (timeout.empty()) return true;
  const auto allowed = ParseTimeout(timeout);
  if (!allowed) {
    Finish(InvalidArgument("grpc-timeout " + Quoted(timeout) +
                           " is not up to eight digits and one of HMSmun"));
    return false;
  }
  deadline_ns_ = *allowed > std::numeric_limits<int64_t>::max() - arrived_ns_
                     ? std::numeric_limits<int64_t>::max()
                     : arrived_ns_ + *allowed;
  return true;
}

bool Call::Reserve(uint64_t bytes) {
  if (!stream_->session().owner().Reserve(bytes)) return false;
  reserved_ += bytes;
  return true;
}

void Call::Unreserve(uint64_t bytes) {
  reserved_ -= bytes;
  stream_->session().owner().Release(bytes);
}

// --------------------------------------------------------------------- input

void Call::OnData(std::span<const std::byte> data) {
  if (finished_ || cancelled_) return stream_->Consume(data.size());
  upload_bytes_ += data.size();
  size_t taken = 0;
  const bool next = pending_at_ == pending_.size() && !reader_.holds();
  // One read has data of many streams, each of which may be work.
  const bool later = next && encoding_ != Coding::kIdentity && stream_->session().turn_is_over();
  if (next && !later) taken = Feed(data);
  stream_->Consume(taken);
  const auto rest = data.subspan(taken);
  if (rest.empty()) return;
  if (!Reserve(rest.size())) {
    stream_->Consume(rest.size());
    return Refuse(ResourceExhausted("too many large messages at once: try again"));
  }
  pending_.Append({reinterpret_cast<const char*>(rest.data()), rest.size()});
  if (!later) return;
  resume_later_ = true;
  stream_->Later();
}

// How much of it is done with: all, once the call is over.
size_t Call::Feed(std::span<const std::byte> data) {
  feeding_ = true;
  const StatusOr<size_t> taken = reader_.Take(data);
  feeding_ = false;
  if (unpacking_ && !reader_.in_message()) {
    reader_.DropUnpacker();
    unpacking_ = false;
    Unreserve(kUnpackBytes);
  }
  if (taken.ok()) {
    if (reader_.paused()) stream_->Later();
    return *taken;
  }
  Refuse(taken.status());
  return data.size();
}

void Call::OnTurn() {
  if (cancelled_) return;
  if (packer_ != nullptr) Pack();
  if (reader_.paused() || resume_later_) Resume();
  if (!finished_ && !cancelled_ && std::exchange(turn_asked_, false)) handler_->OnTurn();
}

void Call::Later() {
  turn_asked_ = true;
  stream_->Later();
}

void Call::Resume() {
  // Inside of Feed more is offered anyway.
  if (finished_ || cancelled_ || feeding_) return;
  resume_later_ = false;
  const std::span<const std::byte> waiting(
      reinterpret_cast<const std::byte*>(pending_.data()) + pending_at_,
      pending_.size() - pending_at_);
  const size_t taken = Feed(waiting);
  stream_->Consume(taken);
  pending_at_ += taken;
  const size_t left = pending_.size() - pending_at_;
  // Moving what is left is paid for by what was taken.
  if (left > pending_at_) return;
  if (left > 0) std::memmove(pending_.data(), pending_.data() + pending_at_, left);
  pending_.Resize(left);
  Unreserve(pending_at_);
  pending_at_ = 0;
  if (left > 0) return;
  if (!reader_.holds() && half_closed_) EndInput();
}

void Call::OnEnd() {
  half_closed_ = true;
  if (pending_.empty() && !reader_.holds()) EndInput();
}

void Call::EndInput() {
  if (finished_ || cancelled_ || std::exchange(input_over_, true)) return;
  upload_since_ns_ = 0;
  if (reader_.in_message()) {
    return Refuse(Internal("the request ends in the middle of a message"));
  }
  if (method_->client_streams()) return handler_->OnHalfClose();
  if (messages_ == 0) Refuse(Unimplemented("this method takes one message, and none came"));
}

void Call::BeginMessage(std::optional<uint64_t> size) {
  if (++messages_ > 1 && !method_->client_streams()) {
    return Refuse(Unimplemented("this method takes one message, and more came"));
  }
  if (!size && !unpacking_) {
    if (!Reserve(kUnpackBytes)) {
      return Refuse(ResourceExhausted("too many compressed messages at once: try again"));
    }
    unpacking_ = true;
  }
  upload_since_ns_ = NowNanos();
  upload_bytes_ = 0;
  handler_->OnMessage(size);
}

void Call::EndMessage() {
  upload_since_ns_ = 0;
  handler_->OnMessageEnd();
}

// -------------------------------------------------------------------- output

void Call::Respond() {
  if (std::exchange(responded_, true)) return;
  FieldList& fields = headers_;
  fields.Add("content-type", "application/grpc");
  if (answer_encoding_ != Coding::kIdentity) {
    fields.Add("grpc-encoding", compress::CodingName(answer_encoding_));
  }
  fields.Add("grpc-accept-encoding", kAcceptEncoding);
  stream_->Respond(200, fields.View());
}

void Call::Send(std::span<const iovec> pieces) {
  if (finished_ || cancelled_) return;
  Respond();
  uint64_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  if (bytes > std::numeric_limits<uint32_t>::max()) {
    return Refuse(ResourceExhausted("the answer is larger than a message of gRPC may be"));
  }
  pieces_.clear();
  pieces_.push_back({prefix_, sizeof prefix_});
  pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
  if (BeginPacking(bytes)) return stream_->session().turn_is_over() ? stream_->Later() : Pack();
  Write(bytes, false);
}

void Call::Write(uint64_t bytes, bool compressed) {
  prefix_[0] = compressed ? 1 : 0;
  for (int i = 0; i < 4; ++i) prefix_[4 - i] = static_cast<uint8_t>(bytes >> (8 * i));
  stream_->Write(pieces_);
}

bool Call::BeginPacking(uint64_t bytes) {
  const uint64_t from = context_.options.compress_from_bytes;
  if (answer_encoding_ == Coding::kIdentity || from == 0 || bytes < from) return false;
  const uint64_t more = bytes - std::min<uint64_t>(bytes, compressed_.capacity());
  if (!Reserve(compress::Deflater::kMemory + more)) return false;
  packer_ = std::make_unique<compress::Deflater>(answer_encoding_);
  compressed_.Clear();
  compressed_.Reserve(bytes);
  pack_bytes_ = pack_left_ = bytes;
  pack_piece_ = 1;
  pack_at_ = 0;
  return true;
}

void Call::Pack() {
  if (!packer_->ready()) return EndPacking(false);
  const uint64_t until = pack_left_ - std::min(pack_left_, kPackSlice);
  while (pack_left_ > until || until == 0) {
    // Compressed it has to be smaller.  Numbers at random are not, which shows soon.
    const uint64_t taken = pack_bytes_ - pack_left_;
    const uint64_t room = pack_bytes_ - compressed_.size();
    if (room == 0 || (taken >= kJudgedBytes && compressed_.size() > taken / 20 * 19)) {
      return EndPacking(false);
    }
    while (pack_left_ > 0 && pack_at_ == pieces_[pack_piece_].iov_len) {
      ++pack_piece_;
      pack_at_ = 0;
    }
    const iovec& piece = pieces_[pack_piece_];
    const size_t given = std::min<uint64_t>(piece.iov_len - pack_at_, pack_left_ - until);
    std::string_view input(static_cast<const char*>(piece.iov_base) + pack_at_, given);
    size_t written = 0;
    const bool done =
        packer_->Step(&input, given == pack_left_, compressed_.Tail(room), room, &written);
    compressed_.Advance(written);
    pack_at_ += given - input.size();
    pack_left_ -= given - input.size();
    if (done) return EndPacking(true);
  }
  stream_->Later();
}

void Call::EndPacking(bool use) {
  packer_.reset();
  Unreserve(compress::Deflater::kMemory);
  if (use) {
    pieces_.resize(1);
    pieces_.push_back({compressed_.data(), compressed_.size()});
  }
  Write(use ? compressed_.size() : pack_bytes_, use);
  if (finish_waits_) stream_->Finish(trailers_.View());
}

void Call::Finish(const Status& status) {
  if (cancelled_ || std::exchange(finished_, true)) return;
  reader_.Stop();
  if (context_.watcher != nullptr) context_.watcher->OnAnswered(*this, status);
  const int code = static_cast<int>(status.code());
  const std::array<char, 2> digits = {static_cast<char>('0' + code / 10),
                                      static_cast<char>('0' + code % 10)};
  const bool only = !responded_;
  FieldList& fields = only ? headers_ : trailers_;
  if (only) fields.Add("content-type", "application/grpc");
  fields.Add("grpc-status", std::string_view(digits.data(), digits.size()).substr(code < 10));
  if (!status.ok()) {
    message_.clear();
    AppendPercentEncoded(Beginning(Message(status)), &message_);
    fields.Add("grpc-message", message_);
  }
  if (packer_ != nullptr) {
    finish_waits_ = true;
    return;
  }
  if (!only) return stream_->Finish(fields.View());
  responded_ = true;
  for (const h2::Field& field : trailers_.View()) fields.Add(field.name, field.value);
  stream_->Respond(200, fields.View(), true);
}

// The layer's own answer: the handler is told to stop.
void Call::Refuse(const Status& status) {
  if (finished_ || cancelled_) return;
  packer_.reset();  // what it has is not sent
  Finish(status);
  if (handler_ == nullptr) return;
  handler_->OnCancel();
  // The work that it has begun may go on for a while, as with a reset.
  if (status.code() != StatusCode::kDeadlineExceeded) stream_->Blame();
}

void Call::OnWritten() {
  if (handler_ != nullptr) handler_->OnSent();
}

void Call::OnReleased() {
  if (handler_ != nullptr) handler_->OnReleased();
}

// ---------------------------------------------------------------------- ends

void Call::OnAborted() {
  if (std::exchange(cancelled_, true)) return;
  reader_.Stop();
  if (handler_ != nullptr && !finished_) handler_->OnCancel();
}

void Call::OnSweep(uint64_t now_ns) {
  if (finished_) return;
  if (deadline_ns_ != 0 && now_ns > deadline_ns_ + kDeadlineGraceNs) {
    return Refuse(DeadlineExceeded("the call's deadline has passed"));
  }
  if (handler_ != nullptr) handler_->OnSweep(now_ns);
  if (finished_ || upload_since_ns_ == 0 || method_ == nullptr) return;
  const Options& options = context_.options;
  // In a stream a client may take its time between messages.
  if (method_->client_streams() && !reader_.in_message()) return;
  // While the handler takes nothing, the client cannot send.
  if (pending_at_ < pending_.size()) return;
  // Nor while what others of its calls have sent fills the connection.
  if (!stream_->session().client_may_send()) {
    upload_since_ns_ = now_ns;
    upload_bytes_ = 0;
    return;
  }
  const uint64_t allowed =
      options.transfer_timeout_ns + upload_bytes_ * kNanosPerSecond / options.min_bytes_per_second;
  if (now_ns > upload_since_ns_ + allowed) {
    Refuse(DeadlineExceeded("the message took too long to arrive"));
  }
}

void Call::OnDone() {
  if (handler_ != nullptr) handler_->OnDone();
  if (reserved_ > 0) stream_->session().owner().Release(reserved_);
  Clear();
  auto& calls = context_.calls;
  std::unique_ptr<Call> self = std::move(calls[index_]);
  if (index_ + 1 != calls.size()) {
    calls[index_] = std::move(calls.back());
    calls[index_]->index_ = index_;
  }
  calls.pop_back();
  if (context_.spare.size() < kSpareCalls) context_.spare.push_back(std::move(self));
}

}  // namespace mlos::rpc
