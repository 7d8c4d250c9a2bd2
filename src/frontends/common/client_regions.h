// SPDX-License-Identifier: Apache-2.0
//
// Shared memory that local clients name (the protocol's system shared memory
// extension): they register an object under a region's name, and requests then
// say that a tensor lies in it or is to be written into it.
//
// An object is its client's, who may shrink it or write to it at any time.  So
// it is never mapped: it is read and written through the descriptor, which
// then fails and does not fault, and bounds are looked at again at every use.
// A name is opened once, beneath the directory of shared memory, and has to
// be a regular file of an owner that is allowed.
//
// A RegionTable is one per daemon and the front loop's.  A Region is immutable
// and lives as long as somebody holds its pin: unregistering waits for nobody.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/owned_fd.h"
#include "base/status.h"

namespace mlos::frontend {

// Whoever asks without saying who they are.
constexpr uint32_t kAnonymous = 0;

struct RegionPolicy {
  bool allowed = false;       // --allow-client-shm
  std::vector<uid_t> owners;  // of objects, beside the daemon's own user
  uint32_t most = 256;        // regions at once: each holds a descriptor
  std::string directory = "/dev/shm";
};

class Region {
 public:
  Region(std::string name, std::string key, uint64_t offset, uint64_t bytes, OwnedFd object)
      : name_(std::move(name)),
        key_(std::move(key)),
        offset_(offset),
        bytes_(bytes),
        object_(std::move(object)) {}

  const std::string& name() const { return name_; }
  const std::string& key() const { return key_; }  // as it was given
  uint64_t offset() const { return offset_; }      // in the object
  uint64_t bytes() const { return bytes_; }

  // INVALID_ARGUMENT: [at, at + bytes) does not lie in the region.
  Status CheckRange(uint64_t at, uint64_t bytes) const;
  // `at` counts from the region's start; the range has been checked.
  // INVALID_ARGUMENT: the object has become smaller.
  Status Read(uint64_t at, std::span<std::byte> to) const;
  Status Write(uint64_t at, std::span<const std::byte> from) const;

 private:
  Status CheckObject(uint64_t at, uint64_t bytes) const;
  Status Shrunk() const;

  const std::string name_;
  const std::string key_;
  const uint64_t offset_;
  const uint64_t bytes_;
  const OwnedFd object_;
};

using RegionPin = std::shared_ptr<const Region>;

class RegionTable {
 public:
  explicit RegionTable(RegionPolicy policy);

  bool allowed() const { return policy_.allowed; }

  // Each principal has names of its own.  UNIMPLEMENTED from all but List:
  // not allowed here.
  //
  // ALREADY_EXISTS: the name is taken.  RESOURCE_EXHAUSTED: too many.
  // INVALID_ARGUMENT: name, key, range or kind of object.  PERMISSION_DENIED:
  // another user's.  INTERNAL: cannot be opened.
  Status Register(uint32_t principal, std::string_view name, std::string_view key, uint64_t offset,
                  uint64_t bytes);
  // OK also where there is none.
  Status Unregister(uint32_t principal, std::string_view name);
  Status UnregisterAll(uint32_t principal);
  // NOT_FOUND: there is none.
  StatusOr<RegionPin> Find(uint32_t principal, std::string_view name) const;
  std::vector<RegionPin> List(uint32_t principal) const;  // by name

 private:
  using Names = std::map<std::string, RegionPin, std::less<>>;

  Status Refused() const;
  StatusOr<OwnedFd> Open(std::string_view key) const;

  const RegionPolicy policy_;
  std::map<uint32_t, Names> regions_;  // by principal
  size_t count_ = 0;
};

// NOT_FOUND: for those who ask how one is.
Status NoSuchRegion(std::string_view name);
// CUDA's shared memory cannot be registered.
Status NoCudaRegions();

}  // namespace mlos::frontend
