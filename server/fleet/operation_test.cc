#include "server/fleet/operation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::fleet {
namespace {

using ::testing::HasSubstr;
using Kind = OperationKind;
using State = OperationState;

// A flush pool with `count` workers of generation 1 that serve, and one shard that the first has.
Fleet Settled(int32_t count) {
  Fleet fleet;
  fleet.pools.push_back({.name = "flush", .role = wire::Role::kFlush, .desired = count});
  for (int32_t slot = 0; slot < count; ++slot) {
    Worker worker;
    worker.key = {"flush", slot};
    worker.role = wire::Role::kFlush;
    worker.state = WorkerState::kReady;
    worker.generation = {1};
    worker.has_process = true;
    worker.health = {HealthState::kHealthy, UnhealthyReason::kNone, "works", {}};
    wire::WorkerReport report;
    if (slot == 0) {
      wire::ShardReport shard;
      shard.shard = {0};
      shard.epoch = {1, 1};
      shard.in_flight = 5;
      report.shards.push_back(shard);
    }
    worker.report = std::make_shared<const wire::WorkerReport>(std::move(report));
    fleet.workers.emplace(worker.key, worker);
  }
  fleet.shards[{0}].desired = WorkerKey{"flush", 0};
  return fleet;
}

Worker& WorkerOf(Fleet& fleet, int32_t slot) { return fleet.workers.at({"flush", slot}); }

const OperationGoal kStart{Kind::kStartPool, "flush"};
const OperationGoal kStop{Kind::kStopPool, "flush"};
const OperationGoal kResize{.kind = Kind::kResizePool, .pool = "flush", .desired = 2};
const OperationGoal kRestart{.kind = Kind::kRestartPool, .pool = "flush", .restart = 1};
const OperationGoal kRestartWorker{
    .kind = Kind::kRestartWorker, .pool = "flush", .slot = 1, .generation = {2}};

TEST(JudgeOperationTest, TheRestartOfARegisteredWorkerIsItsEnd) {
  Fleet fleet = Settled(2);
  fleet.pools[0].scale_owner = config::ScaleOwner::kExternal;
  EXPECT_EQ(JudgeOperation(kRestartWorker, fleet).state, State::kFailed) << "nobody has told it";
  WorkerOf(fleet, 1).state = WorkerState::kDraining;
  EXPECT_EQ(JudgeOperation(kRestartWorker, fleet).state, State::kRunning);
  fleet.workers.erase({"flush", 1});
  fleet.pools[0].desired = 1;
  EXPECT_EQ(JudgeOperation(kRestartWorker, fleet).state, State::kSucceeded);
  fleet.registration_deadline = fleet.last_step + std::chrono::seconds(1);
  EXPECT_EQ(JudgeOperation(kRestartWorker, fleet).state, State::kRunning) << "it may dial in";
}

TEST(JudgeOperationTest, AStartDoesNotWaitForRegisteredWorkersThatAreLost) {
  Fleet fleet = Settled(2);
  fleet.pools[0].desired = 1;
  WorkerOf(fleet, 1).state = WorkerState::kLost;
  EXPECT_EQ(JudgeOperation(kStart, fleet).state, State::kSucceeded);
}

TEST(JudgeOperationTest, AResizeHasSucceededWhenAllServeAndTheShardsAreInTheirPlaces) {
  Fleet fleet = Settled(2);
  EXPECT_EQ(JudgeOperation(kResize, fleet).state, State::kSucceeded);

  fleet.shards[{0}].desired = WorkerKey{"flush", 1};
  const Progress moving = JudgeOperation(kResize, fleet);
  EXPECT_EQ(moving.state, State::kRunning);
  EXPECT_EQ(moving.detail, "flush: 2 of 2 ready, 2 running, 1 shards on their way");
  ASSERT_EQ(moving.workers.size(), 2u);
  EXPECT_EQ(moving.workers[0].shards, 1);
  EXPECT_EQ(moving.workers[0].in_flight, 5u);
}

TEST(JudgeOperationTest, AWorkerTooManyIsStillToEnd) {
  Fleet fleet = Settled(3);
  fleet.pools[0].desired = 2;
  WorkerOf(fleet, 2).is_wanted = false;
  WorkerOf(fleet, 2).state = WorkerState::kDraining;
  const Progress progress = JudgeOperation(kResize, fleet);
  EXPECT_EQ(progress.state, State::kRunning);
  EXPECT_EQ(progress.workers[2].phase, WorkerPhase::kDraining);
}

TEST(JudgeOperationTest, ACrashLoopFailsItAndASizeOfSomebodyElsesCancelsIt) {
  Fleet fleet = Settled(2);
  WorkerOf(fleet, 1).state = WorkerState::kCrashLoop;
  WorkerOf(fleet, 1).has_process = false;
  WorkerOf(fleet, 1).last_death = "exited with 1";
  const Progress failed = JudgeOperation(kStart, fleet);
  EXPECT_EQ(failed.state, State::kFailed);
  EXPECT_EQ(failed.detail, "flush/1: in CRASH_LOOP: exited with 1");
  EXPECT_EQ(failed.workers[1].phase, WorkerPhase::kFailed);

  fleet.pools[0].desired = 5;
  EXPECT_EQ(JudgeOperation(kResize, fleet).state, State::kCancelled);
}

TEST(JudgeOperationTest, AStopNeedsTheProcessesGoneAndAStartSinceCancelsIt) {
  Fleet fleet = Settled(1);
  EXPECT_EQ(JudgeOperation(kStop, fleet).state, State::kCancelled);
  fleet.pools[0].state = PoolState::kStopped;
  EXPECT_EQ(JudgeOperation(kStop, fleet).state, State::kRunning);
  EXPECT_EQ(JudgeOperation(kStart, fleet).state, State::kCancelled);
  WorkerOf(fleet, 0).has_process = false;
  EXPECT_EQ(JudgeOperation(kStop, fleet).state, State::kSucceeded);
}

TEST(JudgeOperationTest, AResizeOfAStoppedPoolIsDoneAtOnce) {
  Fleet fleet = Settled(2);
  fleet.pools[0].state = PoolState::kStopped;
  EXPECT_EQ(JudgeOperation(kResize, fleet).state, State::kSucceeded);
}

TEST(JudgeOperationTest, ARestartTellsWhoseTurnItIs) {
  Fleet fleet = Settled(2);
  BeginRestart(fleet, fleet.pools[0], RestartScope::kAll, 1);
  PoolRestart& restart = *fleet.pools[0].restart;
  restart.waiting.erase(0);
  restart.replacing[0] = {Generation{1}, Instant()};
  WorkerOf(fleet, 0).state = WorkerState::kDraining;
  const Progress progress = JudgeOperation(kRestart, fleet);
  EXPECT_EQ(progress.state, State::kRunning);
  EXPECT_EQ(progress.detail, "flush: 0 of 2 replaced");
  EXPECT_EQ(progress.workers[0].phase, WorkerPhase::kDraining);
  EXPECT_EQ(progress.workers[1].phase, WorkerPhase::kWaiting);

  restart.state = PoolRestart::State::kHalted;
  restart.detail = "flush/0 is CRASH_LOOP";
  EXPECT_EQ(JudgeOperation(kRestart, fleet).state, State::kFailed);
  restart.state = PoolRestart::State::kDone;
  EXPECT_EQ(JudgeOperation(kRestart, fleet).state, State::kSucceeded);
  restart.number = 2;
  EXPECT_EQ(JudgeOperation(kRestart, fleet).state, State::kCancelled);
}

TEST(JudgeOperationTest, ARestartOfAWorkerWaitsForANewerGenerationThatServes) {
  Fleet fleet = Settled(2);
  const Progress old = JudgeOperation(kRestartWorker, fleet);
  EXPECT_EQ(old.state, State::kRunning);
  EXPECT_EQ(old.workers.at(0).phase, WorkerPhase::kWaiting);
  WorkerOf(fleet, 1).generation = {2};
  EXPECT_EQ(JudgeOperation(kRestartWorker, fleet).state, State::kSucceeded);
  fleet.pools[0].desired = 1;
  EXPECT_EQ(JudgeOperation(kRestartWorker, fleet).state, State::kCancelled);
}

TEST(JudgeOperationTest, ADrainTellsWhatRemainsAndEndsAsItsPoolSays) {
  const OperationGoal goal{.kind = Kind::kDrainPool, .pool = "flush", .restart = 1};
  Fleet fleet = Settled(2);
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kFailed) << "the server's end";
  BeginDrain(fleet.pools[0], Instant());
  PoolDrain& drain = *fleet.pools[0].drain;
  drain.remaining = {{ShardId{0}, WorkerKey{"flush", 0}, 5, 0, "5 parts in flight"}};
  const Progress progress = JudgeOperation(goal, fleet);
  EXPECT_EQ(progress.state, State::kRunning);
  EXPECT_EQ(progress.detail, "flush: 1 remain: shards/0 at flush/0: 5 parts, 5 parts in flight");
  EXPECT_EQ(progress.workers[0].phase, WorkerPhase::kDraining);
  EXPECT_EQ(progress.workers[1].phase, WorkerPhase::kDone);
  drain.state = PoolDrain::State::kTimedOut;
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kFailed);
  drain.state = PoolDrain::State::kDone;
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kSucceeded);
}

