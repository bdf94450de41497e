#include "server/fleet/shard_plan.h"

#include <algorithm>

namespace spillway::fleet {
namespace {

struct Share {
  const Candidate* candidate = nullptr;
  std::vector<ShardId> shards;  // what it has now, ascending
  size_t quota = 0;
};

std::vector<Share> CountShares(const ShardOwners& now, const std::vector<Candidate>& candidates) {
  std::vector<Share> shares;
  std::map<WorkerKey, size_t> place;
  for (const Candidate& candidate : candidates) {
    place[candidate.worker] = shares.size();
    shares.push_back({&candidate, {}, 0});
  }
  for (const auto& [shard, owner] : now) {
    const auto found = owner ? place.find(*owner) : place.end();
    if (found != place.end()) shares[found->second].shards.push_back(shard);
  }
  return shares;
}

// Whoever takes nothing new keeps at most an even share; the others divide the rest. The larger
// quotas go to those with the most shards: that is what keeps movement minimal.
void SetQuotas(std::vector<Share>& shares, size_t shard_count) {
  const size_t ceiling = (shard_count + shares.size() - 1) / shares.size();
  size_t rest = shard_count;
  std::vector<Share*> takers;
  for (Share& share : shares) {
    if (share.candidate->takes_new) {
      takers.push_back(&share);
    } else {
      share.quota = std::min(share.shards.size(), ceiling);
      rest -= share.quota;
    }
  }
  std::stable_sort(takers.begin(), takers.end(), [](const Share* a, const Share* b) {
    return a->shards.size() > b->shards.size();
  });
  for (size_t i = 0; i < takers.size(); ++i) {
    takers[i]->quota = rest / takers.size() + (i < rest % takers.size() ? 1 : 0);
  }
}

}  // namespace

ShardOwners PlanShards(const ShardOwners& now, const std::vector<Candidate>& candidates) {
  ShardOwners plan;
  for (const auto& [shard, owner] : now) plan[shard] = std::nullopt;
  if (candidates.empty()) return plan;
  std::vector<Share> shares = CountShares(now, candidates);
  SetQuotas(shares, now.size());
  for (Share& share : shares) {
    const size_t kept = std::min(share.quota, share.shards.size());
    for (size_t i = 0; i < kept; ++i) plan[share.shards[i]] = share.candidate->worker;
    share.quota -= kept;
  }
  auto open = shares.begin();
  for (auto& [shard, owner] : plan) {
    if (owner) continue;
    while (open != shares.end() && open->quota == 0) ++open;
    if (open == shares.end()) break;
    owner = open->candidate->worker;
    --open->quota;
  }
  return plan;
}

}  // namespace spillway::fleet
