// SPDX-License-Identifier: Apache-2.0
//
// mlos against a real daemon: every command, over HTTP and gRPC, TCP and a Unix socket.
#include <algorithm>
#include <csignal>
#include <filesystem>

#include "fixture.h"
#include "mlos_process.h"
#include "operations/operations.h"
#include "operations/table_check.h"

namespace mlos::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CliTest : public testing::TestWithParam<const char*> {
 protected:
  CliTest()
      : daemon_({"--http-address", "unix:" + (dir_ / "sock"), "--grpc-address", "127.0.0.1:0",
                 "--grpc-address", "unix:" + (dir_ / "grpc.sock")}) {
    const std::map<std::string_view, std::string> hosts = {
        {"http", "http://" + daemon_.address()},
        {"unix", "unix://" + (dir_ / "sock")},
        {"grpc", "grpc://" + daemon_.grpc_address()},
        {"grpc_unix", "grpc+unix://" + (dir_ / "grpc.sock")}};
    options_.environment["MLOS_HOST"] = hosts.at(GetParam());
  }

  MlosRun Mlos(const std::vector<std::string>& args) const { return RunMlos(args, options_); }
  // Standard output of a command that succeeds.
  std::string Done(const std::vector<std::string>& args) const {
    const MlosRun run = Mlos(args);
    EXPECT_EQ(0, run.exit) << run.out << run.err;
    return run.out;
  }
  // Standard error of one that fails.
  std::string Fails(int exit, const std::vector<std::string>& args) const {
    const MlosRun run = Mlos(args);
    EXPECT_EQ(exit, run.exit) << run.out << run.err;
    EXPECT_EQ("", run.out);
    return run.err;
  }

  const TempDir dir_;
  Daemon daemon_;
  MlosOptions options_;
};

INSTANTIATE_TEST_SUITE_P(Over, CliTest, testing::Values("http", "unix", "grpc", "grpc_unix"),
                         [](const auto& over) { return std::string(over.param); });

TEST_P(CliTest, TheWayOfAPluginAndAModel) {
  EXPECT_EQ(Done({"plugin", "list"}), "no plugins\n");
  EXPECT_EQ(Done({"ps"}), "no hosts\n");
  // A path is the caller's, not the daemon's.
  options_.directory = std::filesystem::path(TemplatePlugin()).parent_path().string();
  EXPECT_EQ(Done({"plugin", "register", "1.0.0/"}),
            "registered plugin template 1.0.0: registered\n");
  options_.directory = SourcePath("plugins");
  EXPECT_EQ(Done({"plugin", "load", "template", "1.0.0"}), "loaded plugin template 1.0.0: ready\n");
  EXPECT_EQ(Done({"model", "register", "m", "template/model.affine"}),
            "registered model m 1: registered\n");
  EXPECT_THAT(Done({"model", "register", "m", "template/model.affine", "--version", "12",
                    "--plugin", "template", "--config", "{}"}),
              StartsWith("registered model m 12: "));
  const MlosRun highest = Mlos({"model", "load", "m"});
  EXPECT_EQ(highest.out, "loaded model m 12: ready on template 1.0.0\n");
  EXPECT_EQ(highest.err, "note: version 12, the highest of 2\n");
  EXPECT_THAT(Done({"model", "list"}), HasSubstr("m           1  registered  template\n"));
  EXPECT_THAT(Done({"model", "show", "m"}), HasSubstr("12"));
  EXPECT_THAT(Done({"model", "show", "m", "12"}), HasSubstr("plugin_version  1.0.0\n"));
  EXPECT_THAT(Done({"plugin", "show", "template", "1.0.0"}), HasSubstr("state    ready\n"));
  EXPECT_THAT(Done({"ps"}), HasSubstr("template  1.0.0"));
  EXPECT_THAT(Done({"top"}), HasSubstr("template  1.0.0"));
  EXPECT_THAT(Done({"status"}), HasSubstr("uptime_s"));
  EXPECT_THAT(Done({"infer", "m", "--input", "X=[1, 2]"}), HasSubstr("[3 5]"));
  EXPECT_THAT(Fails(2, {"model", "remove", "m"}), HasSubstr("1, 12: say which"));
  EXPECT_THAT(Fails(1, {"model", "remove", "m", "12"}),
              HasSubstr("hint: see its state: mlos model"));
  EXPECT_EQ(Done({"model", "unload", "m", "12"}), "unloaded model m 12: unloaded\n");
  EXPECT_EQ(Done({"model", "remove", "m", "12"}), "removed model m 12\n");
  EXPECT_EQ(Done({"model", "remove", "m"}), "removed model m 1\n");
  EXPECT_THAT(Done({"plugin", "unload", "template", "1.0.0", "--no-wait"}),
              StartsWith("accepted: unload plugin template 1.0.0: "));
  EXPECT_TRUE(WaitUntil([&] {
    return At(daemon_.Get("/api/v1/plugins/template/versions/1.0.0"), "/state") == "unloaded";
  }));
  EXPECT_EQ(Done({"plugin", "remove", "template", "1.0.0"}), "removed plugin template 1.0.0\n");
}

