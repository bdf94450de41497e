// What happens to one worker that somebody else started (an orchestrator, a shell): its life cycle
// as a pure function. Called by Step of worker_machine.h for workers with is_registered.
#ifndef SPILLWAY_SERVER_FLEET_REGISTERED_WORKER_H_
#define SPILLWAY_SERVER_FLEET_REGISTERED_WORKER_H_

#include "server/fleet/worker_machine.h"

namespace spillway::fleet {

// How long a worker that is lost keeps its place, so that it is taken back if it returns; at least
// twice health.handover_timeout. (A new worker may have the place earlier if the pool is full.)
inline constexpr Duration kLostKept = std::chrono::minutes(10);

// Same arguments, same answer. Nothing is ever spawned or signalled, and no death is proven:
//
//   PENDING ─Registered→ STARTING ─first report that says ready→ READY ─Restart, stalled→ DRAINING
//      silence in any of them → LOST ─Registered→ STARTING, ─report on its old stream→ READY
//      Left → STOPPED (its place is free), or LOST if it still held shards
//
// DRAINING is an order: the worker finishes and ends by itself, and whoever started it starts the
// next. One that does not end stays where it is, without shards; a note says so once.
WorkerTransition StepRegistered(Worker worker, const WorkerEvent& event, Instant now,
                                const Limits& limits);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_REGISTERED_WORKER_H_
