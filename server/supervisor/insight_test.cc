#include "server/supervisor/insight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "server/supervisor/fleet_control.h"
#include "tests/support/sample_fleet.h"

namespace spillway::supervisor {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using wire::Activity;

const Instant kNow = Instant(std::chrono::hours(24));

double Sum(const SideExplanation& side) {
  return std::accumulate(side.shares.begin(), side.shares.end(), 0.0,
                         [](double sum, const auto& share) { return sum + share.part; });
}

TEST(ExplainTest, EachSideAddsUpAndNamesWhatLimitsIt) {
  const FleetSnapshot fleet = MeasuredFleet(kNow);
  const auto explanation = Explain(fleet, ShardId{0}, kNow);
  ASSERT_TRUE(explanation.ok()) << explanation.status();
  ASSERT_TRUE(explanation->ingest.is_known);
  EXPECT_DOUBLE_EQ(Sum(explanation->ingest), 1.0);
  EXPECT_EQ(explanation->ingest.limit, Activity::kGate);
  EXPECT_EQ(explanation->ingest.shares[0].activity, Activity::kGate);
  EXPECT_EQ(explanation->ingest.window, seconds(50));
  ASSERT_TRUE(explanation->flush.is_known);
  EXPECT_DOUBLE_EQ(Sum(explanation->flush), 1.0);
  EXPECT_EQ(explanation->flush.limit, Activity::kIdle) << "less than a tenth is not a limit";
  EXPECT_THAT(explanation->findings, Contains(HasSubstr("the gate is closed")));
  EXPECT_THAT(explanation->findings, Contains(HasSubstr("redis_memory")));
  EXPECT_THAT(explanation->findings, Contains("42 messages are not read yet"));
}

TEST(ExplainTest, WhatNobodyReportsIsUnknownNotIdle) {
  const auto explanation = Explain(SampleFleet(kNow), ShardId{1}, kNow);
  ASSERT_TRUE(explanation.ok());
  EXPECT_FALSE(explanation->ingest.is_known);
  EXPECT_THAT(explanation->ingest.summary, HasSubstr("unknown: no ingest worker"));
  EXPECT_TRUE(explanation->flush.shares.empty());
}

TEST(ExplainTest, AnOldReportIsUnknown) {
  const auto explanation = Explain(MeasuredFleet(kNow), ShardId{0}, kNow + seconds(30));
  ASSERT_TRUE(explanation.ok());
  EXPECT_FALSE(explanation->ingest.is_known);
  EXPECT_THAT(explanation->ingest.summary, HasSubstr("the last report came"));
}

TEST(ExplainTest, RefusesAShardThatIsNotThere) {
  EXPECT_EQ(RefusalReason(Explain(SampleFleet(kNow), ShardId{99}, kNow).status()),
            "SHARD_NOT_FOUND");
  EXPECT_EQ(RefusalReason(Explain(FleetSnapshot{}, ShardId{0}, kNow).status()), "SHARDS_UNKNOWN");
}

TEST(AdviseOnTest, JudgesByTheFleetsFigures) {
  const auto advice = AdviseOn(MeasuredFleet(kNow), "ingest", kNow);
  ASSERT_TRUE(advice.ok()) << advice.status();
  EXPECT_EQ(advice->desired, 1);
  EXPECT_EQ(advice->limit, fleet::ScaleLimit::kRedis) << "its gate waits for Redis' memory";
}

TEST(AdviseOnTest, AMissingFigureIsNamed) {
  FleetSnapshot fleet = MeasuredFleet(kNow);
  fleet.shards[0].flush_activity.reset();
  const auto advice = AdviseOn(fleet, "flush", kNow);
  EXPECT_TRUE(absl::IsUnavailable(advice.status()));
  EXPECT_EQ(RefusalReason(advice.status()), "FIGURES_UNKNOWN");
  EXPECT_EQ(RefusalReason(AdviseOn(fleet, "none", kNow).status()), "POOL_NOT_FOUND");
}

}  // namespace
}  // namespace spillway::supervisor
