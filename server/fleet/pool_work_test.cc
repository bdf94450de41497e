#include "server/fleet/pool_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "server/fleet/fleet.h"

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using R = PoolRestart::State;

WorkerKey F(int slot) { return {"flush", slot}; }
WorkerKey I(int slot) { return {"ingest", slot}; }

// A fleet of workers that start, dial in, obey and end as they are told, one step of each a Turn;
// those that a test breaks do not.
class VerbsTest : public ::testing::Test {
 protected:
  void Make(int ingest, int flush) {
    config::Config config;
    config.pools.resize(2);
    config.pools[0].name = "ingest";
    config.pools[0].replicas = ingest;
    config.pools[1].name = "flush";
    config.pools[1].role = config::Role::kFlush;
    config.pools[1].replicas = flush;
    config_ = config;
    fleet_ = MakeFleet(config_, 1000, now_);
    Do(FoundLeftovers{});
    Do(ShardsFound{4});
    Settle();
  }
  void Do(const Event& event) {
    Transition transition = Step(std::move(fleet_), event, now_, limits_);
    fleet_ = std::move(transition.fleet);
    for (const Action& action : transition.actions) {
      if (const auto* order = std::get_if<SendOrder>(&action))
        orders_[order->worker] = order->order;
      if (const auto* spawn = std::get_if<Spawn>(&action)) spawns_.push_back(*spawn);
    }
    CheckServing();
  }
  void OfThe(const WorkerKey& key, const WorkerEvent& event) {
    Do(OfWorker{key, fleet_.workers.at(key).generation, event});
  }
  // Time passes and every worker does its next step.
  void Turn() {
    now_ += milliseconds(500);
    Do(Tick{});
    std::vector<WorkerKey> keys;
    for (const auto& [key, worker] : fleet_.workers) keys.push_back(key);
    for (const WorkerKey& key : keys) {
      if (fleet_.workers.contains(key)) Live(key);
    }
  }
  void Settle() {
    for (int i = 0; i < 60; ++i) Turn();
  }
  void Live(const WorkerKey& key) {
    const Worker& worker = fleet_.workers.at(key);
    if (worker.state == WorkerState::kPending) return OfThe(key, Started{++last_pid_});
    if (!worker.has_process) return;
    if (crashing_.contains(key)) return OfThe(key, Exited{Exited::Kind::kExited, 1, {}});
    if (!worker.is_attached) {
      orders_.erase(key);
      return OfThe(key, Attached{"u", "1"});
    }
    if (orders_[key].drain) return OfThe(key, Exited{Exited::Kind::kExited, 0, {}});
    Report(key);
  }
  void Report(const WorkerKey& key) {
    const wire::Order& order = orders_[key];
    auto report = std::make_shared<wire::WorkerReport>();
    report->sequence = ++last_report_;
    report->is_ready = !waiting_.contains(key);
    if (!report->is_ready) report->waiting_for = {"redis"};
    report->order_sequence = order.sequence;
    report->is_paused = order.pause;
    for (const ShardId id : order.shards) {
      wire::ShardReport shard;
      shard.shard = id;
      shard.stage = wire::ShardStage::kOwned;
      const bool is_idle = std::find(order.idle.begin(), order.idle.end(), id) != order.idle.end();
      shard.backlog = due_[id];
      shard.in_flight = is_idle ? 0 : due_[id];
      shard.claims_of_others = claims_of_others_;
      report->shards.push_back(shard);
    }
    if (key == I(0)) {
      wire::ShardReport shard;
      shard.stage = wire::ShardStage::kOwned;
      shard.unwritten = unwritten_;
      shard.is_committed = is_committed_;
      report->shards.push_back(shard);
    }
    OfThe(key, Reported{report});
  }

