// A fleet without processes: answers operators and workers as a test says, and remembers what they
// asked. Stands in for supervisor::Supervisor behind both of its interfaces.
#ifndef SPILLWAY_TESTS_SUPPORT_FAKE_FLEET_H_
#define SPILLWAY_TESTS_SUPPORT_FAKE_FLEET_H_

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "server/supervisor/fleet_control.h"
#include "server/supervisor/worker_gateway.h"

namespace spillway {

// Thread-safe. Calls its listeners on whatever thread publishes; answers at once, on the caller's
// thread. Must outlive its subscriptions.
class FakeFleet final : public supervisor::FleetControl, public supervisor::WorkerGateway {
 public:
  using ChangeResult = absl::StatusOr<supervisor::PoolView>;

  // Replaces the snapshot and tells every listener. `sequence` is filled in.
  void Publish(supervisor::FleetSnapshot snapshot);

  // What changes do and answer; by default they answer with the pool as it is, or POOL_NOT_FOUND.
  void OnResize(std::function<ChangeResult(const supervisor::ResizeRequest&)> answer);
  void OnStart(std::function<ChangeResult(const std::string&)> answer);
  void OnStop(std::function<ChangeResult(const std::string&)> answer);
  void OnRestart(std::function<ChangeResult(const supervisor::RestartRequest&)> answer);
  // Pause, Resume and RestartWorker answer with the pool as it is; who was asked for, in order:
  // "pause flush", "resume flush", "drain flush 90 s", "restart flush/0", "cancel 7".
  std::vector<std::string> verbs() const;
  using WaitResult = absl::StatusOr<supervisor::OperationPtr>;
  void OnWait(std::function<WaitResult(int64_t)> answer);
  int questions() const;  // changes that only asked what would be
  // What Audit answers; by default SHARDS_UNKNOWN.
  using AuditResult = absl::StatusOr<std::vector<supervisor::ShardAudit>>;
  void OnAudit(std::function<AuditResult(std::optional<ShardId>)> answer);
  void HoldAudits();  // they are not answered, until:
  void AnswerHeldAudits();
  // What CaptureStacks and ReadLog answer; by default WORKER_NOT_FOUND.
  void OnCaptureStacks(
      std::function<absl::StatusOr<supervisor::StackReport>(const fleet::WorkerKey&)> answer);
  void OnReadLog(
      std::function<absl::StatusOr<supervisor::LogPage>(const supervisor::LogQuery&)> answer);
  int changes() const;  // how many were asked for

  // What Attach answers; by default the link's number and a welcome every 10 s.
  void OnAttach(std::function<absl::StatusOr<wire::Welcome>(const wire::Hello&)> answer);

  struct WorkerStream {
    wire::Hello hello;
    std::shared_ptr<supervisor::WorkerLink> link;
    std::vector<wire::WorkerReport> reports;
    std::optional<wire::Goodbye> goodbye;
    bool is_detached = false;
  };
  // Waits until `condition` holds for the streams accepted so far, in order; false at the deadline.
  bool WaitForStreams(const std::function<bool(const std::vector<WorkerStream>&)>& condition) const;
  // The link of stream `index`, to send orders through.
  std::shared_ptr<supervisor::WorkerLink> link(size_t index) const;