TEST(JudgeOperationTest, APoolThatIsNoMoreCancelsAll) {
  EXPECT_EQ(JudgeOperation(kStart, Fleet()).state, State::kCancelled);
}

PoolWritten Written(const std::string& pool, int32_t desired) {
  return {.pool = pool, .role = wire::Role::kFlush, .desired = desired, .max = 8};
}

TEST(JudgeOperationTest, WhatIsWrittenIsThereWhenItsWorkersAreAsWished) {
  Fleet fleet = Settled(2);
  const OperationGoal goal = *GoalOf(fleet, Written("flush", 2));
  EXPECT_EQ(goal.kind, Kind::kUpdatePool);
  EXPECT_EQ(GoalOf(fleet, Written("other", 2))->kind, Kind::kCreatePool);
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kSucceeded);
  WorkerOf(fleet, 1).state = WorkerState::kStarting;
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kRunning);
  fleet.pools[0].state = PoolState::kStopped;
  EXPECT_EQ(JudgeOperation(goal, fleet).detail, "flush: 2 still running");
  WorkerOf(fleet, 0).has_process = WorkerOf(fleet, 1).has_process = false;
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kSucceeded);
  fleet.pools[0].desired = 3;
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kCancelled);
}

TEST(JudgeOperationTest, ADeletionIsDoneWhenNothingOfThePoolIsLeft) {
  Fleet fleet = Settled(2);
  const OperationGoal goal = *GoalOf(fleet, PoolDeleted{"flush"});
  EXPECT_EQ(JudgeOperation(goal, fleet).state, State::kCancelled) << "somebody has it back";
  fleet.pools[0].is_configured = false;
  const Progress progress = JudgeOperation(goal, fleet);
  EXPECT_EQ(progress.state, State::kRunning);
  EXPECT_EQ(progress.workers.size(), 2u);
  EXPECT_EQ(JudgeOperation(goal, Fleet()).state, State::kSucceeded);
}

