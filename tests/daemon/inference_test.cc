// SPDX-License-Identifier: Apache-2.0
//
// What the protocol's extensions make of inference, with a real model: classes
// instead of numbers, compressed bodies and answers, tensors in shared memory.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zlib.h>

#include "fixture.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;

std::string ImageJson(const Digits& digits, size_t i, const std::string& output) {
  const auto image = ValuesOf<float>(digits.image(i));
  const boost::json::array data(image.begin(), image.end());
  return R"({"inputs":[{"name":"image","datatype":"FP32","shape":[1,64],"data":)" +
         boost::json::serialize(data) + R"(}],"outputs":[)" + output + "]}";
}

// Into gzip and out of it, by the library alone.
std::string Gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(Z_OK, deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY));
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(Z_STREAM_END, deflate(&stream, Z_FINISH));
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
std::string Gunzip(const std::string& packed) {
  z_stream stream{};
  EXPECT_EQ(Z_OK, inflateInit2(&stream, 31));
  std::string out(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<unsigned>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(Z_STREAM_END, inflate(&stream, Z_FINISH));
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(InferenceTest, ClassesOfDigits) {
  const Digits digits = HeldOutDigits();
  Daemon daemon;
  daemon.BringDigits();
  size_t right = 0;
  constexpr size_t kImages = 50;
  for (size_t i = 0; i < kImages; ++i) {
    const Reply reply =
        daemon.InferJson("digits", ImageJson(digits, i,
                                             R"({"name":"label"},{"name":"probabilities",)"
                                             R"("parameters":{"classification":3}})"));
    ASSERT_EQ(200, reply.status) << Show(reply);
    EXPECT_EQ("BYTES", At(reply, "/outputs/1/datatype"));
    EXPECT_EQ(3u, ParseJson(reply.body).at_pointer("/outputs/1/data").as_array().size());
    // "value:index", and perhaps a label.
    const std::string first = At(reply, "/outputs/1/data/0");
    const std::string second = At(reply, "/outputs/1/data/1");
    EXPECT_GE(std::stod(first), std::stod(second));
    const std::string index = first.substr(first.find(':') + 1, 1);
    EXPECT_EQ("[" + index + "]", At(reply, "/outputs/0/data")) << "the model's own choice";
    right += index == std::to_string(digits.labels[i]);
  }
  EXPECT_GE(right, kImages * 9 / 10);
  EXPECT_REFUSED(
      400, "classification is not there for",
      (daemon.RegisterModel("identity_bool", TestData("identity_bool.onnx")),
       daemon.InferJson("identity_bool", R"({"inputs":[{"name":"x","datatype":"BOOL","shape":[1],)"
                                         R"("data":[true]}],"outputs":[{"name":"y","parameters":)"
                                         R"({"classification":1}}]})")));
}

TEST(InferenceTest, CompressedBothWays) {
  const Digits digits = HeldOutDigits();
  // So small an answer is compressed only where that was set.
  Daemon daemon({"--http-compress-from", "1B"});
  daemon.BringDigits();
  const std::string body = ImageJson(digits, 0, R"({"name":"probabilities"})");
  const Reply plain = daemon.InferJson("digits", body);
  ASSERT_EQ(200, plain.status) << Show(plain);
  const Reply packed =
      daemon.Post("/v2/models/digits/infer", Gzip(body),
                  {{"Content-Encoding", "gzip"}, {"Accept-Encoding", "gzip;q=1.0, *;q=0.5"}});
  ASSERT_EQ(200, packed.status) << Show(packed);
  EXPECT_EQ("gzip", packed.Header("content-encoding"));
  EXPECT_EQ(plain.body, Gunzip(packed.body));
  EXPECT_REFUSED(400, "cut off",
                 daemon.Post("/v2/models/digits/infer", Gzip(body).substr(0, 50),
                             {{"Content-Encoding", "gzip"}}));
  EXPECT_REFUSED(413, "more than 200 times its size",
                 daemon.Post("/v2/models/digits/infer", Gzip(std::string(4 << 20, ' ')),
                             {{"Content-Encoding", "gzip"}}));
  EXPECT_STATUS(200, daemon.InferJson("digits", body));
}

// An object of this machine, as clients make them.
class SharedObject {
 public:
  SharedObject(const std::string& name, const std::string& content)
      : name_("/mlos_test_" + std::to_string(::getpid()) + "_" + name) {
    fd_ = ::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT_GE(fd_, 0) << name_;
    EXPECT_EQ(static_cast<ssize_t>(content.size()),
              ::pwrite(fd_, content.data(), content.size(), 0));
  }
  ~SharedObject() {
    ::close(fd_);
    ::shm_unlink(name_.c_str());
  }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  int fd() const { return fd_; }
  const std::string& key() const { return name_; }
  std::string Content(size_t bytes) const {
    std::string content(bytes, '\0');
    content.resize(static_cast<size_t>(::pread(fd_, content.data(), bytes, 0)));
    return content;
  }

 private:
  const std::string name_;
  int fd_ = -1;
};

Reply RegisterRegion(Daemon& daemon, const std::string& name, const std::string& key,
                     size_t bytes) {
  return daemon.Post("/v2/systemsharedmemory/region/" + name + "/register",
                     R"({"key":")" + key + R"(","byte_size":)" + std::to_string(bytes) + "}");
}

std::string InferInRegions(size_t images) {
  const std::string n = std::to_string(images);
  return R"({"inputs":[{"name":"image","datatype":"FP32","shape":[)" + n +
         R"(,64],"parameters":{"shared_memory_region":"in","shared_memory_byte_size":)" +
         std::to_string(images * 256) +
         R"(}}],"outputs":[{"name":"label","parameters":{"shared_memory_region":"out",)"
         R"("shared_memory_byte_size":)" +
         std::to_string(images * 8) + "}}]}";
}

TEST(InferenceTest, TensorsInSharedMemory) {
  const Digits digits = HeldOutDigits();
  Daemon daemon({"--allow-client-shm"});
  daemon.BringDigits();
  const SharedObject in("in", digits.pixels);
  const SharedObject out("out", std::string(digits.count() * 8, '\0'));
  EXPECT_STATUS(200, RegisterRegion(daemon, "in", in.key(), digits.pixels.size()));
  EXPECT_STATUS(200, RegisterRegion(daemon, "out", out.key().substr(1), digits.count() * 8));
  EXPECT_EQ(in.key(), At(daemon.Get("/v2/systemsharedmemory/region/in/status"), "/0/key"));
  const Reply reply = daemon.InferJson("digits", InferInRegions(digits.count()));
  ASSERT_EQ(200, reply.status) << Show(reply);
  EXPECT_EQ("", At(reply, "/outputs/0/data"));
  EXPECT_EQ("", At(reply, "/outputs/0/parameters"));
  const auto labels = ValuesOf<int64_t>(out.Content(digits.count() * 8));
  ASSERT_EQ(digits.count(), labels.size());
  size_t right = 0;
  for (size_t i = 0; i < labels.size(); ++i) right += labels[i] == digits.labels[i];
  EXPECT_GE(static_cast<double>(right) / static_cast<double>(labels.size()), 0.97);

  // The client takes back what it registered: an error, and the daemon goes on.
  ASSERT_EQ(0, ::ftruncate(in.fd(), 1000));
  EXPECT_REFUSED(400, "has become smaller",
                 daemon.InferJson("digits", InferInRegions(digits.count())));
  EXPECT_STATUS(200, daemon.InferJson("digits", InferInRegions(3)));
  ASSERT_EQ(0, ::ftruncate(out.fd(), 0));
  EXPECT_REFUSED(400, "has become smaller", daemon.InferJson("digits", InferInRegions(3)));
  EXPECT_EQ("", out.Content(100));
  EXPECT_STATUS(200, daemon.Post("/v2/systemsharedmemory/unregister"));
  EXPECT_REFUSED(404, "no shared memory region 'in'",
                 daemon.InferJson("digits", InferInRegions(3)));
}

TEST(InferenceTest, WhoseSharedMemoryIsTaken) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes objects of others";
  const SharedObject object("theirs", "0123456789abcdef");
  ASSERT_EQ(0, ::fchown(object.fd(), 12'345, 0));
  {
    Daemon daemon({"--allow-client-shm", "--client-shm-owners", "daemon,12344"});
    EXPECT_REFUSED(403, "--client-shm-owners", RegisterRegion(daemon, "r", object.key(), 16));
  }
  Daemon daemon({"--allow-client-shm", "--client-shm-owners", "12345,daemon"});
  EXPECT_STATUS(200, RegisterRegion(daemon, "r", object.key(), 16));
}

TEST(InferenceTest, SharedMemoryIsOffUnlessAskedFor) {
  const SharedObject object("off", "0123456789abcdef");
  Daemon daemon;
  EXPECT_REFUSED(501, "--allow-client-shm", RegisterRegion(daemon, "r", object.key(), 16));
  EXPECT_EQ("[]", daemon.Get("/v2/systemsharedmemory/status").body);
  const TempDir dir;
  const Ended ended = RunMlosd({"--auth", "off", "--data-dir", dir / "data", "--client-shm-owners",
                                "root,nobody-of-that-name"});
  EXPECT_EQ(2, ended.status);
  EXPECT_THAT(ended.output, HasSubstr("there is no user 'nobody-of-that-name'"));
}

}  // namespace
}  // namespace mlos::test
