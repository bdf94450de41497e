#include "server/rpc/insight_messages.h"

#include <gtest/gtest.h>

#include "tests/support/sample_fleet.h"

namespace spillway::rpc {
namespace {

const Instant kNow = Instant(std::chrono::hours(24));

TEST(InsightMessagesTest, AnExplanationHasBothSidesAndTheShard) {
  const auto explanation = supervisor::Explain(MeasuredFleet(kNow), ShardId{0}, kNow);
  ASSERT_TRUE(explanation.ok());
  const v1::ShardExplanation message = ToMessage(*explanation, kNow);

  EXPECT_EQ(message.shard().name(), "shards/0");
  ASSERT_EQ(message.ingest().shares_size(), 2);
  EXPECT_EQ(message.ingest().shares(0).activity(), v1::ACTIVITY_GATE);
  EXPECT_DOUBLE_EQ(message.ingest().shares(0).share(), 0.9);
  EXPECT_EQ(message.ingest().shares(0).time().seconds(), 45);
  EXPECT_EQ(message.ingest().limit(), v1::ACTIVITY_GATE);
  EXPECT_EQ(message.flush().limit(), v1::ACTIVITY_IDLE);
  EXPECT_EQ(message.flush().worker(), "pools/flush/workers/0");
  EXPECT_EQ(message.flush().age().seconds(), 2);
}

TEST(InsightMessagesTest, AnUnknownSideHasNoFiguresButSaysWhy) {
  const auto explanation = supervisor::Explain(SampleFleet(kNow), ShardId{1}, kNow);
  ASSERT_TRUE(explanation.ok());
  const v1::ShardExplanation message = ToMessage(*explanation, kNow);

  EXPECT_FALSE(message.flush().is_known());
  EXPECT_FALSE(message.flush().has_window());
  EXPECT_EQ(message.flush().limit(), v1::ACTIVITY_UNSPECIFIED);
  EXPECT_FALSE(message.flush().summary().empty());
}

TEST(InsightMessagesTest, AdviceNamesItsLimit) {
  const auto advice = supervisor::AdviseOn(MeasuredFleet(kNow), "ingest", kNow);
  ASSERT_TRUE(advice.ok());
  const v1::ScaleAdvice message = ToMessage("ingest", *advice);

  EXPECT_EQ(message.pool(), "pools/ingest");
  EXPECT_EQ(message.desired(), 1);
  EXPECT_EQ(message.limit(), v1::LIMIT_REDIS);
  EXPECT_GE(message.evidence_size(), 3);
}

}  // namespace
}  // namespace spillway::rpc
