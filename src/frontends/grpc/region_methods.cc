// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/region_methods.h"

#include "frontends/common/client_regions.h"

namespace mlos::grpc {
namespace {

using frontend::kAnonymous;

}  // namespace

Status RegionStatus(const frontend::RegionTable& regions,
                    const inference::SystemSharedMemoryStatusRequest& request,
                    inference::SystemSharedMemoryStatusResponse* answer) {
  for (const frontend::RegionPin& region : regions.List(kAnonymous)) {
    if (!request.name().empty() && region->name() != request.name()) continue;
    auto& row = (*answer->mutable_regions())[region->name()];
    row.set_name(region->name());
    row.set_key(region->key());
    row.set_offset(region->offset());
    row.set_byte_size(region->bytes());
  }
  if (answer->regions().empty() && !request.name().empty())
    return frontend::NoSuchRegion(request.name());
  return OkStatus();
}

Status RegisterRegion(frontend::RegionTable& regions,
                      const inference::SystemSharedMemoryRegisterRequest& request) {
  return regions.Register(kAnonymous, request.name(), request.key(), request.offset(),
                          request.byte_size());
}

Status UnregisterRegion(frontend::RegionTable& regions, const std::string& name) {
  return name.empty() ? regions.UnregisterAll(kAnonymous) : regions.Unregister(kAnonymous, name);
}

Status CudaStatus(const inference::CudaSharedMemoryStatusRequest& request) {
  return request.name().empty() ? OkStatus() : frontend::NoSuchRegion(request.name());
}

Status RegisterCuda() { return frontend::NoCudaRegions(); }

}  // namespace mlos::grpc