TEST_P(CliTest, JsonIsTheBody) {
  daemon_.BringPlugin(TemplatePlugin());
  EXPECT_STATUS(201, daemon_.RegisterModel("m", SourcePath("plugins/template/model.affine")));
  // Checksums come when there is time for them: not between two of the answers.
  ASSERT_TRUE(WaitUntil([&] {
    return At(daemon_.Get("/api/v1/models/m/versions/1"), "/files/0/sha256") != "null" &&
           At(daemon_.Get("/api/v1/plugins/template/versions/1.0.0"), "/sha256") != "null";
  }));
  const std::string loaded = Done({"-o", "json", "model", "load", "m"});
  EXPECT_EQ(loaded, daemon_.Get("/api/v1/models/m/versions/1").body);
  const std::vector<std::pair<std::vector<std::string>, std::string>> pairs = {
      {{"plugin", "list"}, "/api/v1/plugins"},
      {{"plugin", "show", "template"}, "/api/v1/plugins/template"},
      {{"plugin", "show", "template", "1.0.0"}, "/api/v1/plugins/template/versions/1.0.0"},
      {{"model", "list"}, "/api/v1/models"},
      {{"model", "show", "m"}, "/api/v1/models/m"},
      {{"model", "show", "m", "1"}, "/api/v1/models/m/versions/1"},
      {{"openapi"}, "/api/v1/openapi.json"}};
  for (auto [command, path] : pairs) {
    command.insert(command.end(), {"-o", "json"});
    EXPECT_EQ(Done(command), daemon_.Get(path).body) << path;
  }
  // These change between two looks.
  EXPECT_EQ(At(ParseJson(Done({"status", "-o", "json"})), "/pid"), std::to_string(daemon_.pid()));
  EXPECT_EQ(At(ParseJson(Done({"ps", "-o", "json"})), "/hosts/0/plugin"), "template");
  EXPECT_EQ(At(ParseJson(Done({"top", "-o", "json"})), "/hosts/0/plugin"), "template");
  // An error is the body too, but not on standard output.
  EXPECT_EQ(Fails(4, {"-o", "json", "model", "show", "nobody"}),
            daemon_.Get("/api/v1/models/nobody").body);
}

TEST_P(CliTest, ExitStatusesAndWhatToDoNext) {
  daemon_.BringPlugin(TemplatePlugin());
  EXPECT_STATUS(201, daemon_.RegisterModel("digits", SourcePath("plugins/template/model.affine")));
  EXPECT_THAT(Fails(4, {"model", "show", "digist"}),
              HasSubstr("hint: did you mean 'digits'? mlos model show digits\n"));
  EXPECT_THAT(Fails(4, {"infer", "digist", "--input", "X=1"}), HasSubstr("mlos infer digits"));
  EXPECT_THAT(Fails(4, {"plugin", "show", "x"}), HasSubstr("mlos plugin list"));
  EXPECT_THAT(Fails(4, {"model", "load", "nobody"}), HasSubstr("nobody"));
  EXPECT_THAT(Fails(1, {"plugin", "remove", "template", "1.0.0"}),
              HasSubstr("hint: see its state: mlos plugin list\n"));
  EXPECT_THAT(Fails(1, {"model", "label", "digits", "7", "--version", "1"}),
              HasSubstr("hint: mlos model label NAME LABEL [--version VERSION]"));
  // What the command line itself can see is wrong is not sent.
  EXPECT_THAT(Fails(2, {"model", "register", "a/b", "/etc/hostname"}),
              HasSubstr("'a/b' has '/' at position 2"));
  EXPECT_THAT(Fails(2, {"model", "load", "a b"}), HasSubstr("NAME 'a b' has ' ' at position 2"));
  EXPECT_THAT(Fails(2, {"plugin", "load", "echo", "1/0"}), HasSubstr("VERSION '1/0' has '/'"));
  EXPECT_THAT(Fails(2, {"logs", "--level", "loud"}), HasSubstr("debug, info, warning or error"));
  EXPECT_THAT(Fails(2, {"model", "lod", "x"}), HasSubstr("did you mean 'load'?"));
  EXPECT_THAT(Fails(2, {"infer", "digits"}), HasSubstr("--json FILE|-"));
  EXPECT_THAT(Fails(1, {"infer", "digits", "--input", "x=[1,2]"}), HasSubstr("X FP32 ["));
  options_.environment["MLOS_TOKEN"] = "a\r\nb";
  EXPECT_THAT(Fails(2, {"status"}), HasSubstr("MLOS_TOKEN"));
}

