#include "server/supervisor/snapshot_builder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace spillway::supervisor {
namespace {

using fleet::HealthState;
using fleet::PoolState;
using fleet::Worker;
using fleet::WorkerState;

constexpr size_t kMaxNamedShards = 8;  // in a check's detail

// The only place where an Instant becomes a wall time.
WallTime WallAt(Instant instant, const Surroundings& around) {
  const auto ago = std::chrono::duration_cast<std::chrono::microseconds>(around.now - instant);
  return {around.wall.us - ago.count()};
}

HealthView ToView(const fleet::Health& health, Instant evidence_at, const Surroundings& around) {
  return {health.state, health.reason, health.evidence, WallAt(health.since, around), evidence_at};
}

int Badness(HealthState state) {
  switch (state) {
    case HealthState::kHealthy:
      return 0;
    case HealthState::kStarting:
      return 1;
    case HealthState::kUnhealthy:
      return 2;
  }
  return 2;
}

HealthView WorstHealth(const fleet::Pool& pool, const fleet::Fleet& fleet,
                       const Surroundings& around) {
  HealthView worst{HealthState::kHealthy, fleet::UnhealthyReason::kNone, "", around.wall,
                   around.now};
  bool has_any = false;
  for (const auto& [key, worker] : fleet.workers) {
    if (key.pool != pool.name || !worker.is_wanted) continue;
    if (has_any && Badness(worker.health.state) <= Badness(worst.state)) continue;
    worst = ToView(worker.health, worker.report_at, around);
    worst.evidence = absl::StrCat(fleet::WorkerName(key), ": ", worst.evidence);
    has_any = true;
  }
  if (!has_any) worst.evidence = "no worker is wanted";
  return worst;
}

uint64_t ConfigGenerationOf(const Worker& worker, const fleet::ConfigRollout& rollout) {
  if (worker.config_digest == 0) return 0;
  if (worker.config_digest == rollout.wanted.digest) return rollout.wanted.number;
  for (const auto& other : {rollout.former, rollout.rejected}) {
    if (other && other->digest == worker.config_digest) return other->number;
  }
  return 0;
}

ConfigView ToView(const fleet::ConfigRollout& rollout) {
  return {rollout.state, rollout.wanted.number, 0, rollout.rejected ? rollout.rejected->number : 0,
          rollout.detail};
}

WorkerView ToView(const Worker& worker, const fleet::ConfigRollout& rollout,
                  const Surroundings& around) {
  WorkerView view;
  view.key = worker.key;
  view.role = worker.role;
  view.uid = worker.uid;
  view.pid = worker.pid;
  view.state = worker.state;
  view.health = ToView(worker.health, worker.report_at, around);
  view.generation = worker.generation;
  view.restarts = fleet::RestartCount(worker.history, around.now, around.restart);
  view.last_death = worker.last_death;
  view.version = worker.version;
  view.is_attached = worker.is_attached;
  view.config_generation = ConfigGenerationOf(worker, rollout);
  view.report = worker.report;
  if (around.activity != nullptr) view.use = around.activity->OfWorker(worker.key);
  if (worker.report != nullptr) {
    for (const wire::ShardReport& shard : worker.report->shards) view.shards.push_back(shard.shard);
    std::sort(view.shards.begin(), view.shards.end());
  }
  const auto start = around.start_times.find(worker.key);
  if (worker.has_process && start != around.start_times.end()) view.start_time = start->second;
  if (worker.next_start != fleet::kNever) view.next_start_time = WallAt(worker.next_start, around);
  return view;
}

// Fills in what the workers of one role say; of several that name a shard the highest epoch counts.
struct Side {
  wire::Role role;
  std::string ShardView::*name;
  std::optional<wire::ShardReport> ShardView::*report;
  std::optional<ActivityWindow> ShardView::*activity;
};
void AddReports(const fleet::Fleet& fleet, const Surroundings& around, const Side& side,
                std::map<ShardId, ShardView>& views) {
  for (const auto& [key, worker] : fleet.workers) {
    const bool is_lost = worker.state == WorkerState::kLost;  // its last word is over
    if (worker.role != side.role || worker.report == nullptr || is_lost) continue;
    for (const wire::ShardReport& report : worker.report->shards) {
      ShardView& view = views[report.shard];
      std::optional<wire::ShardReport>& place = view.*side.report;
      if (place && place->epoch >= report.epoch) continue;
      place = report;
      view.*side.name = fleet::WorkerName(key);
      if (around.activity != nullptr) {
        view.*side.activity = around.activity->OfShard(key, report.shard);
      }
      const bool is_first = view.figures_at == Instant();
      view.figures_at = is_first ? worker.report_at : std::min(view.figures_at, worker.report_at);
    }
  }
}

std::vector<ShardView> ShardViews(const fleet::Fleet& fleet, const Surroundings& around) {
  std::map<ShardId, ShardView> views;
  for (const auto& [id, shard] : fleet.shards) {
    if (shard.desired) views[id].flush_worker_desired = fleet::WorkerName(*shard.desired);
    views[id].id = id;
  }
  AddReports(fleet, around,
             {wire::Role::kIngest, &ShardView::ingest_worker, &ShardView::ingest,
              &ShardView::ingest_activity},
             views);
  AddReports(
      fleet, around,
      {wire::Role::kFlush, &ShardView::flush_worker, &ShardView::flush, &ShardView::flush_activity},
      views);
  std::vector<ShardView> list;
  for (auto& [id, view] : views) {
    view.id = id;
    const auto ledger = around.ledgers.find(id);
    if (ledger != around.ledgers.end()) view.ledger = ledger->second;
    const auto audit = around.audits.find(id);
    if (audit != around.audits.end()) view.audit = audit->second;
    list.push_back(std::move(view));
  }
  return list;
}

// ---- checks -------------------------------------------------------------------------------------

// The workers whose word about Redis and Kafka counts: those that can work. While there are none,
// those that are starting.
std::vector<const Worker*> Witnesses(const fleet::Fleet& fleet) {
  std::vector<const Worker*> ready, starting;
  for (const auto& [key, worker] : fleet.workers) {
    if (worker.report == nullptr || !worker.is_wanted) continue;
    (worker.state == WorkerState::kReady ? ready : starting).push_back(&worker);
  }
  return ready.empty() ? starting : ready;
}

Check KafkaCheck(const fleet::Fleet& fleet, const Surroundings& around) {
  if (!around.discovery.status.ok()) {
    return {"kafka", false,
            absl::StrCat("waits for topic ", around.discovery.topic, ": ",
                         around.discovery.status.message()),
            around.discovery.seen_at};
  }
  for (const Worker* worker : Witnesses(fleet)) {
    if (worker->report->is_kafka_ok) continue;
    return {"kafka", false,
            absl::StrCat(fleet::WorkerName(worker->key), ": no broker is connected"),
            worker->report_at};
  }
  return {"kafka", true, "", around.discovery.seen_at};
}

// Only workers talk to Redis; without any that is wanted there is nothing to check.
std::optional<Check> RedisCheck(const fleet::Fleet& fleet, const Surroundings& around) {
  const bool is_any_wanted = std::any_of(fleet.workers.begin(), fleet.workers.end(),
                                         [](const auto& entry) { return entry.second.is_wanted; });
  if (!is_any_wanted) return std::nullopt;
  const std::vector<const Worker*> witnesses = Witnesses(fleet);
  if (witnesses.empty()) {
    return Check{"redis", false, "waits for the first report of a worker", around.now};
  }
  for (const Worker* worker : witnesses) {
    if (worker->report->is_redis_ok) continue;
    const std::string waits = absl::StrJoin(worker->report->waiting_for, "; ");
    const char* what = waits.empty() ? ": Redis does not answer" : ": waits: ";
    return Check{"redis", false, absl::StrCat(fleet::WorkerName(worker->key), what, waits),
                 worker->report_at};
  }
  return Check{"redis", true, "", witnesses.front()->report_at};
}

// A shard that is on its way from one owner to the next is no news; one that stays away is.
bool IsMissed(const ShardView& shard, const Surroundings& around) {
  if (IsOwned(shard)) return false;
  const auto owned = around.owned_at.find(shard.id);
  return owned == around.owned_at.end() || around.now - owned->second > around.handover_timeout;
}

std::optional<Check> ShardsCheck(const fleet::Fleet& fleet, const std::vector<ShardView>& shards,
                                 const Surroundings& around) {
  const bool is_flushing =
      std::any_of(fleet.pools.begin(), fleet.pools.end(), [](const auto& pool) {
        return pool.role == wire::Role::kFlush && pool.state != PoolState::kStopped &&
               pool.desired > 0;
      });
  if (!is_flushing) return std::nullopt;
  if (shards.empty()) return Check{"shards", false, "waits to learn which there are", around.now};
  std::vector<int32_t> unowned;
  for (const ShardView& shard : shards) {
    const bool is_named = unowned.size() < kMaxNamedShards;
    if (is_named && IsMissed(shard, around)) unowned.push_back(shard.id.value);
  }
  if (unowned.empty()) return Check{"shards", true, "", around.now};
  return Check{"shards", false, absl::StrCat("nobody flushes ", absl::StrJoin(unowned, ", ")),
               around.now};
}

Check PoolCheck(const PoolView& pool, Instant now) {
  Check check{absl::StrCat("pool/", pool.name), true, "", now};
  if (pool.state == PoolState::kStopped) {
    check.detail = "stopped";
  } else if (pool.ready < pool.desired) {
    check.ok = false;
    check.detail =
        absl::StrCat(pool.ready, " of ", pool.desired, " workers ready; ", pool.health.evidence);
  } else if (pool.state == PoolState::kPaused || pool.state == PoolState::kDraining) {
    check.detail = pool.state == PoolState::kPaused ? "paused" : "draining";
  }
  if (pool.restart && pool.restart->state == fleet::PoolRestart::State::kHalted) {
    absl::StrAppend(&check.detail, check.detail.empty() ? "" : "; ",
                    "restart halted: ", pool.restart->detail);
  }
  return check;
}

// What workers run with is no reason not to be ready: what was taken back, they do not run.
Check ConfigCheck(const std::vector<PoolView>& pools, Instant now) {
  Check check{"config", true, "", now};
  if (pools.empty()) return check;
  const ConfigView& config = pools.front().config;  // the same for all, but for who runs it
  int32_t outdated = 0;
  for (const PoolView& pool : pools) outdated += pool.config.outdated;
  check.detail = absl::StrCat("generation ", config.generation);
  if (config.state == fleet::ConfigRollout::State::kTrying) {
    absl::StrAppend(&check.detail, " is being tried");
  }
  if (outdated > 0)
    absl::StrAppend(&check.detail, "; ", outdated,
                    outdated == 1 ? " worker runs another one" : " workers run another one");
  if (config.rejected != 0) {
    absl::StrAppend(&check.detail, "; generation ", config.rejected,
                    " was taken back: ", config.detail);
  }
  return check;
}

}  // namespace

