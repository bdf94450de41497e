#include "server/process/stack_capture.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/log.h"
#include "base/stack_dump.h"
#include "server/process/stack_report.h"

namespace spillway::process {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPollInterval{10};

std::string ReadText(const std::string& path, size_t limit) {
  std::ifstream file(path, std::ios::binary);
  std::string text(limit, '\0');
  file.read(text.data(), static_cast<std::streamsize>(limit));
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

std::string ProcPath(int64_t pid, absl::string_view file) {
  return absl::StrCat("/proc/", pid, "/", file);
}

// A process that does not catch the signal would be ended by it.
bool CatchesSignal(int64_t pid) {
  std::ifstream status(ProcPath(pid, "status"));
  for (std::string line; std::getline(status, line);) {
    if (!absl::StartsWith(line, "SigCgt:")) continue;
    uint64_t mask = 0;
    return absl::SimpleHexAtoi(line.substr(7), &mask) && (mask >> (StackDumpSignal() - 1) & 1) != 0;
  }
  return false;
}

// From "<id> (<name>) <state> …".
std::optional<ThreadStack> ReadThread(const std::string& path) {
  const std::string stat = ReadText(path, 512);
  const size_t open = stat.find('('), close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) {
    return std::nullopt;
  }
  ThreadStack thread;
  if (!absl::SimpleAtoi(stat.substr(0, open - 1), &thread.id)) return std::nullopt;
  thread.name = stat.substr(open + 1, close - open - 1);
  thread.state = stat[close + 2];
  return thread;
}

std::vector<ThreadStack> ReadThreads(int64_t pid) {
  std::vector<ThreadStack> threads;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(ProcPath(pid, "task"), error)) {
    if (auto thread = ReadThread(entry.path() / "stat")) threads.push_back(*std::move(thread));
  }
  return threads;
}

std::string WhyThereIsNoAnswer(int64_t pid) {
  const auto main = ReadThread(ProcPath(pid, "stat"));
  if (!main || main->state == 'Z' || main->state == 'X') return "the process has ended";
  const std::string limit =
      absl::StrCat("no answer within ",
                   std::chrono::ceil<std::chrono::seconds>(kStackCaptureTimeout).count(), " s");
  if (main->state == 'T') return limit + ": the process is stopped (SIGSTOP)";
  if (main->state == 't') return limit + ": the process is stopped by a debugger";
  if (main->state == 'D') return limit + ": the process waits in the kernel";
  return limit;
}

// A program that was replaced since its start is only reachable through /proc.
std::string WithReachableProgram(std::string maps, int64_t pid) {
  std::error_code error;
  const std::string program = fs::read_symlink(ProcPath(pid, "exe"), error);
  if (error || !absl::EndsWith(program, " (deleted)")) return maps;
  return absl::StrReplaceAll(maps, {{program, ProcPath(pid, "exe")}});
}

// Returns the file; empty: it could not be written.
std::string Keep(const StackFiles& files, const std::string& text) {
  std::error_code error;
  fs::create_directories(files.folder, error);
  const std::string path =
      absl::StrCat(files.folder, "/", files.stem, "-", SystemClock().Wall().us / 1000, ".txt");
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return "";
  std::vector<std::pair<fs::file_time_type, fs::path>> kept;
  for (const auto& entry : fs::directory_iterator(files.folder, error)) {
    kept.emplace_back(entry.last_write_time(error), entry.path());
  }
  std::sort(kept.begin(), kept.end());
  for (size_t i = 0; i + kKeptStacks < kept.size(); ++i) fs::remove(kept[i].second, error);
  return path;
}

}  // namespace

// What a pool thread makes of the answer.
struct StackCapture::Job {
  int64_t pid = 0;
  StackFiles files;
  StackDump dump;
  supervisor::StackReport report;

  void Run() {
    dump.maps = WithReachableProgram(std::move(dump.maps), pid);
    NamedStacks named = NameStacks(dump);
    report.summary = std::move(named.summary);
    report.text = absl::StrCat("process ", pid, report.problem.empty() ? "" : ": ", report.problem,
                               "\n", named.text);
    report.file = Keep(files, report.text);
  }
};

StackCapture::StackCapture(Loop& loop, int64_t pid, int pid_fd, StackFiles files,
                           supervisor::StacksDone done)
    : loop_(loop),
      pid_(pid),
      pid_fd_(pid_fd),
      files_(std::move(files)),
      done_(std::move(done)),
      request_(static_cast<int>(SystemClock().Wall().us & 0x7fffffff)),
      deadline_(SystemClock().Now() + kStackCaptureTimeout),
      timer_(loop, [this] { Poll(); }) {
  Ask() ? timer_.Start(kPollInterval) : Conclude("the process cannot be asked");
}

bool StackCapture::Ask() {
  if (!CatchesSignal(pid_) || ::truncate(files_.dump.c_str(), 0) != 0) return false;
  siginfo_t info{};
  info.si_signo = StackDumpSignal();
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_int = request_;
  return ::syscall(SYS_pidfd_send_signal, pid_fd_, StackDumpSignal(), &info, 0) == 0;
}

void StackCapture::Poll() {
  const auto dump = ParseStackDump(ReadText(files_.dump, kMaxStackDumpBytes));
  if (dump && dump->is_complete && dump->request == request_) return Conclude("");
  const bool has_ended = ::syscall(SYS_pidfd_send_signal, pid_fd_, 0, nullptr, 0) != 0;
  if (has_ended || SystemClock().Now() >= deadline_) return Conclude(WhyThereIsNoAnswer(pid_));
  timer_.Start(kPollInterval);
}

void StackCapture::Conclude(std::string problem) {
  auto job = std::make_shared<Job>();
  job->pid = pid_;
  job->files = files_;
  auto dump = ParseStackDump(ReadText(files_.dump, kMaxStackDumpBytes));
  if (dump && dump->request == request_) {
    job->dump = *std::move(dump);
  } else {
    job->dump.pid = pid_;
    job->dump.threads = ReadThreads(pid_);
  }
  job->report.problem = std::move(problem);
  loop_.Offload([job] { job->Run(); },
                [this, job, is_wanted = std::weak_ptr<bool>(is_wanted_)] {
                  if (is_wanted.expired()) return;
                  supervisor::StacksDone done = std::move(done_);
                  done(job->report);  // may destroy us
                });
}

}  // namespace spillway::process
