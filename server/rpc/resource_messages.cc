#include "server/rpc/resource_messages.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "proto/wire/convert.h"
#include "server/rpc/audit_messages.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::rpc {
namespace {

using fleet::HealthState;
using fleet::PoolState;
using fleet::UnhealthyReason;
using fleet::WorkerState;

v1::WorkerState ToProto(WorkerState state) {
  switch (state) {
    case WorkerState::kPending:
      return v1::WORKER_STATE_PENDING;
    case WorkerState::kStarting:
      return v1::WORKER_STATE_STARTING;
    case WorkerState::kReady:
      return v1::WORKER_STATE_READY;
    case WorkerState::kDraining:
      return v1::WORKER_STATE_DRAINING;
    case WorkerState::kStopping:
      return v1::WORKER_STATE_STOPPING;
    case WorkerState::kStopped:
      return v1::WORKER_STATE_STOPPED;
    case WorkerState::kBackoff:
      return v1::WORKER_STATE_BACKOFF;
    case WorkerState::kCrashLoop:
      return v1::WORKER_STATE_CRASH_LOOP;
    case WorkerState::kLost:
      return v1::WORKER_STATE_LOST;
  }
  return v1::WORKER_STATE_LOST;
}

v1::HealthState ToProto(HealthState state) {
  switch (state) {
    case HealthState::kStarting:
      return v1::HEALTH_STATE_STARTING;
    case HealthState::kHealthy:
      return v1::HEALTH_STATE_HEALTHY;
    case HealthState::kUnhealthy:
      return v1::HEALTH_STATE_UNHEALTHY;
  }
  return v1::HEALTH_STATE_UNHEALTHY;
}

v1::UnhealthyReason ToProto(UnhealthyReason reason) {
  switch (reason) {
    case UnhealthyReason::kNone:
      return v1::UNHEALTHY_REASON_UNSPECIFIED;
    case UnhealthyReason::kStartupTimeout:
      return v1::UNHEALTHY_REASON_STARTUP_TIMEOUT;
    case UnhealthyReason::kSilent:
      return v1::UNHEALTHY_REASON_SILENT;
    case UnhealthyReason::kStalled:
      return v1::UNHEALTHY_REASON_STALLED;
    case UnhealthyReason::kDead:
      return v1::UNHEALTHY_REASON_DEAD;
  }
  return v1::UNHEALTHY_REASON_UNSPECIFIED;
}

v1::PoolState ToProto(PoolState state) {
  switch (state) {
    case PoolState::kRunning:
      return v1::POOL_STATE_RUNNING;
    case PoolState::kPaused:
      return v1::POOL_STATE_PAUSED;
    case PoolState::kStopped:
      return v1::POOL_STATE_STOPPED;
    case PoolState::kDraining:
      return v1::POOL_STATE_DRAINING;
  }
  return v1::POOL_STATE_STOPPED;
}

v1::DrainState ToProto(fleet::PoolDrain::State state) {
  switch (state) {
    case fleet::PoolDrain::State::kUnderWay:
      return v1::DRAIN_STATE_UNDER_WAY;
    case fleet::PoolDrain::State::kDone:
      return v1::DRAIN_STATE_DONE;
    case fleet::PoolDrain::State::kTimedOut:
      return v1::DRAIN_STATE_TIMED_OUT;
    case fleet::PoolDrain::State::kCancelled:
      return v1::DRAIN_STATE_CANCELLED;
  }
  return v1::DRAIN_STATE_TIMED_OUT;
}

v1::PoolDrain DrainMessage(const fleet::PoolDrain& drain, WallTime deadline) {
  v1::PoolDrain message;
  message.set_number(drain.number);
  message.set_state(ToProto(drain.state));
  *message.mutable_deadline() = wire::ToProto(deadline);
  for (const fleet::Remainder& remainder : drain.remaining) {
    v1::Remainder& out = *message.add_remaining();
    if (remainder.shard) out.set_shard(ShardName(*remainder.shard));
    if (remainder.worker) out.set_worker(fleet::WorkerName(*remainder.worker));
    out.set_parts(remainder.parts);
    out.set_messages(remainder.messages);
    out.set_why(remainder.why);
  }
  return message;
}

v1::RestartState ToProto(fleet::PoolRestart::State state) {
  switch (state) {
    case fleet::PoolRestart::State::kUnderWay:
      return v1::RESTART_STATE_UNDER_WAY;
    case fleet::PoolRestart::State::kDone:
      return v1::RESTART_STATE_DONE;
    case fleet::PoolRestart::State::kHalted:
      return v1::RESTART_STATE_HALTED;
    case fleet::PoolRestart::State::kCancelled:
      return v1::RESTART_STATE_CANCELLED;
  }
  return v1::RESTART_STATE_HALTED;
}

v1::RestartScope ToProto(fleet::RestartScope scope) {
  switch (scope) {
    case fleet::RestartScope::kAll:
      return v1::RESTART_SCOPE_ALL;
    case fleet::RestartScope::kFailed:
      return v1::RESTART_SCOPE_FAILED;
    case fleet::RestartScope::kOutdated:
      return v1::RESTART_SCOPE_OUTDATED;
  }
  return v1::RESTART_SCOPE_FAILED;
}

v1::ConfigState ToProto(fleet::ConfigRollout::State state) {
  switch (state) {
    case fleet::ConfigRollout::State::kTrying:
      return v1::CONFIG_STATE_TRYING;
    case fleet::ConfigRollout::State::kProven:
      return v1::CONFIG_STATE_PROVEN;
    case fleet::ConfigRollout::State::kTakenBack:
      return v1::CONFIG_STATE_TAKEN_BACK;
  }
  return v1::CONFIG_STATE_TRYING;
}

v1::PoolConfig ConfigMessage(const supervisor::ConfigView& config) {
  v1::PoolConfig message;
  message.set_generation(config.generation);
  message.set_state(ToProto(config.state));
  message.set_outdated(config.outdated);
  message.set_rejected(config.rejected);
  message.set_detail(config.detail);
  return message;
}

v1::PoolRestart RestartMessage(const fleet::PoolRestart& restart) {
  v1::PoolRestart message;
  message.set_number(restart.number);
  message.set_state(ToProto(restart.state));
  message.set_scope(ToProto(restart.scope));
  message.set_max_unavailable(restart.max_unavailable);
  message.set_replaced(restart.replaced);
  message.set_replacing(static_cast<int32_t>(restart.replacing.size()));
  message.set_waiting(static_cast<int32_t>(restart.waiting.size()));
  message.set_detail(restart.detail);
  return message;
}

// The default Instant means never.
bool WasSeen(Instant at) { return at != Instant(); }

v1::Health HealthMessage(const supervisor::HealthView& view, Instant now) {
  v1::Health health;
  health.set_state(ToProto(view.state));
  health.set_reason(ToProto(view.reason));
  health.set_evidence(view.evidence);
  if (view.since.us > 0) *health.mutable_since() = wire::ToProto(view.since);
  if (WasSeen(view.evidence_at))
    *health.mutable_evidence_age() = wire::ToProto(Duration(now - view.evidence_at));
  return health;
}

absl::Status InvalidName(absl::string_view field, absl::string_view name,
                         absl::string_view example) {
  return supervisor::Refusal(
      absl::StatusCode::kInvalidArgument, "INVALID_NAME",
      absl::StrCat(field, ": \"", name, "\" is not a name like \"", example, "\""));
}

bool IsSimpleName(absl::string_view name) { return !name.empty() && !absl::StrContains(name, '/'); }

}  // namespace

