#include "server/rpc/watch_fleet.h"

#include <set>
#include <utility>

#include "proto/wire/convert.h"
#include "server/rpc/resource_messages.h"

namespace spillway::rpc {
namespace {

std::string WithoutAges(v1::Pool pool) {
  pool.mutable_health()->clear_evidence_age();
  return pool.SerializeAsString();
}
std::string WithoutAges(v1::Worker worker) {
  worker.mutable_health()->clear_evidence_age();
  return worker.SerializeAsString();
}
std::string WithoutAges(v1::Shard shard) {
  shard.clear_figures_age();
  shard.clear_ledger_age();
  return shard.SerializeAsString();
}

}  // namespace

bool FleetChanges::Compose(const supervisor::SnapshotPtr& snapshot, Instant now, uint64_t& known,
                           v1::WatchFleetResponse& response) {
  MutexLock lock(&mutex_);
  Update(snapshot, now);
  const bool is_full = known < oldest_ || known > sequence_;
  if (!is_full && known == sequence_) return false;
  const uint64_t from = is_full ? 0 : known;
  for (const auto& pool : newest_->pools) {
    if (IsNews(fleet::PoolName(pool.name), from)) *response.add_pools() = ToMessage(pool, now);
  }
  for (const auto& worker : newest_->workers) {
    if (IsNews(fleet::WorkerName(worker.key), from))
      *response.add_workers() = ToMessage(worker, now);
  }
  for (const auto& shard : newest_->shards) {
    if (IsNews(ShardName(shard.id), from)) *response.add_shards() = ToMessage(shard, now);
  }
  std::set<std::string> gone;  // what has come back since is told above
  for (const auto& [sequence, name] : removed_) {
    if (!is_full && sequence > from && !told_.contains(name)) gone.insert(name);
  }
  for (const std::string& name : gone) response.add_removed(name);
  response.set_sequence(known = sequence_);
  response.set_is_full(is_full);
  *response.mutable_time() = wire::ToProto(newest_->time);
  return true;
}

void FleetChanges::Update(const supervisor::SnapshotPtr& snapshot, Instant now) {
  if (snapshot == newest_) return;
  if (newest_ != nullptr && snapshot->sequence < newest_->sequence) return;
  const uint64_t next = sequence_ + 1;
  std::map<std::string, Told> gone = std::exchange(told_, {});
  for (const auto& pool : snapshot->pools) {
    Note(fleet::PoolName(pool.name), WithoutAges(ToMessage(pool, now)), next, gone);
  }
  for (const auto& worker : snapshot->workers) {
    Note(fleet::WorkerName(worker.key), WithoutAges(ToMessage(worker, now)), next, gone);
  }
  for (const auto& shard : snapshot->shards) {
    Note(ShardName(shard.id), WithoutAges(ToMessage(shard, now)), next, gone);
  }
  for (const auto& [name, told] : gone) {
    sequence_ = next;
    removed_.emplace_back(next, name);
  }
  for (; removed_.size() > kMaxRemoved; removed_.pop_front()) oldest_ = removed_.front().first;
  newest_ = snapshot;
}

// Moves what was told under the name from `gone`.
void FleetChanges::Note(const std::string& name, std::string text, uint64_t next,
                        std::map<std::string, Told>& gone) {
  auto before = gone.extract(name);
  const bool is_same = !before.empty() && before.mapped().text == text;
  if (is_same) {
    told_.insert(std::move(before));
  } else {
    sequence_ = next;
    told_[name] = {std::move(text), next};
  }
}

bool FleetChanges::IsNews(const std::string& name, uint64_t known) const {
  const auto found = told_.find(name);
  return found != told_.end() && found->second.changed > known;
}

}  // namespace spillway::rpc
