// A drain: what a pool has is finished, nothing new is taken, and what remains is told (docs/
// design.md, section 6, "Verbs"). A value in the pool, advanced after every event. Pure.
#ifndef SPILLWAY_SERVER_FLEET_POOL_DRAIN_H_
#define SPILLWAY_SERVER_FLEET_POOL_DRAIN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "server/fleet/types.h"
#include "server/fleet/worker_machine.h"

namespace spillway::fleet {

struct Fleet;
struct Pool;

// Something that keeps a drain from its end.
struct Remainder {
  std::optional<ShardId> shard;     // empty: a whole worker
  std::optional<WorkerKey> worker;  // empty: nobody has it
  uint64_t parts = 0;               // flush: due or in flight
  uint64_t messages = 0;            // ingest: read, and not yet in Redis
  std::string why;                  // a sentence
  bool operator==(const Remainder&) const = default;
};

struct PoolDrain {
  enum class State {
    kUnderWay,
    kDone,       // nothing remained
    kTimedOut,   // `remaining` is what was left at the deadline
    kCancelled,  // somebody paused, resumed or stopped the pool
  };
  // A report that found a shard without anything due or in flight.
  struct Empty {
    WorkerKey worker;
    Generation generation;
    uint64_t report = 0;
    bool operator==(const Empty&) const = default;
  };

  uint64_t number = 0;  // of the pool's drains, from 1
  State state = State::kUnderWay;
  Instant deadline;
  // Flush: the first of the two reports in a row that it takes.
  std::map<ShardId, Empty> empty;
  // Flush: had both, claims nothing more. Ingest: its low watermark was committed after its last
  // write (and may rise again while flush workers are at work).
  std::set<ShardId> settled;
  std::vector<Remainder> remaining;  // by shard, then worker
};

bool IsDraining(const Pool& pool);

// Puts a drain in the place of whatever drain the pool has. REQUIRES: the pool is not stopped.
void BeginDrain(Pool& pool, Instant deadline);

// Ends a drain that is under way without its being done.
void CancelDrain(Pool& pool);

// Brings every drain up to date; pools whose drain ends, one way or the other, are PAUSED then.
// Idempotent.
void AdvanceDrains(Fleet& fleet, Instant now, std::vector<Action>& actions);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_POOL_DRAIN_H_
