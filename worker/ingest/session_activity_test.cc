// Where the time of a shard's session goes.
#include <gtest/gtest.h>

#include <numeric>

#include "worker/ingest/session_harness.h"

namespace spillway::ingest {
namespace {

using std::chrono::seconds;
using wire::Activity;

wire::ActivityTimes Times(Harness& h) { return h.worker().session()->Report().times; }

double SecondsOf(const wire::ActivityTimes& times, Activity activity) {
  return std::chrono::duration<double>(times[static_cast<size_t>(activity)]).count();
}

TEST(SessionActivityTest, AddsUpToTheTimeThatTheShardWasHeld) {
  Harness h;
  h.worker().consumer.Assign({kShard});
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(10));
  const wire::ActivityTimes times = Times(h);
  EXPECT_EQ(std::accumulate(times.begin(), times.end(), Duration::zero()), seconds(10));
  EXPECT_GT(SecondsOf(times, Activity::kIdle), 9.0) << "all of the input is in Redis";
}

TEST(SessionActivityTest, APausedShardIsNotIdle) {
  Harness h;
  h.worker().consumer.Assign({kShard});
  h.Pass(seconds(1));
  h.worker().session()->SetPaused(true);
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(10));
  EXPECT_GT(SecondsOf(Times(h), Activity::kPaused), 9.0);
}

TEST(SessionActivityTest, ASilentRedisTakesTheTime) {
  Harness h;
  h.worker().consumer.Assign({kShard});
  h.Pass(seconds(1));
  h.store.SetFaults([](buffer::StoreCall, ShardId) { return buffer::StoreFault::kLoseRequest; });
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(10));
  EXPECT_GT(SecondsOf(Times(h), Activity::kRedis), 9.0);
}

TEST(SessionActivityTest, AClosedGateTakesTheTime) {
  Harness h;
  h.worker().consumer.Assign({kShard});
  h.Pass(seconds(1));
  h.worker().session()->set_index_limit(1);
  h.Append(SpanText('a', 'a', 0));
  h.Pass(seconds(2));
  h.Append(SpanText('b', 'b', 0));
  const double before = SecondsOf(Times(h), Activity::kGate);
  h.Pass(seconds(4));
  EXPECT_GT(SecondsOf(Times(h), Activity::kGate) - before, 3.5);
}

}  // namespace
}  // namespace spillway::ingest
