// SPDX-License-Identifier: Apache-2.0
#include "frontends/grpc/reflection_method.h"

#include <google/protobuf/descriptor.pb.h>

#include <set>
#include <utility>

#include "base/buffer.h"
#include "base/protobuf_reader.h"
#include "base/protobuf_writer.h"

namespace mlos::grpc {
namespace {

namespace pb = google::protobuf;

// A question is a name.
constexpr size_t kMostRequest = 4 << 10;

// Numbers of fields of ServerReflectionRequest and ServerReflectionResponse.
namespace request {
enum : uint32_t {
  kHost = 1,
  kFileByName = 3,
  kFileOfSymbol = 4,
  kFileOfExtension = 5,
  kExtensionNumbers = 6,
  kListServices = 7,
};
}  // namespace request
namespace response {
enum : uint32_t {
  kValidHost = 1,
  kOriginalRequest = 2,
  kFiles = 4,
  kExtensions = 5,
  kServices = 6,
  kError = 7,
};
}  // namespace response

void AppendError(StatusCode code, std::string_view text, Buffer* out) {
  Buffer error;
  AppendNumber(1, static_cast<uint64_t>(code), &error);
  AppendString(2, text, &error);
  AppendMessage(response::kError, error.view(), out);
}

// The file and all that it imports, each once, as one may want them in order.
void AppendFile(const pb::FileDescriptor& file, std::set<const pb::FileDescriptor*>* done,
                Buffer* out) {
  if (!done->insert(&file).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) AppendFile(*file.dependency(i), done, out);
  pb::FileDescriptorProto proto;
  file.CopyTo(&proto);
  AppendString(1, proto.SerializeAsString(), out);
}

void AppendFiles(const pb::FileDescriptor* file, Buffer* out) {
  if (file == nullptr) return AppendError(StatusCode::kNotFound, "there is no such file", out);
  Buffer files;
  std::set<const pb::FileDescriptor*> done;
  AppendFile(*file, &done, &files);
  AppendMessage(response::kFiles, files.view(), out);
}

}  // namespace

std::string Reflection::Answer(std::string_view asked) const {
  Buffer out;
  FieldReader reader(asked);
  WireField field;
  WireField question;
  std::string_view host;
  while (reader.Next(&field)) {
    if (field.type != WireType::kBytes) continue;
    if (field.number == request::kHost) {
      host = field.bytes;
    } else {
      question = field;
    }
  }
  AppendString(response::kValidHost, host, &out);
  AppendString(response::kOriginalRequest, asked, &out);
  const std::string name(question.bytes);
  const auto find = [&](auto lookup) {
    const pb::FileDescriptor* found = nullptr;
    for (const pb::DescriptorPool* pool : pools_) {
      if (found == nullptr) found = lookup(*pool);
    }
    return found;
  };
  switch (reader.bad() ? 0 : question.number) {
    case request::kFileByName:
      AppendFiles(find([&](const auto& pool) { return pool.FindFileByName(name); }), &out);
      break;
    case request::kFileOfSymbol:
      AppendFiles(find([&](const auto& pool) { return pool.FindFileContainingSymbol(name); }),
                  &out);
      break;
    case request::kFileOfExtension:
      AppendError(StatusCode::kNotFound, "nothing here is extended", &out);
      break;
    case request::kExtensionNumbers: {
      Buffer none;
      AppendString(1, name, &none);
      AppendMessage(response::kExtensions, none.view(), &out);
      break;
    }
    case request::kListServices: {
      Buffer list;
      for (const std::string& service : services_) {
        Buffer one;
        AppendString(1, service, &one);
        AppendMessage(1, one.view(), &list);
      }
      AppendMessage(response::kServices, list.view(), &out);
      break;
    }
    default:
      AppendError(StatusCode::kInvalidArgument, "this is no question that can be answered", &out);
      break;
  }
  return std::string(out.view());
}

namespace {

// One question after the other; the next one is read when the answer is out.
class ReflectionHandler final : public rpc::Handler {
 public:
  ReflectionHandler(const Reflection& reflection, rpc::Call& call)
      : reflection_(reflection), call_(call) {}

  void OnMessage(std::optional<uint64_t>) override {}
  size_t OnData(std::span<const std::byte> data) override {
    if (sending_) {
      waiting_ = true;
      return 0;
    }
    if (request_.size() + data.size() > kMostRequest) {
      call_.Finish(ResourceExhausted("a question is no longer than a name"));
    } else {
      request_.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    return data.size();
  }
  void OnMessageEnd() override {
    if (cancelled_ || call_.finished()) return;
    if (sending_) {  // an empty message behind another one
      return call_.Finish(InvalidArgument("an empty question"));
    }
    answer_ = reflection_.Answer(std::exchange(request_, {}));
    sending_ = true;
    const iovec piece = {answer_.data(), answer_.size()};
    call_.Send({&piece, 1});
  }
  void OnHalfClose() override {
    half_closed_ = true;
    if (!sending_ && !cancelled_) call_.Finish(OkStatus());
  }
  void OnSent() override {
    sending_ = false;
    if (cancelled_) return;
    if (std::exchange(waiting_, false)) call_.Resume();
    if (half_closed_ && !sending_ && !call_.finished()) call_.Finish(OkStatus());
  }
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

 private:
  const Reflection& reflection_;
  rpc::Call& call_;
  std::string request_;
  std::string answer_;
  bool sending_ = false;
  bool waiting_ = false;
  bool half_closed_ = false;
  bool cancelled_ = false;
};

}  // namespace

rpc::Handler* Reflection::Begin(rpc::Call& call) { return new ReflectionHandler(*this, call); }

}  // namespace mlos::grpc
