// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "trace/tracer.h"

namespace mlos::trace {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

// ------------------------------------------------------------------ settings

std::string Value(const Shown& shown, std::string_view name) {
  std::string out;
  for (const auto& [n, texts] : shown) {
    if (n != name) continue;
    for (const std::string& text : texts) out += (out.empty() ? "" : "+") + text;
  }
  return out;
}

TEST(TraceSettingsTest, AreShownByTheProtocolsNames) {
  const Shown shown = Show({}, "/there/trace.json");
  std::vector<std::string> names;
  for (const auto& [name, texts] : shown) names.emplace_back(name);
  EXPECT_THAT(names, UnorderedElementsAre("trace_level", "trace_rate", "trace_count",
                                          "log_frequency", "trace_file", "trace_mode"));
  EXPECT_EQ("OFF", Value(shown, "trace_level"));
  EXPECT_EQ("1000", Value(shown, "trace_rate"));
  EXPECT_EQ("-1", Value(shown, "trace_count"));
  EXPECT_EQ("0", Value(shown, "log_frequency"));
  EXPECT_EQ("/there/trace.json", Value(shown, "trace_file"));
  EXPECT_EQ("triton", Value(shown, "trace_mode"));
}

TEST(TraceSettingsTest, OnlyWhatIsGivenChanges) {
  Overrides o;
  ASSERT_TRUE(Apply({{"trace_level", {"TIMESTAMPS", "TENSORS"}}, {"trace_rate", {"1"}}}, &o).ok());
  EXPECT_EQ("TIMESTAMPS+TENSORS", Value(Show(o.Over({}), ""), "trace_level"));
  ASSERT_TRUE(Apply({{"trace_count", {"5"}}, {"trace_rate", {}}}, &o).ok());
  const Settings settings = o.Over({});
  EXPECT_EQ(kTimestamps | kTensors, settings.level);
  EXPECT_EQ(1000u, settings.rate) << "taken back";
  EXPECT_EQ(5, settings.count);
}

TEST(TraceSettingsTest, WhatIsWrongChangesNothing) {
  const std::vector<std::tuple<Change, StatusCode, std::string>> wrong = {
      {{{"trace_level", {"TIMESTAMPS", "MAX"}}}, StatusCode::kInvalidArgument, "'MAX'"},
      {{{"trace_level", {"OFF", "TENSORS"}}}, StatusCode::kInvalidArgument, "alone"},
      {{{"trace_rate", {"0"}}}, StatusCode::kInvalidArgument, "trace_rate"},
      {{{"trace_rate", {"1.5"}}}, StatusCode::kInvalidArgument, "'1.5'"},
      {{{"trace_rate", {"1", "2"}}}, StatusCode::kInvalidArgument, "one integer"},
      {{{"trace_rate", {"4294967296"}}}, StatusCode::kInvalidArgument, "4294967295"},
      {{{"trace_count", {"-2"}}}, StatusCode::kInvalidArgument, "-1"},
      {{{"log_frequency", {""}}}, StatusCode::kInvalidArgument, "log_frequency"},
      {{{"trace_levels", {"OFF"}}}, StatusCode::kInvalidArgument, "'trace_levels'"},
      {{{"trace_file", {"/etc/passwd"}}}, StatusCode::kUnimplemented, "--trace-file"},
      {{{"trace_mode", {"opentelemetry"}}}, StatusCode::kUnimplemented, "trace_mode"},
  };
  for (const auto& [change, code, text] : wrong) {
    Overrides o;
    Change with_good = change;
    with_good["log_frequency"].push_back("7");
    if (change.count("log_frequency") != 0) with_good = change;
    const Status status = Apply(with_good, &o);
    EXPECT_EQ(code, status.code()) << text;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(text));
    EXPECT_TRUE(o.empty()) << text;
  }
}

// ------------------------------------------------------------------ sampling

