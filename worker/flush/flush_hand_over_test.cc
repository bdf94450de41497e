// Giving shards back, orders and the end of a worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "worker/flush/flush_engine.h"
#include "worker/flush/test_world.h"

namespace spillway::flush {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr ShardId kShard{3};

std::vector<std::string> Family() { return {SpanJson('a', 'b'), SpanJson('b')}; }

class FlushHandOverTest : public testing::Test {
 protected:
  FlushHandOverTest() { world_.Create(kShard); }

  World world_;
};

TEST_F(FlushHandOverTest, HandsAShardOverWhenWhatItHoldsHasEnded) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  world_.AddPart(kShard, Family());
  flusher.Own({});
  flusher.RunFor(seconds(1));
  EXPECT_EQ(flusher.ShardReport(kShard).stage, wire::ShardStage::kReleasing);
  flusher.producer.Unhold();
  flusher.RunNow();
  EXPECT_THAT(flusher.engine.Report().shards, IsEmpty());
  EXPECT_THAT(world_.Output(), SizeIs(1)) << "nothing new is claimed";
  EXPECT_THAT(world_.store.shard(kShard)->claims, IsEmpty());
}

// Between the two orders nothing runs: the shard is given back in full, but not yet forgotten.
TEST_F(FlushHandOverTest, OwnsAShardThatIsGivenBackAndGotAgainAtOnce) {
  Flusher flusher(world_);
  flusher.Own({kShard});
  flusher.RunNow();
  flusher.Own({});
  flusher.Own({kShard});
  world_.AddPart(kShard, Family());
  flusher.RunFor(seconds(1));
  EXPECT_EQ(flusher.ShardReport(kShard).stage, wire::ShardStage::kOwned);
  EXPECT_THAT(world_.Output(), SizeIs(1));
}

TEST_F(FlushHandOverTest, LeavesWhatKafkaHasToItsLeaseWhenAHandOverTakesTooLong) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  flusher.Own({});
  flusher.RunFor(seconds(21), milliseconds(100));
  EXPECT_THAT(flusher.engine.Report().shards, IsEmpty());
  EXPECT_THAT(world_.store.shard(kShard)->claims, SizeIs(1));
  flusher.producer.Unhold();  // a late report finds nobody and does no harm
  flusher.RunNow();
}

TEST_F(FlushHandOverTest, ReleasesWhatItStillWaitsForWhenAHandOverTakesTooLong) {
  Flusher flusher(world_);
  flusher.producer.set_queue_limit(0);
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  flusher.Own({});
  flusher.RunFor(seconds(19), milliseconds(100));
  EXPECT_THAT(flusher.engine.Report().shards, IsEmpty());
  EXPECT_THAT(world_.store.shard(kShard)->claims, IsEmpty());
  EXPECT_THAT(world_.store.shard(kShard)->due, SizeIs(1));
}

TEST_F(FlushHandOverTest, ReleasesAClaimItMayHaveMadeWhenItHandsOver) {
  world_.UseFaults([is_first = true](StoreCall call, ShardId) mutable {
    const bool is_lost = call == StoreCall::kClaim && std::exchange(is_first, false);
    return is_lost ? StoreFault::kLoseReply : StoreFault::kNone;
  });
  Flusher flusher(world_);
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  EXPECT_THAT(world_.store.shard(kShard)->claims, SizeIs(1));
  flusher.Own({});
  flusher.RunFor(seconds(1));
  EXPECT_THAT(flusher.engine.Report().shards, IsEmpty());
  EXPECT_THAT(world_.store.shard(kShard)->claims, IsEmpty());
}

TEST_F(FlushHandOverTest, KeepsAShardThatIsGivenBackBeforeItHasLeft) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  const Epoch epoch = flusher.ShardReport(kShard).epoch;
  flusher.Own({});
  flusher.Own({kShard});
  flusher.producer.Unhold();
  world_.AddPart(kShard, Family());
  flusher.RunFor(seconds(2));
  EXPECT_EQ(flusher.ShardReport(kShard).epoch, epoch);
  EXPECT_THAT(world_.Output(), SizeIs(2));
}

TEST_F(FlushHandOverTest, ClaimsNothingWhilePaused) {
  Flusher flusher(world_);
  flusher.engine.Obey({.sequence = 1, .shards = {kShard}, .pause = true});
  world_.AddPart(kShard, Family());
  flusher.RunFor(seconds(2));
  EXPECT_THAT(world_.Output(), IsEmpty());
  EXPECT_EQ(flusher.ShardReport(kShard).backlog, 1u);
  EXPECT_FALSE(flusher.ShardReport(kShard).has_work);
  EXPECT_TRUE(flusher.engine.Report().is_paused);
  flusher.engine.Obey({.sequence = 2, .shards = {kShard}});
  flusher.RunNow();
  EXPECT_THAT(world_.Output(), SizeIs(1));
}

TEST_F(FlushHandOverTest, IgnoresAnOrderOlderThanTheNewest) {
  Flusher flusher(world_);
  flusher.engine.Obey({.sequence = 2, .shards = {kShard}});
  flusher.engine.Obey({.sequence = 1, .shards = {}});
  flusher.RunNow();
  EXPECT_THAT(flusher.engine.Report().shards, SizeIs(1));
  EXPECT_EQ(flusher.engine.Report().order_sequence, 2u);
}

TEST_F(FlushHandOverTest, DrainsOnceEverythingHeldHasEnded) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  std::vector<absl::Status> drained;
  flusher.engine.Drain([&](const absl::Status& status) { drained.push_back(status); });
  flusher.RunFor(seconds(1));
  EXPECT_THAT(drained, IsEmpty());
  EXPECT_TRUE(flusher.engine.Report().is_draining);
  flusher.producer.Unhold();
  flusher.RunNow();
  EXPECT_THAT(drained, ElementsAre(absl::OkStatus()));
  EXPECT_TRUE(flusher.engine.Report().is_drained);
  EXPECT_THAT(world_.Output(), SizeIs(1));
}

TEST_F(FlushHandOverTest, SaysWhichStepOfADrainFailed) {
  Flusher flusher(world_);
  flusher.producer.Hold();
  world_.AddPart(kShard, Family());
  flusher.Own({kShard});
  flusher.RunNow();
  std::vector<absl::Status> drained;
  flusher.engine.Drain([&](const absl::Status& status) { drained.push_back(status); });
  flusher.RunFor(seconds(21), milliseconds(100));
  ASSERT_THAT(drained, SizeIs(1));
  EXPECT_EQ(drained[0].code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace spillway::flush
