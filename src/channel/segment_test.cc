// SPDX-License-Identifier: Apache-2.0
#include "channel/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace mlos::channel {
namespace {

std::unique_ptr<Segment> Make(uint64_t bytes, Access mine, Access others) {
  auto segment = Segment::Create("test", bytes, mine, others);
  EXPECT_TRUE(segment.ok()) << segment.status();
  return std::move(segment).value();
}

OwnedFd Copy(int fd) { return OwnedFd(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

TEST(SegmentTest, SizeIsRoundedUpAndCannotChange) {
  auto segment = Make(5000, Access::kReadWrite, Access::kReadWrite);
  EXPECT_EQ(segment->size(), RoundToPages(5000));
  EXPECT_EQ(ftruncate(segment->fd(), 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(ftruncate(segment->fd(), 1 << 20), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(fcntl(segment->fd(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(SegmentTest, RequestPagesCannotBeMappedOrWrittenByOthers) {
  auto segment = Make(8192, Access::kReadWrite, Access::kReadOnly);
  segment->data()[10] = std::byte{42};
  EXPECT_EQ(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(pwrite(segment->fd(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  // Opening it again does not help.
  const std::string path = "/proc/self/fd/" + std::to_string(segment->fd());
  OwnedFd again(open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(again);
  EXPECT_EQ(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, again.get(), 0), MAP_FAILED);
  // Nor does a read-only mapping that is made writable later.
  void* mapped = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, segment->fd(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(mprotect(mapped, 8192, PROT_READ | PROT_WRITE), -1);
  EXPECT_EQ(static_cast<std::byte*>(mapped)[10], std::byte{42});
  munmap(mapped, 8192);
  // Holes cannot be punched either.
  EXPECT_EQ(fallocate(segment->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
}

TEST(SegmentTest, ResponsePagesAreWrittenByOthersAndReadHere) {
  auto mine = Make(4096, Access::kReadOnly, Access::kReadWrite);
  struct stat file = {};
  ASSERT_EQ(fstat(mine->fd(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  auto theirs = Segment::Map(Copy(mine->fd()), mine->size(), Access::kReadWrite);
  ASSERT_TRUE(theirs.ok()) << theirs.status();
  std::memcpy((*theirs)->data(), "answer", 7);
  EXPECT_STREQ(reinterpret_cast<const char*>(mine->data()), "answer");
}

TEST(SegmentTest, MapRefusesWhatIsNotSealedOrNotOfTheSize) {
  OwnedFd unsealed(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), 4096), 0);
  EXPECT_EQ(Segment::Map(Copy(unsealed.get()), 4096, Access::kReadOnly).status().code(),
            StatusCode::kInvalidArgument);
  // Sealed against shrinking only: the other seals could still be used on us.
  ASSERT_EQ(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  EXPECT_FALSE(Segment::Map(Copy(unsealed.get()), 4096, Access::kReadOnly).ok());
  ASSERT_EQ(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_TRUE(Segment::Map(Copy(unsealed.get()), 4096, Access::kReadOnly).ok());
  EXPECT_FALSE(Segment::Map(Copy(unsealed.get()), 8192, Access::kReadOnly).ok());
  EXPECT_FALSE(Segment::Map(Copy(unsealed.get()), 0, Access::kReadOnly).ok());
  EXPECT_FALSE(Segment::Map(OwnedFd(), 4096, Access::kReadOnly).ok());
  OwnedFd plain(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(Segment::Map(std::move(plain), 4096, Access::kReadOnly).ok());
}

TEST(SegmentTest, SegmentWithFutureWriteSealMapsReadOnly) {
  auto mine = Make(4096, Access::kReadWrite, Access::kReadOnly);
  EXPECT_TRUE(Segment::Map(Copy(mine->fd()), 4096, Access::kReadOnly).ok());
  EXPECT_FALSE(Segment::Map(Copy(mine->fd()), 4096, Access::kReadWrite).ok());
}

TEST(SegmentTest, RangeChecksWithoutOverflow) {
  auto segment = Make(4096, Access::kReadWrite, Access::kReadWrite);
  EXPECT_EQ(segment->Range(0, 4096).size(), 4096u);
  EXPECT_NE(segment->Range(4096, 0).data(), nullptr);
  EXPECT_EQ(segment->Range(4096, 1).data(), nullptr);
  EXPECT_EQ(segment->Range(4097, 0).data(), nullptr);
  EXPECT_EQ(segment->Range(1, 4096).data(), nullptr);
  EXPECT_EQ(segment->Range(UINT64_MAX, 2).data(), nullptr);
  EXPECT_EQ(segment->Range(2, UINT64_MAX).data(), nullptr);
  EXPECT_EQ(segment->Range(UINT64_MAX - 10, 20).data(), nullptr);
}

TEST(SegmentTest, ImpossibleSizesAreRefused) {
  EXPECT_FALSE(Segment::Create("test", 0, Access::kReadWrite, Access::kReadWrite).ok());
  EXPECT_FALSE(Segment::Create("test", UINT64_MAX, Access::kReadWrite, Access::kReadWrite).ok());
}

}  // namespace
}  // namespace mlos::channel
