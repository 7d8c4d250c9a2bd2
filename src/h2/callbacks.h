// SPDX-License-Identifier: Apache-2.0
//
// What nghttp2 calls back, for a session.  Nothing is thrown through it.
#pragma once

#include <nghttp2/nghttp2.h>

namespace mlos::h2 {

// The caller deletes it with nghttp2_session_callbacks_del; null: no memory.
nghttp2_session_callbacks* NewCallbacks();

// The source of an answer's body: `ptr` of the source is the Stream.
nghttp2_data_provider BodyOf(class Stream& stream);

}  // namespace mlos::h2
