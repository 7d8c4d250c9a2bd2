// SPDX-License-Identifier: Apache-2.0
#include "options/read.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::options {
namespace {

StatusOr<std::string> ReadBounded(const std::string& path) {
  // Not blocking: a pipe of that name must not stop the reader.
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return ErrnoStatus("the configuration file cannot be read");
  struct stat info;
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return InvalidArgument("the configuration file is not a plain file");
  }
  std::string text(kMaxConfigBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("the configuration file cannot be read");
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > kMaxConfigBytes) {
    return InvalidArgument(
        fmt::format("the configuration file has more than the {} bytes that "
                    "are allowed",
                    kMaxConfigBytes));
  }
  text.resize(size);
  return text;
}

void Append(std::vector<Fault> from, std::vector<Fault>* to) {
  for (Fault& fault : from) to->push_back(std::move(fault));
}

// What `above` sets hides what `below` does.
void Overlay(const Settings& above, Settings* below) {
  for (const Row& row : Table()) {
    if (above.at(row.id).origin != Origin::kDefault) below->at(row.id) = above.at(row.id);
  }
}

}  // namespace

Inputs Inputs::Of(int argc, const char* const* argv, const char* const* environment) {
  Inputs inputs;
  if (argc > 1) inputs.arguments.assign(argv + 1, argv + argc);
  for (; *environment != nullptr; ++environment) inputs.environment.emplace_back(*environment);
  return inputs;
}

// The file comes last, because the others say where it is, and counts least.
Reading Read(const Inputs& inputs) {
  Reading flags;
  ReadCommandLine(inputs.arguments, &flags);
  Reading environment;
  ReadEnvironment(inputs.environment, &environment);
  Settings given = environment.settings;
  Overlay(flags.settings, &given);

  Reading reading;
  reading.action = flags.action;
  if (const std::string path = given.Text(Id::kConfig); !path.empty()) {
    const StatusOr<std::string> text = ReadBounded(path);
    if (text.ok()) {
      ReadConfigText(path, *text, &reading);
    } else {
      reading.faults.push_back({path, std::string(Message(text.status()))});
    }
  }
  Overlay(given, &reading.settings);
  Append(std::move(environment.faults), &reading.faults);
  Append(std::move(flags.faults), &reading.faults);
  reading.warnings = std::move(environment.warnings);
  return reading;
}

std::string Report(std::string_view program, const std::vector<Fault>& faults) {
  std::string text =
      faults.size() == 1
          ? fmt::format("{}: an error in the configuration:\n", program)
          : fmt::format("{}: {} errors in the configuration:\n", program, faults.size());
  for (const Fault& fault : faults) text += fmt::format("  {}: {}\n", fault.source, fault.text);
  return text;
}

}  // namespace mlos::options
