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

// Adds those of `all` that are not in `told` as they are now.
template <typename Message>
void AddChanged(const google::protobuf::RepeatedPtrField<Message>& all,
                std::map<std::string, std::string>& told, std::set<std::string>& present,
                google::protobuf::RepeatedPtrField<Message>& changed) {
  for (const Message& message : all) {
    present.insert(message.name());
    std::string text = WithoutAges(message);
    std::string& before = told[message.name()];
    if (before == text) continue;
    before = std::move(text);
    *changed.Add() = message;
  }
}

}  // namespace

bool FleetChanges::Compose(const supervisor::FleetSnapshot& snapshot, Instant now,
                           v1::WatchFleetResponse& response) {
  std::set<std::string> present;
  AddChanged(AllPools(snapshot, now).pools(), told_, present, *response.mutable_pools());
  AddChanged(AllWorkers(snapshot, "", now).workers(), told_, present, *response.mutable_workers());
  AddChanged(AllShards(snapshot, now).shards(), told_, present, *response.mutable_shards());
  for (auto it = told_.begin(); it != told_.end();) {
    if (present.contains(it->first)) {
      ++it;
    } else {
      response.add_removed(it->first);
      it = told_.erase(it);
    }
  }
  const bool has_changes = response.pools_size() + response.workers_size() +
                               response.shards_size() + response.removed_size() >
                           0;
  if (!has_changes && sequence_ > 0) return false;
  response.set_sequence(++sequence_);
  *response.mutable_time() = wire::ToProto(snapshot.time);
  return true;
}

}  // namespace spillway::rpc