class TracerTest : public testing::Test {
 protected:
  TracerTest() {
    std::string name = (std::filesystem::temp_directory_path() / "mlos-trace-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    Begin();
  }
  ~TracerTest() override { std::filesystem::remove_all(directory_); }

  void Begin(uint64_t max_bytes = 1 << 20) { tracer_.emplace(File(), max_bytes); }
  std::string File(const std::string& suffix = {}) const {
    return directory_ + "/trace.json" + suffix;
  }
  void Set(std::string_view model, const Change& change) {
    const Status status = tracer_->Set(model, change);
    EXPECT_TRUE(status.ok()) << Message(status);
  }
  // How many of so many requests are traced.
  size_t Sampled(std::string_view model, size_t requests) {
    size_t n = 0;
    for (size_t i = 0; i < requests; ++i) n += tracer_->Sample(model, "1") != nullptr ? 1 : 0;
    return n;
  }
  void Write(std::string_view model, size_t records) {
    for (size_t i = 0; i < records; ++i) {
      auto record = tracer_->Sample(model, "1");
      ASSERT_NE(nullptr, record);
      record->Note("REQUEST_START", 17);
      tracer_->Finish(std::move(record));
    }
  }
  // What the files say once the tracer has ended.
  json::array Read(const std::string& suffix = {}) {
    tracer_.reset();
    std::ifstream in(File(suffix));
    std::stringstream text;
    text << in.rdbuf();
    json::error_code error;
    json::value value = json::parse(text.str(), error);
    EXPECT_FALSE(error) << text.str();
    return error ? json::array{} : value.as_array();
  }

  std::string directory_;
  std::optional<Tracer> tracer_;
};

TEST_F(TracerTest, IsOffUntilItIsSwitchedOn) {
  EXPECT_FALSE(tracer_->enabled());
  EXPECT_EQ(0u, Sampled("m", 2000));
  Set("", {{"trace_rate", {"1"}}});
  EXPECT_FALSE(tracer_->enabled());
  Set("", {{"trace_level", {"TIMESTAMPS"}}});
  EXPECT_TRUE(tracer_->enabled());
  Set("", {{"trace_level", {}}});
  EXPECT_FALSE(tracer_->enabled());
  tracer_.reset();
  EXPECT_FALSE(std::filesystem::exists(File())) << "who traces nothing writes nothing";
}

TEST_F(TracerTest, TracesOneRequestInSoMany) {
  Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"10"}}});
  EXPECT_EQ(0u, Sampled("m", 9));
  EXPECT_EQ(1u, Sampled("m", 1));
  EXPECT_EQ(10u, Sampled("n", 100));
}

TEST_F(TracerTest, TheCountRunsOut) {
  Set("", {{"trace_level", {"TENSORS"}}, {"trace_rate", {"1"}}, {"trace_count", {"3"}}});
  EXPECT_EQ(2u, Sampled("m", 2));
  EXPECT_EQ("1", Value(tracer_->Get(""), "trace_count"));
  EXPECT_EQ(1u, Sampled("m", 50));
  EXPECT_FALSE(tracer_->enabled());
  EXPECT_EQ("0", Value(tracer_->Get(""), "trace_count"));
}

TEST_F(TracerTest, AModelMayHaveSettingsOfItsOwn) {
  Set("a", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}, {"trace_count", {"2"}}});
  EXPECT_EQ(0u, Sampled("b", 5000));
  EXPECT_EQ(2u, Sampled("a", 10));
  EXPECT_EQ("0", Value(tracer_->Get("a"), "trace_count"));
  EXPECT_EQ("-1", Value(tracer_->Get("b"), "trace_count"));
  Set("", {{"trace_level", {"TENSORS"}}, {"trace_rate", {"1"}}});
  Set("a", {{"trace_level", {"OFF"}}});
  EXPECT_EQ(0u, Sampled("a", 10));
  EXPECT_EQ(10u, Sampled("b", 10));
  Set("a", {{"trace_level", {}}, {"trace_rate", {}}, {"trace_count", {}}});
  EXPECT_EQ(10u, Sampled("a", 10)) << "what all have holds again";
}

TEST_F(TracerTest, OnlySoManyModelsHaveSettings) {
  const Change change = {{"trace_rate", {"7"}}};
  for (size_t i = 0; i < Tracer::kMostModels; ++i) Set("m" + std::to_string(i), change);
  EXPECT_EQ(StatusCode::kResourceExhausted, tracer_->Set("one-more", change).code());
  Set("m0", {{"trace_rate", {}}});
  Set("one-more", change);
}

// --------------------------------------------------------------------- files

TEST_F(TracerTest, RecordsAreTheProtocolsObjects) {
  Set("", {{"trace_level", {"TIMESTAMPS", "TENSORS"}}, {"trace_rate", {"1"}}});
  auto record = tracer_->Sample("m", "3");
  record->request_id = "mine \"\xff";
  record->Note("REQUEST_START", 100);
  record->Note("NEVER", 0);
  record->Note("REQUEST_END", 200);
  const float data[] = {1.5f, -2.0f};
  const int64_t shape[] = {1, 2};
  record->Note("TENSOR_QUEUE_INPUT", "in", tensor::Datatype::kFp32, shape,
               std::as_bytes(std::span(data)));
  tracer_->Finish(std::move(record));
  const json::array all = Read();
  ASSERT_EQ(3u, all.size());
  EXPECT_EQ(json::parse(R"({"id":1,"model_name":"m","model_version":3,)"
                        R"("request_id":"mine \"\\xff"})"),
            all[0]);
  EXPECT_EQ(json::parse(R"({"id":1,"timestamps":[{"name":"REQUEST_START","ns":100},)"
                        R"({"name":"REQUEST_END","ns":200}]})"),
            all[1]);
  EXPECT_EQ(json::parse(R"({"id":1,"activity":"TENSOR_QUEUE_INPUT","tensor":{"name":"in",)"
                        R"("data":"1.5,-2","shape":"1,2","dtype":"FP32"}})"),
            all[2]);
}

