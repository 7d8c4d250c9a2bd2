// SPDX-License-Identifier: Apache-2.0
//
// Whether this was compiled under a sanitizer, for tests: a sanitizer makes steps cost several
// times as much, keeps freed memory for a while and needs descriptors of its own.  Constants.
#pragma once

namespace mlos {

#if defined(__has_feature)
#define MLOS_HAS_FEATURE(name) __has_feature(name)
#else
#define MLOS_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || MLOS_HAS_FEATURE(address_sanitizer)
inline constexpr bool kAddressSanitized = true;
#else
inline constexpr bool kAddressSanitized = false;
#endif

#if defined(__SANITIZE_THREAD__) || MLOS_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif

#undef MLOS_HAS_FEATURE

inline constexpr bool kSanitized = kAddressSanitized || kThreadSanitized;

}  // namespace mlos
