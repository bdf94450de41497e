// One worker as the control plane knows it, and the judgement of its health. Values; pure.
#ifndef SPILLWAY_SERVER_FLEET_WORKER_H_
#define SPILLWAY_SERVER_FLEET_WORKER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "proto/wire/worker_report.h"
#include "server/fleet/limits.h"
#include "server/fleet/restart_policy.h"
#include "server/fleet/types.h"

namespace spillway::fleet {

inline constexpr Instant kNever = Instant::max();

struct Health {
  HealthState state = HealthState::kStarting;
  UnhealthyReason reason = UnhealthyReason::kNone;
  std::string evidence;
  Instant since;
};

// Since when a shard's progress has stood still although there was work and nothing in the way.
struct StallWatch {
  uint64_t progress = 0;
  bool is_running = false;
  Instant since;
};

// What a worker was doing when it was found unhealthy.
struct Stacks {
  std::string problem;  // why it has not told, or not all; empty: it has
  std::string summary;  // its main thread, innermost function first; may be empty
  std::string file;     // all threads; empty: none
};

// How many epochs of dead owners of a shard are remembered, and how many of one process: the
// newest. Claims of others are left to their leases, and those of so many are seldom older than
// one.
inline constexpr size_t kMaxDeadEpochs = 16;

struct Worker {
  WorkerKey key;
  wire::Role role = wire::Role::kIngest;
  WorkerState state = WorkerState::kPending;
  bool is_wanted = true;      // the plan has a place for it
  Generation generation;      // of the process there is, else of the last one
  Instant deadline = kNever;  // what its state waits for at the longest

  // The process; meaningless without one.
  bool has_process = false;
  bool is_adopted = false;    // an earlier server's
  bool is_failed = false;     // being ended because it was unhealthy
  bool is_capturing = false;  // its stacks were asked for; TERM follows
  bool is_killed = false;     // KILL was sent
  bool has_left = false;      // it has said goodbye
  // Started by somebody else: its process is never signalled and its end never proven
  // (registered_worker.h). Then `pid` is what it says, on whatever machine.
  bool is_registered = false;
  int64_t pid = 0;
  Instant started_at;  // adopted: when it was found
  std::string uid, version;
  uint64_t config_digest = 0;  // of what it was started with, or says it runs with; 0: not known
  bool is_attached = false;
  std::shared_ptr<const wire::WorkerReport> report;  // newest; shared with snapshots. Null: none
  Instant report_at;
  std::map<ShardId, StallWatch> stalls;
  Stacks stacks;  // captured when it was found unhealthy
  // Flush: the epochs that it reported, oldest first, also of shards that it has given up since: it
  // may have left claims to their leases.
  std::map<ShardId, std::vector<Epoch>> epochs;

  // The newest order: the whole wish. Sequence 0: none was given yet.
  wire::Order order;
  bool is_order_sent = false;  // on the present stream
  Instant order_sent_at;

  Health health;
  RestartHistory history;
  Instant next_start = kNever;  // in BACKOFF
  std::string last_death;
};

// The health of a worker at `now`, from its start, its reports and their age.
Health Judge(const Worker& worker, Instant now, const Limits& limits);

// Brings the stall watches up to date with a new report.
void WatchProgress(Worker& worker, const wire::WorkerReport& report, Instant now);

// Keeps the epochs of a new report of a flush worker.
void RememberEpochs(Worker& worker, const wire::WorkerReport& report);

// Appends what is not there yet, up to kMaxDeadEpochs: then the oldest go.
void Append(std::vector<Epoch>& epochs, const Epoch& epoch);

// The next moment at which Judge may answer differently without a new event; kNever: none.
Instant NextJudgement(const Worker& worker, const Limits& limits);

// Whether the worker's newest report says that it has `shard`, even if it is giving it up.
bool Holds(const Worker& worker, ShardId shard);

// "0.2 s", "61 s"
std::string SecondsText(Duration duration);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_WORKER_H_
