// SPDX-License-Identifier: Apache-2.0
#include "channel/segment.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace mlos::channel {

namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

uint64_t PageSize() {
  static const uint64_t size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return size;
}

StatusOr<std::byte*> MapPages(int fd, uint64_t bytes, Access access) {
  const int protection = access == Access::kReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) {
    return ErrnoStatus("cannot map a shared-memory segment of " + std::to_string(bytes) + " bytes");
  }
  return static_cast<std::byte*>(data);
}

// A memfd that cannot be executed where the kernel knows how, or else a plain
// one.
OwnedFd MakeMemfd(const char* name) {
  OwnedFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL) fd.Reset(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return fd;
}

}  // namespace

uint64_t RoundToPages(uint64_t bytes) { return (bytes + PageSize() - 1) / PageSize() * PageSize(); }

Segment::Segment(OwnedFd fd, std::byte* data, uint64_t size)
    : fd_(std::move(fd)), data_(data), size_(size) {}

Segment::~Segment() {
  if (data_ != nullptr) munmap(data_, size_);
}

StatusOr<std::unique_ptr<Segment>> Segment::Create(const char* name, uint64_t bytes, Access mine,
                                                   Access others, uint64_t prefault) {
  if (bytes == 0 || bytes > (uint64_t{1} << 46)) {
    return InvalidArgument("a shared-memory segment of " + std::to_string(bytes) +
                           " bytes is not possible");
  }
  bytes = RoundToPages(bytes);
  OwnedFd fd = MakeMemfd(name);
  if (!fd) return ErrnoStatus("cannot make a shared-memory segment");
  if (fchmod(fd.get(), 0600) != 0 || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return ErrnoStatus("cannot size a shared-memory segment of " + std::to_string(bytes) +
                       " bytes");
  }
  prefault = std::min(bytes, prefault);
  if (prefault > 0 && fallocate(fd.get(), 0, 0, static_cast<off_t>(prefault)) != 0) {
    return ErrnoStatus("no memory for " + std::to_string(prefault) +
                       " bytes of a shared-memory segment");
  }
  MLOS_ASSIGN_OR_RETURN(std::byte * data, MapPages(fd.get(), bytes, mine));
  std::unique_ptr<Segment> segment(new Segment(std::move(fd), data, bytes));
  segment->Populate(prefault, mine);
  // Only now: the seal lets existing writable mappings live, and no new ones.
  int seals = kSizeSeals;
  if (others == Access::kReadOnly) seals |= F_SEAL_FUTURE_WRITE;
  if (fcntl(segment->fd(), F_ADD_SEALS, seals) != 0) {
    return ErrnoStatus("cannot seal a shared-memory segment");
  }
  return segment;
}

StatusOr<std::unique_ptr<Segment>> Segment::Map(OwnedFd fd, uint64_t bytes, Access mine) {
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSizeSeals) != kSizeSeals) {
    return InvalidArgument(
        "the descriptor is not a shared-memory segment sealed against a change of size");
  }
  // Huge pages carry seals too, but fault with a signal when the pool is empty.
  struct statfs filesystem = {};
  struct stat file = {};
  if (fstatfs(fd.get(), &filesystem) != 0 || fstat(fd.get(), &file) != 0) {
    return ErrnoStatus("cannot examine a shared-memory segment");
  }
  if (filesystem.f_type != TMPFS_MAGIC) {
    return InvalidArgument("the shared-memory segment does not consist of ordinary pages");
  }
  if (bytes == 0 || static_cast<uint64_t>(file.st_size) != bytes) {
    return InvalidArgument("the shared-memory segment has " + std::to_string(file.st_size) +
                           " bytes and not the announced " + std::to_string(bytes));
  }
  MLOS_ASSIGN_OR_RETURN(std::byte * data, MapPages(fd.get(), bytes, mine));
  return std::unique_ptr<Segment>(new Segment(std::move(fd), data, bytes));
}

void Segment::Populate(uint64_t bytes, Access access) {
  bytes = std::min(bytes, size_);
  if (bytes == 0) return;
#if defined(MADV_POPULATE_WRITE)
  const int advice = access == Access::kReadWrite ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  if (madvise(data_, bytes, advice) == 0) return;
#endif
  // Older kernels: a read maps the page, which is most of the cost.
  for (uint64_t i = 0; i < bytes; i += PageSize()) {
    static_cast<void>(*const_cast<volatile std::byte*>(data_ + i));
  }
}

std::span<std::byte> Segment::Range(uint64_t offset, uint64_t length) const {
  if (offset > size_ || length > size_ - offset) return {};
  return {data_ + offset, length};
}

}  // namespace mlos::channel
