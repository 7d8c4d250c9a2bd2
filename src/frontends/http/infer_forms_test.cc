// SPDX-License-Identifier: Apache-2.0
//
// The forms in which tensors and parameters travel: raw requests, requested
// outputs in every combination, tensors without elements, text that is none.
#include <tuple>

#include "frontends/http/infer_fixture.h"
#include "frontends/http/infer_request.h"

namespace mlos::http {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kRaw = "Inference-Header-Content-Length: 0\r\n";

class InferForms : public InferHttp {
 protected:
  // The model "pair" with a [2], b [1,2] and, if asked for, c [1].
  Reply Pair(std::string_view more, bool with_c = true) {
    std::string json = R"({"inputs":[{"name":"a","datatype":"INT32","shape":[2],"data":[5,6]},)"
                       R"({"name":"b","datatype":"FP32","shape":[1,2],"data":[1.5,2]})";
    if (with_c) json += R"(,{"name":"c","datatype":"BYTES","shape":[1],"data":["xyz"]})";
    return Infer("pair", json + "]" + std::string(more) + "}");
  }
  // One FP32 and parameters of the request.
  Reply With(std::string_view parameters) {
    return Infer("id_FP32", R"({"parameters":)" + std::string(parameters) +
                                R"(,"inputs":[{"name":"in","datatype":"FP32","shape":[1],)"
                                R"("data":[1]}]})");
  }
};

// ------------------------------------------------------------- raw requests

TEST_F(InferForms, ARawRequestIsOfBatchOneAndComesBackBinary) {
  const std::string two = Raw<float>({1, 2});
  const Reply batch = Infer("batch", two, kRaw);
  ASSERT_EQ(batch.status, 200) << batch.body;
  EXPECT_EQ(JsonPart(batch),
            R"({"model_name":"batch","model_version":"1","outputs":[{"name":"out","datatype":)"
            R"("FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]})");
  EXPECT_EQ(BlobPart(batch), two);
  EXPECT_EQ(batch.fields.at("content-type"), "application/octet-stream");
}

TEST_F(InferForms, ARawRequestOfEveryDatatype) {
  for (const char* name : {"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
                           "FP16", "BF16", "FP32", "FP64"}) {
    SCOPED_TRACE(name);
    const Reply reply = Infer("id_" + std::string(name), std::string(16, 'a'), kRaw);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(BlobPart(reply), std::string(16, 'a'));
  }
  const Reply booleans = Infer("id_BOOL", std::string("\0\1\1", 3), kRaw);
  ASSERT_EQ(booleans.status, 200);
  EXPECT_EQ(BlobPart(booleans), std::string("\0\1\1", 3));
  ExpectError(Infer("id_BOOL", "\2", kRaw), 400, "element 0 of a BOOL");
}

TEST_F(InferForms, ARawRequestWithoutBytes) {
  const Reply none = Infer("id_FP32", "", kRaw);
  EXPECT_EQ(none.status, 200);
  EXPECT_THAT(none.body, HasSubstr(R"("shape":[0],"parameters":{"binary_data_size":0})"));
  EXPECT_EQ(none.fields.count("inference-header-content-length"), 0u);
  const Reply empty_word = Infer("word", "", kRaw);
  ASSERT_EQ(empty_word.status, 200);
  EXPECT_EQ(BlobPart(empty_word), RawStrings({""}));
  ExpectError(Infer("batch", "", kRaw), 400, "takes 8");
}

TEST_F(InferForms, WhichModelsTakeNoRawRequest) {
  ExpectError(Infer("pair", "1234", kRaw), 400, "exactly one input, this has 3");
  ExpectError(Infer("id_BYTES", "hello", kRaw), 400,
              "model 'id_BYTES': input 'in': a raw binary request for BYTES needs an input of one "
              "element, but the model takes [-1]");
  ExpectError(Infer("loose", "12345678", kRaw), 400, "at most one variable dimension");
  ExpectError(Infer("nobody", "1234", kRaw), 404, "nobody");
}

