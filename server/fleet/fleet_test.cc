#include "server/fleet/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "server/fleet/fleet_test_fixture.h"

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(FleetTest, StartsEverySlotOnce) {
  Make(1, 2);
  EXPECT_THAT(Targets<Spawn>(), ElementsAre(F(0), F(1), WorkerKey{"ingest", 0}));
  Do(Tick{});
  EXPECT_THAT(Targets<Spawn>(), IsEmpty());
}

TEST_F(FleetTest, ShardsGoToReadyWorkersOnly) {
  Make(0, 2);
  Do(ShardsFound{4});
  Start(F(0));
  EXPECT_THAT(Targets<SendOrder>(), IsEmpty());
  OfThe(F(0), Attached{"u", "1"});
  Says(F(0), {}, 0);
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 2, 3));
  EXPECT_GT(orders_[F(0)].sequence, 1000u);
}

TEST_F(FleetTest, AShardIsGivenOnOnlyWhenItsOwnerHasGivenItUp) {
  Make(0, 2);
  Do(ShardsFound{4});
  MakeReady(F(0));
  MakeReady(F(1));
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1));
  EXPECT_THAT(Ordered(F(1)), IsEmpty()) << "the old owner has not given them up";
  Says(F(0), {0, 1}, orders_[F(0)].sequence - 1);
  EXPECT_THAT(Ordered(F(1)), IsEmpty()) << "a report from before the order proves nothing";
  Says(F(0), {0, 1, 2}, orders_[F(0)].sequence);
  EXPECT_THAT(Ordered(F(1)), ElementsAre(3)) << "one of the two is free";
  Obeys(F(0));
  EXPECT_THAT(Ordered(F(1)), ElementsAre(2, 3));
}

// ---- epochs of the dead -------------------------------------------------------------------------

constexpr Exited kKilled{Exited::Kind::kSignaled, 9, {}};

TEST_F(FleetTest, AnOrderNamesTheEpochsOfADeadOwner) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  MakeReady(F(1));
  Obeys(F(0));
  Says(F(0), {0}, orders_[F(0)].sequence, {7, 70});
  Says(F(0), {0}, orders_[F(0)].sequence, {9, 90});  // fenced, and taken again
  Says(F(0), {0}, orders_[F(0)].sequence, {9, 90});
  Says(F(1), {1}, orders_[F(1)].sequence, {4, 40});
  EXPECT_THAT(orders_[F(1)].dead, IsEmpty());
  OfThe(F(0), kKilled);
  EXPECT_THAT(Ordered(F(1)), ElementsAre(0, 1));
  EXPECT_THAT(orders_[F(1)].dead,
              ElementsAre(wire::DeadEpoch{{0}, {7, 70}}, wire::DeadEpoch{{0}, {9, 90}}));
}

TEST_F(FleetTest, AnEpochThatNobodyReportedIsNotCalledDead) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  MakeReady(F(1));
  Obeys(F(0));
  OfThe(F(0), kKilled);
  EXPECT_THAT(Ordered(F(1)), ElementsAre(0, 1));
  EXPECT_THAT(orders_[F(1)].dead, IsEmpty());
}

Exited DiedOver(const ClaimInHand& claim) {
  Exited exited = kKilled;
  exited.in_hand = claim;
  return exited;
}

TEST_F(FleetTest, AnOrderSaysWhatTheDeadOwnerWorkedOn) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  MakeReady(F(1));
  Obeys(F(0));
  Says(F(0), {0}, orders_[F(0)].sequence, {7, 70});
  OfThe(F(0), DiedOver({.shard = {0}, .epoch = {7, 70}, .claim = {1, 2}}));
  EXPECT_THAT(orders_[F(1)].dead, ElementsAre(wire::DeadEpoch{{0}, {7, 70}, ClaimId{1, 2}}));
  EXPECT_THAT(fleet_.workers.at(F(0)).last_death,
              ::testing::HasSubstr("worked on a claim of shards/0"));
}

