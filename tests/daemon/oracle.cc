// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/sanitized.h"

namespace mlos::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// Enough for a percentile that one slow answer does not decide alone.
constexpr size_t kWindow = 300;
constexpr size_t kMoreSegments = 8;  // one for each request would be a thousand
constexpr double kFactor = 10;
constexpr double kAtLeastMs = kSanitized ? 1000 : 200;

std::string ProcFile(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

uint64_t StatusField(pid_t pid, const std::string& field) {
  std::istringstream in(ReadWhole(ProcFile(pid, "status")));
  for (std::string word; in >> word;) {
    uint64_t value = 0;
    if (word == field && in >> value) return value;
  }
  return 0;
}

double Percentile99(std::vector<double> times) {
  if (times.empty()) return 0;
  const auto at = times.begin() + static_cast<std::ptrdiff_t>(times.size() * 99 / 100);
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

// What the environment asks for; 0: nothing.
double StrictFactor() {
  // Nothing changes the environment.  NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* text = std::getenv("MLOS_ORACLE_FACTOR");
  return text == nullptr ? 0 : std::strtod(text, nullptr);
}

}  // namespace

uint64_t SanitizerSlack() { return kSanitized ? 600 * kMiB : 0; }

uint64_t OwnRssBytes(pid_t pid) { return StatusField(pid, "RssAnon:") * 1024; }

size_t CountThreads(pid_t pid) { return StatusField(pid, "Threads:"); }

void RaiseDescriptorLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_GE(limit.rlim_cur, 4096u) << "the machine gives too few descriptors for this test";
}

uint64_t PeakRssBytes(pid_t pid) { return StatusField(pid, "VmHWM:") * 1024; }

void ResetPeakRss(pid_t pid) { WriteWhole(ProcFile(pid, "clear_refs"), "5"); }

// ------------------------------------------------------------------ Bystander

Bystander::Bystander(const std::string& address) {
  thread_ = std::thread([this, address] {
    HttpClient client(address);
    while (!stop_) {
      Infer(client);
      poll(nullptr, 0, 1);  // a client, not a load
    }
  });
}

Bystander::~Bystander() {
  stop_ = true;
  thread_.join();
}

void Bystander::Infer(HttpClient& client) {
  const auto begin = std::chrono::steady_clock::now();
  const Reply reply =
      client.Send("POST", "/v2/models/bystander/infer",
                  R"({"inputs":[{"name":"X","datatype":"FP32","shape":[2],"data":[1,2]}]})");
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  const bool right =
      reply.status == 200 && Numbers(reply, "/outputs/0/data") == std::vector<double>{3, 5};
  const std::lock_guard lock(mutex_);
  times_ms_.push_back(took.count());
  if (!right) lost_.push_back(Show(reply));
  ++answers_;
}

Bystander::Window Bystander::Take() {
  std::vector<double> times;
  Window window;
  {
    const std::lock_guard lock(mutex_);
    times.swap(times_ms_);
    window.lost.swap(lost_);
  }
  window.answers = times.size();
  window.p99_ms = Percentile99(std::move(times));
  return window;
}

// --------------------------------------------------------------------- Oracle

Oracle::Oracle(Daemon& daemon, const std::string& address) : daemon_(daemon), pid_(daemon.pid()) {
  bystander_ = std::make_unique<Bystander>(address.empty() ? daemon.address() : address);
  Await(kWindow / 2);  // what is kept for reuse is there now
  bystander_->Take();
  Await(kWindow);
  calm_ = bystander_->Take();
  hosts_ = daemon_.Hosts();  // with the test's own connection, which stays
  segments_ = CountSegments(pid_);
  fds_ = CountFds(pid_) - segments_;
  threads_ = CountThreads(pid_);
  rss_ = OwnRssBytes(pid_);
  ResetPeakRss(pid_);
}

void Oracle::Await(size_t answers) {
  const size_t goal = bystander_->answers() + answers;
  EXPECT_TRUE(WaitUntil([&] { return bystander_->answers() >= goal; },
                        std::chrono::seconds(kSanitized ? 180 : 60)))
      << "the bystander gets no answers any more";
}

void Oracle::Check() {
  ASSERT_TRUE(daemon_.process().Running()) << daemon_.process().log();
  CheckBystander();
  EXPECT_EQ(At(daemon_.Get("/api/v1/status"), "/pid"), std::to_string(pid_));
  for (const auto& [name, host] : daemon_.Hosts()) {
    EXPECT_EQ(0, host.restarts) << name;
    if (hosts_.count(name) != 0) {
      EXPECT_EQ(hosts_[name].pid, host.pid) << name;
    }
  }
  CheckFootprint();
}

void Oracle::CheckBystander() {
  // A short attack is over before he has asked often; what it left behind would still show.
  if (bystander_->answers() < 3 * kWindow) Await(kWindow);
  const Bystander::Window window = bystander_->Take();
  for (const std::string& lost : window.lost)
    ADD_FAILURE() << "the bystander lost a request: " << lost;
  const double strict = StrictFactor();
  const double bound =
      strict > 0 ? calm_.p99_ms * strict : std::max(calm_.p99_ms * kFactor, kAtLeastMs);
  EXPECT_LE(window.p99_ms, bound) << "before the attack it was " << calm_.p99_ms << " ms";
  std::printf("bystander: %zu answers, p99 %.2f ms; calm: %zu, %.2f ms\n", window.answers,
              window.p99_ms, calm_.answers, calm_.p99_ms);
}

void Oracle::CheckFootprint() {
  EXPECT_TRUE(WaitUntil([&] { return CountFds(pid_) <= fds_ + CountSegments(pid_); }))
      << CountFds(pid_) - CountSegments(pid_) << " descriptors, before " << fds_;
  // A channel keeps what it had to have for all that was in flight at once.
  EXPECT_LE(CountSegments(pid_), segments_ + kMoreSegments) << "before " << segments_;
  EXPECT_TRUE(WaitUntil([&] { return CountThreads(pid_) <= threads_; }))
      << CountThreads(pid_) << " threads, before " << threads_;
  const uint64_t most = rss_ + rss_ / 50 + 8 * kMiB + SanitizerSlack();
  EXPECT_TRUE(WaitUntil([&] { return OwnRssBytes(pid_) <= most; }))
      << OwnRssBytes(pid_) / 1024 << " KiB resident, before " << rss_ / 1024;
}

// ----------------------------------------------------------------- AttackTest

void AttackTest::Start(const std::vector<std::string>& args) {
  daemon_ = std::make_unique<Daemon>(args);
  daemon_->BringPlugin(TemplatePlugin());
  ASSERT_EQ(
      201, daemon_->RegisterModel("bystander", SourcePath("plugins/template/model.affine")).status);
  ASSERT_EQ(200, daemon_->ModelAction("bystander", "load").status);
}

void AttackTest::Watch(const std::string& address) {
  oracle_ = std::make_unique<Oracle>(*daemon_, address);
}

void AttackTest::TearDown() {
  if (oracle_ != nullptr) oracle_->Check();
  oracle_.reset();
  daemon_.reset();
}

}  // namespace mlos::test
