// SPDX-License-Identifier: Apache-2.0
//
// mlos.v1.Management and reflection, called as a client without code for their
// messages would.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>

#include <boost/json/serialize.hpp>
#include <memory>

#include "base/json.h"
#include "base/protobuf_reader.h"
#include "frontends/grpc/grpc_fixture.h"
#include "operations/proto_document.h"

namespace mlos::grpc {
namespace {

namespace pb = google::protobuf;
using control::OperationKind;
using testing::ElementsAre;
using testing::HasSubstr;

class ManagementGrpcTest : public GrpcTest {
 protected:
  ManagementGrpcTest() {
    // What a reflecting client gets is all that it knows.
    for (const std::string& file : Files("mlos.v1.Management")) {
      pb::FileDescriptorProto proto;
      EXPECT_TRUE(proto.ParseFromString(file));
      EXPECT_NE(nullptr, pool_.BuildFile(proto)) << proto.name();
    }
    service_ = pool_.FindServiceByName("mlos.v1.Management");
  }

  // The files that describe a symbol, dependencies first.
  std::vector<std::string> Files(const std::string& symbol) {
    std::vector<std::string> files;
    const std::string answer =
        Reflect(std::string("\x22") + static_cast<char>(symbol.size()) + symbol);
    FieldReader reader(answer);
    WireField field;
    while (reader.Next(&field)) {
      if (field.number != 4) continue;
      FieldReader list(field.bytes);
      while (list.Next(&field)) files.emplace_back(field.bytes);
    }
    return files;
  }
  std::string Reflect(const std::string& question, std::string_view version = "v1") {
    const rpc::Answer& answer = Ask(question, "/grpc.reflection." + std::string(version) +
                                                  ".ServerReflection/ServerReflectionInfo");
    EXPECT_EQ("0", answer.status());
    return answer.messages().size() == 1 ? answer.messages()[0] : std::string();
  }

  // Calls with a request as JSON; the answers as JSON.
  std::vector<std::string> Manage(const std::string& method, const std::string& request) {
    const pb::MethodDescriptor* m = service_->FindMethodByName(method);
    EXPECT_NE(nullptr, m) << method;
    const std::unique_ptr<pb::Message> message(factory_.GetPrototype(m->input_type())->New());
    EXPECT_TRUE(pb::util::JsonStringToMessage(request, message.get()).ok()) << request;
    const rpc::Answer& answer = Ask(message->SerializeAsString(), "/mlos.v1.Management/" + method);
    status_ = answer.status();
    text_ = answer.message();
    hint_ = answer.heads.empty()                         ? std::string()
            : answer.heads.back().count("mlos-hint") > 0 ? answer.heads.back().at("mlos-hint")
                                                         : std::string();
    std::vector<std::string> out;
    for (const std::string& bytes : answer.messages()) {
      const std::unique_ptr<pb::Message> got(factory_.GetPrototype(m->output_type())->New());
      EXPECT_TRUE(got->ParseFromString(bytes));
      pb::util::JsonPrintOptions options;
      options.preserve_proto_field_names = true;
      EXPECT_TRUE(pb::util::MessageToJsonString(*got, &out.emplace_back(), options).ok());
    }
    return out;
  }

