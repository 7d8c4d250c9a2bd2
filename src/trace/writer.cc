// SPDX-License-Identifier: Apache-2.0
#include "trace/writer.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace mlos::trace {
namespace {

constexpr int kNice = 10;

// About what a record takes while it waits.
size_t SizeOf(const Record& record) {
  size_t size = sizeof(Record) + record.model.size() + record.version.size() +
                record.request_id.size() + record.traceparent.size() + record.tensor_bytes +
                record.stamps.size() * sizeof(Record::Stamp) +
                record.tensors.size() * sizeof(Record::Tensor);
  for (const Record::Tensor& tensor : record.tensors) {
    size += tensor.name.size() + tensor.shape.size() * sizeof(int64_t);
  }
  return size;
}

}  // namespace

Writer::~Writer() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    ending_ = true;
    thread = std::move(thread_);
  }
  wake_.NotifyOne();
  if (thread.joinable()) thread.join();
}

void Writer::Offer(std::unique_ptr<Record> record) {
  {
    MutexLock lock(mutex_);
    const size_t size = SizeOf(*record);
    if (queue_.size() >= kMostQueued || queued_bytes_ + size > kMostQueuedBytes) return Drop();
    if (!thread_.joinable() && !ending_ && !StartThread()) return Drop();
    queued_bytes_ += size;
    queue_.push_back(std::move(record));
  }
  wake_.NotifyOne();
}

// False where the system has no more threads for us: traces are dropped until it has.
bool Writer::StartThread() {
  try {
    thread_ = std::thread([this] { Run(); });
    return true;
  } catch (const std::system_error& e) {
    if (!std::exchange(starved_, true)) {
      Log(LogLevel::kError, "traces are dropped: a thread for them cannot be started: {}",
          e.what());
    }
    return false;
  }
}

void Writer::Run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  for (;;) {
    std::unique_ptr<Record> record;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !ending_) wake_.Wait(mutex_);
      if (queue_.empty()) break;
      record = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= SizeOf(*record);
    }
    Write(*record);
  }
  Close();
}

void Writer::Write(const Record& record) {
  if (fd_ && frequency_ != record.log_frequency) Close();
  const std::string text = Text(record);
  if (written_ + text.size() > max_bytes_) {
    if (!std::exchange(complained_, true)) {
      Log(LogLevel::kWarning, "traces take the {} bytes that they may: no more are written",
          max_bytes_);
    }
    return Drop();
  }
  if (!fd_ && !Open(record.log_frequency)) return Drop();
  if (!Put(in_file_ == 0 ? "[\n" : ",\n") || !Put(text)) return Drop();
  ++in_file_;
  if (frequency_ > 0 && in_file_ >= frequency_) Close();
}

bool Writer::Open(uint32_t log_frequency) {
  std::string path = file_;
  if (log_frequency > 0 || std::exchange(plain_used_, true)) path += "." + std::to_string(next_++);
  fd_.Reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                   S_IRUSR | S_IWUSR));
  if (!fd_) {
    const Status why = ErrnoStatus("cannot write traces to " + path);
    if (!std::exchange(complained_, true)) Log(LogLevel::kWarning, "{}", Message(why));
    return false;
  }
  frequency_ = log_frequency;
  in_file_ = 0;
  return true;
}

void Writer::Close() {
  if (fd_) Put(in_file_ == 0 ? "[]\n" : "\n]\n");
  fd_.Reset();
}

bool Writer::Put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd_.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    written_ += static_cast<uint64_t>(n);
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace mlos::trace
