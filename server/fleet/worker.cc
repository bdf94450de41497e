#include "server/fleet/worker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace spillway::fleet {
namespace {

Health Unhealthy(UnhealthyReason reason, std::string evidence) {
  return {HealthState::kUnhealthy, reason, std::move(evidence), {}};
}

// The shard that has stood still for too long; null: none.
const std::pair<const ShardId, StallWatch>* FindStall(const Worker& worker, Instant now,
                                                      const Limits& limits) {
  for (const auto& watch : worker.stalls) {
    const StallWatch& stall = watch.second;
    if (stall.is_running && now - stall.since >= limits.health.stall_timeout) return &watch;
  }
  return nullptr;
}

Health JudgeWithoutReport(const Worker& worker, Instant now, const Limits& limits) {
  const Duration age = now - worker.started_at;
  if (age >= limits.health.startup_timeout) {
    return Unhealthy(UnhealthyReason::kStartupTimeout,
                     absl::StrCat("no report ", SecondsText(age), " after its ",
                                  worker.is_adopted ? "adoption" : "start"));
  }
  return {HealthState::kStarting, UnhealthyReason::kNone, "has not reported yet", {}};
}

}  // namespace

Health Judge(const Worker& worker, Instant now, const Limits& limits) {
  if (!worker.has_process) {
    const bool is_to_start = worker.state == WorkerState::kPending;
    if (is_to_start)
      return {HealthState::kStarting, UnhealthyReason::kNone, "is to be started", {}};
    return Unhealthy(UnhealthyReason::kDead, worker.last_death);
  }
  if (worker.report == nullptr) return JudgeWithoutReport(worker, now, limits);
  const Duration silence = now - worker.report_at;
  if (silence >= limits.health.silence_timeout) {
    return Unhealthy(UnhealthyReason::kSilent,
                     absl::StrCat("no report for ", SecondsText(silence),
                                  worker.is_attached ? "" : ", its stream has ended"));
  }
  if (const auto* stall = FindStall(worker, now, limits)) {
    return Unhealthy(
        UnhealthyReason::kStalled,
        absl::StrCat("shards/", stall->first.value, ": work to do and no progress for ",
                     SecondsText(now - stall->second.since)));
  }
  if (!worker.report->is_ready && worker.state == WorkerState::kStarting) {
    return {HealthState::kStarting,
            UnhealthyReason::kNone,
            absl::StrCat("waits: ", absl::StrJoin(worker.report->waiting_for, "; ")),
            {}};
  }
  return {HealthState::kHealthy, UnhealthyReason::kNone, "reports", {}};
}

void WatchProgress(Worker& worker, const wire::WorkerReport& report, Instant now) {
  std::map<ShardId, StallWatch> watches;
  for (const wire::ShardReport& shard : report.shards) {
    StallWatch watch{shard.progress, shard.has_work && shard.blocked_cause == wire::Cause::kNone,
                     now};
    const auto before = worker.stalls.find(shard.shard);
    const bool goes_on = before != worker.stalls.end() && before->second.is_running &&
                         watch.is_running && before->second.progress == watch.progress;
    if (goes_on) watch.since = before->second.since;
    watches[shard.shard] = watch;
  }
  worker.stalls = std::move(watches);
}

void RememberEpochs(Worker& worker, const wire::WorkerReport& report) {
  if (worker.role != wire::Role::kFlush) return;
  for (const wire::ShardReport& shard : report.shards) {
    if (shard.epoch.number > 0) Append(worker.epochs[shard.shard], shard.epoch);
  }
}

void Append(std::vector<Epoch>& epochs, const Epoch& epoch) {
  if (std::find(epochs.begin(), epochs.end(), epoch) != epochs.end()) return;
  if (epochs.size() >= kMaxDeadEpochs) epochs.erase(epochs.begin());
  epochs.push_back(epoch);
}

Instant NextJudgement(const Worker& worker, const Limits& limits) {
  if (!worker.has_process) return kNever;
  if (worker.report == nullptr) return worker.started_at + limits.health.startup_timeout;
  Instant next = worker.report_at + limits.health.silence_timeout;
  for (const auto& [shard, stall] : worker.stalls) {
    if (stall.is_running) next = std::min(next, stall.since + limits.health.stall_timeout);
  }
  return next;
}

bool Holds(const Worker& worker, ShardId shard) {
  if (worker.report == nullptr) return false;
  return std::any_of(worker.report->shards.begin(), worker.report->shards.end(),
                     [&](const wire::ShardReport& held) { return held.shard == shard; });
}

std::string SecondsText(Duration duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  return seconds < 10 ? absl::StrFormat("%.1f s", seconds) : absl::StrFormat("%.0f s", seconds);
}

}  // namespace spillway::fleet
