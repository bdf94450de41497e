// How many workers a pool should have, and what limits it (design section 6). Pure. Says what would
// be good now; when to follow it (hysteresis, cool-down) is for whoever scales.
#ifndef SPILLWAY_SERVER_FLEET_SCALE_ADVICE_H_
#define SPILLWAY_SERVER_FLEET_SCALE_ADVICE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "proto/wire/worker_report.h"

namespace spillway::fleet {

// What keeps the pool from doing more.
enum class ScaleLimit {
  kWorkers,  // its own work: more workers do more
  kKafka,    // the brokers
  kRedis,    // Redis, its memory included
  kInput,    // nothing: there is no more to do
  kFlush,    // ingest only: parts leave too slowly, so its gates hold it back
};
const char* LimitName(ScaleLimit limit);  // "workers"

inline constexpr double kTargetBusy = 0.7;   // of a worker's loop; leaves room for a hand-over
inline constexpr double kHighestBusy = 0.9;  // fewer workers would be busier than this
inline constexpr double kNearlyIdle = 0.1;   // of the shards' time that somebody works or waits
inline constexpr Duration kFreshFigures = std::chrono::seconds(10);  // older ones are no evidence
inline constexpr std::chrono::milliseconds kLate{2000};              // a pool so late is behind
inline constexpr int64_t kFarBehind = 10'000;                        // unread messages of a shard

struct WorkerEvidence {
  std::string name;              // "pools/flush/workers/0"
  std::optional<double> busy{};  // part of the time that its loop worked
  Duration age{0};               // of that
};
struct ShardEvidence {
  ShardId shard;
  std::optional<wire::ActivityTimes> times{};  // in the pool's worker
  Duration age{0};                             // of that
  std::chrono::milliseconds lateness{0};
  int64_t input_lag = 0;                        // ingest; -1: not known
  wire::Cause gate_cause = wire::Cause::kNone;  // ingest
};
struct PoolEvidence {
  wire::Role role = wire::Role::kFlush;
  int32_t min = 0, max = 0;
  int32_t shard_count = 0;                // 0: not known
  std::vector<WorkerEvidence> workers{};  // that serve
  std::vector<ShardEvidence> shards{};    // of shard_count
};

struct ScaleAdvice {
  int32_t desired = 0;     // within min … max and at most max_useful
  int32_t min_safe = 0;    // with fewer the pool falls behind
  int32_t max_useful = 0;  // more than shards find nothing to do
  ScaleLimit limit = ScaleLimit::kInput;
  std::vector<std::string> evidence;  // sentences: what was seen
};

// UNAVAILABLE naming what is not known or too old: nothing is guessed from that.
absl::StatusOr<ScaleAdvice> Advise(const PoolEvidence& pool);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_SCALE_ADVICE_H_
