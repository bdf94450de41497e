// What the figures of a fleet mean: where a shard's time goes, how many workers a pool should have.
// Pure: snapshots in, answers out; what is not known is said to be so.
#ifndef SPILLWAY_SERVER_SUPERVISOR_INSIGHT_H_
#define SPILLWAY_SERVER_SUPERVISOR_INSIGHT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/fleet/scale_advice.h"
#include "server/supervisor/snapshot.h"

namespace spillway::supervisor {

// A side that has been idle for this part of its time has nothing that limits it.
inline constexpr double kMostlyIdle = 0.9;

struct ActivityShare {
  wire::Activity activity = wire::Activity::kIdle;
  Duration time{0};
  double part = 0;  // 0 … 1; those of a side add up to 1
};

// What one of a shard's two owners does with it.
struct SideExplanation {
  std::string worker;     // resource name; empty: nobody reports the shard
  bool is_known = false;  // false: no window, or one that is too old; ignore what follows, but for
                          // `summary`
  Duration window{0};
  Duration age{0};                      // of the newest report
  std::vector<ActivityShare> shares{};  // of the window, largest first; none that is zero
  // What takes most of its time; kIdle: nothing holds it up.
  wire::Activity limit = wire::Activity::kIdle;
  std::string summary{};  // a sentence
};

struct ShardExplanation {
  ShardView shard;
  SideExplanation ingest, flush;
  std::vector<std::string> findings;  // sentences, the most telling first
};

// NOT_FOUND / SHARD_NOT_FOUND; UNAVAILABLE / SHARDS_UNKNOWN.
absl::StatusOr<const ShardView*> FindShard(const FleetSnapshot& snapshot, ShardId shard);

// As FindShard.
absl::StatusOr<ShardExplanation> Explain(const FleetSnapshot& snapshot, ShardId shard, Instant now);

// NOT_FOUND / POOL_NOT_FOUND; UNAVAILABLE / FIGURES_UNKNOWN, naming what is not known.
absl::StatusOr<fleet::ScaleAdvice> AdviseOn(const FleetSnapshot& snapshot, absl::string_view pool,
                                            Instant now);

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_INSIGHT_H_
