#include "server/fleet/preview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::fleet {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Limits kLimits;

WorkerKey Flush(int32_t slot) { return {"flush", slot}; }

// A pool with `count` workers that serve, and `shards` shards spread over the flush workers.
Fleet Settled(int32_t count, int32_t shards, wire::Role role = wire::Role::kFlush) {
  Fleet fleet;
  fleet.pools.push_back(
      {.name = role == wire::Role::kFlush ? "flush" : "ingest", .role = role, .desired = count});
  for (int32_t slot = 0; slot < count; ++slot) {
    Worker worker;
    worker.key = {fleet.pools[0].name, slot};
    worker.role = role;
    worker.state = WorkerState::kReady;
    worker.generation = {1};
    worker.has_process = worker.is_attached = true;
    worker.health.state = HealthState::kHealthy;
    fleet.workers.emplace(worker.key, worker);
  }
  for (int32_t id = 0; id < shards; ++id) fleet.shards[{id}].owner = Flush(id % count);
  return fleet;
}

TEST(PreviewTest, GrowingStartsWorkersAndMovesAsFewShardsAsItNeeds) {
  const Preview preview = PreviewOf(Settled(2, 4), PoolResized{"flush", 4, 1, 8}, kLimits);
  EXPECT_THAT(preview.starts, ElementsAre(Flush(2), Flush(3)));
  EXPECT_THAT(preview.ends, IsEmpty());
  ASSERT_EQ(preview.moves.size(), 2u);
  for (const ShardMove& move : preview.moves) {
    EXPECT_TRUE(move.to == Flush(2) || move.to == Flush(3));
  }
  EXPECT_EQ(preview.pause, Duration(kUsualHandover));
}

TEST(PreviewTest, RegisteredWorkersAreNeitherStartedNorEnded) {
  Fleet fleet = Settled(3, 2);
  fleet.pools[0].scale_owner = config::ScaleOwner::kExternal;
  fleet.workers.erase(Flush(1));
  fleet.shards[{1}].owner = Flush(2);
  for (auto& [key, worker] : fleet.workers) worker.is_registered = true;
  const Preview paused = PreviewOf(fleet, PoolPaused{"flush"}, kLimits);
  EXPECT_THAT(paused.starts, IsEmpty());
  EXPECT_THAT(paused.ends, IsEmpty());
  EXPECT_THAT(paused.moves, IsEmpty());
  const Preview restarted = PreviewOf(fleet, WorkerRestarted{Flush(2)}, kLimits);
  EXPECT_THAT(restarted.moves, ElementsAre(ShardMove{{1}, Flush(2), {}}));
  EXPECT_THAT(restarted.notes, Contains(HasSubstr("whoever started it")));
}

TEST(PreviewTest, ShrinkingEndsTheHighestSlotsAndASilentOwnerTakesLonger) {
  Fleet fleet = Settled(3, 3);
  const Preview preview = PreviewOf(fleet, PoolResized{"flush", 2, 1, 8}, kLimits);
  EXPECT_THAT(preview.ends, ElementsAre(Flush(2)));
  ASSERT_EQ(preview.moves.size(), 1u);
  EXPECT_EQ(preview.moves[0].shard, ShardId{2});
  EXPECT_EQ(preview.moves[0].from, Flush(2));
  fleet.workers.at(Flush(2)).is_attached = false;
  EXPECT_EQ(PreviewOf(fleet, PoolResized{"flush", 2, 1, 8}, kLimits).pause,
            kLimits.health.handover_timeout);
}

TEST(PreviewTest, AStopLeavesTheShardsWithNobodyUntilItIsStarted) {
  const Preview preview = PreviewOf(Settled(2, 2), PoolStopped{"flush"}, kLimits);
  EXPECT_THAT(preview.ends, ElementsAre(Flush(0), Flush(1)));
  EXPECT_THAT(preview.moves,
              ElementsAre(ShardMove{{0}, Flush(0), {}}, ShardMove{{1}, Flush(1), {}}));
  EXPECT_EQ(preview.pause, std::nullopt);
  EXPECT_THAT(preview.notes, Contains(HasSubstr("until it is started")));
}

TEST(PreviewTest, AnotherPoolsWorkersTakeTheShardsOfOneThatStops) {
  Fleet fleet = Settled(1, 2);
  fleet.pools.push_back({.name = "other", .role = wire::Role::kFlush, .desired = 1});
  const Preview preview = PreviewOf(fleet, PoolStopped{"flush"}, kLimits);
  ASSERT_EQ(preview.moves.size(), 2u);
  EXPECT_EQ(preview.moves[0].to, (WorkerKey{"other", 0}));
}

