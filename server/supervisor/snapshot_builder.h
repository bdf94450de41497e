// Turns the fleet's state into what readers see. Pure: no I/O, no clock.
#ifndef SPILLWAY_SERVER_SUPERVISOR_SNAPSHOT_BUILDER_H_
#define SPILLWAY_SERVER_SUPERVISOR_SNAPSHOT_BUILDER_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/clock.h"
#include "server/fleet/fleet.h"
#include "server/record/recorder.h"
#include "server/supervisor/activity_books.h"
#include "server/supervisor/snapshot.h"

namespace spillway::supervisor {

// What is known about the search for shards.
struct DiscoveryView {
  absl::Status status = absl::UnavailableError("has not been asked yet");
  Instant seen_at;
  std::string topic;
};

// What the fleet's state does not hold.
struct Surroundings {
  uint64_t sequence = 0;
  Instant now;
  WallTime wall;
  std::shared_ptr<const std::vector<OperationPtr>> operations{};
  std::shared_ptr<const std::vector<DropRuleView>> drop_rules{};
  uint64_t etag_salt = 0;  // differs from record to record
  DiscoveryView discovery;
  std::map<fleet::WorkerKey, WallTime> start_times;  // of processes
  config::Restart restart;
  Duration handover_timeout{0};
  std::map<ShardId, LedgerView> ledgers;
  std::map<ShardId, AuditView> audits;
  std::optional<record::RecorderHealth> recorder;  // empty: there is none
  const ActivityBooks* activity = nullptr;         // null: there is none
  std::map<ShardId, Instant> owned_at;  // when a flush worker last said that it owns the shard
};

// Whether changes can be recorded. A write that takes longer than this is one that hangs.
inline constexpr std::chrono::seconds kSlowWrite{2};
Check RecordCheck(const record::RecorderHealth& health, Instant now);

// A flush worker says that it owns the shard.
bool IsOwned(const ShardView& shard);

FleetSnapshot BuildSnapshot(const fleet::Fleet& fleet, const Surroundings& around);

PoolView ToView(const fleet::Pool& pool, const fleet::Fleet& fleet, const Surroundings& around);
std::string EtagOf(const fleet::Pool& pool, uint64_t salt);

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_SNAPSHOT_BUILDER_H_
