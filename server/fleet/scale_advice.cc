#include "server/fleet/scale_advice.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace spillway::fleet {
namespace {

using wire::Activity;
using wire::Cause;

constexpr size_t kLimitCount = 5;
using Shares = std::array<double, kLimitCount>;  // of the shards' time, by ScaleLimit

absl::Status Unknown(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("no advice: ", what));
}

// What the gate waits for, in the end.
ScaleLimit LimitOfGate(Cause cause) {
  switch (cause) {
    case Cause::kRedis:
    case Cause::kRedisMoving:
    case Cause::kRedisMemory:
      return ScaleLimit::kRedis;
    case Cause::kKafka:
    case Cause::kDeadLetter:
      return ScaleLimit::kKafka;
    case Cause::kIndex:
      return ScaleLimit::kWorkers;  // ingest.max_index_bytes is a worker's
    default:
      return ScaleLimit::kFlush;  // lateness, backlog
  }
}

ScaleLimit LimitOf(Activity activity, Cause gate_cause) {
  switch (activity) {
    case Activity::kEncode:
    case Activity::kRoom:
      return ScaleLimit::kWorkers;
    case Activity::kRedis:
      return ScaleLimit::kRedis;
    case Activity::kKafkaQueue:
    case Activity::kBroker:
      return ScaleLimit::kKafka;
    case Activity::kGate:
      return LimitOfGate(gate_cause);
    case Activity::kIdle:
    case Activity::kOwnership:
    case Activity::kPaused:
      return ScaleLimit::kInput;
  }
  return ScaleLimit::kInput;
}

absl::Status CheckKnown(const PoolEvidence& pool) {
  if (pool.shard_count == 0) return Unknown("it is not known which shards there are");
  if (pool.workers.empty()) return Unknown("no worker of the pool serves");
  for (const WorkerEvidence& worker : pool.workers) {
    if (!worker.busy)
      return Unknown(absl::StrCat(worker.name, " has not reported for long enough"));
    if (worker.age > kFreshFigures) {
      return Unknown(absl::StrFormat("the figures of %s are %.0f s old", worker.name,
                                     std::chrono::duration<double>(worker.age).count()));
    }
  }
  if (static_cast<int32_t>(pool.shards.size()) < pool.shard_count) {
    return Unknown(absl::StrCat("only ", pool.shards.size(), " of ", pool.shard_count,
                                " shards have figures"));
  }
  for (const ShardEvidence& shard : pool.shards) {
    if (!shard.times || shard.age > kFreshFigures || shard.input_lag < 0) {
      return Unknown(absl::StrCat("shard ", shard.shard.value, " has no fresh figures"));
    }
  }
  return absl::OkStatus();
}

Shares SharesOf(const PoolEvidence& pool) {
  Shares shares{};
  for (const ShardEvidence& shard : pool.shards) {
    Duration all{0};
    for (const Duration time : *shard.times) all += time;
    if (all <= Duration::zero()) continue;
    for (size_t i = 0; i < shard.times->size(); ++i) {
      const ScaleLimit limit = LimitOf(static_cast<Activity>(i), shard.gate_cause);
      shares[static_cast<size_t>(limit)] += static_cast<double>((*shard.times)[i].count()) /
                                            static_cast<double>(all.count()) /
                                            static_cast<double>(pool.shards.size());
    }
  }
  return shares;
}

int32_t Needed(double load, double busy) {
  return std::max(1, static_cast<int32_t>(std::ceil(load / busy - 1e-9)));
}

}  // namespace

const char* LimitName(ScaleLimit limit) {
  switch (limit) {
    case ScaleLimit::kWorkers:
      return "workers";
    case ScaleLimit::kKafka:
      return "kafka";
    case ScaleLimit::kRedis:
      return "redis";
    case ScaleLimit::kInput:
      return "input";
    case ScaleLimit::kFlush:
      return "flush";
  }
  return "unknown";
}

absl::StatusOr<ScaleAdvice> Advise(const PoolEvidence& pool) {
  RETURN_IF_ERROR(CheckKnown(pool));
  double load = 0, busiest = 0;
  for (const WorkerEvidence& worker : pool.workers) {
    load += *worker.busy;
    busiest = std::max(busiest, *worker.busy);
  }
  std::chrono::milliseconds latest{0};
  int64_t longest_lag = 0;
  for (const ShardEvidence& shard : pool.shards) {
    latest = std::max(latest, shard.lateness);
    longest_lag = std::max(longest_lag, shard.input_lag);
  }
  const bool is_flush = pool.role == wire::Role::kFlush;
  const bool is_behind = is_flush ? latest >= kLate : longest_lag >= kFarBehind;
  const bool is_hot = busiest >= kHighestBusy;

  ScaleAdvice advice;
  advice.max_useful = pool.shard_count;
  // Who has no reserve is the limit, whatever its shards seem to wait for: their answers wait for
  // the same loop. Else what the shards wait for most, if they wait at all.
  const Shares shares = SharesOf(pool);
  const auto idle = shares[static_cast<size_t>(ScaleLimit::kInput)];
  if (is_hot) {
    advice.limit = ScaleLimit::kWorkers;
  } else if (is_behind || idle < 1 - kNearlyIdle) {
    Shares waits = shares;
    waits[static_cast<size_t>(ScaleLimit::kInput)] = is_behind ? 0 : idle;
    advice.limit =
        static_cast<ScaleLimit>(std::max_element(waits.begin(), waits.end()) - waits.begin());
  }

  const int32_t present = static_cast<int32_t>(pool.workers.size());
  advice.min_safe = std::min(
      is_behind ? std::max(present, Needed(load, kHighestBusy)) : Needed(load, kHighestBusy),
      advice.max_useful);
  int32_t desired = Needed(load, kTargetBusy);
  // A loop that is full hides how much more there is: one step at least.
  if (is_hot || (is_behind && advice.limit == ScaleLimit::kWorkers)) {
    desired = std::max(desired, present + 1);
  }
  if (is_behind) desired = std::max(desired, present);  // whoever is behind gives nobody away
  const int32_t useful = std::min(desired, advice.max_useful);
  advice.desired = std::clamp(useful, pool.min, std::max(pool.min, pool.max));

  advice.evidence.push_back(
      absl::StrFormat("%d workers are busy %.0f %% of the time, the busiest %.0f %%", present,
                      100 * load / present, 100 * busiest));
  advice.evidence.push_back(absl::StrFormat(
      "the shards' time: workers %.0f %%, kafka %.0f %%, redis %.0f %%, flush %.0f %%, idle %.0f "
      "%%",
      100 * shares[0], 100 * shares[1], 100 * shares[2], 100 * shares[4], 100 * idle));
  if (is_flush) {
    advice.evidence.push_back(absl::StrFormat("the latest shard is %.1f s late",
                                              std::chrono::duration<double>(latest).count()));
  } else {
    advice.evidence.push_back(
        absl::StrCat("at most ", longest_lag, " messages of a shard are not read yet"));
  }
  if (is_behind && advice.limit != ScaleLimit::kWorkers) {
    advice.evidence.push_back(
        absl::StrCat("more workers do not help: the limit is ", LimitName(advice.limit)));
  }
  if (useful < desired) {
    advice.evidence.push_back(absl::StrCat("a shard has one worker: with ", pool.shard_count,
                                           " shards more find nothing to do"));
  }
  if (advice.desired != useful) {
    advice.evidence.push_back(absl::StrCat(useful, " would be right, but the pool's bounds are ",
                                           pool.min, " to ", pool.max));
  }
  return advice;
}

}  // namespace spillway::fleet
