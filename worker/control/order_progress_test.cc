#include "worker/control/order_progress.h"

#include <gtest/gtest.h>

#include "worker/control/redial.h"

namespace spillway::worker {
namespace {

using std::chrono::milliseconds;

wire::ShardReport Shard(int32_t number, wire::ShardStage stage) {
  wire::ShardReport shard;
  shard.shard = {number};
  shard.stage = stage;
  return shard;
}

wire::Order OrderFor(std::vector<ShardId> shards) {
  wire::Order order;
  order.sequence = 5;
  order.shards = std::move(shards);
  return order;
}

wire::WorkerReport ReportOf(std::vector<wire::ShardReport> shards) {
  wire::WorkerReport report;
  report.order_sequence = 5;
  report.shards = std::move(shards);
  return report;
}

TEST(IsFulfilledTest, FlushWorkerOwnsExactlyWhatIsNamed) {
  using enum wire::ShardStage;
  const wire::Order order = OrderFor({{1}, {2}});
  const auto is_fulfilled = [&](std::vector<wire::ShardReport> shards) {
    return IsFulfilled(order, wire::Role::kFlush, ReportOf(std::move(shards)));
  };

  EXPECT_TRUE(is_fulfilled({Shard(2, kOwned), Shard(1, kOwned)}));
  EXPECT_FALSE(is_fulfilled({Shard(1, kOwned)}));
  EXPECT_FALSE(is_fulfilled({Shard(1, kOwned), Shard(2, kAcquiring)}));
  EXPECT_FALSE(is_fulfilled({Shard(1, kOwned), Shard(3, kOwned)}));
  EXPECT_FALSE(is_fulfilled({Shard(1, kOwned), Shard(2, kOwned), Shard(3, kReleasing)}));
}

TEST(IsFulfilledTest, NotBeforeTheOrderWasSeen) {
  wire::WorkerReport report = ReportOf({});
  report.order_sequence = 4;

  EXPECT_FALSE(IsFulfilled(OrderFor({}), wire::Role::kFlush, report));
}

TEST(IsFulfilledTest, IngestWorkerNeedsNoShards) {
  EXPECT_TRUE(IsFulfilled(OrderFor({{1}}), wire::Role::kIngest, ReportOf({})));
}

TEST(IsFulfilledTest, PauseAndDrainAreTheRolesWord) {
  wire::Order pause = OrderFor({});
  pause.pause = true;
  wire::Order drain = OrderFor({});
  drain.drain = true;
  wire::WorkerReport paused = ReportOf({});
  paused.is_paused = true;
  wire::WorkerReport drained = ReportOf({});
  drained.is_drained = true;

  EXPECT_TRUE(IsFulfilled(pause, wire::Role::kIngest, paused));
  EXPECT_FALSE(IsFulfilled(pause, wire::Role::kIngest, drained));
  EXPECT_TRUE(IsFulfilled(drain, wire::Role::kFlush, drained));
  EXPECT_FALSE(IsFulfilled(drain, wire::Role::kFlush, paused));
}

TEST(MilestonesTest, FiguresAreNotOnesButStagesAre) {
  using enum wire::ShardStage;
  wire::ShardReport busy = Shard(1, kOwned);
  busy.backlog = 17;

  EXPECT_EQ(MilestonesOf(ReportOf({Shard(1, kOwned), Shard(2, kOwned)})),
            MilestonesOf(ReportOf({Shard(2, kOwned), busy})));
  EXPECT_NE(MilestonesOf(ReportOf({Shard(1, kOwned)})),
            MilestonesOf(ReportOf({Shard(1, kReleasing)})));
}

TEST(HeldShardsTest, NamesOnlyShardsWithAnEpoch) {
  wire::ShardReport held = Shard(1, wire::ShardStage::kOwned);
  held.epoch = {3, 4};

  const auto shards = HeldShards(ReportOf({held, Shard(2, wire::ShardStage::kAcquiring)}));

  ASSERT_EQ(shards.size(), 1u);
  EXPECT_EQ(shards[0], (wire::HeldShard{{1}, {3, 4}}));
}

TEST(RedialDelayTest, DoublesUpToTheMaximumAndSpreads) {
  const RedialLimits limits{.initial = milliseconds(100), .max = milliseconds(1'000)};

  EXPECT_EQ(RedialDelay(1, 0, limits), milliseconds(50));
  EXPECT_EQ(RedialDelay(3, 0, limits), milliseconds(200));
  EXPECT_EQ(RedialDelay(3, 0.5, limits), milliseconds(300));
  EXPECT_EQ(RedialDelay(5, 0, limits), milliseconds(500));
  EXPECT_EQ(RedialDelay(1'000'000, 0, limits), milliseconds(500));
}

}  // namespace
}  // namespace spillway::worker
