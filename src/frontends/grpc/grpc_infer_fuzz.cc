// SPDX-License-Identifier: Apache-2.0
//
// A ModelInferRequest as a client may send it, in pieces whose size the first
// byte says.
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "base/event_loop.h"
#include "engine/fake_engine.h"
#include "frontends/grpc/infer_encode.h"
#include "frontends/grpc/infer_job.h"

namespace mlos::grpc {
namespace {

class Owner final : public JobOwner {
 public:
  void OnReady(InferJob&) override { ready = true; }
  void Later(InferJob&) override { later = true; }
  void OnAnswer(InferJob& job) override {
    if (++answers > 1) std::abort();
    InferEncoder encoder;
    if (job.error().ok()) encoder.Response(job);
    encoder.StreamResponse(job);
  }
  const void* connection() const override { return this; }
  bool Reserve(uint64_t bytes) override {
    reserved += bytes;
    return reserved < (1 << 20);
  }
  void Unreserve(uint64_t bytes) override { reserved -= bytes; }

  bool ready = false;
  bool later = false;
  int answers = 0;
  uint64_t reserved = 0;
};

void Fuzz(std::span<const std::byte> data, size_t step, bool allocate_later) {
  EventLoop loop;
  engine::FakeEngine engine(loop);
  engine.max_request_bytes = 1 << 20;
  engine.allocate_later = allocate_later;
  const GrpcOptions options;
  frontend::RegionTable regions({});
  InferContext context{.engine = engine, .options = options, .regions = regions, .tracer = nullptr};
  Owner owner;
  InferJob job(context);
  job.Begin(owner, {.began_ns = 1, .free_bytes = 1024, .request_id = "fuzz"});
  while (!data.empty()) {
    const size_t size = std::min(step, data.size());
    const size_t taken = job.Take(data.subspan(0, size));
    if (taken > size) std::abort();
    data = data.subspan(taken);
    if (taken == size) continue;
    owner.ready = false;
    loop.io().restart();
    loop.io().poll();
    if (!owner.ready) std::abort();  // it would wait for ever
  }
  job.End();
  do {
    if (std::exchange(owner.later, false)) job.TakeTurn();
    loop.io().restart();
  } while (loop.io().poll() > 0 || owner.later);
  job.Release();
  if (engine.running != 0 || context.fills.count() != 0 || owner.answers > 1) std::abort();
}

}  // namespace
}  // namespace mlos::grpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> rest(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  mlos::grpc::Fuzz(rest, 1 + data[0] % 64, data[0] >= 128);
  return 0;
}
