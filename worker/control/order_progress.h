// Whether a worker has done what it was told, judged by its own report. Pure.
#ifndef SPILLWAY_WORKER_CONTROL_ORDER_PROGRESS_H_
#define SPILLWAY_WORKER_CONTROL_ORDER_PROGRESS_H_

#include <vector>

#include "proto/wire/worker_report.h"

namespace spillway::worker {

// True if all of `order` holds. A draining worker has fulfilled it once it is drained; else it is
// paused or not as told and, as a flush worker, owns exactly the shards named.
bool IsFulfilled(const wire::Order& order, wire::Role role, const wire::WorkerReport& report);

// What the control plane waits for in a report: if one of these changes, it should learn it at once
// and not only with the next report.
struct Milestones {
  bool is_ready = false;
  bool is_paused = false;
  bool is_draining = false;
  bool is_drained = false;
  std::vector<std::pair<ShardId, wire::ShardStage>> shards;  // by number
  bool operator==(const Milestones&) const = default;
};
Milestones MilestonesOf(const wire::WorkerReport& report);

// Shards with an epoch: what Hello and Goodbye name.
std::vector<wire::HeldShard> HeldShards(const wire::WorkerReport& report);

}  // namespace spillway::worker

#endif  // SPILLWAY_WORKER_CONTROL_ORDER_PROGRESS_H_
