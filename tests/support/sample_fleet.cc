#include "tests/support/sample_fleet.h"

#include <memory>
#include <utility>

#include "buffer/ledger.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using supervisor::FleetSnapshot;
using supervisor::HealthView;
using supervisor::PoolView;
using supervisor::ShardView;
using supervisor::WorkerView;

constexpr WallTime kStart{1'700'000'000'000'000};

HealthView Healthy(Instant now) {
  return {fleet::HealthState::kHealthy, fleet::UnhealthyReason::kNone, "made progress", kStart,
          now - seconds(2)};
}

PoolView Pool(const char* name, wire::Role role, int32_t workers, Instant now) {
  PoolView pool;
  pool.name = name;
  pool.role = role;
  pool.desired = workers;
  pool.min = 1;
  pool.max = 8;
  pool.observed = workers;
  pool.ready = workers;
  pool.etag = "7";
  pool.health = Healthy(now);
  return pool;
}

wire::ShardReport IngestShard() {
  wire::ShardReport shard;
  shard.shard = {0};
  shard.stage = wire::ShardStage::kOwned;
  shard.epoch = {4, 99};
  shard.backlog = 250;
  shard.lateness = milliseconds(1'500);
  shard.gate = {wire::GateState::kClosed, wire::Cause::kRedisMemory, kStart, 3};
  shard.watermark = 120'000;
  shard.low_watermark = 110'000;
  shard.input_lag = 42;
  shard.event_clock = EventTimeOf(kStart);
  shard.progress = 17;
  shard.spans = 120'000;
  shard.index_bytes = 4'096;
  shard.rejected = 2;
  shard.deduplicated = 5;
  return shard;
}

wire::ShardReport FlushShard() {
  wire::ShardReport shard;
  shard.shard = {0};
  shard.stage = wire::ShardStage::kOwned;
  shard.epoch = {2, 77};
  shard.backlog = 240;
  shard.in_flight = 10;
  shard.lateness = milliseconds(2'500);
  shard.progress = 9;
  shard.spans = 100'000;
  shard.segments = 20'000;
  shard.possibly_persisted = 1;
  return shard;
}

// Every counter has another value.
buffer::Ledger SampleLedger() {
  return {.messages = 120'007,
          .accepted = 120'000,
          .rejected = 2,
          .filtered = 5,
          .deduplicated = 6,
          .acknowledged = 100'000,
          .dropped = 3,
          .orphan = 1,
          .quarantined = 4,
          .resurrected = 8,
          .unreplayable = 9,
          .dead_lettered = 11,
          .released = 12,
          .stale_acknowledges = 13,
          .carried = 14,
          .skipped = 15,
          .replayed = 16};
}

std::shared_ptr<wire::WorkerReport> Report(wire::ShardReport shard) {
  auto report = std::make_shared<wire::WorkerReport>();
  report->shards.push_back(std::move(shard));
  report->cpu_time = milliseconds(12'500);
  report->memory_bytes = 64 << 20;
  report->is_ready = true;
  report->blocked[static_cast<size_t>(wire::Cause::kRedisMemory)] = milliseconds(750);
  report->lateness.Record(milliseconds(30));
  report->lateness.Record(milliseconds(700));
  return report;
}

WorkerView Worker(const char* pool, int32_t slot, wire::Role role, Instant now) {
  WorkerView worker;
  worker.key = {pool, slot};
  worker.role = role;
  worker.uid = std::string("uid-") + pool + "-" + std::to_string(slot);
  worker.pid = 4'000 + slot + (role == wire::Role::kFlush ? 100 : 0);
  worker.state = fleet::WorkerState::kReady;
  worker.health = Healthy(now);
  worker.generation = {1};
  worker.start_time = kStart;
  worker.version = "0.1.0";
  worker.is_attached = true;
  return worker;
}

void Crash(WorkerView& worker) {
  worker.uid.clear();
  worker.pid = 0;
  worker.state = fleet::WorkerState::kCrashLoop;
  worker.health.state = fleet::HealthState::kUnhealthy;
  worker.health.reason = fleet::UnhealthyReason::kDead;
  worker.health.evidence = "exited with 1 after 0.2 s";
  worker.generation = {6};
  worker.restarts = 5;
  worker.start_time.reset();
  worker.last_death = "exited with 1 after 0.2 s";
  worker.is_attached = false;
}

}  // namespace

// A resize that has been superseded, and a restart that has succeeded.
std::shared_ptr<const std::vector<supervisor::OperationPtr>> Operations() {
  supervisor::OperationView resize;
  resize.number = 3;
  resize.kind = fleet::OperationKind::kResizePool;
  resize.state = fleet::OperationState::kCancelled;
  resize.pool = "flush";
  resize.actor = "ipv4:127.0.0.1:40312 spillway/0.1.0";
  resize.begun = kStart;
  resize.ended = {kStart.us + 2'000'000};
  resize.detail = "superseded by operations/5";
  supervisor::OperationView restart = resize;
  restart.number = 4;
  restart.kind = fleet::OperationKind::kRestartWorker;
  restart.state = fleet::OperationState::kSucceeded;
  restart.slot = 0;
  restart.detail = "flush/0: READY, generation 4, made progress";
  restart.workers = {
      {{"flush", 0}, Generation{4}, fleet::WorkerPhase::kDone, 1, 1, "made progress"}};
  return std::make_shared<const std::vector<supervisor::OperationPtr>>(
      std::vector<supervisor::OperationPtr>{
          std::make_shared<const supervisor::OperationView>(resize),
          std::make_shared<const supervisor::OperationView>(restart)});
}

FleetSnapshot HealthyFleet(Instant now) {
  FleetSnapshot fleet;
  fleet.operations = Operations();
  fleet.time = kStart;
  fleet.at = now;
  fleet.pools = {Pool("ingest", wire::Role::kIngest, 1, now),
                 Pool("flush", wire::Role::kFlush, 2, now)};
  fleet.workers = {Worker("ingest", 0, wire::Role::kIngest, now),
                   Worker("flush", 0, wire::Role::kFlush, now),
                   Worker("flush", 1, wire::Role::kFlush, now)};
  fleet.workers[0].shards = {{0}};
  const auto ingest = Report(IngestShard());
  ingest->compression = {.dictionary = "00c0ffee",
                         .dictionary_bytes = 16'384,
                         .trained = 2,
                         .adopted = 1,
                         .dropped = 3,
                         .chunks = 30'000,
                         .dictionary_chunks = 29'000,
                         .body_bytes = 120'000'000,
                         .stored_bytes = 15'000'000};
  fleet.workers[0].report = ingest;
  fleet.workers[1].shards = {{0}};
  fleet.workers[1].report = Report(FlushShard());
  ShardView known;
  known.id = {0};
  known.ingest_worker = "pools/ingest/workers/0";
  known.flush_worker = known.flush_worker_desired = "pools/flush/workers/0";
  known.ingest = IngestShard();
  known.flush = FlushShard();
  known.figures_at = now - seconds(2);
  known.ledger = supervisor::LedgerView{1, SampleLedger(), now - seconds(1)};
  known.audit = supervisor::AuditView{-2, now - seconds(60)};
  ShardView unknown;
  unknown.id = {1};
  unknown.flush_worker_desired = "pools/flush/workers/1";
  fleet.shards = {known, unknown};
  fleet.checks = {{"redis", true, "", now - seconds(2)}, {"kafka", true, "", now - seconds(2)}};
  return fleet;
}

supervisor::ShardAudit SampleAudit(int32_t shard) {
  supervisor::ShardAudit audit;
  audit.shard = {shard};
  audit.code = buffer::StoreCode::kOk;
  audit.possibly_persisted = 1;
  buffer::AuditReply& reply = audit.reply;
  reply.is_exact = reply.summary.exists = true;
  reply.summary.ledger = SampleLedger();
  reply.live_spans = 19'990;
  reply.due_parts = 240;
  reply.in_flight_parts = reply.summary.claimed_parts = 10;
  reply = buffer::Compared(reply);
  return audit;
}

FleetSnapshot SampleFleet(Instant now) {
  FleetSnapshot fleet = HealthyFleet(now);
  PoolView& flush = fleet.pools[1];
  flush.observed = flush.ready = 1;
  Crash(fleet.workers[2]);
  flush.health = fleet.workers[2].health;
  for (PoolView& pool : fleet.pools) {
    pool.config = {fleet::ConfigRollout::State::kTakenBack, 4, 0, 5, "3 processes in a row exited"};
  }
  flush.config.outdated = 1;
  for (WorkerView& worker : fleet.workers) worker.config_generation = 4;
  fleet.workers[2].config_generation = 5;
  fleet.checks[1].ok = false;
  fleet.checks[1].detail = "waiting for a broker at 127.0.0.1:9092";
  return fleet;
}

FleetSnapshot MeasuredFleet(Instant now) {
  FleetSnapshot fleet = SampleFleet(now);
  fleet.shards.resize(1);
  const auto window = [now](wire::Activity most, milliseconds work) {
    supervisor::ActivityWindow measured{.length = seconds(50), .end = now - seconds(2)};
    measured.times[static_cast<size_t>(most)] = seconds(50) - work;
    measured.times[static_cast<size_t>(wire::Activity::kEncode)] = work;
    return measured;
  };
  const auto use = [now](double busy) {
    return supervisor::WorkerUse{busy, 2 * busy, seconds(50), now - seconds(2)};
  };
  ShardView& shard = fleet.shards[0];
  shard.ingest_activity = window(wire::Activity::kGate, seconds(5));
  shard.ingest->times = shard.ingest_activity->times;
  shard.flush_activity = window(wire::Activity::kIdle, milliseconds(2'500));
  fleet.workers[0].use = use(0.1);
  fleet.workers[1].use = use(0.05);
  wire::ShardReport ingest = IngestShard();
  ingest.times = shard.ingest->times;
  fleet.workers[0].report = Report(ingest);
  return fleet;
}

}  // namespace spillway
