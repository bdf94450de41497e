#include "server/http/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/version.h"
#include "buffer/ledger.h"
#include "server/http/family_builder.h"
#include "server/http/insight_metrics.h"

namespace spillway::http {
namespace {

using Families = std::vector<prometheus::MetricFamily>;
using supervisor::FleetSnapshot;
using supervisor::WorkerView;

template <typename D>
double Seconds(D duration) {
  return std::chrono::duration<double>(duration).count();
}

Labels LabelsOf(ShardId shard) { return {{"shard", std::to_string(shard.value)}}; }
Labels LabelsOf(const WorkerView& worker) {
  return {{"pool", worker.key.pool}, {"slot", std::to_string(worker.key.slot)}};
}
Labels With(Labels labels, const char* name, std::string value) {
  labels.push_back({name, std::move(value)});
  return labels;
}

void CollectServer(const FleetSnapshot& snapshot, Families& families) {
  Family build = Gauge("spillway_build_info", "1, with the version of the control plane.");
  build.Add({{"version", Version()}}, 1);
  Family ready =
      Gauge("spillway_ready", "1 if every condition of readiness holds (see /readyz?verbose).");
  ready.Add({}, supervisor::IsReady(snapshot) ? 1 : 0);
  std::move(build).MoveTo(families);
  std::move(ready).MoveTo(families);
}

void CollectPools(const FleetSnapshot& snapshot, Families& families) {
  Family desired =
      Gauge("spillway_pool_desired_workers", "Wanted number of workers while the pool runs.");
  Family observed = Gauge("spillway_pool_observed_workers", "Workers whose process exists.");
  Family ready = Gauge("spillway_pool_ready_workers", "Workers that are ready and healthy.");
  Family state = Gauge("spillway_pool_state", "1 for the state the pool is in, 0 for the others.");
  using enum fleet::PoolState;
  for (const auto& pool : snapshot.pools) {
    const Labels labels = {{"pool", pool.name}, {"role", wire::RoleName(pool.role)}};
    desired.Add(labels, pool.desired);
    observed.Add(labels, pool.observed);
    ready.Add(labels, pool.ready);
    for (const auto each : {kRunning, kPaused, kStopped}) {
      state.Add(With(labels, "state", LabelValue(fleet::StateName(each))),
                pool.state == each ? 1 : 0);
    }
  }
  std::move(desired).MoveTo(families);
  std::move(observed).MoveTo(families);
  std::move(ready).MoveTo(families);
  std::move(state).MoveTo(families);
}

void CollectWorkerStates(const FleetSnapshot& snapshot, Families& families) {
  Family state =
      Gauge("spillway_worker_state", "1 for the state the worker is in, 0 for the others.");
  Family healthy =
      Gauge("spillway_worker_healthy", "1 if the worker is healthy, 0 if starting or unhealthy.");
  Family unhealthy =
      Gauge("spillway_worker_unhealthy", "1 with the reason while the worker is unhealthy.");
  Family restarts =
      Gauge("spillway_worker_restarts", "Restarts of the slot within restart.window.");
  Family generation =
      Gauge("spillway_worker_generation", "Which start of the slot its process is, from 1.");
  Family attached =
      Gauge("spillway_worker_attached", "1 while the worker's stream to the control plane stands.");
  for (const WorkerView& worker : snapshot.workers) {
    const Labels labels = LabelsOf(worker);
    for (int i = 0; i < fleet::kWorkerStateCount; ++i) {
      const auto each = static_cast<fleet::WorkerState>(i);
      state.Add(With(With(labels, "role", wire::RoleName(worker.role)), "state",
                     LabelValue(fleet::StateName(each))),
                worker.state == each ? 1 : 0);
    }
    healthy.Add(labels, worker.health.state == fleet::HealthState::kHealthy ? 1 : 0);
    if (worker.health.state == fleet::HealthState::kUnhealthy) {
      unhealthy.Add(With(labels, "reason", LabelValue(fleet::ReasonName(worker.health.reason))), 1);
    }
    restarts.Add(labels, worker.restarts);
    generation.Add(labels, worker.generation.value);
    attached.Add(labels, worker.is_attached ? 1 : 0);
  }
  for (Family* family : {&state, &healthy, &unhealthy, &restarts, &generation, &attached}) {
    std::move(*family).MoveTo(families);
  }
}

// What a worker's newest report says of the process.
void CollectWorkerReports(const FleetSnapshot& snapshot, Families& families) {
  Family cpu = Counter("spillway_worker_cpu_seconds_total", "CPU time of the worker's process.");
  Family memory = Gauge("spillway_worker_memory_bytes", "Resident memory of the worker's process.");
  Family progress = Counter("spillway_worker_progress_total",
                            "Completed steps over the shards the worker holds.");
  Family blocked = Counter("spillway_worker_blocked_seconds_total",
                           "Time the worker has been blocked, by cause.");
  Family index =
      Gauge("spillway_worker_index_bytes", "Memory of the index of segments in progress.");
  Family lateness = Histogram("spillway_worker_lateness_seconds",
                              "Acknowledge time minus due time of the parts the worker delivered.");
  for (const WorkerView& worker : snapshot.workers) {
    if (worker.report == nullptr) continue;
    const Labels labels = LabelsOf(worker);
    const wire::WorkerReport& report = *worker.report;
    cpu.Add(labels, Seconds(report.cpu_time));
    memory.Add(labels, report.memory_bytes);
    uint64_t steps = 0;
    uint64_t index_bytes = 0;
    for (const wire::ShardReport& shard : report.shards) {
      steps += shard.progress;
      index_bytes += shard.index_bytes;
    }
    progress.Add(labels, steps);
    for (size_t i = 1; i < wire::kCauseCount; ++i) {
      blocked.Add(With(labels, "cause", wire::CauseName(static_cast<wire::Cause>(i))),
                  Seconds(report.blocked[i]));
    }
    if (worker.role == wire::Role::kIngest) index.Add(labels, index_bytes);
    if (worker.role == wire::Role::kFlush) lateness.Add(labels, report.lateness);
  }
  for (Family* family : {&cpu, &memory, &progress, &blocked, &index, &lateness}) {
    std::move(*family).MoveTo(families);
  }
}

void CollectCompression(const FleetSnapshot& snapshot, Families& families) {
  Family bytes = Gauge("spillway_ingest_dictionary_bytes",
                       "Size of the dictionary that chunks are compressed with; 0: none.");
  Family trained = Counter("spillway_ingest_dictionaries_trained_total", "Dictionaries trained.");
  Family adopted = Counter("spillway_ingest_dictionaries_adopted_total",
                           "Dictionaries found in a shard instead of being trained.");
  Family dropped = Counter("spillway_ingest_dictionaries_dropped_total",
                           "Dictionaries removed from shards that needed them no more.");
  Family chunks = Counter("spillway_ingest_chunks_total", "Chunks encoded that have spans.");
  Family with = Counter("spillway_ingest_dictionary_chunks_total",
                        "Of these, those compressed with a dictionary.");
  Family body = Counter("spillway_ingest_chunk_body_bytes_total", "Chunks before compression.");
  Family stored = Counter("spillway_ingest_chunk_stored_bytes_total", "Chunks after compression.");
  for (const WorkerView& worker : snapshot.workers) {
    if (worker.report == nullptr || worker.role != wire::Role::kIngest) continue;
    const Labels labels = LabelsOf(worker);
    const wire::Compression& compression = worker.report->compression;
    bytes.Add(labels, compression.dictionary_bytes);
    trained.Add(labels, compression.trained);
    adopted.Add(labels, compression.adopted);
    dropped.Add(labels, compression.dropped);
    chunks.Add(labels, compression.chunks);
    with.Add(labels, compression.dictionary_chunks);
    body.Add(labels, compression.body_bytes);
    stored.Add(labels, compression.stored_bytes);
  }
  for (Family* family : {&bytes, &trained, &adopted, &dropped, &chunks, &with, &body, &stored}) {
    std::move(*family).MoveTo(families);
  }
}

// Counters belong to a worker's process and begin again with it, so they carry its labels as well.
void CollectThroughput(const FleetSnapshot& snapshot, Families& families) {
  Family written = Counter("spillway_ingest_spans_total", "Spans written to Redis.");
  Family rejected =
      Counter("spillway_ingest_rejected_total", "Messages sent to the dead letter topic.");
  Family duplicates = Counter("spillway_ingest_deduplicated_total", "Spans that had come before.");
  Family flushed = Counter("spillway_flush_spans_total", "Spans delivered and acknowledged.");
  Family segments =
      Counter("spillway_flush_segments_total", "Segments and parts delivered and acknowledged.");
  Family dead =
      Counter("spillway_flush_dead_lettered_spans_total",
              "Spans that could not leave as a segment and went to the dead letter topic.");
  Family unsure = Counter("spillway_flush_possibly_persisted_total",
                          "Deliveries that may leave again: possible duplicates.");
  Family losses = Counter("spillway_ingest_redis_losses_total",
                          "Times Redis held nothing of a shard of which it had held something.");
  Family rollbacks = Counter("spillway_ingest_redis_rollbacks_total",
                             "Times Redis held an earlier state of a shard.");
  Family replaced = Counter("spillway_ingest_replaced_logs_total",
                            "Times a shard's input was another log, or cut off.");
  Family unreplayable = Counter("spillway_ingest_unreplayable_offsets_total",
                                "Offsets that were gone from the log before they were read.");
  for (const WorkerView& worker : snapshot.workers) {
    if (worker.report == nullptr) continue;
    for (const wire::ShardReport& shard : worker.report->shards) {
      const Labels labels = With(LabelsOf(worker), "shard", std::to_string(shard.shard.value));
      if (worker.role == wire::Role::kIngest) {
        written.Add(labels, shard.spans);
        rejected.Add(labels, shard.rejected);
        duplicates.Add(labels, shard.deduplicated);
        losses.Add(labels, shard.redis_losses);
        rollbacks.Add(labels, shard.redis_rollbacks);
        replaced.Add(labels, shard.replaced_logs);
        unreplayable.Add(labels, shard.unreplayable);
      } else {
        flushed.Add(labels, shard.spans);
        segments.Add(labels, shard.segments);
        dead.Add(labels, shard.rejected);
        unsure.Add(labels, shard.possibly_persisted);
      }
    }
  }
  for (Family* family : {&written, &rejected, &duplicates, &flushed, &segments, &dead, &unsure,
                         &losses, &rollbacks, &replaced, &unreplayable}) {
    std::move(*family).MoveTo(families);
  }
}

void CollectGates(const FleetSnapshot& snapshot, Families& families) {
  Family state =
      Gauge("spillway_shard_gate_state", "1 for the state of the shard's gate, 0 for the others.");
  Family cause =
      Gauge("spillway_shard_gate_cause", "1 for what keeps the shard's gate slow or closed.");
  Family episodes =
      Counter("spillway_shard_gate_episodes_total", "How often the shard's gate has left open.");
  using enum wire::GateState;
  for (const auto& shard : snapshot.shards) {
    if (!shard.ingest) continue;
    const Labels labels = LabelsOf(shard.id);
    const wire::GateReport& gate = shard.ingest->gate;
    for (const auto each : {kOpen, kSlow, kClosed}) {
      state.Add(With(labels, "state", wire::GateStateName(each)), gate.state == each ? 1 : 0);
    }
    for (size_t i = 1; i < wire::kCauseCount; ++i) {
      const auto each = static_cast<wire::Cause>(i);
      cause.Add(With(labels, "cause", wire::CauseName(each)), gate.cause == each ? 1 : 0);
    }
    episodes.Add(labels, gate.episodes);
  }
  std::move(state).MoveTo(families);
  std::move(cause).MoveTo(families);
  std::move(episodes).MoveTo(families);
}

void CollectShards(const FleetSnapshot& snapshot, Instant now, Families& families) {
  Family backlog = Gauge("spillway_shard_backlog_parts", "Parts that are due.");
  Family in_flight = Gauge("spillway_shard_in_flight_parts",
                           "Parts claimed and not yet acknowledged or released.");
  Family lateness =
      Gauge("spillway_shard_lateness_seconds", "How long the oldest due part has been due.");
  Family watermark = Gauge("spillway_shard_watermark", "Next input offset to be written to Redis.");
  Family low = Gauge("spillway_shard_low_watermark",
                     "Lowest input offset of a span not yet delivered, as committed.");
  Family lag = Gauge("spillway_ingest_lag", "Messages in Kafka that are not yet in Redis.");
  Family age = Gauge("spillway_shard_figures_age_seconds", "How old the shard's figures are.");
  for (const auto& shard : snapshot.shards) {
    const Labels labels = LabelsOf(shard.id);
    if (shard.ingest || shard.flush) {
      backlog.Add(labels, shard.flush ? shard.flush->backlog : shard.ingest->backlog);
      std::chrono::milliseconds worst{0};
      if (shard.ingest) worst = shard.ingest->lateness;
      if (shard.flush) worst = std::max(worst, shard.flush->lateness);
      lateness.Add(labels, Seconds(worst));
      age.Add(labels, Seconds(now - shard.figures_at));
    }
    if (shard.flush) in_flight.Add(labels, shard.flush->in_flight);
    if (!shard.ingest) continue;
    watermark.Add(labels, shard.ingest->watermark);
    if (shard.ingest->low_watermark >= 0) low.Add(labels, shard.ingest->low_watermark);
    if (shard.ingest->input_lag >= 0) lag.Add(labels, shard.ingest->input_lag);
  }
  for (Family* family : {&backlog, &in_flight, &lateness, &watermark, &low, &lag, &age}) {
    std::move(*family).MoveTo(families);
  }
}

// As Redis has them: they survive the workers, and begin again with a new input log.
void CollectLedgers(const FleetSnapshot& snapshot, Instant now, Families& families) {
  for (const buffer::LedgerCounter& counter : buffer::kLedgerCounters) {
    Family family =
        Counter(std::string("spillway_ledger_") + counter.name + "_total", counter.help);
    for (const auto& shard : snapshot.shards) {
      if (shard.ledger) family.Add(LabelsOf(shard.id), shard.ledger->ledger.*counter.value);
    }
    std::move(family).MoveTo(families);
  }
  Family age = Gauge("spillway_ledger_age_seconds", "How long ago the shard's ledger was read.");
  Family incarnation =
      Gauge("spillway_ledger_incarnation", "Which input log the shard's ledger is about, from 1.");
  for (const auto& shard : snapshot.shards) {
    if (!shard.ledger) continue;
    age.Add(LabelsOf(shard.id), Seconds(now - shard.ledger->read_at));
    incarnation.Add(LabelsOf(shard.id), shard.ledger->incarnation);
  }
  std::move(age).MoveTo(families);
  std::move(incarnation).MoveTo(families);
}

void CollectAudits(const FleetSnapshot& snapshot, Instant now, Families& families) {
  Family residual = Gauge("spillway_audit_residual_spans",
                          "Spans that the shard's counters could not explain in its last audit.");
  Family age = Gauge("spillway_audit_age_seconds", "How long ago the shard's last audit was.");
  for (const auto& shard : snapshot.shards) {
    if (!shard.audit) continue;
    residual.Add(LabelsOf(shard.id), shard.audit->residual);
    age.Add(LabelsOf(shard.id), Seconds(now - shard.audit->at));
  }
  std::move(residual).MoveTo(families);
  std::move(age).MoveTo(families);
}

}  // namespace

std::vector<prometheus::MetricFamily> Collect(const FleetSnapshot& snapshot, Instant now) {
  Families families;
  CollectServer(snapshot, families);
  CollectPools(snapshot, families);
  CollectWorkerStates(snapshot, families);
  CollectWorkerReports(snapshot, families);
  CollectCompression(snapshot, families);
  CollectThroughput(snapshot, families);
  CollectGates(snapshot, families);
  CollectShards(snapshot, now, families);
  CollectLedgers(snapshot, now, families);
  CollectAudits(snapshot, now, families);
  CollectInsight(snapshot, now, families);
  return families;
}

std::string MetricsText(const FleetSnapshot& snapshot, Instant now) {
  return prometheus::TextSerializer().Serialize(Collect(snapshot, now));
}

}  // namespace spillway::http
