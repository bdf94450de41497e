// What happens to one worker: its life cycle as a pure function. Who calls it: fleet.h.
#ifndef SPILLWAY_SERVER_FLEET_WORKER_MACHINE_H_
#define SPILLWAY_SERVER_FLEET_WORKER_MACHINE_H_

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "proto/wire/worker_report.h"
#include "server/fleet/limits.h"
#include "server/fleet/worker.h"

namespace spillway::fleet {

// The exit code by which a program says that it was configured in a way that cannot work: starting
// it again is in vain.
inline constexpr int kBadConfigurationExit = 78;

// ---- events -------------------------------------------------------------------------------------

struct Want {};         // the plan has a place for it
struct Retire {};       // the plan has none
struct ResetBudget {};  // a person gives it another chance
struct Restart {};      // a person wants another process, once this one has finished
struct Started {
  int64_t pid = 0;
};
struct StartFailed {
  std::string why;
};
// A process that was there already, of this generation.
struct Adopted {
  int64_t pid = 0;
  Generation generation;
};
struct Attached {
  std::string uid, version;
  uint64_t config_digest = 0;  // of what it runs with; 0: it has not said
};
struct Reported {
  std::shared_ptr<const wire::WorkerReport> report;
};
struct Detached {};
// Proven dead.
struct Exited {
  enum class Kind { kExited, kSignaled, kUnknown };
  Kind kind = Kind::kUnknown;
  int value = 0;  // exit code or signal
  std::vector<std::string> last_lines{};
  // Of its whole life; all 0 if not known.
  std::chrono::microseconds user_cpu{0}, system_cpu{0};
  int64_t max_rss_bytes = 0;
  std::optional<ClaimInHand> in_hand{};  // of a flush worker: what it worked on when it ended
  // The kernel killed it for want of memory: its limit in bytes; 0: the want was not its own.
  std::optional<int64_t> memory_kill{};
};
// The answer to CaptureStacks, or a word about why there is none.
struct StacksCaptured {
  Stacks stacks;
};
// A process that somebody else started has said who it is, or says so again.
struct Registered {
  int64_t pid = 0;
  std::string uid{}, version{};
  uint64_t config_digest = 0;  // as in Attached
  bool is_known = false;       // had this place before: what it holds is its word
};
// A registered worker has said goodbye; what it has not released may still be worked on.
struct Left {
  bool has_released_all = true;
};
struct Tick {};  // time has passed

using WorkerEvent =
    std::variant<Want, Retire, ResetBudget, Restart, Started, StartFailed, Adopted, Attached,
                 Reported, Detached, Exited, StacksCaptured, Registered, Left, Tick>;

// ---- actions ------------------------------------------------------------------------------------

struct Spawn {
  WorkerKey worker;
  wire::Role role = wire::Role::kIngest;
  Generation generation;
  bool is_paused = false;          // takes nothing until an order says otherwise
  uint64_t config_generation = 0;  // its configuration
};
struct Signal {
  WorkerKey worker;
  Generation generation;
  bool kill = false;  // KILL, else TERM
};
// Ask the process where its threads are; the answer is StacksCaptured.
struct CaptureStacks {
  WorkerKey worker;
  Generation generation;
};
struct SendOrder {
  WorkerKey worker;
  wire::Order order;
};
// Something a person may want to know: one line of log.
struct Note {
  bool is_warning = false;
  std::string event;  // "worker ready"
  WorkerKey worker;   // slot -1: the whole pool
  Generation generation;
  std::string detail;    // may be empty
  bool is_told = false;  // goes into the journal although it is no warning
};
using Action = std::variant<Spawn, Signal, CaptureStacks, SendOrder, Note>;

struct WorkerTransition {
  Worker worker;
  std::vector<Action> actions;
};

// Decides what happens to one worker. Same arguments, same answer. A combination of state and event
// that means nothing changes nothing (worker_machine_test.cc has the whole table).
//
//   PENDING ─Started→ STARTING ─first report that says ready→ READY ─Retire, Restart→ DRAINING
//      ↑ ↖──────────────┐  │                │                    │ deadline
//      │  BACKOFF ←──── death ←─────────────┘                    ↓
//      └─ STOPPED ←──── death ←──────────────────────────── STOPPING (TERM, deadline, KILL)
//      CRASH_LOOP ←──── death with the budget spent, or with exit code 78
//
// An unhealthy worker goes to STOPPING as well, where its stacks are captured before TERM; its
// death then counts as one. A successor is spawned only from a state without a process: at once
// after an end that was asked for, if the worker is still wanted (Restart). Registered workers live
// otherwise: registered_worker.h.
WorkerTransition Step(Worker worker, const WorkerEvent& event, Instant now, const Limits& limits);

// When the worker wants its next Tick at the latest; kNever: only events matter.
Instant NextTick(const Worker& worker, const Limits& limits);

// "exited with 3", "killed by SIGSEGV"
std::string ExitText(const Exited& exit);

// "exited with 3 0.2 s after its start; used 1.2 s CPU + 0.1 s of the system's, 40 MiB; main
// thread: poll <- main; stacks: …; last lines: …"
std::string DeathText(const Worker& worker, const Exited& exit, Instant now);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_WORKER_MACHINE_H_
