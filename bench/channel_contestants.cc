// SPDX-License-Identifier: Apache-2.0
#include "channel_contestants.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/clock.h"
#include "channel/consumer.h"
#include "latency_histogram.h"

namespace mlos::bench {
namespace {

constexpr uint64_t kWarmUpNanos = 10 * kNanosPerMilli;

void Check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "channel_bench: %s\n", what);
  _exit(1);
}

void PinTo(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (processor >= 0) {
    CPU_SET(processor, &set);
  } else {
    for (int i = 0; i < CPU_SETSIZE; ++i) CPU_SET(i, &set);
  }
  sched_setaffinity(0, sizeof(set), &set);
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  asm volatile("yield");
#endif
}

pid_t ForkOrphanless() {
  const pid_t child = fork();
  Check(child >= 0, "cannot fork");  // and no signal ever goes to process -1
  if (child == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return child;
}

uint64_t ClockOf(pid_t process) {
  clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
  if (process > 0 && clock_getcpuclockid(process, &clock) != 0) return 0;
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<uint64_t>(t.tv_sec) * kNanosPerSecond + static_cast<uint64_t>(t.tv_nsec);
}

// ---------------------------------------------------------------------- floors

// Two words on cache lines of their own, or two eventfds.
class Floor : public Contestant {
 public:
  Floor(Waiting waiting, const Placement& placement) : Contestant(placement), waiting_(waiting) {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    Check(memory != MAP_FAILED, "no memory");
    shared_ = new (memory) Shared();
    for (Side* side : {&caller_, &answerer_}) {
      side->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
      side->epoll = epoll_create1(EPOLL_CLOEXEC);
      epoll_event wanted{};
      wanted.events = EPOLLIN;
      epoll_ctl(side->epoll, EPOLL_CTL_ADD, side->event, &wanted);
    }
    Start();
  }
  ~Floor() override {
    for (Side* side : {&caller_, &answerer_}) {
      close(side->event);
      close(side->epoll);
    }
    munmap(shared_, sizeof(Shared));
  }

 protected:
  void Answer() override {
    for (uint32_t turn = 1;; ++turn) {
      Await(shared_->question, turn, answerer_);
      Pass(shared_->answer, turn, caller_);
    }
  }
  void Call(uint64_t* work) override {
    *work = 0;
    ++turn_;
    Pass(shared_->question, turn_, answerer_);
    Await(shared_->answer, turn_, caller_);
  }

 private:
  struct Shared {
    alignas(128) std::atomic<uint32_t> question{0};
    alignas(128) std::atomic<uint32_t> answer{0};
  };
  struct Side {
    int event = -1;
    int epoll = -1;
  };

  void Await(std::atomic<uint32_t>& word, uint32_t turn, const Side& mine) {
    for (uint32_t seen; (seen = word.load(std::memory_order_acquire)) != turn;) {
      if (waiting_ == Waiting::kSpin) {
        Pause();
      } else if (waiting_ == Waiting::kFutex) {
        syscall(SYS_futex, &word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
      } else {
        epoll_event event;
        epoll_wait(mine.epoll, &event, 1, -1);
        uint64_t count;
        [[maybe_unused]] const ssize_t got = read(mine.event, &count, sizeof(count));
      }
    }
  }
  void Pass(std::atomic<uint32_t>& word, uint32_t turn, const Side& theirs) {
    word.store(turn, std::memory_order_release);
    if (waiting_ == Waiting::kFutex) {
      syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    } else if (waiting_ == Waiting::kEvent) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t put = write(theirs.event, &one, sizeof(one));
    }
  }

  const Waiting waiting_;
  Shared* shared_;
  Side caller_, answerer_;
  uint32_t turn_ = 0;
};

// --------------------------------------------------------------------- channel

// Taken before anything is pinned: a thread that may run on one processor only
// would not spin at all, and it is to find out by itself whether it should.
const channel::WaitCosts& Costs() {
  static const channel::WaitCosts costs = channel::Calibrate();
  return costs;
}

// How one end of a channel waits.
template <typename End>
class Waiter {
 public:
  Waiter(Waiting waiting, End& end) : waiting_(waiting), end_(end), spinner_(Costs()) {
    if (waiting != Waiting::kEvent && waiting != Waiting::kAdaptiveEvent) return;
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    epoll_event wanted{};
    wanted.events = EPOLLIN | EPOLLET;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, end.event_fd(), &wanted);
  }
  ~Waiter() {
    if (epoll_ >= 0) close(epoll_);
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  template <typename Ready>
  void Wait(Ready&& ready) {
    if (waiting_ == Waiting::kSpin) {
      while (!ready()) Pause();
      return;
    }
    if (waiting_ == Waiting::kBounded) {
      for (const uint64_t until = NowNanos() + Costs().wake_ns; NowNanos() < until;) {
        for (int i = 0; i < 16; ++i) {
          if (ready()) return;
          Pause();
        }
      }
    }
    const bool adaptive = waiting_ == Waiting::kAdaptive || waiting_ == Waiting::kAdaptiveEvent;
    if (adaptive && spinner_.Spin(ready)) return;
    const bool event = epoll_ >= 0;
    if (!end_.PrepareSleep(event ? channel::Sleep::kEventFd : channel::Sleep::kFutex)) return;
    if (event) {
      epoll_event woken;
      epoll_wait(epoll_, &woken, 1, -1);
    } else {
      end_.FutexSleep(UINT64_MAX);
    }
    end_.FinishSleep();
  }

 private:
  const Waiting waiting_;
  End& end_;
  channel::Spinner spinner_;
  int epoll_ = -1;
};

class Channel : public Contestant {
 public:
  Channel(Waiting waiting, const Placement& placement, uint64_t bytes)
      : Contestant(placement), waiting_(waiting), bytes_(bytes) {
    Costs();
    auto producer = channel::Producer::Create({});
    Check(producer.ok() && (*producer)->BeginEpoch().ok(), "cannot make a channel");
    producer_ = *std::move(producer);
    // Filled once: the hot entry keeps its memory.
    channel::RequestSlot slot;
    Check(producer_->Begin(0, bytes_, &slot) == channel::BeginResult::kOk, "no request memory");
    for (uint64_t i = 0; i < bytes_; ++i) slot.memory[i] = static_cast<std::byte>(i * 31);
    producer_->Abandon(slot);
    Start();
    waiter_ = std::make_unique<Waiter<channel::Producer>>(waiting_, *producer_);
  }

 protected:
  void Answer() override {
    auto attached = channel::Consumer::Attach(producer_->Grant().value());
    Check(attached.ok(), "cannot attach to the channel");
    channel::Consumer& consumer = **attached;
    Waiter<channel::Consumer> waiter(waiting_, consumer);
    for (;;) {
      channel::Claim claim;
      if (!consumer.Next(&claim)) {
        waiter.Wait([&] { return consumer.HasSubmissions(); });
        continue;
      }
      auto request = consumer.RequestMemory(claim.request);
      auto block = consumer.AllocateResponse(claim.entry, 0, 64);
      Check(request.ok() && block.ok(), "a request makes no sense");
      channel::Times times{claim.claimed_ns, 0, 0};
      uint64_t sum = 0;
      if (bytes_ > 64) {
        times.started_ns = NowNanos();
        sum = Sum(request->subspan(0, bytes_));
        times.finished_ns = NowNanos();
      } else {
        std::memcpy(&sum, request->data(), sizeof(sum));
      }
      std::memcpy(block->memory.data(), &sum, sizeof(sum));
      consumer.Complete(claim, block->block, times);
    }
  }

  void Call(uint64_t* work) override {
    channel::RequestSlot slot;
    Check(producer_->Begin(0, bytes_, &slot) == channel::BeginResult::kOk, "no request memory");
    producer_->Submit(slot, {});
    bool done = false;
    const auto collect = [&](const channel::Completion& completion) {
      auto answer = producer_->ResponseMemory(completion.entry, completion.response);
      Check(answer.ok() && answer->size() >= sizeof(uint64_t), "an answer makes no sense");
      uint64_t sum;
      std::memcpy(&sum, answer->data(), sizeof(sum));
      Check(answered_ == 0 || sum == sum_, "an answer is wrong");
      sum_ = sum;
      ++answered_;
      *work = completion.times.finished_ns - completion.times.started_ns;
      producer_->Release(completion.entry);
      done = true;
    };
    while (producer_->Poll(std::ref(collect)), !done) {
      waiter_->Wait([&] { return producer_->HasCompletions(); });
    }
  }

 private:
  static uint64_t Sum(std::span<const std::byte> bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      uint64_t word;
      std::memcpy(&word, bytes.data() + i, sizeof(word));
      sum += word;
    }
    return sum;
  }

  const Waiting waiting_;
  const uint64_t bytes_;
  std::unique_ptr<channel::Producer> producer_;
  std::unique_ptr<Waiter<channel::Producer>> waiter_;
  uint64_t answered_ = 0;
  uint64_t sum_ = 0;
};

}  // namespace