// It took the shard, claimed, and died within its first 25 ms: its own word is the proof.
TEST_F(FleetTest, WhatADeadOwnerWorkedOnNamesAnEpochThatNobodyReported) {
  Make(0, 1);
  Do(ShardsFound{1});
  MakeReady(F(0));
  OfThe(F(0), DiedOver({.shard = {0}, .epoch = {7, 70}, .claim = {1, 2}}));
  Advance(seconds(2));
  MakeReady(F(0));
  EXPECT_THAT(orders_[F(0)].dead, ElementsAre(wire::DeadEpoch{{0}, {7, 70}, ClaimId{1, 2}}));
}

TEST_F(FleetTest, WhatWasInHandOfAnUnknownShardOrAnIngestWorkerIsNotTold) {
  Make(1, 1);
  Do(ShardsFound{1});
  MakeReady({"ingest", 0});
  MakeReady(F(0));
  OfThe({"ingest", 0}, DiedOver({.shard = {0}, .epoch = {7, 70}, .claim = {1, 2}}));
  OfThe(F(0), DiedOver({.shard = {9}, .epoch = {7, 70}, .claim = {1, 2}}));
  Advance(seconds(2));
  MakeReady(F(0));
  EXPECT_THAT(fleet_.shards, ::testing::SizeIs(1));
  EXPECT_THAT(orders_[F(0)].dead, IsEmpty());
}

// A part that ends every worker is dead-lettered after five: the budget's defaults allow for that.
TEST_F(FleetTest, TheDefaultBudgetOutlivesOnePartThatEndsEveryWorker) {
  Make(0, 1);
  Do(ShardsFound{1});
  for (uint64_t n = 1; n <= 5; ++n) {
    MakeReady(F(0));
    OfThe(F(0), DiedOver({.shard = {0}, .epoch = {n, n}, .claim = {n, n}}));
    EXPECT_EQ(StateOf(F(0)), WorkerState::kBackoff);
    Advance(seconds(20));
  }
  MakeReady(F(0));
  EXPECT_THAT(orders_[F(0)].dead, ::testing::SizeIs(5));
}

TEST_F(FleetTest, TwoDeathsBeforeASuccessorAreBothTold) {
  Make(0, 1);
  Do(ShardsFound{1});
  MakeReady(F(0));
  Says(F(0), {0}, orders_[F(0)].sequence, {1, 10});
  OfThe(F(0), kKilled);
  Advance(seconds(2));
  MakeReady(F(0));
  EXPECT_THAT(orders_[F(0)].dead, ElementsAre(wire::DeadEpoch{{0}, {1, 10}}));
  Says(F(0), {0}, orders_[F(0)].sequence, {2, 20});
  OfThe(F(0), kKilled);
  Advance(seconds(4));
  MakeReady(F(0));
  EXPECT_THAT(orders_[F(0)].dead,
              ElementsAre(wire::DeadEpoch{{0}, {1, 10}}, wire::DeadEpoch{{0}, {2, 20}}));
}

// It may have left claims to their leases; while it lives it may still deliver them.
TEST_F(FleetTest, AnOwnerThatGaveAShardUpAndDiesLaterIsToldAtItsDeath) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  Says(F(0), {0, 1}, orders_[F(0)].sequence, {5, 50});
  MakeReady(F(1));
  Says(F(0), {0}, orders_[F(0)].sequence, {5, 50});
  EXPECT_THAT(Ordered(F(1)), ElementsAre(1));
  EXPECT_THAT(orders_[F(1)].dead, IsEmpty());
  const uint64_t before = orders_[F(1)].sequence;
  OfThe(F(0), kKilled);
  EXPECT_GT(orders_[F(1)].sequence, before);
  EXPECT_THAT(orders_[F(1)].dead, testing::Contains(wire::DeadEpoch{{1}, {5, 50}}));
}

