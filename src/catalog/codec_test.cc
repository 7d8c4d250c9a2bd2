// SPDX-License-Identifier: Apache-2.0
#include "catalog/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace mlos::catalog {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

// Any text in UTF-8, also what JSON has to escape.
rc::Gen<std::string> Text() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::oneOf(
                          rc::gen::map(rc::gen::inRange(0, 128),
                                       [](int c) { return std::string(1, static_cast<char>(c)); }),
                          rc::gen::element<std::string>("ü", "€", "\U0001f600", "\"", "\\"))),
                      [](const std::vector<std::string>& parts) {
                        std::string out;
                        for (const std::string& part : parts) out += part;
                        return out;
                      });
}

rc::Gen<FileIdentity> File() {
  return rc::gen::build<FileIdentity>(
      rc::gen::set(&FileIdentity::bytes), rc::gen::set(&FileIdentity::modified_ns),
      rc::gen::set(&FileIdentity::sha256, rc::gen::element<std::string>("", "00ff")));
}

json::value AnyValue(int depth) {
  switch (*rc::gen::inRange(0, depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return *rc::gen::arbitrary<int64_t>();
    case 3:
      return *rc::gen::arbitrary<uint64_t>();
    case 4:
      return *rc::gen::arbitrary<double>();
    case 5:
      return json::value(*Text());
    case 6: {
      json::array array;
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) array.push_back(AnyValue(depth - 1));
      return array;
    }
    default: {
      json::object object;
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) object[*Text()] = AnyValue(depth - 1);
      return object;
    }
  }
}

json::object AnyObject() {
  json::object object;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) object[*Text()] = AnyValue(3);
  return object;
}

PluginVersion AnyPlugin() {
  PluginVersion p;
  const int minor = *rc::gen::inRange(0, 100);
  p.manifest = *ParseManifest("name: ort\nversion: 1." + std::to_string(minor) +
                              ".0\nlibrary: lib.so\nformats: [onnx]\n# a remark: ü\n");
  p.directory = "/" + *Text();
  p.source = *Text();
  p.library = *File();
  p.wanted = *rc::gen::arbitrary<bool>();
  p.preferred = *rc::gen::arbitrary<bool>();
  p.previous = *rc::gen::arbitrary<bool>();
  return p;
}

ModelVersion AnyModel() {
  ModelVersion m;
  m.name = *rc::gen::element<std::string>("m", "a.b-c_d", std::string(128, 'x'));
  m.version = *rc::gen::inRange<uint64_t>(1, INT64_MAX);
  m.path = *Text();
  m.plugin = *Text();
  m.owner = *Text();
  m.config = AnyObject();
  m.metadata = AnyObject();
  m.desired = *rc::gen::element(Desired::kOnDemand, Desired::kLoaded, Desired::kUnloaded);
  m.artefact.directory = *Text();
  m.artefact.main_file = *Text();
  m.artefact.format = *Text();
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) {
    m.artefact.files.push_back(*Text());
    m.artefact.identities.push_back(*File());
  }
  return m;
}

TEST(CodecTest, APluginIsWhatItWas) {
  EXPECT_TRUE(rc::check([] {
    const PluginVersion p = AnyPlugin();
    const auto read = DecodePlugin(Encode(p));
    RC_ASSERT(read.ok());
    RC_ASSERT(read->manifest.text == p.manifest.text);
    RC_ASSERT(read->manifest.semantic_version.ToString() == p.manifest.version);
    RC_ASSERT(read->library == p.library);
    RC_ASSERT(read->directory == p.directory);
    RC_ASSERT(read->source == p.source);
    RC_ASSERT(read->wanted == p.wanted);
    RC_ASSERT(read->preferred == p.preferred);
    RC_ASSERT(read->previous == p.previous);
    RC_ASSERT(Encode(*read) == Encode(p));
  }));
}

TEST(CodecTest, AModelIsWhatItWas) {
  EXPECT_TRUE(rc::check([] {
    const ModelVersion m = AnyModel();
    const auto read = DecodeModel(Encode(m));
    RC_ASSERT(read.ok());
    RC_ASSERT(KeyOf(*read) == KeyOf(m));
    RC_ASSERT(read->path == m.path);
    RC_ASSERT(read->artefact.directory == m.artefact.directory);
    RC_ASSERT(read->artefact.main_file == m.artefact.main_file);
    RC_ASSERT(read->artefact.files == m.artefact.files);
    RC_ASSERT(read->artefact.identities == m.artefact.identities);
    RC_ASSERT(json::serialize(*read->config) == json::serialize(*m.config));
    RC_ASSERT(json::serialize(read->metadata) == json::serialize(m.metadata));
    RC_ASSERT(read->desired == m.desired);
    RC_ASSERT(Encode(*read) == Encode(m));
  }));
}

