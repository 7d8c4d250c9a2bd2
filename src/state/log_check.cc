// SPDX-License-Identifier: Apache-2.0
#include "state/log_check.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <set>
#include <span>
#include <utility>
#include <vector>

namespace mlos::state {
namespace {

constexpr size_t kHeaderBytes = 32;
constexpr size_t kFrameHeaderBytes = 24;
constexpr uint32_t kMagic = 0x377f0682;  // the last bit: words are big-endian
constexpr uint32_t kFormat = 3007000;

uint32_t BigEndian(const unsigned char* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}
uint32_t LittleEndian(const unsigned char* p) {
  return uint32_t{p[3]} << 24 | uint32_t{p[2]} << 16 | uint32_t{p[1]} << 8 | uint32_t{p[0]};
}

struct Checksum {
  uint32_t a = 0;
  uint32_t b = 0;
  friend bool operator==(const Checksum&, const Checksum&) = default;

  // SQLite's, which goes on from frame to frame.
  void Add(std::span<const unsigned char> bytes, bool big_endian) {
    const auto word = big_endian ? BigEndian : LittleEndian;
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      a += word(&bytes[i]) + b;
      b += word(&bytes[i + 4]) + a;
    }
  }
  static Checksum Stored(const unsigned char* p) { return {BigEndian(p), BigEndian(p + 4)}; }
};

struct Header {
  bool sound = false;
  bool big_endian = false;
  size_t page_bytes = 0;
  uint64_t salt = 0;
  Checksum checksum;
};

uint64_t Salt(const unsigned char* p) { return uint64_t{BigEndian(p)} << 32 | BigEndian(p + 4); }

Header ParseHeader(std::span<const unsigned char, kHeaderBytes> bytes) {
  Header header;
  const uint32_t magic = BigEndian(&bytes[0]);
  header.big_endian = (magic & 1) != 0;
  header.page_bytes = BigEndian(&bytes[8]);
  header.salt = Salt(&bytes[16]);
  header.checksum.Add(bytes.first(24), header.big_endian);
  const size_t page = header.page_bytes;
  header.sound = (magic & ~1U) == kMagic && BigEndian(&bytes[4]) == kFormat && page >= 512 &&
                 page <= 65536 && (page & (page - 1)) == 0 &&
                 header.checksum == Checksum::Stored(&bytes[24]);
  return header;
}

// Follows the frames, each checked against the sum that its predecessor stores:
// so a sound one is known as such behind a broken one, too.
class Follower {
 public:
  explicit Follower(const Header& header) : header_(header), before_(header.checksum) {}

  void Take(std::span<const unsigned char> frame) {
    Checksum sum = before_;
    sum.Add(frame.first(8), header_.big_endian);
    sum.Add(frame.subspan(kFrameHeaderBytes), header_.big_endian);
    before_ = Checksum::Stored(&frame[16]);
    const uint64_t salt = Salt(&frame[8]);
    const bool sound = sum == before_ && salt == header_.salt;
    const bool commit = BigEndian(&frame[4]) != 0;
    const bool again = sound && !pages_.insert(BigEndian(&frame[0])).second;
    if (sound && !broken_) {
      ++pending_;
      if (!commit) return;
      taken_ += std::exchange(pending_, 0);
      pages_.clear();
      return;
    }
    broken_ = true;
    // Frames of an earlier round of the log, not yet overwritten, say nothing;
    // they differ in both halves of the salt.
    const uint64_t other = salt ^ header_.salt;
    if ((other >> 32) != 0 && (other & 0xffffffff) != 0) return;
    // One commit has one end, and each page once; the seal's is in all.
    second_commit_ |= again;
    if (sound && commit && second_commit_) lost_ = true;
    second_commit_ |= commit;
  }
  LogReport Report() const { return {true, taken_, lost_}; }

 private:
  const Header header_;
  Checksum before_;
  int64_t pending_ = 0;  // of a commit whose end was not seen yet
  int64_t taken_ = 0;
  bool broken_ = false;         // SQLite stops here
  bool second_commit_ = false;  // the commit that was broken is over
  std::set<uint32_t> pages_;    // of the sound frames since the last end
  bool lost_ = false;
};

// False at the end of the file: a part of a frame counts as none.
StatusOr<bool> ReadWhole(int fd, uint64_t offset, std::span<unsigned char> to) {
  size_t done = 0;
  while (done < to.size()) {
    const ssize_t n = pread(fd, &to[done], to.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("the log of the state file cannot be read");
    if (n == 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

StatusOr<LogReport> CheckLog(int log_fd) {
  std::array<unsigned char, kHeaderBytes> start;
  MLOS_ASSIGN_OR_RETURN(const bool whole, ReadWhole(log_fd, 0, start));
  if (!whole) return LogReport{};
  const Header header = ParseHeader(start);
  if (!header.sound) return LogReport{};
  Follower follower(header);
  std::vector<unsigned char> frame(kFrameHeaderBytes + header.page_bytes);
  for (uint64_t offset = kHeaderBytes;; offset += frame.size()) {
    MLOS_ASSIGN_OR_RETURN(const bool more, ReadWhole(log_fd, offset, frame));
    if (!more) return follower.Report();
    follower.Take(frame);
  }
}

}  // namespace mlos::state
