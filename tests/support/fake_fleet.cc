#include "tests/support/fake_fleet.h"

#include "base/clock.h"

namespace spillway {
namespace {

constexpr std::chrono::seconds kLimit{20};

}  // namespace

using supervisor::FleetSnapshot;
using supervisor::SnapshotPtr;

class FakeFleet::FakeSubscription final : public supervisor::Subscription {
 public:
  FakeSubscription(FakeFleet& fleet, std::shared_ptr<Listener> listener)
      : fleet_(fleet), listener_(std::move(listener)) {}
  ~FakeSubscription() override {
    {
      MutexLock lock(&fleet_.mutex_);
      fleet_.listeners_.erase(listener_);
      fleet_.changed_.NotifyAll();
    }
    MutexLock lock(&listener_->mutex);
    listener_->call = nullptr;
  }

 private:
  FakeFleet& fleet_;
  const std::shared_ptr<Listener> listener_;
};

void FakeFleet::Publish(FleetSnapshot snapshot) {
  std::set<std::shared_ptr<Listener>> listeners;
  SnapshotPtr published;
  {
    MutexLock lock(&mutex_);
    snapshot.sequence = snapshot_->sequence + 1;
    published = snapshot_ = std::make_shared<FleetSnapshot>(std::move(snapshot));
    listeners = listeners_;
  }
  for (const auto& listener : listeners) {
    MutexLock lock(&listener->mutex);
    if (listener->call != nullptr) listener->call(published);
  }
}

void FakeFleet::OnResize(std::function<ChangeResult(const supervisor::ResizeRequest&)> answer) {
  MutexLock lock(&mutex_);
  on_resize_ = std::move(answer);
}
void FakeFleet::OnStart(std::function<ChangeResult(const std::string&)> answer) {
  MutexLock lock(&mutex_);
  on_start_ = std::move(answer);
}
void FakeFleet::OnStop(std::function<ChangeResult(const std::string&)> answer) {
  MutexLock lock(&mutex_);
  on_stop_ = std::move(answer);
}
void FakeFleet::OnRestart(std::function<ChangeResult(const supervisor::RestartRequest&)> answer) {
  MutexLock lock(&mutex_);
  on_restart_ = std::move(answer);
}
void FakeFleet::OnAttach(std::function<absl::StatusOr<wire::Welcome>(const wire::Hello&)> answer) {
  MutexLock lock(&mutex_);
  on_attach_ = std::move(answer);
}

void FakeFleet::OnAudit(std::function<AuditResult(std::optional<ShardId>)> answer) {
  MutexLock lock(&mutex_);
  on_audit_ = std::move(answer);
}

void FakeFleet::HoldAudits() {
  MutexLock lock(&mutex_);
  holds_audits_ = true;
}

void FakeFleet::AnswerHeldAudits() {
  std::vector<supervisor::AuditDone> held;
  {
    MutexLock lock(&mutex_);
    holds_audits_ = false;
    held.swap(held_audits_);
  }
  for (auto& done : held) done(std::vector<supervisor::ShardAudit>());
}

int FakeFleet::changes() const {
  MutexLock lock(&mutex_);
  return changes_;
}

size_t FakeFleet::subscriptions() const {
  MutexLock lock(&mutex_);
  return listeners_.size();
}

SnapshotPtr FakeFleet::Snapshot() const {
  MutexLock lock(&mutex_);
  return snapshot_;
}

std::unique_ptr<supervisor::Subscription> FakeFleet::Subscribe(
    supervisor::SnapshotListener listener) {
  auto entry = std::make_shared<Listener>();
  MutexLock call_lock(&entry->mutex);
  entry->call = std::move(listener);
  SnapshotPtr present;
  {
    MutexLock lock(&mutex_);
    listeners_.insert(entry);
    present = snapshot_;
    changed_.NotifyAll();
  }
  entry->call(present);
  return std::make_unique<FakeSubscription>(*this, entry);
}

FakeFleet::ChangeResult FakeFleet::Present(const std::string& pool) const {
  const SnapshotPtr snapshot = Snapshot();
  const supervisor::PoolView* view = supervisor::FindPool(*snapshot, pool);
  if (view != nullptr) return *view;
  return supervisor::Refusal(absl::StatusCode::kNotFound, "POOL_NOT_FOUND",
                             "there is no pool \"" + pool + "\"");
}

FakeFleet::ChangeResult FakeFleet::WithOperation(ChangeResult pool,
                                                 const supervisor::Origin& origin,
                                                 fleet::OperationKind kind, int32_t slot) {
  Count(origin);
  if (!pool.ok() || pool->operation != nullptr || origin.validate_only) return pool;
  supervisor::OperationView operation;
  operation.number = 1;
  operation.kind = kind;
  operation.pool = pool->name;
  operation.slot = slot;
  operation.actor = "tester";
  operation.begun = {1'700'000'000'000'000};
  operation.detail = "1 of 2 ready";
  MutexLock lock(&mutex_);
  begun_ = operation;
  pool->operation = std::make_shared<const supervisor::OperationView>(std::move(operation));
  return pool;
}

void FakeFleet::Audit(std::optional<ShardId> shard, supervisor::AuditDone done) {
  std::function<AuditResult(std::optional<ShardId>)> answer;
  {
    MutexLock lock(&mutex_);
    if (holds_audits_) return held_audits_.push_back(std::move(done));
    answer = on_audit_;
  }
  done(answer ? answer(shard)
              : AuditResult(supervisor::Refusal(absl::StatusCode::kUnavailable, "SHARDS_UNKNOWN",
                                                "no shards yet")));
}

void FakeFleet::OnCaptureStacks(
    std::function<absl::StatusOr<supervisor::StackReport>(const fleet::WorkerKey&)> answer) {
  MutexLock lock(&mutex_);
  on_capture_ = std::move(answer);
}

void FakeFleet::OnReadLog(
    std::function<absl::StatusOr<supervisor::LogPage>(const supervisor::LogQuery&)> answer) {
  MutexLock lock(&mutex_);
  on_read_log_ = std::move(answer);
}

void FakeFleet::CaptureStacks(fleet::WorkerKey worker, supervisor::CaptureDone done) {
  std::function<absl::StatusOr<supervisor::StackReport>(const fleet::WorkerKey&)> answer;
  {
    MutexLock lock(&mutex_);
    answer = on_capture_;
  }
  if (answer) return done(answer(worker));
  done(supervisor::Refusal(absl::StatusCode::kNotFound, "WORKER_NOT_FOUND", "no such worker"));
}

void FakeFleet::ReadLog(supervisor::LogQuery query, supervisor::LogDone done) {
  std::function<absl::StatusOr<supervisor::LogPage>(const supervisor::LogQuery&)> answer;
  {
    MutexLock lock(&mutex_);
    answer = on_read_log_;
  }
  if (answer) return done(answer(query));
  done(supervisor::Refusal(absl::StatusCode::kNotFound, "WORKER_NOT_FOUND", "no such worker"));
}

void FakeFleet::Resize(supervisor::ResizeRequest request, supervisor::PoolDone done) {
  std::function<ChangeResult(const supervisor::ResizeRequest&)> answer;
  {
    MutexLock lock(&mutex_);
    ++changes_;
    answer = on_resize_;
  }
  done(WithOperation(answer ? answer(request) : Present(request.pool), request.origin,
                     fleet::OperationKind::kResizePool));
}

void FakeFleet::Start(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) {
  std::function<ChangeResult(const std::string&)> answer;
  {
    MutexLock lock(&mutex_);
    ++changes_;
    answer = on_start_;
  }
  done(WithOperation(answer ? answer(pool) : Present(pool), origin,
                     fleet::OperationKind::kStartPool));
}

void FakeFleet::Stop(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) {
  std::function<ChangeResult(const std::string&)> answer;
  {
    MutexLock lock(&mutex_);
    ++changes_;
    answer = on_stop_;
  }
  done(WithOperation(answer ? answer(pool) : Present(pool), origin,
                     fleet::OperationKind::kStopPool));
}

void FakeFleet::Pause(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) {
  Count(origin);
  Remember("pause " + pool);
  done(Present(pool));
}

void FakeFleet::Resume(std::string pool, supervisor::Origin origin, supervisor::PoolDone done) {
  Count(origin);
  Remember("resume " + pool);
  done(Present(pool));
}

void FakeFleet::DrainPool(std::string pool, Duration timeout, supervisor::Origin origin,
                          supervisor::PoolDone done) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
  Remember("drain " + pool + " " + std::to_string(seconds) + " s");
  done(WithOperation(Present(pool), origin, fleet::OperationKind::kDrainPool));
}

void FakeFleet::Restart(supervisor::RestartRequest request, supervisor::PoolDone done) {
  std::function<ChangeResult(const supervisor::RestartRequest&)> answer;
  {
    MutexLock lock(&mutex_);
    ++changes_;
    answer = on_restart_;
  }
  done(WithOperation(answer ? answer(request) : Present(request.pool), request.origin,
                     fleet::OperationKind::kRestartPool));
}

void FakeFleet::RestartWorker(fleet::WorkerKey worker, supervisor::Origin origin,
                              supervisor::PoolDone done) {
  Remember("restart " + worker.pool + "/" + std::to_string(worker.slot));
  done(WithOperation(Present(worker.pool), origin, fleet::OperationKind::kRestartWorker,
                     worker.slot));
}

void FakeFleet::WaitOperation(int64_t number, Duration, supervisor::OperationDone done) {
  std::function<WaitResult(int64_t)> answer;
  std::optional<supervisor::OperationView> begun;
  {
    MutexLock lock(&mutex_);
    answer = on_wait_;
    begun = begun_;
  }
  if (answer) return done(answer(number));
  supervisor::OperationPtr operation = supervisor::FindOperation(*Snapshot(), number);
  if (operation != nullptr) return done(std::move(operation));
  if (begun && begun->number == number) {
    begun->state = fleet::OperationState::kSucceeded;
    return done(std::make_shared<const supervisor::OperationView>(*std::move(begun)));
  }
  done(
      supervisor::Refusal(absl::StatusCode::kNotFound, "OPERATION_NOT_FOUND", "no such operation"));
}

int FakeFleet::questions() const {
  MutexLock lock(&mutex_);
  return questions_;
}

void FakeFleet::Count(const supervisor::Origin& origin) {
  MutexLock lock(&mutex_);
  questions_ += origin.validate_only ? 1 : 0;
}

void FakeFleet::OnWait(std::function<WaitResult(int64_t)> answer) {
  MutexLock lock(&mutex_);
  on_wait_ = std::move(answer);
}

void FakeFleet::CancelOperation(int64_t number, supervisor::Origin origin,
                                supervisor::PoolDone done) {
  Count(origin);
  Remember("cancel " + std::to_string(number));
  const supervisor::OperationPtr operation = supervisor::FindOperation(*Snapshot(), number);
  if (operation == nullptr) {
    return done(supervisor::Refusal(absl::StatusCode::kNotFound, "OPERATION_NOT_FOUND",
                                    "no such operation"));
  }
  ChangeResult pool = Present(operation->pool);
  if (pool.ok()) pool->operation = operation;
  done(std::move(pool));
}

void FakeFleet::RestartShard(ShardId shard, supervisor::Origin, supervisor::PoolDone done) {
  Remember("restart shards/" + std::to_string(shard.value));
  done(Present("flush"));
}

namespace {

supervisor::PoolView With(supervisor::PoolView pool, const supervisor::PoolWishes& wishes) {
  pool.desired = wishes.desired.value_or(pool.desired);
  pool.min = wishes.min.value_or(pool.min);
  pool.max = wishes.max.value_or(pool.max);
  pool.state = wishes.state.value_or(pool.state);
  pool.scale_owner = wishes.scale_owner.value_or(pool.scale_owner);
  return pool;
}

}  // namespace

void FakeFleet::CreatePool(supervisor::PoolCreation creation, supervisor::PoolDone done) {
  Remember((creation.origin.validate_only ? "would create " : "create ") + creation.pool);
  supervisor::PoolView pool;
  pool.name = creation.pool;
  pool.role = creation.role;
  pool.is_created = true;
  done(WithOperation(With(std::move(pool), creation.wishes), creation.origin,
                     fleet::OperationKind::kCreatePool));
}

void FakeFleet::PublishDropRules(std::vector<supervisor::DropRuleView> rules) {
  FleetSnapshot snapshot = *Snapshot();
  snapshot.drop_rules =
      std::make_shared<const std::vector<supervisor::DropRuleView>>(std::move(rules));
  Publish(std::move(snapshot));
}

void FakeFleet::SetDropRule(supervisor::DropRuleSetting setting, supervisor::PoolDone done) {
  Remember((setting.origin.validate_only ? "would drop-rule add " : "drop-rule add ") +
           setting.rule.name);
  Count(setting.origin);
  if (!setting.origin.validate_only) {
    const SnapshotPtr snapshot = Snapshot();
    std::vector<supervisor::DropRuleView> rules;
    if (snapshot->drop_rules != nullptr) rules = *snapshot->drop_rules;
    std::erase_if(rules, [&](const auto& rule) { return rule.rule.name == setting.rule.name; });
    rules.push_back({setting.rule, {1'700'000'000'000'000}, "tester", setting.reason});
    PublishDropRules(std::move(rules));
  }
  done(supervisor::PoolView{});
}

void FakeFleet::DeleteDropRule(std::string name, supervisor::Origin origin,
                               supervisor::PoolDone done) {
  Remember((origin.validate_only ? "would drop-rule delete " : "drop-rule delete ") + name);
  Count(origin);
  const SnapshotPtr snapshot = Snapshot();
  if (supervisor::FindDropRule(*snapshot, name) == nullptr) {
    return done(supervisor::Refusal(absl::StatusCode::kNotFound, "DROP_RULE_NOT_FOUND",
                                    "dropRules/" + name + ": there is no such rule"));
  }
  if (!origin.validate_only) {
    std::vector<supervisor::DropRuleView> rules = *snapshot->drop_rules;
    std::erase_if(rules, [&](const auto& rule) { return rule.rule.name == name; });
    PublishDropRules(std::move(rules));
  }
  done(supervisor::PoolView{});
}

void FakeFleet::UpdatePool(supervisor::PoolUpdate update, supervisor::PoolDone done) {
  Remember((update.origin.validate_only ? "would update " : "update ") + update.pool);
  ChangeResult pool = Present(update.pool);
  if (pool.ok()) pool = With(*std::move(pool), update.wishes);
  done(WithOperation(std::move(pool), update.origin, fleet::OperationKind::kUpdatePool));
}

void FakeFleet::DeletePool(supervisor::PoolDeletion deletion, supervisor::PoolDone done) {
  Remember((deletion.origin.validate_only ? "would delete " : "delete ") + deletion.pool);
  done(WithOperation(Present(deletion.pool), deletion.origin, fleet::OperationKind::kDeletePool));
}

void FakeFleet::Remember(const std::string& verb) {
  MutexLock lock(&mutex_);
  ++changes_;
  verbs_.push_back(verb);
}

std::vector<std::string> FakeFleet::verbs() const {
  MutexLock lock(&mutex_);
  return verbs_;
}

void FakeFleet::Attach(wire::Hello hello, std::shared_ptr<supervisor::WorkerLink> link,
                       absl::AnyInvocable<void(absl::StatusOr<supervisor::Attachment>)> done) {
  absl::StatusOr<wire::Welcome> welcome = wire::Welcome{"", {1}, std::chrono::seconds(10)};
  supervisor::LinkId id;
  {
    MutexLock lock(&mutex_);
    if (on_attach_) welcome = on_attach_(hello);
    if (welcome.ok()) {
      streams_.push_back({std::move(hello), std::move(link), {}, std::nullopt, false});
      id.value = streams_.size();
    }
    changed_.NotifyAll();
  }
  if (!welcome.ok()) return done(welcome.status());
  done(supervisor::Attachment{id, *std::move(welcome)});
}

void FakeFleet::Report(supervisor::LinkId link, wire::WorkerReport report) {
  MutexLock lock(&mutex_);
  streams_.at(link.value - 1).reports.push_back(std::move(report));
  changed_.NotifyAll();
}

void FakeFleet::Goodbye(supervisor::LinkId link, wire::Goodbye goodbye) {
  MutexLock lock(&mutex_);
  streams_.at(link.value - 1).goodbye = std::move(goodbye);
  changed_.NotifyAll();
}

void FakeFleet::Detach(supervisor::LinkId link) {
  MutexLock lock(&mutex_);
  streams_.at(link.value - 1).is_detached = true;
  changed_.NotifyAll();
}

bool FakeFleet::WaitForStreams(
    const std::function<bool(const std::vector<WorkerStream>&)>& condition) const {
  const Instant deadline = SystemClock().Now() + kLimit;
  MutexLock lock(&mutex_);
  while (!condition(streams_)) {
    if (!changed_.WaitUntil(&mutex_, deadline)) return condition(streams_);
  }
  return true;
}

std::shared_ptr<supervisor::WorkerLink> FakeFleet::link(size_t index) const {
  MutexLock lock(&mutex_);
  return streams_.at(index).link;
}

}  // namespace spillway