// More than a request of the suite could carry: nothing of it is looked at.
TEST(InferDecoderTest, ARawElementThatIsTooLongForItsPrefix) {
  ModelInfo model;
  model.inputs = {{"in", tensor::Datatype::kBytes, {1}, false}};
  model.outputs = model.inputs;
  InferDecoder decoder;
  InferRequest request;
  tensor::RequestPlan plan;
  const char byte = 0;
  ASSERT_TRUE(decoder.Parse({&byte, uint64_t{1} << 32}, 0, &request).ok());
  const Status status = decoder.Plan("m", model, &request, &plan);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("at most 4294967295 bytes"));
  ASSERT_TRUE(decoder.Parse({&byte, (uint64_t{1} << 32) - 1}, 0, &request).ok());
  ASSERT_TRUE(decoder.Plan("m", model, &request, &plan).ok());
  EXPECT_EQ(plan.inputs[0].bytes, (uint64_t{1} << 32) + 3);
}

// -------------------------------------------------------- requested outputs

TEST_F(InferForms, TheOutputsOwnWordWinsOverTheRequests) {
  const char* const kDefaults[] = {"", R"(,"parameters":{"binary_data_output":false})",
                                   R"(,"parameters":{"binary_data_output":true})"};
  const std::pair<const char*, const char*> kOutputs[] = {
      {R"({"name":"a"})", nullptr},
      {R"({"name":"a","parameters":{}})", nullptr},
      {R"({"name":"a","parameters":{"binary_data":false}})", "json"},
      {R"({"name":"a","parameters":{"binary_data":true}})", "binary"},
      {R"({"name":"a","parameters":{"classification":0,"custom":[{}]}})", nullptr},
  };
  for (const char* request : kDefaults) {
    for (const auto& [output, form] : kOutputs) {
      SCOPED_TRACE(std::string(request) + output);
      const Reply reply = Pair(std::string(request) + R"(,"outputs":[)" + output + "]");
      ASSERT_EQ(reply.status, 200) << reply.body;
      const bool binary = form != nullptr ? form == std::string("binary")
                                          : std::string(request).find("true") != std::string::npos;
      EXPECT_THAT(JsonPart(reply), Not(HasSubstr("\"name\":\"b\"")));
      if (binary) {
        EXPECT_EQ(BlobPart(reply), Raw<int32_t>({5, 6}));
        EXPECT_THAT(JsonPart(reply), HasSubstr(R"("parameters":{"binary_data_size":8})"));
      } else {
        EXPECT_THAT(reply.body, HasSubstr(R"("data":[5,6])"));
        // Some clients insist on binary_data_size where they see the member.
        EXPECT_THAT(reply.body, Not(HasSubstr("parameters")));
        EXPECT_EQ(reply.fields.count("inference-header-content-length"), 0u);
      }
    }
  }
}

TEST_F(InferForms, NoListAndAnEmptyListAskForAllOutputs) {
  const std::string all = Pair("").body;
  EXPECT_THAT(all, HasSubstr(R"({"name":"c","datatype":"BYTES","shape":[1],"data":["xyz"]}]})"));
  EXPECT_EQ(Pair(R"(,"outputs":[])").body, all);
  const Reply binary = Pair(R"(,"outputs":[],"parameters":{"binary_data_output":true})");
  ASSERT_EQ(binary.status, 200);
  EXPECT_EQ(BlobPart(binary), Raw<int32_t>({5, 6}) + Raw<float>({1.5, 2}) + RawStrings({"xyz"}));
}

TEST_F(InferForms, OutputsThatAreWrong) {
  ExpectError(Pair(R"(,"outputs":[{"name":"a"},{"name":"z"}])"), 400, "has no output 'z'");
  ExpectError(Pair(R"(,"outputs":[{"name":"b"},{"name":"a"},{"name":"b"}])"), 400,
              "output 'b' is asked for twice");
  ExpectError(Pair(R"(,"outputs":[{"name":"a","parameters":{"binary_data":1}}])"), 400,
              "output 'a': parameter \\\"binary_data\\\" is not true or false");
  ExpectError(
      Pair(R"(,"outputs":[{"name":"a","parameters":{"binary_data":true,"binary_data":false}}])"),
      400, "'binary_data' is given twice");
  ExpectError(Pair(R"(,"outputs":[{"name":"a","parameters":[]}])"), 400, "is not an object");
  std::string many = R"(,"outputs":[{"name":"a"})";
  for (int i = 0; i < 100'000; ++i) many += R"(,{"name":"a"})";
  ExpectError(Pair(many + "]"), 400, "more than 1024 outputs");
}

// ------------------------------------------------------- nothing and no text

TEST_F(InferForms, TensorsWithoutElements) {
  const char* const kDatatypes[] = {"INT8",   "INT16",  "INT32", "INT64", "UINT8", "UINT16",
                                    "UINT32", "UINT64", "FP32",  "FP64",  "BOOL",  "BYTES"};
  for (const char* name : kDatatypes) {
    SCOPED_TRACE(name);
    for (const char* data : {"[]", " [ ] ", "[[],[]]"}) {
      EXPECT_EQ(DataOf(InferData(name, "[0]", data)), "[]");
    }
    ExpectError(InferData(name, "[0]", "[1]"), 400, "more elements than the 0");
    ExpectError(InferData(name, "[1]", "[]"), 400, "has 0 elements but its shape takes 1");
  }
  for (const char* name : {"FP16", "BF16", "FP32", "BYTES"}) {
    SCOPED_TRACE(name);
    const Reply reply = InferBinary("id_" + std::string(name),
                                    R"({"inputs":[{"name":"in","datatype":")" + std::string(name) +
                                        R"(","shape":[0],"parameters":)"
                                        R"({"binary_data_size":0}}],"outputs":[)"
                                        R"({"name":"out","parameters":)"
                                        R"({"binary_data":true}}]})",
                                    "");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr(R"("shape":[0],"parameters":{"binary_data_size":0})"));
  }
}

