// SPDX-License-Identifier: Apache-2.0
#include "h2/session.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <new>
#include <utility>

#include "base/clock.h"
#include "h2/busy.h"
#include "h2/callbacks.h"

namespace mlos::h2 {
namespace {

// Larger than the default of 16 KiB, so that large bodies come in fewer frames.
constexpr uint32_t kMaxFrame = 64 << 10;
// How long the streams of a connection may work before other connections do.
constexpr uint64_t kTurnNs = kNanosPerMilli;
constexpr size_t kSpareStreams = 32;
// What the protocol may take of memory before it counts among that of all
// connections, and in which steps it does.
constexpr uint64_t kFreeMemory = 192 << 10;
constexpr uint64_t kMemoryStep = 64 << 10;
// Resets are counted by the guard, which knows which of them matter.
constexpr uint64_t kNoLimit = uint64_t{1} << 40;

void* TakeMemory(size_t bytes, void* user) {
  void* p = std::malloc(bytes);
  *static_cast<uint64_t*>(user) += ::malloc_usable_size(p);
  return p;
}
void GiveMemory(void* p, void* user) {
  *static_cast<uint64_t*>(user) -= ::malloc_usable_size(p);
  std::free(p);
}
void* TakeZeroed(size_t count, size_t bytes, void* user) {
  void* p = std::calloc(count, bytes);
  *static_cast<uint64_t*>(user) += ::malloc_usable_size(p);
  return p;
}
void* ChangeMemory(void* p, size_t bytes, void* user) {
  const size_t before = ::malloc_usable_size(p);
  void* changed = std::realloc(p, bytes);
  if (changed != nullptr) *static_cast<uint64_t*>(user) += ::malloc_usable_size(changed) - before;
  return changed;
}

}  // namespace

Session::Session(SessionOwner& owner, Acceptor& acceptor, const Limits& limits)
    : owner_(owner),
      acceptor_(acceptor),
      limits_(limits),
      guard_(limits),
      mem_{&memory_, TakeMemory, GiveMemory, TakeZeroed, ChangeMemory},
      began_ns_(NowNanos()),
      idle_since_ns_(began_ns_),
      heard_ns_(began_ns_) {
  Open();
}

Session::~Session() { ReleaseAll(); }

void Session::Open() {
  nghttp2_session_callbacks* callbacks = NewCallbacks();
  nghttp2_option* option = nullptr;
  if (callbacks == nullptr || nghttp2_option_new(&option) != 0) {
    nghttp2_session_callbacks_del(callbacks);
    throw std::bad_alloc();
  }
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_continuations(option, limits_.max_continuations);
  nghttp2_option_set_stream_reset_rate_limit(option, kNoLimit, kNoLimit);
  const int failed = nghttp2_session_server_new3(&session_, callbacks, this, option, &mem_);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (failed != 0) throw std::bad_alloc();
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.max_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kMaxFrame},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.max_header_bytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits_.connection_window));
}

// --------------------------------------------------------------------- input

