// The words of the fleet (docs/design.md, sections 2 and 6) as types. Values only.
#ifndef SPILLWAY_SERVER_FLEET_TYPES_H_
#define SPILLWAY_SERVER_FLEET_TYPES_H_

#include <compare>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace spillway::fleet {

// Same meanings as spillway.v1.WorkerState.
enum class WorkerState {
  kPending,    // To be started, or its start has just been ordered.
  kStarting,   // Process exists; it has not yet reported that it can work.
  kReady,      // Has reported that it can work; takes shards.
  kDraining,   // Finishes what it holds, takes nothing new, then ends by itself.
  kStopping,   // Was told to end: TERM, after a limit KILL; its end is not proven yet.
  kStopped,    // Proven dead, not to be started again.
  kBackoff,    // Proven dead, starts again at a known time.
  kCrashLoop,  // Proven dead; restart budget spent or started in vain: needs a person.
  kLost,       // Registered worker gone silent (nobody can prove its death).
};
inline constexpr int kWorkerStateCount = 9;

enum class HealthState { kStarting, kHealthy, kUnhealthy };

enum class UnhealthyReason {
  kNone,
  kStartupTimeout,  // No first report within health.startup_timeout.
  kSilent,          // No report for health.silence_timeout.
  kStalled,         // Work to do, nothing in the way, no progress for health.stall_timeout.
  kDead,            // The process has ended.
};

// kDraining: finishes what it has and takes nothing new; PAUSED when that is done or its time is
// up.
enum class PoolState { kRunning, kPaused, kStopped, kDraining };

// A worker's stable place. Text: "pools/flush/workers/0".
struct WorkerKey {
  std::string pool;
  int32_t slot = 0;
  auto operator<=>(const WorkerKey&) const = default;
};

std::string PoolName(absl::string_view pool);     // "pools/flush"
std::string WorkerName(const WorkerKey& worker);  // "pools/flush/workers/0"
const char* StateName(WorkerState state);         // "READY"
const char* StateName(HealthState state);         // "HEALTHY"
const char* StateName(PoolState state);           // "RUNNING"
const char* ReasonName(UnhealthyReason reason);   // "SILENT"; "" for none

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_TYPES_H_
