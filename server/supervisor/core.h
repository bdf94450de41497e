// The supervisor's inside: everything that lives on the loop's thread.
#ifndef SPILLWAY_SERVER_SUPERVISOR_CORE_H_
#define SPILLWAY_SERVER_SUPERVISOR_CORE_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/loop.h"
#include "base/mutex.h"
#include "server/fleet/fleet.h"
#include "server/supervisor/operations.h"
#include "server/supervisor/shard_books.h"
#include "server/supervisor/snapshot_builder.h"
#include "server/supervisor/subscriptions.h"
#include "server/supervisor/supervisor.h"

namespace spillway::supervisor {

inline constexpr Duration kDiscoveryInterval = std::chrono::seconds(3);
inline constexpr Duration kDiscoveryTimeout = std::chrono::seconds(2);
// Reports that come within this time are one event (fleet::Together); whatever else comes takes
// those that wait before itself.
inline constexpr Duration kReportGathering = std::chrono::milliseconds(20);
inline constexpr int32_t kMaxWorkers = 1000;  // of a pool
inline constexpr size_t kMaxPools = 100;
inline constexpr int32_t kDefaultMax = 8;           // of a created pool, unless more are desired
inline constexpr size_t kMaxWaitingChanges = 1000;  // more are refused
inline constexpr size_t kMaxLogReaders = 64;
inline constexpr size_t kMaxOperationWaits = 1000;
inline constexpr Duration kLogPause = std::chrono::milliseconds(200);  // between looks at a log

// Shared with tasks that are still posted when the Supervisor goes; after Close they only answer
// that the server is stopping. Loop thread only, but for Snapshot.
class Supervisor::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(const config::Config& config, Parts parts);

  void Begin();
  void Close();
  void Drain(absl::AnyInvocable<void(absl::Status)> done);

  SnapshotPtr Snapshot() const;  // any thread
  void Subscribe(std::shared_ptr<Listening> listening);
  void Resize(ResizeRequest request, PoolDone done);
  // A verb that a stopped pool does not know.
  void Act(const char* action, fleet::Event verb, std::string pool, Origin origin, PoolDone done);
  void DrainPool(std::string pool, Duration timeout, Origin origin, PoolDone done);
  void Restart(RestartRequest request, PoolDone done);
  void RestartWorker(fleet::WorkerKey worker, Origin origin, PoolDone done);
  void RestartShard(ShardId shard, Origin origin, PoolDone done);
  void CancelOperation(int64_t number, Origin origin, PoolDone done);
  void WaitOperation(int64_t number, Duration timeout, OperationDone done);
  void CreatePool(PoolCreation creation, PoolDone done);
  void UpdatePool(PoolUpdate update, PoolDone done);
  void DeletePool(PoolDeletion deletion, PoolDone done);
  void SetDropRule(DropRuleSetting setting, PoolDone done);
  void DeleteDropRule(std::string name, Origin origin, PoolDone done);
  void Audit(std::optional<ShardId> shard, AuditDone done);
  void CaptureStacks(const fleet::WorkerKey& worker, CaptureDone done);
  void ReadLog(LogQuery query, LogDone done);

  void Attach(const wire::Hello& hello, std::shared_ptr<WorkerLink> link,
              absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done);
  void Report(LinkId link, wire::WorkerReport report);
  void Goodbye(LinkId link, const wire::Goodbye& goodbye);
  void Detach(LinkId link);

  Loop& loop() { return parts_.loop; }
  const fleet::Limits& limits() const { return limits_; }

 private:
  struct Running {
    Generation generation;
    std::unique_ptr<Process> process;
  };
  struct Link {
    fleet::WorkerKey worker;
    Generation generation;
    std::shared_ptr<WorkerLink> link;
  };

