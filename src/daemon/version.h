// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mlos::daemon {
inline constexpr char kVersion[] = MLOS_VERSION;  // from the build: the project's version
}  // namespace mlos::daemon
