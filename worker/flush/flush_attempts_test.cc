// Invariant 5's attempts: what a worker had in hand when it ended counts one, and nothing else
// does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/flush/flush_engine.h"
#include "worker/flush/test_world.h"

namespace spillway::flush {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Each;
using testing::IsEmpty;
using testing::Lt;
using testing::Pair;
using testing::SizeIs;

constexpr ShardId kShard{3};

struct Crash {};  // thrown where a process would have ended: nothing of the engine runs after it

class FlushAttemptsTest : public testing::Test {
 protected:
  FlushAttemptsTest() { world_.Create(kShard); }

  // The next process of the slot, told what became of the ones before.
  void Start() {
    process_.emplace(world_, FlushOptions{}, [this](const std::optional<ClaimInHand>& in_hand) {
      in_hand_ = in_hand;
      if (in_hand && poison_ && IsTasted(in_hand->claim)) throw Crash();
    });
    process_->engine.Obey({.sequence = 1, .shards = {kShard}, .dead = dead_});
  }
  // Its end, as the control plane tells it to the next.
  void End() {
    const Epoch epoch = process_->ShardReport(kShard).epoch;
    dead_.push_back({kShard, epoch, {}});
    if (in_hand_) dead_.back() = {in_hand_->shard, in_hand_->epoch, in_hand_->claim};
    in_hand_.reset();
    process_.reset();
  }
  bool EndsWithin(Duration time) {
    try {
      process_->RunFor(time);
      return false;
    } catch (const Crash&) {
      return true;
    }
  }
  // Assembling it is deadly; sending it to the dead letter topic is not.
  bool IsTasted(const ClaimId& claim) {
    const buffer::FakeShard& shard = *world_.store.shard(kShard);
    const auto& parts = shard.claims.at(claim).parts;
    const bool is_in = std::any_of(parts.begin(), parts.end(),
                                   [&](const auto& part) { return part.first == *poison_; });
    return is_in && Attempts(*poison_) < 5;
  }
  uint32_t Attempts(const PartName& part) {
    const auto& attempts = world_.store.shard(kShard)->attempts;
    const auto found = attempts.find(part);
    return found == attempts.end() ? 0 : found->second;
  }

  World world_;
  std::optional<Flusher> process_;
  std::optional<PartName> poison_;
  std::optional<ClaimInHand> in_hand_;
  std::vector<wire::DeadEpoch> dead_;
};

TEST_F(FlushAttemptsTest, APartThatEndsEveryWorkerGoesToTheDeadLetterTopicAfterFive) {
  const PartName before = world_.AddPart(kShard, {SpanJson('b')});
  poison_ = world_.AddPart(kShard, {SpanJson('a', 'b'), SpanJson('b')});
  world_.AddPart(kShard, {SpanJson('b')});
  int ends = 0;
  for (Start(); EndsWithin(seconds(2)); Start()) {
    ASSERT_TRUE(in_hand_.has_value());
    End();
    ASSERT_LE(++ends, 5);
    EXPECT_LE(Attempts(before), 2u) << "from the third on, the part at fault is claimed alone";
  }
  EXPECT_EQ(ends, 5);
  ASSERT_THAT(world_.DeadLetters(), SizeIs(2)) << "span by span";
  EXPECT_EQ(world_.DeadLetters()[0].headers[0].second, "attempts");
  EXPECT_THAT(world_.Output(), SizeIs(2));
  EXPECT_TRUE(world_.IsEmpty(kShard));
  EXPECT_EQ(world_.Residual(kShard), 0);
  EXPECT_EQ(world_.store.shard(kShard)->ledger.dead_lettered, 2u);
}

TEST_F(FlushAttemptsTest, ADeathWhileKafkaIsWaitedForCountsNothing) {
  world_.AddPart(kShard, {SpanJson('b')});
  for (int ends = 0; ends < 8; ++ends) {
    Start();
    process_->producer.Hold();
    ASSERT_FALSE(EndsWithin(milliseconds(500)));
    ASSERT_THAT(world_.store.shard(kShard)->claims, SizeIs(1));
    EXPECT_FALSE(in_hand_.has_value());
    End();
  }
  EXPECT_THAT(world_.store.shard(kShard)->attempts, IsEmpty());
  Start();
  EXPECT_FALSE(EndsWithin(seconds(1)));
  EXPECT_THAT(world_.Output(), SizeIs(1));
  EXPECT_THAT(world_.DeadLetters(), IsEmpty());
  EXPECT_TRUE(world_.IsEmpty(kShard));
}

TEST_F(FlushAttemptsTest, ADeathWhileRedisIsWaitedForCountsNothing) {
  world_.AddPart(kShard, {SpanJson('b')});
  world_.UseFaults([](buffer::StoreCall call, ShardId) {
    return call == buffer::StoreCall::kLoad ? buffer::StoreFault::kLoseRequest
                                            : buffer::StoreFault::kNone;
  });
  Start();
  ASSERT_FALSE(EndsWithin(milliseconds(500)));
  EXPECT_FALSE(in_hand_.has_value());
  End();
  world_.UseFaults({});
  Start();
  EXPECT_FALSE(EndsWithin(seconds(1)));
  EXPECT_THAT(world_.store.shard(kShard)->attempts, Each(Pair(testing::_, Lt(1u))));
  EXPECT_THAT(world_.Output(), SizeIs(1));
}

}  // namespace
}  // namespace spillway::flush
