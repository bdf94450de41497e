// What the fleet looked like after some event, for everyone who reads it: the API, the metrics, the
// readiness probe. Immutable once published; plain values.
#ifndef SPILLWAY_SERVER_SUPERVISOR_SNAPSHOT_H_
#define SPILLWAY_SERVER_SUPERVISOR_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "config/config.h"
#include "proto/wire/worker_report.h"
#include "server/fleet/config_rollout.h"
#include "server/fleet/operation.h"
#include "server/fleet/pool_drain.h"
#include "server/fleet/pool_work.h"
#include "server/fleet/preview.h"
#include "server/fleet/types.h"
#include "server/supervisor/shard_audit.h"

namespace spillway::supervisor {

struct HealthView {
  fleet::HealthState state = fleet::HealthState::kStarting;
  fleet::UnhealthyReason reason = fleet::UnhealthyReason::kNone;
  std::string evidence;  // a sentence: what was seen
  WallTime since;        // when this state began
  Instant evidence_at;   // when the newest report came; age = now − this
};

// A change that outlasts the call that asked for it.
struct OperationView {
  int64_t number = 0;  // "operations/<number>"
  fleet::OperationKind kind = fleet::OperationKind::kStartPool;
  fleet::OperationState state = fleet::OperationState::kRunning;
  std::string pool;
  int32_t slot = -1;  // of the worker that it is about; -1: the pool
  std::string actor;
  WallTime begun, ended;  // ended: 0 while it runs
  std::string detail;     // how far it is, or why it has ended so
  // As last judged; of one that ended before this server began: empty.
  std::vector<fleet::WorkerProgress> workers;
};
using OperationPtr = std::shared_ptr<const OperationView>;

// What a pool's workers run with.
struct ConfigView {
  fleet::ConfigRollout::State state = fleet::ConfigRollout::State::kProven;
  uint64_t generation = 0;  // that workers are started with; 0: nobody counts them
  int32_t outdated = 0;     // workers that run another one
  uint64_t rejected = 0;    // generation that was taken back; 0: none
  std::string detail;       // why it was
};

struct PoolView {
  std::string name;  // "flush"; resource name: fleet::PoolName
  wire::Role role = wire::Role::kIngest;
  fleet::PoolState state = fleet::PoolState::kRunning;
  int32_t desired = 0, min = 0, max = 0;
  int32_t observed = 0;  // workers whose process exists
  int32_t ready = 0;     // READY and healthy
  int32_t paused = 0;    // workers whose newest report says that they take nothing new
  config::ScaleOwner scale_owner = config::ScaleOwner::kSpillway;
  bool is_created = false;                  // through the API; false: the configuration's
  bool is_configured = true;                // false: goes away with its workers
  std::string etag;                         // changes with every change of the wish
  HealthView health;                        // the worst of its workers'
  std::optional<fleet::PoolDrain> drain{};  // the last one, under way or not
  WallTime drain_deadline{};                // its
  ConfigView config{};
  std::optional<fleet::PoolRestart> restart{};  // the last one, under way or not
  OperationPtr operation{};  // in the answer to a change: what it has begun. Null: nothing
  std::shared_ptr<const fleet::Preview> preview{};  // in the answer to whoever only asks
};

// Where a shard's time went, in one worker.
struct ActivityWindow {
  Duration length{0};  // the sum of `times`, above zero
  wire::ActivityTimes times{};
  Instant end;  // age = now − this
};

// How much of itself a worker used.
struct WorkerUse {
  double busy = 0;       // part of the time that its loop worked; 1: it cannot do more
  double cpu_cores = 0;  // all threads of the process
  Duration length{0};
  Instant end;  // age = now − this
};

struct WorkerView {
  fleet::WorkerKey key;
  wire::Role role = wire::Role::kIngest;
  std::string uid;  // empty until it has attached once
  int64_t pid = 0;  // 0: no process
  fleet::WorkerState state = fleet::WorkerState::kPending;
  HealthView health;
  Generation generation;
  std::vector<ShardId> shards;              // held, as its last report says
  int32_t restarts = 0;                     // within restart.window
  std::optional<WallTime> start_time;       // of the process
  std::optional<WallTime> next_start_time;  // in BACKOFF
  std::string last_death;                   // "exited with 1 after 0.2 s …"; empty: none
  std::string version;
  bool is_attached = false;  // its stream stands
  // Of the configuration that its process, or its last one, runs with. 0: of none that spillwayd
  // knows, or not known.
  uint64_t config_generation = 0;
  // Its newest report of this generation. Null: none yet. Shared: reports are large and many
  // snapshots hold the same one.
  std::shared_ptr<const wire::WorkerReport> report;
  std::optional<WorkerUse> use;  // empty: not known
};

struct ShardView {
  ShardId id;
  std::string ingest_worker;         // resource name; empty: nobody reports it
  std::string flush_worker;          // who reports to own it
  std::string flush_worker_desired;  // who shall own it; empty: nobody can
  // The owners' newest words. Empty: no figures; never read as zero.
  std::optional<wire::ShardReport> ingest;
  std::optional<wire::ShardReport> flush;
  Instant figures_at;                               // of the older of the two that exist
  std::optional<ActivityWindow> ingest_activity{};  // empty: not known
  std::optional<ActivityWindow> flush_activity{};
  std::optional<LedgerView> ledger;  // empty: not read yet, or the shard has never been taken
  std::optional<AuditView> audit;    // empty: never audited by this server
};

// A rule by which ingest workers leave spans out.
struct DropRuleView {
  wire::DropRule rule;
  WallTime set;
  std::string actor;   // who set it, as given
  std::string reason;  // as given; may be empty
};

// One condition of readiness: "redis", "kafka", "shards", "pool/flush", …
struct Check {
  std::string name;
  bool ok = false;
  std::string detail;  // what is waited for, or what was seen
  Instant seen_at;     // when it was last looked at
};

struct FleetSnapshot {
  uint64_t sequence = 0;  // rises with every snapshot
  WallTime time;
  Instant at;
  bool is_stopping = false;         // the server is going away
  std::vector<PoolView> pools;      // in the order of the configuration, then as created
  std::vector<WorkerView> workers;  // by pool, then slot
  std::vector<ShardView> shards;    // by number
  std::vector<Check> checks;
  // Oldest first; those that run, and the newest that have ended. Shared between snapshots. Null:
  // there are none.
  std::shared_ptr<const std::vector<OperationPtr>> operations{};
  // By name; all that are in force. Shared between snapshots. Null: there are none.
  std::shared_ptr<const std::vector<DropRuleView>> drop_rules{};
};

using SnapshotPtr = std::shared_ptr<const FleetSnapshot>;

// All checks hold.
bool IsReady(const FleetSnapshot& snapshot);

// What nobody does once `deleted` is gone, for a person; empty: another pool does it.
std::string LossOf(const FleetSnapshot& snapshot, const PoolView& deleted);

// Null if there is none of that name (without "pools/").
const PoolView* FindPool(const FleetSnapshot& snapshot, absl::string_view name);
OperationPtr FindOperation(const FleetSnapshot& snapshot, int64_t number);
const DropRuleView* FindDropRule(const FleetSnapshot& snapshot, absl::string_view name);
const WorkerView* FindWorker(const FleetSnapshot& snapshot, const fleet::WorkerKey& key);

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_SNAPSHOT_H_