TEST(CodecTest, AGroupIsWhatItWas) {
  EXPECT_TRUE(rc::check([] {
    ModelGroup group;
    for (int i = *rc::gen::inRange(0, 5); i > 0; --i) {
      group.labels[*Text()] = *rc::gen::inRange<uint64_t>(1, INT64_MAX);
    }
    using Kind = VersionPolicy::Kind;
    group.policy.kind = *rc::gen::element(Kind::kAll, Kind::kLatest, Kind::kSpecific);
    if (group.policy.kind == Kind::kLatest) group.policy.latest = *rc::gen::inRange(1, 1000);
    if (group.policy.kind == Kind::kSpecific) {
      group.policy.versions =
          *rc::gen::container<std::set<uint64_t>>(rc::gen::inRange<uint64_t>(1, INT64_MAX));
    }
    const auto read = DecodeGroup(Encode(group));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == group);
  }));
}

// ---------------------------------------------------------------- what is wrong

struct Sample {
  const char* name;
  std::string text;
  Status (*decode)(std::string_view);
};

std::vector<Sample> Samples() {
  PluginVersion plugin;
  plugin.manifest = *ParseManifest("name: ort\nversion: 1.0.0\nlibrary: l.so\nformats: [onnx]\n");
  ModelVersion model;
  model.name = "m";
  model.artefact.files = {"a.onnx"};
  model.artefact.identities = {FileIdentity{1, 2, "ff"}};
  return {
      {"plugin", Encode(plugin), [](std::string_view t) { return DecodePlugin(t).status(); }},
      {"model", Encode(model), [](std::string_view t) { return DecodeModel(t).status(); }},
      {"group", Encode(ModelGroup()), [](std::string_view t) { return DecodeGroup(t).status(); }},
  };
}

TEST(CodecTest, EveryMemberMustBeThereAndOfItsKind) {
  for (const Sample& sample : Samples()) {
    ASSERT_TRUE(sample.decode(sample.text).ok()) << sample.name;
    const json::object whole = json::parse(sample.text).as_object();
    for (const auto& member : whole) {
      json::object without = whole;
      without.erase(member.key());
      json::object wrong = whole;
      wrong[member.key()] = member.value().is_array() ? json::value(7) : json::value(json::array());
      for (const json::object& bad : {without, wrong}) {
        const Status status = sample.decode(json::serialize(bad));
        EXPECT_EQ(StatusCode::kDataLoss, status.code()) << sample.name << " " << bad;
        EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(member.key())));
      }
    }
  }
}

TEST(CodecTest, MembersOfANewerVersionAreNotDropped) {
  for (const Sample& sample : Samples()) {
    json::object more = json::parse(sample.text).as_object();
    more["quota"] = 1;
    const Status status = sample.decode(json::serialize(more));
    EXPECT_EQ(StatusCode::kDataLoss, status.code()) << sample.name;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("newer"));
  }
  for (const char* text : {R"({"bytes":1,"modified_ns":2,"sha256":"","inode":3})", R"({"bytes":1})",
                           R"({"bytes":-1,"modified_ns":2,"sha256":""})", "7"}) {
    json::object plugin = json::parse(Samples()[0].text).as_object();
    plugin["library"] = json::parse(text);
    EXPECT_EQ(StatusCode::kDataLoss, DecodePlugin(json::serialize(plugin)).status().code()) << text;
    json::object model = json::parse(Samples()[1].text).as_object();
    model["files"] = json::array{json::parse(text)};
    EXPECT_EQ(StatusCode::kDataLoss, DecodeModel(json::serialize(model)).status().code()) << text;
  }
}

TEST(CodecTest, ValuesOutOfRangeAreRefused) {
  const auto model = [](const char* member, const json::value& value) {
    json::object object = json::parse(Samples()[1].text).as_object();
    object[member] = value;
    return DecodeModel(json::serialize(object)).status().code();
  };
  EXPECT_EQ(StatusCode::kDataLoss, model("version", 0));
  EXPECT_EQ(StatusCode::kDataLoss, model("version", -1));
  EXPECT_EQ(StatusCode::kDataLoss, model("version", 1.5));
  EXPECT_EQ(StatusCode::kDataLoss, model("desired", 3));
  EXPECT_EQ(StatusCode::kDataLoss, model("desired", -1));
  EXPECT_EQ(StatusCode::kDataLoss, model("name", "../x"));
  for (const char* text : {"", "{", "[]", "null", "7", "{}", "{} {}", "\xff"}) {
    for (const Sample& sample : Samples()) {
      EXPECT_EQ(StatusCode::kDataLoss, sample.decode(text).code()) << sample.name << " " << text;
    }
  }
  for (const char* config : {R"({"x":1e400})", R"({"x":-1e400})", R"({"x":1,"x":2})"}) {
    std::string text = Samples()[1].text;
    const size_t at = text.find(R"("config":{)");
    ASSERT_NE(at, std::string::npos);
    text.replace(at, text.find('}', at) + 1 - at, R"("config":)" + std::string(config));
    EXPECT_EQ(StatusCode::kDataLoss, DecodeModel(text).status().code()) << text;
  }
  for (const char* text :
       {R"({"labels":{"a":"1"},"policy":{"all":{}}})", R"({"labels":{"a":0},"policy":{"all":{}}})",
        R"({"labels":{},"policy":{"newest":{}}})"}) {
    EXPECT_EQ(StatusCode::kDataLoss, DecodeGroup(text).status().code()) << text;
  }
}

}  // namespace
}  // namespace mlos::catalog