  Pool& The(const std::string& pool) { return const_cast<Pool&>(*FindPool(fleet_, pool)); }
  const PoolRestart& Restarted() { return *The("flush").restart; }
  std::vector<Generation> Generations() {
    std::vector<Generation> generations;
    for (const auto& [key, worker] : fleet_.workers) {
      if (key.pool == "flush") generations.push_back(worker.generation);
    }
    return generations;
  }
  // Never more slots down than allowed because of us.
  void CheckServing() {
    if (allowed_ < 0) return;
    int down = 0;
    for (int32_t slot = 0; slot < The("flush").desired; ++slot) {
      down += !Serves(fleet_.workers.at(F(slot)));
    }
    ASSERT_LE(down, allowed_);
    worst_ = std::max(worst_, down);
  }

  Instant now_ = Instant(seconds(1000));
  Limits limits_;
  config::Config config_;
  Fleet fleet_;
  std::map<WorkerKey, wire::Order> orders_;
  std::vector<Spawn> spawns_;
  std::set<WorkerKey> crashing_, waiting_;
  int64_t last_pid_ = 100;
  uint64_t last_report_ = 0;
  std::map<ShardId, uint64_t> due_;
  uint64_t claims_of_others_ = 0, unwritten_ = 0;
  bool is_committed_ = true;
  int allowed_ = -1, worst_ = 0;
};

// ---- restart ------------------------------------------------------------------------------------

TEST_F(VerbsTest, RestartsAPoolOneByOne) {
  Make(0, 4);
  allowed_ = 1;
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(Restarted().replaced, 4);
  EXPECT_EQ(worst_, 1);
  EXPECT_THAT(Generations(),
              ElementsAre(Generation{2}, Generation{2}, Generation{2}, Generation{2}));
}

TEST_F(VerbsTest, RestartsAsManyAtOnceAsMayBeMissed) {
  Make(0, 5);
  allowed_ = 3;
  Do(PoolRestarted{"flush", RestartScope::kAll, 3});
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(worst_, 3);
}

TEST_F(VerbsTest, ARestartedWorkerHandsItsShardsOverBeforeItEnds) {
  Make(0, 2);
  Do(WorkerRestarted{F(0)});
  EXPECT_EQ(fleet_.workers.at(F(0)).state, WorkerState::kDraining);
  EXPECT_TRUE(orders_[F(0)].drain);
  EXPECT_THAT(orders_[F(0)].shards, IsEmpty());
  Settle();
  EXPECT_EQ(fleet_.workers.at(F(0)).generation, Generation{2});
  EXPECT_TRUE(Serves(fleet_.workers.at(F(0))));
  EXPECT_EQ(orders_[F(0)].shards.size() + orders_[F(1)].shards.size(), 4u);
}

TEST_F(VerbsTest, TheNextWaitsUntilTheReplacedOneServes) {
  Make(0, 3);
  waiting_ = {F(0)};
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  for (int i = 0; i < 20; ++i) Turn();
  EXPECT_EQ(Restarted().state, R::kUnderWay);
  EXPECT_THAT(Restarted().detail, HasSubstr("pools/flush/workers/0 is STARTING: waits: redis"));
  EXPECT_EQ(fleet_.workers.at(F(1)).generation, Generation{1});
  waiting_.clear();
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
}

TEST_F(VerbsTest, ARestartThatDoesNotBecomeHealthyStopsThere) {
  Make(0, 3);
  waiting_ = {F(0)};
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  for (int i = 0; i < 400; ++i) Turn();
  EXPECT_EQ(Restarted().state, R::kHalted);
  EXPECT_THAT(Restarted().detail, HasSubstr("pools/flush/workers/0"));
  waiting_.clear();
  Settle();
  EXPECT_TRUE(Serves(fleet_.workers.at(F(0)))) << "the worker itself goes on";
  EXPECT_THAT(Generations(), ElementsAre(Generation{2}, Generation{1}, Generation{1}));
}