v1::Pool ToMessage(const supervisor::PoolView& pool, Instant now) {
  v1::Pool message;
  message.set_name(fleet::PoolName(pool.name));
  message.set_role(wire::ToProto(pool.role));
  message.set_state(ToProto(pool.state));
  message.set_desired(pool.desired);
  message.set_min(pool.min);
  message.set_max(pool.max);
  message.set_observed(pool.observed);
  message.set_ready(pool.ready);
  message.set_scale_owner(pool.scale_owner == config::ScaleOwner::kSpillway
                              ? v1::SCALE_OWNER_SPILLWAY
                              : v1::SCALE_OWNER_EXTERNAL);
  message.set_etag(pool.etag);
  *message.mutable_health() = HealthMessage(pool.health, now);
  if (pool.restart) *message.mutable_restart() = RestartMessage(*pool.restart);
  message.set_paused(pool.paused);
  if (pool.drain) *message.mutable_drain() = DrainMessage(*pool.drain, pool.drain_deadline);
  if (pool.config.generation != 0) *message.mutable_config() = ConfigMessage(pool.config);
  message.set_origin(pool.is_created ? v1::POOL_ORIGIN_API : v1::POOL_ORIGIN_CONFIGURATION);
  return message;
}

v1::Worker ToMessage(const supervisor::WorkerView& worker, Instant now) {
  v1::Worker message;
  message.set_name(fleet::WorkerName(worker.key));
  message.set_uid(worker.uid);
  message.set_pid(worker.pid);
  message.set_state(ToProto(worker.state));
  *message.mutable_health() = HealthMessage(worker.health, now);
  message.set_generation(worker.generation.value);
  message.set_config_generation(worker.config_generation);
  for (ShardId shard : worker.shards) message.add_shards(shard.value);
  message.set_restarts(worker.restarts);
  if (worker.start_time) *message.mutable_start_time() = wire::ToProto(*worker.start_time);
  if (worker.next_start_time)
    *message.mutable_next_start_time() = wire::ToProto(*worker.next_start_time);
  message.set_last_death(worker.last_death);
  message.set_version(worker.version);
  message.set_role(wire::ToProto(worker.role));
  if (worker.report != nullptr) {
    *message.mutable_cpu_time() = wire::ToProto(Duration(worker.report->cpu_time));
    message.set_memory_bytes(worker.report->memory_bytes);
    if (worker.role == wire::Role::kIngest)
      *message.mutable_compression() = wire::ToProto(worker.report->compression);
    message.set_is_paused(worker.report->is_paused);
  }
  return message;
}

