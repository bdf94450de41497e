#include "server/fleet/pool_drain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/fleet/fleet.h"

namespace spillway::fleet {
namespace {

using State = PoolDrain::State;

const wire::ShardReport* FindReport(const Worker& worker, ShardId id) {
  for (const wire::ShardReport& shard : worker.report->shards) {
    if (shard.shard == id) return &shard;
  }
  return nullptr;
}

// It works, and its newest report knows its newest order.
bool HasObeyed(const Worker& worker) {
  return worker.report != nullptr && worker.order.sequence != 0 &&
         worker.report->order_sequence >= worker.order.sequence;
}

std::string CauseText(wire::Cause cause) {
  switch (cause) {
    case wire::Cause::kNone:
      return "";
    case wire::Cause::kRedis:
    case wire::Cause::kRedisMoving:
      return "waits for Redis";
    case wire::Cause::kRedisMemory:
      return "waits for memory in Redis";
    case wire::Cause::kKafka:
      return "waits for Kafka";
    case wire::Cause::kDeadLetter:
      return "waits for the dead letter topic";
    default:
      return "is blocked";
  }
}

// One look at one drain.
class Drainer {
 public:
  Drainer(Fleet& fleet, Pool& pool) : fleet_(fleet), pool_(pool), drain_(*pool.drain) {}

  void Look() {
    drain_.remaining.clear();
    LookAtWorkers();
    if (!IsIngest()) LookAtFlush();
  }

 private:
  void Remains(std::optional<ShardId> shard, std::optional<WorkerKey> worker, std::string why,
               uint64_t parts = 0, uint64_t messages = 0) {
    drain_.remaining.push_back({shard, std::move(worker), parts, messages, std::move(why)});
  }

  bool IsIngest() const { return pool_.role == wire::Role::kIngest; }

  // Nobody knows what a worker that does not work may take when it does.
  void LookAtWorkers() {
    for (const auto& [key, worker] : fleet_.workers) {
      if (key.pool != pool_.name || worker.state == WorkerState::kStopped) continue;
      if (worker.state != WorkerState::kReady) {
        Remains({}, key,
                absl::StrCat("is ", StateName(worker.state), ": ", worker.health.evidence));
      } else if (!HasObeyed(worker) || (IsIngest() && !worker.report->is_paused)) {
        Remains({}, key, "has not confirmed its newest order");
      } else if (IsIngest()) {
        for (const wire::ShardReport& shard : worker.report->shards) LookAtIngest(key, shard);
      }
    }
  }

  void LookAtIngest(const WorkerKey& worker, const wire::ShardReport& shard) {
    if (shard.stage != wire::ShardStage::kOwned) {
      Remains(shard.shard, worker, "is being taken or given up", 0, shard.unwritten);
    } else if (shard.unwritten > 0) {
      const std::string cause = CauseText(shard.blocked_cause);
      Remains(shard.shard, worker, cause.empty() ? "is being written to Redis" : cause, 0,
              shard.unwritten);
    } else if (shard.is_committed) {
      drain_.settled.insert(shard.shard);
    } else if (!drain_.settled.contains(shard.shard)) {
      Remains(shard.shard, worker, "its offset is being committed");
    }
  }

  void LookAtFlush() {
    if (fleet_.shards.empty()) Remains({}, {}, "waits to learn which shards there are");
    for (const auto& [id, shard] : fleet_.shards) {
      const bool is_anothers = shard.owner && shard.owner->pool != pool_.name;
      if (!is_anothers) LookAtShard(id, shard);
    }
  }

  void LookAtShard(ShardId id, const Shard& shard) {
    const auto found = shard.owner ? fleet_.workers.find(*shard.owner) : fleet_.workers.end();
    if (found == fleet_.workers.end()) {
      drain_.empty.erase(id);
      const auto from = shard.handover ? std::optional(shard.handover->from) : std::nullopt;
      return Remains(id, from, from ? "is being handed over" : "nobody has it");
    }
    const Worker& worker = found->second;
    if (worker.state != WorkerState::kReady || !HasObeyed(worker)) return;  // told already
    const wire::ShardReport* report = FindReport(worker, id);
    if (report == nullptr || report->stage != wire::ShardStage::kOwned) {
      drain_.empty.erase(id);
      return Remains(id, worker.key, "is being taken");
    }
    const bool is_settled = drain_.settled.contains(id);
    const uint64_t parts = is_settled ? report->in_flight : report->backlog;
    if (parts == 0 && report->claims_of_others > 0) {
      drain_.empty.erase(id);
      drain_.settled.erase(id);  // what these hold is due again when they end
      return Remains(id, worker.key, "claims of an earlier owner have not ended");
    }
    const bool is_unseen = report->blocked_cause == wire::Cause::kRedis ||
                           report->blocked_cause == wire::Cause::kRedisMoving;
    if (parts > 0 || (is_unseen && !is_settled)) {
      drain_.empty.erase(id);
      const std::string cause = CauseText(report->blocked_cause);
      return Remains(id, worker.key, cause.empty() ? "is being delivered" : cause, parts);
    }
    if (!is_settled) NoticeEmpty(id, worker);
  }

  // One report alone may be older than what has become due.
  void NoticeEmpty(ShardId id, const Worker& worker) {
    const PoolDrain::Empty seen{worker.key, worker.generation, worker.report->sequence};
    const auto [before, is_first] = drain_.empty.try_emplace(id, seen);
    const bool is_same =
        before->second.worker == seen.worker && before->second.generation == seen.generation;
    if (is_same && seen.report > before->second.report) {
      drain_.settled.insert(id);
      drain_.empty.erase(before);
    } else if (!is_same) {
      before->second = seen;
    }
    // Settled or not: that it claims nothing more is still to be confirmed.
    Remains(id, worker.key, "is looked at once more");
  }

  Fleet& fleet_;
  Pool& pool_;
  PoolDrain& drain_;
};

void End(Pool& pool, State state, std::vector<Action>& actions) {
  pool.drain->state = state;
  pool.state = PoolState::kPaused;  // no new wish: this is what the drain was to lead to
  for (Action& action : actions) {  // of this step
    auto* spawn = std::get_if<Spawn>(&action);
    if (spawn != nullptr && spawn->worker.pool == pool.name) spawn->is_paused = true;
  }
  const bool is_done = state == State::kDone;
  actions.push_back(Note{!is_done,
                         is_done ? "pool drained" : "drain of the pool timed out",
                         {pool.name, -1},
                         {},
                         is_done ? "" : absl::StrCat(pool.drain->remaining.size(), " remain")});
}

}  // namespace

bool IsDraining(const Pool& pool) { return pool.state == PoolState::kDraining; }

void BeginDrain(Pool& pool, Instant deadline) {
  PoolDrain drain;
  drain.number = pool.drain ? pool.drain->number + 1 : 1;
  drain.deadline = deadline;
  pool.drain = std::move(drain);
}

void CancelDrain(Pool& pool) {
  if (IsDraining(pool) && pool.drain) pool.drain->state = State::kCancelled;
}

void AdvanceDrains(Fleet& fleet, Instant now, std::vector<Action>& actions) {
  for (Pool& pool : fleet.pools) {
    if (!IsDraining(pool) || !pool.drain) continue;
    Drainer(fleet, pool).Look();
    if (pool.drain->remaining.empty()) {
      End(pool, State::kDone, actions);
    } else if (now >= pool.drain->deadline) {
      End(pool, State::kTimedOut, actions);
    }
  }
}

}  // namespace spillway::fleet
