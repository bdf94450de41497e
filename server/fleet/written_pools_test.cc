// Pools that are made, and made again, while the fleet lives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/fleet/fleet_test_fixture.h"

namespace spillway::fleet {
namespace {

PoolWritten Flush2(int32_t desired) {
  return {"flush-2", 7, wire::Role::kFlush,  desired,
          0,         8, PoolState::kRunning, config::ScaleOwner::kSpillway};
}

using WrittenPoolTest = FleetTest;

TEST_F(WrittenPoolTest, APoolThatIsWrittenIsMadeOrChanged) {
  Make(0, 1);
  Do(Flush2(2));
  const Pool made = *FindPool(fleet_, "flush-2");
  EXPECT_TRUE(made.is_created);
  EXPECT_EQ(made.role, wire::Role::kFlush);
  EXPECT_GE(made.revision, 7u);
  EXPECT_EQ(fleet_.workers.at({"flush-2", 1}).state, WorkerState::kPending);
  Do(Flush2(2));
  EXPECT_EQ(FindPool(fleet_, "flush-2")->revision, made.revision) << "it was so before";
  Do(Flush2(1));
  EXPECT_EQ(FindPool(fleet_, "flush-2")->revision, made.revision + 1);
  EXPECT_TRUE(FindPool(fleet_, "flush-2")->is_created);
  EXPECT_FALSE(FindPool(fleet_, "flush")->is_created);
}

TEST_F(WrittenPoolTest, APoolThatIsWrittenOverLeftoversOfItsNameIsWhole) {
  fleet_ = MakeFleet(TwoPools(0, 1), 1000, now_);
  Do(FoundLeftovers{{{{"flush-2", 0}, Generation{5}, 77}}});
  ASSERT_FALSE(FindPool(fleet_, "flush-2")->is_configured);
  Do(Flush2(2));
  EXPECT_TRUE(FindPool(fleet_, "flush-2")->is_configured);
  EXPECT_TRUE(FindPool(fleet_, "flush-2")->is_created);
  EXPECT_EQ(FindPool(fleet_, "flush-2")->role, wire::Role::kFlush);
  EXPECT_TRUE(fleet_.workers.contains({"flush-2", 1}));
}

TEST_F(WrittenPoolTest, PoolsOfOneRoleShareTheShardsAndADeletedOneHandsItsOwnOver) {
  Make(0, 1);
  Do(ShardsFound{4});
  Do(Flush2(1));
  const WorkerKey other{"flush-2", 0};
  MakeReady(F(0));
  MakeReady(other);
  Obeys(F(0));
  Obeys(other);
  Obeys(F(0));
  EXPECT_THAT(Ordered(F(0)), ::testing::SizeIs(2));
  EXPECT_THAT(Ordered(other), ::testing::SizeIs(2));
  Do(PoolDeleted{"flush-2"});
  EXPECT_EQ(StateOf(other), WorkerState::kDraining);
  EXPECT_TRUE(orders_[other].drain);
  EXPECT_NE(FindPool(fleet_, "flush-2"), nullptr) << "until its workers are gone";
  OfThe(other, Exited{Exited::Kind::kExited, 0, {}});
  EXPECT_EQ(FindPool(fleet_, "flush-2"), nullptr);
  EXPECT_THAT(Ordered(F(0)), ::testing::SizeIs(4));
  Do(Flush2(1));
  EXPECT_EQ(fleet_.workers.at(other).generation, Generation{2}) << "of the slot, not of the pool";
}

}  // namespace
}  // namespace spillway::fleet
