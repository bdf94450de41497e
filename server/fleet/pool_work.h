// Work on a pool that outlasts the call that asked for it, as values in the pool (docs/design.md,
// section 6, "Verbs"): what is left of it is decided anew after every event. Pure.
#ifndef SPILLWAY_SERVER_FLEET_POOL_WORK_H_
#define SPILLWAY_SERVER_FLEET_POOL_WORK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "server/fleet/limits.h"
#include "server/fleet/worker_machine.h"

namespace spillway::fleet {

struct Fleet;
struct Pool;

enum class RestartScope {
  kAll,
  kFailed,    // unhealthy, in BACKOFF or in CRASH_LOOP when it begins
  kOutdated,  // with another configuration than one that is started now (config_rollout.h)
};

// A restart of a pool's workers, a few at a time.
struct PoolRestart {
  enum class State {
    kUnderWay,
    kDone,       // every slot has a newer process that serves
    kHalted,     // a newer process does not serve: `detail` says which and why. Nothing goes on
    kCancelled,  // the pool was stopped
  };
  struct Replacing {
    Generation replaced;
    Instant deadline;  // until when a newer process must serve
  };

  uint64_t number = 0;  // of the pool's restarts, from 1
  State state = State::kUnderWay;
  RestartScope scope = RestartScope::kAll;
  int32_t max_unavailable = 1;            // REQUIRES: >= 1
  std::map<int32_t, Generation> waiting;  // by slot: what shall go
  std::map<int32_t, Replacing> replacing;
  int32_t replaced = 0;  // slots with a newer process that has served
  std::string detail;    // what it waits for, or why it ended
};

// Whether the worker does its work: READY and HEALTHY.
bool Serves(const Worker& worker);

// Puts a restart in the place of whatever restart the pool has. REQUIRES: the pool is not stopped.
void BeginRestart(const Fleet& fleet, Pool& pool, RestartScope scope, int32_t max_unavailable);

// Ends what is under way in the pool, with `why`.
void CancelWork(Pool& pool, const std::string& why);

// Goes on with every restart that is under way: of what serves, asks only as much to restart as
// leaves at most max_unavailable slots of the pool that do not serve. Waits for the first reports
// of adopted workers. Idempotent.
void AdvanceRestarts(Fleet& fleet, Instant now, const Limits& limits, std::vector<Action>& actions);

// The next moment at which time alone ends some work; kNever: none.
Instant NextDeadline(const Pool& pool);

// Time we slept does not count.
void PutOff(Pool& pool, Duration gap);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_POOL_WORK_H_
