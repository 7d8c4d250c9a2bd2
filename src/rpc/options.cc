// SPDX-License-Identifier: Apache-2.0
#include "rpc/options.h"

namespace mlos::rpc {

Options OptionsFrom(const options::Settings& settings) {
  using options::Id;
  Options o;
  o.max_message_bytes = settings.Number(Id::kGrpcMaxMessage);
  o.max_ratio = settings.Number(Id::kGrpcMaxRatio);
  o.compress_from_bytes = settings.Number(Id::kGrpcCompressFrom);
  o.transfer_timeout_ns = settings.Nanos(Id::kGrpcTransferTimeout);
  o.min_bytes_per_second = settings.Number(Id::kGrpcMinRate);
  return o;
}

}  // namespace mlos::rpc