// Silence is no death: its shards are given on, its claims are not.
TEST_F(FleetTest, ASilentOwnersEpochIsToldOnlyWhenItIsProvenDead) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  MakeReady(F(1));
  Obeys(F(0));
  Says(F(0), {0}, orders_[F(0)].sequence, {5, 50});
  for (int i = 0; i < 100 && Ordered(F(1)).size() < 2; ++i) {
    Says(F(1), {1}, orders_[F(1)].sequence);
    Advance(seconds(1));
  }
  EXPECT_THAT(Ordered(F(1)), ElementsAre(0, 1));
  EXPECT_EQ(StateOf(F(0)), WorkerState::kStopping);
  EXPECT_THAT(orders_[F(1)].dead, IsEmpty());
  OfThe(F(0), kKilled);
  EXPECT_THAT(orders_[F(1)].dead, ElementsAre(wire::DeadEpoch{{0}, {5, 50}}));
}

TEST_F(FleetTest, ADeathThatNobodyProvedLeavesTheEpochsToTheirLeases) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  Says(F(0), {0, 1}, orders_[F(0)].sequence, {5, 50});
  fleet_ = MakeFleet(TwoPools(0, 2), 2000, now_);  // another server, which finds no process
  orders_.clear();
  Do(FoundLeftovers{{{F(0), Generation{1}, 0}}});
  Do(ShardsFound{2});
  MakeReady(F(0));
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1));
  EXPECT_THAT(orders_[F(0)].dead, IsEmpty());
}

TEST_F(FleetTest, RemembersTheNewestEpochsOfTheDead) {
  Make(0, 1);
  Do(ShardsFound{1});
  MakeReady(F(0));
  for (uint64_t n = 1; n <= kMaxDeadEpochs + 5; ++n) {
    Says(F(0), {0}, orders_[F(0)].sequence, {n, n});
  }
  OfThe(F(0), kKilled);
  const std::vector<wire::DeadEpoch>& dead = fleet_.shards.at(ShardId{0}).dead;
  ASSERT_EQ(dead.size(), kMaxDeadEpochs);
  EXPECT_EQ(dead.front().epoch, (Epoch{6, 6}));
}

TEST_F(FleetTest, AnOwnerThatDoesNotAnswerIsWaitedForUntilTheHandoverTimeout) {
  limits_.health.silence_timeout = config::Milliseconds(3'600'000);
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  MakeReady(F(1));
  Advance(limits_.health.handover_timeout - seconds(1));
  EXPECT_THAT(Ordered(F(1)), IsEmpty());
  Advance(seconds(1));
  EXPECT_THAT(Ordered(F(1)), ElementsAre(1));
}

TEST_F(FleetTest, TheShardsOfAProvenDeadWorkerAreFreeAtOnce) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  MakeReady(F(1));
  Obeys(F(0));
  Obeys(F(1));
  OfThe(F(0), Exited{Exited::Kind::kSignaled, 9, {}});
  EXPECT_THAT(Ordered(F(1)), ElementsAre(0, 1));
}

TEST_F(FleetTest, ReportsOfAnOldGenerationAreRefused) {
  Make(0, 1);
  MakeReady(F(0));
  OfThe(F(0), Exited{Exited::Kind::kExited, 1, {}});
  Advance(seconds(2));
  Start(F(0));
  auto report = std::make_shared<wire::WorkerReport>();
  report->is_ready = true;
  Do(OfWorker{F(0), Generation{1}, Reported{report}});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kStarting);
  Do(OfWorker{F(0), Generation{1}, Exited{}});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kStarting);
  OfThe(F(0), Reported{report});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kReady);
}

