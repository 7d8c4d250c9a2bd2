// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace mlos {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kFull[] = R"(# a comment
name: onnxruntime
version: 1.2.3-rc.1
library: libplugin.so
formats:
  - onnx
  - ort
limits:
  memory_bytes: 2147483648
  threads: 64
sandbox:
  - need: jit
    reason: "generated kernels are written and run"
)";

// A good manifest with `line` added at its end or, where the key is there,
// instead of the line that has it.
std::string With(const std::string& line) {
  std::string out;
  bool replaced = false;
  const std::string key = line.substr(0, line.find(':'));
  for (const char* good : {"name: a", "version: 1.0.0", "library: a.so", "formats: [f]"}) {
    const bool same = std::string(good).substr(0, std::string(good).find(':')) == key;
    out += (same ? line : std::string(good)) + "\n";
    replaced = replaced || same;
  }
  return replaced ? out : out + line + "\n";
}

std::string ErrorOf(const std::string& text) {
  const auto manifest = ParseManifest(text);
  if (manifest.ok()) return "accepted";
  EXPECT_EQ(manifest.status().code(), StatusCode::kInvalidArgument) << text;
  return std::string(Message(manifest.status()));
}

TEST(Manifest, ReadsEveryKey) {
  const auto manifest = ParseManifest(kFull);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->name, "onnxruntime");
  EXPECT_EQ(manifest->version, "1.2.3-rc.1");
  EXPECT_EQ(manifest->semantic_version.minor, 2u);
  EXPECT_EQ(manifest->library, "libplugin.so");
  EXPECT_THAT(manifest->formats, ElementsAre("onnx", "ort"));
  EXPECT_EQ(manifest->limits.memory_bytes, 2147483648u);
  EXPECT_EQ(manifest->limits.threads, 64u);
  ASSERT_EQ(manifest->sandbox.size(), 1u);
  EXPECT_EQ(manifest->sandbox[0].need, "jit");
  EXPECT_EQ(manifest->sandbox[0].reason, "generated kernels are written and run");
}

TEST(Manifest, LimitsAndSandboxMayBeLeftOut) {
  const auto manifest = ParseManifest("{name: a, version: 1.0.0, library: a.so, formats: [f]}");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_FALSE(manifest->limits.memory_bytes.has_value());
  EXPECT_FALSE(manifest->limits.threads.has_value());
  EXPECT_TRUE(manifest->sandbox.empty());
}

struct BadCase {
  const char* line;
  const char* message;
};

TEST(Manifest, EveryFaultIsNamedWithItsLine) {
  const BadCase cases[] = {
      {"name: a/b", "plugin.yaml line 1: name 'a/b' has '/' at position 2"},
      {"name: ''", "plugin.yaml line 1: 'name' is empty; write name: my-framework"},
      {"name: [a]", "line 1: 'name' is a list, not a value"},
      {"name: null", "line 1: 'name' is nothing, not a value"},
      {"name: \"a\\x07\"", "line 1: 'name' contains a control character"},
      {"version: 1.0", "line 2: version '1.0' is not a semantic version; write MAJOR"},
      {"library: ../evil.so", "line 3: library '../evil.so' is not a plain file name"},
      {"library: /lib/x.so", "line 3: library '/lib/x.so' is not a plain file name"},
      {"library: ..", "line 3: library '..' is not a plain file name"},
      {"formats: onnx", "line 4: 'formats' is a value, not a list; write formats: [onnx]"},
      {"formats: []", "line 4: 'formats' is empty"},
      {"formats: [a, a]", "line 4: format 'a' is listed twice"},
      {"formats: [a b]", "line 4: format 'a b' has ' ' at position 2"},
      {"formats: [[a]]", "line 4: 'formats' is a list, not a value"},
      {"limits: 5", "line 5: 'limits' is a value, not a mapping"},
      {"limits: {threads: 0}", "limit 'threads' is '0'; write a whole number from 1 to 65536"},
      {"limits: {threads: -1}", "limit 'threads' is '-1'"},
      {"limits: {threads: 4.5}", "limit 'threads' is '4.5'"},
      {"limits: {memory_bytes: 2GB}", "limit 'memory_bytes' is '2GB'"},
      {"limits: {memory_bytes: 99999999999999999999}", "limit 'memory_bytes' is '9999"},
      {"limits: {thread: 1}", "unknown key 'thread' in 'limits' (did you mean 'threads'?)"},
      {"sandbox: {}", "line 5: 'sandbox' is a mapping, not a list"},
      {"sandbox: [jit]", "line 5: 'sandbox' is a value, not a mapping"},
      {"sandbox: [{need: jit}]", "sandbox need 'jit' has no 'reason'"},
      {"sandbox: [{reason: why}]", "an entry of 'sandbox' has no 'need'"},
      {"sandbox: [{need: a, reason: b}, {need: a, reason: c}]", "'a' is listed twice"},
      {"sandbox: [{need: a, reasons: b}]", "unknown key 'reasons' in 'sandbox' (did you mean"},
      {"fromats: [a]",
       "line 5: unknown key 'fromats' (did you mean 'formats'?); the keys are "
       "name, version, library, formats, limits, sandbox"},
      {"zebra: 1", "line 5: unknown key 'zebra'; the keys are name"},
  };
  for (const BadCase& bad : cases) {
    EXPECT_THAT(ErrorOf(With(bad.line)), HasSubstr(bad.message)) << bad.line;
  }
}

