#include "server/fleet/shard_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace spillway::fleet {
namespace {

WorkerKey W(int slot) { return {"flush", slot}; }

std::vector<Candidate> Candidates(int count) {
  std::vector<Candidate> candidates;
  for (int slot = 0; slot < count; ++slot) candidates.push_back({W(slot), true});
  return candidates;
}
ShardOwners Unowned(int count) {
  ShardOwners owners;
  for (int i = 0; i < count; ++i) owners[ShardId{i}] = std::nullopt;
  return owners;
}
int Moved(const ShardOwners& before, const ShardOwners& after) {
  int moved = 0;
  for (const auto& [shard, owner] : before) moved += owner && after.at(shard) != owner;
  return moved;
}
// Shards of each worker, ascending by number of shards.
std::vector<int64_t> Counts(const ShardOwners& owners, int workers) {
  std::vector<int64_t> counts;
  for (int slot = 0; slot < workers; ++slot) {
    counts.push_back(std::count_if(owners.begin(), owners.end(),
                                   [&](const auto& entry) { return entry.second == W(slot); }));
  }
  std::sort(counts.begin(), counts.end());
  return counts;
}

TEST(ShardPlanTest, SpreadsEvenly) {
  EXPECT_EQ(Counts(PlanShards(Unowned(8), Candidates(3)), 3), (std::vector<int64_t>{2, 3, 3}));
  EXPECT_EQ(Counts(PlanShards(Unowned(2), Candidates(3)), 3), (std::vector<int64_t>{0, 1, 1}));
}

TEST(ShardPlanTest, IsIdempotent) {
  const ShardOwners plan = PlanShards(Unowned(7), Candidates(3));
  EXPECT_EQ(PlanShards(plan, Candidates(3)), plan);
}

TEST(ShardPlanTest, AJoiningWorkerMovesOnlyItsOwnShare) {
  const ShardOwners before = PlanShards(Unowned(8), Candidates(2));
  const ShardOwners after = PlanShards(before, Candidates(3));
  EXPECT_EQ(Moved(before, after), 2);
  EXPECT_EQ(Counts(after, 3), (std::vector<int64_t>{2, 3, 3}));
}

TEST(ShardPlanTest, ALeavingWorkerMovesOnlyItsOwnShards) {
  const ShardOwners before = PlanShards(Unowned(9), Candidates(3));
  const ShardOwners after = PlanShards(before, Candidates(2));
  EXPECT_EQ(Moved(before, after), 3);
  EXPECT_EQ(Counts(after, 2), (std::vector<int64_t>{4, 5}));
}

TEST(ShardPlanTest, NewShardsDoNotMoveOldOnes) {
  ShardOwners before = PlanShards(Unowned(4), Candidates(2));
  for (int i = 4; i < 8; ++i) before[ShardId{i}] = std::nullopt;
  const ShardOwners after = PlanShards(before, Candidates(2));
  EXPECT_EQ(Moved(before, after), 0);
  EXPECT_EQ(Counts(after, 2), (std::vector<int64_t>{4, 4}));
}

TEST(ShardPlanTest, WhoTakesNothingNewKeepsWhatItHas) {
  ShardOwners before = PlanShards(Unowned(4), Candidates(2));
  before[ShardId{4}] = std::nullopt;
  const ShardOwners after = PlanShards(before, {{W(0), true}, {W(1), false}});
  EXPECT_EQ(Moved(before, after), 0);
  EXPECT_EQ(after.at(ShardId{4}), W(0));
}

TEST(ShardPlanTest, WithoutWorkersNobodyOwns) {
  EXPECT_EQ(PlanShards(PlanShards(Unowned(3), Candidates(1)), {}), Unowned(3));
  EXPECT_EQ(PlanShards(Unowned(3), {{W(0), false}}), Unowned(3));
  EXPECT_TRUE(PlanShards({}, Candidates(2)).empty());
}

}  // namespace
}  // namespace spillway::fleet
