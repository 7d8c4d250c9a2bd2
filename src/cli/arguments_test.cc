// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/help.h"
#include "cli/request.h"
#include "cli/target.h"

namespace mlos::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<Command>& All() {
  static const auto* const kCommands = new std::vector<Command>(Commands());
  return *kCommands;
}

Parsed Parse(const std::vector<std::string>& arguments) { return ParseArguments(All(), arguments); }

// "METHOD PATH BODY" of what a command line would send.
std::string Sends(const std::vector<std::string>& arguments, const std::string& version = "") {
  const Parsed parsed = Parse(arguments);
  if (!parsed.run) return parsed.text;
  const auto& row = ChooseRow(parsed.invocation);
  const auto request = BuildRequest(row, parsed.invocation, version);
  if (!request.ok()) return std::string(Message(request.status()));
  return request->method + " " + request->path + " " + request->body;
}

// As a shell takes a line apart.
std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

TEST(ArgumentsTest, EveryRowOfTheTableCanBeSent) {
  for (const operations::OperationRow& row : operations::Operations()) {
    std::vector<std::string> arguments = Words(row.example);
    ASSERT_EQ(arguments.front(), "mlos");
    arguments.erase(arguments.begin());
    EXPECT_THAT(Sends(arguments, "1"), testing::StartsWith(std::string(row.http_method) + " /api/"))
        << row.example;
  }
}

TEST(ArgumentsTest, ArgumentsAndFlagsBecomeRequests) {
  EXPECT_EQ(Sends({"plugin", "list"}), "GET /api/v1/plugins ");
  EXPECT_EQ(Sends({"plugin", "show", "p"}), "GET /api/v1/plugins/p ");
  EXPECT_EQ(Sends({"plugin", "show", "p", "1.0.0"}), "GET /api/v1/plugins/p/versions/1.0.0 ");
  EXPECT_EQ(Sends({"-o", "json", "plugin", "load", "p", "1", "--no-wait"}),
            "POST /api/v1/plugins/p/versions/1/load?wait=false ");
  EXPECT_EQ(Sends({"model", "load", "m"}, "7"), "POST /api/v1/models/m/versions/7/load ");
  EXPECT_THAT(Sends({"model", "show", "a/b?é"}), HasSubstr("NAME 'a/b?é' has '/' at position 2"));
  EXPECT_EQ(PercentEncode("a/b?é"), "a%2Fb%3F%C3%A9");
  EXPECT_EQ(
      Sends({"model", "register", "m", "/x/../y/", "--version", "2", "--config", "{\"a\":1}"}),
      R"(POST /api/v1/models {"name":"m","path":"/y","version":"2","config":{"a":1}})");
  EXPECT_THAT(Sends({"plugin", "register", "some/where"}), HasSubstr("/some/where\"}"));
  EXPECT_THAT(Sends({"plugin", "register", "some/where"}), HasSubstr("{\"path\":\"/"));
}

TEST(ArgumentsTest, LogsAreTheDaemonsOrThoseOfAPlugin) {
  EXPECT_EQ(Sends({"logs"}), "GET /api/v1/logs ");
  EXPECT_EQ(Sends({"logs", "-f", "--tail", "0", "--level", "warning"}),
            "GET /api/v1/logs?tail=0&level=warning ");
  EXPECT_EQ(Sends({"logs", "p", "--after", "7"}, "1.2.0"),
            "GET /api/v1/plugins/p/versions/1.2.0/logs?after=7 ");
  EXPECT_EQ(Sends({"logs", "p", "1.0.0"}, "1.2.0"), "GET /api/v1/plugins/p/versions/1.0.0/logs ");
  EXPECT_THAT(Sends({"logs", "--tail", "-1"}), HasSubstr("\"tail\" must be an integer"));
  for (const char* flag : {"-f", "--follow"}) {
    EXPECT_TRUE(Parse({"logs", flag}).invocation.Has("--follow")) << flag;
  }
  EXPECT_FALSE(Parse({"logs"}).invocation.Has("--follow"));
  EXPECT_THAT(Parse({"logs", "--help"}).text, HasSubstr("-f, --follow"));
  EXPECT_THAT(*CompletionScript(All(), "fish"), HasSubstr(" -s f -l follow "));
}

TEST(ArgumentsTest, ValuesOfTheWrongTypeAreNotSent) {
  EXPECT_THAT(Sends({"model", "register", "m", "/x", "--version", "one"}),
              HasSubstr("\"version\" must be an integer"));
  EXPECT_THAT(Sends({"model", "register", "m", "/x", "--config", "{"}),
              HasSubstr("--config: it is not valid JSON"));
  EXPECT_THAT(Sends({"model", "register", "m", "/x", "--config", "[]"}), HasSubstr("an object"));
  EXPECT_THAT(Sends({"model", "register", "m", "/x", "--config", "@/no/such"}),
              HasSubstr("No such file"));
}

