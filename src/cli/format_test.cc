// SPDX-License-Identifier: Apache-2.0
#include "cli/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "cli/table.h"
#include "cli/terminal.h"

namespace mlos::cli {
namespace {

using operations::OperationKind;
using operations::Row;
using testing::HasSubstr;
using testing::Not;

std::string Format(OperationKind kind, const char* body, const Look& look = {},
                   bool accepted = false) {
  return FormatAnswer(Row(kind), boost::json::parse(body), accepted, look);
}

TEST(TerminalTest, NothingFromOutsideActsOnTheTerminal) {
  EXPECT_EQ(Escape("plain Größe 日本"), "plain Größe 日本");
  EXPECT_EQ(Escape("\x1b[2Jx\r\n\x07"), "\\x1b[2Jx\\x0d\\x0a\\x07");
  EXPECT_EQ(Escape("\xc2\x9b"
                   "31m"),
            "\\u{9b}31m");  // CSI in one character
  const std::string right_to_left = std::string("\xe2\x80") + '\xae';
  EXPECT_EQ(Escape("a" + right_to_left + "b"), "a\\u{202e}b");
  EXPECT_EQ(Escape("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(EscapeLines("a\tb\nc\x1b"), "a\tb\nc\\x1b");
}

TEST(TerminalTest, WidthsAreThoseOfCharacters) {
  EXPECT_EQ(Width("abc"), 3u);
  EXPECT_EQ(Width("Größe"), 5u);
  EXPECT_EQ(Width("e\xcc\x81"), 1u);
  EXPECT_EQ(Width("日本"), 4u);
  EXPECT_EQ(Cut("日本語", 5), "日本…");
  EXPECT_EQ(Cut("abc", 3), "abc");
  EXPECT_EQ(Cut("abcd", 3), "ab…");
}

TEST(TableTest, ColumnsAreAligned) {
  Table table({{"NAME"}, {"N", Table::Side::kRight}, {"EMPTY"}, {"STATE"}});
  table.AddRow({"größe", "1", "", "ready"});
  table.AddRow({"b", "100", "", "failed"});
  EXPECT_EQ(table.Render(false),
            "NAME     N  STATE\n"
            "größe    1  ready\n"
            "b      100  failed\n");
  EXPECT_THAT(table.Render(true), HasSubstr("\x1b[32mready\x1b[0m"));
}

TEST(TableTest, LinesFitTheTerminal) {
  Table table({{"NAME"}, {"REASON"}});
  table.AddRow({"a", std::string(100, 'x')});
  for (const char* line : {"NAME  REASON", "…"})
    EXPECT_THAT(table.Render(false, 40), HasSubstr(line));
  EXPECT_EQ(Width(table.Render(false, 40).substr(13, 200)), 41u);  // and the end of the line
}

TEST(FormatTest, Lists) {
  const std::string text =
      Format(OperationKind::kListModels,
             R"({"models":[{"name":"a","version":"1","state":"ready","reason":"","plugin":"p",
          "plugin_version":"1.0.0","later":1},
         {"name":"bbbbbb","version":"12","state":"failed","reason":"no \u001b[31m","plugin":"p",
          "plugin_version":""},
         {"name":"c","version":null,"state":"failed","reason":"none","plugin":"",
          "plugin_version":""}]})");
  EXPECT_EQ(text,
            "NAME    VERSION  STATE   PLUGIN  ON VERSION  REASON\n"
            "a             1  ready   p       1.0.0\n"
            "bbbbbb       12  failed  p                   no \\x1b[31m\n"
            "c             -  failed                      none\n");
  EXPECT_EQ(Format(OperationKind::kListModels, R"({"models":[]})"), "no models\n");
  EXPECT_EQ(Format(OperationKind::kListHosts,
                   R"({"hosts":[{"plugin":"p","version":"1","pid":null,"state":"loading",
                      "tier":"none","restarts":2,"rss_bytes":1572864}]})"),
            "PLUGIN  VERSION  PID  STATE    TIER  RESTARTS   MEMORY\n"
            "p       1          -  loading  none         2  1.5 MiB\n");
  // A list that this mlos has no columns for.
  EXPECT_EQ(Format(OperationKind::kGetStatus, R"({"things":[{"id":1,"on":true}]})"),
            "id  on\n1   yes\n");
}

TEST(FormatTest, LabelsAreAColumnWhereThereAreSome) {
  EXPECT_EQ(Format(OperationKind::kGetModel,
                   R"({"models":[{"name":"m","version":"1","state":"ready","labels":[]},
                                 {"name":"m","version":"2","state":"ready",
                                  "labels":["canary","stable"]}]})"),
            "NAME  VERSION  STATE  LABELS\n"
            "m           1  ready\n"
            "m           2  ready  canary, stable\n");
  EXPECT_THAT(Format(OperationKind::kGetModel, R"({"models":[{"name":"m","labels":[]}]})"),
              Not(HasSubstr("LABELS")));
}

