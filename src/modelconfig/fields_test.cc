// SPDX-License-Identifier: Apache-2.0
#include "modelconfig/fields.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "modelconfig/text.h"

namespace mlos::modelconfig {
namespace {

namespace pb = google::protobuf;
using testing::HasSubstr;

bool HasRow(const std::string& field) {
  for (const FieldRow& row : FieldTable()) {
    if (row.field == field) return true;
  }
  return false;
}

bool HasRowsBeneath(const std::string& field) {
  for (const FieldRow& row : FieldTable()) {
    if (row.field.rfind(field + ".", 0) == 0) return true;
  }
  return false;
}

// Every field has a row, or stands for the rows of its own fields, all of which then have one.
void CheckCovered(const pb::Descriptor& type, const std::string& prefix,
                  std::set<std::string>* reached) {
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    const std::string path = prefix + field.name();
    if (HasRow(path)) {
      reached->insert(path);
      EXPECT_FALSE(HasRowsBeneath(path)) << path << " has a row, and so have fields of it";
    } else if (field.message_type() != nullptr && !field.is_map()) {
      CheckCovered(*field.message_type(), path + ".", reached);
    } else {
      ADD_FAILURE() << path << " has no row";
    }
  }
}

TEST(FieldTableTest, SaysWhatEveryFieldDoes) {
  std::set<std::string> reached;
  CheckCovered(*inference::ModelConfig::descriptor(), "", &reached);
  EXPECT_EQ(FieldTable().size(), reached.size());
  for (const FieldRow& row : FieldTable()) {
    EXPECT_TRUE(reached.count(std::string(row.field))) << row.field << " is no field";
    EXPECT_FALSE(row.text.empty()) << row.field;
  }
}

TEST(FieldTableTest, WarnsOnceOfWhatIsIgnored) {
  const auto config = ParseText(R"(name: "m" instance_group { count: 1 gpus: [0] }
    instance_group { gpus: [1, 2] } dynamic_batching { preferred_batch_size: 4 }
    optimization { graph { level: 1 } cuda { graphs: true } })");
  ASSERT_TRUE(config.ok()) << config.status();
  const Examined examined = Examine(*config);
  EXPECT_TRUE(examined.refused.ok()) << examined.refused;
  EXPECT_THAT(examined.warnings,
              testing::UnorderedElementsAre(HasSubstr("instance_group.gpus is ignored: "),
                                            HasSubstr("dynamic_batching is ignored: "),
                                            HasSubstr("optimization.cuda is ignored: ")));
}

TEST(FieldTableTest, NamesAllThatIsRefused) {
  const auto config = ParseText(R"(ensemble_scheduling { step { model_name: "a" } }
    input { name: "x" reshape { shape: [1] } } model_transaction_policy { decoupled: true }
    model_operations { op_library_filename: "/tmp/evil.so" })");
  ASSERT_TRUE(config.ok()) << config.status();
  const Status refused = Examine(*config).refused;
  EXPECT_EQ(StatusCode::kFailedPrecondition, refused.code());
  for (const char* field :
       {"ensemble_scheduling: ", "input.reshape: ", "model_transaction_policy.decoupled: ",
        "model_operations.op_library_filename: "}) {
    EXPECT_THAT(Message(refused), HasSubstr(field));
  }
}

TEST(FieldTableTest, WhatIsSetToItsDefaultIsNotSaid) {
  const auto config =
      ParseText("model_transaction_policy { decoupled: false } response_cache { enable: false }");
  ASSERT_TRUE(config.ok()) << config.status();
  const Examined examined = Examine(*config);
  EXPECT_TRUE(examined.refused.ok());
  EXPECT_THAT(examined.warnings, testing::IsEmpty());
}

// To write the page anew: modelconfig_test --gtest_filter=*ThePage* prints what belongs there.
TEST(FieldTableTest, ThePageHasTheTable) {
  std::ifstream in(MLOS_SOURCE_DIR "/docs/model-config.md");
  std::stringstream page;
  page << in.rdbuf();
  EXPECT_THAT(page.str(), HasSubstr(DescribeFields()));
}

}  // namespace
}  // namespace mlos::modelconfig
