// What operators may ask of the fleet, and how they see it. Implemented by Supervisor; a fake of it
// is all a test of the API needs.
#ifndef SPILLWAY_SERVER_SUPERVISOR_FLEET_CONTROL_H_
#define SPILLWAY_SERVER_SUPERVISOR_FLEET_CONTROL_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/supervisor/launcher.h"
#include "server/supervisor/shard_audit.h"
#include "server/supervisor/snapshot.h"

namespace spillway::supervisor {

// Where a change comes from, for the journal and for its repetition, and what it supposes.
struct Origin {
  std::string actor{};         // peer and user agent, as given
  std::string request_id{};    // empty: none
  std::string fingerprint{};   // all of the request
  std::string etag{};          // if set, must be the pool's
  bool validate_only = false;  // only asks what would be
};

struct ResizeRequest {
  std::string pool;  // "flush"
  int32_t desired = 0;
  std::optional<int32_t> min{}, max{};  // also change the bounds
  Origin origin{};
};

struct RestartRequest {
  std::string pool;
  fleet::RestartScope scope = fleet::RestartScope::kAll;
  int32_t max_unavailable = 1;
  Origin origin{};
};

// What is wished for a pool: what is not given stays as it is, or begins with the defaults.
struct PoolWishes {
  std::optional<int32_t> desired{}, min{}, max{};
  std::optional<fleet::PoolState> state{};
  std::optional<config::ScaleOwner> scale_owner{};
};

struct PoolCreation {
  std::string pool;  // "flush-2"
  wire::Role role = wire::Role::kIngest;
  PoolWishes wishes{};
  Origin origin{};
};

struct PoolUpdate {
  std::string pool;
  PoolWishes wishes{};
  Origin origin{};
};

struct PoolDeletion {
  std::string pool;
  bool force = false;  // also with workers: they drain and end
  Origin origin{};
};

// A rule to be in force from now on, in the place of the one of its name if there is one.
struct DropRuleSetting {
  wire::DropRule rule;
  std::string reason;  // for the journal and whoever lists it
  Origin origin{};     // `etag` says nothing
};

// Changes that take time (all but Pause and Resume) begin an operation: `operation` in the answer.
// One that only asks changes nothing and answers with the pool as it would be, and `preview`.
// The pool as it is wished for now (observed follows later), or why not; a Snapshot taken after the
// answer shows the change. A refusal carries a stable
// reason: see RefusalReason. Called once, on the loop's thread: do not block in it.
using PoolDone = absl::AnyInvocable<void(absl::StatusOr<PoolView>)>;
using OperationDone = absl::AnyInvocable<void(absl::StatusOr<OperationPtr>)>;
using CaptureDone = absl::AnyInvocable<void(absl::StatusOr<StackReport>)>;
using SnapshotListener = absl::AnyInvocable<void(SnapshotPtr)>;

// Ends when destroyed: afterwards the listener is not called any more. (If it is being called just
// then by the loop's thread, the destructor waits for it, unless it runs inside the call itself.)
class Subscription {
 public:
  virtual ~Subscription() = default;
};

// Thread-safe. Every method returns at once. After the supervisor has ended the answers are
// UNAVAILABLE / SERVER_STOPPING.
class FleetControl {
 public:
  virtual ~FleetControl() = default;

  // Never null.
  virtual SnapshotPtr Snapshot() const = 0;
  // Called on the loop's thread, first with the present snapshot, then after every change (several
  // changes in one turn of the loop are one call). Do not block in it; it may end subscriptions.
  virtual std::unique_ptr<Subscription> Subscribe(SnapshotListener listener) = 0;

  // Changes are taken one at a time and answered once they are on record. All of them:
  // FAILED_PRECONDITION / STATE_NOT_WRITABLE; RESOURCE_EXHAUSTED / TOO_MANY_CHANGES;
  // ABORTED / ETAG_MISMATCH.

