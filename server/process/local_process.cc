#include "server/process/local_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "server/process/cgroup_spawn.h"

namespace spillway::process {
namespace {

using supervisor::ExitReport;

// Owners of posix_spawn's two parameter objects.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    CHECK(posix_spawnattr_init(&value_) == 0, "needs only memory");
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&value_, &none);  // the server blocks signals; children would too
    posix_spawnattr_setsigdefault(&value_, &all);
    posix_spawnattr_setflags(&value_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&value_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &value_; }

 private:
  posix_spawnattr_t value_;
};

class FileActions {
 public:
  explicit FileActions(int output_fd) {
    CHECK(posix_spawn_file_actions_init(&value_) == 0, "needs only memory");
    posix_spawn_file_actions_addopen(&value_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&value_, output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&value_, output_fd, STDERR_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&value_, STDERR_FILENO + 1);
  }
  ~FileActions() { posix_spawn_file_actions_destroy(&value_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &value_; }

 private:
  posix_spawn_file_actions_t value_;
};

absl::Status SpawnError(const std::string& program, int error) {
  const std::string text = absl::StrCat(program, ": ", std::strerror(error));
  if (error == ENOENT || error == EACCES) return absl::NotFoundError(text);
  if (error == EAGAIN || error == ENOMEM) return absl::ResourceExhaustedError(text);
  return absl::InternalError(text);
}

int SpawnPlainly(const Command& command, char* const* arguments, pid_t& pid) {
  const FileActions files(command.output_fd);
  const SpawnAttributes attributes;
  return ::posix_spawn(&pid, command.program.c_str(), files.get(), attributes.get(), arguments,
                       environ);
}

// Sets `pid`, or returns why not as an errno. Forgets a cgroup that cannot be entered.
int Start(const Command& command, std::optional<Cgroup>& cgroup, pid_t& pid) {
  std::vector<char*> arguments = {const_cast<char*>(command.program.c_str())};
  for (const std::string& argument : command.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  if (!cgroup) return SpawnPlainly(command, arguments.data(), pid);
  const CgroupSpawnResult result = SpawnInCgroup(
      {command.program.c_str(), arguments.data(), command.output_fd}, cgroup->directory());
  pid = result.pid;
  if (result.could_enter) return result.error;
  Log(LogLevel::kWarning, "a worker cannot enter its cgroup and runs without limits",
      {{"cgroup", cgroup->directory()}, {"error", std::strerror(result.error)}});
  cgroup->TryRemove();
  cgroup.reset();
  return SpawnPlainly(command, arguments.data(), pid);
}

UniqueFd OpenPidFd(int64_t pid) {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
}

std::chrono::microseconds ToDuration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

ExitReport ToReport(int status, const rusage& usage) {
  ExitReport report;
  report.kind = WIFSIGNALED(status) ? ExitReport::Kind::kSignaled : ExitReport::Kind::kExited;
  report.value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  report.user_cpu = ToDuration(usage.ru_utime);
  report.system_cpu = ToDuration(usage.ru_stime);
  report.max_rss_bytes = int64_t{usage.ru_maxrss} * 1024;
  return report;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalProcess>> LocalProcess::Spawn(Loop& loop,
                                                                  const Command& command,
                                                                  Ended ended) {
  std::optional<Cgroup> cgroup = command.cgroup;
  pid_t pid = 0;
  const int error = Start(command, cgroup, pid);
  if (error != 0) return SpawnError(command.program, error);
  UniqueFd pid_fd = OpenPidFd(pid);  // our unreaped child: the number is its own
  CHECK(pid_fd.valid(), "a child that has not been reaped has a pidfd");
  return std::unique_ptr<LocalProcess>(new LocalProcess(
      loop, {pid, true, command.stacks, std::move(cgroup)}, std::move(pid_fd), std::move(ended)));
}

absl::StatusOr<std::unique_ptr<LocalProcess>> LocalProcess::Adopt(Loop& loop, FoundProcess found,
                                                                  Ended ended) {
  const int64_t pid = found.pid;
  UniqueFd pid_fd = OpenPidFd(pid);
  if (!pid_fd.valid()) {
    return absl::NotFoundError(absl::StrCat("process ", pid, ": ", std::strerror(errno)));
  }
  return std::unique_ptr<LocalProcess>(
      new LocalProcess(loop, {pid, false, std::move(found.stacks), std::move(found.cgroup)},
                       std::move(pid_fd), std::move(ended)));
}

LocalProcess::LocalProcess(Loop& loop, Identity identity, UniqueFd pid_fd, Ended ended)
    : loop_(loop),
      identity_(std::move(identity)),
      pid_fd_(std::move(pid_fd)),
      ended_(std::move(ended)) {
  watch_ = std::make_unique<ReadWatch>(loop, pid_fd_.get(), [this] { OnReadable(); });
}

void LocalProcess::Terminate() {
  ::syscall(SYS_pidfd_send_signal, pid_fd_.get(), SIGTERM, nullptr, 0);
}

void LocalProcess::Kill() {
  ::syscall(SYS_pidfd_send_signal, pid_fd_.get(), SIGKILL, nullptr, 0);
  // The signal has reached the process; an old kernel cannot do more (Cgroup::Kill).
  if (identity_.cgroup) identity_.cgroup->Kill().IgnoreError();
}

void LocalProcess::CaptureStacks(supervisor::StacksDone done) {
  asked_.push_back(std::move(done));
  if (capture_ != nullptr) return;
  capture_ = std::make_unique<StackCapture>(
      loop_, identity_.pid, pid_fd_.get(), identity_.stacks,
      [this](const supervisor::StackReport& report) { OnStacks(report); });
}

void LocalProcess::OnStacks(const supervisor::StackReport& report) {
  const supervisor::StackReport answer = report;  // the capture's
  capture_.reset();
  auto asked = std::exchange(asked_, {});
  for (supervisor::StacksDone& done : asked) done(answer);  // may destroy us
}

void LocalProcess::OnReadable() {
  ExitReport report;  // of a process that is not our child nobody tells us more
  if (identity_.is_child) {
    int status = 0;
    rusage usage{};
    const pid_t reaped = ::wait4(static_cast<pid_t>(identity_.pid), &status, WNOHANG, &usage);
    if (reaped == 0) return;  // not ended after all
    if (reaped > 0) report = ToReport(status, usage);
  }
  watch_.reset();
  Ended ended = std::move(ended_);
  ended(report);  // may destroy us
}

}  // namespace spillway::process
