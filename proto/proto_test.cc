// SPDX-License-Identifier: Apache-2.0
//
// The messages against golden/, a list of every message, field, number and type of the
// wire that was written down from the protocol's own tables and not from these files.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "proto/health.pb.h"
#include "proto/inference.pb.h"
#include "proto/model_config.pb.h"

namespace {

namespace pb = google::protobuf;

// Without the package: "ModelInput.Format".
std::string Short(const pb::FileDescriptor& file, const std::string& full) {
  const std::string prefix = file.package() + ".";
  return full.rfind(prefix, 0) == 0 ? full.substr(prefix.size()) : full;
}

std::string TypeOf(const pb::FieldDescriptor& field) {
  const pb::FileDescriptor& file = *field.file();
  if (field.is_map()) {
    const pb::Descriptor& entry = *field.message_type();
    return "map<" + TypeOf(*entry.map_key()) + ", " + TypeOf(*entry.map_value()) + ">";
  }
  std::string type = field.type_name();
  if (field.message_type() != nullptr) type = Short(file, field.message_type()->full_name());
  if (field.enum_type() != nullptr) type = Short(file, field.enum_type()->full_name());
  return (field.is_repeated() ? "repeated " : "") + type;
}

void List(const pb::EnumDescriptor& type, std::vector<std::string>* out) {
  for (int i = 0; i < type.value_count(); ++i) {
    out->push_back(Short(*type.file(), type.full_name()) + "." + type.value(i)->name() + " = " +
                   std::to_string(type.value(i)->number()));
  }
}

void List(const pb::Descriptor& type, std::vector<std::string>* out) {
  const std::string name = Short(*type.file(), type.full_name());
  if (type.field_count() == 0) out->push_back(name);
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    std::string line =
        name + "." + field.name() + " = " + std::to_string(field.number()) + " " + TypeOf(field);
    if (field.real_containing_oneof() != nullptr) {
      line += " oneof " + field.real_containing_oneof()->name();
    }
    out->push_back(std::move(line));
  }
  for (int i = 0; i < type.enum_type_count(); ++i) List(*type.enum_type(i), out);
  for (int i = 0; i < type.nested_type_count(); ++i) {
    if (type.nested_type(i)->map_key() == nullptr) List(*type.nested_type(i), out);
  }
}

void List(const pb::ServiceDescriptor& service, std::vector<std::string>* out) {
  const auto side = [&](const pb::Descriptor& type, bool streams) {
    return " (" + std::string(streams ? "stream " : "") + Short(*service.file(), type.full_name()) +
           ")";
  };
  for (int i = 0; i < service.method_count(); ++i) {
    const pb::MethodDescriptor& method = *service.method(i);
    out->push_back(service.name() + "." + method.name() +
                   side(*method.input_type(), method.client_streaming()) + " returns" +
                   side(*method.output_type(), method.server_streaming()));
  }
}

std::vector<std::string> Listing(const pb::FileDescriptor& file) {
  std::vector<std::string> out;
  for (int i = 0; i < file.message_type_count(); ++i) List(*file.message_type(i), &out);
  for (int i = 0; i < file.enum_type_count(); ++i) List(*file.enum_type(i), &out);
  for (int i = 0; i < file.service_count(); ++i) List(*file.service(i), &out);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> Golden(const std::string& name) {
  std::ifstream in(std::string(MLOS_SOURCE_DIR) + "/proto/golden/" + name + ".txt");
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  std::sort(out.begin(), out.end());
  return out;
}

TEST(ProtoTest, TheConfigurationIsThatOfTheWire) {
  const auto golden = Golden("model_config");
  ASSERT_GT(golden.size(), 200u);
  EXPECT_EQ(golden, Listing(*inference::ModelConfig::descriptor()->file()));
  EXPECT_EQ("inference.ModelConfig", inference::ModelConfig::descriptor()->full_name());
}

TEST(ProtoTest, TheServiceIsThatOfTheWire) {
  const auto golden = Golden("inference");
  ASSERT_GT(golden.size(), 170u);
  EXPECT_EQ(golden, Listing(*inference::ModelInferRequest::descriptor()->file()));
  EXPECT_EQ("inference.ModelInferRequest", inference::ModelInferRequest::descriptor()->full_name());
}

TEST(ProtoTest, TheHealthServiceIsThatOfTheWire) {
  const std::vector<std::string> want = {
      "Health.Check (HealthCheckRequest) returns (HealthCheckResponse)",
      "Health.Watch (HealthCheckRequest) returns (stream HealthCheckResponse)",
      "HealthCheckRequest.service = 1 string",
      "HealthCheckResponse.ServingStatus.NOT_SERVING = 2",
      "HealthCheckResponse.ServingStatus.SERVICE_UNKNOWN = 3",
      "HealthCheckResponse.ServingStatus.SERVING = 1",
      "HealthCheckResponse.ServingStatus.UNKNOWN = 0",
      "HealthCheckResponse.status = 1 HealthCheckResponse.ServingStatus"};
  EXPECT_EQ(want, Listing(*grpc::health::v1::HealthCheckRequest::descriptor()->file()));
}

}  // namespace
