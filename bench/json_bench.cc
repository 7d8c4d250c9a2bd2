// SPDX-License-Identifier: Apache-2.0
//
// What a tensor costs as JSON: one FP32 image (602,112 bytes) read by the HTTP
// front end's decoder and written by its encoder, beside the libraries alone
// and beside copying the bytes.  Contestants take turns within a round, so
// that a slow moment of the machine hits all; reported are medians, and the
// medians of the rounds' ratios to the library.
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "frontends/http/infer_request.h"
#include "frontends/http/json_text.h"

namespace {

constexpr size_t kElements = 3 * 224 * 224;
constexpr int kRounds = 60;

struct Contestant {
  const char* name;
  std::function<void()> run;
  std::vector<double> micros;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The first contestant is what the others are compared with.
void Race(const char* title, std::vector<Contestant> contestants) {
  for (int round = -3; round < kRounds; ++round) {
    for (Contestant& c : contestants) {
      const uint64_t begin = mlos::NowNanos();
      c.run();
      const uint64_t end = mlos::NowNanos();
      if (round >= 0) c.micros.push_back(static_cast<double>(end - begin) / 1000.0);
    }
  }
  std::printf("%s\n", title);
  for (const Contestant& c : contestants) {
    std::vector<double> ratios;
    for (int i = 0; i < kRounds; ++i) {
      ratios.push_back(c.micros[static_cast<size_t>(i)] /
                       contestants[0].micros[static_cast<size_t>(i)]);
    }
    std::printf("  %-34s %9.1f us  %6.2f ns/element  x %.3f\n", c.name, Median(c.micros),
                Median(c.micros) * 1000.0 / static_cast<double>(kElements), Median(ratios));
  }
}

// As clients write an FP32 tensor: float digits, or the 17 of a Python list.
std::string Document(const std::vector<float>& values, bool as_double) {
  std::string text = R"({"inputs":[{"name":"in","shape":[1,3,224,224],"datatype":"FP32","data":[)";
  char number[40];
  for (const float v : values) {
    const auto end = as_double ? std::to_chars(number, number + 40, static_cast<double>(v)).ptr
                               : std::to_chars(number, number + 40, v).ptr;
    text.append(number, end);
    text += ',';
  }
  text.back() = ']';
  return text + "}]}";
}

void CompareReading(const char* title, const std::vector<float>& values, bool as_double) {
  const std::string json = Document(values, as_double);
  std::vector<char> body(json.size() + mlos::http::kBodyPadding);
  std::memcpy(body.data(), json.data(), json.size());
  std::vector<float> out(kElements);

  simdjson::ondemand::parser parser;
  const auto library = [&] {
    auto document = parser.iterate(body.data(), json.size(), body.size());
    size_t i = 0;
    for (auto input : document["inputs"]) {
      for (auto v : input["data"]) out[i++] = static_cast<float>(double(v));
    }
  };

  mlos::ModelInfo info;
  info.inputs = {{"in", mlos::tensor::Datatype::kFp32, {1, 3, 224, 224}, false}};
  mlos::http::InferDecoder decoder;
  mlos::http::InferRequest request;
  mlos::tensor::RequestPlan plan;
  std::vector<std::byte> block;
  bool ok = true;
  const auto ours = [&] {
    uint64_t bytes = 0;
    ok &= decoder.Parse({body.data(), json.size()}, -1, &request).ok();
    ok &= decoder.Plan("m", info, &request, &plan).ok();
    ok &= mlos::tensor::LayOutRequest(&plan, &bytes);
    block.resize(bytes);
    ok &= mlos::http::InferDecoder::Fill("m", request, plan, block).ok();
  };
  const auto from_chars = [&] {
    const char* p = body.data() + json.find("data") + 7;
    for (size_t i = 0; i < kElements; ++i) {
      p = std::from_chars(p, body.data() + json.size(), out[i]).ptr + 1;
    }
  };
  const auto copy = [&] { std::memcpy(out.data(), values.data(), kElements * sizeof(float)); };
  Race(title, {{"simdjson on-demand alone", library, {}},
               {"InferDecoder, into the request", ours, {}},
               {"from_chars alone", from_chars, {}},
               {"memcpy of the binary form", copy, {}}});
  if (!ok || std::memcmp(block.data() + plan.inputs[0].offset, values.data(),
                         kElements * sizeof(float)) != 0) {
    std::printf("  the tensor did not arrive\n");
    std::exit(1);
  }
}

void CompareWriting(const std::vector<float>& values) {
  std::vector<char> text(kElements * 24);
  const auto library = [&] {
    char* p = text.data();
    for (const float v : values) {
      p = std::to_chars(p, text.data() + text.size(), v).ptr;
      *p++ = ',';
    }
  };
  mlos::http::Buffer out;
  const auto ours = [&] {
    out.Clear();
    (void)mlos::http::AppendJsonTensor(mlos::tensor::Datatype::kFp32, kElements,
                                       std::as_bytes(std::span(values)), 1 << 30, &out);
  };
  const auto copy = [&] { std::memcpy(text.data(), values.data(), kElements * sizeof(float)); };
  Race("writing JSON",
       {{"to_chars alone", library, {}}, {"AppendJsonTensor", ours, {}}, {"memcpy", copy, {}}});
}

}  // namespace

int main() {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(kElements);
  for (float& v : values) v = uniform(random);
  std::printf("%zu FP32 elements, %zu bytes; simdjson %s\n", kElements, kElements * sizeof(float),
              simdjson::get_active_implementation()->name().c_str());
  CompareReading("reading JSON, digits of a float", values, false);
  CompareReading("reading JSON, digits of a double", values, true);
  CompareWriting(values);
  return 0;
}
