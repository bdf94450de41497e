#include "worker/ingest/shard_taking.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using buffer::StoreCall;
using buffer::StoreFault;
using std::chrono::seconds;

class ShardTakingTest : public ::testing::Test {
 protected:
  void Assign() {
    h.worker().consumer.Assign({kShard});
    h.Pass(seconds(1));
  }
  Harness h;
};

TEST_F(ShardTakingTest, EachTakeDrawsAnOwnerOfItsOwn) {
  Assign();
  const Epoch first = h.redis().ingest_epoch;
  h.store.LoseEverything();  // so that it takes again
  h.Pass(seconds(10));
  ASSERT_TRUE(h.worker().session()->is_live());
  EXPECT_NE(h.redis().ingest_epoch.owner, first.owner);
  EXPECT_NE(h.redis().ingest_epoch.owner, 0u);
}

// A former owner's last commit may come between the question and the take. What is below it has
// left and may be gone from Redis.
TEST_F(ShardTakingTest, ReadingStartsAtWhatWasCommittedInTheMeantime) {
  h.Append(SpanText('a', 'a', 0));
  h.Append(SpanText('b', 'b', 0));
  Assign();
  h.worker().Crash();
  h.kafka.committed()[kShard.value] = 0;
  h.store.SetFaults([this](StoreCall call, ShardId) {
    if (call == StoreCall::kTake) h.kafka.committed()[kShard.value] = 1;
    return StoreFault::kNone;
  });
  std::optional<TakenShard> taken;
  ShardTaking taking({.shard = kShard,
                      .proposed_number = 1,
                      .draw_owner = [] { return 7u; },
                      .query_timeout = seconds(1)},
                     h.worker().consumer, h.store,
                     {.taken = [&](TakenShard shard) { taken = std::move(shard); },
                      .failed = [](const TakeFailure&) {}});
  taking.Start();
  h.Settle();
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->start, 1);
  EXPECT_EQ(taken->committed, 1);
}

// ---- what Redis has forgotten

TEST_F(ShardTakingTest, CountsWhatALostRedisHadHeld) {
  h.Append(SpanText('a', 'a', 0));
  h.Append(SpanText('b', 'a', 0));
  Assign();
  ASSERT_EQ(h.committed(), 0);
  h.store.LoseEverything();
  h.Pass(seconds(10));
  h.Append(SpanText('c', 'a', 0));
  h.Pass(seconds(1));
  EXPECT_EQ(h.redis().watermark, 3);
  EXPECT_EQ(h.redis().ledger.replayed, 2u) << "the third had never been there";
}

TEST_F(ShardTakingTest, AnotherWorkerCountsUpToTheLogsEnd) {
  h.Append(SpanText('a', 'a', 0));
  Assign();
  h.worker().Crash();
  h.store.LoseEverything();
  h.Append(SpanText('b', 'a', 0));
  h.ReplaceWorker(0);
  Assign();
  EXPECT_EQ(h.redis().ledger.replayed, 2u) << "the second may have been there";
}

// An add that nobody has answered may have been executed, and what it wrote may have left.
TEST_F(ShardTakingTest, CountsWhatWasSentAndNeverAnswered) {
  h.Append(SpanText('a', 'a', 0));
  Assign();
  h.store.SetFaults([](StoreCall call, ShardId) {
    return call == StoreCall::kAdd ? StoreFault::kLoseReply : StoreFault::kNone;
  });
  h.Append(SpanText('b', 'a', 0));
  h.Pass(std::chrono::milliseconds(50));
  h.store.SetFaults({});
  h.store.LoseEverything();
  h.Pass(seconds(10));
  EXPECT_EQ(h.redis().ledger.replayed, 2u);
}

}  // namespace
}  // namespace spillway::ingest