const char* NameOf(Waiting waiting) {
  constexpr const char* kNames[] = {"spin",         "futex",           "epoll",
                                    "bounded spin", "adaptive, futex", "adaptive, epoll"};
  return kNames[static_cast<size_t>(waiting)];
}

Contestant::Contestant(const Placement& placement) : placement_(placement) {}

void Contestant::Start() {
  child_ = ForkOrphanless();
  if (child_ == 0) {
    PinTo(placement_.answerer);
    raise(SIGSTOP);
    Answer();
    _exit(0);
  }
  int status = 0;
  Check(waitpid(child_, &status, WUNTRACED) == child_ && WIFSTOPPED(status), "no child");
}

void Contestant::Kill() {
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
  child_ = -1;
}

uint64_t Contestant::ProcessorNanos() const { return ClockOf(0) + ClockOf(child_); }

Block Contestant::Measure(uint64_t nanos) {
  PinTo(placement_.caller);
  kill(child_, SIGCONT);
  static LatencyHistogram times, overheads;
  times.Clear();
  overheads.Clear();
  uint64_t work = 0;
  for (const uint64_t until = NowNanos() + kWarmUpNanos; NowNanos() < until;) Call(&work);
  const uint64_t processor = ProcessorNanos();
  const uint64_t begin = NowNanos();
  uint64_t now = begin;
  while (now - begin < nanos) {
    const uint64_t start = now;
    Call(&work);
    now = NowNanos();
    times.Record(now - start);
    overheads.Record(now - start > work ? now - start - work : 0);
  }
  Block block;
  block.rounds = times.count();
  block.processor =
      static_cast<double>(ProcessorNanos() - processor) / static_cast<double>(times.count());
  block.p50 = static_cast<double>(times.Quantile(0.5));
  block.p99 = static_cast<double>(times.Quantile(0.99));
  block.mean = times.mean();
  block.overhead = static_cast<double>(overheads.Quantile(0.5));
  kill(child_, SIGSTOP);
  int status = 0;
  waitpid(child_, &status, WUNTRACED);
  return block;
}

std::unique_ptr<Contestant> MakeFloor(Waiting waiting, const Placement& placement) {
  return std::make_unique<Floor>(waiting, placement);
}

std::unique_ptr<Contestant> MakeChannel(Waiting waiting, const Placement& placement,
                                        uint64_t bytes) {
  return std::make_unique<Channel>(waiting, placement, bytes);
}

Hog::Hog(int processor) : child_(ForkOrphanless()) {
  if (child_ != 0) return;
  PinTo(processor);
  for (;;) asm volatile("" ::: "memory");
}

Hog::~Hog() {
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

}  // namespace mlos::bench
