// What operators ask of single workers: where their threads are, what they have written.
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/supervisor/core.h"

namespace spillway::supervisor {
namespace {

absl::Status NoProcess(const fleet::WorkerKey& worker, absl::string_view why) {
  return Refusal(absl::StatusCode::kFailedPrecondition, "NO_PROCESS",
                 absl::StrCat(fleet::WorkerName(worker), ": ", why));
}

}  // namespace

absl::Status Supervisor::Core::CheckWorker(const fleet::WorkerKey& worker) const {
  if (is_closed_) return ServerStopping();
  if (fleet_.workers.contains(worker)) return absl::OkStatus();
  return Refusal(absl::StatusCode::kNotFound, "WORKER_NOT_FOUND",
                 absl::StrCat(fleet::WorkerName(worker), ": there is no such worker"));
}

void Supervisor::Core::CaptureStacks(const fleet::WorkerKey& worker, CaptureDone done) {
  if (const absl::Status status = CheckWorker(worker); !status.ok()) return done(status);
  if (const absl::Status status = CheckLaunched(worker); !status.ok()) return done(status);
  const auto running = processes_.find(worker);
  if (running == processes_.end()) return done(NoProcess(worker, "it has no process"));
  captures_[worker].push_back(std::move(done));
  if (captures_[worker].size() > 1) return;  // shares the answer
  running->second.process->CaptureStacks(
      [weak = weak_from_this(), worker](const StackReport& report) {
        const auto core = weak.lock();
        if (core == nullptr) return;
        auto asked = core->captures_.extract(worker);
        if (asked.empty()) return;
        for (CaptureDone& answer : asked.mapped()) answer(report);
      });
}

void Supervisor::Core::EndCaptures(const fleet::WorkerKey& worker) {
  auto asked = captures_.extract(worker);
  if (asked.empty()) return;
  for (CaptureDone& answer : asked.mapped()) answer(NoProcess(worker, "it has ended meanwhile"));
}

void Supervisor::Core::ReadLog(LogQuery query, LogDone done) {
  // A worker that the fleet has no more may have left a log; the pool's name is what is checked.
  if (is_closed_) return done(ServerStopping());
  if (fleet::FindPool(fleet_, query.worker.pool) == nullptr || query.worker.slot < 0) {
    return done(CheckWorker(query.worker));
  }
  if (const absl::Status status = CheckLaunched(query.worker); !status.ok()) return done(status);
  if (log_reader_count_ >= kMaxLogReaders) {
    return done(Refusal(absl::StatusCode::kResourceExhausted, "TOO_MANY_READERS",
                        absl::StrCat(kMaxLogReaders, " logs are being read already")));
  }
  ++log_reader_count_;
  const Instant deadline = parts_.clock.Now() + kLogWait;
  TryLog(std::make_shared<LogReader>(LogReader{std::move(query), deadline, std::move(done)}));
}

void Supervisor::Core::TryLog(std::shared_ptr<LogReader> reader) {
  const LogQuery query = reader->query;
  parts_.launcher.ReadLog(
      query, [reader = std::move(reader), weak = weak_from_this()](absl::StatusOr<LogPage> page) {
        if (const auto core = weak.lock()) return core->OnLog(reader, std::move(page));
        reader->done(ServerStopping());
      });
}

void Supervisor::Core::OnLog(std::shared_ptr<LogReader> reader, absl::StatusOr<LogPage> page) {
  const bool has_news = !page.ok() || !page->lines.empty() || !reader->query.after;
  if (!has_news && !is_closed_ && parts_.clock.Now() < reader->deadline) {
    log_readers_.push_back(std::move(reader));
    if (!log_timer_.is_running()) log_timer_.Start(kLogPause);
    return;
  }
  --log_reader_count_;
  if (is_closed_) page = ServerStopping();
  if (absl::IsNotFound(page.status())) {
    page = Refusal(absl::StatusCode::kNotFound, "LOG_NOT_FOUND",
                   absl::StrCat(fleet::WorkerName(reader->query.worker), ": has no log here"));
  }
  reader->done(std::move(page));
}

void Supervisor::Core::RetryLogs() {
  for (auto& reader : std::exchange(log_readers_, {})) TryLog(std::move(reader));
}

void Supervisor::Core::EndReaders() {
  log_timer_.Stop();
  for (auto& reader : std::exchange(log_readers_, {})) {
    --log_reader_count_;
    reader->done(ServerStopping());
  }
  for (auto& [worker, asked] : std::exchange(captures_, {})) {
    for (CaptureDone& answer : asked) answer(ServerStopping());
  }
}

}  // namespace spillway::supervisor
