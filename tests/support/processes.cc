#include "tests/support/processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36 forgets to say so itself
}

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

absl::Status ErrnoStatus(absl::string_view what, int number) {
  return absl::InternalError(absl::StrCat(what, ": ", std::system_category().message(number)));
}

// Whether `fd` becomes readable (or ends) before `deadline`.
bool WaitReadable(int fd, Instant deadline) {
  while (true) {
    const Duration left = std::max(deadline - SystemClock().Now(), Duration::zero());
    pollfd entry = {fd, POLLIN, 0};
    const int timeout_ms = static_cast<int>(std::chrono::ceil<milliseconds>(left).count());
    const int ready = ::poll(&entry, 1, timeout_ms);
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

class SpawnActions {
 public:
  SpawnActions() {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
    // A session of its own makes a process group to kill; the parent's mask is not inherited.
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnActions() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  // Standard streams of the child: nothing in, `stdout_fd` (if any) and `path` out.
  void Redirect(const std::string& path, int stdout_fd) {
    const char* output = path.empty() ? "/dev/null" : path.c_str();
    ::posix_spawn_file_actions_addopen(&files_, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files_, 2, output, O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::posix_spawn_file_actions_adddup2(&files_, stdout_fd >= 0 ? stdout_fd : 2, 1);
    ::posix_spawn_file_actions_addclosefrom_np(&files_, 3);
  }
  const posix_spawn_file_actions_t* files() const { return &files_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> EnvironmentWith(const std::map<std::string, std::string>& additions) {
  std::vector<std::string> all;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!additions.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : additions) all.push_back(absl::StrCat(name, "=", value));
  return all;
}

// Starts a function of deploy/lib/services.sh, which ends when this process does.
absl::StatusOr<ChildProcess> StartService(const std::string& log_path,
                                          const std::vector<std::string>& call) {
  ChildProcess::Options options;
  options.arguments = {"setpriv",
                       "--pdeathsig",
                       "TERM",
                       "bash",
                       "-c",
                       ". \"$0\"; \"$@\"",
                       absl::StrCat(SPILLWAY_SOURCE_DIR, "/deploy/lib/services.sh")};
  options.arguments.insert(options.arguments.end(), call.begin(), call.end());
  options.output_path = log_path;
  options.pipe_stdout = true;
  return ChildProcess::Start(options);
}

// The address a service prints once it answers.
absl::StatusOr<std::string> ReadAddress(ChildProcess& process, const std::string& log_path) {
  absl::StatusOr<std::string> line = process.ReadLine(seconds(120));
  if (line.ok()) return line;
  return absl::UnavailableError(
      absl::StrCat("the service did not start (", log_path, "): ", line.status().message()));
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  path_ = (std::filesystem::temp_directory_path() / "spillway-XXXXXX").string();
  CHECK(::mkdtemp(path_.data()) != nullptr, "the temporary folder can be written");
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

int FreePort() {
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CHECK(::bind(probe.get(), generic, length) == 0, "the system has a free port");
  CHECK(::getsockname(probe.get(), generic, &length) == 0, "the socket is bound");
  return ntohs(address.sin_port);
}

absl::StatusOr<ChildProcess> ChildProcess::Start(const Options& options) {
  UniqueFd reader;
  UniqueFd writer;
  if (options.pipe_stdout) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus("pipe", errno);
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
  }
  SpawnActions actions;
  actions.Redirect(options.output_path, writer.get());
  const std::vector<std::string> environment = EnvironmentWith(options.environment);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, options.arguments.front().c_str(), actions.files(), actions.attributes(),
                     Pointers(options.arguments).data(), Pointers(environment).data());
  if (error != 0) return ErrnoStatus(options.arguments.front(), error);
  UniqueFd exit(::pidfd_open(pid, 0));
  CHECK(exit.valid(), "a child that is not reaped has a pid");
  return ChildProcess(pid, std::move(exit), std::move(reader));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      exit_fd_(std::move(other.exit_fd_)),
      output_fd_(std::move(other.output_fd_)),
      unread_(std::move(other.unread_)),
      exit_code_(other.exit_code_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  this->~ChildProcess();
  return *new (this) ChildProcess(std::move(other));
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  SignalGroup(SIGKILL);
  if (!exit_code_.has_value()) Reap();
}

bool ChildProcess::IsRunning() { return !WaitForExit(Duration::zero()).ok(); }

void ChildProcess::Signal(int number) {
  if (IsRunning()) ::kill(pid_, number);
}

void ChildProcess::SignalGroup(int number) { ::kill(-pid_, number); }

absl::StatusOr<int> ChildProcess::WaitForExit(Duration timeout) {
  if (!exit_code_.has_value()) {
    if (!WaitReadable(exit_fd_.get(), SystemClock().Now() + timeout)) {
      return absl::DeadlineExceededError(absl::StrCat("process ", pid_, " still runs"));
    }
    Reap();
  }
  return *exit_code_;
}

void ChildProcess::Reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

absl::StatusOr<std::string> ChildProcess::ReadLine(Duration timeout) {
  CHECK(output_fd_.valid(), "the child was started with pipe_stdout");
  const Instant deadline = SystemClock().Now() + timeout;
  while (true) {
    const size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    if (!WaitReadable(output_fd_.get(), deadline)) {
      return absl::DeadlineExceededError("no line of output in time");
    }
    char buffer[4096];
    const ssize_t length = ::read(output_fd_.get(), buffer, sizeof(buffer));
    if (length <= 0) return absl::OutOfRangeError("the output has ended");
    unread_.append(buffer, static_cast<size_t>(length));
  }
}

absl::StatusOr<CommandResult> RunCommand(std::vector<std::string> arguments, Duration timeout) {
  ChildProcess::Options options;
  options.arguments = std::move(arguments);
  options.pipe_stdout = true;
  ASSIGN_OR_RETURN(ChildProcess process, ChildProcess::Start(options));
  const Instant deadline = SystemClock().Now() + timeout;
  CommandResult result;
  while (true) {
    const auto line = process.ReadLine(deadline - SystemClock().Now());
    if (absl::IsOutOfRange(line.status())) break;
    if (!line.ok()) return line.status();
    absl::StrAppend(&result.output, *line, "\n");
  }
  ASSIGN_OR_RETURN(result.exit_code, process.WaitForExit(deadline - SystemClock().Now()));
  return result;
}

absl::StatusOr<RedisServer> RedisServer::Start(std::vector<std::string> arguments) {
  TemporaryDirectory directory;
  const int port = FreePort();
  std::vector<std::string> call = {"run_redis", directory.path(), absl::StrCat(port)};
  call.insert(call.end(), arguments.begin(), arguments.end());
  const std::string log_path = directory.path() + "/service.log";
  ASSIGN_OR_RETURN(ChildProcess process, StartService(log_path, call));
  RETURN_IF_ERROR(ReadAddress(process, log_path).status());
  return RedisServer(std::move(directory), std::move(arguments), port, std::move(process));
}

RedisServer::RedisServer(TemporaryDirectory directory, std::vector<std::string> arguments, int port,
                         ChildProcess process)
    : directory_(std::move(directory)),
      arguments_(std::move(arguments)),
      port_(port),
      process_(std::move(process)) {}

std::string RedisServer::url() const { return absl::StrCat("redis://127.0.0.1:", port_); }

void RedisServer::Kill() {
  process_.SignalGroup(SIGKILL);
  CHECK(process_.WaitForExit(seconds(30)).ok(), "nothing survives SIGKILL");
}

absl::Status RedisServer::StartAgain() {
  std::vector<std::string> call = {"run_redis", directory_.path(), absl::StrCat(port_)};
  call.insert(call.end(), arguments_.begin(), arguments_.end());
  const std::string log_path = directory_.path() + "/service.log";
  ASSIGN_OR_RETURN(process_, StartService(log_path, call));
  return ReadAddress(process_, log_path).status();
}

absl::StatusOr<KafkaBroker> KafkaBroker::Start() {
  const auto java = RunCommand({"bash", "-c", ". \"$0\"; has_java",
                                absl::StrCat(SPILLWAY_SOURCE_DIR, "/deploy/lib/services.sh")},
                               seconds(30));
  if (!java.ok() || java->exit_code != 0) {
    return absl::FailedPreconditionError("a real Kafka needs Java 17 or newer");
  }
  TemporaryDirectory directory;
  const std::string log_path = directory.path() + "/service.log";
  ASSIGN_OR_RETURN(ChildProcess process, StartService(log_path, {"run_kafka", directory.path()}));
  ASSIGN_OR_RETURN(std::string brokers, ReadAddress(process, log_path));
  return KafkaBroker(std::move(directory), std::move(brokers), std::move(process));
}

KafkaBroker::KafkaBroker(TemporaryDirectory directory, std::string brokers, ChildProcess process)
    : directory_(std::move(directory)),
      brokers_(std::move(brokers)),
      process_(std::move(process)) {}

}  // namespace spillway
