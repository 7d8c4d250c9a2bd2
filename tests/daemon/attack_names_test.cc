// SPDX-License-Identifier: Apache-2.0
//
// Attacks by names (T8 of the reliability tests): in paths of requests, and in
// what a model that is registered names: links, and files elsewhere.  A file
// that none of them may reach is watched: nobody opens it.
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "oracle.h"
#include "raw_peer.h"

namespace mlos::test {
namespace {

// A file and the system's word that nobody has opened it.
class Canary {
 public:
  explicit Canary(const std::string& path) : watch_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    WriteWhole(path, "the canary's song");
    inotify_add_watch(watch_, path.c_str(), IN_OPEN | IN_ACCESS);
  }
  ~Canary() { close(watch_); }
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;

  bool touched() const {
    char events[4096];
    return read(watch_, events, sizeof events) > 0;
  }

 private:
  int watch_;
};

class NamesAttack : public AttackTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Start());
    daemon().BringPlugin(OnnxPlugin());
    ASSERT_EQ(0, mkdir((dir_ / "model").c_str(), 0755));
    canary_ = std::make_unique<Canary>(dir_ / "canary");
    ASSERT_NO_FATAL_FAILURE(Watch());
  }
  void TearDown() override {
    EXPECT_FALSE(canary_->touched());
    AttackTest::TearDown();
  }

  // Registers, and where that was possible loads: never with success.  Afterwards it is gone again.
  void ExpectUseless(const std::string& path, const std::string& more = "") {
    SCOPED_TRACE(path + more);
    const Reply registered = daemon().RegisterModel("evil", path, more);
    EXPECT_EQ(std::string::npos, registered.body.find("song")) << Show(registered);
    if (registered.status != 201) {
      EXPECT_TRUE(registered.status == 400 || registered.status == 404 || registered.status == 403)
          << Show(registered);
      return;
    }
    const Reply loaded = daemon().ModelAction("evil", "load");
    EXPECT_EQ(503, loaded.status) << Show(loaded);
    EXPECT_EQ(std::string::npos, loaded.body.find("song")) << Show(loaded);
    EXPECT_STATUS(200, daemon().Delete("/api/v1/models/evil/versions/1"));
  }

  const TempDir dir_;
  std::unique_ptr<Canary> canary_;
};

// The test of the test.
TEST(CanaryTest, SeesWhoOpensIt) {
  const TempDir dir;
  const Canary canary(dir / "canary");
  EXPECT_FALSE(canary.touched());
  EXPECT_EQ("the canary's song", ReadWhole(dir / "canary"));
  EXPECT_TRUE(canary.touched());
}

TEST_F(NamesAttack, InPaths) {
  using std::string_literals::operator""s;
  const std::string canary = dir_ / "canary";
  std::vector<std::string> names{"..",
                                 ".",
                                 "../x",
                                 "a/../../b",
                                 "%2e%2e",
                                 "%2e%2e%2fx",
                                 "..%2f..%2f..%2fetc%2fpasswd",
                                 "%2fetc%2fpasswd",
                                 "%252e%252e",
                                 "..%5c..%5cx",
                                 "....//x",
                                 "bystander%00",
                                 "bystander%2f..%2fx",
                                 "bystander%0d%0aX:%20y",
                                 "%c0%ae%c0%ae",
                                 "%uff0e",
                                 "%",
                                 "%2",
                                 "%zz",
                                 "bystander;x",
                                 "bystander#x",
                                 "bystander%23x",
                                 "bystander%20",
                                 "%20bystander",
                                 "BYSTANDER",
                                 "bystander.",
                                 canary,
                                 "..%2f.." + canary,
                                 "file:%2f%2f" + canary,
                                 "~root",
                                 "$HOME",
                                 "*",
                                 std::string(10'000, 'a'),
                                 "a%e2%80%ae"};
  for (const std::string& name : names) {
    for (const std::string& target :
         {"/v2/models/" + name, "/v2/models/" + name + "/infer", "/v2/models/" + name + "/ready",
          "/v2/models/bystander/versions/" + name + "/infer", "/api/v1/models/" + name,
          "/api/v1/models/" + name + "/versions/1", "/api/v1/models/bystander/versions/" + name,
          "/api/v1/plugins/" + name + "/versions/1.0.0",
          "/api/v1/plugins/template/versions/" + name}) {
      for (const char* method : {"GET", "POST", "DELETE"}) {
        const Reply reply = HttpClient(daemon().address()).Send(method, target, "");
        EXPECT_TRUE(reply.status == 400 || reply.status == 404 || reply.status == 405)
            << method << " " << target << "\n"
            << Show(reply);
        EXPECT_LT(reply.body.size(), 1500u);
      }
    }
  }
  // What the tree above does not say of itself: a NUL in the request line.
  RawPeer peer(daemon().address());
  peer.Send("GET /v2/models/bystander\0 HTTP/1.1\r\nHost: t\r\n\r\n"s);
  EXPECT_EQ((std::vector<int>{400}), Statuses(peer.ReadToEnd()));
}

TEST_F(NamesAttack, OfModels) {
  const std::string path = SourcePath("plugins/template/model.affine");
  for (const char* name :
       {"..", ".", "../x", "/x", "x/y", "a/../../b", "%2e%2e", "x\\ny", "x\\u0000y", ".hidden",
        "-x", "x y", "x\\\\y", "\\u202ex", "..\\u002fx", "x%00", "*", "~"}) {
    const Reply reply = daemon().Post(
        "/api/v1/models", R"({"name":")" + std::string(name) + R"(","path":")" + path + "\"}");
    EXPECT_EQ(400, reply.status) << name << "\n" << Show(reply);
  }
  for (const char* version : {"..", "../1", "1/2", "1\\u0000", "-1", "1e1", " 1", "one"}) {
    EXPECT_STATUS(
        400, daemon().RegisterModel("x", path, R"(,"version":")" + std::string(version) + "\""));
  }
}