TEST_F(TracerTest, EveryDatatypeHasAText) {
  Record record;
  record.level = kTensors;
  const std::byte bytes[] = {std::byte{1},   std::byte{0}, std::byte{0}, std::byte{0},
                             std::byte{'x'}, std::byte{0}, std::byte{0}, std::byte{0}};
  const int64_t shape[] = {1};
  using tensor::Datatype;
  const std::pair<Datatype, std::string> kTexts[] = {
      {Datatype::kBool, "1,0,0,0,120,0,0,0"},
      {Datatype::kUint16, "1,0,120,0"},
      {Datatype::kInt32, "1,120"},
      {Datatype::kUint64, "515396075521"},
      {Datatype::kFp16, "0x0001,0x0000,0x0078,0x0000"}};
  for (const auto& [datatype, text] : kTexts) record.Note("A", "t", datatype, shape, bytes);
  record.Note("A", "t", Datatype::kBytes, shape, std::span(bytes).first(5));
  const json::array all = json::parse("[" + Text(record) + "]").as_array();
  ASSERT_EQ(std::size(kTexts) + 2, all.size());
  for (size_t i = 0; i < std::size(kTexts); ++i) {
    EXPECT_EQ(kTexts[i].second, all[i + 1].at("tensor").at("data").as_string());
  }
  EXPECT_EQ("x", all.back().at("tensor").at("data").as_string());
}

TEST_F(TracerTest, OfLargeTensorsTheBeginningIsKept) {
  Record record;
  const std::vector<std::byte> data(kMostTensorBytes + 1);
  const int64_t shape[] = {static_cast<int64_t>(data.size())};
  for (int i = 0; i < 20; ++i) record.Note("A", "t", tensor::Datatype::kUint8, shape, data);
  EXPECT_EQ(kMostRecordBytes, record.tensor_bytes);
  EXPECT_TRUE(record.tensors.front().cut);
  EXPECT_TRUE(record.tensors.back().data.empty());
  EXPECT_THAT(Text(record), HasSubstr("\"truncated\":true"));
}

// What waits is bounded by all that it takes, whichever part of it is large.
TEST_F(TracerTest, ARecordThatIsLargerThanTheQueueIsDropped) {
  Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}});
  const std::string large(Writer::kMostQueuedBytes, 'x');
  auto record = tracer_->Sample("m", "1");
  record->request_id = large;
  tracer_->Finish(std::move(record));
  EXPECT_EQ(1u, tracer_->dropped());
  record = tracer_->Sample("m", "1");
  record->Note("A", large, tensor::Datatype::kUint8, {}, {});
  tracer_->Finish(std::move(record));
  EXPECT_EQ(2u, tracer_->dropped());
}

TEST_F(TracerTest, WithAFrequencyEachFileIsComplete) {
  Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}, {"log_frequency", {"2"}}});
  Write("m", 3);
  Set("", {{"log_frequency", {"0"}}});
  Write("m", 1);
  EXPECT_EQ(2u, Read().size()) << "one record: its head and its times";
  EXPECT_EQ(4u, Read(".0").size());
  EXPECT_EQ(2u, Read(".1").size());
  EXPECT_EQ(S_IRUSR | S_IWUSR, static_cast<int>(std::filesystem::status(File(".0")).permissions()));
}

TEST_F(TracerTest, NoMoreIsWrittenThanMayBe) {
  Begin(1000);
  Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}});
  Write("m", 100);
  const json::array all = Read();
  EXPECT_GT(all.size(), 2u);
  EXPECT_LT(std::filesystem::file_size(File()), 1100u);
}

TEST_F(TracerTest, AFileThatCannotBeOpenedCostsTheRecordsOnly) {
  tracer_.emplace(directory_ + "/not/there/trace.json", 1 << 20);
  Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}});
  Write("m", 5);
  while (tracer_->dropped() < 5) std::this_thread::yield();
  // A link is not followed: it may lead anywhere.
  std::filesystem::create_symlink(directory_ + "/elsewhere", File());
  Begin();
  Set("", {{"trace_level", {"TIMESTAMPS"}}, {"trace_rate", {"1"}}});
  Write("m", 1);
  while (tracer_->dropped() < 1) std::this_thread::yield();
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/elsewhere"));
}

}  // namespace
}  // namespace mlos::trace
