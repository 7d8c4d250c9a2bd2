// SPDX-License-Identifier: Apache-2.0
//
// smi-check against plugins whose behaviour is known: what behaves passes, and
// each breach is found by the check that is for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace mlos {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string output;
};

Outcome Shell(const std::string& command) {
  Outcome run;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  if (pipe == nullptr) return run;
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    run.output.append(buffer, n);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
  return run;
}

Outcome SmiCheck(const std::string& arguments) {
  return Shell(std::string(SMI_CHECK_PROGRAM) + " " + arguments);
}

std::string Package(const std::string& name) {
  return std::string(MLOS_TEST_PLUGIN_DIRECTORY) + "/" + name + "/1.0.0";
}

const std::string kModel = std::string(MLOS_TEST_PLUGIN_SOURCE) + "/model.test";

struct Finding {
  std::string verdict;
  std::string reason;
};

std::map<std::string, Finding> Findings(const Outcome& run) {
  std::map<std::string, Finding> findings;
  boost::json::error_code error;
  const boost::json::value root = boost::json::parse(run.output, error);
  EXPECT_FALSE(error) << run.output;
  if (error) return findings;
  for (const boost::json::value& check : root.at("checks").as_array()) {
    findings[check.at("id").as_string().c_str()] = {check.at("verdict").as_string().c_str(),
                                                    check.at("reason").as_string().c_str()};
  }
  return findings;
}

struct Breach {
  const char* plugin;
  std::vector<std::string> failing;  // ids; the reason is that of the first
  const char* reason;
};

void PrintTo(const Breach& breach, std::ostream* out) { *out << breach.plugin; }

class BreachTest : public ::testing::TestWithParam<Breach> {};

TEST_P(BreachTest, IsFoundByItsCheck) {
  const Breach& breach = GetParam();
  // Long for a busy machine; the plugin that hangs has to wait for all of it.
  const std::string limit = std::string(breach.plugin) == "hang_in_execute" ? "3" : "60";
  const Outcome run =
      SmiCheck(Package(breach.plugin) + " --json --model " + kModel + " --timeout " + limit);
  EXPECT_EQ(run.exit_code, 1) << run.output;
  const auto findings = Findings(run);
  std::vector<std::string> failing;
  for (const auto& [id, finding] : findings) {
    if (finding.verdict == "fail") failing.push_back(id);
  }
  EXPECT_THAT(failing, ::testing::UnorderedElementsAreArray(breach.failing)) << run.output;
  ASSERT_EQ(findings.count(breach.failing[0]), 1u);
  EXPECT_THAT(findings.at(breach.failing[0]).reason, HasSubstr(breach.reason));
}

