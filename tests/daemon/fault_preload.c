/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into mlosd by disk_fault_test.cc; fault_preload.h says what for.
 */
#include "fault_preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct fault_page* page;

__attribute__((constructor)) static void MapPage(void) {
  /* There is one thread yet.  NOLINTNEXTLINE(concurrency-mt-unsafe) */
  const char* path = getenv("MLOS_FAULT_PAGE");
  const int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) page = (struct fault_page*)at;
  close(fd);
}

static int IsBelow(int fd) {
  char link[64];
  char path[1024];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return strncmp(path, page->directory, strlen(page->directory)) == 0;
}

/* Whether this call, which writes or syncs, is to fail; sets errno. */
static int Fails(int fd, int syncs) {
  if (page == NULL || page->kind == FAULT_NONE) return 0;
  if ((page->kind == FAULT_SYNC) != (syncs != 0) || !IsBelow(fd)) return 0;
  if (__atomic_fetch_sub(&page->passes, 1, __ATOMIC_SEQ_CST) > 0) return 0;
  __atomic_fetch_add(&page->hits, 1, __ATOMIC_SEQ_CST);
  errno = page->kind == FAULT_FULL ? ENOSPC : EIO;
  return 1;
}

ssize_t write(int fd, const void* data, size_t size) {
  return Fails(fd, 0) ? -1 : syscall(SYS_write, fd, data, size);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  return Fails(fd, 0) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  return Fails(fd, 0) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}
ssize_t sendfile(int to, int from, off_t* at, size_t size) {
  return Fails(to, 0) ? -1 : syscall(SYS_sendfile, to, from, at, size);
}
ssize_t copy_file_range(int from, off64_t* from_at, int to, off64_t* to_at, size_t size,
                        unsigned flags) {
  return Fails(to, 0) ? -1 : syscall(SYS_copy_file_range, from, from_at, to, to_at, size, flags);
}
int fsync(int fd) { return Fails(fd, 1) ? -1 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return Fails(fd, 1) ? -1 : (int)syscall(SYS_fdatasync, fd); }

int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  const int wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && wall && page != NULL) now->tv_sec += page->clock_seconds;
  return result;
}
int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec exact;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}
time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