TEST_F(VerbsTest, ACrashLoopHaltsTheRestart) {
  Make(0, 3);
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  crashing_ = {F(0)};
  for (int i = 0; i < 400; ++i) Turn();
  EXPECT_EQ(fleet_.workers.at(F(0)).state, WorkerState::kCrashLoop);
  EXPECT_EQ(Restarted().state, R::kHalted);
  EXPECT_THAT(Restarted().detail, HasSubstr("CRASH_LOOP: exited with 1"));
  EXPECT_EQ(fleet_.workers.at(F(1)).generation, Generation{1});
}

TEST_F(VerbsTest, APersonsRestartEndsACrashLoopWithANewBudget) {
  Make(0, 2);
  crashing_ = {F(1)};
  for (int i = 0; i < 400; ++i) Turn();
  ASSERT_EQ(fleet_.workers.at(F(1)).state, WorkerState::kCrashLoop);
  crashing_.clear();
  Do(WorkerRestarted{F(1)});
  EXPECT_TRUE(fleet_.workers.at(F(1)).history.deaths.empty());
  Settle();
  EXPECT_TRUE(Serves(fleet_.workers.at(F(1))));
}

TEST_F(VerbsTest, RestartsOnlyWhatHasFailed) {
  Make(0, 4);
  crashing_ = {F(1), F(3)};
  for (int i = 0; i < 400; ++i) Turn();
  crashing_.clear();
  Do(PoolRestarted{"flush", RestartScope::kFailed, 1});
  EXPECT_THAT(Restarted().replacing, ElementsAre(Key(1), Key(3)))
      << "what is down anyway is nobody's loss";
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(fleet_.workers.at(F(0)).generation, Generation{1});
  EXPECT_EQ(fleet_.workers.at(F(2)).generation, Generation{1});
}

TEST_F(VerbsTest, NothingFailedIsNothingToRestart) {
  Make(0, 2);
  Do(PoolRestarted{"flush", RestartScope::kFailed, 1});
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(Restarted().replaced, 0);
}

TEST_F(VerbsTest, SomebodyElsesFailureCountsAsDown) {
  Make(0, 3);
  crashing_ = {F(2)};
  for (int i = 0; i < 400; ++i) Turn();
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  EXPECT_THAT(Restarted().replacing, ElementsAre(Key(2))) << "it is down anyway";
  for (int i = 0; i < 400; ++i) Turn();
  EXPECT_EQ(Restarted().state, R::kHalted);
  EXPECT_EQ(fleet_.workers.at(F(0)).generation, Generation{1});
}

TEST_F(VerbsTest, AResizeMeanwhileTakesSlotsAwayFromTheRestart) {
  Make(0, 4);
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  Do(PoolResized{"flush", 2, 1, 8});
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(Restarted().replaced, 2);
  EXPECT_THAT(Generations(), ElementsAre(Generation{2}, Generation{2}));
}

TEST_F(VerbsTest, WhatAResizeAddsMeanwhileIsNewAlready) {
  Make(0, 2);
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  Do(PoolResized{"flush", 4, 1, 8});
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_THAT(Generations(),
              ElementsAre(Generation{2}, Generation{2}, Generation{1}, Generation{1}));
}

TEST_F(VerbsTest, ASecondRestartReplacesTheFirst) {
  Make(0, 3);
  allowed_ = 1;
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  for (int i = 0; i < 4; ++i) Turn();
  ASSERT_EQ(Restarted().state, R::kUnderWay);
  ASSERT_EQ(fleet_.workers.at(F(0)).generation, Generation{2});
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  EXPECT_EQ(Restarted().number, 2u);
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(fleet_.workers.at(F(0)).generation, Generation{3}) << "it was there when asked";
  EXPECT_GE(fleet_.workers.at(F(2)).generation, Generation{2});
}

TEST_F(VerbsTest, StoppingThePoolCancelsItsRestart) {
  Make(0, 3);
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  Do(PoolStopped{"flush"});
  EXPECT_EQ(Restarted().state, R::kCancelled);
  Settle();
  Do(PoolStarted{"flush"});
  Settle();
  EXPECT_EQ(Restarted().state, R::kCancelled);
  EXPECT_TRUE(Serves(fleet_.workers.at(F(2))));
}

