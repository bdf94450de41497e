// Registered workers in the fleet: who gets which place, and what becomes of shards.
#include "server/fleet/registration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

WorkerKey F(int slot) { return {"flush", slot}; }

wire::Hello HelloFrom(const std::string& uid, int slot = 0, uint64_t generation = 0) {
  wire::Hello hello;
  hello.uid = uid;
  hello.pid = 7;
  hello.role = wire::Role::kFlush;
  hello.pool = "flush";
  hello.slot = slot;
  hello.generation = {generation};
  hello.is_registered = true;
  return hello;
}

class RegistrationTest : public ::testing::Test {
 protected:
  RegistrationTest() { Restart(); }

  // A new server, that knows nobody.
  void Restart() {
    config::Config config;
    config.pools.resize(2);
    config.pools[0].name = "flush";
    config.pools[0].role = config::Role::kFlush;
    config.pools[0].min = 1;
    config.pools[0].max = 3;
    config.pools[0].scale_owner = config::ScaleOwner::kExternal;
    config.pools[1].name = "ours";
    config.pools[1].role = config::Role::kFlush;
    config.pools[1].replicas = config.pools[1].min = 0;
    fleet_ = MakeFleet(config, 1000, now_);
    orders_.clear();
    Do(FoundLeftovers{});
    Do(ShardsFound{4});
  }
  void Do(const Event& event) {
    Transition transition = Step(std::move(fleet_), event, now_, limits_);
    fleet_ = std::move(transition.fleet);
    for (const Action& action : transition.actions) {
      if (const auto* order = std::get_if<SendOrder>(&action)) {
        orders_[order->worker] = order->order;
      } else {
        EXPECT_TRUE(std::holds_alternative<Note>(action)) << "nobody is launched or signalled";
      }
    }
  }
  Seat Register(const wire::Hello& hello) {
    const auto judgement = JudgeRegistration(fleet_, hello);
    const Seat* seat = std::get_if<Seat>(&judgement);
    if (seat == nullptr) {
      ADD_FAILURE() << hello.uid << " has been refused";
      return {};
    }
    Do(WorkerRegistered{seat->worker, seat->generation, {7, hello.uid, "1", seat->is_known}});
    return *seat;
  }
  NotSeated Refused(const wire::Hello& hello) {
    const auto judgement = JudgeRegistration(fleet_, hello);
    EXPECT_TRUE(std::holds_alternative<NotSeated>(judgement));
    return std::get<NotSeated>(judgement);
  }
  void OfThe(const WorkerKey& key, const WorkerEvent& event) {
    Do(OfWorker{key, fleet_.workers.at(key).generation, event});
  }
  void Says(const WorkerKey& key, const std::vector<int>& held, uint64_t order = 0) {
    auto report = std::make_shared<wire::WorkerReport>();
    report->is_ready = true;
    report->order_sequence = order;
    for (const int id : held) {
      wire::ShardReport shard;
      shard.shard = ShardId{id};
      shard.stage = wire::ShardStage::kOwned;
      shard.epoch = {static_cast<uint64_t>(id) + 1, static_cast<uint64_t>(key.slot) + 1};
      report->shards.push_back(shard);
    }
    OfThe(key, Reported{report});
  }
  std::vector<int> Ordered(const WorkerKey& key) {
    std::vector<int> shards;
    for (const ShardId id : orders_[key].shards) shards.push_back(id.value);
    return shards;
  }
  void Obeys(const WorkerKey& key) { Says(key, Ordered(key), orders_[key].sequence); }
  // Time passes; `speakers` go on to report.
  void Advance(Duration d, const std::vector<WorkerKey>& speakers = {}) {
    for (; d > Duration(0); d -= milliseconds(500)) {
      now_ += milliseconds(500);
      for (const WorkerKey& key : speakers) Obeys(key);
      Do(Tick{});
    }
  }
  // a in 0, b in 1; two shards each.
  void Two() {
    Register(HelloFrom("a"));
    Register(HelloFrom("b"));
    Says(F(0), {});
    Says(F(1), {});
    Advance(seconds(6), {F(0), F(1)});
    ASSERT_THAT(Ordered(F(0)), ElementsAre(0, 1));
    ASSERT_THAT(Ordered(F(1)), ElementsAre(2, 3));
  }
  WorkerState StateOf(const WorkerKey& key) { return fleet_.workers.at(key).state; }

  Instant now_ = Instant(seconds(1000));
  Limits limits_;
  Fleet fleet_;
  std::map<WorkerKey, wire::Order> orders_;
};