TEST_F(FleetTest, ShrinkingDrainsTheHighestSlots) {
  Make(0, 3);
  Do(ShardsFound{3});
  for (int slot = 0; slot < 3; ++slot) MakeReady(F(slot));
  for (int slot = 0; slot < 3; ++slot) Obeys(F(slot));
  Do(PoolResized{"flush", 1, 1, 8});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kReady);
  EXPECT_EQ(StateOf(F(1)), WorkerState::kDraining);
  EXPECT_EQ(StateOf(F(2)), WorkerState::kDraining);
  EXPECT_TRUE(orders_[F(2)].drain);
  EXPECT_THAT(Ordered(F(2)), IsEmpty());
  OfThe(F(2), Exited{Exited::Kind::kExited, 0, {}});
  EXPECT_FALSE(fleet_.workers.contains(F(2)));
  EXPECT_THAT(Ordered(F(0)), ::testing::SizeIs(2));
}

TEST_F(FleetTest, ASlotThatComesBackGetsAHigherGeneration) {
  Make(0, 2);
  MakeReady(F(1));
  Do(PoolResized{"flush", 1, 1, 8});
  OfThe(F(1), Exited{Exited::Kind::kExited, 0, {}});
  Do(PoolResized{"flush", 2, 1, 8});
  EXPECT_EQ(fleet_.workers.at(F(1)).generation, Generation{2});
}

TEST_F(FleetTest, AStoppedPoolKeepsItsSlotsAndStartsThemAgain) {
  Make(0, 1);
  MakeReady(F(0));
  Do(PoolStopped{"flush"});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kDraining);
  OfThe(F(0), Exited{Exited::Kind::kExited, 0, {}});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kStopped);
  Do(PoolStarted{"flush"});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kPending);
}

TEST_F(FleetTest, StartingAPoolGivesCrashLoopsAnotherChance) {
  Make(0, 1);
  Start(F(0));
  OfThe(F(0), Exited{Exited::Kind::kExited, 78, {}});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kCrashLoop);
  Do(PoolStarted{"flush"});
  EXPECT_THAT(Targets<Spawn>(), ElementsAre(F(0)));
}

TEST_F(FleetTest, ShutDownEndsEveryoneAndStartsNoOne) {
  Make(1, 1);
  MakeReady(F(0));
  Start({"ingest", 0});
  Do(ShutDown{});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kDraining);
  EXPECT_EQ(StateOf({"ingest", 0}), WorkerState::kStopping) << "no stream: TERM";
  OfThe(F(0), Exited{});
  Advance(seconds(60));
  EXPECT_EQ(StateOf(F(0)), WorkerState::kStopped);
}

TEST_F(FleetTest, AnOrderThatGotLostIsSentAgain) {
  Make(0, 1);
  Do(ShardsFound{1});
  MakeReady(F(0));
  Says(F(0), {}, 0);
  now_ += 2 * limits_.health.report_interval;
  Says(F(0), {}, 0);
  EXPECT_THAT(Targets<SendOrder>(), ElementsAre(F(0)));
  Obeys(F(0));
  now_ += 2 * limits_.health.report_interval;
  Obeys(F(0));
  EXPECT_THAT(Targets<SendOrder>(), IsEmpty());
}

TEST_F(FleetTest, ANewStreamGetsTheNewestOrder) {
  Make(0, 1);
  Do(ShardsFound{1});
  MakeReady(F(0));
  OfThe(F(0), Detached{});
  Do(ShardsFound{2});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0));
  OfThe(F(0), Attached{"u", "1"});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1));
}

TEST_F(FleetTest, AWorkerThatSaidGoodbyeHasNoShards) {
  Make(0, 2);
  Do(ShardsFound{2});
  MakeReady(F(0));
  MakeReady(F(1));
  Obeys(F(0));
  Do(SaidGoodbye{F(0), Generation{1}, {}});
  EXPECT_THAT(Ordered(F(1)), ElementsAre(0, 1));
}

TEST_F(FleetTest, OurOwnPauseEndsNoHandover) {
  Make(0, 2);
  Do(ShardsFound{4});
  MakeReady(F(0));
  MakeReady(F(1));
  now_ += limits_.health.handover_timeout * 2;
  Do(Tick{});
  EXPECT_THAT(Ordered(F(1)), IsEmpty()) << "the old owner may have stood still as well";
  Obeys(F(0));
  EXPECT_THAT(Ordered(F(1)), ElementsAre(2, 3));
}

