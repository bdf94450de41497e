// A shard's session while an operator has paused its worker, or restarts the shard.
#include <gtest/gtest.h>

#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using std::chrono::seconds;

// Reading anew what Redis has already is no new input; without it the shard would never be owned.
TEST(SessionPauseTest, AShardIsTakenWhilePausedAndThenReadsNothing) {
  Harness h;
  h.Append(SpanText('a', 'a', 0));
  h.worker().consumer.Assign({kShard});
  h.Pass(seconds(1));
  h.ReplaceWorker(0);
  h.Append(SpanText('b', 'b', 0));
  h.worker().consumer.Assign({kShard});
  ASSERT_FALSE(h.worker().session()->is_live());
  h.worker().session()->SetPaused(true);
  h.Pass(seconds(30));
  EXPECT_TRUE(h.worker().session()->is_live());
  EXPECT_TRUE(h.worker().consumer.is_paused(kShard));
  EXPECT_EQ(h.redis().watermark, 1);
  h.worker().session()->SetPaused(false);
  h.Pass(seconds(1));
  EXPECT_EQ(h.redis().watermark, 2);
}

TEST(SessionRestartTest, TakesFromNothingIfToldAboutItsVeryEpoch) {
  Harness h;
  h.Append(SpanText('a', 'b', 'c'));
  h.worker().consumer.Assign({kShard});
  h.Pass(seconds(1));
  ShardSession& session = *h.worker().session();
  const Epoch before = session.Report().epoch;
  session.Retake({before.number, before.owner + 1});
  EXPECT_TRUE(session.is_live()) << "another's";
  session.Retake(before);
  EXPECT_FALSE(session.is_live());
  h.Pass(seconds(1));
  EXPECT_TRUE(session.is_live());
  EXPECT_GT(session.Report().epoch.number, before.number);
  session.Retake(before);
  EXPECT_TRUE(session.is_live()) << "done before";
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(1));
  EXPECT_EQ(h.redis().watermark, 2);
}

}  // namespace
}  // namespace spillway::ingest
