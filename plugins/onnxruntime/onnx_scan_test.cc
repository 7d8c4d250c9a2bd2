// SPDX-License-Identifier: Apache-2.0
#include "onnx_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error.h"
#include "protobuf_reader.h"
#include "testing/fake_host.h"

namespace mlos::onnxrt {
namespace {

using ::testing::HasSubstr;

std::string Field(int number, const std::string& content) {
  std::string field;
  for (uint64_t value : {uint64_t(number) << 3 | 2, uint64_t{content.size()}}) {
    for (; value >= 0x80; value >>= 7) field += static_cast<char>(value | 0x80);
    field += static_cast<char>(value);
  }
  return field + content;
}

std::string Model(const std::string& graph) { return Field(7, graph); }
std::string Entry(const std::string& key, const std::string& value) {
  return Field(13, Field(1, key) + Field(2, value));
}

std::string ScanError(const std::string& bytes) {
  OnnxScan scan;
  return ScanOnnx(bytes, "f", &scan).text();
}

TEST(OnnxScanTest, FindsExternalTensorsWhereverTheyAre) {
  const std::string tensor = Field(8, "w") + Entry("location", "a.bin") + Entry("offset", "64");
  const std::string in_attribute = Field(1, Field(5, Field(5, tensor)));  // node, attribute, t
  const std::string in_list = Field(1, Field(5, Field(10, tensor)));      // tensors
  const std::string in_graph = Field(1, Field(5, Field(6, Field(5, tensor))));  // g, initializer
  const std::string in_graphs = Field(1, Field(5, Field(11, Field(5, tensor))));
  const std::string in_sparse = Field(15, Field(1, tensor));
  const std::string in_sparse_attribute = Field(1, Field(5, Field(22, Field(2, tensor))));
  for (const std::string& graph : {Field(5, tensor), in_attribute, in_list, in_graph, in_graphs,
                                   in_sparse, in_sparse_attribute}) {
    OnnxScan scan;
    const std::string model = Model(graph);
    ASSERT_TRUE(ScanOnnx(model, "f", &scan).ok());
    ASSERT_EQ(scan.external.size(), 1u);
    EXPECT_EQ(scan.external[0].name, "w");
    EXPECT_EQ(scan.external[0].location, "a.bin");
    EXPECT_EQ(scan.external[0].offset, 64u);
    EXPECT_EQ(scan.external[0].initializer, graph == Field(5, tensor));
  }
  for (const std::string& rest :
       {Field(25, Field(7, Field(5, Field(5, tensor)))),                                // function
        Field(25, Field(11, Field(5, tensor))), Field(20, Field(1, Field(5, tensor))),  // training
        Field(20, Field(2, Field(5, tensor)))}) {
    OnnxScan scan;
    const std::string model = Model("") + rest;
    ASSERT_TRUE(ScanOnnx(model, "f", &scan).ok());
    ASSERT_EQ(scan.external.size(), 1u);
    EXPECT_FALSE(scan.external[0].initializer);
  }
}

TEST(OnnxScanTest, RefusesWhatDecodersDisagreeAbout) {
  EXPECT_THAT(ScanError(Model(Field(5, Entry("location", "a") + Entry("location", "b")))),
              HasSubstr("twice"));
  EXPECT_THAT(ScanError(Model(Field(5, Entry("location", "a") + Entry("offset", "-1")))),
              HasSubstr("no number"));
  EXPECT_THAT(ScanError(Model(Field(5, Entry("offset", "1")))), HasSubstr("without a location"));
  EXPECT_THAT(ScanError(Model(Field(5, "\x70\x01"))), HasSubstr("without a location"));
}

TEST(OnnxScanTest, RefusesDeepNesting) {
  std::string graph;
  for (int i = 0; i < 500; ++i) graph = Field(1, Field(5, Field(6, graph)));
  EXPECT_THAT(ScanError(Model(graph)), HasSubstr("nested too deeply"));
}

TEST(OnnxScanTest, RefusesWhatIsNoProtobuf) {
  EXPECT_THAT(ScanError("x"), HasSubstr("not an ONNX model"));
  EXPECT_THAT(ScanError(std::string("\0\0\0\0ORTM....", 12)), HasSubstr("ORT format"));
  EXPECT_THAT(ScanError(Model("") + "\x3a\x7f"), HasSubstr("cut short"));
  EXPECT_THAT(ScanError(Model("") + "\x3b"), HasSubstr("cut short"));  // a group
  EXPECT_THAT(ScanError(Model("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
              HasSubstr("cut short"));
}

TEST(OnnxScanTest, Locations) {
  std::string name;
  EXPECT_TRUE(NormaliseLocation("a.bin", &name));
  EXPECT_TRUE(NormaliseLocation("././d/a.bin", &name));
  EXPECT_EQ(name, "d/a.bin");
  for (const char* bad :
       {"", "/", "/a", "..", "../a", "a/../b", "a/..", "a//b", "a/", "./", "./.", "a/./b"}) {
    EXPECT_FALSE(NormaliseLocation(bad, &name)) << bad;
  }
  EXPECT_FALSE(NormaliseLocation(std::string_view("a\0b", 3), &name));
}

TEST(ErrorTest, QuoteAndTidy) {
  EXPECT_EQ(Quote("a\nb"), "'a\\x0ab'");
  EXPECT_EQ(Quote(std::string(200, 'x')).size(), 125u);
  EXPECT_EQ(Tidy("in /src/onnx/graph.cc:12 it\n failed"), "in it failed");
  char text[6] = "";
  smi_error error = {sizeof(error), sizeof(text), text};
  WriteError(&error, "abcd\xc3\xa9");
  EXPECT_STREQ(text, "abcd");
  WriteError(nullptr, "nothing happens");
}

}  // namespace
}  // namespace mlos::onnxrt