TEST(Manifest, MissingKeysAreNamedWithAnExample) {
  EXPECT_THAT(ErrorOf("version: 1.0.0\nlibrary: a.so\nformats: [f]\n"),
              HasSubstr("key 'name' is missing; add a line such as 'name: my-framework'"));
  EXPECT_THAT(ErrorOf("name: a\nversion: 1.0.0\nlibrary: a.so\n"),
              HasSubstr("key 'formats' is missing"));
}

TEST(Manifest, RefusesWhatYamlAllowsAndAManifestNeedsNot) {
  EXPECT_THAT(ErrorOf(With("limits: &a {threads: 1}")),
              AllOf(HasSubstr("line 5"), HasSubstr("anchors and aliases are not accepted")));
  EXPECT_THAT(ErrorOf("a: &a [x]\nb: [*a, *a]\n"), HasSubstr("line 1: anchor '&a'"));
  EXPECT_THAT(ErrorOf(With("name: !!binary YQ==")), HasSubstr("tags are not accepted"));
  EXPECT_THAT(ErrorOf(With("limits: {}\nlimits: {}")),
              HasSubstr("line 6: key 'limits' again (first on line 5)"));
  EXPECT_THAT(ErrorOf(With("limits: {}\n---\nname: b")), HasSubstr("a second document"));
  EXPECT_THAT(ErrorOf(With("limits: {[a]: 1}")), HasSubstr("a key must be plain text"));
  EXPECT_THAT(ErrorOf(With("name: {a: [b}")), HasSubstr("not valid YAML"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("the file is empty"));
  EXPECT_THAT(ErrorOf("# only a comment\n"), HasSubstr("plugin.yaml line 1"));
  EXPECT_THAT(ErrorOf("- a\n"), HasSubstr("the file is a list, not a mapping"));
  EXPECT_THAT(ErrorOf(std::string("name: a\0b\n", 10)), HasSubstr("a zero byte"));
}

TEST(Manifest, BombsAreRefusedWhileSmall) {
  // The classic: nine levels of nine aliases each.
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string alias = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) laughs += (j > 0 ? "," : "") + alias;
    laughs += "]\n";
  }
  EXPECT_THAT(ErrorOf(laughs), HasSubstr("anchors and aliases are not accepted"));
  EXPECT_NE(ErrorOf(std::string(60'000, '[')), "accepted");
  EXPECT_NE(ErrorOf(std::string(60'000, '{')), "accepted");
  EXPECT_THAT(ErrorOf("[[[[[[[[[[[[1]]]]]]]]]]]]"), HasSubstr("more than 8 levels of nesting"));
  std::string many = "formats: [";
  for (int i = 0; i < 20'000; ++i) many += "a,";
  EXPECT_THAT(ErrorOf(many + "a]"), HasSubstr("more than 4096 values"));
  EXPECT_THAT(ErrorOf(std::string(kMaxManifestBytes + 1, '#')), HasSubstr("larger than 65536"));
}

class PackageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "manifest-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  std::string Error() {
    const auto manifest = ReadManifest(directory_.string());
    return manifest.ok() ? "accepted" : std::string(Message(manifest.status()));
  }

  std::filesystem::path directory_;
};

TEST_F(PackageTest, ReadsAPackage) {
  Write("plugin.yaml", kFull);
  Write("libplugin.so", "never opened");
  const auto manifest = ReadManifest(directory_.string());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->name, "onnxruntime");
}

TEST_F(PackageTest, SaysWhatIsMissing) {
  EXPECT_THAT(Error(), HasSubstr("no plugin.yaml in "));
  EXPECT_EQ(ReadManifest(directory_.string()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReadManifest((directory_ / "nowhere").string()).status().code(), StatusCode::kNotFound);
  Write("plugin.yaml", kFull);
  EXPECT_THAT(Error(), HasSubstr("names the library 'libplugin.so', which is not in the package"));
  EXPECT_THAT(std::string(Message(ReadManifest((directory_ / "plugin.yaml").string()).status())),
              HasSubstr("is not a directory"));
}

TEST_F(PackageTest, PointsToThePackageBelow) {
  std::filesystem::create_directory(directory_ / "1.0.0");
  Write("1.0.0/plugin.yaml", kFull);
  EXPECT_THAT(Error(), HasSubstr("did you mean the package '" + (directory_ / "1.0.0").string()));
}

TEST_F(PackageTest, FollowsNoLinksAndReadsNoPipes) {
  Write("real.yaml", kFull);
  Write("libplugin.so", "x");
  std::filesystem::create_symlink("real.yaml", directory_ / "plugin.yaml");
  EXPECT_THAT(Error(), HasSubstr("plugin.yaml is a symbolic link"));
  std::filesystem::remove(directory_ / "plugin.yaml");
  ASSERT_EQ(::mkfifo((directory_ / "plugin.yaml").c_str(), 0600), 0);
  EXPECT_THAT(Error(), HasSubstr("plugin.yaml is not a plain file"));
  std::filesystem::remove(directory_ / "plugin.yaml");
  std::filesystem::create_directory(directory_ / "plugin.yaml");
  EXPECT_THAT(Error(), HasSubstr("plugin.yaml is not a plain file"));
  std::filesystem::remove(directory_ / "plugin.yaml");
  Write("plugin.yaml", kFull);
  std::filesystem::rename(directory_ / "libplugin.so", directory_ / "other.so");
  std::filesystem::create_symlink("other.so", directory_ / "libplugin.so");
  EXPECT_THAT(Error(), HasSubstr("which is not a plain file"));
}

TEST_F(PackageTest, ReadsNoMoreThanTheBound) {
  Write("plugin.yaml", std::string(10 << 20, '#'));
  EXPECT_THAT(Error(), HasSubstr("larger than 65536 bytes"));
}

}  // namespace
}  // namespace mlos
