// The one owner of the fleet's state. Every input (exits, streams, operators, timers, discovery) is
// an event for fleet::Step; its actions are performed here, and what came of it is published.
#ifndef SPILLWAY_SERVER_SUPERVISOR_SUPERVISOR_H_
#define SPILLWAY_SERVER_SUPERVISOR_SUPERVISOR_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "base/loop.h"
#include "config/config.h"
#include "server/fleet/fleet.h"
#include "server/fleet/limits.h"
#include "server/record/recorder.h"
#include "server/supervisor/fleet_control.h"
#include "server/supervisor/launcher.h"
#include "server/supervisor/shard_discovery.h"
#include "server/supervisor/worker_gateway.h"

namespace spillway::supervisor {

// What the supervisor works with; all borrowed, all outlive it (the discovery also the loop: a pool
// thread may still be asking).
struct Parts {
  Loop& loop;
  const Clock& clock;
  Launcher& launcher;
  ShardDiscovery& discovery;
  uint64_t seed = 0;  // of the restart backoff's jitter: another for every server
  fleet::EndLimits ends{};
  buffer::ShardReader* store = nullptr;  // for ledgers and audits; may be null: there are none
  // Where changes are recorded before they are done; goes before the loop, as it answers to it. May
  // be null: nothing is recorded.
  record::Recorder* recorder = nullptr;
  std::vector<record::PoolWish> wishes{};  // over those of the configuration
  // Of these wishes, by pool; they count on over restarts of the server,
  std::map<std::string, uint64_t> revisions{};
  // and are told from those of another record by this: both make an etag.
  uint64_t record_identity = 0;
  std::vector<record::Operation> operations{};  // of earlier servers: those that run go on
  std::vector<record::PoolRecord> created{};    // pools beside those of the configuration
  std::vector<record::DropRule> drop_rules{};   // those whose time is over are ended
  fleet::ConfigRollout config_rollout{};        // of what workers run with (recorded_config.h)
  std::vector<record::ConfigRecord> config_records{};  // that stand behind it
  std::map<uint64_t, std::string> config_files{};  // by generation: what workers are started with
};

// FleetControl and WorkerGateway may be called from any thread; everything else, construction and
// destruction included, on the loop's thread or while the loop does not run. Destroying it leaves
// the workers running (they work on by themselves). Links and listeners are let go of.
class Supervisor final : public FleetControl, public WorkerGateway {
 public:
  Supervisor(const config::Config& config, Parts parts);
  ~Supervisor() override;

  // Adopts leftovers, starts the pools, begins to look for shards. Once.
  void Begin();
  // Ends every worker (drain, then TERM, then KILL), refuses new orders meanwhile; `done` is called
  // once with OK, or naming the workers that had to be killed. Takes at most DrainBudget.
  // Idempotent.
  void Drain(absl::AnyInvocable<void(absl::Status)> done);
  // Upper bound of Drain: drain, then TERM, then KILL and proof of death.
  Duration DrainBudget() const;

  SnapshotPtr Snapshot() const override;
  std::unique_ptr<Subscription> Subscribe(SnapshotListener listener) override;
  void Resize(ResizeRequest request, PoolDone done) override;
  void Start(std::string pool, Origin origin, PoolDone done) override;
  void Stop(std::string pool, Origin origin, PoolDone done) override;
  void Pause(std::string pool, Origin origin, PoolDone done) override;
  void Resume(std::string pool, Origin origin, PoolDone done) override;
  void DrainPool(std::string pool, Duration timeout, Origin origin, PoolDone done) override;
  void Restart(RestartRequest request, PoolDone done) override;
  void RestartWorker(fleet::WorkerKey worker, Origin origin, PoolDone done) override;
  void RestartShard(ShardId shard, Origin origin, PoolDone done) override;
  void CancelOperation(int64_t number, Origin origin, PoolDone done) override;
  void WaitOperation(int64_t number, Duration timeout, OperationDone done) override;
  void CreatePool(PoolCreation creation, PoolDone done) override;
  void UpdatePool(PoolUpdate update, PoolDone done) override;
  void DeletePool(PoolDeletion deletion, PoolDone done) override;
  void SetDropRule(DropRuleSetting setting, PoolDone done) override;
  void DeleteDropRule(std::string name, Origin origin, PoolDone done) override;
  void Audit(std::optional<ShardId> shard, AuditDone done) override;
  void CaptureStacks(fleet::WorkerKey worker, CaptureDone done) override;
  void ReadLog(LogQuery query, LogDone done) override;

  void Attach(wire::Hello hello, std::shared_ptr<WorkerLink> link,
              absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done) override;
  void Report(LinkId link, wire::WorkerReport report) override;
  void Goodbye(LinkId link, wire::Goodbye goodbye) override;
  void Detach(LinkId link) override;

 private:
  void Act(const char* action, fleet::Event verb, std::string pool, Origin origin, PoolDone done);

  class Core;  // everything on the loop's thread; shared with tasks still posted when we go
  std::shared_ptr<Core> core_;
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_SUPERVISOR_H_
