// SPDX-License-Identifier: Apache-2.0
//
// Management requests that are wrong: the body, its members, the paths.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "fixture.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;

class BadManagementTest : public UnharmedTest {
 protected:
  // Each answer has the form of a management error.
  static void Expect(const std::string& target, const std::string& body, int status,
                     const std::vector<const char*>& texts) {
    const Reply reply = daemon().Post(target, body);
    EXPECT_EQ(status, reply.status) << body << "\n" << Show(reply);
    EXPECT_NE("", At(reply, "/error/code")) << Show(reply);
    EXPECT_LT(reply.body.size(), 1500u);
    for (const char* text : texts) EXPECT_THAT(ErrorText(reply), HasSubstr(text)) << body;
  }
  static void Model(const std::string& body, int status, const std::vector<const char*>& texts) {
    Expect("/api/v1/models", body, status, texts);
  }
  static void Plugin(const std::string& body, int status, const std::vector<const char*>& texts) {
    Expect("/api/v1/plugins", body, status, texts);
  }
};

TEST_F(BadManagementTest, Json) {
  for (const char* target : {"/api/v1/models", "/api/v1/plugins"}) {
    Expect(target, "", 400, {"empty"});
    Expect(target, "{", 400, {"JSON"});
    Expect(target, "{\"path\":\"/x\"} x", 400, {"JSON"});
    Expect(target, "[]", 400, {"object"});
    Expect(target, "null", 400, {"object"});
    Expect(target, std::string(1000, '['), 400, {"JSON"});
    Expect(target, "{}", 400, {"must be given"});
    Expect(target, R"({"path":"/x","metadata":{"x":[1e400]}})", 400,
           {"not valid JSON", "'1e400' is larger than a double can be"});
    Expect(target, R"({"path":"/x","path":"/y"})", 400, {"'path' is given twice"});
    Expect(target, "{\"path\":\"\xff\"}", 400, {"JSON"});
    Expect(target, "{\"path\":\"" + std::string(2 << 20, 'x') + "\"}", 413, {"1048576"});
  }
}

TEST_F(BadManagementTest, Members) {
  const std::string path = SourcePath("plugins/template/model.affine");
  const auto with = [&](const std::string& more) {
    return R"({"name":"x","path":")" + path + "\"" + more + "}";
  };
  Model(R"({"name":"x"})", 400, {"\"path\""});
  Model(R"({"path":"/x"})", 400, {"\"name\""});
  Model(R"({"name":1,"path":"/x"})", 400, {"\"name\"", "string"});
  Model(with(R"(,"pth":1)"), 400, {"'pth'", "path"});
  Model(with(R"(,"version":0)"), 400, {"'0'"});
  Model(with(R"(,"version":-1)"), 400, {"'-1'"});
  Model(with(R"(,"version":1.5)"), 400, {"'1.5E0'"});
  Model(with(R"(,"version":"one")"), 400, {"'one'"});
  Model(with(R"(,"version":"01")"), 400, {"'01'"});
  Model(with(R"(,"version":99999999999999999999)"), 400, {"version", "'1E20'"});
  Model(with(R"(,"version":null)"), 400, {"'null'"});
  Model(with(R"(,"plugin":"nobody")"), 400, {"nobody", "template"});
  Model(with(R"(,"plugin":7)"), 400, {"\"plugin\"", "string"});
  Model(with(R"(,"config":[])"), 400, {"\"config\"", "object"});
  Model(with(R"(,"config":{"max_batch_sise":1})"), 400, {"\"config\"", "'max_batch_size'"});
  Model(with(R"(,"config":{"max_batch_size":"x"})"), 400, {"max_batch_size", "'\"x\"'"});
  Model(with(R"(,"config":{"ensemble_scheduling":{}})"), 400, {"ensemble_scheduling", "steps"});
  Plugin(R"({"path":7})", 400, {"\"path\"", "string"});
  Plugin(R"({"path":"/x","name":"y"})", 400, {"'name'", "path"});
}