TEST_F(NamesAttack, LinksOutOfTheModel) {
  const std::string canary = dir_ / "canary";
  const std::string inside = dir_ / "model/model.onnx";
  ASSERT_EQ(0, symlink(canary.c_str(), inside.c_str()));
  ExpectUseless(dir_ / "model");
  ExpectUseless(inside);
  ExpectUseless(dir_ / "model",
                R"(,"config":{"default_model_filename":"../canary"},"plugin":"onnxruntime")");
  ExpectUseless(dir_ / "model", R"(,"config":{"default_model_filename":")" + canary +
                                    R"("},"plugin":"onnxruntime")");
  ASSERT_EQ(0, unlink(inside.c_str()));
  // By way of a directory.
  ASSERT_EQ(0, symlink(dir_.path().c_str(), (dir_ / "model/up").c_str()));
  ExpectUseless(dir_ / "model",
                R"(,"config":{"default_model_filename":"up/canary"},"plugin":"onnxruntime")");
  ExpectUseless(dir_ / "model");
  // It becomes a link after it was registered.
  WriteWhole(inside, ReadWhole(TestData("identity_fp32.onnx")));
  ASSERT_EQ(201, daemon().RegisterModel("turncoat", dir_ / "model").status);
  ASSERT_EQ(0, unlink(inside.c_str()));
  ASSERT_EQ(0, symlink(canary.c_str(), inside.c_str()));
  EXPECT_REFUSED(409, "model.onnx", daemon().ModelAction("turncoat", "load"));
  EXPECT_STATUS(200, daemon().Delete("/api/v1/models/turncoat/versions/1"));
}

// A hard link looks like the file itself.  Who may write into the model's directory but could not
// read the file must not have it read for him: the owners tell.
TEST_F(NamesAttack, HardLinksToSomebodyElsesFile) {
  const std::string canary = dir_ / "canary";
  const std::string link = dir_ / "model/weights.bin";
  std::filesystem::copy_file(TestData("external.onnx"), dir_ / "model/model.onnx");
  ASSERT_EQ(0, ::link(canary.c_str(), link.c_str()));
  if (chown((dir_ / "model").c_str(), 12345, 12345) != 0) {
    GTEST_SKIP() << "only the superuser can give a directory away";
  }
  EXPECT_REFUSED(400, "weights.bin", daemon().RegisterModel("evil", dir_ / "model"));
  EXPECT_REFUSED(400, "weights.bin", daemon().RegisterModel("evil", link));
  // Registered while it was harmless.
  ASSERT_EQ(0, unlink(link.c_str()));
  std::filesystem::copy_file(TestData("weights.bin"), link);
  ASSERT_EQ(201, daemon().RegisterModel("turncoat", dir_ / "model").status);
  ASSERT_EQ(0, unlink(link.c_str()));
  ASSERT_EQ(0, ::link(canary.c_str(), link.c_str()));
  EXPECT_REFUSED(409, "weights.bin", daemon().ModelAction("turncoat", "load"));
  EXPECT_STATUS(200, daemon().Delete("/api/v1/models/turncoat/versions/1"));
}

TEST_F(NamesAttack, ExternalDataElsewhere) {
  const std::string canary = dir_ / "canary";
  const std::string model = dir_ / "model/model.onnx";
  const std::string weights = "weights.bin";
  const std::string whole = ReadWhole(TestData("external.onnx"));
  const size_t at = whole.find(weights);
  ASSERT_NE(std::string::npos, at);
  // Each has the length of the name that it replaces.
  using std::string_literals::operator""s;
  for (const std::string& location :
       {"./../canary"s, "/../canary/"s, "..\\..\\canar"s, "x/../canary"s, "x/../../can"s,
        "../../../.."s, "\0canary.bin"s, "weights.bin"s}) {
    ASSERT_EQ(weights.size(), location.size()) << location;
    std::string evil = whole;
    evil.replace(at, weights.size(), location);
    WriteWhole(model, evil);
    ExpectUseless(dir_ / "model");
    ExpectUseless(model);
  }
  // A right name; what is there is a link, in two ways.
  WriteWhole(model, whole);
  ASSERT_EQ(0, symlink(canary.c_str(), (dir_ / "model/weights.bin").c_str()));
  ExpectUseless(dir_ / "model");
  ExpectUseless(model);
  for (const char* name : {"external_parent", "external_absolute", "external_address"}) {
    std::filesystem::copy_file(TestData(std::string(name) + ".onnx"), model,
                               std::filesystem::copy_options::overwrite_existing);
    ExpectUseless(dir_ / "model");
    ExpectUseless(model);
  }
}

}  // namespace
}  // namespace mlos::test
