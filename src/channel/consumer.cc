// SPDX-License-Identifier: Apache-2.0
//
// What the consumer knows it keeps in private memory (Local); of shared memory
// it reads an entry's word and, once per claim, its descriptor.
#include "channel/consumer.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/clock.h"
#include "channel/consumer_impl.h"
#include "channel/entry.h"

namespace mlos::channel {

namespace {

// What a grant's first segments have ready in this process's page tables; the
// producer has allocated as much by default.
constexpr uint64_t kPrefault = 256 << 10;

}  // namespace

Consumer::Consumer() : impl_(std::make_unique<Impl>()) {}
Consumer::~Consumer() = default;

StatusOr<std::unique_ptr<Consumer>> Consumer::Attach(ConsumerGrant grant, EventKind rings) {
  if (grant.entries == 0 || grant.entries > kMaxEntries || grant.entries % 64 != 0 ||
      grant.epoch == 0 || grant.epoch > kMaxEpoch) {
    return InvalidArgument("a channel of " + std::to_string(grant.entries) + " entries and epoch " +
                           std::to_string(grant.epoch) + " is not possible");
  }
  std::unique_ptr<Consumer> consumer(new Consumer());
  Impl& impl = *consumer->impl_;
  const uint64_t bytes = ControlBytes(grant.entries);
  MLOS_ASSIGN_OR_RETURN(impl.control, Segment::Map(std::move(grant.control), RoundToPages(bytes),
                                                   Access::kReadWrite));
  impl.control->Populate(bytes, Access::kReadWrite);
  impl.header = reinterpret_cast<ControlHeader*>(impl.control->data());
  if (impl.header->magic != kChannelMagic || impl.header->layout_version != kLayoutVersion) {
    return InvalidArgument("the control segment is not that of a channel of layout version " +
                           std::to_string(kLayoutVersion));
  }
  impl.entries = reinterpret_cast<Entry*>(impl.control->data() + sizeof(ControlHeader));
  impl.entry_count = grant.entries;
  impl.words = grant.entries / 64;
  impl.epoch = grant.epoch;
  impl.sleeper =
      Sleeper(&impl.header->consumer, std::move(grant.consumer_event), EventKind::kSocket);
  impl.producer_event = std::move(grant.producer_event);
  impl.rings = rings;
  impl.locals = std::make_unique<Local[]>(grant.entries);
  impl.replay.reserve(grant.entries);
  for (SegmentGrant& segment : grant.requests) {
    MLOS_RETURN_IF_ERROR(consumer->AddRequestSegment(std::move(segment)));
  }
  for (SegmentGrant& segment : grant.responses) {
    MLOS_RETURN_IF_ERROR(consumer->AddResponseSegment(std::move(segment)));
  }
  // The predecessor may have died asleep.
  impl.header->consumer.sleep.store(static_cast<uint32_t>(Sleep::kAwake),
                                    std::memory_order_seq_cst);
  consumer->Rescan();
  return consumer;
}

// ------------------------------------------------------------------ segments

Status Consumer::AddRequestSegment(SegmentGrant segment) {
  if (impl_->FindRequest(segment.id) != nullptr) {
    return InvalidArgument("request segment " + std::to_string(segment.id) + " was given twice");
  }
  const uint32_t count = impl_->request_count.load(std::memory_order_relaxed);
  if (count == impl_->requests.size()) {
    return ResourceExhausted("a channel has at most " + std::to_string(count) +
                             " request segments");
  }
  MLOS_ASSIGN_OR_RETURN(auto memory,
                        Segment::Map(std::move(segment.fd), segment.bytes, Access::kReadOnly));
  if (count == 0) memory->Populate(kPrefault, Access::kReadOnly);
  impl_->requests[count] = {segment.id, std::move(memory)};
  impl_->request_count.store(count + 1, std::memory_order_release);
  return OkStatus();
}

Status Consumer::AddResponseSegment(SegmentGrant segment) {
  MLOS_ASSIGN_OR_RETURN(auto memory,
                        Segment::Map(std::move(segment.fd), segment.bytes, Access::kReadWrite));
  MutexLock lock(impl_->mutex);
  for (const NumberedSegment& known : impl_->responses) {
    if (known.id == segment.id) {
      return InvalidArgument("response segment " + std::to_string(segment.id) + " was given twice");
    }
  }
  if (impl_->responses.empty()) memory->Populate(kPrefault, Access::kReadWrite);
  impl_->arena.AddSegment(segment.id, memory->size());
  impl_->responses.push_back({segment.id, std::move(memory)});
  return OkStatus();
}

const Segment* Consumer::Impl::FindRequest(uint32_t id) const {
  const uint32_t count = request_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    if (requests[i].id == id) return requests[i].memory.get();
  }
  return nullptr;
}