void Session::Feed(std::span<const std::byte> data) {
  if (over()) return;
  const Busy busy(busy_);
  heard_ns_ = turn_ns_ = NowNanos();
  asked_ns_ = 0;
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(data.data()), data.size());
  frames_.Take(data);
  NoteBlock();
  if (taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
    EndWith(End::kHeaders, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_continuations");
  } else if (taken == NGHTTP2_ERR_FLOODED) {
    EndWith(End::kIdleFrames, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_frames");
  } else if (taken < 0 && !over()) {
    not_http2_ = taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC;
    end_ = End::kProtocol;
    AbortAll();
  }
  NoteHollow();
  if ((memory_ > limits_.max_connection_bytes || !AccountOwn()) && !over()) {
    EndWith(End::kMemory, NGHTTP2_ENHANCE_YOUR_CALM, "too_much_memory");
  }
  Tell();
}

void Session::NoteBlock() {
  if (!frames_.in_block()) {
    block_since_ns_ = 0;
  } else if (block_since_ns_ == 0 || block_ != frames_.blocks()) {
    block_since_ns_ = heard_ns_;
  }
  block_ = frames_.blocks();
}

// The library tells of no data that is of a stream which is no more.
void Session::NoteHollow() {
  for (; hollow_told_ < frames_.hollow() && !over(); ++hollow_told_) {
    if (guard_.AdmitIdleFrame(heard_ns_)) continue;
    EndWith(End::kIdleFrames, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_idle_frames");
  }
}

// Most connections need no more than each may have.
bool Session::AccountOwn() {
  const uint64_t taken = memory_ + copied_.capacity();
  const uint64_t bytes =
      taken <= kFreeMemory ? 0 : (taken + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
  if (bytes > reserved_) {
    if (!owner_.Reserve(bytes - reserved_)) return false;
  } else if (bytes < reserved_) {
    owner_.Release(reserved_ - bytes);
  }
  reserved_ = bytes;
  return true;
}

Stream* Session::NewStream(int32_t id) {
  std::unique_ptr<Stream> stream;
  if (spare_.empty()) {
    stream = std::make_unique<Stream>(*this);
  } else {
    stream = std::move(spare_.back());
    spare_.pop_back();
  }
  stream->id_ = id;
  stream->index_ = static_cast<uint32_t>(streams_.size());
  streams_.push_back(std::move(stream));
  ++open_streams_;
  return streams_.back().get();
}

void Session::CloseStream(Stream& stream) {
  stream.closed_ = true;
  stream.queued_ = 0;
  if (--open_streams_ == 0) idle_since_ns_ = NowNanos();
  if (stream.handler_ != nullptr && !stream.end_sent_) stream.handler_->OnAborted();
  NoteWritten(stream);
}

// --------------------------------------------------------------- what is told

void Session::NoteWritten(Stream& stream) {
  if (!std::exchange(stream.in_told_list_, true)) told_.push_back(&stream);
}

void Session::Tell() {
  // By index: who is told may write, and come onto the list again.
  for (size_t i = 0; i < told_.size(); ++i) {
    Stream& stream = *told_[i];
    stream.in_told_list_ = false;
    if (stream.writing()) continue;
    stream.DropCopy();
    if (!std::exchange(stream.told_written_, true) && !stream.closed_) {
      stream.handler_->OnWritten();
    }
    // After the session's end the library may still ask for it: ReleaseAll.
    if (stream.closed_ && !stream.in_told_list_ && !over()) Retire(stream);
  }
  told_.clear();
}

void Session::Turn() {
  if (over()) return;
  turn_.swap(later_);
  const Busy busy(busy_);
  turn_ns_ = NowNanos();
  CopySome();
  size_t i = 0;
  for (; i < turn_.size() && (i == 0 || !turn_is_over()); ++i) {
    Stream* stream = turn_[i];
    if (stream == nullptr) continue;  // it is gone
    stream->waits_for_turn_ = false;
    if (!stream->closed_ && stream->handler_ != nullptr) stream->handler_->OnTurn();
  }
  // The others are the first of the next.
  if (i < turn_.size() && !over()) {
    later_.insert(later_.begin(), turn_.begin() + static_cast<ptrdiff_t>(i), turn_.end());
    owner_.WantTurn();
  }
  turn_.clear();
  Tell();
}

bool Session::client_may_send() const {
  return session_ == nullptr || nghttp2_session_get_local_window_size(session_) > 0;
}

bool Session::turn_is_over() const { return busy_ && NowNanos() > turn_ns_ + kTurnNs; }

void Session::Retire(Stream& stream) {
  stream.DropCopy();
  if (stream.handler_ != nullptr) stream.handler_->OnDone();
  if (stream.waits_for_turn_) {
    std::erase(later_, &stream);
    std::replace(turn_.begin(), turn_.end(), &stream, static_cast<Stream*>(nullptr));
  }
  const uint32_t index = stream.index_;
  std::unique_ptr<Stream> gone = std::move(streams_[index]);
  if (index + 1 != streams_.size()) {
    streams_[index] = std::move(streams_.back());
    streams_[index]->index_ = index;
  }
  streams_.pop_back();
  gone->Clear();
  if (spare_.size() < kSpareStreams) spare_.push_back(std::move(gone));
}

// Of all that still run; they are gone when the session is.
void Session::AbortAll() {
  for (size_t i = 0; i < streams_.size(); ++i) {
    Stream& stream = *streams_[i];
    if (std::exchange(stream.closed_, true)) continue;
    stream.queued_ = 0;
    if (stream.handler_ == nullptr || stream.end_sent_) continue;
    try {
      stream.handler_->OnAborted();
    } catch (const std::exception&) {  // the others have to hear of it all the same
      failed_ = true;
    }
  }
  open_streams_ = 0;
}

void Session::ReleaseAll() {
  AbortAll();
  nghttp2_session_del(std::exchange(session_, nullptr));
  copied_.Trim(0);
  AccountOwn();
  segments_.clear();
  segment_ = out_bytes_ = 0;
  told_.clear();
  later_.clear();
  while (!streams_.empty()) Retire(*streams_.back());
}

// ----------------------------------------------------------------------- ends

void Session::EndWith(End why, uint32_t error_code, std::string_view text) {
  if (over()) return;
  end_ = why;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), error_code,
                        reinterpret_cast<const uint8_t*>(text.data()), text.size());
  AbortAll();
  Changed();
}

// A stream ended early because of the peer.
void Session::CountReset() {
  if (!over() && !guard_.AdmitReset(heard_ns_)) {
    EndWith(End::kResets, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_resets");
  }
}

// Nothing is to be sent: was that all?
void Session::CheckEnd() {
  if (!over()) {
    if (nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0) {
      return;
    }
    end_ = failed_ ? End::kProtocol : goodbye_ ? End::kDrained : End::kPeer;
  }
  ReleaseAll();
}

void Session::Leave() {
  if (over() || std::exchange(leaving_, true)) return;
  nghttp2_submit_shutdown_notice(session_);
  Changed();
}

void Session::Drain() {
  if (over() || drain_ns_ != 0) return;
  drain_ns_ = NowNanos();
  Leave();
  // When it is answered, everything that the client sent before it knew is here.
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kDrainText);
  Changed();
}

void Session::SayGoodbye() {
  if (over() || std::exchange(goodbye_, true)) return;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  Changed();
}

void Session::Close() {
  if (!over()) end_ = End::kPeer;
  ReleaseAll();
}

}  // namespace mlos::h2
