// What a take shows to have happened to Redis, or to the input log, behind the owner's back.
#ifndef SPILLWAY_WORKER_INGEST_INCIDENT_H_
#define SPILLWAY_WORKER_INGEST_INCIDENT_H_

#include <cstdint>

#include "base/ids.h"
#include "worker/ingest/shard_taking.h"

namespace spillway::ingest {

// Counted since the worker's start, over all times a shard was ours.
struct IncidentCounts {
  uint64_t redis_losses = 0;     // Redis held nothing of a shard of which C was committed
  uint64_t redis_rollbacks = 0;  // it held an earlier state
  uint64_t replaced_logs = 0;    // the input is another log, or was cut off
  uint64_t unreplayable = 0;     // offsets that the log has lost before they could be read
  bool operator==(const IncidentCounts&) const = default;
};

// What the shard's owner remembers from one take to the next.
struct BeforeTaking {
  Offset watermark = kNoOffset;  // W, the highest known of this log
  Offset sent = kNoOffset;       // the highest asked for; not below W
  bool was_set_back = false;     // an answer showed an earlier state
  bool was_created = false;      // by a take that did not succeed
  bool was_fenced = false;       // somebody else may have moved W
  bool is_counted = false;       // what Redis had forgotten, by a take that did not succeed
};

// Counts what has happened and says it, one line for each incident. A consumer group that has
// committed before it meets an empty namespace for the first time looks like a loss, and is one.
void TellIncidents(ShardId shard, const BeforeTaking& before, const TakenShard& taken,
                   IncidentCounts& counts);

}  // namespace spillway::ingest

#endif  // SPILLWAY_WORKER_INGEST_INCIDENT_H_