StatusOr<std::span<const std::byte>> Consumer::RequestMemory(const BlockRef& block) const {
  if (const Segment* segment = impl_->FindRequest(block.segment)) {
    const std::span<const std::byte> bytes = segment->Range(block.offset, block.length);
    if (bytes.data() != nullptr) return bytes;
  }
  return InvalidArgument("the request names " + std::to_string(block.length) + " bytes at offset " +
                         std::to_string(block.offset) + " of segment " +
                         std::to_string(block.segment) + ", which do not exist");
}

// ------------------------------------------------------------------ claiming

void Consumer::Rescan() {
  impl_->replay.clear();
  for (uint32_t entry = 0; entry < impl_->entry_count; ++entry) {
    EntryWord claimed;
    if (ScanEntry(impl_->entries[entry].word, impl_->header->submitted[entry / 64], Bit(entry),
                  impl_->epoch, &claimed)) {
      impl_->replay.push_back({claimed.sequence, claimed.epoch, entry});
    }
  }
  // Taken from the back: the oldest submission last.
  std::sort(impl_->replay.begin(), impl_->replay.end(),
            [](const Replay& a, const Replay& b) { return a.sequence > b.sequence; });
}

// The entry has been claimed in shared memory: a copy of its descriptor.
void Consumer::Impl::FillClaim(uint32_t entry, uint32_t sequence, Claim* claim) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  Entry& shared = entries[entry];
  claim->entry = entry;
  claim->sequence = sequence;
  claim->attempts = shared.attempts.fetch_add(1, kRelaxed) + 1;
  claim->model = shared.model.load(kRelaxed);
  claim->principal = shared.principal.load(kRelaxed);
  claim->deadline_ns = shared.deadline_ns.load(kRelaxed);
  claim->flags = shared.flags.load(kRelaxed);
  claim->request = {shared.request_segment.load(kRelaxed), 0, shared.request_offset.load(kRelaxed),
                    shared.request_length.load(kRelaxed)};
  claim->claimed_ns = NowNanos();
  shared.started_ns.store(0, kRelaxed);
  locals[entry].sequence.store(sequence, kRelaxed);
}

// Takes the entry's private half.  False if this process is working on it
// already: only a hostile producer submits an entry that is claimed.
bool Consumer::Impl::TakeLocal(uint32_t entry, Use* before) {
  std::atomic<Use>& use = locals[entry].use;
  Use seen = use.load(std::memory_order_acquire);
  for (;;) {
    if (seen == Use::kWorking) return false;
    if (seen == Use::kReclaiming) {
      // Whoever reclaims holds the mutex and is done in a moment.
      MutexLock lock(mutex);
      seen = use.load(std::memory_order_acquire);
      continue;
    }
    if (use.compare_exchange_weak(seen, Use::kWorking, std::memory_order_acq_rel,
                                  std::memory_order_acquire)) {
      *before = seen;
      return true;
    }
  }
}

