/* SPDX-License-Identifier: Apache-2.0
 *
 * The page between a test and the library that it preloads into a daemon, which
 * makes the C library's calls on files below one directory fail and moves the
 * wall clock.  The test maps the file that MLOS_FAULT_PAGE names and writes, the
 * daemon reads.
 */
#ifndef MLOS_TESTS_DAEMON_FAULT_PRELOAD_H_
#define MLOS_TESTS_DAEMON_FAULT_PRELOAD_H_

#include <stdint.h>

/* C's manner.  NOLINTNEXTLINE(readability-identifier-naming) */
enum fault_kind { FAULT_NONE, FAULT_FULL, FAULT_WRITE, FAULT_SYNC };

/* NOLINTNEXTLINE(readability-identifier-naming) */
struct fault_page {
  volatile uint32_t kind;
  volatile int32_t passes;        /* so many such calls succeed before they fail */
  volatile uint32_t hits;         /* calls that failed */
  volatile int64_t clock_seconds; /* the wall clock is so far ahead */
  char directory[512];
};

#endif