TEST_F(RegistrationTest, NewWorkersGetTheLowestFreePlaces) {
  EXPECT_EQ(Register(HelloFrom("a")).worker, F(0));
  EXPECT_EQ(Register(HelloFrom("b")).worker, F(1));
  EXPECT_EQ(fleet_.workers.at(F(1)).generation, Generation{1});
  EXPECT_EQ(FindPool(fleet_, "flush")->desired, 2);
  Do(SaidGoodbye{F(0), Generation{1}, {}});
  EXPECT_EQ(FindPool(fleet_, "flush")->desired, 1);
  const Seat next = Register(HelloFrom("c"));
  EXPECT_EQ(next.worker, F(0));
  EXPECT_EQ(next.generation, Generation{2});
}

TEST_F(RegistrationTest, RefusesWithAReasonOfItsOwnEach) {
  wire::Hello hello = HelloFrom("a");
  hello.pool = "none";
  EXPECT_EQ(Refused(hello).why, NoSeat::kUnknown);
  hello.pool = "ours";
  EXPECT_EQ(Refused(hello).why, NoSeat::kLaunched);
  hello = HelloFrom("a");
  hello.role = wire::Role::kIngest;
  EXPECT_EQ(Refused(hello).why, NoSeat::kUnknown);
  Register(HelloFrom("a"));
  const NotSeated cloned = Refused(HelloFrom("a", 0, 1));
  EXPECT_EQ(cloned.why, NoSeat::kDuplicate);
  EXPECT_EQ(cloned.other->key, F(0));
  EXPECT_EQ(Refused(HelloFrom("a")).why, NoSeat::kDuplicate);
  Register(HelloFrom("b"));
  Register(HelloFrom("c"));
  EXPECT_EQ(Refused(HelloFrom("d")).why, NoSeat::kFull);
}

TEST_F(RegistrationTest, AnOlderGenerationIsRefused) {
  Register(HelloFrom("a"));
  Do(SaidGoodbye{F(0), Generation{1}, {}});
  Register(HelloFrom("b"));
  EXPECT_EQ(Refused(HelloFrom("x", 0, 1)).why, NoSeat::kStale);
}

TEST_F(RegistrationTest, NobodyGetsARegisteredWorkersPlaceByCallingItselfLaunched) {
  Register(HelloFrom("a"));
  OfThe(F(0), Detached{});
  wire::Hello hello = HelloFrom("a", 0, 1);
  hello.is_registered = false;
  EXPECT_EQ(JudgeHello(fleet_, hello), Welcoming::kStale);
}

TEST_F(RegistrationTest, AWildOrderNumberLeavesRoomForTheNext) {
  Two();
  Says(F(1), {2, 3}, ~uint64_t{0});
  Do(SaidGoodbye{F(0), Generation{1}, {}});
  Register(HelloFrom("c"));
  Says(F(0), {});
  EXPECT_GT(orders_[F(0)].sequence, 0u);
  EXPECT_LT(orders_[F(0)].sequence, 2000u);
}

TEST_F(RegistrationTest, WhoComesBackKeepsItsPlace) {
  Two();
  OfThe(F(1), Detached{});
  const Seat seat = Register(HelloFrom("b", 1, 1));
  EXPECT_EQ(seat.worker, F(1));
  EXPECT_EQ(seat.generation, Generation{1});
  EXPECT_EQ(StateOf(F(1)), WorkerState::kReady);
}

TEST_F(RegistrationTest, ANewServerLeavesPlacesGenerationsAndShardsAsTheyAre) {
  Two();
  Restart();
  EXPECT_EQ(Register(HelloFrom("b", 1, 5)).generation, Generation{5});
  Says(F(1), {2, 3}, 3000);
  Advance(seconds(4), {F(1)});
  EXPECT_THAT(Ordered(F(1)), ElementsAre(2, 3)) << "shards of those that dial later wait";
  EXPECT_GT(orders_[F(1)].sequence, 3000u);
  Register(HelloFrom("a", 0, 7));
  Says(F(0), {0, 1});
  Advance(seconds(4), {F(0), F(1)});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1));
  EXPECT_THAT(Ordered(F(1)), ElementsAre(2, 3));
}

TEST_F(RegistrationTest, WhoFindsItsPlaceTakenGetsAnother) {
  Register(HelloFrom("new"));
  const Seat seat = Register(HelloFrom("old", 0, 5));
  EXPECT_EQ(seat.worker, F(1));
  EXPECT_FALSE(seat.is_known);
}