TEST_F(InferForms, AnEmptyBlobBetweenFullOnes) {
  const std::string json =
      R"({"inputs":[{"name":"a","datatype":"INT32","shape":[1],"parameters":{"binary_data_size":4}},)"
      R"({"name":"b","datatype":"FP32","shape":[0,2],"parameters":{"binary_data_size":0}},)"
      R"({"name":"c","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}],)"
      R"("parameters":{"binary_data_output":true}})";
  const std::string blobs = Raw<int32_t>({7}) + RawStrings({"x"});
  const Reply reply = InferBinary("pair", json, blobs);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_THAT(JsonPart(reply), HasSubstr(R"("shape":[0,2],"parameters":{"binary_data_size":0})"));
  EXPECT_EQ(BlobPart(reply), blobs);
}

TEST_F(InferForms, TextThatIsNoUnicodeTravelsAsBinaryOnly) {
  const std::string bad = RawStrings({"fine", "\xc3\x28"});
  const auto json = [&](std::string_view more) {
    return R"({"inputs":[{"name":"in","datatype":"BYTES","shape":[2],"parameters":)"
           R"({"binary_data_size":)" +
           std::to_string(bad.size()) + "}}]" + std::string(more) + "}";
  };
  ExpectError(InferBinary("id_BYTES", json(""), bad), 400,
              "output 'out': element 1 is not UTF-8 text and has no JSON form: ask for it with "
              "\\\"binary_data\\\":true");
  const Reply binary =
      InferBinary("id_BYTES", json(R"(,"parameters":{"binary_data_output":true})"), bad);
  ASSERT_EQ(binary.status, 200);
  EXPECT_EQ(BlobPart(binary), bad);
  for (const char* text :
       {"\"\xff\"", "\"\xc3\x28\"", "\"\xed\xa0\x80\"", "\"\\udc00\"", "\"\\x\""}) {
    SCOPED_TRACE(text);
    ExpectError(InferData("BYTES", "[1]", "[" + std::string(text) + "]"), 400, "");
  }
}

TEST_F(InferForms, HalvesAreRefusedInJsonBothWays) {
  for (const char* name : {"FP16", "BF16"}) {
    SCOPED_TRACE(name);
    ExpectError(InferData(name, "[1]", "[1]"), 400,
                "input 'in': " + std::string(name) + " has no JSON form: send it as binary data");
    ExpectError(InferBinary("id_" + std::string(name),
                            R"({"inputs":[{"name":"in","datatype":")" + std::string(name) +
                                R"(","shape":[1],"parameters":{"binary_data_size":2}}]})",
                            "ab"),
                400, std::string(name) + " has no JSON form: ask for it with");
  }
}

// ---------------------------------------------------------------- parameters

