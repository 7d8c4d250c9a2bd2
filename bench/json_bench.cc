// SPDX-License-Identifier: Apache-2.0
//
// What a tensor costs as JSON: one FP32 image (602,112 bytes) read by the HTTP
// front end's decoder and written by its encoder, beside the libraries alone
// and beside copying the bytes.  Contestants take turns within a round, so
// that a slow moment of the machine hits all; reported are medians, and the
// medians of the rounds' ratios to the library.
#include <simdjson.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "compress/content_coding.h"
#include "frontends/http/infer_request.h"
#include "tensor/json_text.h"

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
  mlos::Buffer out;
  const auto ours = [&] {
    out.Clear();
    (void)mlos::tensor::AppendJsonTensor(mlos::tensor::Datatype::kFp32, kElements,
                                         std::as_bytes(std::span(values)), 1 << 30, &out);
  };
  const auto copy = [&] { std::memcpy(text.data(), values.data(), kElements * sizeof(float)); };
  Race("writing JSON",
       {{"to_chars alone", library, {}}, {"AppendJsonTensor", ours, {}}, {"memcpy", copy, {}}});
}

// The same tensor as it comes in a binary request, from body to request memory.
void CompareBinary(const std::vector<float>& values) {
  const std::string json =
      R"({"inputs":[{"name":"in","shape":[1,3,224,224],"datatype":"FP32","parameters":)"
      R"({"binary_data_size":602112}}],"parameters":{"binary_data_output":true}})";
  std::vector<char> body(json.size() + kElements * sizeof(float) + mlos::http::kBodyPadding);
  std::memcpy(body.data(), json.data(), json.size());
  std::memcpy(body.data() + json.size(), values.data(), kElements * sizeof(float));
  const mlos::http::Body whole{body.data(), body.size() - mlos::http::kBodyPadding};
  std::vector<float> out(kElements);

  mlos::ModelInfo info;
  info.inputs = {{"in", mlos::tensor::Datatype::kFp32, {1, 3, 224, 224}, false}};
  mlos::http::InferDecoder decoder;
  mlos::http::InferRequest request;
  mlos::tensor::RequestPlan plan;
  std::vector<std::byte> block;
  bool ok = true;
  const auto ours = [&] {
    uint64_t bytes = 0;
    ok &= decoder.Parse(whole, static_cast<int64_t>(json.size()), &request).ok();
    ok &= decoder.Plan("m", info, &request, &plan).ok();
    ok &= mlos::tensor::LayOutRequest(&plan, &bytes);
    block.resize(bytes);
    ok &= mlos::http::InferDecoder::Fill("m", request, plan, block).ok();
  };
  const auto copy = [&] {
    std::memcpy(out.data(), body.data() + json.size(), kElements * sizeof(float));
  };
  Race("reading a binary request",
       {{"memcpy alone", copy, {}}, {"InferDecoder, into the request", ours, {}}});
  if (!ok) std::exit(1);
}

std::string Deflated(const std::string& text) {
  mlos::compress::Deflater deflater(mlos::compress::Coding::kGzip);
  std::string out(text.size() + 1024, '\0');
  std::string_view input = text;
  size_t written = 0;
  if (!deflater.Step(&input, true, out.data(), out.size(), &written)) std::exit(1);
  out.resize(written);
  return out;
}

// gzip in the slices in which a connection does it, beside the library at once.
void CompareGzip(const std::vector<float>& values) {
  const std::string json = Document(values, false);
  const std::string packed = Deflated(json);
  std::vector<char> plain(json.size() + 1);
  std::vector<char> out(json.size() + 1024);
  const auto inflate_alone = [&] {
    z_stream stream{};
    inflateInit2(&stream, 31);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<unsigned>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<unsigned>(plain.size());
    if (inflate(&stream, Z_FINISH) != Z_STREAM_END) std::exit(1);
    inflateEnd(&stream);
  };
  const auto inflate_slices = [&] {
    mlos::compress::Inflater inflater(mlos::compress::Coding::kGzip, packed);
    for (size_t at = 0;;) {
      size_t written = 0;
      const auto result = inflater.Step(plain.data() + at,
                                        std::min<size_t>(128 << 10, plain.size() - at), &written);
      if (!result.ok()) std::exit(1);
      if (*result == mlos::compress::Inflater::Result::kDone) break;
      at += written;
    }
  };
  const auto deflate_alone = [&] {
    z_stream stream{};
    deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(json.data()));
    stream.avail_in = static_cast<unsigned>(json.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<unsigned>(out.size());
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::exit(1);
    deflateEnd(&stream);
  };
  const auto deflate_slices = [&] {
    mlos::compress::Deflater deflater(mlos::compress::Coding::kGzip);
    std::string_view rest = json;
    for (size_t at = 0;;) {
      std::string_view slice = rest.substr(0, 32 << 10);
      const size_t given = slice.size();
      size_t written = 0;
      const bool last = given == rest.size();
      const bool done = deflater.Step(&slice, last, out.data() + at, out.size() - at, &written);
      rest.remove_prefix(given - slice.size());
      at += written;
      if (done) break;
    }
  };
  std::printf("gzip: %zu bytes of JSON become %zu\n", json.size(), packed.size());
  Race("decompressing that JSON",
       {{"inflate alone", inflate_alone, {}}, {"Inflater, in slices", inflate_slices, {}}});
  Race("compressing that JSON",
       {{"deflate alone", deflate_alone, {}}, {"Deflater, in slices", deflate_slices, {}}});
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
  CompareBinary(values);
  CompareGzip(values);
  return 0;
}
