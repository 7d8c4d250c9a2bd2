// SPDX-License-Identifier: Apache-2.0
#include "repository/labels.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/name.h"
#include "base/utf8.h"
#include "repository/files.h"

namespace mlos::repository {
namespace {

// A line that is empty is the empty name of its class; those at the end are none.
StatusOr<std::vector<std::string>> Lines(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::vector<std::string> out;
  out.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!IsUtf8(line)) {
      return InvalidArgument(fmt::format("line {} is not UTF-8", out.size() + 1));
    }
    out.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

class Reader {
 public:
  explicit Reader(int directory) : directory_(directory) {}

  StatusOr<std::vector<std::string>> Read(const std::string& file) {
    auto known = files_.find(file);
    if (known == files_.end()) {
      MLOS_ASSIGN_OR_RETURN(std::string text, ReadFile(directory_, file, kMaxLabelBytes));
      known = files_.emplace(file, std::move(text)).first;
    }
    bytes_ += known->second.size();
    lines_ += static_cast<size_t>(std::count(known->second.begin(), known->second.end(), '\n')) + 1;
    if (bytes_ > kMaxLabelBytes || lines_ > kMaxLabels) {
      return InvalidArgument(
          fmt::format("with them the labels of all outputs have more than {} bytes or {} lines",
                      kMaxLabelBytes, kMaxLabels));
    }
    return Lines(known->second);
  }

 private:
  const int directory_;
  std::map<std::string, std::string> files_;
  size_t bytes_ = 0;  // of what every output has
  size_t lines_ = 0;
};

}  // namespace

StatusOr<Labels> ReadLabels(int directory, const inference::ModelConfig& config) {
  Labels out;
  Reader reader(directory);
  for (const inference::ModelOutput& output : config.output()) {
    const std::string& file = output.label_filename();
    if (file.empty()) continue;
    StatusOr<std::vector<std::string>> lines = reader.Read(file);
    if (!lines.ok()) {
      return FailedPrecondition(fmt::format("the labels of output {} ({}): {}",
                                            Quoted(output.name()), Quoted(file),
                                            Message(lines.status())));
    }
    out[output.name()] = *std::move(lines);
  }
  return out;
}

}  // namespace mlos::repository