TEST_F(InferForms, CustomParametersReachTheModelAsTheyWereWritten) {
  const char* const kExact[] = {
      R"({"s":""})",
      R"({"s":"\u0000\t/"})",
      R"({"t":true,"f":false})",
      R"({"i":0,"n":-9223372036854775808,"m":9223372036854775807,"u":18446744073709551615})",
      R"({"d":1.0,"e":-0.0,"x":1e-7,"y":1.7976931348623157e+308,"z":0.10000000000000001})",
      R"({"":1,"binary_data":true,"Timeout":2,"triton":3})",
  };
  for (const char* parameters : kExact) {
    SCOPED_TRACE(parameters);
    ASSERT_EQ(With(parameters).status, 200);
    // The same strings, if perhaps with other escapes.
    if (std::string(parameters).find('\\') == std::string::npos) {
      EXPECT_EQ(server_.engine().last_parameters(), parameters);
    }
  }
  ASSERT_EQ(With(R"({"s":"\u0000\t/\u00e9"})").status, 200);
  EXPECT_EQ(server_.engine().last_parameters(), "{\"s\":\"\\u0000\\t/\xc3\xa9\"}");
}

TEST_F(InferForms, WhatTheProtocolReservesDoesNotReachTheModel) {
  ASSERT_EQ(With(R"({"timeout":1000000,"mine":1,"priority":18446744073709551615,"sequence_id":"",)"
                 R"("sequence_start":false,"sequence_end":false,"headers":"x",)"
                 R"("binary_data_output":false})")
                .status,
            200);
  EXPECT_EQ(server_.engine().last_parameters(), R"({"mine":1})");
}

TEST_F(InferForms, ParametersThatAreRefused) {
  const std::tuple<const char*, const char*> kWrong[] = {
      {R"({"triton_":1})", "'triton_': names that begin with 'triton_' are reserved"},
      {R"({"triton_enable_empty_final_response":true})", "reserved"},
      {R"({"\u0074riton_x":1})", "reserved"},
      {R"({"sequence_id":5})", "model 'id_FP32': has no sequence batching: leave out parameter"},
      {R"({"sequence_id":"s"})", "has no sequence batching"},
      {R"({"sequence_id":true})", "neither a non-negative integer nor a string"},
      {R"({"sequence_id":-1})", "neither a non-negative integer nor a string"},
      {R"({"sequence_start":1})", "not true or false"},
      {R"({"sequence_end":"x"})", "not true or false"},
      {R"({"priority":1.5})", "priority"},
      {R"({"priority":18446744073709551616})", "priority"},
      {R"({"timeout":-1})", "timeout"},
      {R"({"timeout":null})", "timeout"},
      {R"({"a":1,"b":2,"a":1})", "parameter 'a' is given twice"},
      {R"({"a":1,"\u0061":1})", "parameter 'a' is given twice"},
      {R"({"timeout":1,"timeout":1})", "parameter 'timeout' is given twice"},
      {R"({"a":{}})", "not a string, a number"},
      {R"({"a":1e400})", "not a string, a number"},
      {R"({"a":01})", "not a string, a number"},
      {R"({"a":Infinity})", "not valid JSON"},
      {R"({"a":"\ud800"})", "not a string, a number"},
      {R"({"\ud800":1})", "name is not a string"},
  };
  for (const auto& [parameters, text] : kWrong) {
    SCOPED_TRACE(parameters);
    ExpectError(With(parameters), 400, text);
  }
}

// A name that is one of ours and one that is nobody's, as often as a body can.
TEST_F(InferForms, ManyParametersAreNoWork) {
  std::string many = "{";
  for (int i = 0; i < 3000; ++i) many += "\"p" + std::to_string(i) + "\":1,";
  EXPECT_EQ(With(many + R"("q":1})").status, 200);
  for (int i = 3000; i < 200'000; ++i) many += "\"p" + std::to_string(i) + "\":1,";
  ExpectError(With(many + R"("q":1})"), 400, "longer than 65536");
}

TEST_F(InferForms, ParametersOfInputs) {
  const auto with = [](std::string_view parameters) {
    return R"({"inputs":[{"name":"in","datatype":"FP32","shape":[1],"parameters":)" +
           std::string(parameters) + "}]}";
  };
  EXPECT_EQ(InferBinary("id_FP32", with(R"({"mine":{},"binary_data_size":4})"), "abcd").status,
            200);
  ExpectError(
      InferBinary("id_FP32", with(R"({"binary_data_size":4,"binary_data_size":4})"), "abcd"), 400,
      "given twice");
  ExpectError(InferBinary("id_FP32", with(R"({"binary_data_size":"4"})"), "abcd"), 400,
              "not a non-negative integer");
  ExpectError(InferBinary("id_FP32", with("{}"), ""), 400, "needs either");
}

}  // namespace
}  // namespace mlos::http
