#include "server/fleet/operation.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"

namespace spillway::fleet {
namespace {

using Kind = OperationKind;
using State = OperationState;

std::string ShortName(const WorkerKey& worker) {
  return absl::StrCat(worker.pool, "/", worker.slot);
}

WorkerPhase PhaseOf(const Worker& worker) {
  switch (worker.state) {
    case WorkerState::kPending:
    case WorkerState::kStarting:
      return WorkerPhase::kStarting;
    case WorkerState::kReady:
      return Serves(worker) ? WorkerPhase::kDone : WorkerPhase::kStarting;
    case WorkerState::kDraining:
      return WorkerPhase::kDraining;
    case WorkerState::kStopping:
    case WorkerState::kLost:
      return WorkerPhase::kEnding;
    case WorkerState::kStopped:
      return WorkerPhase::kDone;
    case WorkerState::kBackoff:
      return WorkerPhase::kWaiting;
    case WorkerState::kCrashLoop:
      return WorkerPhase::kFailed;
  }
  return WorkerPhase::kWaiting;
}

WorkerProgress ProgressOf(const Worker& worker) {
  WorkerProgress progress{worker.key, worker.generation, PhaseOf(worker), 0, 0, {}};
  if (worker.has_process && worker.report != nullptr) {
    progress.shards = static_cast<int32_t>(worker.report->shards.size());
    for (const wire::ShardReport& shard : worker.report->shards) {
      progress.in_flight += shard.in_flight;
    }
  }
  const bool is_down =
      worker.state == WorkerState::kBackoff || worker.state == WorkerState::kCrashLoop;
  progress.why = is_down && !worker.last_death.empty() ? worker.last_death : worker.health.evidence;
  return progress;
}

// Who has each shard, by the word of the flush workers: the highest epoch counts.
std::map<ShardId, WorkerKey> Owners(const Fleet& fleet) {
  std::map<ShardId, std::pair<Epoch, WorkerKey>> newest;
  for (const auto& [key, worker] : fleet.workers) {
    if (worker.role != wire::Role::kFlush || worker.report == nullptr) continue;
    for (const wire::ShardReport& report : worker.report->shards) {
      const auto [place, is_new] = newest.try_emplace(report.shard, report.epoch, key);
      if (!is_new && place->second.first < report.epoch) place->second = {report.epoch, key};
    }
  }
  std::map<ShardId, WorkerKey> owners;
  for (const auto& [shard, owner] : newest) owners.emplace(shard, owner.second);
  return owners;
}

// The pool's shards that are not where they shall be yet.
int32_t Misplaced(const Fleet& fleet, const Pool& pool) {
  const std::map<ShardId, WorkerKey> owners = Owners(fleet);
  int32_t misplaced = 0;
  for (const auto& [id, shard] : fleet.shards) {
    if (!shard.desired || shard.desired->pool != pool.name) continue;
    const auto owner = owners.find(id);
    misplaced += owner == owners.end() || owner->second != *shard.desired ? 1 : 0;
  }
  return misplaced;
}

void End(Progress& progress, State state, std::string detail) {
  progress.state = state;
  progress.detail = std::move(detail);
}

std::vector<WorkerProgress> WorkersOf(const Fleet& fleet, const Pool& pool) {
  std::vector<WorkerProgress> workers;
  for (const auto& [key, worker] : fleet.workers) {
    if (key.pool == pool.name) workers.push_back(ProgressOf(worker));
  }
  return workers;
}

// As many workers as desired serve, none is too many, and each shard is where it shall be.
Progress JudgeSize(const Fleet& fleet, const Pool& pool) {
  Progress progress{State::kRunning, "", WorkersOf(fleet, pool)};
  int32_t ready = 0, observed = 0;
  const Worker* given_up = nullptr;
  const Worker* waits = nullptr;
  for (const auto& [key, worker] : fleet.workers) {
    if (key.pool != pool.name) continue;
    ready += Serves(worker) ? 1 : 0;
    observed += worker.has_process && worker.state != WorkerState::kLost ? 1 : 0;
    if (worker.is_wanted && worker.state == WorkerState::kCrashLoop) given_up = &worker;
    if (worker.is_wanted && worker.state == WorkerState::kBackoff) waits = &worker;
  }
  const int32_t misplaced = Misplaced(fleet, pool);
  progress.detail =
      absl::StrCat(pool.name, ": ", ready, " of ", pool.desired, " ready, ", observed, " running");
  if (misplaced > 0) absl::StrAppend(&progress.detail, ", ", misplaced, " shards on their way");
  if (waits != nullptr) {
    absl::StrAppend(&progress.detail, "; ", ShortName(waits->key), " ", waits->last_death,
                    ", starts again soon");
  }
  if (given_up != nullptr) {
    End(progress, State::kFailed,
        absl::StrCat(ShortName(given_up->key), ": in CRASH_LOOP: ", given_up->last_death));
  } else if (ready == pool.desired && observed == pool.desired && misplaced == 0) {
    progress.state = State::kSucceeded;
  }
  return progress;
}

Progress JudgeStop(const Fleet& fleet, const Pool& pool) {
  Progress progress{State::kRunning, "", WorkersOf(fleet, pool)};
  if (pool.state != PoolState::kStopped) {
    End(progress, State::kCancelled, "the pool was started since");
    return progress;
  }
  const auto running = std::count_if(
      fleet.workers.begin(), fleet.workers.end(),
      [&](const auto& w) { return w.first.pool == pool.name && w.second.has_process; });
  progress.detail = absl::StrCat(pool.name, ": ", running, " still running");
  if (running == 0) progress.state = State::kSucceeded;
  return progress;
}

Progress JudgeResize(const OperationGoal& goal, const Fleet& fleet, const Pool& pool) {
  Progress progress;
  if (pool.desired != goal.desired) {
    End(progress, State::kCancelled, "the pool's size was changed since");
  } else if (pool.state == PoolState::kStopped) {
    End(progress, State::kSucceeded, absl::StrCat(pool.name, ": is stopped; holds when it starts"));
  } else {
    progress = JudgeSize(fleet, pool);
  }
  return progress;
}

Progress JudgeStart(const Fleet& fleet, const Pool& pool) {
  if (pool.state != PoolState::kStopped) return JudgeSize(fleet, pool);
  Progress progress;
  End(progress, State::kCancelled, "the pool was stopped since");
  return progress;
}

// As many serve as are desired, or, of a stopped pool, none runs any more.
Progress JudgeWritten(const OperationGoal& goal, const Fleet& fleet, const Pool& pool) {
  if (IsExternal(pool)) {
    Progress progress;
    End(progress, State::kSucceeded, "its workers are started elsewhere");
    return progress;
  }
  if (pool.desired == goal.desired) {
    return pool.state == PoolState::kStopped ? JudgeStop(fleet, pool) : JudgeSize(fleet, pool);
  }
  Progress progress;
  End(progress, State::kCancelled, "the pool's size was changed since");
  return progress;
}

// The pool is no more, its workers included.
Progress JudgeDeletion(const OperationGoal& goal, const Fleet& fleet, const Pool* pool) {
  Progress progress;
  if (pool == nullptr) {
    End(progress, State::kSucceeded, absl::StrCat(goal.pool, ": is gone"));
  } else if (pool->is_configured) {
    End(progress, State::kCancelled, "a pool of its name is there again");
  } else {
    progress.workers = WorkersOf(fleet, *pool);
    progress.detail = absl::StrCat(pool->name, ": ", progress.workers.size(), " workers still end");
  }
  return progress;
}

// What a slot's phase is in a restart: an old process that serves has yet to go.
void PutInRestart(const PoolRestart& restart, WorkerProgress& worker) {
  const int32_t slot = worker.worker.slot;
  const auto replacing = restart.replacing.find(slot);
  const bool is_waiting = restart.waiting.contains(slot);
  const bool is_old = is_waiting || (replacing != restart.replacing.end() &&
                                     worker.generation <= replacing->second.replaced);
  if (is_waiting || (is_old && worker.phase == WorkerPhase::kDone)) {
    worker.phase = WorkerPhase::kWaiting;
  }
}

Progress JudgeRestart(const OperationGoal& goal, const Fleet& fleet, const Pool& pool) {
  Progress progress{State::kRunning, "", WorkersOf(fleet, pool)};
  if (!pool.restart || pool.restart->number != goal.restart) {
    End(progress, State::kCancelled, "another restart has taken its place");
    return progress;
  }
  const PoolRestart& restart = *pool.restart;
  for (WorkerProgress& worker : progress.workers) PutInRestart(restart, worker);
  const size_t left = restart.replacing.size() + restart.waiting.size();
  progress.detail = absl::StrCat(pool.name, ": ", restart.replaced, " of ",
                                 static_cast<size_t>(restart.replaced) + left, " replaced",
                                 restart.detail.empty() ? "" : ", ", restart.detail);
  switch (restart.state) {
    case PoolRestart::State::kUnderWay:
      break;
    case PoolRestart::State::kDone:
      progress.state = State::kSucceeded;
      break;
    case PoolRestart::State::kHalted:
      End(progress, State::kFailed, absl::StrCat("HALTED: ", progress.detail));
      break;
    case PoolRestart::State::kCancelled:
      progress.state = State::kCancelled;
      break;
  }
  return progress;
}

// Of a worker that somebody else starts: it is told to end, and who comes next is not ours to say.
Progress JudgeOrderToEnd(const OperationGoal& goal, const Fleet& fleet) {
  Progress progress;
  const WorkerKey key{goal.pool, goal.slot};
  const auto found = fleet.workers.find(key);
  if (found == fleet.workers.end() || found->second.generation >= goal.generation) {
    // A server that has just begun does not know yet who is there.
    const bool may_come =
        found == fleet.workers.end() && fleet.last_step < fleet.registration_deadline;
    progress.detail =
        absl::StrCat(ShortName(key), may_come ? ": has not dialled yet" : ": has ended");
    if (!may_come) progress.state = State::kSucceeded;
    return progress;
  }
  const Worker& worker = found->second;
  progress.workers.push_back(ProgressOf(worker));
  const bool is_leaving = worker.report != nullptr && worker.report->is_draining;
  if (worker.state == WorkerState::kReady && !is_leaving) {
    End(progress, State::kFailed,
        absl::StrCat(ShortName(key), ": an earlier server has told it to end, and it goes on"));
    return progress;
  }
  progress.detail = absl::StrCat(ShortName(key), ": ", StateName(worker.state), ", ",
                                 progress.workers.back().why);
  return progress;
}

Progress JudgeWorkerRestart(const OperationGoal& goal, const Fleet& fleet, const Pool& pool) {
  if (IsExternal(pool)) return JudgeOrderToEnd(goal, fleet);
  Progress progress;
  const WorkerKey key{goal.pool, goal.slot};
  const auto found = fleet.workers.find(key);
  const bool is_wanted = pool.state != PoolState::kStopped && goal.slot < pool.desired;
  if (found == fleet.workers.end() || !is_wanted) {
    if (!is_wanted) {
      End(progress, State::kCancelled,
          absl::StrCat(ShortName(key), ": the pool has no place for it any more"));
    } else {
      progress.detail = absl::StrCat(ShortName(key), ": is to be started");
    }
    return progress;
  }
  const Worker& worker = found->second;
  progress.workers.push_back(ProgressOf(worker));
  WorkerProgress& of = progress.workers.back();
  const bool is_new = worker.generation >= goal.generation;
  if (!is_new && of.phase == WorkerPhase::kDone) of.phase = WorkerPhase::kWaiting;
  progress.detail = absl::StrCat(ShortName(key), ": ", StateName(worker.state), ", generation ",
                                 worker.generation.value, ", ", of.why);
  if (is_new && worker.state == WorkerState::kCrashLoop) {
    End(progress, State::kFailed,
        absl::StrCat(ShortName(key), ": in CRASH_LOOP: ", worker.last_death));
  } else if (is_new && Serves(worker)) {
    progress.state = State::kSucceeded;
  }
  return progress;
}

// "shards/7 at flush/0: 12 parts, waits for Kafka"
std::string RemainderText(const Remainder& remainder) {
  std::string text = remainder.shard ? absl::StrCat("shards/", remainder.shard->value) : "";
  if (remainder.worker) {
    absl::StrAppend(&text, text.empty() ? "" : " at ", ShortName(*remainder.worker));
  }
  absl::StrAppend(&text, ": ");
  if (remainder.parts > 0) absl::StrAppend(&text, remainder.parts, " parts, ");
  if (remainder.messages > 0) absl::StrAppend(&text, remainder.messages, " messages, ");
  return text + remainder.why;
}

// One line: the pool tells all.
constexpr size_t kMaxRemainders = 6;

std::string RemainingText(const PoolDrain& drain) {
  if (drain.remaining.empty()) return "nothing remains";
  std::string text = absl::StrCat(drain.remaining.size(), " remain: ");
  for (size_t i = 0; i < std::min(drain.remaining.size(), kMaxRemainders); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : "; ", RemainderText(drain.remaining[i]));
  }
  if (drain.remaining.size() > kMaxRemainders) {
    absl::StrAppend(&text, "; and ", drain.remaining.size() - kMaxRemainders, " more");
  }
  return text;
}

Progress JudgeDrain(const OperationGoal& goal, const Fleet& fleet, const Pool& pool) {
  Progress progress{State::kRunning, "", WorkersOf(fleet, pool)};
  if (!pool.drain) {
    End(progress, State::kFailed, "interrupted by the server's end; the pool takes nothing new");
    return progress;
  }
  if (pool.drain->number != goal.restart) {
    End(progress, State::kCancelled, "another drain has taken its place");
    return progress;
  }
  const PoolDrain& drain = *pool.drain;
  for (WorkerProgress& worker : progress.workers) {
    for (const Remainder& remainder : drain.remaining) {
      if (remainder.worker != worker.worker) continue;
      worker.phase = WorkerPhase::kDraining;
      worker.why = remainder.why;
      break;
    }
  }
  progress.detail = absl::StrCat(pool.name, ": ", RemainingText(drain));
  switch (drain.state) {
    case PoolDrain::State::kUnderWay:
      break;
    case PoolDrain::State::kDone:
      progress.state = State::kSucceeded;
      break;
    case PoolDrain::State::kTimedOut:
      End(progress, State::kFailed, absl::StrCat("its time is up: ", progress.detail));
      break;
    case PoolDrain::State::kCancelled:
      End(progress, State::kCancelled, "the pool was paused, resumed or stopped since");
      break;
  }
  return progress;
}

// The generation that a restart of the worker leads to.
Generation After(const Worker& worker) {
  // A start that has just been ordered is the new process already.
  const bool is_starting = worker.state == WorkerState::kPending && worker.generation.value > 0;
  return is_starting ? worker.generation : Generation{worker.generation.value + 1};
}

}  // namespace