// Whatever the table has is a command that reaches its route.
TEST_P(CliTest, EveryOperationIsACommand) {
  for (const operations::OperationRow& row : operations::Operations()) {
    std::vector<std::string> args;
    for (size_t i = 0; i < operations::CountPieces(row.cli, ' '); ++i) {
      const std::string_view word = operations::Piece(row.cli, ' ', i);
      args.emplace_back(operations::IsArgument(word) ? "nobody" : word);
    }
    for (const operations::Field& field : row.fields) {
      if (field.cli != operations::CliForm::kFlag || !field.required()) continue;
      args.push_back("--" + std::string(field.name));
      std::replace(args.back().begin(), args.back().end(), '_', '-');
      args.emplace_back(field.type == operations::Type::kObject ? "{}" : "1");
    }
    const MlosRun run = Mlos(args);
    const bool reads = row.http_path.find('{') == std::string_view::npos && !row.takes_body();
    if (row.kind == operations::OperationKind::kSetLogLevel) {  // "nobody" is no level
      EXPECT_EQ(2, run.exit);
      continue;
    }
    EXPECT_TRUE(reads ? run.exit == 0 : run.exit == 1 || run.exit == 4)
        << row.cli << " ended with " << run.exit << "\n"
        << run.out << run.err;
    EXPECT_EQ(run.err.find("Not Found"), std::string::npos) << run.err;
  }
}

TEST(CliAloneTest, NoDaemon) {
  const TempDir dir;
  for (const std::string& host :
       {std::string("http://127.0.0.1:1"), "unix://" + (dir / "nothing"),
        std::string("grpc://127.0.0.1:1"), "grpc+unix://" + (dir / "nothing")}) {
    const MlosRun run = RunMlos({"status"}, {.environment = {{"MLOS_HOST", host}}});
    EXPECT_EQ(run.exit, 3);
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr("no daemon answers at " + host));
    EXPECT_THAT(run.err, HasSubstr("mlos serve"));
  }
  EXPECT_EQ(RunMlos({"status"}, {.environment = {{"MLOS_HOST", "what"}}}).exit, 2);
}

// A client of gRPC at a port of HTTP finds no daemon.
TEST(CliAloneTest, TheOtherProtocol) {
  Daemon daemon;
  const MlosRun run =
      RunMlos({"status"}, {.environment = {{"MLOS_HOST", "grpc://" + daemon.metrics_address()}}});
  EXPECT_EQ(run.exit, 3);
  EXPECT_THAT(run.err, HasSubstr("no daemon answers at grpc://"));
}

TEST(CliAloneTest, OutputThatIsLostIsNoSuccess) {
  const MlosRun run = RunMlos({"manual"}, {.output = "/dev/full"});
  EXPECT_EQ(run.exit, 3);
  EXPECT_THAT(run.err, HasSubstr("could not be written"));
}

TEST(CliAloneTest, ServeIsTheDaemonBeside) {
  EXPECT_EQ(RunMlos({"serve", "--version"}).out, RunMlosd({"--version"}).output);
  EXPECT_EQ(RunMlos({"serve", "--no-such-flag"}).exit, 2);
}

TEST(CliAloneTest, PagesOfTheDocumentationAreThoseOfTheTable) {
  EXPECT_EQ(RunMlos({"manual", "--markdown"}).out, ReadWhole(SourcePath("docs/cli.md")))
      << "mlos manual --markdown > docs/cli.md";
  EXPECT_EQ(RunMlos({"manual", "--http"}).out, ReadWhole(SourcePath("docs/management-http.md")))
      << "mlos manual --http > docs/management-http.md";
  EXPECT_THAT(RunMlos({"manual"}).out, StartsWith(".TH MLOS 1"));
}

