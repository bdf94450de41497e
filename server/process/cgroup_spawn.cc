#include "server/process/cgroup_spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"

namespace spillway::process {
namespace {

// What a child tells that could not become the program.
struct Failure {
  int error = 0;
  bool could_enter = true;
};

struct Ends {
  UniqueFd read, write;
};

Ends MakePipe() {
  int fds[2] = {-1, -1};
  if (::pipe2(fds, O_CLOEXEC) != 0) return {};
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// While it lives, no handler of ours runs in this thread, and none in a child that is made now.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

[[noreturn]] void Fail(int pipe_fd, Failure failure) {
  // A pipe takes so little in one piece; without it the parent takes the child for started, and
  // learns of its end as of any other.
  [[maybe_unused]] const ssize_t told = ::write(pipe_fd, &failure, sizeof failure);
  ::_exit(127);
}

// The child of a process with threads: only calls that are safe in a signal handler, no memory, no
// locks. posix_spawn would do all of it but the first line; POSIX_SPAWN_SETCGROUP is glibc 2.39's.
[[noreturn]] void BecomeProgram(const CgroupSpawn& spawn, int procs_fd, int pipe_fd) {
  if (::write(procs_fd, "0", 1) != 1) Fail(pipe_fd, {errno, false});
  ::setsid();
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  const int input_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool has_files = input_fd >= 0 && ::dup2(input_fd, STDIN_FILENO) >= 0 &&
                         ::dup2(spawn.output_fd, STDOUT_FILENO) >= 0 &&
                         ::dup2(spawn.output_fd, STDERR_FILENO) >= 0;
  // At exec, not now: the pipe must be there to tell that exec has failed.
  const bool is_closed =
      has_files && ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
  if (!is_closed) Fail(pipe_fd, {errno});
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(spawn.program, spawn.arguments, environ);
  Fail(pipe_fd, {errno});
}

// Waits until exec has closed the other end, or the child has told why there was none.
Failure ReadFailure(int pipe_fd) {
  Failure failure;
  ssize_t size = 0;
  do {
    size = ::read(pipe_fd, &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  return size == static_cast<ssize_t>(sizeof failure) ? failure : Failure{};
}

}  // namespace

CgroupSpawnResult SpawnInCgroup(const CgroupSpawn& spawn, const std::string& cgroup_directory) {
  const UniqueFd procs(::open((cgroup_directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!procs.valid()) return {0, errno, false};
  Ends pipe = MakePipe();
  if (!pipe.read.valid()) return {0, errno};
  pid_t pid = 0;
  {
    const AllSignalsBlocked blocked;
    pid = ::fork();
    if (pid == 0) BecomeProgram(spawn, procs.get(), pipe.write.get());
  }
  if (pid < 0) return {0, errno};
  pipe.write.Reset();
  const Failure failure = ReadFailure(pipe.read.get());
  if (failure.error == 0) return {pid};
  ::waitpid(pid, nullptr, 0);
  return {0, failure.error, failure.could_enter};
}

}  // namespace spillway::process