bool Consumer::Impl::ClaimEntry(uint32_t entry, Claim* claim) {
  Use before = Use::kIdle;
  if (!TakeLocal(entry, &before)) {
    // Take the false hint down, or it would be followed for ever.
    TakeHints(header->submitted[entry / 64], Bit(entry));
    return false;
  }
  uint32_t sequence = 0;
  if (!ClaimHinted(entries[entry].word, header->submitted[entry / 64], Bit(entry), epoch,
                   &sequence)) {
    locals[entry].use.store(before, std::memory_order_release);
    return false;
  }
  FillClaim(entry, sequence, claim);
  return true;
}

bool Consumer::Next(Claim* claim) {
  // From behind the entry that was claimed last, once around, so that no entry
  // waits for ever behind busy ones.
  const uint32_t start = impl_->cursor;
  for (uint32_t step = 0; step <= impl_->words; ++step) {
    const uint32_t w = (start / 64 + step) % impl_->words;
    uint64_t bits = impl_->header->submitted[w].load(std::memory_order_relaxed);
    if (step == 0) bits &= ~uint64_t{0} << (start % 64);
    if (step == impl_->words) bits &= ~(~uint64_t{0} << (start % 64));
    for (; bits != 0; bits &= bits - 1) {
      const uint32_t entry = w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      if (!impl_->ClaimEntry(entry, claim)) continue;
      impl_->cursor = entry + 1 == impl_->entry_count ? 0 : entry + 1;
      return true;
    }
  }
  return false;
}

bool Consumer::NextReplay(Claim* claim) {
  while (!impl_->replay.empty()) {
    const Replay next = impl_->replay.back();
    impl_->replay.pop_back();
    Use before = Use::kIdle;
    if (!impl_->TakeLocal(next.entry, &before)) continue;
    if (TryReclaim(impl_->entries[next.entry].word, next.sequence, next.epoch, impl_->epoch)) {
      impl_->FillClaim(next.entry, next.sequence, claim);
      return true;
    }
    impl_->locals[next.entry].use.store(before, std::memory_order_release);
  }
  return false;
}

void Consumer::Begun(uint32_t entry, uint64_t now_ns) {
  impl_->entries[entry].started_ns.store(now_ns, std::memory_order_relaxed);
}

bool Consumer::HasSubmissions() const {
  for (uint32_t w = 0; w < impl_->words; ++w) {
    if (impl_->header->submitted[w].load(std::memory_order_seq_cst) != 0) return true;
  }
  return false;
}

// ----------------------------------------------------------------- answering

StatusOr<ResponseBlock> Consumer::AllocateResponse(uint32_t entry, uint32_t piece, uint64_t bytes) {
  if (entry >= impl_->entry_count || piece >= kMaxPieces) {
    return InvalidArgument("a response has at most " + std::to_string(kMaxPieces) + " pieces");
  }
  Local& local = impl_->locals[entry];
  const uint32_t sequence = local.sequence.load(std::memory_order_relaxed);
  if (piece < local.pieces.size()) {
    Piece& kept = local.pieces[piece];
    if (kept.memory.block.length >= bytes && kept.memory.block.length > 0) {
      kept.sequence = sequence;
      return kept.memory;
    }
  }
  MutexLock lock(impl_->mutex);
  if (piece >= local.pieces.size()) local.pieces.resize(piece + 1);
  Piece& wanted = local.pieces[piece];
  impl_->TakeBack(&wanted);
  const auto block = impl_->Find(&local, bytes);
  if (!block) {
    return ResourceExhausted("no response segment has " + std::to_string(bytes) +
                             " bytes to spare");
  }
  for (const NumberedSegment& segment : impl_->responses) {
    if (segment.id != block->segment) continue;
    wanted.memory = {*block, segment.memory->Range(block->offset, block->length)};
    wanted.sequence = sequence;
  }
  return wanted.memory;
}

