// SPDX-License-Identifier: Apache-2.0
//
// The shared-memory extensions' six methods: system memory, and CUDA's as a
// server without a GPU answers them.  Functions; the event loop's thread.
#pragma once

#include "base/status.h"
#include "frontends/common/client_regions.h"
#include "proto/inference.pb.h"

namespace mlos::grpc {

Status RegionStatus(const frontend::RegionTable& regions,
                    const inference::SystemSharedMemoryStatusRequest& request,
                    inference::SystemSharedMemoryStatusResponse* answer);
Status RegisterRegion(frontend::RegionTable& regions,
                      const inference::SystemSharedMemoryRegisterRequest& request);
Status UnregisterRegion(frontend::RegionTable& regions, const std::string& name);

Status CudaStatus(const inference::CudaSharedMemoryStatusRequest& request);
Status RegisterCuda();

}  // namespace mlos::grpc