TEST_F(VerbsTest, AWorkerThatWasReplacedByItsDeathIsNotRestartedAgain) {
  Make(0, 3);
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  OfThe(F(2), Exited{Exited::Kind::kSignaled, 9, {}});
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(fleet_.workers.at(F(2)).generation, Generation{2});
}

TEST_F(VerbsTest, OurOwnPauseHaltsNoRestart) {
  Make(0, 2);
  waiting_ = {F(0)};
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  for (int i = 0; i < 10; ++i) Turn();
  now_ += seconds(3600);
  Turn();
  EXPECT_EQ(Restarted().state, R::kUnderWay);
}

// ---- pause --------------------------------------------------------------------------------------

TEST_F(VerbsTest, APausedPoolKeepsShardsAndHealth) {
  Make(1, 2);
  const std::vector<ShardId> before = orders_[F(0)].shards;
  Do(PoolPaused{"flush"});
  EXPECT_TRUE(orders_[F(0)].pause);
  EXPECT_FALSE(orders_[I(0)].pause);
  Settle();
  EXPECT_EQ(orders_[F(0)].shards, before);
  EXPECT_TRUE(Serves(fleet_.workers.at(F(0))));
  EXPECT_THAT(Generations(), ElementsAre(Generation{1}, Generation{1}));
  Do(PoolResumed{"flush"});
  EXPECT_FALSE(orders_[F(0)].pause);
  EXPECT_EQ(orders_[F(0)].shards, before);
}

TEST_F(VerbsTest, AWorkerStartedWhilePausedStartsPaused) {
  Make(1, 0);
  Do(PoolPaused{"ingest"});
  Do(PoolResized{"ingest", 2, 1, 8});
  EXPECT_EQ(spawns_.back().worker, I(1));
  EXPECT_TRUE(spawns_.back().is_paused);
  Settle();
  EXPECT_TRUE(orders_[I(1)].pause);
  Do(PoolResumed{"ingest"});
  Do(PoolResized{"ingest", 3, 1, 8});
  EXPECT_FALSE(spawns_.back().is_paused);
}

TEST_F(VerbsTest, APausedPoolCanBeRestarted) {
  Make(0, 2);
  Do(PoolPaused{"flush"});
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_TRUE(orders_[F(0)].pause);
}

TEST_F(VerbsTest, ThePauseOutlivesTheServer) {
  Make(0, 2);
  Do(PoolPaused{"flush"});
  Settle();
  const Generation one{1};
  fleet_ = MakeFleet(config_, 2000, now_);
  Do(FoundLeftovers{{{F(0), one, 101}, {F(1), one, 102}}});
  Settle();
  EXPECT_EQ(The("flush").state, PoolState::kRunning) << "these have forgotten";
  fleet_ = MakeFleet(config_, 2000, now_);
  Do(FoundLeftovers{{{F(0), one, 101}, {F(1), one, 102}}});
  OfThe(F(1), Attached{"u", "1"});
  auto report = std::make_shared<wire::WorkerReport>();
  report->is_ready = report->is_paused = true;
  OfThe(F(1), Reported{report});
  EXPECT_EQ(The("flush").state, PoolState::kPaused);
  EXPECT_TRUE(orders_[F(1)].pause);
}

// ---- drain --------------------------------------------------------------------------------------

using D = PoolDrain::State;