INSTANTIATE_TEST_SUITE_P(
    Plugins, BreachTest,
    ::testing::Values(
        Breach{"no_symbol", {"library"}, "exports no symbol smi_plugin_entry_v1"},
        Breach{"small_struct", {"table"}, "the table's struct_size is 32; version 1.0 has 88"},
        Breach{"liar_abi", {"version"}, "says SMI major version 99, this host speaks 1"},
        Breach{"liar_name", {"name"}, "the table says 'somebody_else', plugin.yaml says"},
        Breach{"null_function", {"functions"}, "the function 'execute' is NULL"},
        Breach{"abort_in_create", {"create"}, "killed by SIGABRT (Aborted) in create"},
        Breach{"trusts_host", {"truncated-host"}, "killed by SIGSEGV"},
        Breach{"any_extension",
               {"extensions", "warm-up"},
               "something for the unknown id 'mlos.plugin.no-such-extension/1'"},
        Breach{"crash_in_load",
               {"load-empty", "load-random", "load-missing", "load"},
               "killed by SIGSEGV (Segmentation fault) in load"},
        Breach{"takes_anything",
               {"load-empty", "load-random", "load-missing"},
               "load took an empty file for a model"},
        Breach{"long_error", {"load-empty", "load-random", "load-missing"}, "killed by SIGSEGV"},
        Breach{"unended_error", {"load-errors"}, "does not end with NUL within its capacity"},
        Breach{"bad_description",
               {"describe", "load-truncated", "load-damaged", "odd-config"},
               "max_batch_size is 8, but 'X' has shape [4]"},
        Breach{"crash_in_execute", {"execute"}, "killed by SIGSEGV (Segmentation fault) in"},
        Breach{"exit_in_execute", {"execute"}, "ended the process with exit status 7 in execute"},
        Breach{"hang_in_execute", {"execute"}, "not done after 3 s, in execute"},
        Breach{"throws", {"execute"}, "a C++ exception left execute: thrown across the line"},
        Breach{"bad_text", {"execute"}, "answered with INTERNAL: \\xff\\xfe caf\\xe9"},
        Breach{"never_answers", {"execute"}, "the request was not answered; call respond or fail"},
        Breach{"double_answer", {"execute"}, "respond was called on a request that was answered"},
        Breach{"wrong_output", {"execute"}, "'Y' was allocated as INT64; it was described as FP32"},
        Breach{"foreign_thread", {"execute"}, "another thread than the one that runs execute"},
        Breach{"keeps_artefact", {"execute"}, "open_artefact was called on another thread"},
        Breach{"writes_input", {"execute"}, "killed by SIGSEGV"},
        Breach{"uses_replaced", {"execute"}, "killed by SIGSEGV"},
        Breach{"ignores_stride", {"newer-host"}, "INTERNAL: the second input is not W"},
        Breach{"all_outputs", {"subset"}, "'Z' was allocated, but the request did not ask for it"},
        Breach{"stale_slot", {"slots"}, "between a slot that was used before and a new one"},
        Breach{"counts", {"repeat", "slots"}, "between two runs of one request"},
        Breach{"races", {"concurrency"}, "answered with INTERNAL among others and with OK alone"},
        Breach{"ignores_refusal", {"no-memory"}, "killed by SIGSEGV"},
        Breach{"shared_state", {"two-models"}, "killed by SIGSEGV"},
        Breach{"leaks_files", {"reload"}, "16 file descriptors stayed open after 16 cycles"}),
    [](const auto& each) { return std::string(each.param.plugin); });

class GoodTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoodTest, Passes) {
  const Outcome run = SmiCheck(Package(GetParam()) + " --json --model " + kModel);
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_EQ(Findings(run)["execute"].verdict, "pass") << run.output;
}

INSTANTIATE_TEST_SUITE_P(Plugins, GoodTest,
                         ::testing::Values("echo", "slow", "big_output", "chatty", "complete",
                                           "held", "reallocates"),
                         [](const auto& each) { return std::string(each.param); });

// Nothing is skipped for a plugin that offers everything, so every check ran.
TEST(SmiCheck, HasNoCheckThatIsNeverRun) {
  const Outcome run = SmiCheck(Package("complete") + " --json --model " + kModel);
  for (const auto& [id, finding] : Findings(run)) {
    EXPECT_EQ(finding.verdict, "pass") << id << ": " << finding.reason;
  }
}

TEST(SmiCheck, EveryDatatypeCrosses) {
  for (const char* datatype : {"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
                               "INT32", "INT64", "FP16", "FP32", "FP64", "BF16", "BYTES"}) {
    const Outcome run =
        SmiCheck(Package("echo") + " --model " + kModel +
                 R"( --config '{"parameters":{"t":{"string_value":")" + datatype + R"("}}}')");
    EXPECT_EQ(run.exit_code, 0) << run.output;
  }
}

TEST(SmiCheck, WithoutAModelSaysWhatWasNotChecked) {
  const Outcome run = SmiCheck(Package("echo"));
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("pass  create "));
  EXPECT_THAT(run.output, HasSubstr("needs --model"));
  EXPECT_THAT(run.output, HasSubstr("Give --model PATH to run the"));
}