  // What takes long is said to go on before it ends.
  void GoOn() {
    const auto say = [](const char* state, bool accepted) {
      return [=](const control::Operation&) {
        control::Outcome outcome;
        outcome.accepted = accepted;
        outcome.body = boost::json::object{{"state", state}};
        return outcome;
      };
    };
    control_.begun = say("loading", true);
    control_.answer = say("ready", false);
  }

  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_{&pool_};
  const pb::ServiceDescriptor* service_ = nullptr;
  std::string status_;
  std::string hint_;
};

TEST_F(ManagementGrpcTest, HasEveryOperation) {
  ASSERT_NE(nullptr, service_);
  EXPECT_EQ(operations::Operations().size(), static_cast<size_t>(service_->method_count()));
  for (const operations::OperationRow& row : operations::Operations()) {
    control_.operations.clear();
    Manage(std::string(operations::MethodName(row)), "{}");
    ASSERT_FALSE(control_.operations.empty()) << row.name;
    EXPECT_EQ(row.kind, control_.operations[0].kind) << row.name;
    EXPECT_EQ("0", status_) << row.name << ": " << text_;
  }
}

TEST_F(ManagementGrpcTest, PassesAndAnswersWhatHttpDoes) {
  control_.answer = [](const control::Operation&) {
    control::Outcome outcome;
    outcome.created = true;
    outcome.body = ParseJson(R"({"name":"m","version":"2","state":"registered","labels":["a"],
        "metadata":{"team":"vision"},"files":[{"name":"f","bytes":7,"sha256":null}],
        "new_in_a_later_version":1})")
                       .value();
    return outcome;
  };
  EXPECT_THAT(
      Manage("RegisterModel", R"({"name":"m","path":"/x","version":"2","config":{"a":[1]}})"),
      ElementsAre(R"({"name":"m","version":"2","state":"registered","labels":["a"],)"
                  R"("metadata":{"team":"vision"},"files":[{"name":"f","bytes":"7"}]})"));
  const control::Operation& operation = control_.operations.back();
  EXPECT_EQ("", operation.name);
  EXPECT_EQ(R"({"name":"m","path":"/x","version":"2","config":{"a":[1]}})",
            boost::json::serialize(operation.body));

  Manage("GetModel", R"({"name":"m","version":"2"})");
  EXPECT_EQ("m", control_.operations.back().name);
  EXPECT_EQ("2", control_.operations.back().version);
  EXPECT_TRUE(control_.operations.back().body.empty());
  EXPECT_TRUE(control_.operations.back().wait);

