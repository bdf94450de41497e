// What the workers reported of where their shards' time goes, kept for as long as a window over it
// is asked for.
#ifndef SPILLWAY_SERVER_SUPERVISOR_ACTIVITY_BOOKS_H_
#define SPILLWAY_SERVER_SUPERVISOR_ACTIVITY_BOOKS_H_

#include <chrono>
#include <deque>
#include <map>
#include <optional>

#include "base/clock.h"
#include "base/ids.h"
#include "proto/wire/worker_report.h"
#include "server/fleet/types.h"
#include "server/supervisor/snapshot.h"

namespace spillway::supervisor {

inline constexpr Duration kActivityWindow = std::chrono::seconds(60);
// Between the samples that are kept; besides them the newest report counts. So 14 at most a worker.
inline constexpr Duration kActivitySpacing = std::chrono::seconds(5);

// Pure but for its memory: no clock. Not thread-safe. Bounded by the workers that report.
class ActivityBooks {
 public:
  // `at`: when the report came. One of another generation begins a new history.
  void Observe(const fleet::WorkerKey& worker, Generation generation,
               const wire::WorkerReport& report, Instant at);
  // Forgets workers that have not reported within the window.
  void Prune(Instant now);

  // The window's end is the worker's newest report. Empty: unknown (no such report yet, or one
  // only of a shard that was held for longer than the window).
  std::optional<ActivityWindow> OfShard(const fleet::WorkerKey& worker, ShardId shard) const;
  std::optional<WorkerUse> OfWorker(const fleet::WorkerKey& worker) const;

 private:
  struct Sample {
    Instant at;
    std::chrono::microseconds cpu_time{0};
    std::map<ShardId, wire::ActivityTimes> times;
  };
  struct History {
    Generation generation;
    std::deque<Sample> samples;  // oldest first; the last one is the newest report
  };

  std::map<fleet::WorkerKey, History> histories_;
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_ACTIVITY_BOOKS_H_