TEST(SmiCheck, ABadManifestIsAFailure) {
  const fs::path directory = fs::path(::testing::TempDir()) / "smi-check-manifest";
  fs::create_directories(directory);
  std::ofstream(directory / "plugin.yaml") << "nmae: x\n";
  const Outcome run = SmiCheck(directory.string());
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, HasSubstr("FAIL  manifest"));
  EXPECT_THAT(run.output, HasSubstr("line 1: unknown key 'nmae' (did you mean 'name'?)"));
  fs::remove_all(directory);
}

TEST(SmiCheck, WrongUseIsNoVerdict) {
  EXPECT_EQ(SmiCheck("").exit_code, 2);
  EXPECT_EQ(SmiCheck("--no-such-flag").exit_code, 2);
  EXPECT_EQ(SmiCheck(Package("echo") + " --model /nowhere/at/all").exit_code, 2);
  EXPECT_EQ(SmiCheck(Package("echo") + " --timeout -1").exit_code, 2);
  const Outcome run = SmiCheck(Package("echo") + " --only exceute");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.output, HasSubstr("no check is called 'exceute' (did you mean 'execute'?)"));
}

TEST(SmiCheck, OnlyRunsWhatItDependsOn) {
  const auto findings = Findings(SmiCheck(Package("echo") + " --json --only create"));
  std::vector<std::string> ids;
  ids.reserve(findings.size());
  for (const auto& [id, finding] : findings) ids.push_back(id);
  EXPECT_THAT(ids, ::testing::UnorderedElementsAre("manifest", "library", "table", "version",
                                                   "functions", "create"));
}

TEST(SmiCheck, RunsOneCheckInItsOwnProcessForADebugger) {
  const std::string arguments = " --model " + kModel + " --in-process";
  EXPECT_EQ(SmiCheck(Package("echo") + arguments).exit_code, 2);
  const Outcome good = SmiCheck(Package("echo") + arguments + " --only execute");
  EXPECT_EQ(good.exit_code, 0) << good.output;
  EXPECT_THAT(good.output, HasSubstr("2 passed, 0 failed, 0 skipped"));
  // The process itself ends, which is what a debugger waits for.
  const Outcome bad = SmiCheck(Package("exit_in_execute") + arguments + " --only execute");
  EXPECT_EQ(bad.exit_code, 7) << bad.output;
}

TEST(Template, Passes) {
  const Outcome run = SmiCheck(std::string(MLOS_TEMPLATE_PACKAGE) + " --model " +
                               MLOS_TEMPLATE_SOURCE + "/model.affine");
  EXPECT_EQ(run.exit_code, 0) << run.output;
}

// The command that docs/writing-a-plugin.md gives, in a copy of the folder.
TEST(Template, IsBuiltWithOneCommandOutsideOfTheTree) {
  const fs::path directory = fs::path(::testing::TempDir()) / "template-copy";
  fs::remove_all(directory);
  fs::copy(MLOS_TEMPLATE_SOURCE, directory);
  const Outcome build =
      Shell("cd " + directory.string() +
            " && cc -std=c11 -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -I " +
            MLOS_INCLUDE_DIRECTORY + " template.c -o libtemplate.so");
  ASSERT_EQ(build.exit_code, 0) << build.output;
  const Outcome run =
      SmiCheck(directory.string() + " --model " + (directory / "model.affine").string());
  EXPECT_EQ(run.exit_code, 0) << run.output;
  fs::remove_all(directory);
}

#ifdef MLOS_ONNXRUNTIME_PACKAGE
TEST(OnnxRuntime, Passes) {
  const Outcome run =
      SmiCheck(std::string(MLOS_ONNXRUNTIME_PACKAGE) + " --model " + MLOS_DIGITS_MODEL);
  EXPECT_EQ(run.exit_code, 0) << run.output;
}
#endif

}  // namespace
}  // namespace mlos