TEST_F(FleetTest, OurOwnPauseIsNobodysSilence) {
  Make(0, 1);
  MakeReady(F(0));
  now_ += std::chrono::hours(1);
  Do(Tick{});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kReady);
}

TEST_F(FleetTest, ARestartedShardIsGivenUpByBothOwnersFirst) {
  Make(1, 1);
  Do(ShardsFound{2});
  MakeReady(F(0));
  const WorkerKey ingest{"ingest", 0};
  MakeReady(ingest);
  Says(ingest, {0, 1}, orders_[ingest].sequence, {7, 70});
  Do(ShardRestarted{ShardId{1}});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0));
  const std::vector<wire::HeldShard> left = {{ShardId{1}, {7, 70}}};
  EXPECT_EQ(orders_[ingest].retake, left);
  Obeys(F(0));
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1)) << "proven free, so given out again";
  Says(ingest, {0}, orders_[ingest].sequence, {7, 70});
  Says(ingest, {0, 1}, orders_[ingest].sequence, {8, 80});
  EXPECT_TRUE(orders_[ingest].retake.empty()) << "done: it has another epoch";
}

// ---- a server that starts among running workers -------------------------------------------------

TEST_F(FleetTest, DropRulesAreInTheOrdersOfIngestWorkersAndOnlyThere) {
  const WorkerKey ingest{"ingest", 0};
  Make(1, 1);
  MakeReady(ingest);
  MakeReady(F(0));
  const wire::DropRule rule{"noisy", {.project_id = 1, .trace_id = {}}, WallTime{5}};
  Do(DropRulesChanged{{rule}});
  EXPECT_THAT(Targets<SendOrder>(), ElementsAre(ingest));
  EXPECT_THAT(orders_[ingest].drop_rules, ElementsAre(rule));
  Obeys(ingest);
  EXPECT_THAT(Targets<SendOrder>(), IsEmpty());
  Do(DropRulesChanged{});
  EXPECT_THAT(orders_[ingest].drop_rules, IsEmpty());
}

TEST_F(FleetTest, AdoptsWhatRunsAndStartsTheRest) {
  fleet_ = MakeFleet(TwoPools(0, 2), 1000, now_);
  Do(FoundLeftovers{{{F(1), Generation{4}, 77}, {F(0), Generation{9}, 0}}});
  EXPECT_EQ(StateOf(F(1)), WorkerState::kStarting);
  EXPECT_EQ(fleet_.workers.at(F(1)).pid, 77);
  EXPECT_THAT(Targets<Spawn>(), ElementsAre(F(0)));
  EXPECT_EQ(fleet_.workers.at(F(0)).generation, Generation{10}) << "above the dead one's";
}

TEST_F(FleetTest, ShardsWaitForAdoptedWorkersToSpeak) {
  fleet_ = MakeFleet(TwoPools(0, 2), 1000, now_);
  Do(FoundLeftovers{{{F(1), Generation{4}, 77}}});
  Do(ShardsFound{2});
  MakeReady(F(0));
  EXPECT_THAT(Ordered(F(0)), IsEmpty());
  OfThe(F(1), Attached{"u", "1"});
  Says(F(1), {1}, 55);
  EXPECT_THAT(Ordered(F(1)), ElementsAre(1)) << "it keeps what it holds";
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0));
}

TEST_F(FleetTest, OrdersAreNumberedAboveWhatAnEarlierServerGave) {
  fleet_ = MakeFleet(TwoPools(0, 1), 1000, now_);
  Do(FoundLeftovers{{{F(0), Generation{4}, 77}}});
  Do(ShardsFound{1});
  OfThe(F(0), Attached{"u", "1"});
  Says(F(0), {0}, 5000);
  EXPECT_GT(orders_[F(0)].sequence, 5000u);
}

