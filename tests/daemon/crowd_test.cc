// SPDX-License-Identifier: Apache-2.0
//
// A thousand clients at once, each with a request for the same model.
#include <sys/resource.h>

#include <filesystem>
#include <sstream>

#include "fixture.h"

namespace mlos::test {
namespace {

constexpr size_t kClients = 1000;

// A gauge out of a scrape, all of its series together.
double SumOf(const std::string& name, const std::string& page) {
  double sum = 0;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name + "{", 0) == 0) sum += std::stod(line.substr(line.rfind(' ')));
  }
  return sum;
}

TEST(CrowdTest, AThousandRequestsForOneModelAreTakenAtOnce) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;  // the daemon inherits it
  setrlimit(RLIMIT_NOFILE, &files);
  ASSERT_GT(files.rlim_cur, 2 * kClients) << "this machine grants too few descriptors";
  Daemon daemon;
  // The plugin is told what to do by files beside its library.
  const std::string package = daemon.dir() / "held";
  std::filesystem::copy(TestPlugin("held"), package);
  daemon.BringPlugin(package);
  ASSERT_EQ(201, daemon.RegisterModel("m", SourcePath("tests/plugins/model.test")).status);
  ASSERT_EQ(200, daemon.ModelAction("m", "load").status);
  WriteWhole(package + "/hold-execute", "");

  std::vector<HttpClient> clients;
  clients.reserve(kClients);
  for (size_t i = 0; i < kClients; ++i) {
    const std::string body = R"({"inputs":[{"name":"X","datatype":"FP32","shape":[1],"data":[)" +
                             std::to_string(i) + "]}]}";
    ASSERT_TRUE(clients.emplace_back(daemon.address()).Write("POST", "/v2/models/m/infer", body));
  }
  HttpClient scraper(daemon.metrics_address());
  EXPECT_TRUE(WaitUntil([&] {
    return SumOf("mlos_channel_entries_in_use", scraper.Send("GET", "/metrics").body) >= kClients;
  })) << "some were refused or not read";
  std::filesystem::remove(package + "/hold-execute");
  for (size_t i = 0; i < kClients; ++i) {
    const Reply reply = clients[i].Read();
    ASSERT_EQ(200, reply.status) << i << ": " << Show(reply);
    EXPECT_THAT(reply.body, testing::HasSubstr("\"data\":[" + std::to_string(i) + ".0]"));
  }
}

}  // namespace
}  // namespace mlos::test
