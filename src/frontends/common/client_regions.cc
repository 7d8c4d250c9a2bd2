// SPDX-License-Identifier: Apache-2.0
#include "frontends/common/client_regions.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "frontends/common/infer_plan.h"

namespace mlos::frontend {
namespace {

constexpr size_t kMostNameBytes = 256;
constexpr size_t kMostKeyBytes = 255;  // NAME_MAX

// Objects through which a known server talks to its own helpers.
constexpr std::string_view kReservedKeys = "triton_python_backend_shm_region_";

std::string About(std::string_view name) { return "shared memory region " + Quote(name); }

// The object's name in its directory: "/x" and "x" are the same.
StatusOr<std::string> ObjectName(std::string_view key) {
  std::string_view name = key;
  if (!name.empty() && name.front() == '/') name.remove_prefix(1);
  const auto printable = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (name.empty() || name.size() > kMostKeyBytes || name == "." || name == ".." ||
      name.find('/') != std::string_view::npos ||
      !std::all_of(name.begin(), name.end(), printable)) {
    return InvalidArgument("key " + Quote(key) +
                           " is not the name of a shared memory object: 1 to 255 characters, "
                           "without a slash but at the beginning");
  }
  if (name.substr(0, kReservedKeys.size()) == kReservedKeys) {
    return InvalidArgument("key " + Quote(key) + ": names that begin with '" +
                           std::string(kReservedKeys) + "' are reserved");
  }
  return std::string(name);
}

}  // namespace

// ------------------------------------------------------------------- Region

Status Region::CheckRange(uint64_t at, uint64_t bytes) const {
  if (at < bytes_ && bytes <= bytes_ - at) return OkStatus();
  return InvalidArgument(std::to_string(bytes) + " bytes at offset " + std::to_string(at) +
                         " do not lie in " + About(name_) + ", which has " +
                         std::to_string(bytes_));
}

Status Region::Shrunk() const {
  return InvalidArgument(About(name_) + ": its object " + Quote(key_) +
                         " has become smaller than it was registered with");
}

// Looked at before every use.  Who shrinks the object after this look is told
// by a short read, or gets it back as large as the tensor that is written.
Status Region::CheckObject(uint64_t at, uint64_t bytes) const {
  struct stat object {};
  if (::fstat(object_.get(), &object) != 0) return ErrnoStatus(About(name_));
  const uint64_t end = offset_ + at + bytes;  // cannot overflow: the range was checked
  return static_cast<uint64_t>(object.st_size) < end ? Shrunk() : OkStatus();
}

Status Region::Read(uint64_t at, std::span<std::byte> to) const {
  MLOS_RETURN_IF_ERROR(CheckObject(at, to.size()));
  auto from = static_cast<off_t>(offset_ + at);
  while (!to.empty()) {
    const ssize_t n = ::pread(object_.get(), to.data(), to.size(), from);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("reading " + About(name_));
    if (n == 0) return Shrunk();
    to = to.subspan(static_cast<size_t>(n));
    from += n;
  }
  return OkStatus();
}

Status Region::Write(uint64_t at, std::span<const std::byte> from) const {
  MLOS_RETURN_IF_ERROR(CheckObject(at, from.size()));
  auto to = static_cast<off_t>(offset_ + at);
  while (!from.empty()) {
    const ssize_t n = ::pwrite(object_.get(), from.data(), from.size(), to);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoStatus("writing " + About(name_));
    from = from.subspan(static_cast<size_t>(n));
    to += n;
  }
  return OkStatus();
}

// -------------------------------------------------------------- RegionTable

RegionTable::RegionTable(RegionPolicy policy) : policy_(std::move(policy)) {}

Status RegionTable::Refused() const {
  return policy_.allowed ? OkStatus()
                         : Unimplemented(
                               "shared memory of clients is not allowed here: start the "
                               "daemon with --allow-client-shm");
}

// By the object's name alone: no path leads out of the directory, no link is
// followed, and nothing that is no regular file makes the opening wait.
StatusOr<OwnedFd> RegionTable::Open(std::string_view key) const {
  MLOS_ASSIGN_OR_RETURN(const std::string name, ObjectName(key));
  const OwnedFd directory(::open(policy_.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return Internal("this machine has no shared memory objects");
  OwnedFd object(::openat(directory.get(), name.c_str(),
                          O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!object) {
    const Status reason = ErrnoStatus("cannot open shared memory object " + Quote(key));
    return Internal(Message(reason));
  }
  return object;
}

Status RegionTable::Register(uint32_t principal, std::string_view name, std::string_view key,
                             uint64_t offset, uint64_t bytes) {
  MLOS_RETURN_IF_ERROR(Refused());
  if (name.empty() || name.size() > kMostNameBytes) {
    return InvalidArgument("the name of a shared memory region has 1 to " +
                           std::to_string(kMostNameBytes) + " bytes");
  }
  const auto mine = regions_.find(principal);
  if (mine != regions_.end() && mine->second.find(name) != mine->second.end()) {
    return AlreadyExists(About(name) + " is registered already: unregister it first");
  }
  if (count_ >= policy_.most) {
    return ResourceExhausted("there are " + std::to_string(count_) +
                             " shared memory regions, as many as are allowed: unregister some");
  }
  MLOS_ASSIGN_OR_RETURN(OwnedFd object, Open(key));
  struct stat found {};
  if (::fstat(object.get(), &found) != 0) return ErrnoStatus(About(name));
  if (!S_ISREG(found.st_mode)) {
    return InvalidArgument(Quote(key) + " is not a shared memory object");
  }
  const auto& owners = policy_.owners;
  if (found.st_uid != ::geteuid() &&
      std::find(owners.begin(), owners.end(), found.st_uid) == owners.end()) {
    return MakeStatus(StatusCode::kPermissionDenied,
                      "shared memory object " + Quote(key) +
                          " belongs to a user whose objects are not taken: name them with "
                          "--client-shm-owners");
  }
  const auto size = static_cast<uint64_t>(found.st_size);
  if (bytes == 0 || offset > size || bytes > size - offset) {
    return InvalidArgument(std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
                           " are not in shared memory object " + Quote(key) + ", which has " +
                           std::to_string(size));
  }
  regions_[principal].emplace(
      name, std::make_shared<const Region>(std::string(name), std::string(key), offset, bytes,
                                           std::move(object)));
  ++count_;
  return OkStatus();
}

Status RegionTable::Unregister(uint32_t principal, std::string_view name) {
  MLOS_RETURN_IF_ERROR(Refused());
  const auto mine = regions_.find(principal);
  if (mine == regions_.end()) return OkStatus();
  const auto region = mine->second.find(name);
  if (region == mine->second.end()) return OkStatus();
  mine->second.erase(region);
  if (mine->second.empty()) regions_.erase(mine);
  --count_;
  return OkStatus();
}

Status RegionTable::UnregisterAll(uint32_t principal) {
  MLOS_RETURN_IF_ERROR(Refused());
  const auto mine = regions_.find(principal);
  if (mine == regions_.end()) return OkStatus();
  count_ -= mine->second.size();
  regions_.erase(mine);
  return OkStatus();
}

StatusOr<RegionPin> RegionTable::Find(uint32_t principal, std::string_view name) const {
  MLOS_RETURN_IF_ERROR(Refused());
  if (const auto mine = regions_.find(principal); mine != regions_.end()) {
    const auto region = mine->second.find(name);
    if (region != mine->second.end()) return region->second;
  }
  return NotFound("there is no " + About(name) + ": register it first");
}

std::vector<RegionPin> RegionTable::List(uint32_t principal) const {
  std::vector<RegionPin> list;
  const auto mine = regions_.find(principal);
  if (mine == regions_.end()) return list;
  list.reserve(mine->second.size());
  for (const auto& [name, region] : mine->second) list.push_back(region);
  return list;
}

Status NoSuchRegion(std::string_view name) {
  return NotFound("there is no shared memory region " + Quote(name));
}

Status NoCudaRegions() {
  return InvalidArgument(
      "CUDA shared memory cannot be registered: this server uses no GPU; register system shared "
      "memory");
}

}  // namespace mlos::frontend
