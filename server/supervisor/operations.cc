#include "server/supervisor/operations.h"

#include <utility>

namespace spillway::supervisor {
namespace {

fleet::OperationGoal GoalOf(const record::Operation& operation) {
  return {static_cast<fleet::OperationKind>(operation.kind),
          operation.pool,
          operation.slot,
          operation.desired,
          operation.restart,
          Generation{operation.generation}};
}

OperationPtr ViewOf(const record::Operation& operation,
                    std::vector<fleet::WorkerProgress> workers) {
  OperationView view;
  view.number = operation.number;
  view.kind = static_cast<fleet::OperationKind>(operation.kind);
  view.state = static_cast<fleet::OperationState>(operation.state);
  view.pool = operation.pool;
  view.slot = operation.slot;
  view.actor = operation.actor;
  view.begun = operation.begun;
  view.ended = operation.ended;
  view.detail = operation.detail;
  view.workers = std::move(workers);
  return std::make_shared<const OperationView>(std::move(view));
}

}  // namespace

OperationBook::OperationBook(const std::vector<record::Operation>& recorded) {
  for (const record::Operation& operation : recorded) Put(operation);
}

record::Operation OperationBook::Draft(const fleet::OperationGoal& goal) const {
  record::Operation operation;
  operation.number = entries_.empty() ? 1 : entries_.rbegin()->first + 1;
  operation.kind = static_cast<int32_t>(goal.kind);
  operation.pool = goal.pool;
  operation.slot = goal.slot;
  operation.desired = goal.desired;
  operation.restart = goal.restart;
  operation.generation = goal.generation.value;
  return operation;
}

std::vector<record::Operation> OperationBook::Superseded(const record::Operation& newer,
                                                         WallTime now) const {
  std::vector<record::Operation> ended;
  for (const int64_t number : running_) {
    const record::Operation& older = entries_.at(number).operation;
    if (!fleet::Supersedes(GoalOf(newer), GoalOf(older))) continue;
    ended.push_back(Ended(older, fleet::OperationState::kCancelled,
                          "superseded by " + OperationName(newer.number), now));
  }
  return ended;
}

void OperationBook::Put(const record::Operation& operation) {
  Entry& entry = entries_[operation.number];
  std::vector<fleet::WorkerProgress> workers;
  if (entry.view != nullptr) workers = entry.view->workers;
  entry = {operation, ViewOf(operation, std::move(workers))};
  if (IsRunning(operation)) {
    running_.insert(operation.number);
  } else {
    NoteEnd(operation.number);
  }
  views_.reset();
  Trim();
}

std::vector<record::Operation> OperationBook::Judge(const fleet::Fleet& fleet, WallTime now) {
  std::vector<record::Operation> ended;
  for (const int64_t number : std::set<int64_t>(running_)) {
    if (held_.contains(number)) continue;
    Entry& entry = entries_.at(number);
    fleet::Progress progress = fleet::JudgeOperation(GoalOf(entry.operation), fleet);
    const bool is_same = progress.state == fleet::OperationState::kRunning &&
                         progress.detail == entry.view->detail &&
                         progress.workers == entry.view->workers;
    if (is_same) continue;
    if (progress.state == fleet::OperationState::kRunning) {
      entry.operation.detail = std::move(progress.detail);
    } else {
      entry.operation =
          Ended(std::move(entry.operation), progress.state, std::move(progress.detail), now);
      ended.push_back(entry.operation);
    }
    entry.view = ViewOf(entry.operation, std::move(progress.workers));
    if (!IsRunning(entry.operation)) NoteEnd(number);
    views_.reset();
  }
  return ended;
}

void OperationBook::Hold(const std::vector<record::Operation>& operations) {
  held_.clear();
  for (const record::Operation& operation : operations) held_.insert(operation.number);
}

void OperationBook::NoteEnd(int64_t number) {
  if (running_.erase(number) == 0) return;
  detailed_.push_back(number);
  if (detailed_.size() <= kMaxDetailed) return;
  const auto found = entries_.find(detailed_.front());
  if (found != entries_.end()) found->second.view = ViewOf(found->second.operation, {});
  detailed_.pop_front();
}

void OperationBook::Trim() {
  const int64_t oldest = entries_.rbegin()->first - record::kMaxOperations;
  for (auto it = entries_.begin(); it != entries_.end() && it->first <= oldest;) {
    it = running_.contains(it->first) ? std::next(it) : entries_.erase(it);
  }
}

const record::Operation* OperationBook::Find(int64_t number) const {
  const auto found = entries_.find(number);
  return found == entries_.end() ? nullptr : &found->second.operation;
}

OperationPtr OperationBook::View(int64_t number) const {
  const auto found = entries_.find(number);
  return found == entries_.end() ? nullptr : found->second.view;
}

std::shared_ptr<const std::vector<OperationPtr>> OperationBook::Views() const {
  if (views_ != nullptr) return views_;
  std::vector<OperationPtr> views;
  views.reserve(entries_.size());
  for (const auto& [number, entry] : entries_) views.push_back(entry.view);
  return views_ = std::make_shared<const std::vector<OperationPtr>>(std::move(views));
}

std::string OperationName(int64_t number) { return "operations/" + std::to_string(number); }

bool IsRunning(const record::Operation& operation) {
  return operation.state == static_cast<int32_t>(fleet::OperationState::kRunning);
}

record::Operation Ended(record::Operation operation, fleet::OperationState state,
                        std::string detail, WallTime now) {
  operation.state = static_cast<int32_t>(state);
  operation.detail = std::move(detail);
  operation.ended = now;
  return operation;
}

fleet::PoolRestart RestartOf(const record::Operation& operation) {
  fleet::PoolRestart restart;
  restart.number = operation.restart;
  restart.scope = operation.only_failed ? fleet::RestartScope::kFailed : fleet::RestartScope::kAll;
  restart.max_unavailable = operation.max_unavailable;
  for (const auto& [slot, generation] : operation.replaced) {
    restart.waiting[slot] = Generation{generation};
  }
  return restart;
}

}  // namespace spillway::supervisor
