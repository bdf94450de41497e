#include "server/fleet/reconcile.h"

#include <algorithm>
#include <map>
#include <set>

namespace spillway::fleet {
namespace {

// What workers say of orders of earlier servers is believed up to here (those are µs of wall time):
// a wild number must not leave none for the orders to come.
constexpr uint64_t kMaxLearnedOrder = uint64_t{1} << 62;

bool IsFlushWorkerAlive(const Worker& worker) {
  return worker.role == wire::Role::kFlush && worker.has_process;
}

// An ingest worker drains by reading nothing; a flush worker still has to claim what is due.
bool IsPaused(const Pool* pool) {
  if (pool == nullptr) return false;
  return pool->state == PoolState::kPaused ||
         (pool->state == PoolState::kDraining && pool->role == wire::Role::kIngest);
}

std::vector<ShardId> IdleShards(const Pool* pool, const std::vector<ShardId>& shards) {
  std::vector<ShardId> idle;
  if (pool == nullptr || pool->state != PoolState::kDraining || !pool->drain) return idle;
  std::copy_if(shards.begin(), shards.end(), std::back_inserter(idle),
               [&](ShardId id) { return pool->drain->settled.contains(id); });
  return idle;
}

// Whether a worker may own shards.
bool IsEligible(const Fleet& fleet, const Worker& worker) {
  const Pool* pool = FindPool(fleet, worker.key.pool);
  // It may also be leaving by itself, told by somebody else.
  const bool is_leaving =
      worker.has_left || (worker.report != nullptr && worker.report->is_draining);
  return IsFlushWorkerAlive(worker) && worker.state == WorkerState::kReady && worker.is_wanted &&
         !is_leaving && pool != nullptr && pool->state != PoolState::kStopped;
}

const Worker* FindLive(const Fleet& fleet, const WorkerKey& key, Generation generation) {
  const auto found = fleet.workers.find(key);
  if (found == fleet.workers.end()) return nullptr;
  const Worker& worker = found->second;
  return worker.has_process && worker.generation == generation ? &worker : nullptr;
}

// ---- pools --------------------------------------------------------------------------------------

// Registered workers have their places for as long as they are there: whoever started them ends
// them, and they outlive this server.
std::set<WorkerKey> WantedSlots(const Fleet& fleet) {
  std::set<WorkerKey> wanted;
  for (const auto& [key, worker] : fleet.workers) {
    if (worker.is_registered) wanted.insert(key);
  }
  if (fleet.is_shutting_down) return wanted;
  for (const Pool& pool : fleet.pools) {
    if (pool.state == PoolState::kStopped || !pool.is_configured || IsExternal(pool)) continue;
    for (int32_t slot = 0; slot < pool.desired; ++slot) wanted.insert({pool.name, slot});
  }
  return wanted;
}

Worker NewWorker(const Pool& pool, const WorkerKey& key) {
  Worker worker;
  worker.key = key;
  worker.role = pool.role;
  const auto floor = pool.generations.find(key.slot);
  if (floor != pool.generations.end()) worker.generation = floor->second;
  return worker;
}

Pool* FindPool(Fleet& fleet, const std::string& name) {
  return const_cast<Pool*>(FindPool(static_cast<const Fleet&>(fleet), name));
}

// Forgets the stopped workers of slots that are no more; of their generations the floor stays.
void RemoveStopped(Fleet& fleet) {
  std::erase_if(fleet.workers, [&](const auto& entry) {
    const Worker& worker = entry.second;
    Pool* pool = FindPool(fleet, worker.key.pool);
    const bool has_place =
        pool->is_configured && !IsExternal(*pool) && worker.key.slot < pool->desired;
    if (worker.state != WorkerState::kStopped || has_place) return false;
    pool->generations[worker.key.slot] = worker.generation;
    return true;
  });
  std::erase_if(fleet.pools, [&](const Pool& pool) {
    const bool is_gone =
        !pool.is_configured &&
        std::none_of(fleet.workers.begin(), fleet.workers.end(),
                     [&](const auto& entry) { return entry.first.pool == pool.name; });
    if (is_gone) fleet.floors[pool.name] = pool.generations;
    return is_gone;
  });
}

// An external pool is as large as whoever starts its workers makes it.
void CountRegistered(Fleet& fleet) {
  for (Pool& pool : fleet.pools) {
    if (!IsExternal(pool)) continue;
    const auto is_there = [&](const auto& entry) {
      const Worker& worker = entry.second;
      return worker.key.pool == pool.name && worker.is_registered && !worker.has_left &&
             worker.state != WorkerState::kLost;
    };
    const auto count = std::count_if(fleet.workers.begin(), fleet.workers.end(), is_there);
    pool.desired = std::clamp(static_cast<int32_t>(count), pool.min, pool.max);
  }
}

// Since when a worker that can no longer own is known to have gone on: of a silent one, since its
// last word.
Instant ReleasedSince(const Worker& owner, Instant now) {
  const bool is_silent = owner.state == WorkerState::kLost && !owner.has_left;
  return is_silent && owner.report != nullptr ? std::min(owner.report_at, now) : now;
}

// ---- shards -------------------------------------------------------------------------------------

// Owners that can no longer own: free at once if proven dead, else asked to hand over.
void ReleaseShards(Fleet& fleet, Instant now) {
  for (auto& [id, shard] : fleet.shards) {
    if (!shard.owner) continue;
    const Worker* owner = FindLive(fleet, *shard.owner, shard.owner_generation);
    if (owner != nullptr && IsEligible(fleet, *owner)) continue;
    if (owner != nullptr) {
      shard.handover =
          Handover{*shard.owner, shard.owner_generation, 0, ReleasedSince(*owner, now)};
    }
    shard.owner.reset();
  }
}

bool IsHandedOver(const Fleet& fleet, ShardId id, const Handover& handover, Instant now,
                  const Limits& limits) {
  const Worker* from = FindLive(fleet, handover.from, handover.generation);
  if (from == nullptr || now - handover.since >= limits.health.handover_timeout) return true;
  // A report from before the order that took the shard away proves nothing.
  const bool has_obeyed = handover.removed_in != 0 && from->report != nullptr &&
                          from->report->order_sequence >= handover.removed_in;
  return has_obeyed && !Holds(*from, id);
}

bool IsAdoptionPending(const Fleet& fleet, Instant now) {
  if (now < fleet.registration_deadline) return true;
  if (now >= fleet.adoption_deadline) return false;
  return std::any_of(fleet.workers.begin(), fleet.workers.end(), [](const auto& entry) {
    const Worker& worker = entry.second;
    return IsFlushWorkerAlive(worker) && worker.is_adopted && worker.report == nullptr;
  });
}

void Give(Fleet& fleet, Shard& shard, const WorkerKey& owner) {
  shard.owner = owner;
  shard.owner_generation = fleet.workers.at(owner).generation;
  shard.is_known = true;
}

// After a restart of the server: who has a shard owns it, until the plan says otherwise; who cannot
// go on or is giving it up already has to hand it over.
void AdoptShards(Fleet& fleet, Instant now) {
  for (auto& [id, shard] : fleet.shards) {
    if (shard.is_known) continue;
    const ShardHolder holder = FindHolder(fleet, wire::Role::kFlush, id);
    if (holder.worker == nullptr) continue;
    const bool goes_on =
        IsEligible(fleet, *holder.worker) && holder.report->stage != wire::ShardStage::kReleasing;
    if (goes_on) {
      Give(fleet, shard, holder.worker->key);
    } else {
      shard.handover = Handover{holder.worker->key, holder.worker->generation, 0, now};
      shard.is_known = true;
    }
  }
}

// A registered worker that has a shard by its own word, although nobody counts it as its owner: it
// was away for long, and this server does not know whose it was. Null: none.
const Worker* OtherHolder(const Fleet& fleet, ShardId id, const WorkerKey& next) {
  for (const auto& [key, worker] : fleet.workers) {
    const bool is_there = worker.is_registered && worker.is_attached && !worker.has_left &&
                          worker.state != WorkerState::kLost;
    if (is_there && key != next && Holds(worker, id)) return &worker;
  }
  return nullptr;
}

// Nothing moves while adopted workers have not spoken.
ShardOwners PlanNow(const Fleet& fleet, Instant now) {
  ShardOwners owners;
  for (const auto& [id, shard] : fleet.shards) owners[id] = shard.owner;
  if (IsAdoptionPending(fleet, now)) return owners;
  std::vector<Candidate> candidates;
  for (const auto& [key, worker] : fleet.workers) {
    if (IsEligible(fleet, worker)) candidates.push_back({key, worker.is_attached});
  }
  return PlanShards(owners, candidates);
}

std::map<WorkerKey, std::vector<ShardId>> OrderedShards(const Fleet& fleet) {
  std::map<WorkerKey, std::vector<ShardId>> ordered;
  for (const auto& [id, shard] : fleet.shards) {
    if (shard.owner) ordered[*shard.owner].push_back(id);
  }
  return ordered;
}

std::vector<wire::DeadEpoch> DeadEpochs(const Fleet& fleet, const std::vector<ShardId>& shards) {
  std::vector<wire::DeadEpoch> dead;
  for (const ShardId id : shards) {
    const std::vector<wire::DeadEpoch>& known = fleet.shards.at(id).dead;
    dead.insert(dead.end(), known.begin(), known.end());
  }
  return dead;
}

// What the worker holds under an epoch that is to be left.
std::vector<wire::HeldShard> Retakes(const Fleet& fleet, const Worker& worker) {
  std::vector<wire::HeldShard> retakes;
  if (worker.role != wire::Role::kIngest) return retakes;
  for (const wire::ShardReport& held : worker.report->shards) {
    const auto found = fleet.shards.find(held.shard);
    if (found == fleet.shards.end() || found->second.retake != held.epoch) continue;
    retakes.push_back({held.shard, held.epoch});
  }
  return retakes;
}

}  // namespace

void StepWorker(Fleet& fleet, const WorkerKey& key, const WorkerEvent& event, Instant now,
                const Limits& limits, std::vector<Action>& actions) {
  Worker& worker = fleet.workers.at(key);
  WorkerTransition transition = Step(std::move(worker), event, now, limits);
  worker = std::move(transition.worker);
  const Pool* pool = FindPool(static_cast<const Fleet&>(fleet), key.pool);
  for (Action& action : transition.actions) {
    // It must not take anything before its first order.
    if (auto* spawn = std::get_if<Spawn>(&action)) {
      spawn->is_paused = IsPaused(pool);
      spawn->config_generation = fleet.config.wanted.number;
      worker.config_digest = fleet.config.wanted.digest;
    }
  }
  std::move(transition.actions.begin(), transition.actions.end(), std::back_inserter(actions));
}

void ReconcilePools(Fleet& fleet, Instant now, const Limits& limits, std::vector<Action>& actions) {
  const std::set<WorkerKey> wanted = WantedSlots(fleet);
  for (const WorkerKey& key : wanted) {
    if (!fleet.workers.contains(key)) {
      fleet.workers.emplace(key, NewWorker(*FindPool(fleet, key.pool), key));
    }
    StepWorker(fleet, key, Want{}, now, limits, actions);
  }
  for (auto& [key, worker] : fleet.workers) {
    if (worker.is_wanted && !wanted.contains(key)) {
      StepWorker(fleet, key, Retire{}, now, limits, actions);
    }
  }
  RemoveStopped(fleet);
  CountRegistered(fleet);
}

void ReconcileShards(Fleet& fleet, Instant now, const Limits& limits) {
  std::set<ShardId> overdue;  // whoever still says that it has them has had its time
  AdoptShards(fleet, now);
  ReleaseShards(fleet, now);
  for (auto& [id, shard] : fleet.shards) {
    if (shard.handover && IsHandedOver(fleet, id, *shard.handover, now, limits)) {
      if (now - shard.handover->since >= limits.health.handover_timeout) overdue.insert(id);
      shard.handover.reset();
    }
  }
  for (const auto& [id, next] : PlanNow(fleet, now)) {
    Shard& shard = fleet.shards.at(id);
    shard.desired = next;
    if (shard.owner == next || !next) continue;
    if (shard.owner) {
      shard.handover = Handover{*shard.owner, shard.owner_generation, 0, now};
      shard.owner.reset();
    } else if (const Worker* other = OtherHolder(fleet, id, *next);
               other != nullptr && !shard.handover && !overdue.contains(id)) {
      shard.handover = Handover{other->key, other->generation, 0, now};
    } else if (!shard.handover) {
      Give(fleet, shard, *next);
    }
  }
}

void ReconcileOrders(Fleet& fleet, Instant now, const Limits& limits,
                     std::vector<Action>& actions) {
  std::map<WorkerKey, std::vector<ShardId>> ordered = OrderedShards(fleet);
  for (auto& [key, worker] : fleet.workers) {
    // Before the first report nobody knows what the worker holds: silence keeps it at work.
    if (!worker.has_process || worker.report == nullptr) continue;
    const Pool* pool = FindPool(fleet, key.pool);
    wire::Order wish;
    if (const auto found = ordered.find(key); found != ordered.end()) {
      wish.shards = std::move(found->second);
    }
    wish.dead = DeadEpochs(fleet, wish.shards);
    wish.retake = Retakes(fleet, worker);
    wish.pause = IsPaused(pool);
    wish.idle = IdleShards(pool, wish.shards);
    if (worker.role == wire::Role::kIngest) wish.drop_rules = fleet.drop_rules;
    wish.drain = worker.state == WorkerState::kDraining;
    // A worker that waits for Redis or Kafka keeps what it has until it is ready.
    const bool is_silent = worker.state == WorkerState::kStarting && !wish.pause;
    if (is_silent) continue;
    if (worker.report->order_sequence <= kMaxLearnedOrder) {
      fleet.order_sequence = std::max(fleet.order_sequence, worker.report->order_sequence);
    }
    const bool is_new = worker.order.sequence < worker.report->order_sequence ||
                        worker.order.sequence == 0 || wish.shards != worker.order.shards ||
                        wish.pause != worker.order.pause || wish.drain != worker.order.drain ||
                        wish.dead != worker.order.dead || wish.idle != worker.order.idle ||
                        wish.retake != worker.order.retake ||
                        wish.drop_rules != worker.order.drop_rules;
    if (is_new) {
      wish.sequence = ++fleet.order_sequence;
      worker.order = std::move(wish);
      worker.is_order_sent = false;
    }
    const bool is_lost = worker.report->order_sequence < worker.order.sequence &&
                         now - worker.order_sent_at >= 2 * limits.health.report_interval;
    if (worker.is_attached && (!worker.is_order_sent || is_lost)) {
      worker.is_order_sent = true;
      worker.order_sent_at = now;
      actions.push_back(SendOrder{key, worker.order});
    }
  }
  // From here on the orders of former owners no longer name the shards they hand over.
  for (auto& [id, shard] : fleet.shards) {
    if (!shard.handover || shard.handover->removed_in != 0) continue;
    const Worker* from = FindLive(fleet, shard.handover->from, shard.handover->generation);
    if (from != nullptr) shard.handover->removed_in = from->order.sequence;
  }
}

}  // namespace spillway::fleet