TEST_F(FleetTest, AMuteAdoptedWorkerDoesNotHoldShardsBackForEver) {
  limits_.health.silence_timeout = config::Milliseconds(3'600'000);
  fleet_ = MakeFleet(TwoPools(0, 2), 1000, now_);
  Do(FoundLeftovers{{{F(1), Generation{4}, 77}}});
  Do(ShardsFound{2});
  MakeReady(F(0));
  Advance(limits_.health.handover_timeout);
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1));
}

TEST_F(FleetTest, AnEarlierServersWorkersAboveTheWishAreEnded) {
  fleet_ = MakeFleet(TwoPools(0, 1), 1000, now_);
  Do(FoundLeftovers{{{F(0), Generation{4}, 77}, {F(2), Generation{4}, 78}}});
  EXPECT_EQ(FindPool(fleet_, "flush")->desired, 1) << "what is wished is on record";
  EXPECT_EQ(StateOf(F(2)), WorkerState::kStopping);
}

TEST_F(FleetTest, WorkersOfAPoolThatIsNoMoreAreEnded) {
  fleet_ = MakeFleet(TwoPools(0, 1), 1000, now_);
  Do(FoundLeftovers{{{{"old", 0}, Generation{4}, 77}}});
  EXPECT_EQ(StateOf({"old", 0}), WorkerState::kStopping);
  OfThe({"old", 0}, Exited{});
  EXPECT_EQ(FindPool(fleet_, "old"), nullptr);
}

TEST_F(FleetTest, JudgesAHello) {
  Make(0, 1);
  Start(F(0));
  wire::Hello hello;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  hello.pid = 100;
  hello.generation = Generation{1};
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kAccept);
  OfThe(F(0), Attached{"u", "1"});
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kDuplicate);
  hello.pid = 101;
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kStale);
  hello.slot = 5;
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kUnknown);
  hello.slot = 0;
  hello.role = wire::Role::kIngest;
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kUnknown);
  OfThe(F(0), Exited{});
  hello.role = wire::Role::kFlush;
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kAdopt);
  hello.generation = Generation{0};
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kStale);
}

TEST_F(FleetTest, UnknownNamesChangeNothing) {
  Make(0, 1);
  Do(OfWorker{{"none", 0}, Generation{1}, Exited{}});
  Do(PoolResized{"none", 3, 1, 8});
  Do(PoolDeleted{"none"});
  Do(PoolStopped{"none"});
  Do(PoolStarted{"none"});
  EXPECT_THAT(actions_, IsEmpty());
}

TEST_F(FleetTest, EventsTogetherComeToTheSameAsOneByOne) {
  Make(0, 2);
  Do(ShardsFound{4});
  for (const int slot : {0, 1}) {
    Start(F(slot));
    OfThe(F(slot), Attached{"uid", ""});
  }
  const auto ready = std::make_shared<wire::WorkerReport>();
  ready->is_ready = true;
  const Fleet before = fleet_;
  for (const int slot : {0, 1}) OfThe(F(slot), Reported{ready});
  const std::map<WorkerKey, wire::Order> one_by_one = orders_;
  fleet_ = before;
  orders_.clear();
  Together together;
  for (const int slot : {0, 1}) {
    together.events.push_back({F(slot), fleet_.workers.at(F(slot)).generation, Reported{ready}});
  }
  Do(together);
  EXPECT_THAT(orders_.at(F(0)).shards, ElementsAre(ShardId{0}, ShardId{1}));
  EXPECT_THAT(orders_.at(F(1)).shards, ElementsAre(ShardId{2}, ShardId{3}))
      << "given at once, where one after the other the first had to hand them over";
  EXPECT_THAT(one_by_one.at(F(0)).shards, ElementsAre(ShardId{0}, ShardId{1}));
}

}  // namespace
}  // namespace spillway::fleet
