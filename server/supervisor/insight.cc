#include "server/supervisor/insight.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/fleet/worker.h"
#include "server/supervisor/fleet_control.h"

namespace spillway::supervisor {
namespace {

using wire::Activity;
using wire::Role;

// What it means that most of the time which is not idle goes there.
const char* Meaning(Activity activity, Role role) {
  const bool is_ingest = role == Role::kIngest;
  switch (activity) {
    case Activity::kIdle:
      return is_ingest ? "nothing holds it up: it has read what there is"
                       : "nothing holds it up: it has claimed what is due";
    case Activity::kEncode:
      return "its worker's own work limits it: more workers help if there are shards for them";
    case Activity::kRedis:
      return "it waits for Redis";
    case Activity::kKafkaQueue:
      return is_ingest ? "it waits for Kafka: the log has more, nothing has been fetched yet"
                       : "the producer's queue is full: Kafka takes less than there is";
    case Activity::kBroker:
      return is_ingest ? "it waits for the broker: dead letters, commits or offsets"
                       : "it waits for the broker to confirm what was produced";
    case Activity::kGate:
      return "its gate holds it back";
    case Activity::kOwnership:
      return "it waits before the shard is taken again";
    case Activity::kPaused:
      return "an operator has paused the pool";
    case Activity::kRoom:
      return "other shards of its worker have all of flush.max_inflight_bytes";
  }
  return "it waits for something that this version does not know";
}

SideExplanation ExplainSide(Role role, const std::string& worker,
                            const std::optional<ActivityWindow>& window, Instant now) {
  SideExplanation side;
  side.worker = worker;
  if (worker.empty()) {
    side.summary = absl::StrCat("unknown: no ", wire::RoleName(role), " worker reports it");
    return side;
  }
  if (!window) {
    side.summary = "unknown: its worker has not reported for long enough";
    return side;
  }
  side.age = now - window->end;
  if (side.age > fleet::kFreshFigures) {
    side.summary =
        absl::StrCat("unknown: the last report came ", fleet::SecondsText(side.age), " ago");
    return side;
  }
  side.is_known = true;
  side.window = window->length;
  double idle = 0;
  for (size_t i = 0; i < window->times.size(); ++i) {
    if (window->times[i] <= Duration::zero()) continue;
    const auto activity = static_cast<Activity>(i);
    const double part =
        static_cast<double>(window->times[i].count()) / static_cast<double>(window->length.count());
    side.shares.push_back({activity, window->times[i], part});
    if (activity == Activity::kIdle) idle = part;
  }
  std::stable_sort(side.shares.begin(), side.shares.end(),
                   [](const auto& a, const auto& b) { return a.time > b.time; });
  if (idle < kMostlyIdle) {
    const auto most = std::find_if(side.shares.begin(), side.shares.end(),
                                   [](const auto& s) { return s.activity != Activity::kIdle; });
    if (most != side.shares.end()) side.limit = most->activity;
  }
  side.summary = Meaning(side.limit, role);
  return side;
}

std::string SinceText(WallTime since, const FleetSnapshot& snapshot) {
  return fleet::SecondsText(std::chrono::microseconds(snapshot.time.us - since.us));
}

std::vector<std::string> Findings(const ShardView& shard, const FleetSnapshot& snapshot) {
  std::vector<std::string> findings;
  if (shard.flush_worker_desired.empty()) {
    findings.push_back("no flush worker can have it: what is due stays");
  } else if (shard.flush_worker.empty()) {
    findings.push_back(
        absl::StrCat("nobody flushes it yet; it is for ", shard.flush_worker_desired));
  } else if (shard.flush_worker != shard.flush_worker_desired) {
    findings.push_back(absl::StrCat("is handed over from ", shard.flush_worker, " to ",
                                    shard.flush_worker_desired));
  }
  if (shard.ingest && shard.ingest->gate.state != wire::GateState::kOpen) {
    const wire::GateReport& gate = shard.ingest->gate;
    findings.push_back(absl::StrCat("the gate is ", wire::GateStateName(gate.state), " for ",
                                    SinceText(gate.since, snapshot), ": ",
                                    wire::CauseName(gate.cause)));
  }
  const auto blocked = [&](const std::optional<wire::ShardReport>& report, const char* who) {
    if (!report || report->blocked_cause == wire::Cause::kNone) return;
    findings.push_back(
        absl::StrCat(who, " is blocked by ", wire::CauseName(report->blocked_cause)));
  };
  blocked(shard.ingest, "ingest");
  blocked(shard.flush, "flush");
  if (!shard.ingest && !shard.flush) return findings;
  const uint64_t backlog = shard.flush ? shard.flush->backlog : shard.ingest->backlog;
  std::chrono::milliseconds lateness{0};
  if (shard.ingest) lateness = shard.ingest->lateness;
  if (shard.flush) lateness = std::max(lateness, shard.flush->lateness);
  findings.push_back(absl::StrFormat("%d parts are due, the oldest for %s", backlog,
                                     fleet::SecondsText(lateness)));
  if (!shard.ingest || shard.ingest->input_lag < 0) {
    findings.push_back("how many messages are not read yet is not known");
  } else {
    findings.push_back(absl::StrCat(shard.ingest->input_lag, " messages are not read yet"));
  }
  return findings;
}

}  // namespace

absl::StatusOr<const ShardView*> FindShard(const FleetSnapshot& snapshot, ShardId shard) {
  for (const ShardView& view : snapshot.shards) {
    if (view.id == shard) return &view;
  }
  if (snapshot.shards.empty()) {
    return Refusal(absl::StatusCode::kUnavailable, "SHARDS_UNKNOWN",
                   "waits to learn which shards there are");
  }
  return Refusal(absl::StatusCode::kNotFound, "SHARD_NOT_FOUND",
                 absl::StrCat("shards/", shard.value, ": there is no such shard"));
}

absl::StatusOr<ShardExplanation> Explain(const FleetSnapshot& snapshot, ShardId shard,
                                         Instant now) {
  const absl::StatusOr<const ShardView*> found = FindShard(snapshot, shard);
  if (!found.ok()) return found.status();
  const ShardView& view = **found;
  ShardExplanation explanation;
  explanation.shard = view;
  explanation.ingest = ExplainSide(Role::kIngest, view.ingest_worker, view.ingest_activity, now);
  explanation.flush = ExplainSide(Role::kFlush, view.flush_worker, view.flush_activity, now);
  explanation.findings = Findings(view, snapshot);
  return explanation;
}

absl::StatusOr<fleet::ScaleAdvice> AdviseOn(const FleetSnapshot& snapshot, absl::string_view pool,
                                            Instant now) {
  const PoolView* view = FindPool(snapshot, pool);
  if (view == nullptr) {
    return Refusal(absl::StatusCode::kNotFound, "POOL_NOT_FOUND",
                   absl::StrCat(fleet::PoolName(pool), ": there is no such pool"));
  }
  fleet::PoolEvidence evidence;
  evidence.role = view->role;
  evidence.min = view->min;
  evidence.max = view->max;
  evidence.shard_count = static_cast<int32_t>(snapshot.shards.size());
  for (const WorkerView& worker : snapshot.workers) {
    if (worker.key.pool != pool || worker.state != fleet::WorkerState::kReady) continue;
    fleet::WorkerEvidence& out = evidence.workers.emplace_back();
    out.name = fleet::WorkerName(worker.key);
    if (!worker.use) continue;
    out.busy = worker.use->busy;
    out.age = now - worker.use->end;
  }
  const bool is_ingest = view->role == Role::kIngest;
  for (const ShardView& shard : snapshot.shards) {
    const std::optional<wire::ShardReport>& report = is_ingest ? shard.ingest : shard.flush;
    const std::optional<ActivityWindow>& window =
        is_ingest ? shard.ingest_activity : shard.flush_activity;
    fleet::ShardEvidence& out = evidence.shards.emplace_back();
    out.shard = shard.id;
    if (!report || !window) continue;  // not known
    out.times = window->times;
    out.age = now - window->end;
    out.lateness = report->lateness;
    if (!is_ingest) continue;
    out.input_lag = report->input_lag;
    out.gate_cause = report->gate.cause;
  }
  absl::StatusOr<fleet::ScaleAdvice> advice = fleet::Advise(evidence);
  if (advice.ok()) return advice;
  return Refusal(advice.status().code(), "FIGURES_UNKNOWN",
                 absl::StrCat(fleet::PoolName(pool), ": ", advice.status().message()));
}

}  // namespace spillway::supervisor
