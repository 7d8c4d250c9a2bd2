// SPDX-License-Identifier: Apache-2.0
//
// A JSON number as FP32 or FP64, correctly rounded.  The usual lengths take a
// few nanoseconds of integer arithmetic; what that cannot round for certain is
// left to std::from_chars.
// Functions without state.
#pragma once

namespace mlos::http {

enum class NumberResult { kOk, kMalformed, kOutOfRange };

// Parses at `p`, which some byte that belongs to no number must follow (the
// text's closing bracket).  `*end` is the first byte behind the number.
// Magnitudes too small become zero; those too large are kOutOfRange.
NumberResult ParseFloat(const char* p, const char** end, float* value);
NumberResult ParseFloat(const char* p, const char** end, double* value);

}  // namespace mlos::http