  // NOT_FOUND / POOL_NOT_FOUND; FAILED_PRECONDITION / EXTERNALLY_SCALED;
  // INVALID_ARGUMENT / OUT_OF_RANGE.
  virtual void Resize(ResizeRequest request, PoolDone done) = 0;
  // NOT_FOUND / POOL_NOT_FOUND. Also gives workers in CRASH_LOOP a new restart budget.
  virtual void Start(std::string pool, Origin origin, PoolDone done) = 0;
  // NOT_FOUND / POOL_NOT_FOUND.
  virtual void Stop(std::string pool, Origin origin, PoolDone done) = 0;
  // Both: NOT_FOUND / POOL_NOT_FOUND; FAILED_PRECONDITION / POOL_STOPPED.
  virtual void Pause(std::string pool, Origin origin, PoolDone done) = 0;
  virtual void Resume(std::string pool, Origin origin, PoolDone done) = 0;
  // `timeout`: until what remains is left where it is. POOL_NOT_FOUND, POOL_STOPPED as above;
  // INVALID_ARGUMENT / OUT_OF_RANGE: not positive.
  virtual void DrainPool(std::string pool, Duration timeout, Origin origin, PoolDone done) = 0;
  // Takes the place of a restart under way; the answer's `restart` has the number of this one.
  // NOT_FOUND / POOL_NOT_FOUND; FAILED_PRECONDITION / POOL_STOPPED; INVALID_ARGUMENT /
  // OUT_OF_RANGE: max_unavailable is not positive.
  virtual void Restart(RestartRequest request, PoolDone done) = 0;
  // At once, with a new restart budget. Answers with its pool. NOT_FOUND / WORKER_NOT_FOUND;
  // FAILED_PRECONDITION / WORKER_NOT_WANTED: it is going away.
  virtual void RestartWorker(fleet::WorkerKey worker, Origin origin, PoolDone done) = 0;
  // Lets the owners of a shard begin anew. Answers with the pool of one of them. NOT_FOUND /
  // SHARD_NOT_FOUND; FAILED_PRECONDITION / SHARD_NOT_HELD.
  virtual void RestartShard(ShardId shard, Origin origin, PoolDone done) = 0;
  // Puts the wish back as it was before the operation, or asks no more workers to restart (those
  // that were asked go on). NOT_FOUND / OPERATION_NOT_FOUND; FAILED_PRECONDITION / OPERATION_ENDED,
  // NOT_CANCELLABLE (a worker that ends already, a pool that is made or deleted), WISH_CHANGED (by
  // somebody else since).
  virtual void CancelOperation(int64_t number, Origin origin, PoolDone done) = 0;
  // Answers when the operation has ended, or at the timeout (kLongestOperationWait at most) with
  // how it is then. NOT_FOUND / OPERATION_NOT_FOUND; RESOURCE_EXHAUSTED / TOO_MANY_WAITS.
  virtual void WaitOperation(int64_t number, Duration timeout, OperationDone done) = 0;
  // Makes a pool beside the configuration's. ALREADY_EXISTS / POOL_EXISTS; INVALID_ARGUMENT /
  // OUT_OF_RANGE, INVALID_NAME; RESOURCE_EXHAUSTED / TOO_MANY_POOLS.
  virtual void CreatePool(PoolCreation creation, PoolDone done) = 0;
  // NOT_FOUND / POOL_NOT_FOUND; INVALID_ARGUMENT / OUT_OF_RANGE; FAILED_PRECONDITION /
  // EXTERNALLY_SCALED, POOL_CONFIGURED.
  virtual void UpdatePool(PoolUpdate update, PoolDone done) = 0;
  // Answers with the pool as it was. NOT_FOUND / POOL_NOT_FOUND; FAILED_PRECONDITION /
  // POOL_CONFIGURED, POOL_NOT_EMPTY.
  virtual void DeletePool(PoolDeletion deletion, PoolDone done) = 0;
  // Both answer with a pool without a name: the snapshot has the rules. INVALID_ARGUMENT /
  // OUT_OF_RANGE: its end is past, or further away than kLongestDropRule; RESOURCE_EXHAUSTED /
  // TOO_MANY_DROP_RULES: wire::kMaxDropRules others are in force.
  virtual void SetDropRule(DropRuleSetting setting, PoolDone done) = 0;
  // NOT_FOUND / DROP_RULE_NOT_FOUND.
  virtual void DeleteDropRule(std::string name, Origin origin, PoolDone done) = 0;
  // Walks one shard, or all, and compares with the counters; answers on the loop's thread, which
  // may take minutes. What could not be told is in the answer. NOT_FOUND / SHARD_NOT_FOUND;
  // UNAVAILABLE / SHARDS_UNKNOWN (none are known yet); RESOURCE_EXHAUSTED / TOO_MANY_AUDITS.
  virtual void Audit(std::optional<ShardId> shard, AuditDone done) = 0;
  // Where the threads of a worker's process are; a process that cannot answer is an answer. Takes
  // seconds. NOT_FOUND / WORKER_NOT_FOUND; FAILED_PRECONDITION / NO_PROCESS, also if it ends
  // meanwhile.
  virtual void CaptureStacks(fleet::WorkerKey worker, CaptureDone done) = 0;
  // A query with `after` waits until there is something, kLogWait at most; then the page is empty.
  // NOT_FOUND / WORKER_NOT_FOUND, LOG_NOT_FOUND; RESOURCE_EXHAUSTED / TOO_MANY_READERS.
  virtual void ReadLog(LogQuery query, LogDone done) = 0;
};

inline constexpr Duration kLogWait = std::chrono::seconds(1);
inline constexpr std::chrono::minutes kLongestOperationWait{10};
inline constexpr std::chrono::hours kLongestDropRule{30 * 24};

// A status with a stable reason, for google.rpc.ErrorInfo.
absl::Status Refusal(absl::StatusCode code, absl::string_view reason, absl::string_view message);
// To whoever asks while the server ends: UNAVAILABLE / SERVER_STOPPING.
absl::Status ServerStopping();
// The reason in `status`, e.g. "EXTERNALLY_SCALED"; empty: it has none.
std::string RefusalReason(const absl::Status& status);

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_FLEET_CONTROL_H_
