#include "server/fleet/types.h"

#include "absl/strings/str_cat.h"

namespace spillway::fleet {

std::string PoolName(absl::string_view pool) { return absl::StrCat("pools/", pool); }

std::string WorkerName(const WorkerKey& worker) {
  return absl::StrCat("pools/", worker.pool, "/workers/", worker.slot);
}

const char* StateName(WorkerState state) {
  switch (state) {
    case WorkerState::kPending:
      return "PENDING";
    case WorkerState::kStarting:
      return "STARTING";
    case WorkerState::kReady:
      return "READY";
    case WorkerState::kDraining:
      return "DRAINING";
    case WorkerState::kStopping:
      return "STOPPING";
    case WorkerState::kStopped:
      return "STOPPED";
    case WorkerState::kBackoff:
      return "BACKOFF";
    case WorkerState::kCrashLoop:
      return "CRASH_LOOP";
    case WorkerState::kLost:
      return "LOST";
  }
  return "";
}

const char* StateName(HealthState state) {
  switch (state) {
    case HealthState::kStarting:
      return "STARTING";
    case HealthState::kHealthy:
      return "HEALTHY";
    case HealthState::kUnhealthy:
      return "UNHEALTHY";
  }
  return "";
}

const char* StateName(PoolState state) {
  switch (state) {
    case PoolState::kRunning:
      return "RUNNING";
    case PoolState::kPaused:
      return "PAUSED";
    case PoolState::kStopped:
      return "STOPPED";
    case PoolState::kDraining:
      return "DRAINING";
  }
  return "";
}

const char* ReasonName(UnhealthyReason reason) {
  switch (reason) {
    case UnhealthyReason::kNone:
      return "";
    case UnhealthyReason::kStartupTimeout:
      return "STARTUP_TIMEOUT";
    case UnhealthyReason::kSilent:
      return "SILENT";
    case UnhealthyReason::kStalled:
      return "STALLED";
    case UnhealthyReason::kDead:
      return "DEAD";
  }
  return "";
}

}  // namespace spillway::fleet
