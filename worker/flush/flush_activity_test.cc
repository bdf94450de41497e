// Where the time of a shard goes in its flush worker.
#include <gtest/gtest.h>

#include <numeric>

#include "worker/flush/flush_engine.h"
#include "worker/flush/test_world.h"

namespace spillway::flush {
namespace {

using std::chrono::seconds;
using wire::Activity;

constexpr ShardId kShard{3};

class FlushActivityTest : public testing::Test {
 protected:
  FlushActivityTest() : flusher_(world_) {
    world_.Create(kShard);
    flusher_.Own({kShard});
    flusher_.RunFor(seconds(1));
  }
  double SecondsOf(Activity activity) const {
    const wire::ActivityTimes times = flusher_.ShardReport(kShard).times;
    return std::chrono::duration<double>(times[static_cast<size_t>(activity)]).count();
  }

  World world_;
  Flusher flusher_;
};

TEST_F(FlushActivityTest, AddsUpToTheTimeThatTheShardWasHeld) {
  world_.AddPart(kShard, {SpanJson('b')});
  flusher_.RunFor(seconds(9));
  const wire::ActivityTimes times = flusher_.ShardReport(kShard).times;
  EXPECT_EQ(std::accumulate(times.begin(), times.end(), Duration::zero()), seconds(10));
  EXPECT_GT(SecondsOf(Activity::kIdle), 9.0) << "nothing is due any more";
}

TEST_F(FlushActivityTest, ABrokerThatDeliversNothingTakesTheTime) {
  flusher_.producer.set_policy([](const auto&, const auto&) {
    return kafka::FakeProducer::Outcome{{kafka::Delivery::kNotDelivered, "told to"}, false};
  });
  world_.AddPart(kShard, {SpanJson('b')});
  flusher_.RunFor(seconds(10));
  EXPECT_GT(SecondsOf(Activity::kBroker), 8.0);
}

TEST_F(FlushActivityTest, ASilentRedisTakesTheTime) {
  world_.UseFaults([](buffer::StoreCall, ShardId) { return buffer::StoreFault::kLoseRequest; });
  flusher_.RunFor(seconds(10));
  EXPECT_GT(SecondsOf(Activity::kRedis), 9.0);
}

TEST_F(FlushActivityTest, APausedPoolWithDuePartsIsNotIdle) {
  flusher_.engine.Obey({.sequence = 100, .shards = {kShard}, .pause = true});
  world_.AddPart(kShard, {SpanJson('b')});
  flusher_.RunFor(seconds(10));
  EXPECT_GT(SecondsOf(Activity::kPaused), 8.0);
}

}  // namespace
}  // namespace spillway::flush