  // A change that an operator asked for. Taken in order, one at a time, so that each is judged by
  // what the last has left.
  struct Wanted {
    const char* action = "";  // "ResizePool"
    std::string pool;
    std::optional<ResizeRequest> resize{};  // one of these
    std::optional<PoolCreation> creation{};
    std::optional<PoolUpdate> update{};
    std::optional<PoolDeletion> deletion{};
    std::optional<DropRuleSetting> drop_rule{};  // these two are about no pool
    std::optional<std::string> ended_drop_rule{};
    std::optional<fleet::Event> verb{};
    std::optional<fleet::WorkerKey> worker{};  // the verb is about this one of the pool
    std::optional<ShardId> shard{};            // or about this one; `pool` is an owner's
    int64_t cancels = 0;                       // instead of both: this operation
    std::string detail{};                      // for the journal
    bool is_own = false;                       // nobody asked for it: a refusal is no news
    // What is to be said of operations when it is on record, and which of them is the answer.
    std::vector<record::Operation> operations{};
    int64_t number = 0;
    Origin origin{};
    PoolDone done{};
  };
  static std::string TargetOf(const Wanted& wanted);  // "pools/flush", "shards/7"
  void Enqueue(Wanted wanted);
  void TakeNext();
  absl::StatusOr<fleet::Event> Plan(Wanted& wanted) const;
  static bool IsAboutDropRules(const Wanted& wanted) {
    return wanted.drop_rule || wanted.ended_drop_rule;
  }
  absl::StatusOr<fleet::Event> PlanDropRules(const Wanted& wanted) const;
  record::Change DropRulesToRecord(const Wanted& wanted) const;
  void FinishDropRules(Wanted wanted, fleet::Event event);
  void EndExpiredDropRules();
  void ArmDropRuleTimer();
  // The pool of a worker that has the shard, and who they are.
  absl::Status FindOwner(Wanted& wanted) const;
  absl::StatusOr<fleet::Event> PlanCreation(const PoolCreation& creation) const;
  absl::StatusOr<fleet::Event> PlanUpdate(const PoolUpdate& update, const fleet::Pool& pool) const;
  absl::Status CheckOwnerChange(const fleet::PoolWritten& written, const fleet::Pool& pool) const;
  absl::StatusOr<fleet::Event> PlanDeletion(const PoolDeletion& deletion,
                                            const fleet::Pool& pool) const;
  // The pool that the event is about, as it is, or as new as it would be.
  fleet::Pool PoolBefore(const Wanted& wanted, const fleet::Event& event) const;
  static absl::Status CheckSizes(int32_t desired, int32_t min, int32_t max);
  absl::Status CheckVerb(const Wanted& wanted, const fleet::Pool& pool) const;
  absl::Status CheckCancel(int64_t number) const;  // that it is there and can be cancelled
  absl::StatusOr<fleet::Event> PlanCancel(const Wanted& wanted, const fleet::Pool& pool) const;
  void Draft(Wanted& wanted, const fleet::Event& event) const;  // the operation that it begins
  void AnswerPreview(Wanted wanted, const fleet::Event& event) const;
  void Refuse(Wanted wanted, const absl::Status& status);
  void Record(Wanted wanted, fleet::Event event);
  record::Change ToRecord(const Wanted& wanted, const fleet::Event& event) const;
  void OnRecorded(Wanted wanted, fleet::Event event, const absl::Status& status);
  void Finish(Wanted wanted, fleet::Event event);
  void Journal(record::Event event);  // nobody waits for it
  void JournalDeath(const fleet::WorkerKey& worker, Generation generation, fleet::Exited exit);
  // A call that waits for an operation's end.
  struct OperationWait {
    int64_t number;
    Instant deadline;
    OperationDone done;
  };
  void ResumeOperations();
  void ResumeWorkerRestarts();
  void NoticeConfig();  // records and tells what the fleet has made of a new configuration
  void JudgeOperations();
  void AnswerWaits();
  void WatchRecord();  // publishes when the record begins or ceases to be writable

  // Handles the event and all that follow from it.
  void Apply(fleet::Event event);
  void TakeReports();
  void HandleEvents();
  void Perform(const fleet::Spawn& spawn);
  void Perform(const fleet::Signal& signal);
  void Perform(const fleet::CaptureStacks& capture);
  void Perform(const fleet::SendOrder& order);
  void Perform(const fleet::Note& note);
  void OnEnd(const fleet::WorkerKey& worker, Generation generation, const ExitReport& report);
  supervisor::OnExit ExitHandler(const fleet::WorkerKey& worker, Generation generation);
  // Watches a process that this server did not start. Its adoption is not yet an event.
  absl::Status Adopt(const Leftover& leftover);
  Link* FindLink(const fleet::WorkerKey& worker);
  // Welcomes the worker; `event` is what the fleet learns by it.
  void Accept(const wire::Hello& hello, std::shared_ptr<WorkerLink> link, fleet::Event event,
              absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done);
  void Register(wire::Hello hello, std::shared_ptr<WorkerLink> link,
                absl::AnyInvocable<void(absl::StatusOr<Attachment>)> done);
  // NOT_LAUNCHED: needs a process of ours, and somebody else has started it.
  absl::Status CheckLaunched(const fleet::WorkerKey& worker) const;
  absl::Status CheckLaunched(const fleet::Event& verb, const fleet::Pool& pool) const;

