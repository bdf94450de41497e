// What an operation (a change that outlasts the call that asked for it) waits for, and how far it
// is: judged anew from the fleet's state after every event, so a server that comes back judges on.
// Values; pure.
#ifndef SPILLWAY_SERVER_FLEET_OPERATION_H_
#define SPILLWAY_SERVER_FLEET_OPERATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/fleet/fleet.h"

namespace spillway::fleet {

// Both are recorded as numbers: values are added at the end only.
enum class OperationKind {
  kStartPool,
  kStopPool,
  kResizePool,
  kRestartPool,
  kRestartWorker,
  kDrainPool,
  kCreatePool,
  kUpdatePool,
  kDeletePool,
};
enum class OperationState {
  kRunning,
  kSucceeded,
  kFailed,     // what was wished for holds on; it is not reached without a person
  kCancelled,  // by a person, or another wish has made it pointless
};

struct OperationGoal {
  OperationKind kind = OperationKind::kStartPool;
  std::string pool;
  int32_t slot = -1;        // kRestartWorker
  int32_t desired = 0;      // kResizePool, kCreatePool, kUpdatePool
  uint64_t restart = 0;     // kRestartPool: PoolRestart::number; kDrainPool: PoolDrain's
  Generation generation{};  // kRestartWorker: this or a later one shall serve
};

// Where one worker is on the way.
enum class WorkerPhase {
  kWaiting,   // not its turn yet, or it starts again at a known time
  kDraining,  // finishes what it holds and hands its shards over
  kEnding,    // was told to end
  kStarting,  // not READY and HEALTHY yet, or has not got all of its shards
  kDone,
  kFailed,  // in CRASH_LOOP
};

struct WorkerProgress {
  WorkerKey worker;
  Generation generation;
  WorkerPhase phase = WorkerPhase::kWaiting;
  int32_t shards = 0;      // that it holds
  uint64_t in_flight = 0;  // parts of them that it has claimed and not ended
  std::string why;         // for a person: what was seen of it last
  bool operator==(const WorkerProgress&) const = default;
};

struct Progress {
  OperationState state = OperationState::kRunning;
  std::string detail;                   // one line: how far it is, or why it has ended so
  std::vector<WorkerProgress> workers;  // those it is about, by slot
};

// What the event asks for if it is a verb that takes time: to be called before it is applied.
std::optional<OperationGoal> GoalOf(const Fleet& fleet, const Event& event);

// How far it is. A pool that is no more, or is wished to be otherwise since, cancels it.
Progress JudgeOperation(const OperationGoal& goal, const Fleet& fleet);

// Whether `older` is pointless once `newer` is asked for.
bool Supersedes(const OperationGoal& newer, const OperationGoal& older);

const char* StateName(OperationState state);  // "SUCCEEDED"
const char* KindName(OperationKind kind);     // "ResizePool"

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_OPERATION_H_