  Manage("ReadLog", R"({"tail":"5","level":"info"})");
  EXPECT_EQ(R"({"tail":5,"level":"info"})",
            boost::json::serialize(control_.operations.back().body));
}

TEST_F(ManagementGrpcTest, AnswersErrorsWithWhatToDo) {
  control_.answer = [](const auto&) {
    control::Outcome outcome;
    outcome.status = NotFound("there is no model 'm'");
    outcome.hint = "mlos model list shows all";
    return outcome;
  };
  EXPECT_TRUE(Manage("GetModel", R"({"name":"m","version":"2"})").empty());
  EXPECT_EQ("5", status_);
  EXPECT_THAT(text_, HasSubstr("there is no model 'm': mlos model list shows all"));
  EXPECT_TRUE(Manage("LoadModel", R"({"name":"m","version":"2"})").empty());
  EXPECT_EQ("5", status_);
  EXPECT_EQ("mlos model list shows all", hint_);
  EXPECT_EQ("3", Ask("\xff", "/mlos.v1.Management/GetModel").status());
}

TEST_F(ManagementGrpcTest, TellsThatItGoesOn) {
  GoOn();
  EXPECT_THAT(Manage("LoadModel", R"({"name":"m","version":"2"})"),
              ElementsAre(R"({"object":{"state":"loading"}})",
                          R"({"done":true,"object":{"state":"ready"}})"));
  ASSERT_EQ(1u, control_.operations.size()) << "another would undo what others did meanwhile";
  EXPECT_EQ("2", control_.operations[0].version);
  EXPECT_TRUE(control_.operations[0].wait);
  EXPECT_EQ(2u, Manage("RollBackPlugin", R"({"name":"p"})").size());
  EXPECT_EQ(2u, control_.operations.size());
  // It went on, and came to nothing.
  control_.answer = [](const auto&) {
    control::Outcome outcome;
    outcome.status = Unavailable("its host died");
    return outcome;
  };
  EXPECT_EQ(1u, Manage("LoadModel", R"({"name":"m","version":"2"})").size());
  EXPECT_EQ("14", status_);
}

TEST_F(ManagementGrpcTest, AnswersInOrderHoweverLateTheClientReads) {
  rpc::Wire slow(services_.dispatcher(), {}, 0, false);
  GoOn();
  const int32_t id = slow.Open("/mlos.v1.Management/LoadModel");
  slow.Send(id, rpc::Framed(""), true);
  const auto turn = [&] {
    slow.Pump();
    loop_.io().restart();
    loop_.io().poll();
  };
  for (int i = 0; i < 4; ++i) turn();
  EXPECT_TRUE(slow.answer(id).messages().empty());
  EXPECT_EQ(1u, control_.operations.size());
  nghttp2_submit_window_update(slow.client(), NGHTTP2_FLAG_NONE, id, 1 << 16);
  for (int i = 0; i < 4; ++i) turn();
  EXPECT_EQ(2u, slow.answer(id).messages().size());
  EXPECT_EQ("0", slow.answer(id).status());
}

// What a request may cost follows from what it can hold.
TEST_F(ManagementGrpcTest, BoundsRequests) {
  const std::string name(20'000, 'x');
  Manage("GetModel", R"({"name":")" + name + R"("})");
  EXPECT_EQ("8", status_);
  EXPECT_TRUE(control_.operations.empty());
  Manage("RegisterModel", R"({"name":"m","path":"/p","metadata":{"a":")" + name + R"("}})");
  EXPECT_EQ("0", status_);
  Manage("RegisterModel",
         R"({"name":"m","path":"/p","metadata":{"a":")" + std::string(256 << 10, 'x') + R"("}})");
  EXPECT_EQ("8", status_);
}

// The library's own messages and ours made from the table are the same.
TEST_F(ManagementGrpcTest, KeepsWhatIsInObjects) {
  const std::string config =
      R"({"a":[1,-2,0.5,1e300,null,true,"\u00e4",[],[[{}]],{}],"b":{"c":{"d":""}},"":false})";
  Manage("RegisterModel", R"({"name":"m","path":"/x","config":)" + config + "}");
  ASSERT_EQ("0", status_) << text_;
  EXPECT_EQ(ParseJson(config).value(), control_.operations.back().body.at("config"));
  control_.answer = [&](const auto&) {
    control::Outcome outcome;
    outcome.body = boost::json::object{{"metadata", ParseJson(config).value()}};
    return outcome;
  };
  const auto answers = Manage("GetModel", R"({"name":"m","version":"2"})");
  ASSERT_EQ(1u, answers.size());
  EXPECT_EQ(ParseJson(config).value(), ParseJson(answers[0]).value().at("metadata"));
}

TEST_F(ManagementGrpcTest, ReflectsItsServices) {
  for (const char* version : {"v1", "v1alpha"}) {
    const std::string list = Reflect(std::string("\x3a\x00", 2), version);
    EXPECT_THAT(list, HasSubstr("inference.GRPCInferenceService"));
    EXPECT_THAT(list, HasSubstr("grpc.health.v1.Health"));
    EXPECT_THAT(list, HasSubstr("mlos.v1.Management"));
  }
  // Each file once, and what it imports before it.
  std::vector<std::string> names;
  for (const std::string& file : Files("inference.GRPCInferenceService")) {
    pb::FileDescriptorProto proto;
    ASSERT_TRUE(proto.ParseFromString(file));
    names.push_back(proto.name());
  }
  EXPECT_THAT(names, ElementsAre("model_config.proto", "inference.proto"));
  EXPECT_TRUE(Files("no.such.Thing").empty());
  EXPECT_THAT(Reflect("\xff"), HasSubstr("no question"));
  EXPECT_EQ("8", Ask(std::string(10'000, 'x'),
                     "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
                     .status());
}

}  // namespace
}  // namespace mlos::grpc