  void Discover();
  void OnDiscovered(const absl::StatusOr<int32_t>& count);
  void ReadRegistry(int32_t partitions);
  void CheckDrained();
  void MarkChanged();  // publishes soon: several changes in one turn of the loop are one
  void Publish();
  // A change is to be seen by whoever reads after its answer.
  void PublishNow() {
    if (is_publish_posted_) Publish();
  }
  // A reader of a log, and until when it waits for something new.
  struct LogReader {
    LogQuery query;
    Instant deadline;
    LogDone done;
  };
  absl::Status CheckWorker(const fleet::WorkerKey& worker) const;
  void TryLog(std::shared_ptr<LogReader> reader);
  void OnLog(std::shared_ptr<LogReader> reader, absl::StatusOr<LogPage> page);
  void RetryLogs();
  // Ends the questions for the stacks of a process that is no more.
  void EndCaptures(const fleet::WorkerKey& worker);
  void EndReaders();
  std::vector<ShardId> KnownShards() const;
  uint64_t PossiblyPersisted(ShardId shard) const;
  void ArmTick();
  Surroundings Around() const;
  absl::StatusOr<const fleet::Pool*> FindPool(const std::string& name) const;
  absl::Status CheckResize(const ResizeRequest& request, const fleet::Pool& pool) const;

  const Parts parts_;
  const fleet::Limits limits_;
  const uint64_t etag_salt_;
  const config::Config config_;
  fleet::Fleet fleet_;
  std::deque<fleet::Event> events_;       // that follow from the one being handled
  std::vector<fleet::OfWorker> reports_;  // not yet an event
  Timer gathering_;
  bool is_applying_ = false;
  bool is_closed_ = false;

  OperationBook operations_;
  std::vector<std::pair<fleet::WorkerKey, Generation>> worker_restarts_;  // to be asked for again
  std::vector<OperationWait> waits_;
  Timer wait_timer_;

  std::map<std::string, record::DropRule> drop_rules_;  // as recorded
  std::shared_ptr<const std::vector<DropRuleView>> drop_rule_views_;
  Timer drop_rule_timer_;

  std::vector<record::ConfigRecord> config_records_;  // as recorded
  fleet::ConfigRollout::State config_state_;          // as recorded

  std::deque<Wanted> changes_;
  bool is_recording_ = false;       // a change is on its way to the disk
  bool is_record_failing_ = false;  // as last published

  std::map<fleet::WorkerKey, Running> processes_;
  std::map<fleet::WorkerKey, WallTime> start_times_;
  std::map<LinkId, Link> links_;
  uint64_t last_link_ = 0;

  std::map<fleet::WorkerKey, std::vector<CaptureDone>> captures_;  // operators' questions
  std::vector<std::shared_ptr<LogReader>> log_readers_;            // that wait for more
  size_t log_reader_count_ = 0;                                    // those being read included
  Timer log_timer_;

  std::map<ShardId, Instant> owned_at_;  // see Surroundings
  DiscoveryView discovery_;
  ActivityBooks activity_;
  std::shared_ptr<ShardBooks> books_;  // shared with its questions under way
  Timer discovery_timer_;
  Timer tick_;

  std::vector<absl::AnyInvocable<void(absl::Status)>> drained_;
  std::set<std::string> killed_;  // names of workers that drained in vain

  Subscriptions subscriptions_;
  bool is_publish_posted_ = false;
  uint64_t sequence_ = 0;
  mutable Mutex mutex_;
  SnapshotPtr snapshot_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::supervisor

#endif  // SPILLWAY_SERVER_SUPERVISOR_CORE_H_
