// Real processes for tests, benchmarks and tools: a child with a deadline on everything, private
// Redis and Kafka servers, a temporary folder, a free port. What these start ends with them.
#ifndef SPILLWAY_TESTS_SUPPORT_PROCESSES_H_
#define SPILLWAY_TESTS_SUPPORT_PROCESSES_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/unique_fd.h"

namespace spillway {

// A new empty folder, removed with all it holds at the end. Movable, not copyable.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A TCP port of 127.0.0.1 nobody listened on a moment ago. Prefer binding port 0 where possible.
int FreePort();

// A started child in its own session, from spawn to reap. Movable, not copyable. Not thread-safe.
// Destroying it kills its whole process group and reaps it.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> arguments;              // [0] is looked up in PATH
    std::string output_path;                         // appended to; empty: /dev/null
    std::map<std::string, std::string> environment;  // added to this process's own
    bool pipe_stdout = false;                        // for ReadLine; stderr goes to output_path
  };
  static absl::StatusOr<ChildProcess> Start(const Options& options);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  bool IsRunning();
  void Signal(int number);       // to the child alone; nothing if it has ended
  void SignalGroup(int number);  // to the child and what it started
  // The exit code, or 128 + the signal that ended it, as a shell tells. DEADLINE_EXCEEDED if it
  // still runs.
  absl::StatusOr<int> WaitForExit(Duration timeout);
  // The next line of its standard output. OUT_OF_RANGE at the end, DEADLINE_EXCEEDED.
  // REQUIRES: pipe_stdout.
  absl::StatusOr<std::string> ReadLine(Duration timeout);

 private:
  ChildProcess(pid_t pid, UniqueFd exit, UniqueFd output)
      : pid_(pid), exit_fd_(std::move(exit)), output_fd_(std::move(output)) {}
  void Reap();

  pid_t pid_ = -1;  // -1: moved from
  UniqueFd exit_fd_;
  UniqueFd output_fd_;
  std::string unread_;
  std::optional<int> exit_code_;
};

// Runs a command to its end: its exit code and what it wrote to standard output.
struct CommandResult {
  int exit_code = 0;
  std::string output;
};
absl::StatusOr<CommandResult> RunCommand(std::vector<std::string> arguments, Duration timeout);

// A private redis-server that keeps nothing on disk unless its arguments say so.
class RedisServer {
 public:
  static absl::StatusOr<RedisServer> Start(std::vector<std::string> arguments = {});

  int port() const { return port_; }
  std::string url() const;
  ChildProcess& process() { return process_; }  // SignalGroup reaches the server itself
  void Kill();                                  // as kill -9 does
  absl::Status StartAgain();                    // on the same port and folder, after Kill

 private:
  RedisServer(TemporaryDirectory directory, std::vector<std::string> arguments, int port,
              ChildProcess process);

  TemporaryDirectory directory_;
  std::vector<std::string> arguments_;
  int port_;
  ChildProcess process_;
};

// A private single-node Apache Kafka (KRaft) that creates no topics by itself. Starting takes some
// seconds and 400 MB: share it among the tests of a binary.
class KafkaBroker {
 public:
  // FAILED_PRECONDITION where there is no Java 17: skip the test, saying so.
  static absl::StatusOr<KafkaBroker> Start();

  const std::string& brokers() const { return brokers_; }
  ChildProcess& process() { return process_; }

 private:
  KafkaBroker(TemporaryDirectory directory, std::string brokers, ChildProcess process);

  TemporaryDirectory directory_;
  std::string brokers_;
  ChildProcess process_;
};

struct NewTopic {
  std::string name;
  int partitions = 1;
  std::map<std::string, std::string> configs = {};  // as max.message.bytes
};

// Creates topics and returns once the broker knows them. ALREADY_EXISTS names those it had.
absl::Status CreateTopics(const std::string& brokers, const std::vector<NewTopic>& topics);

}  // namespace spillway

#endif  // SPILLWAY_TESTS_SUPPORT_PROCESSES_H_