TEST(GoalOfTest, KnowsWhatAVerbWillLeadTo) {
  Fleet fleet = Settled(2);
  EXPECT_EQ(GoalOf(fleet, PoolResized{"flush", 2, 1, 8})->desired, 2);
  EXPECT_EQ(GoalOf(fleet, PoolRestarted{"flush"})->restart, 1u);
  BeginRestart(fleet, fleet.pools[0], RestartScope::kAll, 1);
  EXPECT_EQ(GoalOf(fleet, PoolRestarted{"flush"})->restart, 2u);
  EXPECT_EQ(GoalOf(fleet, WorkerRestarted{{"flush", 1}})->generation, Generation{2});
  WorkerOf(fleet, 1).state = WorkerState::kPending;  // its start has been ordered already
  EXPECT_EQ(GoalOf(fleet, WorkerRestarted{{"flush", 1}})->generation, Generation{1});
  EXPECT_FALSE(GoalOf(fleet, PoolPaused{"flush"}).has_value());
}

TEST(SupersedesTest, ANewerWishEndsWhatItMakesPointless) {
  EXPECT_TRUE(Supersedes(kStop, kStart));
  EXPECT_TRUE(Supersedes(kStop, kRestart));
  EXPECT_TRUE(Supersedes(kStart, kStop));
  EXPECT_TRUE(Supersedes(kResize, kResize));
  EXPECT_TRUE(Supersedes(kRestart, kRestart));
  EXPECT_FALSE(Supersedes(kStart, kResize));
  EXPECT_FALSE(Supersedes(kResize, kStop));
  EXPECT_FALSE(Supersedes(kResize, kRestartWorker)) << "the slot stays";
  OperationGoal smaller = kResize;
  smaller.desired = 1;
  EXPECT_TRUE(Supersedes(smaller, kRestartWorker));
  const OperationGoal update{.kind = Kind::kUpdatePool, .pool = "flush", .desired = 2};
  EXPECT_TRUE(Supersedes(update, update));
  EXPECT_TRUE(Supersedes(update, smaller));
  EXPECT_FALSE(Supersedes(update, kResize)) << "to the same size";
  EXPECT_FALSE(Supersedes(update, kStop)) << "the state may stay";
  EXPECT_TRUE(Supersedes(kResize, update));
  EXPECT_TRUE(Supersedes({Kind::kDeletePool, "flush"}, kStop));
  EXPECT_FALSE(Supersedes({Kind::kCreatePool, "flush"}, kStop));
  OperationGoal other = kStop;
  other.pool = "ingest";
  EXPECT_FALSE(Supersedes(other, kStart));
}

}  // namespace
}  // namespace spillway::fleet