std::optional<OperationGoal> GoalOf(const Fleet& fleet, const Event& event) {
  if (const auto* started = std::get_if<PoolStarted>(&event)) {
    return OperationGoal{Kind::kStartPool, started->pool};
  }
  if (const auto* stopped = std::get_if<PoolStopped>(&event)) {
    return OperationGoal{Kind::kStopPool, stopped->pool};
  }
  if (const auto* resized = std::get_if<PoolResized>(&event)) {
    return OperationGoal{
        .kind = Kind::kResizePool, .pool = resized->pool, .desired = resized->desired};
  }
  if (const auto* written = std::get_if<PoolWritten>(&event)) {
    const Pool* pool = FindPool(fleet, written->pool);
    const bool is_new = pool == nullptr || !pool->is_configured;
    return OperationGoal{.kind = is_new ? Kind::kCreatePool : Kind::kUpdatePool,
                         .pool = written->pool,
                         .desired = written->desired};
  }
  if (const auto* deleted = std::get_if<PoolDeleted>(&event)) {
    return OperationGoal{Kind::kDeletePool, deleted->pool};
  }
  if (const auto* restarted = std::get_if<PoolRestarted>(&event)) {
    const Pool* pool = FindPool(fleet, restarted->pool);
    const bool is_first = pool == nullptr || !pool->restart;
    return OperationGoal{.kind = Kind::kRestartPool,
                         .pool = restarted->pool,
                         .restart = is_first ? 1 : pool->restart->number + 1};
  }
  if (const auto* drained = std::get_if<PoolDrained>(&event)) {
    const Pool* pool = FindPool(fleet, drained->pool);
    const bool is_first = pool == nullptr || !pool->drain;
    return OperationGoal{.kind = Kind::kDrainPool,
                         .pool = drained->pool,
                         .restart = is_first ? 1 : pool->drain->number + 1};
  }
  if (const auto* restarted = std::get_if<WorkerRestarted>(&event)) {
    const auto worker = fleet.workers.find(restarted->worker);
    if (worker == fleet.workers.end()) return std::nullopt;
    return OperationGoal{.kind = Kind::kRestartWorker,
                         .pool = restarted->worker.pool,
                         .slot = restarted->worker.slot,
                         .generation = After(worker->second)};
  }
  return std::nullopt;
}

