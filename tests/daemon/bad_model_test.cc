// SPDX-License-Identifier: Apache-2.0
//
// Model files that are no models.
#include <sys/stat.h>

#include "fixture.h"

namespace mlos::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class BadModelTest : public UnharmedTest {
 protected:
  // Registers, is refused by load with the model's name and `text`, stays
  // failed with that reason, and says so to whoever calls it.
  static void Refused(const std::string& name, const std::string& path, const char* text) {
    SCOPED_TRACE(name);
    const Reply registered = daemon().RegisterModel(name, path);
    ASSERT_EQ(201, registered.status) << Show(registered);
    const Reply loaded = daemon().ModelAction(name, "load");
    EXPECT_EQ(503, loaded.status) << Show(loaded);
    EXPECT_EQ("UNAVAILABLE", At(loaded, "/error/code"));
    EXPECT_THAT(ErrorText(loaded), AllOf(HasSubstr(name), HasSubstr(text)));
    const Reply model = daemon().Get("/api/v1/models/" + name + "/versions/1");
    EXPECT_EQ("failed", At(model, "/state"));
    EXPECT_THAT(At(model, "/reason"), HasSubstr(text));
    EXPECT_REFUSED(503, text, daemon().InferJson(name, R"({"inputs":[]})"));
    EXPECT_STATUS(200, daemon().Delete("/api/v1/models/" + name + "/versions/1"));
  }
};

TEST_F(BadModelTest, FilesThatAreNoModels) {
  const TempDir dir;
  const std::string good = ReadWhole(SourcePath("examples/digits/model.onnx"));
  const auto file = [&](const std::string& name, const std::string& content) {
    WriteWhole(dir / name, content);
    return dir / name;
  };
  Refused("empty", file("empty.onnx", ""), "empty");
  Refused("text", file("text.onnx", "hello, I am not a model\n"), "not an ONNX model");
  Refused("zeros", file("zeros.onnx", std::string(1 << 20, '\0')), "not an ONNX model");
  for (const size_t size : {size_t{1}, size_t{100}, good.size() / 2, good.size() - 1}) {
    Refused("cut", file("cut" + std::to_string(size) + ".onnx", good.substr(0, size)), "model");
  }
  std::string noise(100'000, '\0');
  uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  Refused("noise", file("noise.onnx", noise), "model");
  Refused("affine", file("bad.affine", "scale much\n"), "line 1");
}

TEST_F(BadModelTest, ManyModelsWithAByteChanged) {
  const TempDir dir;
  const std::string good = ReadWhole(SourcePath("examples/digits/model.onnx"));
  for (size_t i = 0; i < 40; ++i) {
    std::string bad = good;
    bad[i * 7] = static_cast<char>(bad[i * 7] ^ 0x55);
    WriteWhole(dir / "bad.onnx", bad);
    ASSERT_EQ(201, daemon().RegisterModel("changed", dir / "bad.onnx").status);
    const Reply loaded = daemon().ModelAction("changed", "load");
    EXPECT_TRUE(loaded.status == 200 || loaded.status == 503) << Show(loaded);
    EXPECT_STATUS(200, daemon().ModelAction("changed", "unload"));
    EXPECT_STATUS(200, daemon().Delete("/api/v1/models/changed/versions/1"));
  }
}

TEST_F(BadModelTest, DirectoriesWithoutAModel) {
  const TempDir dir;
  EXPECT_REFUSED(400, "onnx", daemon().RegisterModel("none", dir.path()));
  WriteWhole(dir / "README", "nothing");
  EXPECT_REFUSED(400, "onnx", daemon().RegisterModel("none", dir.path()));
  WriteWhole(dir / "a.onnx", "x");
  WriteWhole(dir / "b.onnx", "x");
  EXPECT_REFUSED(400, "'a.onnx', 'b.onnx'", daemon().RegisterModel("two", dir.path()));
  EXPECT_REFUSED(400, "format", daemon().RegisterModel("odd", dir / "README"));
  EXPECT_STATUS(404, daemon().Get("/api/v1/models/none"));
}

TEST_F(BadModelTest, AFileThatIsGoneOrHasChangedByTheTimeItIsLoaded) {
  const TempDir dir;
  WriteWhole(dir / "m.affine", "scale 1\noffset 0\n");
  ASSERT_EQ(201, daemon().RegisterModel("gone", dir / "m.affine").status);
  // Once its checksum is known, a file with that content is the same file.
  ASSERT_TRUE(WaitUntil([] {
    return At(daemon().Get("/api/v1/models/gone/versions/1"), "/files/0/sha256") != "null";
  }));
  ASSERT_EQ(0, unlink((dir / "m.affine").c_str()));
  EXPECT_REFUSED(409, "m.affine", daemon().ModelAction("gone", "load"));
  // Mended, it loads.
  WriteWhole(dir / "m.affine", "scale 1\noffset 0\n");
  EXPECT_STATUS(200, daemon().ModelAction("gone", "load"));
}

}  // namespace
}  // namespace mlos::test
