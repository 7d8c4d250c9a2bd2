// SPDX-License-Identifier: Apache-2.0
//
// Versions of plugins: semantic versions (MAJOR.MINOR.PATCH[-PRERELEASE]),
// ordered as semver.org orders them.  A value; any thread.
//
// Build metadata ("1.0.0+linux") is refused: two versions that differ in it
// alone count as equal, and then a swap from one to the other is none.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mlos {

struct SemanticVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  std::vector<std::string> prerelease;  // "rc.1" is {"rc", "1"}

  std::string ToString() const;
  friend bool operator==(const SemanticVersion&, const SemanticVersion&) = default;
};

// 1.0.0-alpha < 1.0.0-alpha.1 < 1.0.0-beta.2 < 1.0.0-beta.11 < 1.0.0 < 1.0.1
std::strong_ordering operator<=>(const SemanticVersion& a, const SemanticVersion& b);

// INVALID_ARGUMENT that says what is wrong and shows the form.  At most 64
// characters; the text is the only spelling of its version.
StatusOr<SemanticVersion> ParseSemanticVersion(std::string_view text);

}  // namespace mlos
