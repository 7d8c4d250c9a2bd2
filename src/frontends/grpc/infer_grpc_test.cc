// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>
#include <utility>

#include "frontends/grpc/grpc_fixture.h"

namespace mlos::grpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;
using rpc::Answer;
using rpc::Framed;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class InferGrpcTest : public GrpcTest {};

TEST_F(InferGrpcTest, AnswersRaw) {
  ModelInferRequest request = Floats("id_FP32", {1, 2, 3});
  request.set_id("seven");
  const ModelInferResponse response = Response(Ask(request));
  EXPECT_EQ("id_FP32", response.model_name());
  EXPECT_EQ("1", response.model_version());
  EXPECT_EQ("seven", response.id());
  ASSERT_EQ(1, response.outputs_size());
  EXPECT_EQ("out", response.outputs(0).name());
  EXPECT_EQ("FP32", response.outputs(0).datatype());
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(3));
  EXPECT_THAT(response.raw_output_contents(), ElementsAre(BytesOf({1, 2, 3})));
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, TakesAMessageHoweverItIsCutAndWhateverIsLate) {
  for (const char* model : {"id_FP32", "later", "ondemand"}) {
    for (const bool allocate_later : {false, true}) {
      engine_.allocate_later = allocate_later;
      const std::string message = Framed(Floats(model, {1, 2, 3, 4}).SerializeAsString());
      for (const size_t step : {size_t{1}, size_t{7}, message.size()}) {
        const int32_t id = wire_.Open(kInfer);
        for (size_t at = 0; at < message.size(); at += step) {
          wire_.Send(id, message.substr(at, step), at + step >= message.size());
          wire_.Pump();
        }
        Settle();
        EXPECT_THAT(Response(wire_.answer(id)).raw_output_contents(),
                    ElementsAre(BytesOf({1, 2, 3, 4})))
            << model << " " << step;
      }
    }
  }
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, MovesALargeTensor) {
  std::vector<float> values(2'000'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  for (const char* model : {"id_FP32", "ondemand"}) {
    const ModelInferResponse response = Response(Ask(Floats(model, values)));
    EXPECT_TRUE(response.raw_output_contents(0) == BytesOf(values)) << model;
  }
  // Kept by nobody on its way but, while the model was loaded, what a window holds.
  EXPECT_LE(wire_.owner().most, 2u << 20);
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, KeepsWhatHasNoSizeBefore) {
  ModelInferRequest request;
  request.set_model_name("pair");
  const std::string strings("\2\0\0\0hi\0\0\0\0", 10);
  // In another order than the model's.
  const auto add = [&](const char* name, const char* datatype, const std::vector<int64_t>& shape,
                       const std::string& raw) {
    auto* input = request.add_inputs();
    input->set_name(name);
    input->set_datatype(datatype);
    for (const int64_t dim : shape) input->add_shape(dim);
    request.add_raw_input_contents(raw);
  };
  add("b", "FP32", {1, 2}, BytesOf({5, 6}));
  add("c", "BYTES", {2}, strings);
  add("a", "INT32", {1}, std::string("\7\0\0\0", 4));
  request.add_outputs()->set_name("c");
  request.add_outputs()->set_name("a");
  const ModelInferResponse response = Response(Ask(request));
  EXPECT_EQ("7", response.model_version());
  ASSERT_EQ(2, response.outputs_size());
  EXPECT_EQ("c", response.outputs(0).name());
  EXPECT_THAT(response.raw_output_contents(), ElementsAre(strings, std::string("\7\0\0\0", 4)));
  // A large one is accounted for, and given back.
  request.set_raw_input_contents(
      1, std::string("\0\0\4\0", 4) + std::string(0x40000, 'x') + std::string("\0\0\0\0", 4));
  EXPECT_EQ(2, Response(Ask(request)).outputs_size());
  EXPECT_GT(wire_.owner().most, 0x40000u);
  ExpectNothingLeft();
}

// What is first has a size before it.
TEST_F(InferGrpcTest, MovesStringsToo) {
  ModelInferRequest request;
  request.set_model_name("id_BYTES");
  auto* input = request.add_inputs();
  input->set_name("in");
  input->set_datatype("BYTES");
  input->add_shape(1);
  const std::string text = std::string("\0\0\x20\0", 4) + std::string(0x200000, 'x');
  request.add_raw_input_contents(text);
  EXPECT_TRUE(Response(Ask(request)).raw_output_contents(0) == text);
  EXPECT_LT(wire_.owner().most, 0x100000u);
  // Looked at when it is whole.
  request.set_raw_input_contents(0, std::string("\5\0\0\0abcd", 8));
  EXPECT_EQ("3", Ask(request).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, GivesNoContentsAnEntryToo) {
  const ModelInferResponse response = Response(Ask(Floats("id_FP32", {})));
  EXPECT_THAT(response.raw_output_contents(), ElementsAre(""));
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(0));
}

// The order of fields, numbers that are not packed, lists in pieces: all that an
// encoder may write.
TEST_F(InferGrpcTest, ReadsWhateverEncodersMayWrite) {
  const std::string name("\x0a\x02in", 4);
  const std::string datatype("\x12\x05INT32", 7);
  const std::string model("\x0a\x08id_INT32", 10);
  const auto input = [](const std::string& fields) {
    return "\x2a" + std::string(1, static_cast<char>(fields.size())) + fields;
  };
  const std::string shape("\x18\x03", 2);                                 // one number by itself
  const std::string contents("\x2a\x07\x10\x01\x12\x01\x02\x10\x03", 9);  // 1, [2], 3
  const auto join = [](std::initializer_list<std::string_view> parts) {
    std::string all;
    for (const std::string_view part : parts) all += part;
    return all;
  };
  for (const std::string& message :
       {join({model, input(join({name, datatype, shape, contents}))}),
        join({input(join({contents, shape, datatype, name})), model})}) {
    EXPECT_THAT(Response(Ask(message)).raw_output_contents(),
                ElementsAre(std::string("\1\0\0\0\2\0\0\0\3\0\0\0", 12)));
  }
  // Twice the same would be read in two ways.
  EXPECT_EQ("3",
            Ask(join({model, input(join({name, datatype, shape, contents, contents}))})).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, ReadsTypedContents) {
  ModelInferRequest request;
  request.set_model_name("id_INT16");
  auto* input = request.add_inputs();
  input->set_name("in");
  input->set_datatype("INT16");
  input->add_shape(2);
  input->mutable_contents()->add_int_contents(-2);
  input->mutable_contents()->add_int_contents(258);
  EXPECT_THAT(Response(Ask(request)).raw_output_contents(),
              ElementsAre(std::string("\xfe\xff\2\1", 4)));
  input->mutable_contents()->set_int_contents(1, 40000);
  EXPECT_THAT(Ask(request).message(), HasSubstr("40000"));
  input->mutable_contents()->clear_int_contents();
  EXPECT_EQ("3", Ask(request).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, ReadsTypedContentsOfEveryDatatype) {
  const auto ask = [&](const char* datatype, auto add) {
    ModelInferRequest request;
    request.set_model_name("id_" + std::string(datatype));
    auto* input = request.add_inputs();
    input->set_name("in");
    input->set_datatype(datatype);
    input->add_shape(2);
    for (int i = 0; i < 2; ++i) add(input->mutable_contents());
    const ModelInferResponse response = Response(Ask(request));
    return response.raw_output_contents_size() == 1 ? response.raw_output_contents(0) : "";
  };
  const auto twice = [](auto value) {
    const std::string one(reinterpret_cast<const char*>(&value), sizeof value);
    return one + one;
  };
  EXPECT_EQ(twice(true), ask("BOOL", [](auto* c) { c->add_bool_contents(true); }));
  EXPECT_EQ(twice(int8_t{-128}), ask("INT8", [](auto* c) { c->add_int_contents(-128); }));
  EXPECT_EQ(twice(INT32_MIN), ask("INT32", [](auto* c) { c->add_int_contents(INT32_MIN); }));
  EXPECT_EQ(twice(INT64_MIN), ask("INT64", [](auto* c) { c->add_int64_contents(INT64_MIN); }));
  EXPECT_EQ(twice(uint8_t{255}), ask("UINT8", [](auto* c) { c->add_uint_contents(255); }));
  EXPECT_EQ(twice(uint16_t{65535}), ask("UINT16", [](auto* c) { c->add_uint_contents(65535); }));
  EXPECT_EQ(twice(UINT32_MAX), ask("UINT32", [](auto* c) { c->add_uint_contents(UINT32_MAX); }));
  EXPECT_EQ(twice(UINT64_MAX), ask("UINT64", [](auto* c) { c->add_uint64_contents(UINT64_MAX); }));
  EXPECT_EQ(twice(-0.0f), ask("FP32", [](auto* c) { c->add_fp32_contents(-0.0f); }));
  EXPECT_EQ(twice(0.1), ask("FP64", [](auto* c) { c->add_fp64_contents(0.1); }));
  EXPECT_EQ(std::string("\2\0\0\0\xff\0\2\0\0\0\xff\0", 12),
            ask("BYTES", [](auto* c) { c->add_bytes_contents(std::string("\xff\0", 2)); }));
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, PassesTheModelsCodeOn) {
  for (int code = 1; code <= 16; ++code) {
    const std::string model = "fail_" + CodeName(static_cast<StatusCode>(code));
    const Answer& answer = Ask(Floats(model, {1}));
    EXPECT_EQ(std::to_string(code), answer.status());
    EXPECT_EQ("this model fails", answer.message());
    EXPECT_THAT(answer.messages(), IsEmpty());
  }
  EXPECT_EQ("14", Ask(Floats("unloaded", {1})).status());
  EXPECT_EQ("5", Ask(Floats("nothing", {1})).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, RefusesWhatIsWrong) {
  const std::string good = Floats("id_FP32", {1, 2}).SerializeAsString();
  const std::string late = ModelInferRequest(Floats("x", {})).SerializeAsString().substr(0, 3);
  const auto with = [](const std::function<void(ModelInferRequest*)>& change) {
    ModelInferRequest request = Floats("id_FP32", {1, 2});
    change(&request);
    return request.SerializeAsString();
  };
  const std::pair<std::string, std::string> cases[] = {
      {"damaged", std::string(20, '\xff')},
      {"damaged", "\x0b\x0c"},                     // a group
      {"UTF-8", std::string("\x0a\x02\xff\xfe")},  // a text that is no UTF-8
      {"cut off", good.substr(0, good.size() - 1)},
      {"cut off", "\x3a"},
      {"behind raw_input_contents", good + late},
      {"raw_input_contents", with([](auto* r) { r->add_raw_input_contents("more"); })},
      {"twice", with([](auto* r) {
         *r->add_inputs() = r->inputs(0);
         r->mutable_inputs(1)->set_name("in");
       })},
      {"8", with([](auto* r) { r->set_raw_input_contents(0, "1234567"); })},
      {"8", with([](auto* r) { r->set_raw_input_contents(0, "123456789"); })},
      {"not a datatype", with([](auto* r) { r->mutable_inputs(0)->set_datatype("FP31"); })},
      {"datatype", with([](auto* r) { r->mutable_inputs(0)->set_datatype("FP64"); })},
      {"'out2'", with([](auto* r) { r->add_outputs()->set_name("out2"); })},
      {"dimensions", with([](auto* r) {
         for (int i = 0; i < 20; ++i) r->mutable_inputs(0)->add_shape(1);
       })},
      {"contents",
       with([](auto* r) { r->mutable_inputs(0)->mutable_contents()->add_fp32_contents(1); })},
      {"triton_",
       with([](auto* r) { (*r->mutable_parameters())["triton_x"].set_bool_param(true); })},
  };
  for (const auto& [text, message] : cases) {
    const Answer& answer = Ask(message);
    EXPECT_THAT(answer.status(), testing::AnyOf("3", "12")) << text;
    EXPECT_THAT(answer.message(), HasSubstr(text));
  }
  // A field that only a later version of the protocol knows is no fault.
  EXPECT_EQ("0", Ask(good + std::string("\xfa\x01\x02hi")).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, PassesCustomParametersOn) {
  ModelInferRequest request = Floats("id_FP32", {1});
  (*request.mutable_parameters())["mode"].set_string_param("a\"b");
  (*request.mutable_parameters())["timeout"].set_int64_param(1000);
  (*request.mutable_parameters())["triton_enable_empty_final_response"].set_bool_param(true);
  EXPECT_EQ("0", Ask(request).status());
  EXPECT_EQ(R"({"mode":"a\"b"})", engine_.last_parameters());
}

TEST_F(InferGrpcTest, StopsAtEveryStageWhenTheClientLeaves) {
  const std::string message = Framed(Floats("id_FP32", {1, 2, 3}).SerializeAsString());
  for (size_t part = 0; part <= message.size(); ++part) {
    const int32_t id = wire_.Open(kInfer);
    wire_.Send(id, message.substr(0, part), false);
    wire_.Pump();
    wire_.Reset(id);
    Settle();
    ExpectNothingLeft();
  }
  for (const char* model : {"hang", "later", "ondemand"}) {
    const int32_t id = wire_.Open(kInfer);
    wire_.Send(id, Framed(Floats(model, {1}).SerializeAsString()), true);
    wire_.Pump();
    EXPECT_EQ(1, engine_.running);
    wire_.Reset(id);
    Settle();
    ExpectNothingLeft();
  }
}

TEST_F(InferGrpcTest, LetsOnlyAFewSlowRequestsHoldMemoryOfTheChannel) {
  const std::string message = Framed(Floats("id_FP32", {1, 2, 3}).SerializeAsString());
  OpenFills& fills = services_.context().fills;
  const int others[2] = {};
  uint32_t taken[2] = {};
  for (int i = 0; i < 2; ++i) {
    while (fills.Take(&others[i], 1)) ++taken[i];
  }
  const uint32_t before = fills.count();
  const uint32_t rest = OpenFills::kMost - before;
  std::vector<int32_t> ids;
  for (uint32_t i = 0; i < rest; ++i) {
    ids.push_back(wire_.Open(kInfer));
    wire_.Send(ids.back(), message.substr(0, message.size() - 5), false);
  }
  wire_.Pump();
  EXPECT_EQ(before + rest / 2, fills.count());  // half, for one connection
  EXPECT_EQ("0", Ask(Floats("id_FP32", {4})).status());
  for (const int32_t id : ids) {
    wire_.Send(id, message.substr(message.size() - 5), true);
    Settle();
    EXPECT_THAT(Response(wire_.answer(id)).raw_output_contents(), ElementsAre(BytesOf({1, 2, 3})));
  }
  for (int i = 0; i < 2; ++i) {
    for (; taken[i] > 0; --taken[i]) fills.Give(&others[i], 1);
  }
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, GivesNoMemoryForInputsThatTheMessageHasNoRoomFor) {
  ModelInferRequest request;
  request.set_model_name("pair");
  for (const auto& [name, datatype] : {std::pair("a", "INT32"), std::pair("b", "FP32")}) {
    auto* input = request.add_inputs();
    input->set_name(name);
    input->set_datatype(datatype);
    input->add_shape(1);
  }
  request.mutable_inputs(1)->set_shape(0, 1 << 20);
  request.mutable_inputs(1)->add_shape(2);
  request.add_raw_input_contents("1234");
  request.add_raw_input_contents("12345678");
  const std::string message = Framed(request.SerializeAsString());
  const int32_t id = wire_.Open(kInfer);
  wire_.Send(id, message.substr(0, message.size() - 1), false);
  Settle();
  EXPECT_EQ(0u, services_.context().fills.count());
  wire_.Send(id, message.substr(message.size() - 1), true);
  Settle();
  EXPECT_EQ("3", wire_.answer(id).status());
  ExpectNothingLeft();
}

// ------------------------------------------------------------------------ streams

std::vector<ModelStreamInferResponse> StreamOf(const Answer& answer) {
  std::vector<ModelStreamInferResponse> out;
  for (const std::string& message : answer.messages()) {
    out.emplace_back();
    EXPECT_TRUE(out.back().ParseFromString(message));
  }
  return out;
}

TEST_F(InferGrpcTest, StreamsAnswersInTheOrderOfRequests) {
  const int32_t id = wire_.Open(kStream);
  // The first is the last to be done.
  for (const char* model : {"later", "id_FP32", "nothing", "id_FP32"}) {
    ModelInferRequest request = Floats(model, {1});
    request.set_id(model);
    wire_.Send(id, Framed(request.SerializeAsString()), false);
  }
  Settle();
  wire_.Send(id, "", true);
  Settle();
  const auto answers = StreamOf(wire_.answer(id));
  ASSERT_EQ(4u, answers.size());
  EXPECT_EQ("later", answers[0].infer_response().id());
  EXPECT_EQ("id_FP32", answers[1].infer_response().id());
  EXPECT_THAT(answers[1].infer_response().raw_output_contents(), ElementsAre(BytesOf({1})));
  EXPECT_THAT(answers[2].error_message(), HasSubstr("nothing"));
  EXPECT_EQ("nothing", answers[2].infer_response().id());
  for (const auto& answer : answers) {
    EXPECT_TRUE(answer.infer_response().parameters().at("triton_final_response").bool_param());
  }
  EXPECT_EQ("0", wire_.answer(id).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, HoldsAStreamBackThatHasManyUnderWay) {
  const int32_t id = wire_.Open(kStream);
  const std::string message = Framed(Floats("hang", {1}).SerializeAsString());
  for (int i = 0; i < 100; ++i) wire_.Send(id, message, false);
  Settle();
  EXPECT_EQ(32, engine_.running);
  wire_.Reset(id);
  Settle();
  ExpectNothingLeft();
}

// They have no byte that could be held back.
TEST_F(InferGrpcTest, EndsAStreamThatIsFloodedWithEmptyMessages) {
  const int32_t id = wire_.Open(kStream);
  wire_.Send(id, Framed(Floats("hang", {1}).SerializeAsString()), false);
  for (int i = 0; i < 100; ++i) wire_.Send(id, Framed(""), false);
  Settle();
  EXPECT_EQ("8", wire_.answer(id).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, CountsWhatTheRequestsOfAStreamKeep) {
  const int32_t id = wire_.Open(kStream);
  ModelInferRequest request = Floats("hang", {1});
  request.set_id(std::string(20'000, 'x'));
  for (int i = 0; i < 10; ++i) wire_.Send(id, Framed(request.SerializeAsString()), false);
  Settle();
  EXPECT_EQ(10, engine_.running);
  EXPECT_GT(wire_.owner().reserved, 200'000u);
  wire_.Reset(id);
  Settle();
  ExpectNothingLeft();
}

// Two bytes each, and hundreds when they are decoded.
TEST_F(InferGrpcTest, CountsInputsAsLargeAsTheyAre) {
  ModelInferRequest request = Floats("hang", {1});
  for (int i = 0; i < 1000; ++i) request.add_outputs();
  EXPECT_EQ("3", Ask(request).status());
  EXPECT_GT(wire_.owner().most, 100'000u);
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, EndsAStreamAtItsFirstErrorWhereAskedTo) {
  const int32_t id = wire_.Open(kStream, {{"triton_grpc_error", "true"}});
  wire_.Send(id, Framed(Floats("id_FP32", {1}).SerializeAsString()), false);
  wire_.Send(id, Framed(Floats("nothing", {1}).SerializeAsString()), false);
  wire_.Send(id, Framed(Floats("id_FP32", {1}).SerializeAsString()), false);
  Settle();
  EXPECT_EQ(1u, wire_.answer(id).messages().size());
  EXPECT_EQ("5", wire_.answer(id).status());
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, GoesOnInAStreamAfterABadMessage) {
  const int32_t id = wire_.Open(kStream);
  wire_.Send(id, Framed("\x0b\x0c") + Framed(Floats("id_FP32", {1}).SerializeAsString()), true);
  Settle();
  const auto answers = StreamOf(wire_.answer(id));
  ASSERT_EQ(2u, answers.size());
  EXPECT_THAT(answers[0].error_message(), HasSubstr("damaged"));
  EXPECT_EQ("", answers[1].error_message());
}

// ------------------------------------------------------------------------ slices

// Each is more than the loop does in one go; what the answer's raw contents are.
std::vector<std::pair<ModelInferRequest, std::string>> Large() {
  std::vector<std::pair<ModelInferRequest, std::string>> out;
  const auto one = [&](const char* model, const char* datatype, int64_t count) {
    ModelInferRequest& request = out.emplace_back().first;
    request.set_model_name(model);
    auto* input = request.add_inputs();
    input->set_name("in");
    input->set_datatype(datatype);
    input->add_shape(count);
    return input->mutable_contents();
  };
  auto* numbers = one("id_UINT8", "UINT8", 2 << 20);
  for (int i = 0; i < 2 << 20; ++i) numbers->add_uint_contents(7);
  out.back().second.assign(2 << 20, '\7');
  auto* strings = one("id_BYTES", "BYTES", 500'000);
  for (int i = 0; i < 500'000; ++i) strings->add_bytes_contents("");
  out.back().second.assign(2'000'000, '\0');
  // Raw contents that are kept, because their sizes do not follow from the shapes.
  ModelInferRequest& pair = out.emplace_back().first;
  pair.set_model_name("pair");
  const std::string string = std::string("\0\0\x80\0", 4) + std::string(8 << 20, 'x');
  for (const auto& [name, datatype, raw] :
       {std::tuple("a", "INT32", std::string("\7\0\0\0", 4)),
        std::tuple("b", "FP32", BytesOf({5, 6})), std::tuple("c", "BYTES", string)}) {
    auto* input = pair.add_inputs();
    input->set_name(name);
    input->set_datatype(datatype);
    input->add_shape(1);
    pair.add_raw_input_contents(raw);
  }
  pair.mutable_inputs(1)->add_shape(2);
  pair.add_outputs()->set_name("c");
  out.back().second = string;
  return out;
}

TEST_F(InferGrpcTest, AnswersOthersWhileItReadsALargeRequest) {
  const std::string small = Framed(Floats("id_FP32", {1}).SerializeAsString());
  for (const auto& [request, raw] : Large()) {
    const int32_t large = wire_.Open(kInfer);
    wire_.Send(large, Framed(request.SerializeAsString()), true);
    wire_.Pump(false);
    int between = 0;
    while (std::exchange(wire_.owner().turn, false)) {
      const int32_t other = wire_.Open(kInfer);
      wire_.Send(other, small, true);
      wire_.Pump(false);
      ASSERT_EQ("0", wire_.answer(other).status());
      if (!wire_.answer(large).closed) ++between;
      wire_.session().Turn();
    }
    EXPECT_GT(between, 4) << request.model_name();
    Settle();
    EXPECT_TRUE(Response(wire_.answer(large)).raw_output_contents(0) == raw);
  }
  ExpectNothingLeft();
}

TEST_F(InferGrpcTest, LeavesALargeRequestWhereverItIsWhenItsClientGoes) {
  for (const auto& [request, raw] : Large()) {
    const std::string message = Framed(request.SerializeAsString());
    for (int turns = 0; turns < 20; turns += 3) {
      const int32_t id = wire_.Open(kInfer);
      wire_.Send(id, message, true);
      wire_.Pump(false);
      for (int i = 0; i < turns && std::exchange(wire_.owner().turn, false); ++i) {
        wire_.session().Turn();
      }
      wire_.Reset(id);
      Settle();
      ExpectNothingLeft();
    }
  }
}

TEST_F(InferGrpcTest, AStreamsLargeRequestsTakeTurnsAndKeepTheirOrder) {
  const int32_t id = wire_.Open(kStream);
  auto requests = Large();
  std::reverse(requests.begin(), requests.end());
  for (const auto& [request, raw] : requests) {
    wire_.Send(id, Framed(request.SerializeAsString()), false);
  }
  wire_.Send(id, Framed(Floats("id_FP32", {1}).SerializeAsString()), true);
  Settle();
  const auto answers = StreamOf(wire_.answer(id));
  ASSERT_EQ(requests.size() + 1, answers.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ("", answers[i].error_message());
    EXPECT_TRUE(answers[i].infer_response().raw_output_contents(0) == requests[i].second) << i;
  }
  ExpectNothingLeft();
}

// Elements are looked at as they come: nothing is left to do for a large tensor
// at its end, and what is wrong is said before.
TEST_F(InferGrpcTest, LooksAtRawElementsAsTheyArrive) {
  for (const auto& [datatype, raw] :
       {std::pair("BOOL", "\1\1\2" + std::string(50'000, '\1')),
        std::pair("BYTES", std::string("\xff\xff\xff\0", 4) + std::string(50'000, 'x'))}) {
    ModelInferRequest request;
    request.set_model_name("id_" + std::string(datatype));
    auto* input = request.add_inputs();
    input->set_name("in");
    input->set_datatype(datatype);
    input->add_shape(std::string("BOOL") == datatype ? 50'003 : 1);
    request.add_raw_input_contents(raw);
    const int32_t id = wire_.Open(kInfer);
    wire_.Send(id, Framed(request.SerializeAsString()).substr(0, 20'000), false);
    Settle();
    EXPECT_EQ("3", wire_.answer(id).status());
    EXPECT_THAT(wire_.answer(id).message(), HasSubstr("input 'in'"));
    wire_.Reset(id);
    Settle();
    ExpectNothingLeft();
  }
}

TEST_F(InferGrpcTest, BoundsWhatStandsBesideTheElements) {
  ModelInferRequest request = Floats("id_FP32", {1});
  request.set_id(std::string(1 << 20, 'x'));
  EXPECT_THAT(Ask(request).message(), HasSubstr("beside its tensors"));
  request.clear_id();
  for (int i = 0; i < 20'000; ++i) {
    (*request.mutable_inputs(0)->mutable_parameters())[std::string(50, 'x') + std::to_string(i)];
  }
  EXPECT_THAT(Ask(request).message(), HasSubstr("beside its tensors"));
  ExpectNothingLeft();
}

// ------------------------------------------------------------------------- drain

TEST_F(InferGrpcTest, LetsStreamsGoWhenItDrains) {
  const int32_t idle = wire_.Open(kStream);
  const int32_t watch = wire_.Open("/grpc.health.v1.Health/Watch");
  wire_.Send(watch, Framed(""), true);
  Settle();
  EXPECT_EQ("\x08\x01", wire_.answer(watch).messages().at(0));
  services_.set_draining();
  for (int i = 0; i < 2; ++i) {
    wire_.session().Sweep(NowNanos());
    Settle();
  }
  EXPECT_EQ("14", wire_.answer(idle).status());
  EXPECT_EQ("\x08\x02", wire_.answer(watch).messages().at(1));
  EXPECT_EQ("14", wire_.answer(watch).status());
  EXPECT_EQ("14", Ask(Floats("id_FP32", {1})).status());
  EXPECT_EQ("0", Ask("", "/grpc.health.v1.Health/Check").status());
}

TEST_F(InferGrpcTest, ABusyStreamEndsWithWhatItHadWhenItDrains) {
  const int32_t id = wire_.Open(kStream);
  wire_.Send(id, Framed(Floats("later", {1}).SerializeAsString()), false);
  wire_.Pump();
  EXPECT_EQ(1, engine_.running);
  services_.set_draining();
  wire_.Send(id, Framed(Floats("id_FP32", {1}).SerializeAsString()), false);
  Settle();
  EXPECT_EQ(1u, wire_.answer(id).messages().size());
  EXPECT_EQ("14", wire_.answer(id).status());
  ExpectNothingLeft();
}

}  // namespace
}  // namespace mlos::grpc
