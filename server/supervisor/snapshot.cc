#include "server/supervisor/snapshot.h"

#include <algorithm>

namespace spillway::supervisor {

bool IsReady(const FleetSnapshot& snapshot) {
  return std::all_of(snapshot.checks.begin(), snapshot.checks.end(),
                     [](const Check& check) { return check.ok; });
}

std::string LossOf(const FleetSnapshot& snapshot, const PoolView& deleted) {
  for (const PoolView& pool : snapshot.pools) {
    if (pool.name != deleted.name && pool.role == deleted.role && pool.is_configured) return "";
  }
  return deleted.role == wire::Role::kFlush
             ? "it is the last flush pool: nothing leaves Redis until there is another"
             : "it is the last ingest pool: nothing is read until there is another";
}

const PoolView* FindPool(const FleetSnapshot& snapshot, absl::string_view name) {
  for (const PoolView& pool : snapshot.pools) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

const WorkerView* FindWorker(const FleetSnapshot& snapshot, const fleet::WorkerKey& key) {
  for (const WorkerView& worker : snapshot.workers) {
    if (worker.key == key) return &worker;
  }
  return nullptr;
}

const DropRuleView* FindDropRule(const FleetSnapshot& snapshot, absl::string_view name) {
  if (snapshot.drop_rules == nullptr) return nullptr;
  for (const DropRuleView& rule : *snapshot.drop_rules) {
    if (rule.rule.name == name) return &rule;
  }
  return nullptr;
}

OperationPtr FindOperation(const FleetSnapshot& snapshot, int64_t number) {
  if (snapshot.operations == nullptr) return nullptr;
  for (const OperationPtr& operation : *snapshot.operations) {
    if (operation->number == number) return operation;
  }
  return nullptr;
}

}  // namespace spillway::supervisor
