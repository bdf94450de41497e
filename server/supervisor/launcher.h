// Starting, asking and burying worker processes, as the supervisor needs it. Implemented by
// server/process for real and by tests/support for simulation; both pass one contract suite.
#ifndef SPILLWAY_SERVER_SUPERVISOR_LAUNCHER_H_
#define SPILLWAY_SERVER_SUPERVISOR_LAUNCHER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "proto/wire/worker_report.h"
#include "server/fleet/types.h"

namespace spillway::supervisor {

struct LaunchSpec {
  fleet::WorkerKey worker;
  wire::Role role = wire::Role::kIngest;
  Generation generation;
  bool is_paused = false;     // takes nothing until an order says otherwise
  std::string config_file{};  // what it runs with
};

// How a process ended.
struct ExitReport {
  enum class Kind {
    kExited,
    kSignaled,
    kUnknown
  };  // unknown: not our child, only known to be gone
  Kind kind = Kind::kUnknown;
  int value = 0;                        // exit code or signal number
  std::vector<std::string> last_lines;  // of its output, newest last, bounded
  // Of its whole life; all 0 if not known: of a process that is not our child nobody tells.
  std::chrono::microseconds user_cpu{0}, system_cpu{0};
  int64_t max_rss_bytes = 0;
  std::optional<ClaimInHand> in_hand{};  // the claim that a flush worker worked on when it ended
  // The kernel killed it for want of memory: the limit in bytes that it had reached (memory_max),
  // or 0 if the want was not its own (of the machine, of a container).
  std::optional<int64_t> memory_kill{};
};

// What the threads of a process were doing, for a person.
struct StackReport {
  std::string problem;  // why the process has not answered, or not wholly; empty: it has
  std::string summary;  // its main thread, innermost function first, one line; may be empty
  std::string text;     // all threads, line by line
  std::string file;     // where the text is kept; empty: nowhere
};
using StacksDone = absl::AnyInvocable<void(const StackReport&)>;

// A part of what a worker has written to its standard output and error.
struct LogQuery {
  fleet::WorkerKey worker;
  int32_t lines = 100;             // the newest so many, at most kMaxLogLines
  std::optional<int64_t> after{};  // instead: what came after a page's `next`
  bool is_followed = false;        // a line that has not ended belongs to the next page
};
struct LogPage {
  std::vector<std::string> lines;  // oldest first, valid UTF-8; at most about 1 MiB
  int64_t next = 0;
};
inline constexpr int32_t kMaxLogLines = 10'000;
using LogDone = absl::AnyInvocable<void(absl::StatusOr<LogPage>)>;

// A process left over from an earlier server (or by a person), proven to be what its lock file
// says.
struct Leftover {
  fleet::WorkerKey worker;
  Generation generation;
  int64_t pid = 0;  // 0: its process is gone; the generation is still a floor for the next
};

// Owner of one process, from start to its proven end. Loop thread only. Destroying it lets go of
// the process: it is neither killed nor waited for (workers outlive the server).
class Process {
 public:
  virtual ~Process() = default;
  virtual int64_t pid() const = 0;
  // Asks; never waits. No effect on a process that has ended. Never reaches another process that
  // got the same number.
  virtual void Terminate() = 0;  // SIGTERM
  virtual void Kill() = 0;       // SIGKILL
  // Asks all threads of the process where they are, without harm to it. `done` is called once, on
  // the loop's thread, within seconds, also if the process cannot answer; not at all if the Process
  // is destroyed before. A question while one is under way shares its answer.
  virtual void CaptureStacks(StacksDone done) = 0;
};

// Called once when the process is proven to have ended; may destroy the Process.
using OnExit = absl::AnyInvocable<void(const ExitReport&)>;

// Loop thread only.
class Launcher {
 public:
  virtual ~Launcher() = default;
  // Errors: NOT_FOUND (no such program), RESOURCE_EXHAUSTED, INTERNAL: `on_exit` is not called
  // then.
  virtual absl::StatusOr<std::unique_ptr<Process>> Launch(const LaunchSpec& spec,
                                                          OnExit on_exit) = 0;
  // Watches a leftover. NOT_FOUND: it has ended meanwhile.
  virtual absl::StatusOr<std::unique_ptr<Process>> Adopt(const Leftover& leftover,
                                                         OnExit on_exit) = 0;
  // What earlier servers left, by their lock files.
  virtual std::vector<Leftover> FindLeftovers() = 0;
  // Also of a worker that has ended. `done` is called once, later, unless the loop ends before.
  // NOT_FOUND: it has left no output.
  virtual void ReadLog(const LogQuery& query, LogDone done) = 0;
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_LAUNCHER_H_