TEST_F(VerbsTest, AFlushPoolDrainsShardByShardAndIsPausedThen) {
  Make(0, 2);
  due_ = {{ShardId{0}, 7}, {ShardId{3}, 2}};
  Do(PoolDrained{"flush", seconds(60)});
  for (int i = 0; i < 6; ++i) Turn();
  const PoolDrain& drain = *The("flush").drain;
  EXPECT_EQ(The("flush").state, PoolState::kDraining);
  EXPECT_THAT(drain.settled, ElementsAre(ShardId{1}, ShardId{2}));
  ASSERT_EQ(drain.remaining.size(), 2u);
  EXPECT_EQ(drain.remaining[0].shard, ShardId{0});
  EXPECT_EQ(drain.remaining[0].parts, 7u);
  EXPECT_EQ(drain.remaining[0].why, "is being delivered");
  due_[ShardId{1}] = 5;  // newly due: it stays where it is
  due_.erase(ShardId{0});
  due_.erase(ShardId{3});
  for (int i = 0; i < 6; ++i) Turn();
  EXPECT_EQ(The("flush").drain->state, D::kDone);
  EXPECT_EQ(The("flush").state, PoolState::kPaused);
  EXPECT_TRUE(orders_[F(0)].pause);
  EXPECT_THAT(orders_[F(0)].idle, IsEmpty());
  EXPECT_EQ(orders_[F(0)].shards.size() + orders_[F(1)].shards.size(), 4u) << "still owned";
}

TEST_F(VerbsTest, ADrainWhoseTimeIsUpSaysWhatRemainsAndWhy) {
  Make(0, 1);
  due_ = {{ShardId{2}, 3}};
  Do(PoolDrained{"flush", seconds(5)});
  Settle();
  EXPECT_EQ(The("flush").drain->state, D::kTimedOut);
  EXPECT_EQ(The("flush").state, PoolState::kPaused);
  ASSERT_EQ(The("flush").drain->remaining.size(), 1u);
  EXPECT_EQ(The("flush").drain->remaining[0].worker, F(0));
}

TEST_F(VerbsTest, ClaimsOfADeadOwnerKeepADrainFromItsEnd) {
  Make(0, 1);
  claims_of_others_ = 1;
  Do(PoolDrained{"flush", seconds(600)});
  Settle();
  EXPECT_EQ(The("flush").drain->state, D::kUnderWay);
  EXPECT_THAT(The("flush").drain->remaining.at(0).why, HasSubstr("earlier owner"));
  claims_of_others_ = 0;
  Settle();
  EXPECT_EQ(The("flush").drain->state, D::kDone);
}

TEST_F(VerbsTest, AWorkerThatDoesNotWorkKeepsADrainFromItsEnd) {
  Make(0, 2);
  crashing_ = {F(1)};
  Do(PoolDrained{"flush", seconds(600)});
  Settle();
  EXPECT_EQ(The("flush").drain->state, D::kUnderWay);
  EXPECT_EQ(The("flush").drain->remaining.at(0).worker, F(1));
  EXPECT_THAT(The("flush").drain->remaining.at(0).why, HasSubstr("is "));
  crashing_.clear();
  Settle();
  Do(WorkerRestarted{F(1)});
  Settle();
  EXPECT_EQ(The("flush").drain->state, D::kDone);
}

TEST_F(VerbsTest, AnIngestPoolIsDrainedWhenAllThatWasReadIsWrittenAndCommitted) {
  Make(1, 0);
  unwritten_ = 12;
  is_committed_ = false;
  Do(PoolDrained{"ingest", seconds(600)});
  EXPECT_TRUE(orders_[I(0)].pause);
  for (int i = 0; i < 4; ++i) Turn();
  EXPECT_EQ(The("ingest").drain->remaining.at(0).messages, 12u);
  unwritten_ = 0;
  for (int i = 0; i < 4; ++i) Turn();
  EXPECT_THAT(The("ingest").drain->remaining.at(0).why, HasSubstr("committed"));
  is_committed_ = true;
  for (int i = 0; i < 4; ++i) Turn();
  EXPECT_EQ(The("ingest").drain->state, D::kDone);
  EXPECT_EQ(The("ingest").state, PoolState::kPaused);
}