TEST(ArgumentsTest, MistakesAreNamed) {
  const struct {
    std::vector<std::string> arguments;
    const char* text;
  } kMistakes[] = {{{}, "Commands"},
                   {{"plugin"}, "plugin load"},
                   {{"plugni"}, "'plugni' (did you mean 'plugin'?)"},
                   {{"model", "lod", "m"}, "'model lod' (did you mean 'load'?)"},
                   {{"register"}, "mlos plugin register"},
                   {{"model", "show"}, "NAME is required"},
                   {{"model", "show", ""}, "NAME is empty"},
                   {{"model", "show", "a", "1", "x"}, "'x' is one argument too many"},
                   {{"model", "load", "m", "--no-wiat"}, "did you mean '--no-wait'?"},
                   {{"status", "-o", "yaml"}, "yaml"},
                   {{"infer", "m", "--version"}, "--version"}};
  for (const auto& mistake : kMistakes) {
    const Parsed parsed = Parse(mistake.arguments);
    EXPECT_FALSE(parsed.run);
    EXPECT_EQ(parsed.exit, kUsage);
    EXPECT_THAT(parsed.text, HasSubstr(mistake.text));
  }
}

TEST(ArgumentsTest, OtherCommands) {
  const Parsed infer = Parse({"infer", "m", "--input", "X=[1]", "--input=Y=-2", "-ojson"});
  ASSERT_TRUE(infer.run) << infer.text;
  EXPECT_TRUE(infer.invocation.json);
  EXPECT_THAT(infer.invocation.inputs, ElementsAre("X=[1]", "Y=-2"));
  EXPECT_EQ(Parse({"infer", "m", "--json", "-"}).invocation.Value("--json"), "-");
  const Parsed serve = Parse({"serve", "--auth", "off", "-h"});
  EXPECT_THAT(serve.invocation.rest, ElementsAre("--auth", "off", "-h"));
  EXPECT_EQ(Parse({"help"}).exit, 0);
  EXPECT_THAT(Parse({"help", "model", "load"}).text, HasSubstr("mlos model load NAME [VERSION]"));
  EXPECT_THAT(Parse({"--version"}).text, HasSubstr("mlos "));
}

TEST(HelpTest, EveryPageHasEveryCommand) {
  std::string manual = ManualPage(All());
  // As man(1) shows it.
  for (size_t at = 0; (at = manual.find("\\-", at)) != std::string::npos;) manual.erase(at, 1);
  const std::string pages[] = {HelpOnAll(All()), manual, ManualMarkdown(All())};
  for (const Command& command : All()) {
    for (const std::string& page : pages) EXPECT_THAT(page, HasSubstr(command.words));
    const std::string help = HelpOn(command);
    EXPECT_THAT(help, HasSubstr("Examples:\n  mlos " + command.words));
    for (size_t at = 0; at < help.size();) {
      const size_t end = std::min(help.find('\n', at), help.size());
      EXPECT_LE(end - at, 100u) << help.substr(at, end - at);
      at = end + 1;
    }
  }
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = *CompletionScript(All(), shell);
    for (const Command& command : All()) {
      EXPECT_THAT(script, HasSubstr(command.words.substr(command.words.rfind(' ') + 1)));
    }
  }
  EXPECT_FALSE(CompletionScript(All(), "tcsh").ok());
}

TEST(TargetTest, Forms) {
  const auto http = ParseTarget("http://example:81");
  EXPECT_EQ(http->host + " " + http->port, "example 81");
  EXPECT_EQ(ParseTarget("http://h/")->port, "80");
  EXPECT_EQ(ParseTarget("http://[::1]:8080")->host, "::1");
  EXPECT_EQ(ParseTarget("http://[::1]:8080")->Authority(), "[::1]:8080");
  EXPECT_EQ(ParseTarget("unix:///run/x.sock")->unix_path, "/run/x.sock");
  EXPECT_FALSE(http->grpc);
  EXPECT_EQ(ParseTarget("grpc://h")->port, "8081");
  EXPECT_TRUE(ParseTarget("grpc://[::1]:9")->grpc);
  EXPECT_TRUE(ParseTarget("grpc+unix:///x")->grpc);
  EXPECT_EQ(ParseTarget("grpc+unix:///x")->unix_path, "/x");
  for (const char* bad : {"", "foo", "https://h:1", "http://", "http://h:0", "http://h:99999",
                          "http://h:1/path", "http://[::1", "http://u@h:1", "unix://relative",
                          "unix:/one", "grpc://", "grpc:///x", "grpc+unix://h:1", "http://h:"}) {
    EXPECT_FALSE(ParseTarget(bad).ok()) << bad;
  }
  EXPECT_FALSE(ParseTarget("unix:///" + std::string(200, 'x')).ok());
}

}  // namespace
}  // namespace mlos::cli
