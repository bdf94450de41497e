// Which worker shall own which shard. Pure.
#ifndef SPILLWAY_SERVER_FLEET_SHARD_PLAN_H_
#define SPILLWAY_SERVER_FLEET_SHARD_PLAN_H_

#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "server/fleet/types.h"

namespace spillway::fleet {

struct Candidate {
  WorkerKey worker;
  bool takes_new = true;  // false: keeps what it has at most (its stream is down)
};

// Shard → the worker that has it now (or holds it as left over); empty: nobody.
using ShardOwners = std::map<ShardId, std::optional<WorkerKey>>;

// Spreads the shards over the candidates so that their numbers differ by at most one, moving as few
// as that needs. Owners that are no candidates lose their shards. Candidates in a defined order
// give a defined answer. Without a candidate that takes new ones, the rest stays without an owner.
ShardOwners PlanShards(const ShardOwners& now, const std::vector<Candidate>& candidates);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_SHARD_PLAN_H_