  supervisor::SnapshotPtr Snapshot() const override;
  std::unique_ptr<supervisor::Subscription> Subscribe(
      supervisor::SnapshotListener listener) override;
  size_t subscriptions() const;
  void Resize(supervisor::ResizeRequest request, supervisor::PoolDone done) override;
  void Start(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) override;
  void Stop(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) override;
  void Pause(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) override;
  void Resume(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) override;
  void DrainPool(std::string pool, Duration timeout, supervisor::Origin origin,
                 supervisor::PoolDone done) override;
  void Restart(supervisor::RestartRequest request, supervisor::PoolDone done) override;
  void RestartWorker(fleet::WorkerKey worker, supervisor::Origin origin,
                     supervisor::PoolDone done) override;
  void RestartShard(ShardId shard, supervisor::Origin origin, supervisor::PoolDone done) override;
  // Answers at once: as OnWait says, else as the snapshot has it, else what a change has begun, as
  // SUCCEEDED.
  void WaitOperation(int64_t number, Duration timeout, supervisor::OperationDone done) override;
  void CancelOperation(int64_t number, supervisor::Origin origin,
                       supervisor::PoolDone done) override;
  // Answer with the pool as it is wished for, and remember: "create flush-2", "update", "delete".
  void CreatePool(supervisor::PoolCreation creation, supervisor::PoolDone done) override;
  void UpdatePool(supervisor::PoolUpdate update, supervisor::PoolDone done) override;
  void DeletePool(supervisor::PoolDeletion deletion, supervisor::PoolDone done) override;
  // Change the snapshot's rules, unless they only ask; "drop-rule add noisy", "drop-rule delete
  // noisy".
  void SetDropRule(supervisor::DropRuleSetting setting, supervisor::PoolDone done) override;
  void DeleteDropRule(std::string name, supervisor::Origin origin,
                      supervisor::PoolDone done) override;
  void Audit(std::optional<ShardId> shard, supervisor::AuditDone done) override;
  void CaptureStacks(fleet::WorkerKey worker, supervisor::CaptureDone done) override;
  void ReadLog(supervisor::LogQuery query, supervisor::LogDone done) override;

  void Attach(wire::Hello hello, std::shared_ptr<supervisor::WorkerLink> link,
              absl::AnyInvocable<void(absl::StatusOr<supervisor::Attachment>)> done) override;
  void Report(supervisor::LinkId link, wire::WorkerReport report) override;
  void Goodbye(supervisor::LinkId link, wire::Goodbye goodbye) override;
  void Detach(supervisor::LinkId link) override;

 private:
  struct Listener {
    Mutex mutex;  // held while it is called
    supervisor::SnapshotListener call ABSL_GUARDED_BY(mutex);
  };
  class FakeSubscription;

  // An answer that says of no operation has begun operations/1, unless it only asks.
  ChangeResult WithOperation(ChangeResult pool, const supervisor::Origin& origin,
                             fleet::OperationKind kind, int32_t slot = -1);
  void Count(const supervisor::Origin& origin);
  ChangeResult Present(const std::string& pool) const;
  void Remember(const std::string& verb);
  void PublishDropRules(std::vector<supervisor::DropRuleView> rules);

  mutable Mutex mutex_;
  mutable CondVar changed_;
  supervisor::SnapshotPtr snapshot_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<supervisor::FleetSnapshot>();
  std::set<std::shared_ptr<Listener>> listeners_ ABSL_GUARDED_BY(mutex_);
  std::function<ChangeResult(const supervisor::ResizeRequest&)> on_resize_ ABSL_GUARDED_BY(mutex_);
  std::function<ChangeResult(const std::string&)> on_start_ ABSL_GUARDED_BY(mutex_);
  std::function<ChangeResult(const std::string&)> on_stop_ ABSL_GUARDED_BY(mutex_);
  std::function<ChangeResult(const supervisor::RestartRequest&)> on_restart_
      ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> verbs_ ABSL_GUARDED_BY(mutex_);
  std::optional<supervisor::OperationView> begun_ ABSL_GUARDED_BY(mutex_);
  int questions_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<WaitResult(int64_t)> on_wait_ ABSL_GUARDED_BY(mutex_);
  std::function<AuditResult(std::optional<ShardId>)> on_audit_ ABSL_GUARDED_BY(mutex_);
  std::function<absl::StatusOr<wire::Welcome>(const wire::Hello&)> on_attach_
      ABSL_GUARDED_BY(mutex_);
  std::function<absl::StatusOr<supervisor::StackReport>(const fleet::WorkerKey&)> on_capture_
      ABSL_GUARDED_BY(mutex_);
  std::function<absl::StatusOr<supervisor::LogPage>(const supervisor::LogQuery&)> on_read_log_
      ABSL_GUARDED_BY(mutex_);
  bool holds_audits_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<supervisor::AuditDone> held_audits_ ABSL_GUARDED_BY(mutex_);
  int changes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<WorkerStream> streams_ ABSL_GUARDED_BY(mutex_);  // LinkId: position + 1
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_SUPPORT_FAKE_FLEET_H_