TEST(PreviewTest, ARestartReplacesWhatItsScopeNames) {
  Fleet fleet = Settled(2, 2);
  EXPECT_THAT(PreviewOf(fleet, PoolRestarted{"flush"}, kLimits).restarts,
              ElementsAre(Flush(0), Flush(1)));
  fleet.workers.at(Flush(1)).state = WorkerState::kCrashLoop;
  fleet.workers.at(Flush(1)).has_process = false;
  EXPECT_THAT(PreviewOf(fleet, PoolRestarted{"flush", RestartScope::kFailed}, kLimits).restarts,
              ElementsAre(Flush(1)));
  const Preview one = PreviewOf(fleet, WorkerRestarted{Flush(0)}, kLimits);
  EXPECT_THAT(one.restarts, ElementsAre(Flush(0)));
  EXPECT_THAT(one.moves, Contains(ShardMove{{0}, Flush(0), {}}));
  EXPECT_THAT(one.notes, Contains(HasSubstr("no other worker serves")));
}

TEST(PreviewTest, StartGivesNewBudgetsAndAResizeDoesNot) {
  Fleet fleet = Settled(2, 2);
  fleet.workers.at(Flush(1)).state = WorkerState::kCrashLoop;
  fleet.workers.at(Flush(1)).has_process = false;
  EXPECT_THAT(PreviewOf(fleet, PoolStarted{"flush"}, kLimits).starts, ElementsAre(Flush(1)));
  const Preview resize = PreviewOf(fleet, PoolResized{"flush", 2, 1, 4}, kLimits);
  EXPECT_THAT(resize.starts, IsEmpty());
  EXPECT_THAT(resize.notes, Contains("flush/1 is in CRASH_LOOP and stays so"));
}

TEST(PreviewTest, APoolThatWouldBeMadeTakesItsShare) {
  const PoolWritten written{.pool = "more", .role = wire::Role::kFlush, .desired = 1, .max = 8};
  const Preview preview = PreviewOf(Settled(1, 2), written, kLimits);
  EXPECT_THAT(preview.starts, ElementsAre(WorkerKey{"more", 0}));
  ASSERT_EQ(preview.moves.size(), 1u);
  EXPECT_EQ(preview.moves[0].to, (WorkerKey{"more", 0}));
}

TEST(PreviewTest, APoolThatWouldBeDeletedGivesItsShardsAway) {
  Fleet fleet = Settled(2, 2);
  fleet.pools.push_back({.name = "other", .role = wire::Role::kFlush, .desired = 1});
  const Preview preview = PreviewOf(fleet, PoolDeleted{"flush"}, kLimits);
  EXPECT_THAT(preview.ends, ElementsAre(Flush(0), Flush(1)));
  ASSERT_EQ(preview.moves.size(), 2u);
  EXPECT_EQ(preview.moves[0].to, (WorkerKey{"other", 0}));
  EXPECT_THAT(preview.notes, ElementsAre("the pool would be forgotten"));
}

TEST(PreviewTest, WhatIsSoAlreadyChangesNothing) {
  const Preview preview = PreviewOf(Settled(2, 2), PoolStarted{"flush"}, kLimits);
  EXPECT_THAT(preview.notes, ElementsAre("nothing would change"));
  EXPECT_EQ(preview.pause, Duration(0));
}

TEST(PreviewTest, WhatDoesNotChangeTheWishIsSaidToo) {
  Fleet fleet = Settled(2, 2);
  EXPECT_THAT(PreviewOf(fleet, RestartCancelled{"flush"}, kLimits).notes,
              ElementsAre("no further worker would be restarted"));
  fleet.pools[0].state = PoolState::kDraining;
  EXPECT_THAT(PreviewOf(fleet, PoolDrained{"flush"}, kLimits).notes,
              ElementsAre("the drain would begin anew, with the new deadline"));
}

TEST(PreviewTest, IngestsPartitionsAreForKafkaToGive) {
  const Preview preview =
      PreviewOf(Settled(1, 0, wire::Role::kIngest), PoolResized{"ingest", 2, 1, 8}, kLimits);
  EXPECT_THAT(preview.starts, ElementsAre(WorkerKey{"ingest", 1}));
  EXPECT_THAT(preview.moves, IsEmpty());
  EXPECT_THAT(preview.notes, Contains(HasSubstr("consumer group")));
}

TEST(PreviewTest, APauseLastsUntilSomebodyEndsIt) {
  const Preview preview = PreviewOf(Settled(1, 1), PoolPaused{"flush"}, kLimits);
  EXPECT_EQ(preview.pause, std::nullopt);
  EXPECT_THAT(preview.notes, ElementsAre("flush takes nothing new until it is resumed"));
}

}  // namespace
}  // namespace spillway::fleet