TEST(FormatTest, Objects) {
  EXPECT_EQ(Format(OperationKind::kGetStatus, R"({"version":"1","uptime_s":3725,"ready":true,
                                                 "new":["a","b"]})"),
            "version   1\nuptime_s  1 h 2 min\nready     yes\nnew       a, b\n");
}

TEST(FormatTest, ChangesAreOneLine) {
  const char* const model = R"({"name":"m","version":"2","state":"ready","reason":"",
                               "plugin":"p","plugin_version":"1.0.0"})";
  EXPECT_EQ(Format(OperationKind::kLoadModel, model), "loaded model m 2: ready on p 1.0.0\n");
  EXPECT_EQ(Format(OperationKind::kRemoveModel, model), "removed model m 2\n");
  EXPECT_EQ(Format(OperationKind::kLoadModel, model, {}, true),
            "accepted: load model m 2: ready on p 1.0.0\n");
}

TEST(FormatTest, AnswersThatAreNotUnderstoodAreShown) {
  EXPECT_EQ(Format(OperationKind::kListModels, "[1,\"\\u009b\"]"), "[1,\"\\u{9b}\"]\n");
  EXPECT_THAT(Format(OperationKind::kLoadModel, R"({"a":{"b":1}})"), HasSubstr("loaded model"));
}

TEST(FormatTest, Quantities) {
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "16777216.0 TiB");
  EXPECT_EQ(FormatSeconds(59), "59 s");
  EXPECT_EQ(FormatSeconds(61), "1 min 1 s");
  EXPECT_EQ(FormatSeconds(90000), "1 d 1 h");
}

TEST(HintTest, RequestsBecomeCommands) {
  EXPECT_EQ(TranslateHint("list what there is: GET /api/v1/plugins, GET /api/v1/models"),
            "list what there is: mlos plugin list, mlos model list");
  EXPECT_EQ(TranslateHint("see GET /api/v1/models/digits/versions/1."),
            "see mlos model show digits 1.");
  const std::string body =
      TranslateHint(R"(see POST /api/v1/models {"name","path","version"?}: Register a model)");
  EXPECT_THAT(body, testing::StartsWith("see mlos model register NAME PATH [--version VERSION] ["));
  EXPECT_THAT(body, testing::EndsWith("]: Register a model"));
  EXPECT_EQ(TranslateHint("POST /api/v1/models/{name}/versions/{version}/load"),
            "mlos model load NAME [VERSION]");
  EXPECT_EQ(TranslateHint("GET /v2 and PATCH /api/v1/status answer"),
            "GET /v2 and PATCH /api/v1/status answer");
  EXPECT_EQ(TranslateHint(" /api/v1/models"), " /api/v1/models");
  EXPECT_EQ(TranslateHint(""), "");
}

TEST(OutputsTest, TensorsAreAligned) {
  const auto format = [](const std::string& outputs) {
    return FormatOutputs(
        boost::json::parse(R"({"model_name":"m","model_version":"1","outputs":[)" + outputs + "]}"),
        {});
  };
  EXPECT_EQ(format(R"({"name":"Y","datatype":"FP32","shape":[2,2],"data":[1,2.5,-30,0.1]})"),
            "m 1\nY  FP32 [2,2]\n  [[  1 2.5]\n   [-30 0.1]]\n");
  EXPECT_EQ(format(R"({"name":"S","datatype":"BYTES","shape":[2],"data":["a\u001b","b"]})"),
            "m 1\nS  BYTES [2]\n  [\"a\\x1b\"     \"b\"]\n");
  EXPECT_EQ(format(R"({"name":"N","datatype":"INT64","shape":[],"data":[7]})"),
            "m 1\nN  INT64 []\n  7\n");
  std::string many;
  for (int i = 0; i < 2000; ++i) many += (i == 0 ? "" : ",") + std::to_string(i);
  const std::string cut =
      format(R"({"name":"L","datatype":"INT32","shape":[2000],"data":[)" + many + "]}");
  EXPECT_THAT(cut, HasSubstr("[   0    1    2 … 1997 1998 1999]"));
  EXPECT_THAT(cut, Not(HasSubstr("1000")));
}

TEST(OutputsTest, AHostileShapeIsNotBelieved) {
  const auto format = [](const std::string& shape, const std::string& data) {
    return FormatOutputs(
        boost::json::parse(R"({"outputs":[{"name":"Y","datatype":"FP32","shape":)" + shape +
                           R"(,"data":)" + data + "}]}"),
        {});
  };
  EXPECT_THAT(format("[1000000000,1000000000]", "[1]"), HasSubstr("  [1]\n"));
  EXPECT_THAT(format("[1000000000,0]", "[]"), HasSubstr("  []\n"));
  EXPECT_THAT(format("[-1]", "[1]"), HasSubstr("  [1]\n"));
  EXPECT_THAT(format("\"x\"", "[1]"), HasSubstr("  [1]\n"));
  EXPECT_THAT(format("[1]", "7"), HasSubstr("no data"));
  EXPECT_EQ(FormatOutputs(boost::json::parse("7"), {}), "7\n");
}

}  // namespace
}  // namespace mlos::cli