TEST_F(RegistrationTest, AnEmptyFleetHandsOutShardsAfterTheGrace) {
  Register(HelloFrom("a"));
  Says(F(0), {});
  EXPECT_THAT(Ordered(F(0)), IsEmpty());
  EXPECT_LE(NextTick(fleet_, now_, limits_), now_ + kLongestTick);
  Advance(seconds(6), {F(0)});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 2, 3));
}

TEST_F(RegistrationTest, ASleepOfThisMachineIsNoPartOfTheGrace) {
  Register(HelloFrom("a"));
  Says(F(0), {});
  now_ += seconds(60);
  Says(F(0), {});
  EXPECT_THAT(Ordered(F(0)), IsEmpty()) << "the others slept as well, and have not dialled";
  Advance(seconds(6), {F(0)});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 2, 3));
}

TEST_F(RegistrationTest, AGoodbyeFreesPlaceAndShardsAtOnceAndEndsItsEpochs) {
  Two();
  Do(SaidGoodbye{F(1), Generation{1}, {}});
  EXPECT_FALSE(fleet_.workers.contains(F(1)));
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 2, 3));
  ASSERT_EQ(orders_[F(0)].dead.size(), 2u);
  EXPECT_EQ(orders_[F(0)].dead[0].shard, ShardId{2});
}

TEST_F(RegistrationTest, WhatAGoodbyeStillHoldsWaitsForTheHandOver) {
  Two();
  Do(SaidGoodbye{F(1), Generation{1}, {ShardId{2}}});
  Do(OfWorker{F(1), Generation{1}, Detached{}});
  EXPECT_EQ(StateOf(F(1)), WorkerState::kLost);
  EXPECT_EQ(FindPool(fleet_, "flush")->desired, 1);
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 3));
  EXPECT_TRUE(std::none_of(orders_[F(0)].dead.begin(), orders_[F(0)].dead.end(),
                           [](const auto& dead) { return dead.shard == ShardId{2}; }));
  Advance(limits_.health.handover_timeout, {F(0)});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 2, 3));
}

TEST_F(RegistrationTest, ASilentOnesShardsMoveAHandoverTimeoutAfterItsLastWord) {
  Two();
  OfThe(F(1), Detached{});
  Advance(limits_.health.silence_timeout, {F(0)});
  EXPECT_EQ(StateOf(F(1)), WorkerState::kLost);
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1));
  Advance(limits_.health.handover_timeout - limits_.health.silence_timeout, {F(0)});
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(orders_[F(0)].dead, IsEmpty()) << "nobody has proven it dead";
  Register(HelloFrom("b", 1, 1));
  Says(F(1), {2, 3});
  EXPECT_EQ(StateOf(F(1)), WorkerState::kReady) << "taken back";
  for (int i = 0; i < 4; ++i) Advance(milliseconds(500), {F(0), F(1)});
  EXPECT_EQ(Ordered(F(0)).size(), 2u);
  EXPECT_EQ(Ordered(F(1)).size(), 2u);
}

TEST_F(RegistrationTest, ANewWorkerReplacesALostOneOnceItsShardsHaveMoved) {
  Two();
  Register(HelloFrom("c"));
  Says(F(2), {});
  Advance(seconds(2), {F(0), F(1), F(2)});
  OfThe(F(1), Detached{});
  Advance(limits_.health.silence_timeout, {F(0), F(2)});
  EXPECT_EQ(Refused(HelloFrom("d")).why, NoSeat::kFull) << "it may still come back";
  Advance(seconds(6), {F(0), F(2)});
  const Seat seat = Register(HelloFrom("d"));
  EXPECT_EQ(seat.worker, F(1));
  EXPECT_EQ(seat.generation, Generation{2});
  EXPECT_EQ(Refused(HelloFrom("b", 1, 1)).why, NoSeat::kStale);
}

TEST_F(RegistrationTest, ARestartIsAnOrderToEnd) {
  Two();
  Do(WorkerRestarted{F(1)});
  EXPECT_TRUE(orders_[F(1)].drain);
  EXPECT_THAT(Ordered(F(1)), IsEmpty());
  Says(F(1), {}, orders_[F(1)].sequence);
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1, 2, 3));
}

TEST_F(RegistrationTest, TheServersEndLeavesThemAtWork) {
  Two();
  Do(ShutDown{});
  Advance(seconds(5), {F(0), F(1)});
  EXPECT_EQ(StateOf(F(0)), WorkerState::kReady);
  EXPECT_FALSE(orders_[F(0)].drain);
  EXPECT_THAT(Ordered(F(0)), ElementsAre(0, 1));
}

}  // namespace
}  // namespace spillway::fleet
