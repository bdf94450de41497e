// Operations: begun with the change that asks for them, judged after every event, waited for and
// cancelled.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "server/supervisor/core.h"
#include "server/supervisor/recorded_pools.h"

namespace spillway::supervisor {
namespace {

absl::Status OperationNotFound(int64_t number) {
  return Refusal(absl::StatusCode::kNotFound, "OPERATION_NOT_FOUND",
                 absl::StrCat(OperationName(number), ": there is no such operation"));
}

}  // namespace

void Supervisor::Core::Draft(Wanted& wanted, const fleet::Event& event) const {
  const WallTime now = parts_.clock.Wall();
  if (wanted.cancels != 0) {
    wanted.number = wanted.cancels;
    wanted.operations = {Ended(*operations_.Find(wanted.cancels), fleet::OperationState::kCancelled,
                               absl::StrCat("cancelled by ", wanted.origin.actor), now)};
    return;
  }
  const std::optional<fleet::OperationGoal> goal = fleet::GoalOf(fleet_, event);
  if (!goal) return;
  fleet::Pool pool = PoolBefore(wanted, event);
  record::Operation operation = operations_.Draft(*goal);
  operation.actor = wanted.origin.actor;
  operation.begun = now;
  operation.before = WishOf(pool);
  operation.revision = fleet::Wished(pool, event).revision;
  if (const auto* restart = std::get_if<fleet::PoolRestarted>(&event)) {
    operation.only_failed = restart->scope == fleet::RestartScope::kFailed;
    operation.max_unavailable = restart->max_unavailable;
    fleet::BeginRestart(fleet_, pool, restart->scope, restart->max_unavailable);
    for (const auto& [slot, generation] : pool.restart->waiting) {
      operation.replaced[slot] = generation.value;
    }
  }
  wanted.operations = operations_.Superseded(operation, now);
  wanted.number = operation.number;
  wanted.operations.push_back(std::move(operation));
}

absl::Status Supervisor::Core::CheckCancel(int64_t number) const {
  const record::Operation* operation = operations_.Find(number);
  if (operation == nullptr) return OperationNotFound(number);
  const std::string name = OperationName(number);
  if (!IsRunning(*operation)) {
    return Refusal(absl::StatusCode::kFailedPrecondition, "OPERATION_ENDED",
                   absl::StrCat(name, ": has ended already"));
  }
  const char* why = nullptr;
  const auto kind = static_cast<fleet::OperationKind>(operation->kind);
  if (kind == fleet::OperationKind::kRestartWorker) why = "the worker has been told to end already";
  if (kind == fleet::OperationKind::kCreatePool) why = "the pool is there already; delete it";
  if (kind == fleet::OperationKind::kDeletePool) why = "the pool is forgotten already";
  if (why == nullptr) return absl::OkStatus();
  return Refusal(absl::StatusCode::kFailedPrecondition, "NOT_CANCELLABLE",
                 absl::StrCat(name, ": ", why));
}

absl::StatusOr<fleet::Event> Supervisor::Core::PlanCancel(const Wanted& wanted,
                                                          const fleet::Pool& pool) const {
  const record::Operation* operation = operations_.Find(wanted.cancels);
  const std::string name = OperationName(wanted.cancels);
  const auto kind = static_cast<fleet::OperationKind>(operation->kind);
  if (kind == fleet::OperationKind::kRestartPool) return fleet::RestartCancelled{pool.name};
  if (pool.revision != operation->revision) {
    return Refusal(absl::StatusCode::kFailedPrecondition, "WISH_CHANGED",
                   absl::StrCat(name, ": what is wished for the pool has been changed since"));
  }
  const record::PoolWish& before = operation->before;
  return fleet::WishPutBack{pool.name, before.sizes.desired, before.sizes.min, before.sizes.max,
                            StateOf(before.state)};
}

void Supervisor::Core::CancelOperation(int64_t number, Origin origin, PoolDone done) {
  const record::Operation* operation = operations_.Find(number);
  if (operation == nullptr) return done(OperationNotFound(number));
  Wanted wanted{.action = "CancelOperation", .pool = operation->pool};
  wanted.cancels = number;
  wanted.detail = OperationName(number);
  wanted.origin = std::move(origin);
  wanted.done = std::move(done);
  Enqueue(std::move(wanted));
}

// What an earlier server had begun: its wishes are in the pools already. Where the lock files have
// gone meanwhile (a machine that was started anew) generations go on from what the operations tell:
// else no process would ever be newer than those that shall go.
void Supervisor::Core::ResumeOperations() {
  for (const record::Operation& operation : parts_.operations) {
    const auto pool =
        std::find_if(fleet_.pools.begin(), fleet_.pools.end(),
                     [&](const fleet::Pool& any) { return any.name == operation.pool; });
    if (!IsRunning(operation) || pool == fleet_.pools.end()) continue;
    const auto raise = [&](int32_t slot, uint64_t generation) {
      Generation& floor = pool->generations[slot];
      floor = std::max(floor, Generation{generation});
    };
    const auto kind = static_cast<fleet::OperationKind>(operation.kind);
    if (kind == fleet::OperationKind::kRestartWorker && operation.generation > 0) {
      const Generation newest{operation.generation};
      worker_restarts_.push_back({{operation.pool, operation.slot}, newest});
      raise(operation.slot, newest.value - 1);
    } else if (kind == fleet::OperationKind::kRestartPool) {
      pool->restart = RestartOf(operation);
      for (const auto& [slot, generation] : operation.replaced) raise(slot, generation);
    }
  }
}

// A restart that the earlier server may not have come to: asked for again, once it is known how
// the worker is.
void Supervisor::Core::ResumeWorkerRestarts() {
  std::vector<fleet::WorkerKey> due;
  std::erase_if(worker_restarts_, [&](const auto& restart) {
    const auto found = fleet_.workers.find(restart.first);
    // One that registers may yet dial.
    if (found == fleet_.workers.end()) return parts_.clock.Now() >= fleet_.registration_deadline;
    const fleet::Worker& worker = found->second;
    if (worker.generation >= restart.second) return true;
    const bool is_known = !worker.has_process || worker.report != nullptr ||
                          parts_.clock.Now() >= fleet_.adoption_deadline;
    if (is_known) due.push_back(restart.first);
    return is_known;
  });
  for (const fleet::WorkerKey& worker : due) Apply(fleet::WorkerRestarted{worker});
}

void Supervisor::Core::JudgeOperations() {
  if (fleet_.is_shutting_down) return;
  const std::vector<record::Operation> ended = operations_.Judge(fleet_, parts_.clock.Wall());
  for (const record::Operation& operation : ended) {
    const auto state = static_cast<fleet::OperationState>(operation.state);
    Log(state == fleet::OperationState::kFailed ? LogLevel::kWarning : LogLevel::kInfo,
        "operation ended",
        {{"operation", OperationName(operation.number)},
         {"action", fleet::KindName(static_cast<fleet::OperationKind>(operation.kind))},
         {"state", fleet::StateName(state)},
         {"detail", operation.detail}});
    // Whoever starts after a crash before this is on the disk judges it again.
    if (parts_.recorder != nullptr) parts_.recorder->Note(operation);
  }
  if (!ended.empty()) MarkChanged();
  AnswerWaits();
}

void Supervisor::Core::WaitOperation(int64_t number, Duration timeout, OperationDone done) {
  if (is_closed_ || fleet_.is_shutting_down) return done(ServerStopping());
  if (operations_.Find(number) == nullptr) return done(OperationNotFound(number));
  if (waits_.size() >= kMaxOperationWaits) {
    return done(Refusal(absl::StatusCode::kResourceExhausted, "TOO_MANY_WAITS",
                        absl::StrCat(kMaxOperationWaits, " calls wait for operations")));
  }
  const Duration longest = std::min(timeout, Duration(kLongestOperationWait));
  waits_.push_back({number, parts_.clock.Now() + longest, std::move(done)});
  AnswerWaits();
}

void Supervisor::Core::AnswerWaits() {
  const Instant now = parts_.clock.Now();
  std::vector<std::pair<OperationPtr, OperationDone>> answers;
  std::erase_if(waits_, [&](OperationWait& wait) {
    OperationPtr view = operations_.View(wait.number);
    const bool is_over = view == nullptr || view->state != fleet::OperationState::kRunning ||
                         now >= wait.deadline || is_closed_ || fleet_.is_shutting_down;
    if (is_over) answers.emplace_back(std::move(view), std::move(wait.done));
    return is_over;
  });
  Instant next = fleet::kNever;
  for (const OperationWait& wait : waits_) next = std::min(next, wait.deadline);
  if (next != fleet::kNever && !is_closed_) wait_timer_.Start(next - now);
  if (!answers.empty() && !is_closed_) PublishNow();
  for (auto& [view, done] : answers) {
    const bool is_ended = view != nullptr && view->state != fleet::OperationState::kRunning;
    if ((is_closed_ || fleet_.is_shutting_down) && !is_ended) {
      done(ServerStopping());
    } else if (view == nullptr) {
      done(absl::NotFoundError("the operation is forgotten"));
    } else {
      done(std::move(view));
    }
  }
}

}  // namespace spillway::supervisor