Check RecordCheck(const record::RecorderHealth& health, Instant now) {
  if (!health.last_write.ok()) {
    return {"state", false, std::string(health.last_write.message()), health.seen_at};
  }
  if (health.writing_since && now - *health.writing_since > kSlowWrite) {
    return {
        "state", false,
        absl::StrCat("a write has not ended for ", fleet::SecondsText(now - *health.writing_since)),
        now};
  }
  return {"state", true, "", now};
}

bool IsOwned(const ShardView& shard) {
  return shard.flush && shard.flush->stage == wire::ShardStage::kOwned;
}

std::string EtagOf(const fleet::Pool& pool, uint64_t salt) {
  return absl::StrCat(HexText(salt), "-", pool.revision);
}

PoolView ToView(const fleet::Pool& pool, const fleet::Fleet& fleet, const Surroundings& around) {
  PoolView view;
  view.name = pool.name;
  view.role = pool.role;
  view.state = pool.state;
  view.desired = pool.desired;
  view.min = pool.min;
  view.max = pool.max;
  view.config = ToView(fleet.config);
  for (const auto& [key, worker] : fleet.workers) {
    if (key.pool != pool.name) continue;
    view.observed += worker.has_process && worker.state != WorkerState::kLost ? 1 : 0;
    view.ready += fleet::Serves(worker) ? 1 : 0;
    view.config.outdated += worker.is_wanted && fleet::IsOutdated(fleet, worker) ? 1 : 0;
    view.paused += worker.report != nullptr && worker.report->is_paused ? 1 : 0;
  }
  view.scale_owner = pool.scale_owner;
  view.is_created = pool.is_created;
  view.is_configured = pool.is_configured;
  view.etag = EtagOf(pool, around.etag_salt);
  view.health = WorstHealth(pool, fleet, around);
  view.restart = pool.restart;
  view.drain = pool.drain;
  if (pool.drain) view.drain_deadline = WallAt(pool.drain->deadline, around);
  return view;
}