// A block for an entry; when there is none, what is kept without need is given
// up: pieces that this entry's earlier answers had, and idle entries.
std::optional<BlockRef> Consumer::Impl::Find(Local* local, uint64_t bytes) {
  if (auto block = arena.Allocate(bytes)) return block;
  bool any = false;
  const uint32_t sequence = local->sequence.load(std::memory_order_relaxed);
  for (Piece& piece : local->pieces) {
    if (piece.sequence != sequence) any |= TakeBack(&piece);
  }
  any |= ReclaimIdle();
  return any ? arena.Allocate(bytes) : std::nullopt;
}

bool Consumer::Impl::TakeBack(Piece* piece) {
  const BlockRef block = piece->memory.block;
  *piece = {};
  if (block.length == 0) return false;
  arena.Free(block);
  return true;
}

// Takes back the memory of all entries that are not in use: never claimed
// since, or answered and released by the producer.
bool Consumer::Impl::ReclaimIdle() {
  bool any = false;
  for (uint32_t entry = 0; entry < entry_count; ++entry) {
    Local& local = locals[entry];
    Use seen = local.use.load(std::memory_order_acquire);
    if (seen != Use::kIdle && seen != Use::kAnswered) continue;
    if (!local.use.compare_exchange_strong(seen, Use::kReclaiming, std::memory_order_acq_rel)) {
      continue;
    }
    // Not released, or about to be published.  A producer that forges this word
    // spoils answers of its own.
    const uint32_t sequence = local.sequence.load(std::memory_order_relaxed);
    const uint64_t word = entries[entry].word.load(std::memory_order_acquire);
    if (seen == Use::kAnswered &&
        (word == DoneWord(sequence, epoch) || word == ClaimedWord(sequence, epoch))) {
      local.use.store(seen, std::memory_order_release);
      continue;
    }
    for (Piece& piece : local.pieces) any |= TakeBack(&piece);
    local.use.store(Use::kIdle, std::memory_order_release);
  }
  return any;
}

bool Consumer::Complete(const Claim& claim, const BlockRef& response, const Times& times,
                        bool ring) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  if (claim.entry >= impl_->entry_count) return false;
  Local& local = impl_->locals[claim.entry];
  if (local.use.load(std::memory_order_acquire) != Use::kWorking ||
      local.sequence.load(kRelaxed) != claim.sequence) {
    return false;
  }
  Entry& shared = impl_->entries[claim.entry];
  shared.response_segment.store(response.segment, kRelaxed);
  shared.response_offset.store(response.offset, kRelaxed);
  shared.response_length.store(response.length, kRelaxed);
  shared.claimed_ns.store(times.claimed_ns, kRelaxed);
  shared.started_ns.store(times.started_ns, kRelaxed);
  shared.finished_ns.store(times.finished_ns, kRelaxed);
  // Ours no longer, before the producer can know: it may submit the entry again
  // at once, and the channel's thread claim it.
  local.use.store(Use::kAnswered, std::memory_order_release);
  if (!PublishAnswer(shared.word, impl_->header->completed[claim.entry / 64], Bit(claim.entry),
                     claim.sequence, impl_->epoch)) {
    return false;
  }
  if (ring) RingProducer();
  return true;
}

void Consumer::RingProducer() {
  Ring(impl_->header->producer, impl_->producer_event.get(), impl_->rings);
}

bool Consumer::IsCancelled(uint32_t entry) const {
  return entry < impl_->entry_count &&
         impl_->entries[entry].cancel.load(std::memory_order_relaxed) != 0;
}

// ------------------------------------------------------------------- waiting

bool Consumer::PrepareSleep(Sleep how) {
  return impl_->sleeper.Prepare(how, [this] { return HasSubmissions(); });
}

void Consumer::FutexSleep(uint64_t deadline_ns) { impl_->sleeper.Futex(deadline_ns); }
void Consumer::FinishSleep() { impl_->sleeper.Finish(); }
int Consumer::event_fd() const { return impl_->sleeper.event(); }
uint32_t Consumer::epoch() const { return impl_->epoch; }

}  // namespace mlos::channel
