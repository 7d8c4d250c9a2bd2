// SPDX-License-Identifier: Apache-2.0
#include "operations/operations.h"

#include <gtest/gtest.h>

#include "operations/table_check.h"

namespace mlos::operations {
namespace {

constexpr Field kFields[] = {
    {"path", 2, Type::kPath, In::kBody, Need::kRequired, CliForm::kPositional, "The path"},
    {"plugin", 3, Type::kString, In::kBody, Need::kOptional, CliForm::kFlag, "The plugin"}};

// A row in which nothing is wrong, for the tests to spoil.
constexpr OperationRow Sound() {
  return {.kind = OperationKind::kRegisterModel,
          .name = "thing.make",
          .permission = {Verb::kWrite, Resource::kModels},
          .rate = RateClass::kChange,
          .http_method = "POST",
          .http_path = "/api/v1/things/{name}",
          .grpc_method = "mlos.v1.Management/MakeThing",
          .cli = "thing make NAME PATH",
          .wait = Wait::kNever,
          .takes = Takes::kBody,
          .fields = kFields,
          .answers = ObjectKind::kModel,
          .help = "Make a thing",
          .example = "mlos thing make x /y"};
}

bool IsSound(const OperationRow& row) {
  return EveryColumnIsThere(row) && MethodIsSound(row) && BodyIsSound(row) &&
         NumbersAreSound(row) && PathIsSound(row) && CommandIsSound(row);
}

// True if the row is refused once `spoil` has been at it.
template <typename Spoil>
bool RefusedAfter(Spoil spoil) {
  OperationRow row = Sound();
  spoil(row);
  return !IsSound(row);
}

TEST(OperationTableTest, EachMissingColumnIsNoticed) {
  EXPECT_TRUE(IsSound(Sound()));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.kind = OperationKind::kCount; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.name = ""; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.permission.verb = Verb::kUnset; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.permission.resource = Resource::kUnset; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.rate = RateClass::kUnset; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.http_method = ""; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.http_path = ""; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.grpc_method = ""; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.cli = ""; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.wait = Wait::kUnset; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.takes = Takes::kUnset; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.answers = ObjectKind::kUnset; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.help = ""; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.example = ""; }));
  Field field = kFields[0];
  EXPECT_TRUE(IsWhole(field));
  field.help = "";
  EXPECT_FALSE(IsWhole(field));
  field = kFields[0];
  field.number = 0;
  EXPECT_FALSE(IsWhole(field));
}

TEST(OperationTableTest, ColumnsThatContradictAreNoticed) {
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.http_method = "GET"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.http_method = "PATCH"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.permission.verb = Verb::kRead; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.rate = RateClass::kRead; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.takes = Takes::kNoBody; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.fields = {}; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.http_path = "/v2/things/{name}"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.cli = "thing make PATH"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.cli = "thing make NAME"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.cli = "thing make NAME PATH WHAT"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.cli = "thing make NAME PATH PLUGIN"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.cli = "thing NAME make PATH"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.example = "mlos thing load x /y"; }));
  EXPECT_TRUE(RefusedAfter([](OperationRow& r) { r.example = "curl thing make x /y"; }));
}

TEST(OperationTableTest, NumbersThatClashAreNoticed) {
  Field fields[] = {kFields[0], kFields[1]};
  const auto refused = [&] { return RefusedAfter([&](OperationRow& r) { r.fields = fields; }); };
  EXPECT_FALSE(refused());
  fields[1].number = fields[0].number;
  EXPECT_TRUE(refused());
  fields[1].number = kNameNumber;
  EXPECT_TRUE(refused()) << "the path's name has it";
  fields[1].number = kVersionNumber;
  fields[0].number = 4;
  EXPECT_FALSE(refused()) << "there is no version in the path";
}

TEST(OperationTableTest, ClashesAreNoticed) {
  const OperationRow a = Sound();
  OperationRow b = Operations()[0];
  EXPECT_FALSE(Clash(a, b));
  b.cli = "thing make OTHER WORDS";
  EXPECT_TRUE(Clash(a, b)) << "as many arguments";
  b.cli = "thing make NAME";
  EXPECT_FALSE(Clash(a, b));
  b.http_path = a.http_path;
  EXPECT_FALSE(Clash(a, b)) << "another method";
  b.http_method = a.http_method;
  EXPECT_TRUE(Clash(a, b));
}

TEST(OperationTableTest, RowsAreFoundAndNamed) {
  const OperationRow& row = Row(OperationKind::kLoadPlugin);
  EXPECT_EQ(row.name, "plugin.load");
  EXPECT_EQ(PermissionText(row.permission), "plugins:operate");
  EXPECT_EQ(RateClassName(row.rate), "heavy");
  EXPECT_EQ(CommandWords(row.cli), "plugin load");
  EXPECT_EQ(CountArguments("model load NAME [VERSION]"), 2u);
  EXPECT_EQ(RequestText(row), "POST /api/v1/plugins/{name}/versions/{version}/load");
  EXPECT_EQ(RequestText(Row(OperationKind::kRegisterModel)),
            R"(POST /api/v1/models {"name","path","version"?,"plugin"?,"config"?,"metadata"?})");
  EXPECT_EQ(FindField(row, "path"), nullptr);
  EXPECT_EQ(FindField(Row(OperationKind::kRegisterModel), "config")->type, Type::kObject);
}

}  // namespace
}  // namespace mlos::operations
