// The planning half of Step: what is wanted against what is there. Internal to server/fleet.
#ifndef SPILLWAY_SERVER_FLEET_RECONCILE_H_
#define SPILLWAY_SERVER_FLEET_RECONCILE_H_

#include <vector>

#include "server/fleet/fleet.h"

namespace spillway::fleet {

// Feeds `event` to one worker and keeps its actions.
void StepWorker(Fleet& fleet, const WorkerKey& key, const WorkerEvent& event, Instant now,
                const Limits& limits, std::vector<Action>& actions);

// Creates, wants and retires workers until every pool has its slots. Idempotent.
void ReconcilePools(Fleet& fleet, Instant now, const Limits& limits, std::vector<Action>& actions);

// Moves shards towards the plan: takes them from orders, waits for proof, gives them to the next.
// A shard is in the order of at most one worker. Idempotent.
void ReconcileShards(Fleet& fleet, Instant now, const Limits& limits);

// Writes orders that say what is wished now, and sends those that have not arrived.
void ReconcileOrders(Fleet& fleet, Instant now, const Limits& limits, std::vector<Action>& actions);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_RECONCILE_H_
