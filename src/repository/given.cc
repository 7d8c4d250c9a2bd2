// SPDX-License-Identifier: Apache-2.0
#include "repository/given.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "base/name.h"
#include "repository/scan.h"

namespace mlos::repository {
namespace {

Status CheckPath(const std::string& path) {
  const auto bad = [&](std::string_view why) {
    return InvalidArgument(fmt::format("the given file {}: {}", Quoted(path, 200), why));
  };
  if (path.size() > 4000) return bad("its path is too long");
  if (path == kConfigFile) return bad("a configuration is given as \"config\"");
  int depth = 0;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.empty() || part[0] == '.' || part.size() > 255) {
      return bad("a path is VERSION/NAME, without empty or hidden names and without '..'");
    }
    const bool plain =
        std::all_of(part.begin(), part.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (!plain) return bad("its name is not printable ASCII");
    if (++depth > catalog::kMaxArtefactDepth) return bad("it lies too deep");
    begin = end + 1;
  }
  return OkStatus();
}

}  // namespace

Status CheckGiven(const Given& given) {
  if (given.config.empty()) {
    return InvalidArgument(given.files.empty()
                               ? "\"config\" is empty: give a model configuration as JSON"
                               : "files are given without \"config\": give the model's "
                                 "configuration as JSON with them");
  }
  if (given.files.size() > kMaxGivenFiles) {
    return InvalidArgument(fmt::format("more than {} files are given", kMaxGivenFiles));
  }
  for (const GivenFile& file : given.files) MLOS_RETURN_IF_ERROR(CheckPath(file.path));
  return OkStatus();
}

}  // namespace mlos::repository