FleetSnapshot BuildSnapshot(const fleet::Fleet& fleet, const Surroundings& around) {
  FleetSnapshot snapshot;
  snapshot.sequence = around.sequence;
  snapshot.time = around.wall;
  snapshot.at = around.now;
  snapshot.is_stopping = fleet.is_shutting_down;
  snapshot.operations = around.operations;
  snapshot.drop_rules = around.drop_rules;
  snapshot.shards = ShardViews(fleet, around);
  snapshot.checks.push_back(KafkaCheck(fleet, around));
  if (const auto check = RedisCheck(fleet, around)) snapshot.checks.push_back(*check);
  if (around.recorder) snapshot.checks.push_back(RecordCheck(*around.recorder, around.now));
  if (const auto check = ShardsCheck(fleet, snapshot.shards, around)) {
    snapshot.checks.push_back(*check);
  }
  for (const fleet::Pool& pool : fleet.pools) {
    snapshot.pools.push_back(ToView(pool, fleet, around));
    if (pool.is_configured) snapshot.checks.push_back(PoolCheck(snapshot.pools.back(), around.now));
    for (const auto& [key, worker] : fleet.workers) {
      if (key.pool == pool.name) snapshot.workers.push_back(ToView(worker, fleet.config, around));
    }
  }
  if (fleet.config.wanted.number != 0)
    snapshot.checks.push_back(ConfigCheck(snapshot.pools, around.now));
  if (fleet.is_shutting_down) {
    snapshot.checks.push_back({"server", false, "is stopping", around.now});
  }
  return snapshot;
}

}  // namespace spillway::supervisor
