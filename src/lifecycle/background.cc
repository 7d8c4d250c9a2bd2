// SPDX-License-Identifier: Apache-2.0
#include "lifecycle/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <new>

#include "base/log.h"
#include "catalog/artefact.h"

namespace mlos::lifecycle {
namespace {

constexpr int kNice = 10;

Background::Sums Hash(const std::vector<OwnedFd>& files, const std::atomic<bool>& stop) {
  std::vector<std::string> out;
  for (const OwnedFd& file : files) {
    MLOS_ASSIGN_OR_RETURN(std::string sum, catalog::Sha256Of(file.get(), stop));
    out.push_back(std::move(sum));
  }
  return out;
}

}  // namespace

Background::Background(EventLoop& control) : control_(control), thread_([this] { Run(); }) {}

Background::~Background() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  wake_.NotifyOne();
  thread_.join();
}

void Background::Do(Urgency urgency, Work work, Failed failed) {
  Job job{std::move(work), std::move(failed)};
  if (Queue(urgency, &job)) return wake_.NotifyOne();
  // Not from inside this call: whoever asks is not prepared for that.
  control_.Post([failed = std::move(job.failed)] {
    if (failed) {
      failed(Unavailable("too much waits to be read or copied in the background: try again later"));
    }
  });
}

bool Background::Queue(Urgency urgency, Job* job) {
  MutexLock lock(mutex_);
  std::deque<Job>& jobs = urgency == Urgency::kNow ? now_ : idle_;
  if (urgency == Urgency::kNow && jobs.size() >= kMostJobs) return false;
  jobs.push_back(std::move(*job));
  return true;
}

void Background::LetGo(std::shared_ptr<const void> what) {
  try {
    Job job{[what = std::move(what)](const std::atomic<bool>&) mutable -> Result {
              what.reset();
              return [] {};
            },
            nullptr};
    const MutexLock lock(mutex_);
    now_.push_back(std::move(job));
  } catch (const std::bad_alloc&) {
    return;  // with which it has gone
  }
  wake_.NotifyOne();
}

void Background::Checksum(std::vector<OwnedFd> files, Urgency urgency,
                          const std::function<void(Sums)>& done) {
  const auto kept = std::make_shared<std::vector<OwnedFd>>(std::move(files));
  Do(
      urgency,
      [kept, done](const std::atomic<bool>& stop) -> Result {
        return [sums = Hash(*kept, stop), done] { done(sums); };
      },
      [done](const Status& status) { done(status); });
}

Background::Result Background::Try(const Job& job, const std::atomic<bool>& stop) {
  Status status;
  try {
    return job.work(stop);
  } catch (const std::bad_alloc&) {
    status = ResourceExhausted("there was not enough memory to read it");
  } catch (const std::exception& e) {
    status = Internal(e.what());
  }
  Log(LogLevel::kError, "work in the background failed: {}", Message(status));
  return [failed = job.failed, status] {
    if (failed) failed(status);
  };
}

void Background::Run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  for (;;) {
    Job job;
    {
      MutexLock lock(mutex_);
      while (now_.empty() && idle_.empty() && !ending_) wake_.Wait(mutex_);
      if (ending_) return;
      std::deque<Job>& jobs = now_.empty() ? idle_ : now_;
      job = std::move(jobs.front());
      jobs.pop_front();
    }
    Result result = Try(job, ending_);
    // What the job holds is the loop's: its last reference goes there, too.
    control_.Post([job = std::move(job), result = std::move(result)] { result(); });
  }
}

}  // namespace mlos::lifecycle