v1::Shard ToMessage(const supervisor::ShardView& shard, Instant now) {
  v1::Shard message;
  message.set_name(ShardName(shard.id));
  message.set_shard(shard.id.value);
  message.set_ingest_worker(shard.ingest_worker);
  message.set_flush_worker(shard.flush_worker);
  message.set_flush_worker_desired(shard.flush_worker_desired);
  message.set_watermark(kNoOffset);
  message.set_low_watermark(kNoOffset);
  message.set_input_lag(-1);
  if (shard.ledger) {
    *message.mutable_ledger() = ToMessage(shard.ledger->ledger);
    *message.mutable_ledger_age() = wire::ToProto(Duration(now - shard.ledger->read_at));
    message.set_incarnation(shard.ledger->incarnation);
  }
  if (!shard.ingest && !shard.flush) return message;
  message.set_is_known(true);
  if (WasSeen(shard.figures_at))
    *message.mutable_figures_age() = wire::ToProto(Duration(now - shard.figures_at));
  std::chrono::milliseconds lateness{0};
  EventTime clock;
  if (shard.ingest) {
    message.set_backlog(shard.ingest->backlog);
    *message.mutable_gate() = wire::ToProto(shard.ingest->gate);
    message.set_watermark(shard.ingest->watermark);
    message.set_low_watermark(shard.ingest->low_watermark);
    message.set_input_lag(shard.ingest->input_lag);
    message.set_ingest_epoch(shard.ingest->epoch.number);
    lateness = shard.ingest->lateness;
    clock = shard.ingest->event_clock;
  }
  if (shard.flush) {
    message.set_backlog(shard.flush->backlog);
    message.set_in_flight(shard.flush->in_flight);
    message.set_flush_epoch(shard.flush->epoch.number);
    lateness = std::max(lateness, shard.flush->lateness);
    clock = std::max(clock, shard.flush->event_clock);
  }
  *message.mutable_lateness() = wire::ToProto(Duration(lateness));
  if (clock.ms >= 0) *message.mutable_event_clock() = wire::ToProto(clock);
  return message;
}

v1::Check ToMessage(const supervisor::Check& check, Instant now) {
  v1::Check message;
  message.set_name(check.name);
  message.set_ok(check.ok);
  message.set_detail(check.detail);
  if (WasSeen(check.seen_at)) *message.mutable_age() = wire::ToProto(Duration(now - check.seen_at));
  return message;
}

v1::ListPoolsResponse AllPools(const supervisor::FleetSnapshot& snapshot, Instant now) {
  v1::ListPoolsResponse response;
  for (const auto& pool : snapshot.pools) *response.add_pools() = ToMessage(pool, now);
  return response;
}

v1::ListWorkersResponse AllWorkers(const supervisor::FleetSnapshot& snapshot,
                                   absl::string_view pool, Instant now) {
  v1::ListWorkersResponse response;
  for (const auto& worker : snapshot.workers) {
    if (pool.empty() || worker.key.pool == pool) *response.add_workers() = ToMessage(worker, now);
  }
  return response;
}

v1::ListShardsResponse AllShards(const supervisor::FleetSnapshot& snapshot, Instant now) {
  v1::ListShardsResponse response;
  for (const auto& shard : snapshot.shards) *response.add_shards() = ToMessage(shard, now);
  return response;
}

std::string ShardName(ShardId shard) { return absl::StrCat("shards/", shard.value); }

absl::StatusOr<std::string> ParsePoolName(absl::string_view field, absl::string_view name) {
  absl::string_view pool = name;
  if (!absl::ConsumePrefix(&pool, "pools/") || !IsSimpleName(pool)) {
    return InvalidName(field, name, "pools/flush");
  }
  return std::string(pool);
}

absl::StatusOr<fleet::WorkerKey> ParseWorkerName(absl::string_view field, absl::string_view name) {
  absl::string_view rest = name;
  const bool has_prefix = absl::ConsumePrefix(&rest, "pools/");
  const size_t slash = rest.find('/');
  fleet::WorkerKey key;
  if (has_prefix && slash != absl::string_view::npos && slash > 0) {
    key.pool = std::string(rest.substr(0, slash));
    rest.remove_prefix(slash);
    if (absl::ConsumePrefix(&rest, "/workers/") && absl::SimpleAtoi(rest, &key.slot) &&
        key.slot >= 0) {
      return key;
    }
  }
  return InvalidName(field, name, "pools/flush/workers/0");
}

absl::StatusOr<ShardId> ParseShardName(absl::string_view field, absl::string_view name) {
  absl::string_view number = name;
  ShardId shard;
  if (absl::ConsumePrefix(&number, "shards/") && absl::SimpleAtoi(number, &shard.value) &&
      shard.value >= 0) {
    return shard;
  }
  return InvalidName(field, name, "shards/7");
}

}  // namespace spillway::rpc
