#include "server/supervisor/recorded_pools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::supervisor {
namespace {

using record::PoolRecord;
using record::Sizes;
using record::WishedState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr WallTime kNow{1'700'000'000'000'000};

config::Pool Configured(Sizes sizes, config::ScaleOwner owner = config::ScaleOwner::kSpillway) {
  config::Pool pool;
  pool.name = "flush";
  pool.role = config::Role::kFlush;
  pool.replicas = sizes.desired;
  pool.min = sizes.min;
  pool.max = sizes.max;
  pool.scale_owner = owner;
  return pool;
}

struct Row {
  const char* name;
  Sizes file, based_on, wished, expected;
  size_t events;
};
class MixTest : public ::testing::TestWithParam<Row> {};

TEST_P(MixTest, TheNewerWordHolds) {
  const Row& row = GetParam();
  const RestoredPools restored =
      RestorePools({Configured(row.file)}, {{{"flush", row.wished}, row.based_on}}, kNow);
  ASSERT_EQ(restored.wishes.size(), 1u);
  EXPECT_EQ(restored.wishes[0].sizes, row.expected);
  EXPECT_EQ(restored.change.events.size(), row.events);
  const uint64_t revision = row.expected == row.wished ? 1 : 2;
  EXPECT_THAT(restored.change.pools,
              ElementsAre(PoolRecord{{"flush", row.expected}, row.file, revision}));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MixTest,
    ::testing::Values(
        Row{"NothingChanged", {1, 1, 8}, {1, 1, 8}, {1, 1, 8}, {1, 1, 8}, 0},
        Row{"TheOperatorsResizeHolds", {1, 1, 8}, {1, 1, 8}, {4, 2, 16}, {4, 2, 16}, 0},
        Row{"TheFilesNewReplicasWin", {3, 1, 8}, {1, 1, 8}, {5, 1, 8}, {3, 1, 8}, 1},
        Row{"EachValueAlone", {1, 1, 10}, {1, 1, 8}, {4, 2, 8}, {4, 2, 10}, 1},
        Row{"DesiredStaysWithinNewBounds", {1, 1, 3}, {1, 1, 8}, {5, 1, 8}, {3, 1, 3}, 1},
        Row{"BoundsThatContradictAreTheFiles", {1, 1, 4}, {1, 1, 8}, {7, 6, 8}, {4, 1, 4}, 1},
        Row{"TheFileAgreesWithTheOperator", {4, 1, 8}, {1, 1, 8}, {4, 1, 8}, {4, 1, 8}, 0}),
    [](const auto& row) { return row.param.name; });

TEST(RestorePoolsTest, WithoutARecordTheConfigurationHolds) {
  const RestoredPools restored = RestorePools({Configured({2, 1, 8})}, {}, kNow);
  EXPECT_THAT(restored.wishes, ElementsAre(record::PoolWish{"flush", {2, 1, 8}}));
  EXPECT_THAT(restored.change.events, IsEmpty());
}

TEST(RestorePoolsTest, AStoppedPoolStaysStoppedWhateverTheFileSays) {
  const PoolRecord stopped{{"flush", {2, 1, 8}, WishedState::kStopped}, {2, 1, 8}};
  const RestoredPools restored = RestorePools({Configured({3, 1, 8})}, {stopped}, kNow);
  EXPECT_EQ(restored.wishes[0].state, WishedState::kStopped);
  EXPECT_EQ(restored.wishes[0].sizes.desired, 3);
}

TEST(RestorePoolsTest, TheRevisionOfAWishIsTheRecordsAndRisesWhenTheFileChangesIt) {
  const PoolRecord known{{"flush", {2, 1, 8}}, {2, 1, 8}, 7};
  EXPECT_EQ(RestorePools({Configured({2, 1, 8})}, {known}, kNow).revisions.at("flush"), 7u);
  const RestoredPools changed = RestorePools({Configured({3, 1, 8})}, {known}, kNow);
  EXPECT_EQ(changed.revisions.at("flush"), 8u);
  EXPECT_EQ(changed.change.pools[0].revision, 8u);
}

TEST(RestorePoolsTest, ACreatedPoolStaysWithoutAWordOfTheFile) {
  PoolRecord created{{"flush-2", {3, 1, 8}}, {}, 9};
  created.created = record::CreatedPool{record::PoolRole::kFlush, false};
  const RestoredPools restored = RestorePools({Configured({1, 1, 8})}, {created}, kNow);
  EXPECT_THAT(restored.created, ElementsAre(created));
  EXPECT_THAT(restored.change.forgotten_pools, IsEmpty());
  EXPECT_EQ(RecordOf(PoolOf(created)), created);
}

TEST(RestorePoolsTest, ACreatedPoolThatTheFileNamesNowIsTheFiles) {
  PoolRecord created{{"flush", {3, 1, 8}, WishedState::kPaused}, {}, 9};
  created.created = record::CreatedPool{record::PoolRole::kFlush, true};
  const RestoredPools restored = RestorePools({Configured({1, 1, 4})}, {created}, kNow);
  EXPECT_THAT(restored.created, IsEmpty());
  EXPECT_THAT(restored.change.pools,
              ElementsAre(PoolRecord{{"flush", {1, 1, 4}, WishedState::kPaused}, {1, 1, 4}, 10}));
  EXPECT_EQ(restored.change.events.size(), 1u);
}

TEST(RestorePoolsTest, WhatIsScaledElsewhereHasTheFilesSizes) {
  const PoolRecord known{{"flush", {7, 1, 8}}, {1, 1, 8}};
  const RestoredPools restored =
      RestorePools({Configured({1, 1, 8}, config::ScaleOwner::kExternal)}, {known}, kNow);
  EXPECT_EQ(restored.wishes[0].sizes.desired, 1);
  EXPECT_THAT(restored.change.events, IsEmpty()) << "how many were there was nobody's wish";
}

TEST(RestorePoolsTest, APoolThatIsNoMoreIsForgottenAndThatIsSaid) {
  const RestoredPools restored = RestorePools({}, {{{"old", {7, 1, 8}}, {1, 1, 8}}}, kNow);
  EXPECT_THAT(restored.change.forgotten_pools, ElementsAre("old"));
  ASSERT_EQ(restored.change.events.size(), 1u);
  EXPECT_EQ(restored.change.events[0].target, "pools/old");
  EXPECT_EQ(restored.change.events[0].before, "desired 7, min 1, max 8, RUNNING");
}

}  // namespace
}  // namespace spillway::supervisor
