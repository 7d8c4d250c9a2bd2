// SPDX-License-Identifier: Apache-2.0
#include "options/row.h"

#include <fmt/core.h>

namespace mlos::options {

std::string_view GroupTitle(Group group) {
  switch (group) {
    case Group::kGeneral:
      return "General";
    case Group::kPlugins:
      return "Plugins";
    case Group::kModels:
      return "Model repositories";
    case Group::kListening:
      return "Listening";
    case Group::kRequests:
      return "Requests";
    case Group::kStopping:
      return "Stopping";
    case Group::kHttp:
      return "Limits of HTTP";
    case Group::kGrpc:
      return "Limits of gRPC";
    case Group::kIpc:
      return "Limits of the local socket";
    case Group::kClientMemory:
      return "Shared memory of clients";
    case Group::kTracing:
      return "Tracing";
    case Group::kMissing:
      break;
  }
  return "";
}

std::string EnvironmentName(std::string_view option) {
  std::string name = "MLOS_";
  for (const char c : option) {
    name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

std::string Placeholder(const Row& row) {
  switch (row.type) {
    case Type::kText:
      return "TEXT";
    case Type::kPath:
    case Type::kPaths:
      return "PATH";
    case Type::kNames:
      return "NAME";
    case Type::kInteger:
      return "N";
    case Type::kDuration:
      return "DURATION";
    case Type::kSize:
      return "SIZE";
    case Type::kChoice:
      return std::string(row.choices);
    case Type::kAddresses:
      return "ADDRESS";
    case Type::kBoolean:
    case Type::kMissing:
      break;
  }
  return "";
}

std::string Allowed(const Row& row) {
  const auto between = [&row](std::string_view what, std::string_view units) {
    return fmt::format("{} from {} to {} ({})", what, row.range.least, row.range.most, units);
  };
  switch (row.type) {
    case Type::kText:
      return "text without control characters";
    case Type::kPath:
      return "a path";
    case Type::kPaths:
      return "a path, or a list of them";
    case Type::kNames:
      return "a name, or a list of them";
    case Type::kInteger:
      return between("a whole number", row.unit);
    case Type::kDuration:
      return between("a duration", "units ms, s, m, h; without one: seconds");
    case Type::kSize:
      return between("a size", "units KiB, MiB, GiB; without one: bytes");
    case Type::kChoice: {
      std::string text(row.choices);
      const size_t last = text.rfind('|');
      text.replace(last, 1, " or ");
      for (size_t bar; (bar = text.find('|')) != std::string::npos;) text.replace(bar, 1, ", ");
      return text;
    }
    case Type::kBoolean:
      return "true or false";
    case Type::kAddresses:
      return "HOST:PORT, [v6]:PORT, unix:PATH or off, or a list of them";
    case Type::kMissing:
      break;
  }
  return "";
}

std::string DefaultText(const Row& row) {
  if (row.initial.kind == Default::Kind::kNone) return IsList(row.type) ? "none" : "not set";
  return std::string(row.initial.text);
}

}  // namespace mlos::options
