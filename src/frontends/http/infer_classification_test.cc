// SPDX-License-Identifier: Apache-2.0
//
// The classification extension over a real socket.
#include "frontends/http/infer_fixture.h"

namespace mlos::http {
namespace {

using testing::HasSubstr;

class InferClassification : public InferHttp {
 protected:
  // Two rows of the model "scores".
  Reply Scores(std::string_view output_parameters, std::string_view more = {}) {
    return Infer("scores", R"({"inputs":[{"name":"in","datatype":"FP32","shape":[2,5],)"
                           R"("data":[[1,5,4,3,2],[-1,-2,-3,-0.5,0]]}],"outputs":[{"name":"out",)"
                           R"("parameters":)" +
                               std::string(output_parameters) + "}]" + std::string(more) + "}");
  }
};

TEST_F(InferClassification, AsJsonAndAsBinary) {
  const Reply json = Scores(R"({"classification":3})");
  EXPECT_EQ(json.status, 200);
  EXPECT_EQ(json.body,
            R"({"model_name":"scores","model_version":"1","outputs":[{"name":"out","datatype":)"
            R"("BYTES","shape":[2,3],"data":["5.000000:1:one","4.000000:2","3.000000:3:three",)"
            R"("0.000000:4","-0.500000:3:three","-1.000000:0:zero"]}]})");
  const std::string elements = RawStrings({"5.000000:1:one", "0.000000:4"});
  for (const Reply& binary :
       {Scores(R"({"classification":1,"binary_data":true})"),
        Scores(R"({"classification":1})", R"(,"parameters":{"binary_data_output":true})")}) {
    ASSERT_EQ(binary.status, 200) << binary.body;
    EXPECT_EQ(JsonPart(binary),
              R"({"model_name":"scores","model_version":"1","outputs":[{"name":"out","datatype":)"
              R"("BYTES","shape":[2,1],"parameters":{"binary_data_size":)" +
                  std::to_string(elements.size()) + "}}]}");
    EXPECT_EQ(BlobPart(binary), elements);
  }
  // More than there are, and none: the output itself.
  EXPECT_THAT(Scores(R"({"classification":1000})").body, HasSubstr(R"("shape":[2,5])"));
  EXPECT_THAT(Scores(R"({"classification":0})").body, HasSubstr(R"("datatype":"FP32")"));
  EXPECT_TRUE(Eventually([&] { return server_.engine().running == 0; }));
}

TEST_F(InferClassification, OneOutputOfSeveral) {
  const Reply reply =
      Infer("pair", R"({"inputs":[{"name":"a","datatype":"INT32","shape":[3],"data":[5,7,6]},)"
                    R"({"name":"b","datatype":"FP32","shape":[1,2],"data":[1.5,2]}],)"
                    R"("outputs":[{"name":"b","parameters":{"classification":1}},{"name":"a"},)"
                    R"({"name":"c"}]})");
  EXPECT_THAT(reply.body, HasSubstr(R"({"name":"b","datatype":"BYTES","shape":[1],"data":)"
                                    R"(["2.000000:1"]},{"name":"a","datatype":"INT32",)"
                                    R"("shape":[3],"data":[5,7,6]})"));
}

// Too long to be copied behind the JSON: sent from where it lies.
TEST_F(InferClassification, AnAnswerThatIsLarge) {
  std::string json = R"({"inputs":[{"name":"in","datatype":"INT32","shape":[20000],"data":[0)";
  for (int i = 1; i < 20'000; ++i) json += "," + std::to_string(i);
  json +=
      R"(]}],"outputs":[{"name":"out","parameters":{"classification":20000,"binary_data":true}}]})";
  for (int i = 0; i < 2; ++i) {
    const Reply reply = Infer("id_INT32", json);
    ASSERT_EQ(reply.status, 200);
    const std::string blob = BlobPart(reply);
    EXPECT_EQ(blob.substr(0, 15), RawStrings({"19999:19999"}));
    EXPECT_EQ(blob.substr(blob.size() - 7), RawStrings({"0:0"}));
  }
}

TEST_F(InferClassification, WhatIsRefused) {
  for (const char* wrong : {"-1", "1.5", "\"3\"", "true", "null", "18446744073709551616"}) {
    SCOPED_TRACE(wrong);
    ExpectError(Scores(R"({"classification":)" + std::string(wrong) + "}"), 400,
                "output 'out': parameter \\\"classification\\\" is not a non-negative integer");
  }
  ExpectError(Scores(R"({"classification":1,"classification":1})"), 400, "given twice");
  const std::pair<const char*, const char*> kDatatypes[] = {
      {"FP16", "ab"}, {"BF16", "ab"}, {"BOOL", "\1"}, {"BYTES", nullptr}};
  const int before = server_.engine().submitted;
  for (const auto& [datatype, blob] : kDatatypes) {
    const std::string data = blob != nullptr ? blob : RawStrings({"x"});
    ExpectError(InferBinary("id_" + std::string(datatype),
                            R"({"inputs":[{"name":"in","datatype":")" + std::string(datatype) +
                                R"(","shape":[1],"parameters":{"binary_data_size":)" +
                                std::to_string(data.size()) +
                                R"(}}],"outputs":[{"name":"out","parameters":{"classification":1,)"
                                R"("binary_data":true}}]})",
                            data),
                400, "output 'out': classification is not there for " + std::string(datatype));
  }
  EXPECT_EQ(server_.engine().submitted, before) << "said before the model runs";
  const std::string large(1'000'001, '\1');
  ExpectError(InferBinary("id_UINT8",
                          R"({"inputs":[{"name":"in","datatype":"UINT8","shape":[1000001],)"
                          R"("parameters":{"binary_data_size":1000001}}],"outputs":[{"name":)"
                          R"("out","parameters":{"classification":1}}]})",
                          large),
              400, "at most 1000000 are looked at");
}

}  // namespace
}  // namespace mlos::http
