// SPDX-License-Identifier: Apache-2.0
//
// What a load brings along in place of what a repository has: a configuration,
// and files.  Values; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/status.h"

namespace mlos::repository {

constexpr size_t kMaxGivenFiles = 1'000;

struct GivenFile {
  std::string path;  // beneath the model's directory: "1/model.onnx"
  std::string content;
  bool base64 = false;  // `content` is in it still: large ones are not decoded on an event loop
};

struct Given {
  std::string config;            // JSON of a ModelConfig
  std::vector<GivenFile> files;  // all that there is of the model; none: what the repository has
};

// INVALID_ARGUMENT: no configuration, a path that could lead out or that is no
// model's, too many files.  What the configuration says is for FindGiven to see.
Status CheckGiven(const Given& given);

}  // namespace mlos::repository
