// SPDX-License-Identifier: Apache-2.0
//
// Hostile inference requests: JSON and binary data against a fixed model, from
// body to filled memory and, with what was understood, to an answer.
//
// Input: 4 bytes for Inference-Header-Content-Length (all ones: not given),
// one byte that picks the model, then the body.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "frontends/common/call_answer.h"
#include "frontends/http/infer_request.h"
#include "frontends/http/infer_response.h"

namespace {

using mlos::ModelInfo;
using mlos::tensor::Datatype;

void Require(bool condition) {
  if (!condition) std::abort();
}

std::vector<std::shared_ptr<const ModelInfo>> Models() {
  std::vector<ModelInfo> models(4);
  models[0].inputs = {{"a", Datatype::kFp32, {-1, 2}, false},
                      {"b", Datatype::kBytes, {-1}, true},
                      {"c", Datatype::kInt8, {-1}, true},
                      {"d", Datatype::kBool, {-1}, true}};
  models[1].inputs = {{"a", Datatype::kBytes, {1}, false}};
  models[2].inputs = {{"a", Datatype::kUint64, {-1, 3}, false}};
  models[2].max_batch_size = 8;
  models[3].inputs = {{"a", Datatype::kFp16, {-1}, true},
                      {"b", Datatype::kFp64, {}, true},
                      {"c", Datatype::kInt64, {2, -1, -1}, true}};
  std::vector<std::shared_ptr<const ModelInfo>> shared;
  shared.reserve(models.size());
  for (ModelInfo& model : models) {
    model.outputs = model.inputs;
    shared.push_back(std::make_shared<const ModelInfo>(std::move(model)));
  }
  return shared;
}

void Encode(std::shared_ptr<const ModelInfo> model, const mlos::http::InferRequest& request,
            const mlos::tensor::RequestPlan& plan, std::span<const std::byte> block) {
  std::vector<mlos::engine::OutputTensor> outputs;
  for (const auto& input : plan.inputs) {
    outputs.push_back({input, block.subspan(input.offset, input.bytes)});
  }
  static mlos::frontend::Classifier& classifier = *new mlos::frontend::Classifier;
  auto settings = std::make_shared<mlos::ModelSettings>();
  settings->labels.assign(model->outputs.size(), {"a", "", "\xff"});
  mlos::engine::ModelRoute route;
  route.info = model;
  route.settings = settings;
  mlos::frontend::CallAnswer answer;
  if (!answer.Make("m", route, request.outputs, outputs, classifier).ok()) return;
  mlos::http::Response response;
  (void)mlos::http::EncodeInferResponse("m", "1", *model, request, answer.tensors(), 1 << 20,
                                        &response);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 5) return 0;
  static const auto& models = *new std::vector<std::shared_ptr<const ModelInfo>>(Models());
  static mlos::http::InferDecoder& decoder = *new mlos::http::InferDecoder;
  int32_t length = 0;
  std::memcpy(&length, data, sizeof(length));
  const auto& model = models[data[4] % models.size()];
  const bool other_between = (data[4] & 0x80) != 0;
  const size_t body_size = size - 5;
  std::vector<char> body(body_size + mlos::http::kBodyPadding);
  std::memcpy(body.data(), data + 5, body_size);

  mlos::http::InferRequest request;
  mlos::tensor::RequestPlan plan;
  if (!decoder.Parse({body.data(), body_size}, length < 0 ? -1 : length, &request).ok()) return 0;
  if (other_between) {
    // Another connection's request takes the parser.
    static char other[256] =
        R"({"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]})";
    mlos::http::InferRequest second;
    Require(decoder.Parse({other, std::strlen(other)}, -1, &second).ok());
  }
  if (!decoder.Plan("m", *model, &request, &plan).ok()) return 0;
  uint64_t bytes = 0;
  Require(mlos::tensor::LayOutRequest(&plan, &bytes));
  // A tensor is never larger than what was sent for it, but for the widening
  // of its elements and the lengths of strings.
  Require(bytes <= body_size * 16 + (1 << 20));
  // As much memory as was asked for: a sanitizer sees a byte more.
  std::vector<std::byte> block(bytes);
  mlos::tensor::WriteRequest(plan, 0, 0, block);
  if (!mlos::http::InferDecoder::Fill("m", request, plan, block).ok()) return 0;
  mlos::tensor::RequestView view;
  Require(mlos::tensor::ReadRequest(block, &view).ok());
  for (const auto& input : view.inputs) {
    if (static_cast<Datatype>(input.datatype) != Datatype::kBytes) continue;
    uint64_t count = 0;
    Require(mlos::tensor::ElementCount(input.shape(), &count));
    Require(mlos::tensor::CheckBytesTensor(
                std::span<const std::byte>(block).subspan(input.offset, input.bytes), count)
                .ok());
  }
  Encode(model, request, plan, block);
  return 0;
}