TEST(CliAloneTest, CompletionCompletes) {
  const TempDir dir;
  WriteWhole(dir / "mlos.bash", RunMlos({"completion", "bash"}).out);
  const auto complete = [&](const std::string& words, int at) {
    const std::string command = "bash -c '. " + (dir / "mlos.bash") + "; COMP_WORDS=(" + words +
                                "); COMP_CWORD=" + std::to_string(at) +
                                "; _mlos; echo \"${COMPREPLY[*]}\"' > " + (dir / "out");
    EXPECT_EQ(0, std::system(command.c_str()));  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
    return ReadWhole(dir / "out");
  };
  EXPECT_EQ(complete("mlos plu", 1), "plugin\n");
  EXPECT_EQ(complete("mlos model re", 2), "register remove\n");
  EXPECT_EQ(complete("mlos -o json model lo", 4), "load load-all\n");
  EXPECT_EQ(complete("mlos model load m --no", 4), "--no-wait\n");
  EXPECT_EQ(complete("mlos infer m --in", 3), "--input\n");
  EXPECT_EQ(RunMlos({"completion", "tcsh"}).exit, 2);
}

TEST(CliAloneTest, CompletionAsksTheDaemonForNames) {
  Daemon daemon;
  daemon.BringTestModel("echo");
  MlosOptions options;
  options.environment = {{"MLOS_HOST", "http://" + daemon.address()}};
  const auto words = [&](std::vector<std::string> before) {
    before.insert(before.begin(), "__complete");
    const MlosRun run = RunMlos(before, options);
    EXPECT_EQ("", run.err);
    EXPECT_EQ(0, run.exit);
    return run.out;
  };
  EXPECT_EQ(words({"model", "load"}), "m-echo\n");
  EXPECT_EQ(words({"-o", "json"}), "");
  EXPECT_EQ(words({"model", "load", "-o", "json", "--no-wait"}), "m-echo\n");
  EXPECT_EQ(words({"model", "load", "m-echo"}), "1\n");
  EXPECT_EQ(words({"infer"}), "m-echo\n");
  EXPECT_EQ(words({"infer", "m-echo", "--version"}), "1\n");
  EXPECT_EQ(words({"plugin", "show"}), "echo\n");
  EXPECT_EQ(words({"plugin", "swap", "echo", "--to"}), "1.0.0\n");
  EXPECT_EQ(words({"model", "register", "x", "/x", "--plugin"}), "echo\n");
  EXPECT_EQ(words({"logs"}), "echo\n");
  for (const std::vector<std::string>& nothing :
       std::vector<std::vector<std::string>>{{},
                                             {"model"},
                                             {"model", "register"},
                                             {"top"},
                                             {"plugin", "show", "none"},
                                             {"nonsense", "x"}}) {
    EXPECT_EQ(words(nothing), "");
  }
  // Where there is no daemon, and where one does not answer.
  options.environment = {{"MLOS_HOST", "http://127.0.0.1:1"}};
  EXPECT_EQ(words({"model", "load"}), "");
  options.environment = {{"MLOS_HOST", "what"}};
  EXPECT_EQ(words({"model", "load"}), "");
}

TEST(CliAloneTest, TopRefreshesOnATerminal) {
  Daemon daemon;
  MlosOptions options;
  options.environment = {{"MLOS_HOST", "http://" + daemon.address()}};
  options.terminal = true;
  options.until = "no models\r\n\x1b[H\x1b[J";  // the second look
  EXPECT_EQ(RunMlos({"top", "--interval", "0.1"}, options).exit, 128 + SIGINT);
}

TEST(CliAloneTest, WaitingIsSeenOnATerminal) {
  Daemon daemon;
  daemon.BringTestModel("slow");
  MlosOptions options;
  options.environment = {{"MLOS_HOST", "http://" + daemon.address()}};
  options.terminal = true;
  options.until = "infer m-slow … ";
  EXPECT_EQ(RunMlos({"infer", "m-slow", "--input", "X=[60000]"}, options).exit, 128 + SIGINT);
}

TEST(CliAloneTest, ColourIsForTerminals) {
  Daemon daemon;
  daemon.BringPlugin(TemplatePlugin());
  MlosOptions options;
  options.environment = {{"MLOS_HOST", "http://" + daemon.address()}, {"TERM", "xterm"}};
  EXPECT_THAT(RunMlos({"plugin", "list"}, options).out, Not(HasSubstr("\x1b")));
  options.terminal = true;
  EXPECT_THAT(RunMlos({"plugin", "list"}, options).out, HasSubstr("\x1b[32mready\x1b[0m"));
  options.environment["NO_COLOR"] = "1";
  EXPECT_THAT(RunMlos({"plugin", "list"}, options).out, Not(HasSubstr("\x1b")));
  options.environment.erase("NO_COLOR");
  options.environment["TERM"] = "dumb";
  EXPECT_THAT(RunMlos({"plugin", "list"}, options).out, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace mlos::test