TEST_F(BadManagementTest, Names) {
  const auto name = [](const std::string& text) {
    return R"({"name":")" + text + R"(","path":"/etc/hostname"})";
  };
  Model(name(""), 400, {"empty"});
  Model(name("../x"), 400, {"'../x'", "position 1"});
  Model(name("a/b"), 400, {"'a/b'", "position 2"});
  Model(name("a b"), 400, {"'a b'"});
  Model(name(R"(a\u0000b)"), 400, {"position 2"});
  Model(name("größe"), 400, {"position 3"});
  Model(name(std::string(129, 'a')), 400, {"129"});
  Model(name(std::string(100'000, 'a')), 400, {"100000"});
  for (const char* target :
       {"/api/v1/models/nobody", "/api/v1/plugins/nobody", "/api/v1/models/nobody/versions/1",
        "/api/v1/plugins/nobody/versions/1.0.0"}) {
    EXPECT_REFUSED(404, "nobody", daemon().Get(target));
    EXPECT_STATUS(404, daemon().Get(std::string(target) + "%2f.."));
  }
  EXPECT_REFUSED(404, "9", daemon().Get("/api/v1/models/digits/versions/9"));
  EXPECT_REFUSED(404, "'x'", daemon().Get("/api/v1/models/digits/versions/x"));
  EXPECT_REFUSED(404, "9.9.9", daemon().PluginAction("template", "load", "9.9.9"));
  EXPECT_LT(daemon().Get("/api/v1/models/" + std::string(5000, 'n')).body.size(), 1500u);
}

TEST_F(BadManagementTest, Paths) {
  const TempDir dir;
  const std::string model = SourcePath("plugins/template/model.affine");
  const auto path = [](const std::string& text) {
    return R"({"name":"x","path":")" + text + "\"}";
  };
  for (const char* relative : {"", "model.affine", "./x", "../x"}) {
    Model(path(relative), 400, {"absolute"});
    Plugin(R"({"path":")" + std::string(relative) + "\"}", 400, {"absolute"});
  }
  Model(path(R"(/a\u0000b)"), 400, {"absolute"});
  Model(path("/" + std::string(5000, 'x')), 400, {});
  Plugin(R"({"path":"/)" + std::string(5000, 'x') + "\"}", 400, {});
  Model(path(dir / "nothing.affine"), 404, {"nothing.affine"});
  Plugin(R"({"path":")" + (dir / "nothing") + "\"}", 404, {"nothing"});

  // Links and special files are not followed, wherever they stand.
  ASSERT_EQ(0, symlink(model.c_str(), (dir / "link.affine").c_str()));
  Model(path(dir / "link.affine"), 400, {"link.affine", "links are not followed"});
  ASSERT_EQ(0, mkdir((dir / "inside").c_str(), 0700));
  ASSERT_EQ(0, symlink(model.c_str(), (dir / "inside/model.affine").c_str()));
  Model(path(dir / "inside"), 400, {"affine"});
  ASSERT_EQ(0, mkfifo((dir / "pipe.affine").c_str(), 0600));
  Model(path(dir / "pipe.affine"), 400, {"pipe.affine"});
  Model(path("/dev/zero"), 400, {"/dev/zero"});
  Model(R"({"name":"x","path":")" + (dir / "inside") +
            R"(","plugin":"template","config":{"default_model_filename":"../../etc/passwd"}})",
        404, {"'../../etc/passwd'"});

  // A plugin's library outside of its package, or a link.
  const auto package = [&](const std::string& name, const std::string& library) {
    const std::string at = dir / name;
    mkdir(at.c_str(), 0700);
    WriteWhole(at + "/plugin.yaml",
               "name: evil\nversion: 1.0.0\nlibrary: " + library + "\nformats: [evil]\n");
    return at;
  };
  Plugin(R"({"path":")" + package("p1", "../../lib.so") + "\"}", 400, {"'../../lib.so'"});
  Plugin(R"({"path":")" + package("p2", "/lib/libc.so.6") + "\"}", 400, {"libc.so.6"});
  Plugin(R"({"path":")" + package("p3", "missing.so") + "\"}", 400, {"'missing.so'"});
  const std::string linked = package("p4", "lib.so");
  ASSERT_EQ(0,
            symlink((TemplatePlugin() + "/libtemplate.so").c_str(), (linked + "/lib.so").c_str()));
  Plugin(R"({"path":")" + linked + "\"}", 400, {"'lib.so'", "link"});
  Plugin(R"({"path":")" + model + "\"}", 400, {"not a directory"});
}

TEST_F(BadManagementTest, Manifests) {
  const TempDir dir;
  const auto refused = [&](const std::string& text, const std::vector<const char*>& texts) {
    WriteWhole(dir / "plugin.yaml", text);
    WriteWhole(dir / "lib.so", "not a library");
    Plugin(R"({"path":")" + dir.path() + "\"}", 400, texts);
  };
  const std::string rest = "library: lib.so\nformats: [a]\n";
  refused("", {"plugin.yaml"});
  refused("[1, 2]", {"plugin.yaml"});
  refused("name: x\nname: y\nversion: 1.0.0\n" + rest, {"name"});
  refused("name: a/b\nversion: 1.0.0\n" + rest, {"a/b"});
  refused("name: x\nversion: one\n" + rest, {"version"});
  refused("name: x\nversion: 1.0.0\nlibary: lib.so\nformats: [a]\n", {"libary", "library"});
  refused("name: x\nversion: 1.0.0\nlibrary: lib.so\n", {"formats"});
  refused("name: *x\n" + rest, {"plugin.yaml"});
  refused(std::string(10 << 20, 'x'), {"plugin.yaml"});
  refused(std::string("name: \0x\n", 9) + rest, {"plugin.yaml"});
}

}  // namespace
}  // namespace mlos::test