Progress JudgeOperation(const OperationGoal& goal, const Fleet& fleet) {
  const Pool* pool = FindPool(fleet, goal.pool);
  if (goal.kind == Kind::kDeletePool) return JudgeDeletion(goal, fleet, pool);
  if (pool == nullptr || !pool->is_configured) {
    return {State::kCancelled, "there is no such pool any more", {}};
  }
  switch (goal.kind) {
    case Kind::kStartPool:
      return JudgeStart(fleet, *pool);
    case Kind::kStopPool:
      return JudgeStop(fleet, *pool);
    case Kind::kResizePool:
      return JudgeResize(goal, fleet, *pool);
    case Kind::kRestartPool:
      return JudgeRestart(goal, fleet, *pool);
    case Kind::kRestartWorker:
      return JudgeWorkerRestart(goal, fleet, *pool);
    case Kind::kDrainPool:
      return JudgeDrain(goal, fleet, *pool);
    case Kind::kCreatePool:
    case Kind::kUpdatePool:
      return JudgeWritten(goal, fleet, *pool);
    case Kind::kDeletePool:
      break;  // was judged above
  }
  return {State::kFailed, "is of a kind that this server does not know", {}};
}

bool Supersedes(const OperationGoal& newer, const OperationGoal& older) {
  if (newer.pool != older.pool) return false;
  switch (newer.kind) {
    case Kind::kStartPool:
      return older.kind == Kind::kStopPool;
    case Kind::kStopPool:
      return older.kind != Kind::kStopPool;
    case Kind::kResizePool:
      return older.kind == Kind::kResizePool || older.kind == Kind::kCreatePool ||
             older.kind == Kind::kUpdatePool ||
             (older.kind == Kind::kRestartWorker && older.slot >= newer.desired);
    case Kind::kRestartPool:
      return older.kind == Kind::kRestartPool;
    case Kind::kRestartWorker:
      return older.kind == Kind::kRestartWorker && older.slot == newer.slot;
    case Kind::kDrainPool:
      return older.kind == Kind::kDrainPool;
    case Kind::kUpdatePool:
      return older.kind == Kind::kCreatePool || older.kind == Kind::kUpdatePool ||
             (older.kind == Kind::kResizePool && older.desired != newer.desired);
    case Kind::kCreatePool:
      return false;  // what was asked for a former pool of its name has ended with it
    case Kind::kDeletePool:
      return true;
  }
  return false;
}

const char* StateName(OperationState state) {
  switch (state) {
    case State::kRunning:
      return "RUNNING";
    case State::kSucceeded:
      return "SUCCEEDED";
    case State::kFailed:
      return "FAILED";
    case State::kCancelled:
      return "CANCELLED";
  }
  return "FAILED";
}

const char* KindName(OperationKind kind) {
  switch (kind) {
    case Kind::kStartPool:
      return "StartPool";
    case Kind::kStopPool:
      return "StopPool";
    case Kind::kResizePool:
      return "ResizePool";
    case Kind::kRestartPool:
      return "RestartPool";
    case Kind::kRestartWorker:
      return "RestartWorker";
    case Kind::kDrainPool:
      return "DrainPool";
    case Kind::kCreatePool:
      return "CreatePool";
    case Kind::kUpdatePool:
      return "UpdatePool";
    case Kind::kDeletePool:
      return "DeletePool";
  }
  return "?";
}

}  // namespace spillway::fleet