TEST_F(VerbsTest, OtherVerbsCancelADrainAndASecondDrainTakesItsPlace) {
  for (const Event& verb :
       {Event(PoolPaused{"flush"}), Event(PoolResumed{"flush"}), Event(PoolStopped{"flush"})}) {
    Make(0, 1);
    due_ = {{ShardId{2}, 3}};
    Do(PoolDrained{"flush", seconds(600)});
    Do(verb);
    EXPECT_EQ(The("flush").drain->state, D::kCancelled);
  }
  Make(0, 1);
  Do(PoolDrained{"flush", seconds(600)});
  Do(PoolDrained{"flush", seconds(5)});
  EXPECT_EQ(The("flush").drain->number, 2u);
  EXPECT_EQ(The("flush").drain->state, D::kUnderWay);
  EXPECT_EQ(The("flush").drain->deadline, now_ + seconds(5));
}

TEST_F(VerbsTest, ADrainingPoolCanBeResizedAndRestarted) {
  Make(0, 2);
  due_ = {{ShardId{2}, 3}};
  Do(PoolDrained{"flush", seconds(600)});
  for (int i = 0; i < 6; ++i) Turn();
  Do(PoolResized{"flush", 3, 1, 8});
  Do(PoolRestarted{"flush", RestartScope::kAll, 1});
  Settle();
  EXPECT_EQ(Restarted().state, R::kDone);
  EXPECT_EQ(The("flush").drain->state, D::kUnderWay);
  due_.clear();
  Settle();
  EXPECT_EQ(The("flush").drain->state, D::kDone);
}

// ---- every state of a pool × every verb ---------------------------------------------------------

TEST_F(VerbsTest, EveryStateOfAPoolTimesEveryVerb) {
  using S = PoolState;
  struct Row {
    S state, start, stop, pause, resume, drain, restart;
  };
  const auto after = [&](S state, const Event& verb) {
    Make(0, 1);
    due_ = {{ShardId{0}, 1}};
    if (state == S::kDraining) Do(PoolDrained{"flush", seconds(600)});
    The("flush").state = state;
    Do(verb);
    return The("flush").state;
  };
  // clang-format off
  for (const Row& row : {
           //  state          start          stop          pause         resume        drain         restart
           Row{S::kRunning,  S::kRunning,  S::kStopped, S::kPaused,  S::kRunning, S::kDraining, S::kRunning},
           Row{S::kPaused,   S::kPaused,   S::kStopped, S::kPaused,  S::kRunning, S::kDraining, S::kPaused},
           Row{S::kDraining, S::kDraining, S::kStopped, S::kPaused,  S::kRunning, S::kDraining, S::kDraining},
           Row{S::kStopped,  S::kRunning,  S::kStopped, S::kStopped, S::kStopped, S::kStopped,  S::kStopped}}) {
    // clang-format on
    SCOPED_TRACE(StateName(row.state));
    EXPECT_EQ(after(row.state, PoolStarted{"flush"}), row.start);
    EXPECT_EQ(after(row.state, PoolStopped{"flush"}), row.stop);
    EXPECT_EQ(after(row.state, PoolPaused{"flush"}), row.pause);
    EXPECT_EQ(after(row.state, PoolResumed{"flush"}), row.resume);
    EXPECT_EQ(after(row.state, PoolDrained{"flush", seconds(600)}), row.drain);
    EXPECT_EQ(after(row.state, PoolRestarted{"flush"}), row.restart);
    EXPECT_EQ(The("flush").restart.has_value(), row.state != S::kStopped);
  }
}

TEST_F(VerbsTest, VerbsOnUnknownNamesChangeNothing) {
  Make(0, 1);
  spawns_.clear();
  Do(PoolPaused{"none"});
  Do(PoolResumed{"none"});
  Do(PoolRestarted{"none"});
  Do(WorkerRestarted{F(7)});
  Do(WorkerRestarted{{"none", 0}});
  EXPECT_THAT(spawns_, IsEmpty());
}

}  // namespace
}  // namespace spillway::fleet
