// The whole fleet as one value and one function: Step takes an event and answers with the next
// state and what to do. After every event it plans anew, so a lost message costs nothing but time.
#ifndef SPILLWAY_SERVER_FLEET_FLEET_H_
#define SPILLWAY_SERVER_FLEET_FLEET_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "config/config.h"
#include "server/fleet/config_rollout.h"
#include "server/fleet/limits.h"
#include "server/fleet/pool_drain.h"
#include "server/fleet/pool_work.h"
#include "server/fleet/shard_plan.h"
#include "server/fleet/worker.h"
#include "server/fleet/worker_machine.h"

namespace spillway::fleet {

// Slots are stable places 0…n−1: growing adds the next ones, shrinking takes the highest away.
// (Which worker has least to drain hardly matters, since shards are handed over in moments; names
// that stay do.)
struct Pool {
  std::string name;
  wire::Role role = wire::Role::kIngest;
  int32_t desired = 0, min = 0, max = 0;  // of an external pool desired follows who is there
  config::ScaleOwner scale_owner = config::ScaleOwner::kSpillway;
  PoolState state = PoolState::kRunning;
  bool is_configured = true;   // false: only leftovers of a pool that is no more; goes with them
  bool is_created = false;     // through the API: the configuration does not name it
  bool is_state_said = false;  // by a person, to this server: no need to learn it from workers
  uint64_t revision = 1;       // of the wish
  std::map<int32_t, Generation>
      generations{};                     // floor for the next start of slots without a worker
  std::optional<PoolDrain> drain{};      // the last one, under way or not
  std::optional<PoolRestart> restart{};  // the last one, under way or not
};

// A shard that has been taken from its owner's order and is not yet proven free.
struct Handover {
  WorkerKey from;
  Generation generation;    // of `from`
  uint64_t removed_in = 0;  // the order of `from` that no longer names the shard
  Instant since;
};

struct Shard {
  std::optional<WorkerKey> owner;  // whose order names it
  Generation owner_generation;
  std::optional<Handover> handover;  // never together with an owner
  std::optional<WorkerKey> desired;
  bool is_known = false;  // this server has given it to someone: no need to ask who holds it
  // Epochs that were reported to this server by processes proven dead since, or that such a process
  // worked under when it ended; oldest first, at most kMaxDeadEpochs. A claim under another waits
  // for its lease.
  std::vector<wire::DeadEpoch> dead{};
  // The ingest owner's epoch that a person's restart has ended: whoever reports it is told to begin
  // anew, until it reports another.
  std::optional<Epoch> retake{};
};

struct Fleet {
  std::vector<Pool> pools;
  // Of pools that are no more: should one of that name be made again, its slots go on from there.
  std::map<std::string, std::map<int32_t, Generation>> floors;
  std::map<WorkerKey, Worker> workers;
  std::map<ShardId, Shard> shards;
  ConfigRollout config;
  std::vector<wire::DropRule>
      drop_rules;               // as recorded; those in force are in each ingest worker's order
  uint64_t order_sequence = 0;  // of the newest order to anyone
  bool is_shutting_down = false;
  // Until then shards without an owner wait for the adopted workers to say what they hold.
  Instant adoption_deadline = Instant::min();
  // Until then they wait for registered workers, whom nobody knows before they have dialled.
  Instant registration_deadline = Instant::min();
  Instant last_step;  // to notice that we ourselves were stopped
};

// ---- events: those of one worker, and those of the whole ----------------------------------------

struct OfWorker {
  WorkerKey worker;
  Generation generation;  // of the process it is about; others are refused. Adopted: its own
  WorkerEvent event;
};
// Several in their order, planned for once: two hundred workers' reports a second are no reason to
// plan two hundred times.
struct Together {
  std::vector<OfWorker> events;
};
// A process of an earlier server. One with pid 0 only tells the generation.
struct Leftover {
  WorkerKey worker;
  Generation generation;
  int64_t pid = 0;
};
// The first event of all: what earlier servers left, if anything. One event, since whatever slot it
// does not name is started at once.
struct FoundLeftovers {
  std::vector<Leftover> leftovers;
};
struct SaidGoodbye {
  WorkerKey worker;
  Generation generation;
  std::vector<ShardId> still_held;
};
struct ShardsFound {
  int32_t count = 0;  // partitions of the input topic
  std::vector<ShardId>
      registered{};  // shards that the buffer has besides, of a topic that had more
};
struct PoolResized {
  std::string pool;
  int32_t desired = 0, min = 0, max = 0;
};
// The whole wish of a pool; one of a name that is not there is made. A role, once given, stays.
struct PoolWritten {
  std::string pool;
  uint64_t first_revision = 1;  // of a new one: above those of a former pool of its name
  wire::Role role = wire::Role::kIngest;
  int32_t desired = 0, min = 0, max = 0;
  PoolState state = PoolState::kRunning;
  config::ScaleOwner scale_owner = config::ScaleOwner::kSpillway;
};
// Its workers drain and end; then nothing of it is left but the generations of its slots.
struct PoolDeleted {
  std::string pool;
};
struct PoolStarted {
  std::string pool;
};
struct PoolStopped {
  std::string pool;
};
// Orders carry the pause; shards, streams and health stay as they are.
struct PoolPaused {
  std::string pool;
};
struct PoolResumed {
  std::string pool;
};
struct PoolDrained {
  std::string pool;
  Duration timeout{0};  // until its deadline
};
struct PoolRestarted {
  std::string pool;
  RestartScope scope = RestartScope::kAll;
  int32_t max_unavailable = 1;
};
struct WorkerRestarted {
  WorkerKey worker;
};
// The wish as it was before an operation that was cancelled.
struct WishPutBack {
  std::string pool;
  int32_t desired = 0, min = 0, max = 0;
  PoolState state = PoolState::kRunning;
};
// Workers that have been asked to restart go on with it; no other one is asked.
struct RestartCancelled {
  std::string pool;
};
// Its owners begin anew: flush hands it over, ingest takes it from nothing.
struct ShardRestarted {
  ShardId shard;
};
// A registered worker has been given a place, or has come back to it (registration.h).
struct WorkerRegistered {
  WorkerKey worker;
  Generation generation;
  Registered process;
};
// The whole list, as recorded.
struct DropRulesChanged {
  std::vector<wire::DropRule> rules;
};
struct ShutDown {};

using Event =
    std::variant<Tick, OfWorker, Together, FoundLeftovers, SaidGoodbye, ShardsFound, PoolResized,
                 PoolWritten, PoolDeleted, PoolStarted, PoolStopped, PoolPaused, PoolResumed,
                 PoolDrained, PoolRestarted, WorkerRestarted, ShardRestarted, WorkerRegistered,
                 WishPutBack, RestartCancelled, DropRulesChanged, ShutDown>;

struct Transition {
  Fleet fleet;
  std::vector<Action> actions;
};

// A fleet that wants what the configuration says and has nothing yet. Orders are numbered from
// above `first_sequence`: choose it higher than an earlier server's (a wall clock in µs).
Fleet MakeFleet(const config::Config& config, uint64_t first_sequence, Instant now);

// Events about pools, workers or generations that are not there change nothing.
Transition Step(Fleet fleet, const Event& event, Instant now, const Limits& limits);

// When Step wants its next Tick at the latest; at most kLongestTick after `now`.
inline constexpr Duration kLongestTick = std::chrono::seconds(1);
Instant NextTick(const Fleet& fleet, Instant now, const Limits& limits);

const Pool* FindPool(const Fleet& fleet, const std::string& name);

// A created pool that nothing is wished for yet.
Pool NewPool(const PoolWritten& written);

// `pool` with the wish that this event about it leaves it with; events that change no wish: as it
// is.
Pool Wished(Pool pool, const Event& event);

// The worker that reports `shard` under the highest epoch, and its report; null: nobody.
struct ShardHolder {
  const Worker* worker = nullptr;
  const wire::ShardReport* report = nullptr;
};
ShardHolder FindHolder(const Fleet& fleet, wire::Role role, ShardId shard);

// Whether the pool's workers are started by somebody else and register.
bool IsExternal(const Pool& pool);

// What to answer a launched worker that says Hello. Registered ones: registration.h.
enum class Welcoming {
  kAccept,
  kAdopt,      // a live process that nobody knew, for a slot without one: Adopted, then accept
  kUnknown,    // no such pool, slot or role
  kStale,      // a newer process has the slot
  kDuplicate,  // this very process is attached already
};
Welcoming JudgeHello(const Fleet& fleet, const wire::Hello& hello);

}  // namespace spillway::fleet

#endif  // SPILLWAY_SERVER_FLEET_FLEET_H_
