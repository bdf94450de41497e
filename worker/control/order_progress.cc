#include "worker/control/order_progress.h"

#include <algorithm>
#include <utility>

namespace spillway::worker {

bool IsFulfilled(const wire::Order& order, wire::Role role, const wire::WorkerReport& report) {
  if (report.order_sequence < order.sequence) return false;
  if (order.drain) return report.is_drained;
  if (report.is_paused != order.pause) return false;
  if (role == wire::Role::kIngest) return true;  // the consumer group assigns its shards
  if (report.shards.size() != order.shards.size()) return false;
  return std::all_of(report.shards.begin(), report.shards.end(),
                     [&](const wire::ShardReport& shard) {
                       return shard.stage == wire::ShardStage::kOwned &&
                              std::find(order.shards.begin(), order.shards.end(), shard.shard) !=
                                  order.shards.end();
                     });
}

Milestones MilestonesOf(const wire::WorkerReport& report) {
  Milestones milestones;
  milestones.is_ready = report.is_ready;
  milestones.is_paused = report.is_paused;
  milestones.is_draining = report.is_draining;
  milestones.is_drained = report.is_drained;
  for (const wire::ShardReport& shard : report.shards) {
    milestones.shards.emplace_back(shard.shard, shard.stage);
  }
  std::sort(milestones.shards.begin(), milestones.shards.end());
  return milestones;
}

std::vector<wire::HeldShard> HeldShards(const wire::WorkerReport& report) {
  std::vector<wire::HeldShard> held;
  for (const wire::ShardReport& shard : report.shards) {
    if (shard.epoch.number > 0) held.push_back({shard.shard, shard.epoch});
  }
  return held;
}

}  // namespace spillway::worker
