// SPDX-License-Identifier: Apache-2.0
//
// Installed packages: copies of plugin packages below a directory of the
// daemon's, each under the checksum of its content, so that what happens to
// the original is of no consequence.  Any thread.
#pragma once

#include <set>
#include <string>

#include "base/status.h"
#include "catalog/artefact.h"

namespace mlos::catalog {

// Copies the package at `source` to ROOT/CHECKSUM, whole or not at all and
// durable, and returns that path; where it is there already, nothing is copied.
StatusOr<std::string> InstallPackage(const std::string& source, const std::string& root,
                                     const Stop& stop);

// Removes what lies below `root` and whose name is not in `used`: packages that nobody
// has registered, and copies that were never finished.
void SweepPackages(const std::string& root, const std::set<std::string>& used);

}  // namespace mlos::catalog
